//! A segment: who is plugged in, who has which address, and who leads further.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::prefix::{Prefix, masked};
use crate::{Drop, InterfaceId};

/// Routers that a packet passes in the internet.
const INTERNET_HOPS: u8 = 8;

/// What a segment is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentConfig {
    /// Where its own addresses are from. In a LAN, an address of theirs that nobody has is nowhere else either.
    pub prefixes: Vec<Prefix>,
    /// A LAN delivers multicast and broadcast to all in it; the internet does not, and its prefixes only say where
    /// addresses come from.
    pub is_internet: bool,
    /// How many routers that are not modelled a packet passes: so much is taken from its hop limit.
    pub hops: u8,
}

impl SegmentConfig {
    /// A broadcast domain with these prefixes, at most one for each family.
    pub fn lan(prefixes: &[Prefix]) -> SegmentConfig {
        SegmentConfig { prefixes: prefixes.to_vec(), is_internet: false, hops: 0 }
    }

    /// The internet, eight hops wide: hosts and routers get addresses of 80.80.0.0/16 and 2a05:80::/48 if they do not say
    /// which they have.
    pub fn internet() -> SegmentConfig {
        let prefixes = [
            Prefix::new(IpAddr::from([80, 80, 0, 0]), 16),
            Prefix::new(IpAddr::from([0x2a05, 0x80, 0, 0, 0, 0, 0, 0]), 48),
        ];
        SegmentConfig { prefixes: prefixes.to_vec(), is_internet: true, hops: INTERNET_HOPS }
    }
}

#[derive(Debug)]
pub(super) struct Segment {
    pub(super) config: SegmentConfig,
    /// In the order in which they came.
    pub(super) members: Vec<InterfaceId>,
    by_address: BTreeMap<IpAddr, InterfaceId>,
    routes: BTreeMap<Prefix, InterfaceId>,
    /// Lengths of routes, the longest first.
    route_lens: Vec<u8>,
    gateway_v4: Option<InterfaceId>,
    gateway_v6: Option<InterfaceId>,
    next_v4: u32,
    next_v6: u32,
}

impl Segment {
    pub(super) fn new(config: SegmentConfig) -> Segment {
        Segment {
            config,
            members: Vec::new(),
            by_address: BTreeMap::new(),
            routes: BTreeMap::new(),
            route_lens: Vec::new(),
            gateway_v4: None,
            gateway_v6: None,
            next_v4: 1,
            next_v6: 1,
        }
    }

    pub(super) fn plug(&mut self, interface: InterfaceId, addresses: &[IpAddr]) {
        if !self.members.contains(&interface) {
            self.members.push(interface);
        }
        for address in addresses {
            self.by_address.insert(*address, interface);
        }
    }

    /// Takes an interface out, and its addresses and routes with it.
    pub(super) fn unplug(&mut self, interface: InterfaceId) {
        self.members.retain(|member| *member != interface);
        self.by_address.retain(|_, owner| *owner != interface);
        self.routes.retain(|_, via| *via != interface);
        for gateway in [&mut self.gateway_v4, &mut self.gateway_v6] {
            *gateway = gateway.filter(|gateway| *gateway != interface);
        }
    }

    /// Other addresses for a member that stays.
    pub(super) fn readdress(&mut self, interface: InterfaceId, before: &[IpAddr], after: &[IpAddr]) {
        for address in before {
            if self.by_address.get(address) == Some(&interface) {
                self.by_address.remove(address);
            }
        }
        self.plug(interface, after);
    }

    /// A free address of this family.
    pub(super) fn free_address(&mut self, is_v4: bool) -> Option<IpAddr> {
        let prefix = self.config.prefixes.iter().copied().find(|prefix| prefix.is_v4() == is_v4)?;
        let next = if is_v4 { &mut self.next_v4 } else { &mut self.next_v6 };
        loop {
            let address = prefix.nth(*next)?;
            *next += 1;
            if !self.by_address.contains_key(&address) {
                return Some(address);
            }
        }
    }

    pub(super) fn gateway(&self, is_v4: bool) -> Option<InterfaceId> {
        if is_v4 { self.gateway_v4 } else { self.gateway_v6 }
    }

    pub(super) fn set_gateway(&mut self, is_v4: bool, interface: InterfaceId) {
        let gateway = if is_v4 { &mut self.gateway_v4 } else { &mut self.gateway_v6 };
        *gateway = Some(interface);
    }

    pub(super) fn add_route(&mut self, prefix: Prefix, via: InterfaceId) {
        self.routes.insert(prefix, via);
        if !self.route_lens.contains(&prefix.bits()) {
            self.route_lens.push(prefix.bits());
            self.route_lens.sort_unstable_by(|a, b| b.cmp(a));
        }
    }

    pub(super) fn routes(&self) -> impl Iterator<Item = Prefix> {
        self.routes.keys().copied()
    }

    /// Who gets a packet for `destination` that comes from `from`.
    pub(super) fn next_hop(
        &self,
        destination: IpAddr,
        from: Option<InterfaceId>,
    ) -> Result<InterfaceId, Drop> {
        if let Some(interface) = self.by_address.get(&destination) {
            return Ok(*interface);
        }
        for len in &self.route_lens {
            let is_possible = *len <= 32 || destination.is_ipv6();
            let route = Prefix::new(masked(destination, *len), *len);
            if let Some(via) = self.routes.get(&route).filter(|via| is_possible && Some(**via) != from) {
                return Ok(*via);
            }
        }
        if !self.config.is_internet && self.config.prefixes.iter().any(|p| p.contains(destination)) {
            return Err(Drop::NoNeighbour);
        }
        let gateway = self.gateway(destination.is_ipv4()).filter(|gateway| Some(*gateway) != from);
        gateway.ok_or(Drop::NoRoute)
    }

    /// Whether this address is here, or reached by a route from here.
    pub(super) fn is_inside(&self, address: IpAddr) -> bool {
        let mut prefixes = self.config.prefixes.iter().chain(self.routes.keys());
        self.by_address.contains_key(&address) || prefixes.any(|prefix| prefix.contains(address))
    }

    /// Whether this address is for all in the segment.
    pub(super) fn is_for_all(&self, address: IpAddr) -> bool {
        is_for_many(address) || self.config.prefixes.iter().any(|prefix| prefix.broadcast() == Some(address))
    }
}

/// Multicast, or IPv4's broadcast.
pub(super) fn is_for_many(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_multicast() || address.is_broadcast(),
        IpAddr::V6(address) => address.is_multicast(),
    }
}

/// For one segment only.
pub(super) fn is_link_local(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => address.is_link_local(),
        IpAddr::V6(address) => address.is_unicast_link_local(),
    }
}
