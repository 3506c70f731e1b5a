//! What the findings mean: with whom a direct way is found. docs/operation.md has the table, tried with browsers behind each
//! kind of NAT: one side's mapping is endpoint-independent, and it does not filter by port, or the other side's mapping is
//! endpoint-independent too.

use std::net::IpAddr;

use serde::Serialize;
use twocan_stun::discovery::{Filtering, Mapping};

use crate::report::{Found, Network, Relay, Relaying, Transport};

/// Who reaches us directly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direct {
    /// Everybody whose network lets UDP out.
    Everybody,
    /// Those behind an ordinary home router, and those who are reached by everybody.
    Most,
    /// Those alone who are reached by everybody.
    Few,
    /// Nobody: UDP does not come out of here.
    Nobody,
    /// Unknown: the server cannot tell.
    Unknown,
    /// Unknown: the server is in this network itself, and does not see it from outside.
    Inside,
}

/// Who can be reached from here, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Reach {
    /// Who reaches us directly.
    pub direct: Direct,
    /// Whether the others are reached by a relay.
    #[serde(rename = "relayed")]
    pub is_relayed: bool,
    /// The best way to a relay.
    pub relayed_over: Option<Transport>,
}

impl Reach {
    /// `networks`: IPv4, then IPv6; what IPv4 says counts, where it says something.
    pub(crate) fn of(networks: [&Network; 2], relays: &[Relay]) -> Reach {
        let works = |transport| {
            let mut of_transport = relays.iter().filter(|relay| relay.transport == transport);
            of_transport.any(|relay| matches!(relay.relaying, Relaying::Relays { .. }))
        };
        let relayed_over =
            [Transport::Udp, Transport::Tcp, Transport::Tls].into_iter().find(|transport| works(*transport));
        Reach { direct: direct(networks), is_relayed: relayed_over.is_some(), relayed_over }
    }
}

fn direct(networks: [&Network; 2]) -> Direct {
    let answered = networks.into_iter().find_map(|network| match network {
        Network::Answered(nat) => Some(nat),
        _ => None,
    });
    let Some(nat) = answered else {
        let is_silent = networks.iter().any(|network| matches!(network, Network::Silent { .. }));
        return if is_silent { Direct::Nobody } else { Direct::Unknown };
    };
    if is_inside(nat.server.ip()) {
        return Direct::Inside;
    }
    let Some(Found(mapping)) = nat.mapping.is() else { return Direct::Unknown };
    match (mapping, nat.filtering.is()) {
        (
            Mapping::EndpointIndependent,
            Some(Found(Filtering::EndpointIndependent | Filtering::AddressDependent)),
        ) => Direct::Everybody,
        (Mapping::EndpointIndependent, _) => Direct::Most,
        (Mapping::AddressDependent | Mapping::AddressAndPortDependent | Mapping::Dependent, _) => Direct::Few,
    }
}

/// Whether an address is one of this machine or of a private network.
fn is_inside(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use twocan_stun::discovery::{Allocation, Unknown};

    use super::*;
    use crate::report::{Nat, Told};

    fn network(server: &str, mapping: Mapping, filtering: Told<Found<Filtering>>) -> Network {
        Network::Answered(Box::new(Nat {
            server: server.parse().unwrap(),
            local: "192.168.1.10:5000".parse().unwrap(),
            mapped: "198.51.100.7:5000".parse().unwrap(),
            is_translated: true,
            rtt: None,
            mapping: Told::Is(Found(mapping)),
            filtering,
            allocation: Told::Is(Found(Allocation::Random)),
            allocation_step: None,
            hairpin: Told::Is(false),
            lifetime: Told::Unknown(Unknown::NotTried),
        }))
    }

    const SERVER: &str = "203.0.113.5:3478";

    fn of(mapping: Mapping, filtering: Filtering) -> Direct {
        direct([&network(SERVER, mapping, Told::Is(Found(filtering))), &Network::NoAddress])
    }

    /// Rows 1 to 9 of the table of who connects with whom, as measured with browsers: 1, 2 and 7 answer to all, 3 to those with
    /// an independent mapping, the rest to 1, 2 and 7 alone.
    #[test]
    fn who_reaches_us_follows_from_mapping_and_filtering() {
        use Filtering as F;
        use Mapping as M;
        assert_eq!(of(M::EndpointIndependent, F::EndpointIndependent), Direct::Everybody);
        assert_eq!(of(M::EndpointIndependent, F::AddressDependent), Direct::Everybody);
        assert_eq!(of(M::EndpointIndependent, F::AddressAndPortDependent), Direct::Most);
        for mapping in [M::AddressDependent, M::AddressAndPortDependent, M::Dependent] {
            for filtering in [F::EndpointIndependent, F::AddressDependent, F::AddressAndPortDependent] {
                assert_eq!(of(mapping, filtering), Direct::Few);
            }
        }
    }

    #[test]
    fn where_the_filter_is_unknown_it_is_taken_for_the_usual_one() {
        let filtering = Told::Unknown(Unknown::OneAddress);
        let network = network(SERVER, Mapping::EndpointIndependent, filtering);
        assert_eq!(direct([&network, &Network::NoAddress]), Direct::Most);
    }

    #[test]
    fn ipv6_counts_where_ipv4_says_nothing() {
        let open = network(
            "[2a00::5]:3478",
            Mapping::EndpointIndependent,
            Told::Is(Found(Filtering::EndpointIndependent)),
        );
        let silent = Network::Silent { server: SERVER.parse().unwrap() };
        assert_eq!(direct([&silent, &open]), Direct::Everybody);
        assert_eq!(direct([&silent, &Network::NoAddress]), Direct::Nobody);
        assert_eq!(direct([&Network::NotAsked, &Network::NoAddress]), Direct::Unknown);
    }

    #[test]
    fn a_server_in_the_same_network_says_nothing_about_the_internet() {
        for server in ["127.0.0.1:3478", "192.168.1.2:3478", "[::1]:3478", "[fd00::1]:3478"] {
            let open = network(
                server,
                Mapping::EndpointIndependent,
                Told::Is(Found(Filtering::EndpointIndependent)),
            );
            assert_eq!(direct([&open, &Network::NoAddress]), Direct::Inside, "{server}");
        }
    }

    #[test]
    fn the_best_way_to_a_relay_is_named() {
        let relay = |transport, relaying| Relay { url: String::new(), transport, relaying };
        let works = Relaying::Relays { setup: Duration::ZERO, rtt: Duration::ZERO };
        let relays = [
            relay(Transport::Tls, works),
            relay(Transport::Udp, Relaying::Unreachable),
            relay(Transport::Tcp, works),
        ];
        let reach = Reach::of([&Network::NotAsked, &Network::NotAsked], &relays);
        assert_eq!((reach.is_relayed, reach.relayed_over), (true, Some(Transport::Tcp)));
        assert_eq!(Reach::of([&Network::NotAsked, &Network::NotAsked], &relays[1..2]).relayed_over, None);
    }
}
