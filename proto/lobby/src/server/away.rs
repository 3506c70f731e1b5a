//! Members whose socket is gone: the others are told, the seat waits, and what hangs on presence goes on without them.
//!
//! ```text
//! socket gone ── page unloaded: at once, else AWAY_AFTER ──► `away` ── OWNER_AWAY ──► the next member owns the lobby
//!                                                              └ resumed, or `return` ──► `back`      too long ──► `left`
//! ```

use std::time::{Duration, Instant};

use super::Lobbies;
use super::limits::{AWAY_AFTER, OWNER_AWAY, RELOAD_WITHIN, RESUME_WITHIN};
use super::notices::Notice;
use super::outside::{Command, Ended};
use super::timers::Timer;
use crate::wire::LeftWhy;
use crate::wire::names::SessionId;

impl Lobbies {
    /// A session has lost its socket: from now on it waits, and for how long.
    pub(super) fn begin_to_wait(&mut self, id: SessionId, how: Ended, now: Instant) {
        let is_scarce = self.addresses.sessions.is_scarce();
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let waits = match how {
            _ if session.lobby.is_none() => RESUME_WITHIN,
            Ended::Unloaded => RELOAD_WITHIN.min(self.limits.away),
            // Others want the place.
            _ if is_scarce => RESUME_WITHIN.min(self.limits.away),
            _ => self.limits.away,
        };
        session.lost_at = Some(now + waits);
        self.timers.set(Timer::Session(id), now + waits);
        if session.lobby.is_some() {
            if how == Ended::Unloaded {
                self.end_relaying(id);
            }
            self.away_after(id, if how == Ended::Unloaded { Duration::ZERO } else { AWAY_AFTER }, now);
        }
    }

    /// A page that is closed has no links any more: what was allocated for it, and what others may send to its address, ends.
    /// `resume` and `return` grant anew.
    fn end_relaying(&mut self, id: SessionId) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(lobby) = session.lobby.and_then(|lobby| self.lobbies.get(&lobby)) else { return };
        // The credentials of a completed lobby are never taken back.
        if !lobby.is_returned() {
            self.timers.clear(Timer::Renew(id), session.renew_at.take());
            self.out.commands.push_back(Command::Revoke { group: lobby.group, peer: session.peer });
        }
    }

    fn away_after(&mut self, id: SessionId, wait: Duration, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let before = session.away_at.replace(now + wait);
        self.timers.clear(Timer::Away(id), before);
        self.timers.set(Timer::Away(id), now + wait);
        if wait.is_zero() {
            self.is_away(id, now);
        }
    }

    /// A member has been without a socket for long enough that others are told; or, told before, that another is to own the lobby.
    pub(super) fn is_away(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        self.timers.clear(Timer::Away(id), session.away_at.take());
        let Some(lobby_id) = session.lobby else { return };
        let Some(lobby) = self.lobbies.get_mut(&lobby_id) else { return };
        let is_owner = lobby.owner == id;
        let Some(member) = lobby.member_mut(id) else { return };
        if !std::mem::replace(&mut member.away, true) {
            let peer = member.peer;
            self.notify_others(lobby_id, Some(id), &Notice::Away(peer));
            self.relist(lobby_id, now);
            if is_owner {
                self.away_after(id, OWNER_AWAY, now);
            }
        } else if is_owner && let Some(next) = lobby.follower().filter(|next| *next != id) {
            lobby.owner = next;
            self.notify_others(lobby_id, None, &Notice::Owner);
        }
    }

    /// A session has a socket again.
    pub(super) fn is_back(&mut self, id: SessionId, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        self.timers.clear(Timer::Session(id), session.lost_at.take());
        self.timers.clear(Timer::Away(id), session.away_at.take());
        let Some(lobby_id) = session.lobby else { return };
        let Some(lobby) = self.lobbies.get_mut(&lobby_id) else { return };
        let Some(member) = lobby.member_mut(id) else { return };
        if std::mem::replace(&mut member.away, false) {
            let peer = member.peer;
            self.notify_others(lobby_id, Some(id), &Notice::Back(peer));
            self.relist(lobby_id, now);
        }
    }

    /// A household that has all the sessions it may have, and wants one more, gives up the one that has been away longest.
    pub(super) fn give_up_the_longest_away(&mut self, household: twocan_base::Household, now: Instant) {
        let theirs = self.sessions.iter().filter(|(_, session)| household == session.address.into());
        let waiting = theirs.filter_map(|(id, session)| Some((session.lost_at?, *id)));
        if let Some((_, id)) = waiting.min() {
            self.end_session(id, LeftWhy::Lost, now);
        }
    }
}
