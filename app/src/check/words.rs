//! What a check found, for people.

use std::fmt::Write as _;
use std::time::Duration;

use twocan_check::{
    Allocation, Direct, Filtering, Found, Lives, Mapping, Nat, Network, Opens, Reach, Relay, Relaying,
    Report, Router, Signaling, Step, Told, Transport, Unknown,
};

/// What stands at the beginning of a row.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mark {
    Good,
    Bad,
    Neither,
    /// A row that belongs to the one above.
    Below,
}

/// Characters of the widest name.
const NAME_WIDTH: usize = 12;

struct Table {
    text: String,
    has_colour: bool,
}

impl Table {
    fn row(&mut self, mark: Mark, name: &str, what: &str) {
        let (sign, colour) = match mark {
            Mark::Good => ("✓", "32"),
            Mark::Bad => ("✗", "31"),
            Mark::Neither => ("–", "2"),
            Mark::Below => (" ", "0"),
        };
        let sign = if self.has_colour { format!("\x1b[{colour}m{sign}\x1b[0m") } else { sign.to_owned() };
        let indent = if mark == Mark::Below { "  " } else { "" };
        let width = NAME_WIDTH - indent.len();
        let _ = writeln!(self.text, "{sign} {indent}{name:width$}  {what}");
    }
}

/// What is shown while nothing is known.
pub fn beginning(with_lifetime: bool) -> &'static str {
    if with_lifetime { "checking, which may take three minutes" } else { "checking" }
}

/// What is shown as each step is done.
pub fn step(step: Step) -> &'static str {
    match step {
        Step::Server => " server",
        Step::Ipv4 => " IPv4",
        Step::Ipv6 => " IPv6",
        Step::Relay => " relay",
        Step::Router => " router",
    }
}

/// The table, and what it means.
pub fn report(report: &Report, has_colour: bool) -> String {
    let mut table = Table { text: String::new(), has_colour };
    if let Some(server) = &report.server {
        match &server.signaling {
            Signaling::Reached { connect, rtt } => {
                let what = format!("{}, reached in {}, answers in {}", server.url, ms(*connect), ms(*rtt));
                table.row(Mark::Good, "Server", &what);
            }
            Signaling::Failed { why } => table.row(Mark::Bad, "Server", &why.to_string()),
        }
    }
    network(&mut table, "IPv4", &report.ipv4);
    network(&mut table, "IPv6", &report.ipv6);
    for relay in &report.relays {
        let (mark, what) = relaying(relay);
        table.row(mark, transport(relay.transport), &format!("{what} ({})", relay.url));
    }
    let (mark, what) = router(&report.router);
    table.row(mark, "Router", &what);
    let _ = writeln!(table.text, "\n{}", meaning(report));
    table.text
}

fn network(table: &mut Table, name: &str, network: &Network) {
    match network {
        Network::NoAddress => {
            table.row(
                Mark::Neither,
                name,
                &format!("this machine has no {name} address that leads anywhere"),
            );
        }
        Network::NotAsked => table.row(Mark::Neither, name, "no STUN server to ask"),
        Network::Silent { server } => {
            table.row(Mark::Bad, name, &format!("no answer over UDP from {server}"));
        }
        Network::Answered(nat) => answered(table, name, nat),
    }
}

fn answered(table: &mut Table, name: &str, nat: &Nat) {
    let Nat { local, mapped, .. } = nat;
    let seen = if nat.is_translated {
        format!("{} is seen as {}", local.ip(), mapped.ip())
    } else {
        format!("{} is seen as it is", local.ip())
    };
    let rtt = nat.rtt.map(|rtt| format!(", round trip {}", ms(rtt))).unwrap_or_default();
    table.row(Mark::Good, name, &format!("UDP is open; {seen}{rtt}"));
    if nat.is_translated {
        table.row(Mark::Below, "mapping", &told(&nat.mapping, |Found(mapping)| mapping_words(*mapping)));
    }
    table.row(
        Mark::Below,
        "filtering",
        &told(&nat.filtering, |Found(filtering)| filtering_words(*filtering)),
    );
    if nat.is_translated {
        table.row(Mark::Below, "ports", &told(&nat.allocation, |Found(allocation)| ports_words(*allocation)));
        let hairpin = |&hairpin: &bool| if hairpin { "yes" } else { "no" }.to_owned();
        table.row(Mark::Below, "hairpin", &told(&nat.hairpin, hairpin));
        table.row(Mark::Below, "remembered", &told(&nat.lifetime, lifetime_words));
    }
}

fn told<T>(told: &Told<T>, words: impl FnOnce(&T) -> String) -> String {
    match told {
        Told::Is(found) => words(found),
        Told::Unknown(why) => format!("unknown: {}", why_unknown(*why)),
    }
}

fn why_unknown(why: Unknown) -> &'static str {
    match why {
        Unknown::NoAnswer => "too few answers came",
        Unknown::OneAddress => "the server has one address",
        Unknown::NotSupported => "the server does not do what was asked",
        Unknown::NotTranslated => "no addresses are translated",
        Unknown::NotTried => "it could not be tried",
    }
}

fn mapping_words(mapping: Mapping) -> String {
    match mapping {
        Mapping::EndpointIndependent => "one outer port for all (endpoint-independent)",
        Mapping::AddressDependent => "another outer port for each address (address-dependent)",
        Mapping::AddressAndPortDependent => {
            "another outer port for each address and port (address-and-port-dependent)"
        }
        Mapping::Dependent => "another outer port for each server (dependent)",
    }
    .to_owned()
}

fn filtering_words(filtering: Filtering) -> String {
    match filtering {
        Filtering::EndpointIndependent => "lets in everybody (endpoint-independent)",
        Filtering::AddressDependent => "lets in addresses that were sent to (address-dependent)",
        Filtering::AddressAndPortDependent => {
            "lets in addresses and ports that were sent to (address-and-port-dependent)"
        }
    }
    .to_owned()
}

fn ports_words(allocation: Allocation) -> String {
    match allocation {
        Allocation::Preserving => "the outer port is the inner one (preserving)".to_owned(),
        Allocation::Sequential { step } => format!("one after another, in steps of {step} (sequential)"),
        Allocation::Random => "drawn at random".to_owned(),
    }
}

fn lifetime_words(lives: &Lives) -> String {
    let seconds = |time: Duration| format!("{} s", time.as_secs());
    match (lives.at_least.map(seconds), lives.less_than.map(seconds)) {
        (Some(at_least), Some(less_than)) => format!("at least {at_least}, less than {less_than}"),
        (Some(at_least), None) => format!("at least {at_least}"),
        (None, Some(less_than)) => format!("less than {less_than}"),
        (None, None) => format!("unknown: {}", why_unknown(Unknown::NotTried)),
    }
}

fn transport(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "TURN, UDP",
        Transport::Tcp => "TURN, TCP",
        Transport::Tls => "TURN, TLS",
    }
}

fn relaying(relay: &Relay) -> (Mark, String) {
    match relay.relaying {
        Relaying::Relays { setup, rtt } => {
            (Mark::Good, format!("relays; ready in {}, there and back in {}", ms(setup), ms(rtt)))
        }
        Relaying::Idle { reason } => (Mark::Bad, format!("answers, but relays nothing: {}", reason.word())),
        Relaying::Refuses { code } => (Mark::Bad, format!("refuses us: error {code}")),
        Relaying::Unreachable => (Mark::Bad, "out of reach".to_owned()),
        Relaying::NoAddress => (Mark::Neither, "this machine has no address that leads there".to_owned()),
    }
}

fn router(router: &Router) -> (Mark, String) {
    let Some(gateway) = router.gateway else { return (Mark::Neither, "there is none to ask".to_owned()) };
    let protocols = [("PCP", router.pcp), ("NAT-PMP", router.nat_pmp), ("UPnP", router.upnp)];
    let which = |wanted: fn(Opens) -> bool| {
        let names = protocols.iter().filter(|(_, opens)| wanted(*opens)).map(|(name, _)| *name);
        names.collect::<Vec<_>>().join(", ")
    };
    if router.opens() {
        let by = which(|opens| matches!(opens, Opens::Opened { .. }));
        return (Mark::Good, format!("{gateway} opens ports by {by}"));
    }
    let refused = which(|opens| opens == Opens::Refused);
    if refused.is_empty() {
        (Mark::Neither, format!("{gateway} opens no ports (PCP, NAT-PMP, UPnP: no answer)"))
    } else {
        (Mark::Neither, format!("{gateway} opens no ports ({refused}: refused)"))
    }
}

/// One or two sentences.
fn meaning(report: &Report) -> String {
    if let Some(server) = &report.server
        && !server.signaling.is_reached()
    {
        return "The server cannot be reached, so nobody can be met there.".to_owned();
    }
    let Reach { direct, is_relayed, relayed_over } = report.reach;
    let or_not = if is_relayed { "will be relayed" } else { "will not reach you, since no relay works" };
    match direct {
        Direct::Everybody if is_relayed || report.relays.is_empty() => {
            "People will reach you directly, whatever router they are behind.".to_owned()
        }
        Direct::Everybody => {
            "People will reach you directly, whatever router they are behind. No relay works, so those whose network lets no \
             UDP out will not."
                .to_owned()
        }
        Direct::Most => format!(
            "People behind an ordinary home router will reach you directly; people on a mobile network {or_not}."
        ),
        Direct::Few => format!(
            "Your network gives you another outer port for everybody you talk to, as mobile networks do. People whom everybody \
             reaches will be linked with you directly; people behind an ordinary home router, or on a mobile network, {or_not}."
        ),
        Direct::Nobody => no_udp(relayed_over),
        Direct::Unknown => format!(
            "Whether people reach you directly could not be told. Those who do not {or_not}."
        ),
        Direct::Inside => {
            let relay = if is_relayed { "It relays." } else { "No relay works." };
            format!(
                "The server is in your own network and does not see it from outside: check a server on the Internet to learn \
                 who reaches you there. {relay}"
            )
        }
    }
}

fn no_udp(relayed_over: Option<Transport>) -> String {
    match relayed_over {
        None => "No UDP gets out of this network, or the server does not answer it, and no relay works: nobody will reach you.",
        Some(Transport::Udp) => "STUN is not answered, so no direct ways will be found: everybody will be relayed.",
        Some(Transport::Tcp) => "No UDP gets out of this network: everybody will be relayed, over TCP, which is slower.",
        Some(Transport::Tls) => "No UDP gets out of this network: everybody will be relayed, over TLS, which is slower.",
    }
    .to_owned()
}

/// Milliseconds, with a decimal where they are few.
fn ms(duration: Duration) -> String {
    let ms = duration.as_secs_f64() * 1_000.0;
    if ms < 10.0 { format!("{ms:.1} ms") } else { format!("{ms:.0} ms") }
}
