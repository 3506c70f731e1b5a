//! How two hosts talk: what the ledger says of them, in one word.

use std::time::{Duration, Instant};

use serde::Serialize;
use twocan_sim::HostId;

use crate::ledger::Ledger;
use crate::way::Way;

/// Records of TLS that a host gets while it does no more than ask the relay for an allocation, at most: which of them are
/// somebody's data does not show.
const TLS_CONTROL_RECORDS: u64 = 16;

/// A relay that was used only so much later was left for the direct way, and something was still under way there.
const MARGIN: Duration = Duration::from_millis(500);

/// The same where it does not show whether it was used, or only told to go on.
const MARGIN_OF_TLS: Duration = Duration::from_secs(10);

/// How two hosts talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// From host to host, both ways.
    Direct,
    /// Through the relay.
    Relayed {
        /// How the one reaches it.
        left: Way,
        /// How the other does.
        right: Way,
    },
    /// Not at all.
    Nothing,
}

impl Ledger {
    /// How these two talk, or talked last: of two ways that work, the one that was used later. `server` is where the relay
    /// is.
    pub fn verdict(&self, left: HostId, right: HostId, server: HostId) -> Verdict {
        let is_direct = |way| way == Way::Direct;
        let there = self.used(left, right, is_direct).zip(self.used(right, left, is_direct));
        let shows = |to| self.used(server, to, |way| way.is_relayed() && way != Way::RelayedTls);
        let (one, other) = (shows(left), shows(right));
        let relayed = self.relayed(server, left, one, other).zip(self.relayed(server, right, other, one));
        match (there, relayed) {
            (Some(((_, there), (_, back))), Some(((left, one), (right, other)))) => {
                let is_opaque = [left, right].contains(&Way::RelayedTls);
                let margin = if is_opaque { MARGIN_OF_TLS } else { MARGIN };
                match there.max(back) + margin >= one.max(other) {
                    true => Verdict::Direct,
                    false => Verdict::Relayed { left, right },
                }
            }
            (None, Some(((left, _), (right, _)))) => Verdict::Relayed { left, right },
            (Some(_), None) => Verdict::Direct,
            (None, None) => Verdict::Nothing,
        }
    }

    /// How a host uses the relay. `shows`: as far as it shows, `others`: and how the other one does. What cannot be looked
    /// into counts where something must be in it: the other end of what shows, or more than control.
    fn relayed(
        &self,
        server: HostId,
        to: HostId,
        shows: Option<(Way, Instant)>,
        others: Option<(Way, Instant)>,
    ) -> Option<(Way, Instant)> {
        let is_tls = |way| way == Way::RelayedTls;
        let tls = self.used(server, to, is_tls);
        let Some((_, used)) = shows else {
            let records = self.delivered().find(|(a, b, way, _)| *a == server && *b == to && is_tls(*way));
            let is_more = records.is_some_and(|(.., traffic)| traffic.packets > TLS_CONTROL_RECORDS);
            return tls.filter(|_| is_more || others.is_some());
        };
        tls.filter(|(_, later)| *later > used + MARGIN_OF_TLS).or(shows)
    }

    /// The way of these that was used last, and when.
    fn used(&self, from: HostId, to: HostId, wanted: impl Fn(Way) -> bool) -> Option<(Way, Instant)> {
        let ways = self.delivered().filter(|(a, b, way, _)| *a == from && *b == to && wanted(*way));
        ways.filter_map(|(_, _, way, traffic)| Some((way, traffic.used?))).max_by_key(|(_, used)| *used)
    }
}

#[cfg(test)]
mod tests {
    use twocan_sim::{Event, PacketId, Place, Step, Summary};

    use super::*;
    use crate::way::Look;

    /// What the ledger says of host 1 and host 2 after packets from host to host, each at so many milliseconds.
    fn after(packets: &[(u64, usize, usize, Way)]) -> Verdict {
        let start = Instant::now();
        let mut ledger = Ledger::default();
        for (number, (ms, from, to, way)) in packets.iter().enumerate() {
            let at = start + Duration::from_millis(*ms);
            let any = "80.80.0.1:1".parse().unwrap();
            let summary = Summary { source: any, destination: any, protocol: 17, len: 100 };
            let [from, to] = [*from, *to].map(HostId::from);
            let interface = twocan_sim::InterfaceId::from(0);
            let look = Look { way: *way, is_use: true };
            let packet = PacketId(number as u64);
            ledger.note(&Event { at, packet, step: Step::Sent { by: Place::Host(from), summary } }, look);
            ledger.note(&Event { at, packet, step: Step::Delivered { to, interface, summary } }, look);
        }
        ledger.verdict(HostId::from(1), HostId::from(2), HostId::from(0))
    }

    fn both(ms: u64, way: Way) -> [(u64, usize, usize, Way); 2] {
        match way {
            Way::Direct => [(ms, 1, 2, way), (ms, 2, 1, way)],
            _ => [(ms, 0, 1, way), (ms, 0, 2, way)],
        }
    }

    #[test]
    fn the_way_that_was_used_last_is_the_one() {
        let (direct, udp) = (Way::Direct, Way::RelayedUdp);
        assert_eq!(after(&[both(0, udp), both(100, direct)].concat()), Verdict::Direct);
        // Something was still under way at the relay.
        assert_eq!(after(&[both(100, direct), both(300, udp)].concat()), Verdict::Direct);
        let relayed = Verdict::Relayed { left: udp, right: udp };
        assert_eq!(after(&[both(100, direct), both(5_000, udp)].concat()), relayed);
    }

    #[test]
    fn one_way_is_no_way() {
        assert_eq!(after(&[]), Verdict::Nothing);
        assert_eq!(after(&[(0, 1, 2, Way::Direct)]), Verdict::Nothing);
        assert_eq!(after(&[(0, 0, 1, Way::RelayedUdp)]), Verdict::Nothing);
    }

    #[test]
    fn what_is_in_tls_counts_where_the_other_end_of_it_shows() {
        let tls = |count| vec![(0, 0, 1, Way::RelayedTls); count];
        assert_eq!(after(&tls(6)), Verdict::Nothing);
        let other = (0, 0, 2, Way::Relayed);
        let relayed = Verdict::Relayed { left: Way::RelayedTls, right: Way::Relayed };
        assert_eq!(after(&[tls(6), vec![other]].concat()), relayed);
        let [asking, more] =
            [6, 17].map(|count| [tls(count), vec![(0, 0, 2, Way::RelayedTls); count]].concat());
        assert_eq!(after(&asking), Verdict::Nothing);
        assert_eq!(after(&more), Verdict::Relayed { left: Way::RelayedTls, right: Way::RelayedTls });
    }
}
