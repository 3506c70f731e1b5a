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
