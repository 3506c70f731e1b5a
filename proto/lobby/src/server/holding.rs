//! Signals between two members of a lobby, and why one may have to wait.
//!
//! First, reflexive candidates wait for those of the other side, and are let go together.
//!
//! ```text
//!   Ada: srflx ─────────────►│ held │                   a check that comes to a NAT before its own side has sent one may cost
//!   Ada: relay ─────────────►│ held │                   the mapping (Linux moves it to another port); told at the same time,
//!   Bob: srflx ─────────────►│ both │► Bob, Ada          both open their NATs at the same time
//! ```
//!
//! A relayed candidate goes behind: alone it would be tried first, and some stay with the first way that works (Firefox,
//! see docs/decisions/0013). Only once for a link, and not for long: whoever names a relay is taken to have looked for
//! reflexive ones (a busy Chromium may find them later); whoever has neither says so (`end-of-candidates`), or has
//! [`HOLD_WITHIN`](super::limits).
//!
//! Then, while the receiver is behind in reading, all signals for it wait, at the sender's expense: what is more than the sender
//! may have waiting is refused, and the receiver is never cut for it.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use serde_json::value::RawValue;
use twocan_base::Spent;

use super::limits::{BACKLOG_BYTES_MAX, BACKLOG_SMALL_BYTES, FRAME_OVERHEAD, HELD_MAX, RETRY_AFTER};
use super::lobby::LobbyId;
use super::timers::Timer;
use super::{Lobbies, Refusal};
use crate::wire::names::{PeerId, SessionId};
use crate::wire::{Class, Kind, Passed, ServerMessage, Signal};

/// What one member has to say to another.
pub(super) struct Held {
    kind: Kind,
    class: Option<Class>,
    data: Option<Box<RawValue>>,
}

impl Held {
    fn new(signal: &Signal<'_>) -> Self {
        Self { kind: signal.kind, class: signal.class, data: signal.data.map(RawValue::to_owned) }
    }

    fn cost(&self) -> usize {
        FRAME_OVERHEAD + self.data.as_ref().map_or(0, |data| data.get().len())
    }
}

/// One direction of a link.
#[derive(Default)]
struct Direction {
    /// A candidate came that a server gave, or the word that none will.
    has_said: bool,
    has_waited: bool,
    /// For the other side's reflexive candidates.
    waiting: Vec<Held>,
    /// When it is let go whatever the other side does.
    until: Option<Instant>,
    /// For the receiver to read.
    backlog: VecDeque<Held>,
    /// What both cost, and for whose household that is counted.
    bytes: usize,
    payer: Option<IpAddr>,
    /// What was said lately, bytes.
    spent: Option<Spent>,
}

/// The links of one lobby: who says it, and to whom.
#[derive(Default)]
pub(super) struct Holds(BTreeMap<(PeerId, PeerId), Direction>);

/// What is no longer counted for a household.
type Freed = Vec<(IpAddr, usize)>;

impl Holds {
    /// The two are linked anew. What they have spent they have spent.
    pub fn begin(&mut self, one: PeerId, other: PeerId) -> Freed {
        let pairs = [(one, other), (other, one)].into_iter();
        pairs
            .filter_map(|pair| {
                let older = self.0.remove(&pair)?;
                self.0.insert(pair, Direction { spent: older.spent, ..Direction::default() });
                Some((older.payer?, older.bytes))
            })
            .collect()
    }

    /// Someone is gone. What it has spent is remembered while the lobby lives, so that it cannot be had anew by coming back.
    pub fn forget(&mut self, peer: PeerId, now: Instant) -> Freed {
        let gone = self.0.iter_mut().filter(|((from, to), _)| *from == peer || *to == peer);
        let freed = gone.filter_map(|(_, direction)| {
            let spent = direction.spent;
            let older = std::mem::replace(direction, Direction { spent, ..Direction::default() });
            Some((older.payer?, older.bytes))
        });
        let freed = freed.collect();
        self.0.retain(|(from, to), direction| {
            let is_there = *from != peer && *to != peer;
            is_there || direction.spent.is_some_and(|spent| !spent.is_full(now))
        });
        freed
    }

    /// Everything that waits is dropped.
    pub fn freed(&self) -> Freed {
        self.0.values().filter_map(|direction| Some((direction.payer?, direction.bytes))).collect()
    }

    /// Takes a signal, if it has to wait for the other side's; and says whether the other direction may be let go now.
    fn take(&mut self, (from, to): (PeerId, PeerId), signal: &Signal<'_>) -> (bool, bool) {
        let class = signal.class.filter(|_| signal.kind == Kind::Candidate);
        let is_reflexive = matches!(class, Some(Class::Srflx | Class::Prflx));
        if !is_reflexive && class != Some(Class::Relay) && signal.kind != Kind::EndOfCandidates {
            return (false, false);
        }
        let other_has_said = self.0.get(&(to, from)).is_some_and(|direction| direction.has_said);
        let direction = self.0.entry((from, to)).or_default();
        let is_first = !std::mem::replace(&mut direction.has_said, true);
        // What follows one that waits goes behind it.
        let waits = match direction.waiting.len() {
            0 => is_reflexive && !other_has_said && !direction.has_waited,
            waiting => waiting < HELD_MAX,
        };
        direction.has_waited |= waits;
        if waits {
            let held = Held::new(signal);
            direction.bytes += held.cost();
            direction.waiting.push(held);
        }
        (waits, is_first)
    }

    fn release(&mut self, pair: (PeerId, PeerId)) -> (Vec<Held>, Option<Instant>) {
        let Some(direction) = self.0.get_mut(&pair) else { return (Vec::new(), None) };
        let waiting = std::mem::take(&mut direction.waiting);
        direction.bytes -= waiting.iter().map(Held::cost).sum::<usize>();
        (waiting, direction.until.take())
    }
}

impl Lobbies {
    /// Whether `from` may say so much more to the other: within the pace of one direction, and within what may wait there.
    pub(super) fn admit_signal(
        &mut self,
        id: LobbyId,
        pair: (PeerId, PeerId),
        sender: SessionId,
        signal: &Signal<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(session) = self.sessions.get(&sender) else { return Ok(()) };
        let Some(lobby) = self.lobbies.get_mut(&id) else { return Ok(()) };
        let cost = FRAME_OVERHEAD + signal.data.map_or(0, |data| data.get().len());
        let direction = lobby.holds.0.entry(pair).or_default();
        let after = direction.bytes + cost;
        let fits = after <= BACKLOG_SMALL_BYTES
            || (after <= BACKLOG_BYTES_MAX && self.addresses.bytes.fits(session.address, cost as u64));
        if !fits {
            return Err(Refusal::later(RETRY_AFTER));
        }
        let rate = self.limits.signal_bytes;
        let spent = direction.spent.get_or_insert(Spent::nothing(now));
        spent.spend(cost as u32, rate, now).map_err(Refusal::later)?;
        direction.payer = match (direction.bytes, direction.payer) {
            (1.., Some(payer)) => Some(payer),
            _ => Some(session.address),
        };
        Ok(())
    }

    /// Keeps a signal back, if it has to wait for the other side's. What it frees goes out before it.
    pub(super) fn hold(
        &mut self,
        id: LobbyId,
        (from, to): (PeerId, PeerId),
        signal: &Signal<'_>,
        now: Instant,
    ) -> bool {
        let within = self.limits.hold;
        let Some(lobby) = self.lobbies.get_mut(&id).filter(|_| !within.is_zero()) else { return false };
        let (is_held, frees) = lobby.holds.take((from, to), signal);
        if is_held && let Some(direction) = lobby.holds.0.get_mut(&(from, to)) {
            if let Some((payer, held)) = direction.payer.zip(direction.waiting.last()) {
                self.addresses.bytes.take_surely(payer, held.cost() as u64);
            }
            if direction.until.is_none() {
                direction.until = Some(now + within);
                self.timers.set(Timer::Hold(id, from, to), now + within);
            }
        }
        if frees {
            self.let_go(id, to, from);
        }
        is_held
    }

    /// What `from` was kept from saying to `to` is said now.
    pub(super) fn let_go(&mut self, id: LobbyId, from: PeerId, to: PeerId) {
        let Some(lobby) = self.lobbies.get_mut(&id) else { return };
        let (waiting, until) = lobby.holds.release((from, to));
        let payer = lobby.holds.0.get(&(from, to)).and_then(|direction| direction.payer);
        self.timers.clear(Timer::Hold(id, from, to), until);
        for held in waiting {
            if let Some(payer) = payer {
                self.addresses.bytes.give(payer, held.cost() as u64);
            }
            self.deliver(id, (from, to), held);
        }
    }

    /// Passes a signal on, or has it wait for the receiver to read.
    pub(super) fn pass_on(&mut self, id: LobbyId, pair: (PeerId, PeerId), signal: &Signal<'_>) {
        match self.reader(id, pair) {
            Some(session) => {
                let Signal { kind, class, data, .. } = *signal;
                self.tell(session, &ServerMessage::Signal(Passed { from: pair.0, kind, class, data }));
            }
            None => self.wait(id, pair, Held::new(signal)),
        }
    }

    fn deliver(&mut self, id: LobbyId, pair: (PeerId, PeerId), held: Held) {
        match self.reader(id, pair) {
            Some(session) => self.tell_signal(session, pair.0, &held),
            None => self.wait(id, pair, held),
        }
    }

    /// The session of a pair's receiver, if a signal may go there at once.
    fn reader(&self, id: LobbyId, (from, to): (PeerId, PeerId)) -> Option<SessionId> {
        let lobby = self.lobbies.get(&id)?;
        let session = lobby.by_peer(to)?.session;
        let is_first = lobby.holds.0.get(&(from, to)).is_none_or(|direction| direction.backlog.is_empty());
        let is_told = self.sessions.get(&session)?.notices.is_empty();
        (is_first && is_told && !self.is_behind(session)).then_some(session)
    }

    fn wait(&mut self, id: LobbyId, pair: (PeerId, PeerId), held: Held) {
        let Some(lobby) = self.lobbies.get_mut(&id) else { return };
        let direction = lobby.holds.0.entry(pair).or_default();
        direction.bytes += held.cost();
        if let Some(payer) = direction.payer {
            self.addresses.bytes.take_surely(payer, held.cost() as u64);
        }
        direction.backlog.push_back(held);
    }

    /// What waits for a member to read goes out, one signal of each sender in turn, until it is behind again.
    pub(super) fn pass_on_waiting(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get(&id).filter(|session| session.notices.is_empty()) else {
            return;
        };
        let (to, lobby_id, turn) = (session.peer, session.lobby, session.seq as usize);
        let Some(lobby) = lobby_id.and_then(|lobby| self.lobbies.get(&lobby)) else { return };
        let waits = |from: &PeerId| {
            lobby.holds.0.get(&(*from, to)).is_some_and(|direction| !direction.backlog.is_empty())
        };
        let mut senders: VecDeque<PeerId> =
            lobby.members.iter().map(|member| member.peer).filter(waits).collect();
        // Not always the same one first.
        senders.rotate_left(turn % senders.len().max(1));
        while !self.is_behind(id)
            && let Some(from) = senders.pop_front()
        {
            let lobby = lobby_id.and_then(|lobby| self.lobbies.get_mut(&lobby));
            let Some(direction) = lobby.and_then(|lobby| lobby.holds.0.get_mut(&(from, to))) else {
                continue;
            };
            let Some(held) = direction.backlog.pop_front() else { continue };
            direction.bytes -= held.cost();
            if let Some(payer) = direction.payer {
                self.addresses.bytes.give(payer, held.cost() as u64);
            }
            self.tell_signal(id, from, &held);
            senders.push_back(from);
        }
    }

    fn tell_signal(&mut self, session: SessionId, from: PeerId, held: &Held) {
        let Held { kind, class, data } = held;
        let passed = Passed { from, kind: *kind, class: *class, data: data.as_deref() };
        self.tell(session, &ServerMessage::Signal(passed));
    }

    /// What waited in a lobby, and was dropped, is no longer counted.
    pub(super) fn free(&mut self, freed: Freed) {
        for (payer, bytes) in freed {
            self.addresses.bytes.give(payer, bytes as u64);
        }
    }
}
