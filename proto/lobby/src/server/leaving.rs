//! Ways out of a lobby: leave, kick, being lost, and the one it is all for: seal, complete, gone.

use std::borrow::Cow;
use std::time::Instant;

use twocan_base::Household;

use super::limits::{MISSING_MAX, SEAL_WITHIN, TICKET_LIFETIME};
use super::lobby::{Lobby, LobbyId, Member, Stage};
use super::notices::Notice;
use super::outside::{Close, ClosedWhy, Command, Event, Purpose};
use super::ticket::Ticket;
use super::timers::Timer;
use super::{Lobbies, Refusal};
use crate::wire::names::{PeerId, SessionId};
use crate::wire::{
    Complete, ErrorCode, Kick, LeftWhy, Removed, RemovedWhy, Sealed, ServerMessage, Unsealed, render,
};

impl Lobbies {
    pub(super) fn leave(&mut self, session: SessionId, id: u64, now: Instant) -> Result<(), Refusal> {
        self.lobby_of(session)?;
        self.reply(session, id, &ServerMessage::Ok);
        self.remove_member(session, LeftWhy::Left, now);
        Ok(())
    }

    pub(super) fn kick(
        &mut self,
        session: SessionId,
        id: u64,
        kick: &Kick<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let lobby = self.own_lobby(session)?;
        let peer = PeerId::parse(&kick.peer);
        let kicked =
            peer.and_then(|peer| self.lobbies.get(&lobby)?.by_peer(peer)).map(|member| member.session);
        let kicked = kicked.filter(|kicked| *kicked != session).ok_or(ErrorCode::NoSuchPeer)?;
        if kick.ban {
            self.ban(lobby, kicked, now);
        }
        self.reply(session, id, &ServerMessage::Ok);
        self.tell(kicked, &ServerMessage::Removed(Removed { why: RemovedWhy::Kicked }));
        self.remove_member(kicked, LeftWhy::Kicked, now);
        Ok(())
    }

    /// A member is not to come back: neither it, nor whoever comes from its household, unless another member is there too.
    fn ban(&mut self, lobby_id: LobbyId, kicked: SessionId, now: Instant) {
        let unix = self.unix(now);
        let Some((peer, address)) = self.sessions.get(&kicked).map(|session| (session.peer, session.address))
        else {
            return;
        };
        let Some(lobby) = self.lobbies.get_mut(&lobby_id) else { return };
        let household = Household::from(address);
        let mut others = lobby.members.iter().filter(|member| member.session != kicked);
        let is_shared = others.any(|member| {
            let other = self.sessions.get(&member.session);
            other.is_some_and(|other| Household::from(other.address) == household)
        });
        lobby.banned.add(peer, (!is_shared).then_some(address));
        // Of an open lobby, too: with its ticket it could come back once the lobby is gone, and open it again.
        let expires = lobby.tickets_end.unwrap_or(unix + TICKET_LIFETIME.as_secs());
        let bans = if lobby.is_returned() { &mut self.bans } else { &mut self.open_bans };
        bans.add(lobby.origin, peer, expires, unix);
    }

    /// Takes a session out of its lobby, if it is in one, and tells the others.
    pub(super) fn remove_member(&mut self, id: SessionId, why: LeftWhy, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let Some(lobby_id) = session.lobby.take() else { return };
        session.notices.clear();
        self.timers.clear(Timer::Renew(id), session.renew_at.take());
        let Some(lobby) = self.lobbies.get_mut(&lobby_id) else { return };
        let Some(at) = lobby.members.iter().position(|member| member.session == id) else { return };
        let Member { peer, .. } = lobby.members.remove(at);
        for member in &mut lobby.members {
            member.linked.remove(&peer);
        }
        let freed = lobby.holds.forget(peer, now);
        // Whoever returned holds the credentials of a completed lobby already, and its links may be well.
        if !lobby.is_returned() {
            self.out.commands.push_back(Command::Revoke { group: lobby.group, peer });
        }
        let follower = match lobby.follower() {
            None => {
                self.free(freed);
                return self.close_lobby(lobby_id, ClosedWhy::Empty, now);
            }
            Some(next) => (lobby.owner == id).then_some(next),
        };
        if let Some(owner) = follower {
            lobby.owner = owner;
        }
        self.free(freed);
        self.notify_others(lobby_id, None, &Notice::Left(peer, why));
        if follower.is_some() {
            self.notify_others(lobby_id, None, &Notice::Owner);
        }
        self.relist(lobby_id, now);
        self.settle(lobby_id, now);
    }

    pub(super) fn seal(&mut self, session: SessionId, id: u64, now: Instant) -> Result<(), Refusal> {
        let lobby_id = self.own_lobby(session)?;
        match self.lobbies.get(&lobby_id) {
            Some(lobby) if lobby.stage != Stage::Open => return Err(ErrorCode::Sealed.into()),
            Some(lobby) if lobby.members.len() < 2 => return Err(ErrorCode::Alone.into()),
            _ => {}
        }
        self.reply(session, id, &ServerMessage::Ok);
        self.seal_until(lobby_id, Some(now + SEAL_WITHIN));
        let within = SEAL_WITHIN.as_secs();
        let body = render(&ServerMessage::Sealed(Sealed { within }));
        self.notify_others(lobby_id, None, &Notice::Stage(body.into()));
        self.relist(lobby_id, now);
        self.settle(lobby_id, now);
        Ok(())
    }

    /// The lobby is sealed, and until when.
    pub(super) fn seal_until(&mut self, id: LobbyId, until: Option<Instant>) {
        let Some(lobby) = self.lobbies.get_mut(&id) else { return };
        let before = std::mem::replace(&mut lobby.stage, Stage::Sealed { until });
        if let Stage::Sealed { until } = before {
            self.timers.clear(Timer::Seal(id), until);
        }
        if let Some(until) = until {
            self.timers.set(Timer::Seal(id), until);
        }
    }

    pub(super) fn seal_is_late(&mut self, lobby: LobbyId, now: Instant) {
        self.unseal(lobby, now);
    }

    /// The lobby opens again, and its members learn which pairs are not linked.
    pub(super) fn unseal(&mut self, id: LobbyId, now: Instant) {
        self.seal_until(id, None);
        let Some(lobby) = self.lobbies.get_mut(&id) else { return };
        lobby.stage = Stage::Open;
        let body = render(&ServerMessage::Unsealed(Unsealed { missing: lobby.missing(MISSING_MAX) }));
        self.notify_others(id, None, &Notice::Stage(body.into()));
        self.relist(id, now);
    }

    /// Looks whether a lobby that is on its way out can take the next step.
    pub(super) fn settle(&mut self, id: LobbyId, now: Instant) {
        let Some(lobby) = self.lobbies.get_mut(&id) else { return };
        let alone = lobby.members.len() < 2;
        match lobby.stage {
            Stage::Open => {}
            _ if alone && lobby.is_returned() => self.seal_until(id, None),
            _ if alone => self.unseal(id, now),
            Stage::Sealed { .. } if lobby.missing(1).is_empty() => {
                self.seal_until(id, None);
                self.ask_farewells(id);
            }
            Stage::Completing if lobby.members.iter().all(|member| member.farewell.is_some()) => {
                self.complete(id, now);
            }
            Stage::Sealed { .. } | Stage::Completing => {}
        }
    }

    fn ask_farewells(&mut self, id: LobbyId) {
        let Some(lobby) = self.lobbies.get_mut(&id) else { return };
        lobby.stage = Stage::Completing;
        for member in &mut lobby.members {
            member.farewell = None;
        }
        let members: Vec<SessionId> = lobby.members.iter().map(|member| member.session).collect();
        for session in members {
            self.ask_grant(session, Purpose::Completion);
        }
    }

    /// Everyone gets a ticket and is let go; the lobby is gone.
    fn complete(&mut self, id: LobbyId, now: Instant) {
        let Some(lobby) = self.take_lobby(id, ClosedWhy::Completed, now) else { return };
        let expires = self.unix(now) + TICKET_LIFETIME.as_secs();
        // Of a lobby that came back, whose it was, whether it came back or not.
        let owner = lobby.before.unwrap_or(lobby.owner_peer());
        let peers: Vec<PeerId> = lobby.members.iter().map(|member| member.peer).collect();
        for member in &lobby.members {
            let ticket = Ticket {
                app: lobby.app.clone(),
                code: lobby.code,
                group: lobby.group,
                peer: member.peer,
                members: peers.clone(),
                owner: Some(owner),
                expires,
                open: None,
            };
            let ticket = ticket.sign(&self.keys.tickets);
            if let Some(ice) = &member.farewell {
                let complete = Complete { ticket: (&ticket).into(), ice: Cow::Borrowed(ice) };
                self.tell(member.session, &ServerMessage::Complete(complete));
            }
            let Some(session) = self.sessions.get_mut(&member.session) else { continue };
            session.lobby = None;
            session.finished = true;
            session.notices.clear();
            self.timers.clear(Timer::Renew(member.session), session.renew_at.take());
            if let Some(client) = session.client {
                self.close(client, Close::Complete);
            }
        }
    }

    pub(super) fn lobby_is_old(&mut self, id: LobbyId, now: Instant) {
        let Some(lobby) = self.lobbies.get(&id) else { return };
        let members: Vec<SessionId> = lobby.members.iter().map(|member| member.session).collect();
        for session in members {
            self.tell(session, &ServerMessage::Removed(Removed { why: RemovedWhy::LobbyClosed }));
            if let Some(session_state) = self.sessions.get_mut(&session) {
                session_state.lobby = None;
                session_state.notices.clear();
                self.timers.clear(Timer::Renew(session), session_state.renew_at.take());
            }
        }
        self.close_lobby(id, ClosedWhy::Expired, now);
    }

    /// The lobby ends without completing, and its credentials with it.
    fn close_lobby(&mut self, id: LobbyId, why: ClosedWhy, now: Instant) {
        if let Some(lobby) = self.take_lobby(id, why, now)
            && !lobby.is_returned()
        {
            self.out.commands.push_back(Command::CloseGroup { group: lobby.group });
        }
    }

    /// Takes a lobby out of every table.
    fn take_lobby(&mut self, id: LobbyId, why: ClosedWhy, now: Instant) -> Option<Lobby> {
        self.seal_until(id, None);
        let lobby = self.lobbies.remove(&id)?;
        self.timers.clear(Timer::Lobby(id), Some(lobby.ends_at));
        self.addresses.lobbies.give(lobby.opener, 1);
        self.addresses.bytes.give(lobby.opener, lobby.data.cost());
        self.free(lobby.holds.freed());
        if self.origins.get(&lobby.origin) == Some(&id) {
            self.origins.remove(&lobby.origin);
        }
        self.delist(&lobby.app, lobby.code, id, now);
        let life = Box::new(lobby.life.clone());
        let lived = now.saturating_duration_since(lobby.opened_at);
        self.out.event(Event::LobbyClosed { why, lived, life });
        Some(lobby)
    }
}
