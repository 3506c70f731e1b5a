//! Which peers may be relayed to: one gate for every method.

mod cidr;
mod special;
mod unwrap;

use std::net::IpAddr;

pub use cidr::{Cidr, CidrError};
pub use special::SPECIAL_PURPOSE;

/// The operator's rules over the built-in ones: `deny` beats `allow`, `allow` beats the built-in table.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    allow: Vec<Cidr>,
    deny: Vec<Cidr>,
}

impl Policy {
    /// The built-in policy: every public unicast address, and no other.
    pub fn new() -> Policy {
        Policy::default()
    }

    /// Also allow `range`, special-purpose or not. The process's own listeners stay closed, and the whole host does, unless
    /// `range` is one address of its, or lies within loopback.
    pub fn allow(mut self, range: Cidr) -> Policy {
        self.allow.push(range);
        self
    }

    /// Never allow `range`, whatever else is said.
    pub fn deny(mut self, range: Cidr) -> Policy {
        self.deny.push(range);
        self
    }

    /// Whether `ip` may be a peer. Every way to read it as an address must be allowed: an IPv6 address that holds an
    /// IPv4 one is judged as both.
    pub fn allows(&self, ip: IpAddr) -> bool {
        self.allows_reading(ip) && unwrap::embedded(ip).all(|inner| self.allows_reading(IpAddr::V4(inner)))
    }

    /// Whether the operator allows this very address, or a range within loopback that holds it: who wants his own host to be
    /// reached names it. A larger range that happens to hold it does not.
    pub(crate) fn names_host(&self, ip: IpAddr) -> bool {
        let is_named = |range: &Cidr| {
            range.first() == range.last() || range.first().is_loopback() && range.last().is_loopback()
        };
        self.allow.iter().any(|range| range.contains(ip) && is_named(range))
    }

    fn allows_reading(&self, ip: IpAddr) -> bool {
        if self.deny.iter().any(|range| range.contains(ip)) {
            return false;
        }
        self.allow.iter().any(|range| range.contains(ip)) || is_public_unicast(ip)
    }
}

/// Whether `ip` is a unicast address of the public Internet, as far as its number tells: in no special-purpose table, no
/// multicast, and for IPv6 in 2000::/3, the one block that is given out.
pub fn is_public_unicast(ip: IpAddr) -> bool {
    special::is_unicast_space(ip) && !SPECIAL_PURPOSE.iter().any(|range| range.contains(ip))
}
