//! Reflexive candidates wait for those of the other side, and are let go together.
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

use std::collections::BTreeMap;
use std::time::Instant;

use serde_json::value::RawValue;

use super::Lobbies;
use super::limits::HELD_MAX;
use super::lobby::LobbyId;
use super::timers::Timer;
use crate::wire::names::PeerId;
use crate::wire::{Class, Kind, Passed, ServerMessage, Signal};

/// What one member has to say to another, and may not yet.
pub(super) struct Held {
    kind: Kind,
    class: Option<Class>,
    data: Option<Box<RawValue>>,
}

/// One direction of a link.
#[derive(Default)]
struct Direction {
    /// A candidate came that a server gave, or the word that none will.
    has_said: bool,
    has_waited: bool,
    waiting: Vec<Held>,
    /// When it is let go whatever the other side does.
    until: Option<Instant>,
}

/// The links of one lobby: who says it, and to whom.
#[derive(Default)]
pub(super) struct Holds(BTreeMap<(PeerId, PeerId), Direction>);

impl Holds {
    /// The two are linked anew.
    pub fn begin(&mut self, one: PeerId, other: PeerId) {
        for pair in [(one, other), (other, one)] {
            self.0.remove(&pair);
        }
    }

    /// Someone is gone.
    pub fn forget(&mut self, peer: PeerId) {
        self.0.retain(|(from, to), _| *from != peer && *to != peer);
    }

    /// Takes a signal, if it has to wait; and says whether the other direction may be let go now.
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
            let data = signal.data.map(RawValue::to_owned);
            direction.waiting.push(Held { kind: signal.kind, class: signal.class, data });
        }
        (waits, is_first)
    }

    fn release(&mut self, pair: (PeerId, PeerId)) -> (Vec<Held>, Option<Instant>) {
        let Some(direction) = self.0.get_mut(&pair) else { return (Vec::new(), None) };
        (std::mem::take(&mut direction.waiting), direction.until.take())
    }
}

impl Lobbies {
    /// Keeps a signal back, if it has to wait. What it frees goes out before it.
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
        let Some(lobby) = self.lobbies.get_mut(&id) else { return is_held };
        if is_held
            && let Some(direction) = lobby.holds.0.get_mut(&(from, to))
            && direction.until.is_none()
        {
            direction.until = Some(now + within);
            self.timers.set(Timer::Hold(id, from, to), now + within);
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
        self.timers.clear(Timer::Hold(id, from, to), until);
        let Some(session) =
            self.lobbies.get(&id).and_then(|lobby| lobby.by_peer(to)).map(|member| member.session)
        else {
            return;
        };
        for Held { kind, class, data } in waiting {
            let passed = Passed { from, kind, class, data: data.as_deref() };
            self.tell(session, &ServerMessage::Signal(passed));
        }
    }
}
