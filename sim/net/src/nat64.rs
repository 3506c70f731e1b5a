//! NAT64 (RFC 6146): addresses of IPv4 inside IPv6 ones (RFC 6052, prefixes of 96 bits), and ICMP's other words (RFC 7915).
//! Mappings, filtering and ports are the NAT's: only its inside is IPv6.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::packet::{IcmpError, Unreachable};
use crate::prefix::Prefix;

/// The header of IPv6 is so much longer than that of IPv4.
pub(crate) const HEADER_DIFFERENCE: u16 = 20;

/// IPv6's least MTU: no error asks for less (RFC 8200 section 5).
const V6_MTU_MIN: u32 = 1280;

/// The IPv4 address in this IPv6 one.
pub(crate) fn extract(prefix: Prefix, address: Ipv6Addr) -> Option<Ipv4Addr> {
    prefix.contains(address.into()).then(|| Ipv4Addr::from(u128::from(address) as u32))
}

/// The IPv6 address for this IPv4 one.
pub(crate) fn embed(prefix: Prefix, address: Ipv4Addr) -> Ipv6Addr {
    let prefix = match prefix.address() {
        std::net::IpAddr::V6(address) => u128::from(address),
        std::net::IpAddr::V4(_) => 0,
    };
    Ipv6Addr::from(prefix | u128::from(u32::from(address)))
}

/// RFC 7915 section 5.2.
pub(crate) fn error_to_v4(error: IcmpError) -> IcmpError {
    match error {
        IcmpError::TooBig { mtu } => {
            IcmpError::TooBig { mtu: mtu.saturating_sub(u32::from(HEADER_DIFFERENCE)) }
        }
        IcmpError::Unreachable(Unreachable::Other(_) | Unreachable::NoRoute) => {
            IcmpError::Unreachable(Unreachable::Host)
        }
        same => same,
    }
}

/// RFC 7915 section 4.2.
pub(crate) fn error_to_v6(error: IcmpError) -> IcmpError {
    match error {
        IcmpError::TooBig { mtu } => {
            IcmpError::TooBig { mtu: (mtu + u32::from(HEADER_DIFFERENCE)).max(V6_MTU_MIN) }
        }
        IcmpError::Unreachable(Unreachable::Other(9 | 10)) => {
            IcmpError::Unreachable(Unreachable::AdminProhibited)
        }
        IcmpError::Unreachable(Unreachable::Other(_) | Unreachable::Host) => {
            IcmpError::Unreachable(Unreachable::NoRoute)
        }
        same => same,
    }
}
