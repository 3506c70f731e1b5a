//! A range of addresses, `10.0.0.0/8` or `fd00::/8`, compared by bits.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// An address and how many of its leading bits count.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Cidr {
    address: IpAddr,
    bits: u8,
}

/// Why a text is not a range.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// What stands before the slash is not an IP address.
    #[error("`{0}` is not an IP address, nor a range such as 10.0.0.0/8 or fd00::/8")]
    Address(String),
    /// What stands after the slash is not a number from 0 to 32, or to 128.
    #[error("`{0}`: a prefix has 0 to {1} bits")]
    Prefix(String, u8),
    /// Bits beyond the prefix are set.
    #[error("`{0}` has bits set beyond its prefix; did you mean {1}?")]
    HostBits(String, Cidr),
}

impl Cidr {
    pub(crate) const fn v4(a: u8, b: u8, c: u8, d: u8, bits: u8) -> Cidr {
        Cidr { address: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), bits }
    }

    pub(crate) const fn v6(segments: [u16; 8], bits: u8) -> Cidr {
        let [a, b, c, d, e, f, g, h] = segments;
        Cidr { address: IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h)), bits }
    }

    /// The range of this one address.
    pub fn host(ip: IpAddr) -> Cidr {
        Cidr { address: ip, bits: bits_of(ip) }
    }

    /// The first address.
    pub fn first(&self) -> IpAddr {
        self.address
    }

    /// The last address.
    pub fn last(&self) -> IpAddr {
        match self.address {
            IpAddr::V4(ip) => Ipv4Addr::from_bits(ip.to_bits() | !mask_v4(self.bits)).into(),
            IpAddr::V6(ip) => Ipv6Addr::from_bits(ip.to_bits() | !mask_v6(self.bits)).into(),
        }
    }

    /// Whether `ip` is in the range; an address of the other family never is.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match (self.address, ip) {
            (IpAddr::V4(range), IpAddr::V4(ip)) => (range.to_bits() ^ ip.to_bits()) & mask_v4(self.bits) == 0,
            (IpAddr::V6(range), IpAddr::V6(ip)) => (range.to_bits() ^ ip.to_bits()) & mask_v6(self.bits) == 0,
            _ => false,
        }
    }
}

fn bits_of(ip: IpAddr) -> u8 {
    if ip.is_ipv4() { 32 } else { 128 }
}

fn mask_v4(bits: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0)
}

fn mask_v6(bits: u8) -> u128 {
    u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0)
}

impl FromStr for Cidr {
    type Err = CidrError;

    /// Reads `address/bits`, or an address alone. Bits beyond the prefix must be zero: a slip is likelier than intent.
    fn from_str(text: &str) -> Result<Cidr, CidrError> {
        let (address, prefix) = match text.split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().map_err(|_| CidrError::Address(text.to_owned()))?;
        let bits_max = bits_of(address);
        let bits = match prefix {
            None => bits_max,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => digits
                .parse()
                .ok()
                .filter(|bits| *bits <= bits_max)
                .ok_or(CidrError::Prefix(text.to_owned(), bits_max))?,
            Some(_) => return Err(CidrError::Prefix(text.to_owned(), bits_max)),
        };
        let first = match address {
            IpAddr::V4(ip) => IpAddr::V4(Ipv4Addr::from_bits(ip.to_bits() & mask_v4(bits))),
            IpAddr::V6(ip) => IpAddr::V6(Ipv6Addr::from_bits(ip.to_bits() & mask_v6(bits))),
        };
        if first != address {
            return Err(CidrError::HostBits(text.to_owned(), Cidr { address: first, bits }));
        }
        Ok(Cidr { address, bits })
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn a_range_is_compared_by_bits_not_by_bytes() {
        let range = cidr("2001:db8:8000::/33");
        assert!(range.contains("2001:db8:ffff::1".parse().unwrap()));
        assert!(!range.contains("2001:db8:7fff::1".parse().unwrap()));
        let range = cidr("fe80::/10");
        assert!(range.contains("febf::1".parse().unwrap()));
        assert!(!range.contains("fec0::1".parse().unwrap()));
        let range = cidr("172.16.0.0/12");
        assert!(range.contains("172.31.255.255".parse().unwrap()));
        assert!(!range.contains("172.32.0.0".parse().unwrap()));
    }

    #[test]
    fn the_ends_of_a_range_are_in_it_and_their_neighbours_are_not() {
        for bits in 1..=128_u8 {
            let range: Cidr =
                Cidr { address: IpAddr::V6(Ipv6Addr::from_bits(1 << (128 - u32::from(bits)))), bits };
            let (IpAddr::V6(first), IpAddr::V6(last)) = (range.first(), range.last()) else {
                panic!("not IPv6")
            };
            assert!(range.contains(first.into()) && range.contains(last.into()), "{range}");
            assert!(!range.contains(Ipv6Addr::from_bits(first.to_bits() - 1).into()), "{range}");
            if let Some(next) = last.to_bits().checked_add(1) {
                assert!(!range.contains(Ipv6Addr::from_bits(next).into()), "{range}");
            }
        }
    }

    #[test]
    fn a_prefix_of_zero_bits_is_everything_of_its_family() {
        assert!(cidr("0.0.0.0/0").contains("255.255.255.255".parse().unwrap()));
        assert!(cidr("::/0").contains("ffff::".parse().unwrap()));
        assert!(!cidr("0.0.0.0/0").contains("::1".parse().unwrap()));
    }

    #[test]
    fn an_address_alone_is_a_range_of_one() {
        assert_eq!(cidr("10.1.2.3"), cidr("10.1.2.3/32"));
        assert_eq!(cidr("fd00::1"), cidr("fd00::1/128"));
    }

    #[test]
    fn a_malformed_range_says_what_is_wrong() {
        let error = |text: &str| text.parse::<Cidr>().unwrap_err().to_string();
        assert_eq!(
            error("10.0.0/8"),
            "`10.0.0/8` is not an IP address, nor a range such as 10.0.0.0/8 or fd00::/8"
        );
        assert_eq!(error("10.0.0.0/33"), "`10.0.0.0/33`: a prefix has 0 to 32 bits");
        assert_eq!(error("fd00::/129"), "`fd00::/129`: a prefix has 0 to 128 bits");
        assert_eq!(error("10.0.0.0/"), "`10.0.0.0/`: a prefix has 0 to 32 bits");
        assert_eq!(error("10.0.0.0/+8"), "`10.0.0.0/+8`: a prefix has 0 to 32 bits");
        assert_eq!(
            error("10.0.0.1/8"),
            "`10.0.0.1/8` has bits set beyond its prefix; did you mean 10.0.0.0/8?"
        );
        assert_eq!(
            error("fe80::1/10"),
            "`fe80::1/10` has bits set beyond its prefix; did you mean fe80::/10?"
        );
        assert!(error("").contains("not an IP address"));
        assert!(error("10.0.0.0/8/8").contains("a prefix has"));
    }
}
