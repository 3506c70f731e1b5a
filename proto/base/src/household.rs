//! Whose an address is, as limits see it. One subscriber has one IPv4 address, or an IPv6 prefix of 56 bits (RFC 6177 2),
//! sometimes of 48; whatever is limited per address alone can be had 2⁷² times in IPv6.

use std::net::{IpAddr, Ipv6Addr};

/// One subscriber: an IPv4 address, or the /56 of an IPv6 one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Household(IpAddr);

/// The largest prefix that one subscriber is given: the /48 of an IPv6 address. An IPv4 address is its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Site(IpAddr);

impl Household {
    /// The IPv4 address, or the first address of the /56.
    #[must_use]
    pub fn network(self) -> IpAddr {
        self.0
    }
}

impl From<IpAddr> for Household {
    fn from(address: IpAddr) -> Self {
        Self(prefix(address, 56))
    }
}

impl From<IpAddr> for Site {
    fn from(address: IpAddr) -> Self {
        Self(prefix(address, 48))
    }
}

impl Site {
    /// The first address of the prefix.
    #[must_use]
    pub fn address(self) -> IpAddr {
        self.0
    }
}

/// An IPv4 address however it is written, or the first `bits` of an IPv6 one.
fn prefix(address: IpAddr, bits: u32) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << (128 - bits))).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn household(text: &str) -> Household {
        text.parse::<IpAddr>().unwrap().into()
    }

    fn site(text: &str) -> Site {
        text.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn an_ipv4_address_is_one_household_however_it_is_written() {
        assert_eq!(household("192.0.2.1"), household("::ffff:192.0.2.1"));
        assert_ne!(household("192.0.2.1"), household("192.0.2.2"));
        assert_ne!(site("192.0.2.1"), site("192.0.2.2"));
    }

    #[test]
    fn an_ipv6_household_is_its_56_bits_and_its_site_48() {
        assert_eq!(household("2001:db8:0:100::1"), household("2001:db8:0:1ff:ffff::9"));
        assert_ne!(household("2001:db8:0:100::1"), household("2001:db8:0:200::1"));
        assert_eq!(site("2001:db8:0:100::1"), site("2001:db8:0:ff00::1"));
        assert_ne!(site("2001:db8:0::1"), site("2001:db8:1::1"));
    }
}
