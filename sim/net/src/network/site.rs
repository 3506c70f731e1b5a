//! A [`Kind`] as a whole: its routers, its LAN, its addresses.

use std::net::IpAddr;

use super::{Attachment, Network, SegmentConfig};
use crate::firewall::FirewallConfig;
use crate::kinds::Kind;
use crate::link::Access;
use crate::prefix::Prefix;
use crate::{HostId, InterfaceId, RouterId, SegmentId};

/// Where sites' IPv6 prefixes of 64 bits are from.
const DELEGATED: [u16; 8] = [0x2a05, 0x81, 0, 0, 0, 0, 0, 0];
const DELEGATED_BITS: u8 = 32;

/// What a site is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SiteConfig {
    /// Its boxes.
    pub kind: Kind,
    /// The way from the site into the internet: of the home's router, or of the host where there is none (a phone).
    pub access: Access,
    /// Whether it has IPv6 besides IPv4, behind a firewall that lets only replies in.
    pub ipv6: bool,
}

impl From<Kind> for SiteConfig {
    /// IPv4 only (but for [`Kind::Ipv6Only`]), and a perfect link.
    fn from(kind: Kind) -> SiteConfig {
        SiteConfig { kind, access: Access::default(), ipv6: false }
    }
}

/// A place where hosts are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Site {
    /// What it is like.
    pub kind: Kind,
    /// Where hosts are plugged in.
    pub segment: SegmentId,
    /// From the internet on.
    pub routers: Vec<RouterId>,
    /// Hosts have IPv4 addresses.
    pub ipv4: bool,
    /// Hosts have IPv6 addresses.
    pub ipv6: bool,
    /// A host's own access link.
    pub host_access: Access,
}

impl Network {
    /// Builds a site that is reached from `outside`: the internet, or the segment of another site.
    pub fn add_site(&mut self, outside: SegmentId, config: impl Into<SiteConfig>) -> Site {
        let SiteConfig { kind, access, ipv6 } = config.into();
        let boxes = kind.boxes();
        let has_home = !matches!(kind, Kind::Public | Kind::Cgnat | Kind::CgnatSymmetric | Kind::Ipv6Only);
        let ipv4 = kind != Kind::Ipv6Only;
        let ipv6 = ipv6 || !ipv4;
        let delegated = (ipv6 && !boxes.is_empty()).then(|| self.delegate()).flatten();
        let (mut segment, mut routers, count) = (outside, Vec::new(), boxes.len());
        for (n, mut router) in boxes.into_iter().enumerate() {
            let is_last = n + 1 == count;
            let is_carrier = !is_last || !has_home;
            let prefix_v6 = if is_last { delegated } else { delegated.and_then(|_| self.delegate()) };
            if prefix_v6.is_some() && is_last && router.firewall.is_none() {
                router.firewall = Some(FirewallConfig { ipv4: false, ..FirewallConfig::default() });
            }
            let prefix_v4 = ipv4.then(|| self.private_prefix(segment, is_carrier));
            let prefixes: Vec<Prefix> = prefix_v4.into_iter().chain(prefix_v6).collect();
            let inside = self.add_segment(SegmentConfig::lan(&prefixes));
            let mut outward = Attachment::new(segment);
            let free = [Some(true), prefix_v6.map(|_| false)].into_iter().flatten();
            outward.addresses = free.filter_map(|is_v4| self.segments[segment].free_address(is_v4)).collect();
            outward.access = if is_last && has_home { access } else { Access::default() };
            routers.push(self.add_router(router, outward, Attachment::new(inside)));
            segment = inside;
        }
        let host_access = if has_home { Access::default() } else { access };
        Site { kind, segment, routers, ipv4, ipv6, host_access }
    }

    /// A host of a site, with an address of each family that it has.
    pub fn add_host_at(&mut self, site: &Site) -> HostId {
        let host = self.add_host();
        self.join(host, site);
        host
    }

    /// One more interface of a host, at a site.
    pub fn join(&mut self, host: HostId, site: &Site) -> InterfaceId {
        let families = [site.ipv4.then_some(true), site.ipv6.then_some(false)].into_iter().flatten();
        let addresses: Vec<IpAddr> =
            families.filter_map(|is_v4| self.segments[site.segment].free_address(is_v4)).collect();
        let attachment = Attachment { segment: site.segment, addresses, access: site.host_access };
        self.add_interface(host, attachment)
    }

    /// The next prefix of 64 bits.
    fn delegate(&mut self) -> Option<Prefix> {
        let all = Prefix::new(IpAddr::from(DELEGATED), DELEGATED_BITS);
        self.delegated += 1;
        all.part(self.delegated, 64)
    }

    /// Private addresses that mean nothing in `outside`: of a carrier, or those that all homes have.
    fn private_prefix(&self, outside: SegmentId, is_carrier: bool) -> Prefix {
        let taken = &self.segments[outside].config.prefixes;
        let home = |n: u8| Prefix::new(IpAddr::from([192, 168, n, 0]), 24);
        if is_carrier {
            return Prefix::new(IpAddr::from([100, 64, 0, 0]), 10);
        }
        (1..=u8::MAX).map(home).find(|prefix| !taken.contains(prefix)).unwrap_or(home(1))
    }
}
