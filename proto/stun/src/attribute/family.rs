//! Address families as STUN numbers them (RFC 8489 section 14.1).

use std::net::IpAddr;

/// An address family. Any byte can be read; what is not one of the constants is for the reader to refuse (440).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Family(pub u8);

impl Family {
    /// IPv4.
    pub const V4: Family = Family(0x01);
    /// IPv6.
    pub const V6: Family = Family(0x02);

    /// The family of an address.
    pub const fn of(address: IpAddr) -> Family {
        match address {
            IpAddr::V4(_) => Family::V4,
            IpAddr::V6(_) => Family::V6,
        }
    }
}
