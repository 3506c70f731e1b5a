//! Prefixes of addresses, as routes have them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Addresses that begin with the same bits: `192.168.1.0/24`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Prefix {
    address: IpAddr,
    len: u8,
}

/// Text that is no prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a prefix such as 192.168.1.0/24")]
pub struct NotAPrefix;

impl Prefix {
    /// The well-known prefix of NAT64 (RFC 6052 section 2.1).
    pub const NAT64: Prefix =
        Prefix { address: IpAddr::V6(Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0)), len: 96 };

    /// The addresses whose first `len` bits are those of `address`; more bits than it has are all of them.
    pub fn new(address: IpAddr, len: u8) -> Prefix {
        let len = len.min(if address.is_ipv4() { 32 } else { 128 });
        Prefix { address: masked(address, len), len }
    }

    /// The first of its addresses.
    pub fn address(self) -> IpAddr {
        self.address
    }

    /// How many bits count.
    pub fn bits(self) -> u8 {
        self.len
    }

    /// Whether it has IPv4 addresses.
    pub fn is_v4(self) -> bool {
        self.address.is_ipv4()
    }

    /// Whether this is one of its addresses.
    pub fn contains(self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4() && masked(address, self.len) == self.address
    }

    /// The `n`th of its addresses, if it has so many; IPv4's last is for broadcasts.
    pub fn nth(self, n: u32) -> Option<IpAddr> {
        let address = match self.address {
            IpAddr::V4(first) => IpAddr::V4(Ipv4Addr::from(u32::from(first).checked_add(n)?)),
            IpAddr::V6(first) => IpAddr::V6(Ipv6Addr::from(u128::from(first).checked_add(n.into())?)),
        };
        (self.contains(address) && self.broadcast() != Some(address)).then_some(address)
    }

    /// The `n`th prefix of `len` bits in it.
    pub(crate) fn part(self, n: u32, len: u8) -> Option<Prefix> {
        let address = match self.address {
            IpAddr::V4(first) => {
                let step = n.checked_shl(32_u32.checked_sub(len.into())?)?;
                IpAddr::V4(Ipv4Addr::from(u32::from(first).checked_add(step)?))
            }
            IpAddr::V6(first) => {
                let step = u128::from(n).checked_shl(128_u32.checked_sub(len.into())?)?;
                IpAddr::V6(Ipv6Addr::from(u128::from(first).checked_add(step)?))
            }
        };
        self.contains(address).then(|| Prefix::new(address, len))
    }

    /// IPv4's last address, for all in the segment.
    pub(crate) fn broadcast(self) -> Option<IpAddr> {
        match self.address {
            IpAddr::V4(first) if self.len < 31 => {
                Some(IpAddr::V4(Ipv4Addr::from(u32::from(first) | !v4_mask(self.len))))
            }
            _ => None,
        }
    }
}

impl FromStr for Prefix {
    type Err = NotAPrefix;

    fn from_str(text: &str) -> Result<Prefix, NotAPrefix> {
        let (address, len) = text.split_once('/').ok_or(NotAPrefix)?;
        let address: IpAddr = address.parse().map_err(|_| NotAPrefix)?;
        let len: u8 = len.parse().map_err(|_| NotAPrefix)?;
        let prefix = Prefix::new(address, len);
        if prefix.len == len && prefix.address == address { Ok(prefix) } else { Err(NotAPrefix) }
    }
}

impl std::fmt::Display for Prefix {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{}/{}", self.address, self.len)
    }
}

/// The address with all bits after the first `len` cleared.
pub(crate) fn masked(address: IpAddr, len: u8) -> IpAddr {
    match address {
        IpAddr::V4(address) => IpAddr::V4(Ipv4Addr::from(u32::from(address) & v4_mask(len))),
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128 - u32::from(len.min(128))).unwrap_or(0);
            IpAddr::V6(Ipv6Addr::from(u128::from(address) & mask))
        }
    }
}

fn v4_mask(len: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(len.min(32))).unwrap_or(0)
}
