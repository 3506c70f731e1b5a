//! NAT-PMP (RFC 6886).
//!
//! ```text
//!  request   version 0 | opcode (0 address, 1 UDP, 2 TCP) | reserved:2 | internal port:2 | external port:2 | lifetime:4
//!  response  version 0 | 128 + opcode | result:2 | epoch:4 | address:4, or internal port:2 | external port:2 | lifetime:4
//! ```

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use super::{LIFETIME_MAX, MapError};
use crate::network::Router;
use crate::packet::{ParseError, Protocol, Reader};
use crate::random::Random;

const RESPONSE: u8 = 128;
const SUCCESS: u16 = 0;
const UNSUPPORTED_VERSION: u16 = 1;
const NETWORK_FAILURE: u16 = 3;
const OUT_OF_RESOURCES: u16 = 4;
const UNSUPPORTED_OPCODE: u16 = 5;

pub(super) fn answer(
    router: &mut Router,
    client: SocketAddr,
    data: &[u8],
    now: Instant,
    random: &mut Random,
) -> Option<Vec<u8>> {
    match *data.get(1)? {
        0 => Some(external_address(router, now)),
        1 => map(router, client, Protocol::Udp, data, now, random).ok(),
        2 => map(router, client, Protocol::Tcp, data, now, random).ok(),
        RESPONSE.. => None,
        opcode => Some(header(router, opcode, UNSUPPORTED_OPCODE, now)),
    }
}

fn header(router: &Router, opcode: u8, result: u16, now: Instant) -> Vec<u8> {
    let mut out = vec![0, opcode | RESPONSE];
    out.extend_from_slice(&result.to_be_bytes());
    out.extend_from_slice(&router.epoch(now).to_be_bytes());
    out
}

/// The version is not 0, and this router has nothing newer (RFC 6886 section 3.5).
pub(super) fn unsupported_version(router: &Router, data: &[u8], now: Instant) -> Vec<u8> {
    header(router, data.get(1).copied().unwrap_or_default(), UNSUPPORTED_VERSION, now)
}

pub(super) fn external_address(router: &Router, now: Instant) -> Vec<u8> {
    let (result, address) = match router.external_address() {
        Some(IpAddr::V4(address)) => (SUCCESS, address),
        Some(IpAddr::V6(_)) | None => (NETWORK_FAILURE, Ipv4Addr::UNSPECIFIED),
    };
    let mut out = header(router, 0, result, now);
    out.extend_from_slice(&address.octets());
    out
}

fn map(
    router: &mut Router,
    client: SocketAddr,
    protocol: Protocol,
    data: &[u8],
    now: Instant,
    random: &mut Random,
) -> Result<Vec<u8>, ParseError> {
    let mut reader = Reader::new(data);
    let [_, opcode, _, _] = reader.array()?;
    let (internal, suggested, lifetime) = (reader.u16()?, reader.u16()?, reader.u32()?);
    let inside = SocketAddr::new(client.ip(), internal);
    let (result, external, lifetime) = if lifetime == 0 {
        // Port 0 is all ports of the client (RFC 6886 section 3.4).
        router.unmap_port(protocol, inside, now);
        (SUCCESS, 0, 0)
    } else {
        let wanted = Duration::from_secs(lifetime.into()).min(LIFETIME_MAX);
        match router.map_port(protocol, inside, suggested, wanted, now, random) {
            Ok(external) => (SUCCESS, external.port(), wanted.as_secs() as u32),
            Err(MapError::NoResources(_) | MapError::NotInside) => (OUT_OF_RESOURCES, 0, 0),
            Err(MapError::NoNat) => (NETWORK_FAILURE, 0, 0),
        }
    };
    let mut out = header(router, opcode, result, now);
    out.extend_from_slice(&internal.to_be_bytes());
    out.extend_from_slice(&external.to_be_bytes());
    out.extend_from_slice(&lifetime.to_be_bytes());
    Ok(out)
}
