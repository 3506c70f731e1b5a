//! A NAT: mappings of internal to external endpoints, and who is let in by them.
//!
//! ```text
//!  inside ── outbound ──► mapping (found, or made: ports.rs) ── session with the remote endpoint ──► outside
//!         ◄── inbound ─── mapping by external endpoint? ─ a session, as far as filtering asks? ◄────
//!              hairpin: both, one after the other
//! ```

mod config;
mod ports;
mod table;
mod translate;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

pub use config::{Allocation, Behavior, Hairpin, NatConfig, OnClash, Pooling, Uninvited};

use crate::packet::{Flow, Protocol};
use crate::prefix::Prefix;
use crate::random::Random;
use crate::session::Way;
use crate::stats::Drop;
use config::Part;
use ports::{Ports, Request};
use table::{MappingId, Table};

/// How long an uninvited packet claims its port: Linux forgets a connection that was never answered after 30 s.
const CLAIM_LIFETIME: Duration = Duration::from_secs(30);

/// Claims at a time; more are not remembered.
const CLAIMS_MAX: usize = 4096;

#[derive(Debug)]
pub(crate) struct Nat {
    pub(crate) config: NatConfig,
    /// External addresses.
    pub(crate) pool: Vec<IpAddr>,
    /// The prefix under which an inside of IPv6 sees the IPv4 internet.
    nat64: Option<Prefix>,
    table: Table,
    ports: Ports,
    /// Uninvited packets, by protocol, external endpoint and sender: until when they are remembered.
    claims: BTreeMap<(Protocol, SocketAddr, SocketAddr), Instant>,
}

impl Nat {
    pub(crate) fn new(config: NatConfig, pool: Vec<IpAddr>, nat64: Option<Prefix>) -> Nat {
        let (table, ports, claims) = (Table::default(), Ports::default(), BTreeMap::new());
        Nat { config, pool, nat64, table, ports, claims }
    }

    /// Other external addresses; mappings at those that are no longer there are gone.
    pub(crate) fn set_pool(&mut self, pool: Vec<IpAddr>) {
        self.table.remove_elsewhere(&pool);
        self.pool = pool;
    }

    /// All mappings are gone, the explicit ones too.
    pub(crate) fn forget(&mut self) {
        (self.table, self.ports) = (Table::default(), Ports::default());
        self.claims.clear();
    }

    /// The external endpoint of a packet from the inside.
    pub(crate) fn outbound(
        &mut self,
        flow: Flow,
        now: Instant,
        random: &mut Random,
    ) -> Result<SocketAddr, Drop> {
        let id = self.mapping_for(flow, now, random)?;
        let outside = self.table.get(id).ok_or(Drop::NoMapping)?.outside;
        self.table.touch(id, flow.destination, flow, Way::Out, &self.config, now)?;
        Ok(outside)
    }

    /// The internal endpoint of a packet from the outside.
    pub(crate) fn inbound(&mut self, flow: Flow, now: Instant) -> Result<SocketAddr, Drop> {
        let id = self.table.by_outside(flow.protocol, flow.destination, now).ok_or(Drop::NoMapping)?;
        if !self.is_permitted(id, flow.source, now) {
            return Err(Drop::Filtered);
        }
        self.table.touch(id, flow.source, flow, Way::In, &self.config, now)?;
        Ok(self.table.get(id).ok_or(Drop::NoMapping)?.inside)
    }

    /// Remembers a packet from the outside that was not let in.
    pub(crate) fn claim(&mut self, flow: Flow, now: Instant) {
        if self.claims.len() >= CLAIMS_MAX {
            self.claims.retain(|_, until| now < *until);
        }
        if self.claims.len() < CLAIMS_MAX {
            self.claims.insert((flow.protocol, flow.destination, flow.source), now + CLAIM_LIFETIME);
        }
    }

    /// The mapping that this inside endpoint has towards this remote one, if there is one.
    fn existing(&self, flow: Flow, now: Instant) -> Option<MappingId> {
        let Flow { protocol, source: inside, destination: remote, .. } = flow;
        let find = |part| self.table.by_inside(protocol, inside, part, now);
        let part = self.config.mapping.part(remote);
        let moved = || find(Part::Endpoint(remote)).filter(|_| self.config.uninvited == Uninvited::Claim);
        let explicit = || find(Part::Any).filter(|id| self.table.is_explicit(*id, now));
        moved().or_else(|| find(part)).or_else(explicit)
    }

    fn mapping_for(&mut self, flow: Flow, now: Instant, random: &mut Random) -> Result<MappingId, Drop> {
        let Flow { protocol, source: inside, destination: remote, .. } = flow;
        let existing = self.existing(flow, now);
        let is_free = |id: &MappingId| {
            let outside = self.table.get(*id).map(|mapping| mapping.outside);
            outside.is_some_and(|outside| !is_claimed(&self.claims, protocol, outside, remote, now))
        };
        if let Some(id) = existing.filter(is_free) {
            return Ok(id);
        }
        let request = Request {
            protocol,
            inside,
            preferred: inside.port(),
            config: &self.config,
            pool: &self.pool,
            table: &self.table,
            now,
        };
        let mut part = self.config.mapping.part(remote);
        let mut outside = match existing {
            Some(_) => None,
            None => Some(self.ports.allocate(request, random)?),
        };
        let claims = &self.claims;
        let may_use = |outside: &SocketAddr| !is_claimed(claims, protocol, *outside, remote, now);
        outside = outside.filter(may_use);
        let outside = match outside {
            Some(outside) => outside,
            None => {
                part = Part::Endpoint(remote);
                self.ports.elsewhere(request, |outside| may_use(&outside), random)?
            }
        };
        self.table.insert(protocol, inside, part, outside, &self.config, now)
    }

    fn is_permitted(&self, id: MappingId, remote: SocketAddr, now: Instant) -> bool {
        self.table.is_explicit(id, now) || self.table.has_session(id, remote, self.config.filtering, now)
    }

    /// Maps a port because somebody asked for it, or renews that; at another port than `suggested` if that is taken, or if
    /// the endpoint already has one.
    pub(crate) fn map(
        &mut self,
        protocol: Protocol,
        inside: SocketAddr,
        suggested: u16,
        until: Instant,
        now: Instant,
        random: &mut Random,
    ) -> Result<SocketAddr, Drop> {
        let id = match self.table.by_inside(protocol, inside, Part::Any, now) {
            Some(id) => id,
            None => {
                let preferred = if suggested == 0 { inside.port() } else { suggested };
                let (config, pool, table) = (&self.config, &self.pool, &self.table);
                let request = Request { protocol, inside, preferred, config, pool, table, now };
                let outside = self.ports.requested(request, random)?;
                self.table.insert(protocol, inside, Part::Any, outside, &self.config, now)?
            }
        };
        self.table.keep(id, Some(until));
        Ok(self.table.get(id).ok_or(Drop::NoMapping)?.outside)
    }

    /// Takes back what [`Nat::map`] gave; a mapping in use stays as long as it is used. Port 0 is all ports.
    pub(crate) fn unmap(&mut self, protocol: Protocol, inside: SocketAddr, now: Instant) {
        if inside.port() == 0 {
            return self.table.keep_none_of(protocol, inside.ip());
        }
        if let Some(id) = self.table.by_inside(protocol, inside, Part::Any, now) {
            self.table.keep(id, None);
        }
    }

    /// The internal endpoint of an external one, and until when somebody asked for that.
    pub(crate) fn mapped_at(
        &self,
        protocol: Protocol,
        outside: SocketAddr,
        now: Instant,
    ) -> Option<(SocketAddr, Option<Instant>)> {
        let mapping = self.table.get(self.table.by_outside(protocol, outside, now)?)?;
        Some((mapping.inside, mapping.explicit(now)))
    }

    /// The external port of an internal endpoint whose mapping is for everybody.
    pub(crate) fn external_port(&self, protocol: Protocol, inside: SocketAddr, now: Instant) -> Option<u16> {
        let id = self.table.by_inside(protocol, inside, Part::Any, now)?;
        Some(self.table.get(id)?.outside.port())
    }

    /// Ends a mapping, used or not.
    pub(crate) fn drop_mapping(&mut self, protocol: Protocol, inside: SocketAddr, now: Instant) {
        if let Some(id) = self.table.by_inside(protocol, inside, Part::Any, now) {
            self.table.remove(id);
        }
    }

    /// Whether its inside may be IPv6.
    pub(crate) fn has_nat64(&self) -> bool {
        self.nat64.is_some()
    }
}

fn is_claimed(
    claims: &BTreeMap<(Protocol, SocketAddr, SocketAddr), Instant>,
    protocol: Protocol,
    outside: SocketAddr,
    remote: SocketAddr,
    now: Instant,
) -> bool {
    !claims.is_empty() && claims.get(&(protocol, outside, remote)).is_some_and(|until| now < *until)
}
