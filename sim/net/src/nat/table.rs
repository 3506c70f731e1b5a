//! Mappings by their inside and by their outside, and who talks through each.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::config::{Behavior, NatConfig, Part};
use crate::packet::{Flow, Protocol};
use crate::session::{Session, Way};
use crate::stats::Drop;

/// Below this many entries, the dead are left alone until somebody stumbles over them.
const SWEEP_MIN: usize = 64;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct MappingId(u32);

#[derive(Debug)]
pub(super) struct Mapping {
    protocol: Protocol,
    pub(super) inside: SocketAddr,
    part: Part,
    pub(super) outside: SocketAddr,
    /// When the last of its sessions ends.
    expires: Instant,
    /// Until when it was asked for, by PCP and its like.
    explicit: Option<Instant>,
}

impl Mapping {
    fn is_alive(&self, now: Instant) -> bool {
        now < self.expires || self.is_explicit(now)
    }

    fn is_explicit(&self, now: Instant) -> bool {
        self.explicit(now).is_some()
    }

    /// Until when somebody asked for it, unless that is over.
    pub(super) fn explicit(&self, now: Instant) -> Option<Instant> {
        self.explicit.filter(|until| now < *until)
    }
}

#[derive(Debug, Default)]
pub(super) struct Table {
    mappings: Vec<Option<Mapping>>,
    vacant: Vec<u32>,
    by_inside: BTreeMap<(Protocol, SocketAddr, Part), MappingId>,
    by_outside: BTreeMap<(Protocol, SocketAddr), MappingId>,
    sessions: BTreeMap<(MappingId, SocketAddr), Session>,
    /// The earliest time at which a sweep may find something dead.
    earliest: Option<Instant>,
    /// The number of entries at which the dead are swept out.
    sweep_at: usize,
}

impl Table {
    pub(super) fn get(&self, id: MappingId) -> Option<&Mapping> {
        self.mappings.get(id.0 as usize)?.as_ref()
    }

    fn alive(&self, id: MappingId, now: Instant) -> Option<MappingId> {
        self.get(id).filter(|mapping| mapping.is_alive(now)).map(|_| id)
    }

    pub(super) fn by_inside(
        &self,
        protocol: Protocol,
        inside: SocketAddr,
        part: Part,
        now: Instant,
    ) -> Option<MappingId> {
        self.alive(*self.by_inside.get(&(protocol, inside, part))?, now)
    }

    pub(super) fn by_outside(
        &self,
        protocol: Protocol,
        outside: SocketAddr,
        now: Instant,
    ) -> Option<MappingId> {
        self.alive(*self.by_outside.get(&(protocol, outside))?, now)
    }

    pub(super) fn is_explicit(&self, id: MappingId, now: Instant) -> bool {
        self.get(id).is_some_and(|mapping| mapping.is_explicit(now))
    }

    /// Whether any mapping at this external address has a port from `first` to `last`.
    pub(super) fn uses(&self, address: IpAddr, first: u16, last: u16, now: Instant) -> bool {
        [Protocol::Udp, Protocol::Tcp, Protocol::Icmp].into_iter().any(|protocol| {
            let at = |port| (protocol, SocketAddr::new(address, port));
            self.by_outside.range(at(first)..=at(last)).any(|(_, id)| self.alive(*id, now).is_some())
        })
    }

    /// A new mapping, without life yet: [`Table::touch`] or [`Table::keep`] gives it. What was there before is dead.
    pub(super) fn insert(
        &mut self,
        protocol: Protocol,
        inside: SocketAddr,
        part: Part,
        outside: SocketAddr,
        config: &NatConfig,
        now: Instant,
    ) -> Result<MappingId, Drop> {
        self.sweep_if_due(self.by_outside.len() >= config.mappings_max, now);
        if self.by_outside.len() >= config.mappings_max {
            return Err(Drop::TableFull);
        }
        let before = [
            self.by_inside.get(&(protocol, inside, part)).copied(),
            self.by_outside.get(&(protocol, outside)).copied(),
        ];
        for id in before.into_iter().flatten() {
            self.remove(id);
        }
        let mapping = Mapping { protocol, inside, part, outside, expires: now, explicit: None };
        let index = self.vacant.pop().unwrap_or_else(|| {
            self.mappings.push(None);
            self.mappings.len() as u32 - 1
        });
        if let Some(place) = self.mappings.get_mut(index as usize) {
            *place = Some(mapping);
        }
        let id = MappingId(index);
        self.by_inside.insert((protocol, inside, part), id);
        self.by_outside.insert((protocol, outside), id);
        Ok(id)
    }

    pub(super) fn remove(&mut self, id: MappingId) {
        let Some(mapping) = self.mappings.get_mut(id.0 as usize).and_then(Option::take) else { return };
        self.vacant.push(id.0);
        self.by_inside.remove(&(mapping.protocol, mapping.inside, mapping.part));
        self.by_outside.remove(&(mapping.protocol, mapping.outside));
        loop {
            let first = self.sessions_of(id).next().map(|(remote, _)| remote);
            let Some(remote) = first else { break };
            self.sessions.remove(&(id, remote));
        }
    }

    /// Removes mappings whose external address is none of these.
    pub(super) fn remove_elsewhere(&mut self, pool: &[IpAddr]) {
        let outside = self.by_outside.iter().filter(|((_, outside), _)| !pool.contains(&outside.ip()));
        let ids: Vec<MappingId> = outside.map(|(_, id)| *id).collect();
        for id in ids {
            self.remove(id);
        }
    }

    /// A packet passes by this mapping. `remote` is the far end.
    pub(super) fn touch(
        &mut self,
        id: MappingId,
        remote: SocketAddr,
        flow: Flow,
        way: Way,
        config: &NatConfig,
        now: Instant,
    ) -> Result<(), Drop> {
        let (protocol, flags, timeouts) = (flow.protocol, flow.flags, &config.timeouts);
        let is_tcp = protocol == Protocol::Tcp;
        let counts = is_tcp || way == Way::Out || config.inbound_refreshes;
        if !counts {
            return Ok(());
        }
        let known = self.sessions.get_mut(&(id, remote)).filter(|session| session.is_alive(now));
        let is_new = known.is_none();
        let session = match known {
            Some(session) => {
                session.see(protocol, way, flags, timeouts, now);
                *session
            }
            None => Session::new(protocol, way, flags, timeouts, now),
        };
        let expires = session.expires;
        self.earliest = Some(self.earliest.map_or(expires, |earliest| earliest.min(expires)));
        // A closed connection shortens a mapping's life, so TCP's is found anew.
        let others = self.sessions_of(id).map(|(_, session)| session.expires).filter(|_| is_tcp).max();
        if let Some(mapping) = self.mappings.get_mut(id.0 as usize).and_then(Option::as_mut) {
            let others = others.unwrap_or(if is_tcp { expires } else { mapping.expires });
            mapping.expires = expires.max(others);
        }
        // A stranger's datagram keeps a mapping alive, but opens no filter.
        if is_new && (is_tcp || way == Way::Out) {
            self.sweep_if_due(self.sessions.len() >= config.sessions_max, now);
            if self.sessions.len() >= config.sessions_max {
                return Err(Drop::TableFull);
            }
            self.sessions.insert((id, remote), session);
        }
        Ok(())
    }

    /// It stays until then, whoever talks; `None`: only as long as somebody does.
    pub(super) fn keep(&mut self, id: MappingId, until: Option<Instant>) {
        if let Some(mapping) = self.mappings.get_mut(id.0 as usize).and_then(Option::as_mut) {
            mapping.explicit = until;
            let ends = until.unwrap_or(mapping.expires);
            self.earliest = Some(self.earliest.map_or(ends, |earliest| earliest.min(ends)));
        }
    }

    /// None of this internal address's mappings stays for longer than somebody talks.
    pub(super) fn keep_none_of(&mut self, protocol: Protocol, inside: IpAddr) {
        let at = |port| (protocol, SocketAddr::new(inside, port), Part::Any);
        let range = self.by_inside.range(at(0)..=at(u16::MAX));
        let ids: Vec<MappingId> =
            range.filter(|((.., part), _)| *part == Part::Any).map(|(_, id)| *id).collect();
        for id in ids {
            self.keep(id, None);
        }
    }

    /// Whether the inside has sent to this remote endpoint, or to as much of it as counts.
    pub(super) fn has_session(&self, id: MappingId, remote: SocketAddr, by: Behavior, now: Instant) -> bool {
        match by {
            Behavior::EndpointIndependent => true,
            Behavior::AddressAndPortDependent => {
                self.sessions.get(&(id, remote)).is_some_and(|session| session.is_alive(now))
            }
            Behavior::AddressDependent => {
                let at = |port| (id, SocketAddr::new(remote.ip(), port));
                self.sessions.range(at(0)..=at(u16::MAX)).any(|(_, session)| session.is_alive(now))
            }
        }
    }

    fn sessions_of(&self, id: MappingId) -> impl Iterator<Item = (SocketAddr, &Session)> {
        let first = (id, SocketAddr::from(([0, 0, 0, 0], 0)));
        let end = (MappingId(id.0 + 1), SocketAddr::from(([0, 0, 0, 0], 0)));
        self.sessions.range(first..end).map(|((_, remote), session)| (*remote, session))
    }

    /// Sweeps out the dead where that may help: if there is no room, or if there are twice as many entries as were left
    /// the last time.
    fn sweep_if_due(&mut self, is_full: bool, now: Instant) {
        let entries = self.by_outside.len() + self.sessions.len();
        let may_help = self.earliest.is_some_and(|earliest| earliest <= now);
        if may_help && (is_full || entries >= self.sweep_at.max(SWEEP_MIN)) {
            self.sweep(now);
            self.sweep_at = (self.by_outside.len() + self.sessions.len()) * 2;
        }
    }

    fn sweep(&mut self, now: Instant) {
        let dead: Vec<MappingId> =
            self.by_outside.values().copied().filter(|id| self.alive(*id, now).is_none()).collect();
        for id in dead {
            self.remove(id);
        }
        self.sessions.retain(|_, session| session.is_alive(now));
        let explicit = self.mappings.iter().flatten().filter_map(|mapping| mapping.explicit);
        let mappings = self.mappings.iter().flatten().map(|mapping| mapping.expires);
        let sessions = self.sessions.values().map(|session| session.expires);
        self.earliest = sessions.chain(mappings).chain(explicit).filter(|at| *at > now).min();
    }
}
