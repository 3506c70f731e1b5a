//! What changes while a network runs. What was due before `now` happens first.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use super::{Network, Owner};
use crate::firewall::{Firewall, FirewallConfig};
use crate::link::Access;
use crate::mapping::{LIFETIME_MAX, MapError};
use crate::packet::Protocol;
use crate::{InterfaceId, RouterId, SegmentId};

impl Network {
    /// An interface goes up, or down: nothing leaves by it or arrives, not even what is on its way.
    pub fn set_up(&mut self, interface: InterfaceId, is_up: bool, now: Instant) {
        self.handle_timeout(now);
        let now = self.now;
        let interface = &mut self.interfaces[interface];
        if is_up && !interface.is_up {
            interface.up.clear(now);
            interface.down.clear(now);
        }
        interface.is_up = is_up;
    }

    /// Other conditions in an access link; what is in it already is not affected.
    pub fn set_access(&mut self, interface: InterfaceId, access: Access, now: Instant) {
        self.handle_timeout(now);
        let interface = &mut self.interfaces[interface];
        interface.up.conditions = access.up;
        interface.down.conditions = access.down;
    }

    /// The conditions in an access link.
    pub fn access(&self, interface: InterfaceId) -> Access {
        let interface = &self.interfaces[interface];
        Access { up: interface.up.conditions, down: interface.down.conditions }
    }

    /// Other addresses for an interface; none: one of each of the segment's prefixes. A NAT whose outside it is keeps only
    /// mappings at addresses that stay.
    pub fn set_addresses(&mut self, interface: InterfaceId, addresses: &[IpAddr], now: Instant) {
        self.handle_timeout(now);
        let Some(segment) = self.interfaces[interface].segment else {
            self.interfaces[interface].addresses = addresses.to_vec();
            return;
        };
        let mut addresses = addresses.to_vec();
        if addresses.is_empty() {
            let free = [true, false].map(|is_v4| self.segments[segment].free_address(is_v4));
            addresses.extend(free.into_iter().flatten());
        }
        let before = std::mem::replace(&mut self.interfaces[interface].addresses, addresses.clone());
        self.segments[segment].readdress(interface, &before, &addresses);
        self.renew_pool(interface);
    }

    /// Plugs an interface into another segment, with these addresses there; none: of the segment's choice. `None`: into
    /// none, and without addresses.
    pub fn move_interface(
        &mut self,
        interface: InterfaceId,
        to: Option<SegmentId>,
        addresses: &[IpAddr],
        now: Instant,
    ) {
        self.handle_timeout(now);
        if let Some(segment) = self.interfaces[interface].segment {
            self.segments[segment].unplug(interface);
        }
        let now = self.now;
        let moved = &mut self.interfaces[interface];
        (moved.segment, moved.addresses) = (to, Vec::new());
        moved.up.clear(now);
        moved.down.clear(now);
        if to.is_none() {
            return;
        }
        self.set_addresses(interface, addresses, now);
        if let Owner::Router(router) = self.interfaces[interface].owner {
            self.announce_inside(router);
        }
    }

    /// If this is the outside of a NAT, its external addresses are those of the interface.
    fn renew_pool(&mut self, interface: InterfaceId) {
        let Owner::Router(router) = self.interfaces[interface].owner else { return };
        if self.routers[router].outside == interface {
            let pool = self.v4_addresses(interface);
            if let Some(nat) = &mut self.routers[router].nat {
                nat.set_pool(pool);
            }
        }
    }

    /// A router is switched off and on: it has forgotten all mappings and flows, and says so to its inside. With
    /// `addresses`, its outside has these from now on.
    pub fn rebind(&mut self, router: RouterId, addresses: &[IpAddr], now: Instant) {
        self.handle_timeout(now);
        let now = self.now;
        self.routers[router].restart(now);
        if !addresses.is_empty() {
            self.set_addresses(self.routers[router].outside, addresses, now);
        }
        self.announce_restart(router, now);
        self.settle(now);
    }

    /// Another firewall, or none. Flows of the one before are not known to it.
    pub fn set_firewall(&mut self, router: RouterId, config: Option<FirewallConfig>, now: Instant) {
        self.handle_timeout(now);
        self.routers[router].firewall = config.map(Firewall::new);
    }

    /// Maps a port of the inside to one of the outside, for everybody to send to, as PCP and UPnP do; or renews that. Another
    /// port than `suggested` (0: the internal one) if that is taken, or if the endpoint has one already.
    ///
    /// # Errors
    /// [`MapError`]
    pub fn map_port(
        &mut self,
        router: RouterId,
        protocol: Protocol,
        inside: SocketAddr,
        suggested: u16,
        lifetime: Duration,
        now: Instant,
    ) -> Result<SocketAddr, MapError> {
        self.handle_timeout(now);
        let segment = self.interfaces[self.routers[router].inside].segment;
        let is_inside = segment.is_some_and(|segment| self.segments[segment].is_inside(inside.ip()));
        if !is_inside {
            return Err(MapError::NotInside);
        }
        let (random, lifetime) = (&mut self.random, lifetime.min(LIFETIME_MAX));
        self.routers[router].map_port(protocol, inside, suggested, lifetime, now, random)
    }

    /// Takes back what [`Network::map_port`] gave; port 0: all of this address's ports.
    pub fn unmap_port(&mut self, router: RouterId, protocol: Protocol, inside: SocketAddr, now: Instant) {
        self.handle_timeout(now);
        self.routers[router].unmap_port(protocol, inside, now);
    }

    /// The external address of a router's NAT, the first if there are several.
    pub fn external_address(&self, router: RouterId) -> Option<IpAddr> {
        self.routers[router].external_address()
    }
}
