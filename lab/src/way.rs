//! What a packet is for, as far as it shows from outside: by ports, and by the first bytes of what is in it.

use std::net::IpAddr;

use twocan_sim::Packet;
use twocan_sim::packet::Payload;

/// STUN's method and class (RFC 8489 section 5): a Binding request, its answers, an indication.
const BINDING: [u16; 4] = [0x0001, 0x0101, 0x0111, 0x0011];

/// TURN's Send and Data indications (RFC 8656 section 11).
const SEND_AND_DATA: [u16; 2] = [0x0016, 0x0017];

/// TLS's record of application data (RFC 8446 section 5.1).
const TLS_APPLICATION_DATA: u8 = 0x17;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Signaling, TCP.
    pub http: u16,
    /// STUN and TURN, UDP and TCP.
    pub turn: u16,
    /// TURN over TLS.
    pub turns: Vec<u16>,
    /// The lowest of relayed ports.
    pub relayed: u16,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports { http: 8080, turn: 3478, turns: vec![443, 5349], relayed: 49_152 }
    }
}

/// What a packet is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Way {
    /// From one host to another, neither of which is the server.
    Direct,
    /// Through the relay, by UDP to it.
    RelayedUdp,
    /// Through the relay, by TCP to it.
    RelayedTcp,
    /// Through the relay, or asking it for something, by TLS to it: which of both does not show.
    RelayedTls,
    /// Through the relay, between a host and the other's relayed address.
    Relayed,
    /// What else is said to the relay: allocations, permissions, handshakes.
    Turn,
    /// A Binding request to the server, and its answer.
    Stun,
    /// The lobby's server.
    Signaling,
    /// For all in a LAN.
    Multicast,
    /// ICMP, and whatever is none of the above.
    Other,
}

impl Way {
    /// Of a packet that goes to the server, or comes from it if `is_from_server`; or else from host to host.
    pub(crate) fn of(packet: &Packet, ports: &Ports, server: Option<Side>) -> Way {
        if is_for_many(packet.destination) {
            return Way::Multicast;
        }
        let (port, is_udp, data) = match &packet.payload {
            Payload::Udp(udp) => {
                (server.map(|side| side.port(udp.source, udp.destination)), true, &udp.data[..])
            }
            Payload::Tcp(tcp) => {
                (server.map(|side| side.port(tcp.source, tcp.destination)), false, tcp.data())
            }
            Payload::Icmp(_) | Payload::Other { .. } => return Way::Other,
        };
        let Some(port) = port else { return Way::Direct };
        let first = data.first().copied();
        let kind = data.first_chunk().map(|kind| u16::from_be_bytes(*kind));
        let is_relayed =
            matches!(first, Some(0x40..0x80)) || kind.is_some_and(|kind| SEND_AND_DATA.contains(&kind));
        match (port, is_udp) {
            (port, true) if port == ports.turn && is_relayed => Way::RelayedUdp,
            (port, true) if port == ports.turn && kind.is_some_and(|kind| BINDING.contains(&kind)) => {
                Way::Stun
            }
            (port, false) if port == ports.turn && is_relayed => Way::RelayedTcp,
            (port, _) if port == ports.turn => Way::Turn,
            (port, false) if ports.turns.contains(&port) && first == Some(TLS_APPLICATION_DATA) => {
                Way::RelayedTls
            }
            (port, false) if ports.turns.contains(&port) => Way::Turn,
            (port, false) if port == ports.http => Way::Signaling,
            (port, true) if port >= ports.relayed => Way::Relayed,
            _ => Way::Other,
        }
    }

    /// Whether a relay passes it on.
    pub fn is_relayed(self) -> bool {
        matches!(self, Way::RelayedUdp | Way::RelayedTcp | Way::RelayedTls | Way::Relayed)
    }
}

/// Which end of a packet is the server's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Source,
    Destination,
}

impl Side {
    fn port(self, source: u16, destination: u16) -> u16 {
        match self {
            Side::Source => source,
            Side::Destination => destination,
        }
    }
}

fn is_for_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}
