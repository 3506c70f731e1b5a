//! What a packet is for, as far as it shows from outside: by ports, and by the first bytes of what is in it.

use std::net::IpAddr;

use twocan_sim::Packet;
use twocan_sim::packet::Payload;

/// STUN's method and class (RFC 8489 section 5): a Binding request, its answers, an indication.
const BINDING: [u16; 4] = [0x0001, 0x0101, 0x0111, 0x0011];

/// TURN's Send and Data indications (RFC 8656 section 11).
const SEND_AND_DATA: [u16; 2] = [0x0016, 0x0017];

/// What such an indication passes on.
const DATA: u16 = 0x0013;

/// In a check that nominates (RFC 8445 section 16.1).
const USE_CANDIDATE: u16 = 0x0025;

const STUN_HEADER_LEN: usize = 20;

/// TLS's record of application data (RFC 8446 section 5.1).
const TLS_APPLICATION_DATA: u8 = 0x17;

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Signaling, TCP.
    pub http: u16,
    /// STUN and TURN, UDP and TCP; and the other port of behaviour discovery (RFC 5780).
    pub turn: Vec<u16>,
    /// TURN over TLS.
    pub turns: Vec<u16>,
    /// The lowest of relayed ports.
    pub relayed: u16,
}

impl Default for Ports {
    fn default() -> Ports {
        Ports { http: 8080, turn: vec![3478, 3479], turns: vec![443, 5349], relayed: 49_152 }
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

/// What shows of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Look {
    pub(crate) way: Way,
    /// It shows that this way is in use: somebody's data, or a check that nominates it.
    pub(crate) is_use: bool,
}

impl Look {
    pub(crate) const OTHER: Look = Look { way: Way::Other, is_use: false };

    /// Of a packet one of whose ends may be the server's.
    pub(crate) fn at(packet: &Packet, ports: &Ports, server: Option<Side>) -> Look {
        if is_for_many(packet.destination) {
            return Look { way: Way::Multicast, is_use: false };
        }
        match (&packet.payload, server) {
            (Payload::Udp(udp), None) => Look { way: Way::Direct, is_use: is_use(&udp.data) },
            // A frame's length comes first (RFC 4571).
            (Payload::Tcp(tcp), None) => {
                Look { way: Way::Direct, is_use: tcp.data().get(2..).is_some_and(is_use) }
            }
            (Payload::Udp(udp), Some(side)) => {
                Look::at_server_udp(&udp.data, side.port(udp.source, udp.destination), ports)
            }
            (Payload::Tcp(tcp), Some(side)) => {
                Look::at_server_tcp(tcp.data(), side.port(tcp.source, tcp.destination), ports)
            }
            (Payload::Icmp(_) | Payload::Other { .. }, _) => Look::OTHER,
        }
    }

    fn at_server_udp(data: &[u8], port: u16, ports: &Ports) -> Look {
        let plain = |way| Look { way, is_use: false };
        if ports.turn.contains(&port) {
            return match relayed(data) {
                Some(content) => Look { way: Way::RelayedUdp, is_use: is_use(content) },
                None if kind(data).is_some_and(|kind| BINDING.contains(&kind)) => plain(Way::Stun),
                None => plain(Way::Turn),
            };
        }
        match port >= ports.relayed {
            true => Look { way: Way::Relayed, is_use: is_use(data) },
            false => Look::OTHER,
        }
    }

    fn at_server_tcp(data: &[u8], port: u16, ports: &Ports) -> Look {
        let plain = |way| Look { way, is_use: false };
        if ports.turn.contains(&port) {
            return relayed(data)
                .map_or(plain(Way::Turn), |content| Look { way: Way::RelayedTcp, is_use: is_use(content) });
        }
        match data.first() {
            Some(&TLS_APPLICATION_DATA) if ports.turns.contains(&port) => {
                Look { way: Way::RelayedTls, is_use: true }
            }
            _ if ports.turns.contains(&port) => plain(Way::Turn),
            _ if port == ports.http => plain(Way::Signaling),
            _ => Look::OTHER,
        }
    }
}

/// What is in ChannelData, or in a Send or Data indication.
fn relayed(data: &[u8]) -> Option<&[u8]> {
    match data.first()? {
        0x40..0x80 => data.get(4..),
        _ if SEND_AND_DATA.contains(&kind(data)?) => attribute(data, DATA),
        _ => None,
    }
}

/// Whether what two peers say to each other shows that they use the way that it goes: all but checks, and checks that nominate.
fn is_use(content: &[u8]) -> bool {
    match content.first() {
        Some(0..4) => kind(content) == Some(BINDING[0]) && attribute(content, USE_CANDIDATE).is_some(),
        Some(_) => true,
        None => false,
    }
}

/// A STUN message's class and method.
fn kind(message: &[u8]) -> Option<u16> {
    message.first_chunk().map(|kind| u16::from_be_bytes(*kind))
}

/// The first attribute of this type in a STUN message.
fn attribute(message: &[u8], wanted: u16) -> Option<&[u8]> {
    let mut rest = message.get(STUN_HEADER_LEN..)?;
    loop {
        let (header, after) = rest.split_first_chunk::<4>()?;
        let [kind, len] = [[header[0], header[1]], [header[2], header[3]]].map(u16::from_be_bytes);
        let len = usize::from(len);
        if kind == wanted {
            return after.get(..len);
        }
        rest = after.get(len.next_multiple_of(4)..)?;
    }
}

impl Way {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn look(source: &str, destination: &str, data: &[u8], server: Option<Side>) -> (Way, bool) {
        let [source, destination] = [source, destination].map(|text| text.parse().unwrap());
        let packet = Packet::udp(source, destination, data.to_vec());
        let Look { way, is_use } = Look::at(&packet, &Ports::default(), server);
        (way, is_use)
    }

    fn check(attributes: &[u8]) -> Vec<u8> {
        let len = u8::try_from(attributes.len()).unwrap();
        [&[0, 1, 0, len][..], &[0; 16], attributes].concat()
    }

    const PEERS: (&str, &str) = ("192.168.1.2:5000", "80.80.0.2:6000");
    const TO_TURN: (&str, &str) = ("192.168.1.2:5000", "80.80.0.10:3478");
    const NOMINATION: [u8; 12] = [0, 6, 0, 2, b'a', b'b', 0, 0, 0, 0x25, 0, 0];

    #[test]
    fn between_peers_data_and_nominations_show_that_a_way_is_used() {
        let (from, to) = PEERS;
        assert_eq!(look(from, to, &check(&[]), None), (Way::Direct, false));
        assert_eq!(look(from, to, &check(&NOMINATION), None), (Way::Direct, true));
        assert_eq!(look(from, to, &[22, 254, 253], None), (Way::Direct, true));
    }

    #[test]
    fn at_the_relay_what_is_wrapped_decides() {
        let (from, to) = TO_TURN;
        let there = Some(Side::Destination);
        assert_eq!(look(from, to, &check(&[]), there), (Way::Stun, false));
        assert_eq!(look(from, to, &[&[0, 3, 0, 0][..], &[0; 16]].concat(), there), (Way::Turn, false));
        let channel = |content: &[u8]| [&[0x40, 0, 0, 0][..], content].concat();
        assert_eq!(look(from, to, &channel(&check(&[])), there), (Way::RelayedUdp, false));
        assert_eq!(look(from, to, &channel(&check(&NOMINATION)), there), (Way::RelayedUdp, true));
        let indication = [&[0, 0x16, 0, 8][..], &[0; 16], &[0, 0x13, 0, 3, 22, 254, 253, 0]].concat();
        assert_eq!(look(from, to, &indication, there), (Way::RelayedUdp, true));
    }

    #[test]
    fn what_is_cut_off_is_nobodys_data() {
        let (from, to) = TO_TURN;
        for len in 0..20 {
            let (way, is_use) =
                look(from, to, &[&[0, 0x16][..], &[0; 18]].concat()[..len], Some(Side::Destination));
            assert!(matches!(way, Way::Turn) && !is_use, "{len}: {way:?}");
        }
    }
}
