//! IP packets: what a NAT, a firewall and a router look at is parsed, all else stays bytes.
//!
//! ```text
//!  bytes ── Packet::parse ──► source, destination, hop limit ─ Payload ─┬ Udp    ports, data
//!        ◄─ Packet::write ───                                           ├ Tcp    ports, flags, the segment
//!                                                                       ├ Icmp   echo, error with a quote, other
//!                                                                       └ Other  protocol number, bytes
//! ```
//!
//! Not kept: the traffic class (and ECN), the flow label, IPv4's identification and options. Fragments are refused.

mod checksum;
mod error;
mod flow;
mod icmp;
mod ip;
mod quote;
mod reader;
mod tcp;
mod udp;

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;

pub use error::ParseError;
pub use flow::{Flow, Protocol};
pub use icmp::{Icmp, IcmpError, Unreachable};
pub use quote::Quote;
pub(crate) use reader::Reader;
pub use tcp::{Tcp, TcpFlags};
pub use udp::Udp;

/// Numbers of protocols, as IANA assigned them.
pub(crate) mod number {
    pub(crate) const ICMP: u8 = 1;
    pub(crate) const TCP: u8 = 6;
    pub(crate) const UDP: u8 = 17;
    pub(crate) const ICMP_V6: u8 = 58;
}

/// Hop limit of packets that the model makes itself.
pub(crate) const HOP_LIMIT: u8 = 64;

/// The longest packet, headers and all.
pub const PACKET_LEN_MAX: usize = 65_535;

/// An IP packet. Both addresses are of the same family, which decides on its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Who it is from.
    pub source: IpAddr,
    /// Who it is for.
    pub destination: IpAddr,
    /// How many routers it may still pass (IPv4: time to live).
    pub hop_limit: u8,
    /// IPv4's DF: whoever cannot pass it on whole says so. IPv6 is always so. A packet without is carried whole, as if it
    /// had been fragmented on the way and put together again.
    pub dont_fragment: bool,
    /// What is in it.
    pub payload: Payload,
}

/// What a packet carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Payload {
    /// RFC 768.
    Udp(Udp),
    /// RFC 9293.
    Tcp(Tcp),
    /// RFC 792 in an IPv4 packet, RFC 4443 in an IPv6 packet.
    Icmp(Icmp),
    /// Any other protocol, or an extension header and what follows it.
    Other {
        /// IANA's number.
        protocol: u8,
        /// All after the IP header.
        bytes: Bytes,
    },
}

impl Packet {
    /// A packet as a host sends it: hop limit 64, not to be fragmented.
    pub fn new(source: IpAddr, destination: IpAddr, payload: Payload) -> Packet {
        Packet { source, destination, hop_limit: HOP_LIMIT, dont_fragment: true, payload }
    }

    /// A UDP datagram.
    pub fn udp(source: SocketAddr, destination: SocketAddr, data: impl Into<Bytes>) -> Packet {
        let udp = Udp { source: source.port(), destination: destination.port(), data: data.into() };
        Packet::new(source.ip(), destination.ip(), Payload::Udp(udp))
    }

    /// A TCP segment with these flags, sequence numbers of 0, and data.
    pub fn tcp(source: SocketAddr, destination: SocketAddr, flags: TcpFlags, data: &[u8]) -> Packet {
        let tcp = Tcp::new(source.port(), destination.port(), flags, 0, 0, data);
        Packet::new(source.ip(), destination.ip(), Payload::Tcp(tcp))
    }

    /// An echo request.
    pub fn ping(source: IpAddr, destination: IpAddr, identifier: u16, sequence: u16) -> Packet {
        let echo = Icmp::Echo { is_request: true, identifier, sequence, data: Bytes::new() };
        Packet::new(source, destination, Payload::Icmp(echo))
    }

    /// Reads a raw IPv4 or IPv6 packet. Bytes after its end are ignored; checksums are verified.
    ///
    /// # Errors
    /// [`ParseError`], which says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Packet, ParseError> {
        ip::parse(bytes)
    }

    /// Appends the raw packet, checksums and all.
    pub fn write(&self, out: &mut Vec<u8>) {
        ip::write(self, out);
    }

    /// Bytes on the wire, with the IP header.
    pub fn wire_len(&self) -> usize {
        ip::header_len(self.destination) + self.payload.wire_len()
    }

    /// Whether it can exist: both addresses of one family, and no longer than a packet may be.
    pub fn is_sound(&self) -> bool {
        self.source.is_ipv4() == self.destination.is_ipv4() && self.wire_len() <= PACKET_LEN_MAX
    }

    /// An ICMP error about this packet, from `reporter`. `None` if nobody may be told: about another error, to or from
    /// several (RFC 1122 3.2.2, RFC 4443 2.4).
    pub fn error_from(&self, reporter: IpAddr, error: IcmpError) -> Option<Packet> {
        let is_about_icmp = matches!(&self.payload, Payload::Icmp(icmp) if !icmp.is_echo());
        let is_to_many = self.destination.is_multicast() || is_broadcast(self.destination);
        let is_from_nobody = self.source.is_unspecified() || self.source.is_multicast();
        if is_about_icmp || is_to_many || is_from_nobody || reporter.is_ipv4() != self.source.is_ipv4() {
            return None;
        }
        let icmp = Icmp::Error { error, quote: Box::new(Quote::of(self)) };
        Some(Packet::new(reporter, self.source, Payload::Icmp(icmp)))
    }
}

impl Payload {
    /// Bytes on the wire, without the IP header.
    pub fn wire_len(&self) -> usize {
        match self {
            Payload::Udp(udp) => udp.wire_len(),
            Payload::Tcp(tcp) => tcp.wire_len(),
            Payload::Icmp(icmp) => icmp.wire_len(),
            Payload::Other { bytes, .. } => bytes.len(),
        }
    }
}

/// The broadcast address of any segment.
fn is_broadcast(address: IpAddr) -> bool {
    matches!(address, IpAddr::V4(address) if address.is_broadcast())
}
