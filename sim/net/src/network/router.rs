//! A router: an inside, an outside, and what stands between them.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use crate::firewall::{Firewall, FirewallConfig};
use crate::mapping::upnp::Server;
use crate::mapping::{MapError, Services};
use crate::nat::{Nat, NatConfig};
use crate::packet::Protocol;
use crate::prefix::Prefix;
use crate::random::Random;
use crate::{Drop, InterfaceId};

/// What a router does besides routing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouterConfig {
    /// Translates IPv4, and what NAT64 makes of IPv6. `None`: the outside knows the way to the inside.
    pub nat: Option<NatConfig>,
    /// The prefix of 96 bits under which the inside reaches IPv4 (RFC 6146), by the table of [`RouterConfig::nat`].
    pub nat64: Option<Prefix>,
    /// Inside of the NAT.
    pub firewall: Option<FirewallConfig>,
    /// What the inside may ask it for.
    pub services: Services,
}

/// The side of a router that something comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Inside,
    Outside,
}

/// Who asked for a mapping by PCP, and until when that counts.
type Nonce = ([u8; 12], Instant);

#[derive(Debug)]
pub(crate) struct Router {
    pub(super) inside: InterfaceId,
    pub(super) outside: InterfaceId,
    pub(super) nat: Option<Nat>,
    pub(super) firewall: Option<Firewall>,
    pub(crate) services: Services,
    /// Once somebody has asked for it.
    pub(super) upnp: Option<Box<Server>>,
    started: Instant,
    nonces: BTreeMap<(Protocol, SocketAddr), Nonce>,
}

impl Router {
    pub(super) fn new(
        config: RouterConfig,
        inside: InterfaceId,
        outside: InterfaceId,
        pool: Vec<IpAddr>,
        now: Instant,
    ) -> Router {
        Router {
            inside,
            outside,
            nat: config.nat.map(|nat| Nat::new(nat, pool, config.nat64)),
            firewall: config.firewall.map(Firewall::new),
            services: config.services,
            upnp: None,
            started: now,
            nonces: BTreeMap::new(),
        }
    }

    pub(super) fn interface(&self, side: Side) -> InterfaceId {
        match side {
            Side::Inside => self.inside,
            Side::Outside => self.outside,
        }
    }

    /// It was switched off and on.
    pub(super) fn restart(&mut self, now: Instant) {
        if let Some(nat) = &mut self.nat {
            nat.forget();
        }
        if let Some(firewall) = &mut self.firewall {
            firewall.forget();
        }
        self.upnp = None;
        self.nonces.clear();
        self.started = now;
    }

    /// Seconds since it started, as NAT-PMP and PCP say it.
    pub(crate) fn epoch(&self, now: Instant) -> u32 {
        now.saturating_duration_since(self.started).as_secs() as u32
    }

    pub(crate) fn external_address(&self) -> Option<IpAddr> {
        self.nat.as_ref()?.pool.first().copied()
    }

    /// The internal endpoint that has this port of the external address, and until when somebody asked for that.
    pub(crate) fn mapped_at(
        &self,
        protocol: Protocol,
        port: u16,
        now: Instant,
    ) -> Option<(SocketAddr, Option<Instant>)> {
        let nat = self.nat.as_ref()?;
        nat.mapped_at(protocol, SocketAddr::new(*nat.pool.first()?, port), now)
    }

    /// The external port that an internal endpoint has towards everybody.
    pub(crate) fn external_port(&self, protocol: Protocol, inside: SocketAddr, now: Instant) -> Option<u16> {
        self.nat.as_ref()?.external_port(protocol, inside, now)
    }

    /// Who mapped this port.
    pub(crate) fn nonce(&self, protocol: Protocol, inside: SocketAddr, now: Instant) -> Option<[u8; 12]> {
        self.nonces.get(&(protocol, inside)).filter(|(_, until)| now < *until).map(|(nonce, _)| *nonce)
    }

    pub(crate) fn remember_nonce(
        &mut self,
        protocol: Protocol,
        inside: SocketAddr,
        nonce: [u8; 12],
        until: Instant,
    ) {
        self.nonces.insert((protocol, inside), (nonce, until));
    }

    /// Whether NAT or firewall decides on this internal endpoint.
    fn is_translated(&self, inside: SocketAddr) -> bool {
        self.nat.as_ref().is_some_and(|nat| inside.is_ipv4() || nat.has_nat64())
    }

    /// See [`crate::Network::map_port`].
    pub(crate) fn map_port(
        &mut self,
        protocol: Protocol,
        inside: SocketAddr,
        suggested: u16,
        lifetime: Duration,
        now: Instant,
        random: &mut Random,
    ) -> Result<SocketAddr, MapError> {
        let until = now + lifetime;
        let is_translated = self.is_translated(inside);
        let firewall = self.firewall.as_mut();
        let pinhole = firewall.filter(|firewall| firewall.looks_at(inside.ip()));
        let external = match (&mut self.nat, &pinhole) {
            (Some(nat), _) if is_translated => {
                nat.map(protocol, inside, suggested, until, now, random).map_err(MapError::NoResources)?
            }
            (_, Some(_)) => inside,
            _ => return Err(MapError::NoNat),
        };
        if let Some(firewall) = pinhole {
            firewall.open(protocol, inside, Some(until));
        }
        Ok(external)
    }

    /// See [`crate::Network::unmap_port`].
    pub(crate) fn unmap_port(&mut self, protocol: Protocol, inside: SocketAddr, now: Instant) {
        if let Some(nat) = &mut self.nat {
            nat.unmap(protocol, inside, now);
        }
        if let Some(firewall) = &mut self.firewall {
            firewall.open(protocol, inside, None);
        }
        let is_meant = |(of, at): &(Protocol, SocketAddr)| {
            *of == protocol && at.ip() == inside.ip() && (at.port() == inside.port() || inside.port() == 0)
        };
        self.nonces.retain(|key, _| !is_meant(key));
    }

    /// As [`Router::unmap_port`], and who talks through the port loses it too.
    pub(crate) fn drop_port(&mut self, protocol: Protocol, inside: SocketAddr, now: Instant) {
        self.unmap_port(protocol, inside, now);
        if let Some(nat) = &mut self.nat {
            nat.drop_mapping(protocol, inside, now);
        }
    }
}

/// Why a router does not let a packet through, and whether its sender is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) why: Drop,
    pub(super) is_answered: bool,
}
