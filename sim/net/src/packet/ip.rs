//! The IP header, version 4 (RFC 791) and 6 (RFC 8200).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use bytes::Bytes;

use super::checksum::Sum;
use super::{Icmp, Packet, ParseError, Payload, Reader, Tcp, Udp, number};

const V4_LEN: usize = 20;
const V6_LEN: usize = 40;
const DONT_FRAGMENT: u16 = 0x4000;
/// More fragments, and where this one begins.
const FRAGMENT: u16 = 0x3fff;
/// IPv6's fragment header.
const FRAGMENT_HEADER: u8 = 44;

/// What an IP header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) source: IpAddr,
    pub(super) destination: IpAddr,
    pub(super) hop_limit: u8,
    pub(super) dont_fragment: bool,
    pub(super) protocol: u8,
    /// Bytes after it, by its own account.
    pub(super) payload_len: usize,
}

impl Header {
    /// That of this packet.
    pub(super) fn of(packet: &Packet) -> Header {
        Header {
            source: packet.source,
            destination: packet.destination,
            hop_limit: packet.hop_limit,
            dont_fragment: packet.dont_fragment,
            protocol: packet.payload.protocol(packet.source),
            payload_len: packet.payload.wire_len(),
        }
    }
}

pub(super) fn header_len(address: IpAddr) -> usize {
    if address.is_ipv4() { V4_LEN } else { V6_LEN }
}

/// The header, and all that follows it.
pub(super) fn parse_header(bytes: &[u8]) -> Result<(Header, &[u8]), ParseError> {
    match bytes.first().map(|byte| byte >> 4) {
        Some(4) => parse_v4(bytes),
        Some(6) => parse_v6(bytes),
        Some(_) => Err(ParseError::Version),
        None => Err(ParseError::Truncated),
    }
}

fn parse_v4(bytes: &[u8]) -> Result<(Header, &[u8]), ParseError> {
    let mut reader = Reader::new(bytes);
    let [version, _class] = reader.array()?;
    let (total, _id, fragment) = (reader.u16()?, reader.u16()?, reader.u16()?);
    let [hop_limit, protocol] = reader.array()?;
    let _checksum = reader.u16()?;
    let source = Ipv4Addr::from(reader.array::<4>()?);
    let destination = Ipv4Addr::from(reader.array::<4>()?);
    let header_len = usize::from(version & 0x0f) * 4;
    reader.take(header_len.checked_sub(V4_LEN).ok_or(ParseError::Length)?)?;
    if Sum::default().add(bytes.get(..header_len).ok_or(ParseError::Truncated)?).finish() != 0 {
        return Err(ParseError::Checksum);
    }
    if fragment & FRAGMENT != 0 {
        return Err(ParseError::Fragment);
    }
    let header = Header {
        source: source.into(),
        destination: destination.into(),
        hop_limit,
        dont_fragment: fragment & DONT_FRAGMENT != 0,
        protocol,
        payload_len: usize::from(total).checked_sub(header_len).ok_or(ParseError::Length)?,
    };
    Ok((header, reader.rest()))
}

fn parse_v6(bytes: &[u8]) -> Result<(Header, &[u8]), ParseError> {
    let mut reader = Reader::new(bytes);
    let _class_and_label = reader.u32()?;
    let payload_len = usize::from(reader.u16()?);
    let [protocol, hop_limit] = reader.array()?;
    let source = Ipv6Addr::from(reader.array::<16>()?).into();
    let destination = Ipv6Addr::from(reader.array::<16>()?).into();
    if protocol == FRAGMENT_HEADER {
        return Err(ParseError::Fragment);
    }
    let header = Header { source, destination, hop_limit, dont_fragment: true, protocol, payload_len };
    Ok((header, reader.rest()))
}

pub(super) fn parse(bytes: &[u8]) -> Result<Packet, ParseError> {
    let (header, rest) = parse_header(bytes)?;
    let Header { source, destination, hop_limit, dont_fragment, protocol, payload_len } = header;
    let body = rest.get(..payload_len).ok_or(ParseError::Truncated)?;
    let payload = match protocol {
        number::UDP => Payload::Udp(Udp::parse(body, source, destination)?),
        number::TCP => Payload::Tcp(Tcp::parse(body, source, destination)?),
        number::ICMP if source.is_ipv4() => Payload::Icmp(Icmp::parse_v4(body)?),
        number::ICMP_V6 if source.is_ipv6() => Payload::Icmp(Icmp::parse_v6(body, source, destination)?),
        protocol => Payload::Other { protocol, bytes: Bytes::copy_from_slice(body) },
    };
    Ok(Packet { source, destination, hop_limit, dont_fragment, payload })
}

pub(super) fn write(packet: &Packet, out: &mut Vec<u8>) {
    out.reserve(packet.wire_len());
    write_header(&Header::of(packet), out);
    match &packet.payload {
        Payload::Udp(udp) => udp.write(packet.source, packet.destination, out),
        Payload::Tcp(tcp) => tcp.write(packet.source, packet.destination, out),
        Payload::Icmp(icmp) => icmp.write(packet.source, packet.destination, out),
        Payload::Other { bytes, .. } => out.extend_from_slice(bytes),
    }
}

pub(super) fn write_header(header: &Header, out: &mut Vec<u8>) {
    match (header.source, header.destination) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            let len = u16::try_from(V4_LEN + header.payload_len).unwrap_or(u16::MAX);
            let fragment = if header.dont_fragment { DONT_FRAGMENT } else { 0 };
            let start = [[0x45, 0], len.to_be_bytes(), [0, 0], fragment.to_be_bytes()];
            let end = [header.hop_limit, header.protocol];
            let sum = Sum::default().add(start.as_flattened()).add(&end);
            let checksum = sum.add(&source.octets()).add(&destination.octets()).finish();
            out.extend_from_slice(start.as_flattened());
            out.extend_from_slice(&end);
            out.extend_from_slice(&checksum.to_be_bytes());
            out.extend_from_slice(&source.octets());
            out.extend_from_slice(&destination.octets());
        }
        (source, destination) => {
            let len = u16::try_from(header.payload_len).unwrap_or(u16::MAX);
            out.extend_from_slice(&[0x60, 0, 0, 0]);
            out.extend_from_slice(&len.to_be_bytes());
            out.extend_from_slice(&[header.protocol, header.hop_limit]);
            out.extend_from_slice(&as_v6(source).octets());
            out.extend_from_slice(&as_v6(destination).octets());
        }
    }
}

/// Addresses of two families are the caller's mistake: they are written as IPv6 can write them.
fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

impl Payload {
    /// IANA's number of the protocol, in a packet from `source`.
    pub fn protocol(&self, source: IpAddr) -> u8 {
        match self {
            Payload::Udp(_) => number::UDP,
            Payload::Tcp(_) => number::TCP,
            Payload::Icmp(_) if source.is_ipv4() => number::ICMP,
            Payload::Icmp(_) => number::ICMP_V6,
            Payload::Other { protocol, .. } => *protocol,
        }
    }
}
