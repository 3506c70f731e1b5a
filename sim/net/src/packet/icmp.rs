//! ICMP (RFC 792) and ICMPv6 (RFC 4443) as one: echo, errors with the packet that they are about, and the rest as bytes.

use std::net::IpAddr;

use bytes::Bytes;

use super::checksum::Sum;
use super::{ParseError, Quote, Reader, number};

const HEADER_LEN: usize = 8;

mod v4 {
    pub(super) const ECHO_REPLY: u8 = 0;
    pub(super) const UNREACHABLE: u8 = 3;
    pub(super) const ECHO: u8 = 8;
    pub(super) const TIME_EXCEEDED: u8 = 11;
    pub(super) const FRAGMENTATION_NEEDED: u8 = 4;
}

mod v6 {
    pub(super) const UNREACHABLE: u8 = 1;
    pub(super) const TOO_BIG: u8 = 2;
    pub(super) const TIME_EXCEEDED: u8 = 3;
    pub(super) const ECHO: u8 = 128;
    pub(super) const ECHO_REPLY: u8 = 129;
}

/// A message of ICMP or ICMPv6: which of the two, the packet's addresses say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Icmp {
    /// A ping, or its answer.
    Echo {
        /// Or the answer to one.
        is_request: bool,
        /// What a NAT translates, as it does a port.
        identifier: u16,
        /// Counts the requests.
        sequence: u16,
        /// Comes back as it went.
        data: Bytes,
    },
    /// Something is wrong with a packet of the receiver's.
    Error {
        /// What is wrong.
        error: IcmpError,
        /// The beginning of that packet.
        quote: Box<Quote>,
    },
    /// Any other message: neighbour discovery, multicast listeners, an error about what cannot be read.
    Other {
        /// Its type.
        kind: u8,
        /// Its code.
        code: u8,
        /// What follows the checksum.
        rest: Bytes,
    },
}

/// What is wrong with a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IcmpError {
    /// It cannot be delivered.
    Unreachable(Unreachable),
    /// It is longer than the next link carries, and must not be fragmented (IPv4: fragmentation needed).
    TooBig {
        /// The longest packet that would pass.
        mtu: u32,
    },
    /// The hop limit was used up (code 0), or fragments were missing (code 1).
    TimeExceeded {
        /// Which of the two.
        code: u8,
    },
}

/// Why a packet cannot be delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unreachable {
    /// Nobody knows the way (IPv4: network unreachable).
    NoRoute,
    /// The host does not answer (IPv6: address unreachable).
    Host,
    /// Nobody listens at the port.
    Port,
    /// A firewall forbids it.
    AdminProhibited,
    /// Another code, of the version's own.
    Other(u8),
}

impl Unreachable {
    fn from_code(code: u8, is_v4: bool) -> Unreachable {
        match (code, is_v4) {
            (0, _) => Unreachable::NoRoute,
            (1, true) | (3, false) => Unreachable::Host,
            (3, true) | (4, false) => Unreachable::Port,
            (13, true) | (1, false) => Unreachable::AdminProhibited,
            (code, _) => Unreachable::Other(code),
        }
    }

    fn code(self, is_v4: bool) -> u8 {
        match (self, is_v4) {
            (Unreachable::NoRoute, _) => 0,
            (Unreachable::Host, true) | (Unreachable::AdminProhibited, false) => 1,
            (Unreachable::Port, true) | (Unreachable::Host, false) => 3,
            (Unreachable::AdminProhibited, true) => 13,
            (Unreachable::Port, false) => 4,
            (Unreachable::Other(code), _) => code,
        }
    }
}

impl Icmp {
    /// Whether it is an echo request or reply.
    pub fn is_echo(&self) -> bool {
        matches!(self, Icmp::Echo { .. })
    }

    pub(crate) fn wire_len(&self) -> usize {
        match self {
            Icmp::Echo { data, .. } => HEADER_LEN + data.len(),
            Icmp::Error { quote, .. } => HEADER_LEN + quote.wire_len(),
            Icmp::Other { rest, .. } => 4 + rest.len(),
        }
    }

    pub(crate) fn parse_v4(bytes: &[u8]) -> Result<Icmp, ParseError> {
        if Sum::default().add(bytes).finish() != 0 {
            return Err(ParseError::Checksum);
        }
        parse(bytes, true)
    }

    pub(crate) fn parse_v6(bytes: &[u8], source: IpAddr, destination: IpAddr) -> Result<Icmp, ParseError> {
        let sum = Sum::pseudo_header(source, destination, number::ICMP_V6, bytes.len()).add(bytes);
        if sum.finish() != 0 {
            return Err(ParseError::Checksum);
        }
        parse(bytes, false)
    }

    pub(crate) fn write(&self, source: IpAddr, destination: IpAddr, out: &mut Vec<u8>) {
        let is_v4 = source.is_ipv4();
        let start = out.len();
        match self {
            Icmp::Echo { is_request, identifier, sequence, data } => {
                out.extend_from_slice(&[echo_kind(*is_request, is_v4), 0, 0, 0]);
                out.extend_from_slice(&identifier.to_be_bytes());
                out.extend_from_slice(&sequence.to_be_bytes());
                out.extend_from_slice(data);
            }
            Icmp::Error { error, quote } => {
                let (kind, code, word) = error.fields(is_v4);
                out.extend_from_slice(&[kind, code, 0, 0]);
                out.extend_from_slice(&word.to_be_bytes());
                quote.write(out);
            }
            Icmp::Other { kind, code, rest } => {
                out.extend_from_slice(&[*kind, *code, 0, 0]);
                out.extend_from_slice(rest);
            }
        }
        let Some(written) = out.get_mut(start..) else { return };
        let pseudo = if is_v4 {
            Sum::default()
        } else {
            Sum::pseudo_header(source, destination, number::ICMP_V6, written.len())
        };
        let checksum = pseudo.add(written).finish();
        if let Some(field) = written.get_mut(2..4) {
            field.copy_from_slice(&checksum.to_be_bytes());
        }
    }
}

/// The type of an echo message.
pub(super) fn echo_kind(is_request: bool, is_v4: bool) -> u8 {
    match (is_request, is_v4) {
        (true, true) => v4::ECHO,
        (false, true) => v4::ECHO_REPLY,
        (true, false) => v6::ECHO,
        (false, false) => v6::ECHO_REPLY,
    }
}

/// Whether this type is an echo request, or a reply.
pub(super) fn is_echo_request(kind: u8, is_v4: bool) -> Option<bool> {
    match (kind, is_v4) {
        (v4::ECHO, true) | (v6::ECHO, false) => Some(true),
        (v4::ECHO_REPLY, true) | (v6::ECHO_REPLY, false) => Some(false),
        _ => None,
    }
}

fn parse(bytes: &[u8], is_v4: bool) -> Result<Icmp, ParseError> {
    let mut reader = Reader::new(bytes);
    let [kind, code, _, _] = reader.array()?;
    let rest = reader.rest();
    let other = Icmp::Other { kind, code, rest: Bytes::copy_from_slice(rest) };
    let Some((word, data)) = rest.split_first_chunk::<4>() else { return Ok(other) };
    let [high_a, high_b, low_a, low_b] = *word;
    let (high, low) = (u16::from_be_bytes([high_a, high_b]), u16::from_be_bytes([low_a, low_b]));
    if code == 0
        && let Some(is_request) = is_echo_request(kind, is_v4)
    {
        let data = Bytes::copy_from_slice(data);
        return Ok(Icmp::Echo { is_request, identifier: high, sequence: low, data });
    }
    let error = match (kind, is_v4) {
        (v4::UNREACHABLE, true) if code == v4::FRAGMENTATION_NEEDED => IcmpError::TooBig { mtu: low.into() },
        (v4::UNREACHABLE, true) | (v6::UNREACHABLE, false) => {
            IcmpError::Unreachable(Unreachable::from_code(code, is_v4))
        }
        (v6::TOO_BIG, false) => IcmpError::TooBig { mtu: u32::from_be_bytes(*word) },
        (v4::TIME_EXCEEDED, true) | (v6::TIME_EXCEEDED, false) => IcmpError::TimeExceeded { code },
        _ => return Ok(other),
    };
    match Quote::parse(data) {
        Ok(quote) => Ok(Icmp::Error { error, quote: Box::new(quote) }),
        Err(_) => Ok(other),
    }
}

impl IcmpError {
    /// Type, code, and the word after the checksum.
    fn fields(self, is_v4: bool) -> (u8, u8, u32) {
        match (self, is_v4) {
            (IcmpError::Unreachable(why), true) => (v4::UNREACHABLE, why.code(true), 0),
            (IcmpError::Unreachable(why), false) => (v6::UNREACHABLE, why.code(false), 0),
            (IcmpError::TooBig { mtu }, true) => {
                (v4::UNREACHABLE, v4::FRAGMENTATION_NEEDED, mtu.min(u32::from(u16::MAX)))
            }
            (IcmpError::TooBig { mtu }, false) => (v6::TOO_BIG, 0, mtu),
            (IcmpError::TimeExceeded { code }, true) => (v4::TIME_EXCEEDED, code, 0),
            (IcmpError::TimeExceeded { code }, false) => (v6::TIME_EXCEEDED, code, 0),
        }
    }
}
