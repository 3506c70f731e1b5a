//! PCP (RFC 6887): MAP and ANNOUNCE.
//!
//! ```text
//!  request   version 2 | opcode | reserved:2 | lifetime:4 | client's address:16
//!  response  version 2 | 128 + opcode | reserved | result | lifetime:4 | epoch:4 | reserved:12
//!  MAP       nonce:12 | protocol | reserved:3 | internal port:2 | external port:2 | external address:16 | options
//! ```

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::{LIFETIME_MAX, LIFETIME_MIN_SECS, MapError};
use crate::network::Router;
use crate::packet::{ParseError, Protocol, Reader, number};
use crate::random::Random;

const VERSION: u8 = 2;
const RESPONSE: u8 = 0x80;
const ANNOUNCE: u8 = 0;
const MAP: u8 = 1;
const PREFER_FAILURE: u8 = 2;
/// Options from here on may be ignored (RFC 6887 section 7.3).
const OPTIONAL: u8 = 128;
const LEN_MAX: usize = 1100;
const HEADER_LEN: usize = 24;
/// How long a client should not ask again after an error.
const ERROR_LIFETIME_SECS: u32 = 30;

/// RFC 6887 section 7.4.
#[derive(Clone, Copy, PartialEq, Eq)]
struct ResultCode(u8);

impl ResultCode {
    const SUCCESS: ResultCode = ResultCode(0);
    const UNSUPP_VERSION: ResultCode = ResultCode(1);
    const NOT_AUTHORIZED: ResultCode = ResultCode(2);
    const MALFORMED_REQUEST: ResultCode = ResultCode(3);
    const UNSUPP_OPCODE: ResultCode = ResultCode(4);
    const UNSUPP_OPTION: ResultCode = ResultCode(5);
    const NETWORK_FAILURE: ResultCode = ResultCode(7);
    const NO_RESOURCES: ResultCode = ResultCode(8);
    const UNSUPP_PROTOCOL: ResultCode = ResultCode(9);
    const CANNOT_PROVIDE_EXTERNAL: ResultCode = ResultCode(11);
    const ADDRESS_MISMATCH: ResultCode = ResultCode(12);
}

impl From<ParseError> for ResultCode {
    fn from(_: ParseError) -> ResultCode {
        ResultCode::MALFORMED_REQUEST
    }
}

/// What MAP asks for.
struct Map {
    nonce: [u8; 12],
    protocol: Protocol,
    inside: SocketAddr,
    suggested: u16,
    lifetime_secs: u32,
    prefer_failure: bool,
}

pub(super) fn answer(
    router: &mut Router,
    client: SocketAddr,
    data: &[u8],
    now: Instant,
    random: &mut Random,
) -> Option<Vec<u8>> {
    let (version, opcode) = (*data.first()?, *data.get(1)?);
    if opcode & RESPONSE != 0 {
        return None;
    }
    let result = match (version, opcode) {
        _ if version != VERSION => Err(ResultCode::UNSUPP_VERSION),
        _ if data.len() < HEADER_LEN || data.len() > LEN_MAX || !data.len().is_multiple_of(4) => {
            Err(ResultCode::MALFORMED_REQUEST)
        }
        _ if !is_client(data, client.ip()) => Err(ResultCode::ADDRESS_MISMATCH),
        (_, ANNOUNCE) => Ok(announcement(router, now)),
        (_, MAP) => parse_map(data, client.ip()).and_then(|map| answer_map(router, map, data, now, random)),
        _ => Err(ResultCode::UNSUPP_OPCODE),
    };
    Some(result.unwrap_or_else(|code| {
        let mut out = header(router, opcode, code, ERROR_LIFETIME_SECS, now);
        // What was asked comes back (RFC 6887 section 8.2).
        let rest = data.get(HEADER_LEN..data.len().min(LEN_MAX)).unwrap_or_default();
        out.extend_from_slice(rest);
        out.resize(out.len().next_multiple_of(4), 0);
        out
    }))
}

/// Says that the router is there, and since when.
pub(super) fn announcement(router: &Router, now: Instant) -> Vec<u8> {
    header(router, ANNOUNCE, ResultCode::SUCCESS, 0, now)
}

fn header(router: &Router, opcode: u8, result: ResultCode, lifetime_secs: u32, now: Instant) -> Vec<u8> {
    let mut out = vec![VERSION, opcode | RESPONSE, 0, result.0];
    out.extend_from_slice(&lifetime_secs.to_be_bytes());
    out.extend_from_slice(&router.epoch(now).to_be_bytes());
    out.extend_from_slice(&[0; 12]);
    out
}

/// IPv4 addresses are written as IPv6 ones (RFC 6887 section 5).
fn as_v6(address: IpAddr) -> Ipv6Addr {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped(),
        IpAddr::V6(address) => address,
    }
}

/// Whether the client's address is the packet's source: else there is a NAT between the two.
fn is_client(data: &[u8], client: IpAddr) -> bool {
    data.get(8..HEADER_LEN).is_some_and(|address| *address == as_v6(client).octets())
}

fn parse_map(data: &[u8], client: IpAddr) -> Result<Map, ResultCode> {
    let mut reader = Reader::new(data);
    let (_start, lifetime_secs, _client) = (reader.u32()?, reader.u32()?, reader.array::<16>()?);
    let nonce = reader.array()?;
    let [protocol, _, _, _] = reader.array()?;
    let (internal, suggested, _address) = (reader.u16()?, reader.u16()?, reader.array::<16>()?);
    let protocol = match protocol {
        number::UDP => Protocol::Udp,
        number::TCP => Protocol::Tcp,
        _ => return Err(ResultCode::UNSUPP_PROTOCOL),
    };
    // Port 0 with a protocol is all of its ports, which is for deletions only.
    if internal == 0 && lifetime_secs != 0 {
        return Err(ResultCode::UNSUPP_PROTOCOL);
    }
    let prefer_failure = parse_options(reader)?;
    let inside = SocketAddr::new(client, internal);
    Ok(Map { nonce, protocol, inside, suggested, lifetime_secs, prefer_failure })
}

/// Whether PREFER_FAILURE is there; another that must be understood is not.
fn parse_options(mut reader: Reader<'_>) -> Result<bool, ResultCode> {
    let mut prefer_failure = false;
    while let Ok([code, _, len_high, len_low]) = reader.array() {
        reader.take(usize::from(u16::from_be_bytes([len_high, len_low])).next_multiple_of(4))?;
        match code {
            PREFER_FAILURE => prefer_failure = true,
            OPTIONAL.. => {}
            _ => return Err(ResultCode::UNSUPP_OPTION),
        }
    }
    Ok(prefer_failure)
}

fn answer_map(
    router: &mut Router,
    map: Map,
    data: &[u8],
    now: Instant,
    random: &mut Random,
) -> Result<Vec<u8>, ResultCode> {
    let Map { nonce, protocol, inside, suggested, lifetime_secs, prefer_failure } = map;
    if router.nonce(protocol, inside, now).is_some_and(|known| known != nonce) {
        return Err(ResultCode::NOT_AUTHORIZED);
    }
    let (external, lifetime_secs) = if lifetime_secs == 0 {
        router.unmap_port(protocol, inside, now);
        (SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), suggested), 0)
    } else {
        let lifetime_secs = lifetime_secs.clamp(LIFETIME_MIN_SECS, LIFETIME_MAX.as_secs() as u32);
        let lifetime = Duration::from_secs(lifetime_secs.into());
        let was_mapped = router.nonce(protocol, inside, now).is_some();
        let external = router.map_port(protocol, inside, suggested, lifetime, now, random)?;
        if prefer_failure && suggested != 0 && external.port() != suggested {
            if !was_mapped {
                router.unmap_port(protocol, inside, now);
            }
            return Err(ResultCode::CANNOT_PROVIDE_EXTERNAL);
        }
        router.remember_nonce(protocol, inside, nonce, now + lifetime);
        (external, lifetime_secs)
    };
    let mut out = header(router, MAP, ResultCode::SUCCESS, lifetime_secs, now);
    // Nonce, protocol and internal port as they came.
    out.extend_from_slice(data.get(HEADER_LEN..HEADER_LEN + 18).unwrap_or_default());
    out.extend_from_slice(&external.port().to_be_bytes());
    out.extend_from_slice(&as_v6(external.ip()).octets());
    Ok(out)
}

impl From<MapError> for ResultCode {
    fn from(error: MapError) -> ResultCode {
        match error {
            MapError::NoNat => ResultCode::NETWORK_FAILURE,
            MapError::NotInside => ResultCode::NOT_AUTHORIZED,
            MapError::NoResources(_) => ResultCode::NO_RESOURCES,
        }
    }
}
