//! The addresses of a relay, one type for each role, so that mixing its two sides does not compile.

use std::net::{IpAddr, SocketAddr};

/// How a client reaches the server (RFC 8656 2.1). Between server and peer it is always UDP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// One message a datagram.
    Udp,
    /// A byte stream: cut it with [`crate::wire::frame_len`].
    Tcp,
    /// A byte stream inside TLS.
    Tls,
}

impl Transport {
    /// Whether messages follow each other in a stream, where ChannelData is padded (RFC 8656 12.5).
    pub fn is_stream(self) -> bool {
        !matches!(self, Transport::Udp)
    }
}

/// Which kind of IP address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Family {
    /// IPv4
    V4,
    /// IPv6
    V6,
}

impl Family {
    /// The family of `ip` as it is written: an IPv4 address in IPv6 clothes is IPv6.
    pub fn of(ip: IpAddr) -> Family {
        match ip {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }

    /// The family that a REQUESTED-ADDRESS-FAMILY number names, if it is one (RFC 8656 18.6).
    pub(crate) fn from_wire(number: u8) -> Option<Family> {
        match number {
            1 => Some(Family::V4),
            2 => Some(Family::V6),
            _ => None,
        }
    }
}

/// The 5-tuple of a client (RFC 8656 2.2): what an allocation belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientAddr {
    /// The client's address, as the server sees it.
    pub remote: SocketAddr,
    /// The listener's address at which the packet came in.
    pub local: SocketAddr,
    /// UDP, TCP or TLS.
    pub transport: Transport,
}

/// The address of a peer: what the relay talks to on a client's behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerAddr(pub SocketAddr);

/// One of the four sockets of a server that answers behaviour discovery: [`twocan_stun::alternate`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OriginAddr(pub SocketAddr);

/// One relayed port of ours: a UDP socket that belongs to one allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayPort {
    /// Whether the socket is an IPv4 or an IPv6 one.
    pub family: Family,
    /// Its UDP port.
    pub port: u16,
}

/// A relayed transport address as the world sees it: the external address and a [`RelayPort`]'s port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayAddr(pub SocketAddr);

impl RelayAddr {
    /// The port behind this address.
    pub fn port(self) -> RelayPort {
        RelayPort { family: Family::of(self.0.ip()), port: self.0.port() }
    }
}

/// What an ICMP or ICMPv6 error said about a packet that a relayed port sent (RFC 8656 11.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// ICMP type, of the peer address's family.
    pub kind: u8,
    /// ICMP code.
    pub code: u8,
    /// For "fragmentation needed" (IPv4) and "packet too big" (IPv6) the MTU of the next hop, else 0.
    pub mtu: u32,
}
