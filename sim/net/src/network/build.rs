//! How a network is built: segments, hosts, routers, and what is plugged in where.

use std::net::IpAddr;

use super::router::Router;
use super::segment::Segment;
use super::{Host, Interface, Network, Owner, RouterConfig, SegmentConfig, Side};
use crate::link::{Access, LinkState};
use crate::prefix::Prefix;
use crate::{HostId, InterfaceId, RouterId, SegmentId};

/// Routers above one another, at most, that learn of a route.
const ROUTE_DEPTH_MAX: usize = 16;

/// Where an interface is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Into which segment.
    pub segment: SegmentId,
    /// Its addresses. None: one of each of the segment's prefixes.
    pub addresses: Vec<IpAddr>,
    /// The conditions of its access link.
    pub access: Access,
}

impl Attachment {
    /// With a perfect link and addresses of the segment's choice.
    pub fn new(segment: SegmentId) -> Attachment {
        Attachment { segment, addresses: Vec::new(), access: Access::default() }
    }

    /// With this address, and those that were said before.
    pub fn address(mut self, address: IpAddr) -> Attachment {
        self.addresses.push(address);
        self
    }

    /// With this access link.
    pub fn access(mut self, access: Access) -> Attachment {
        self.access = access;
        self
    }
}

impl Network {
    /// A new segment.
    pub fn add_segment(&mut self, config: SegmentConfig) -> SegmentId {
        self.segments.push(Segment::new(config))
    }

    /// A new host, which is plugged in nowhere yet.
    pub fn add_host(&mut self) -> HostId {
        self.hosts.push(Host { interfaces: Vec::new() })
    }

    /// One more interface of a host.
    pub fn add_interface(&mut self, host: HostId, attachment: Attachment) -> InterfaceId {
        let interface = self.plug(Owner::Host(host), attachment);
        self.hosts[host].interfaces.push(interface);
        interface
    }

    /// A new router. Its inside's segment has it as a gateway for each family of which it has an address there; what it
    /// does not translate is announced outside.
    pub fn add_router(&mut self, config: RouterConfig, outside: Attachment, inside: Attachment) -> RouterId {
        let id = self.routers.next_id();
        let (inside_segment, now) = (inside.segment, self.now);
        let outside = self.plug(Owner::Router(id), outside);
        let inside = self.plug(Owner::Router(id), inside);
        let pool = self.v4_addresses(outside);
        for is_v4 in [true, false] {
            if self.address_of(inside, is_v4).is_some() {
                self.segments[inside_segment].set_gateway(is_v4, inside);
            }
        }
        self.routers.push(Router::new(config, inside, outside, pool, now));
        self.announce_inside(id);
        id
    }

    fn plug(&mut self, owner: Owner, attachment: Attachment) -> InterfaceId {
        let Attachment { segment, mut addresses, access } = attachment;
        if addresses.is_empty() {
            let free = [true, false].map(|is_v4| self.segments[segment].free_address(is_v4));
            addresses.extend(free.into_iter().flatten());
        }
        let id = self.interfaces.next_id();
        self.segments[segment].plug(id, &addresses);
        let (up, down) = (LinkState::new(access.up, self.now), LinkState::new(access.down, self.now));
        self.interfaces.push(Interface { owner, segment: Some(segment), addresses, is_up: true, up, down })
    }

    pub(super) fn v4_addresses(&self, interface: InterfaceId) -> Vec<IpAddr> {
        self.interfaces[interface].addresses.iter().copied().filter(IpAddr::is_ipv4).collect()
    }

    /// Tells the outside of a router, and those above it, the way to what is inside and not translated.
    pub(super) fn announce_inside(&mut self, router: RouterId) {
        let Some(segment) = self.interfaces[self.routers[router].inside].segment else { return };
        let prefixes: Vec<Prefix> = {
            let segment = &self.segments[segment];
            segment.config.prefixes.iter().copied().chain(segment.routes()).collect()
        };
        for prefix in prefixes {
            self.announce(prefix, router);
        }
    }

    fn announce(&mut self, prefix: Prefix, mut router: RouterId) {
        for _ in 0..ROUTE_DEPTH_MAX {
            if prefix.is_v4() && self.routers[router].nat.is_some() {
                return;
            }
            let outside = self.routers[router].interface(Side::Outside);
            let Some(segment) = self.interfaces[outside].segment else { return };
            self.segments[segment].add_route(prefix, outside);
            let above = self.segments[segment].gateway(prefix.is_v4());
            match above.map(|gateway| self.interfaces[gateway].owner) {
                Some(Owner::Router(above)) => router = above,
                _ => return,
            }
        }
    }
}
