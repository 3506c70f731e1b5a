//! What is due, and when. Each timer is in the table at most once: whoever sets it keeps its time and clears it.

use std::collections::BTreeSet;
use std::time::Instant;

use super::Lobbies;
use super::lobby::LobbyId;
use crate::wire::names::{AppName, ClientId, PeerId, SessionId};

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// `hello` has not come.
    Hello(ClientId),
    /// A cut session has not come back.
    Session(SessionId),
    /// A member has been without a socket for a while.
    Away(SessionId),
    /// A member's ICE servers are half used up.
    Renew(SessionId),
    /// A lobby has reached its longest life.
    Lobby(LobbyId),
    /// Not every pair of a sealed lobby is linked.
    Seal(LobbyId),
    /// What the first has to say to the second has waited long enough.
    Hold(LobbyId, PeerId, PeerId),
    /// Watchers of this application are owed what changed.
    List(AppName),
    /// Shutting down has taken long enough.
    Drain,
}

#[derive(Default)]
pub(super) struct Timers(BTreeSet<(Instant, Timer)>);

impl Timers {
    pub fn next(&self) -> Option<Instant> {
        self.0.first().map(|(at, _)| *at)
    }

    pub fn set(&mut self, timer: Timer, at: Instant) {
        self.0.insert((at, timer));
    }

    pub fn clear(&mut self, timer: Timer, at: Option<Instant>) {
        if let Some(at) = at {
            self.0.remove(&(at, timer));
        }
    }

    fn pop_due(&mut self, now: Instant) -> Option<Timer> {
        (self.next()? <= now).then(|| self.0.pop_first())?.map(|(_, timer)| timer)
    }
}

impl Lobbies {
    /// Does what is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                Timer::Hello(client) => self.hello_is_late(client),
                Timer::Session(session) => self.session_is_lost(session, now),
                Timer::Away(session) => self.is_away(session, now),
                Timer::Renew(session) => self.renew_grant(session),
                Timer::Lobby(lobby) => self.lobby_is_old(lobby, now),
                Timer::Seal(lobby) => self.seal_is_late(lobby, now),
                Timer::Hold(lobby, from, to) => self.let_go(lobby, from, to),
                Timer::List(app) => self.tell_watchers(&app, now),
                Timer::Drain => self.drain_is_over(),
            }
        }
    }
}
