//! What happened, drawn: who is behind what, how many packets went which way, what was dropped, and what came of it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::IpAddr;

use twocan_lab::sim::{Drop, HostId, Place as Spot};
use twocan_lab::{Lab, Ledger, Place, Verdict, Way};

/// One side.
pub struct End {
    pub host: HostId,
    pub addresses: Vec<IpAddr>,
    pub place: Place,
}

/// Both.
pub struct Scene {
    pub left: End,
    pub right: End,
    /// They are behind the same boxes.
    pub is_same: bool,
}

/// The rows of the table, in this order.
const ROWS: [(Way, &str); 10] = [
    (Way::Direct, "direct"),
    (Way::RelayedUdp, "through the relay, by UDP"),
    (Way::RelayedTcp, "through the relay, by TCP"),
    (Way::RelayedTls, "through the relay, by TLS"),
    (Way::Relayed, "with the other's relay"),
    (Way::Turn, "asking the relay (TURN)"),
    (Way::Stun, "asking who I am (STUN)"),
    (Way::Signaling, "the lobby's server"),
    (Way::Multicast, "for all in the LAN"),
    (Way::Other, "other"),
];

impl Scene {
    /// Who is where, before anything happens.
    pub fn world(&self) -> String {
        let mut text = String::from("\n");
        if self.is_same {
            let [left, right] = [&self.left, &self.right].map(|end| first(&end.addresses));
            let width = left.chars().count().max(right.chars().count());
            let _ = writeln!(text, "  left  {left:<width$} ─┐");
            let _ = writeln!(
                text,
                "        {:width$}  ├─{}══ internet ══ play.test",
                "",
                boxes(&self.left.place)
            );
            let _ = writeln!(text, "  right {right:<width$} ─┘");
        } else {
            let (left, right) = (&self.left, &self.right);
            let near = format!("  left {} ─{}══", first(&left.addresses), boxes(&left.place));
            let far = format!("══{}─ {} right", boxes(&right.place), first(&right.addresses));
            let _ = writeln!(text, "{near} internet {far}");
            let middle = near.chars().count() + " inter".len();
            let _ = writeln!(text, "{:middle$}│", "");
            let _ = writeln!(text, "{:>width$}", "play.test", width = middle + 5);
        }
        text.push('\n');
        text
    }

    /// What came of it.
    pub fn report(&self, lab: &Lab) -> anyhow::Result<String> {
        let ledger = lab.ledger()?;
        let server = lab.server().id;
        let names = self.spots(lab)?;
        let mut text = self.world();
        self.table(&mut text, &ledger);
        let drops = self.drops(&ledger, server, &names);
        if !drops.is_empty() {
            text.push_str("\n  lost on the way\n");
        }
        for ((why, whose, at), packets) in drops {
            let _ = writeln!(text, "  {packets:>9}  from {whose}: {why} ({at})");
        }
        let _ = writeln!(text, "\n  {}", sentence(ledger.verdict(self.left.host, self.right.host, server)));
        Ok(text)
    }

    fn table(&self, text: &mut String, ledger: &Ledger) {
        let heads = ["left sent", "left got", "right sent", "right got"];
        let _ = writeln!(
            text,
            "  {:<28}{}",
            "packets that arrived",
            heads.map(|head| format!("{head:>11}")).concat()
        );
        for (way, name) in ROWS {
            let count = |host: HostId, sent: bool| -> u64 {
                let of = ledger.delivered().filter(|(from, to, its, _)| {
                    *its == way && if sent { *from == host } else { *to == host }
                });
                of.map(|(.., traffic)| traffic.packets).sum()
            };
            let ends = [self.left.host, self.right.host];
            let counts = ends.map(|host| [count(host, true), count(host, false)]);
            if counts.as_flattened().iter().any(|count| *count > 0) {
                let cells: String =
                    counts.as_flattened().iter().map(|count| format!("{count:>11}")).collect();
                let _ = writeln!(text, "  {name:<28}{cells}");
            }
        }
    }

    /// By reason, whose packets, and where.
    fn drops(
        &self,
        ledger: &Ledger,
        server: HostId,
        names: &BTreeMap<Spot, String>,
    ) -> BTreeMap<(Drop, &'static str, String), u64> {
        let mut drops = BTreeMap::new();
        for (from, at, why) in ledger.dropped() {
            let whose = match from {
                from if from == self.left.host => "left",
                from if from == self.right.host => "right",
                from if from == server => "play.test",
                _ => continue,
            };
            let at = names.get(&at).map_or("the internet", String::as_str);
            for (why, packets) in why {
                *drops.entry((*why, whose, at.to_owned())).or_default() += packets;
            }
        }
        drops
    }

    /// What places of the model are to these two.
    fn spots(&self, lab: &Lab) -> anyhow::Result<BTreeMap<Spot, String>> {
        let mut names = BTreeMap::new();
        for (end, whose) in [(&self.left, "left"), (&self.right, "right")] {
            let (host, routers, segment) = (end.host, end.place.site.routers.clone(), end.place.site.segment);
            names.insert(Spot::Host(host), whose.to_owned());
            if segment != lab.internet() {
                names.insert(Spot::Segment(segment), format!("{whose}'s network"));
            }
            let count = routers.len();
            for (at, router) in routers.iter().enumerate() {
                let what = if count > 1 && at == 0 { "carrier" } else { "box" };
                names.insert(Spot::Router(*router), format!("{whose}'s {what}: {}", end.place.site.kind));
            }
            let interfaces = lab.change(move |network, _| {
                let of_routers =
                    routers.iter().flat_map(|router| [network.outside(*router), network.inside(*router)]);
                of_routers.chain(network.interfaces(host).iter().copied()).collect::<Vec<_>>()
            })?;
            for interface in interfaces {
                for direction in [twocan_lab::sim::Direction::Up, twocan_lab::sim::Direction::Down] {
                    names.insert(Spot::Link(interface, direction), format!("{whose}'s link"));
                }
            }
        }
        Ok(names)
    }
}

fn first(addresses: &[IpAddr]) -> String {
    addresses.first().map(ToString::to_string).unwrap_or_default()
}

/// A side's boxes, and how the internet sees them.
fn boxes(place: &Place) -> String {
    let kind = place.site.kind;
    match place.external.first() {
        Some(external) => format!("[ {kind} {external} ]"),
        None => format!("( {kind} )"),
    }
}

/// The conclusion.
fn sentence(verdict: Verdict) -> String {
    let by = |way| match way {
        Way::RelayedUdp => "by UDP",
        Way::RelayedTcp => "by TCP",
        Way::RelayedTls => "by TLS",
        _ => "by the other's relayed address",
    };
    match verdict {
        Verdict::Direct => {
            "direct: left and right talk to each other, and nobody stands in between".to_owned()
        }
        Verdict::Relayed { left, right } if left == right => {
            format!("relayed: both reach the relay {}", by(left))
        }
        Verdict::Relayed { left, right } => {
            format!("relayed: left reaches the relay {}, right {}", by(left), by(right))
        }
        Verdict::Nothing => "nothing: no packet of the one reached the other".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_conclusion_says_how_each_side_reaches_the_relay() {
        assert!(sentence(Verdict::Direct).starts_with("direct"));
        let both = sentence(Verdict::Relayed { left: Way::RelayedUdp, right: Way::RelayedUdp });
        assert_eq!(both, "relayed: both reach the relay by UDP");
        let each = sentence(Verdict::Relayed { left: Way::RelayedTcp, right: Way::Relayed });
        assert_eq!(each, "relayed: left reaches the relay by TCP, right by the other's relayed address");
        assert!(sentence(Verdict::Nothing).starts_with("nothing"));
    }

    #[test]
    fn each_way_has_a_row() {
        let mut ways: Vec<Way> = ROWS.iter().map(|(way, _)| *way).collect();
        ways.sort_unstable();
        ways.dedup();
        assert_eq!(ways.len(), ROWS.len());
    }
}
