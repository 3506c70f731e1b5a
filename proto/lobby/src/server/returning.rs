//! Coming back by ticket: to the seat that one had, in a lobby that is there, or opened again, or made anew after it completed.

use std::borrow::Cow;
use std::time::Instant;

use super::limits::{SEAL_WITHIN, SIZE_MIN, TICKET_LIFETIME};
use super::lobby::{Data, Lobby, LobbyId, Newcomer, Stage};
use super::notices::Notice;
use super::ticket::{Opened, Ticket};
use super::{Lobbies, Refusal};
use crate::server::addresses::Paced;
use crate::wire::names::SessionId;
use crate::wire::{ErrorCode, Joined, Return, ServerMessage, render};

impl Lobbies {
    pub(super) fn come_back(
        &mut self,
        session: SessionId,
        id: u64,
        request: &Return<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.may_enter(session)?;
        let ticket = Ticket::verify(&request.ticket, &self.keys.tickets, self.unix(now));
        let ticket = ticket.ok_or(ErrorCode::BadTicket)?;
        if self.sessions.get(&session).is_none_or(|session| session.app != ticket.app) {
            return Err(ErrorCode::BadTicket.into());
        }
        let bans = if ticket.open.is_some() { &self.open_bans } else { &self.bans };
        if bans.is_barred(ticket.group, ticket.peer) {
            return Err(ErrorCode::Kicked.into());
        }
        let who = Newcomer::new(request.me, request.run);
        let says_nothing = request.me.is_none();
        match ticket.open {
            None => self.come_back_completed(session, id, &ticket, who, now),
            Some(opened) => {
                let data = Data::read(request.data, &self.keys).ok_or(ErrorCode::BadValue)?;
                let seat = self.lobby_of_ticket(&ticket, false);
                let before = seat.and_then(|lobby| self.lobbies.get(&lobby)?.by_peer(ticket.peer));
                let me = before.filter(|_| says_nothing).map(|member| member.me.clone());
                let who = Newcomer { me: me.unwrap_or(who.me), ..who };
                self.come_back_open(session, id, &ticket, (opened, data), who, now)
            }
        }
    }

    /// To a completed lobby, made anew, or as the first.
    fn come_back_completed(
        &mut self,
        session: SessionId,
        id: u64,
        ticket: &Ticket,
        who: Newcomer,
        now: Instant,
    ) -> Result<(), Refusal> {
        let mut found = self.lobby_of_ticket(ticket, true);
        let Some(state) = self.sessions.get(&session) else { return Ok(()) };
        if let Some(lobby) = found {
            self.pace_entry(lobby, state.address, now)?;
        }
        if found.is_none() {
            self.may_open(session)?;
        } else if let Some(older) = self.holder(found, ticket.peer) {
            // The same member again, whose older session has not been missed yet. If it was alone, the lobby went too.
            self.supersede(older, now);
            found = self.lobby_of_ticket(ticket, true);
        }
        if let Some(state) = self.sessions.get_mut(&session) {
            state.peer = ticket.peer;
        }
        let lobby = found.unwrap_or_else(|| self.make_anew(session, ticket, now));
        self.enter(session, id, lobby, who, now);
        let here = self.lobbies.get(&lobby).map_or(0, |lobby| lobby.members.len());
        self.seal_until(lobby, (here > 1).then(|| now + SEAL_WITHIN));
        Ok(())
    }

    /// To a lobby that has not completed: to the seat that waits, or a free one, or to the lobby opened again.
    fn come_back_open(
        &mut self,
        session: SessionId,
        id: u64,
        ticket: &Ticket,
        (opened, data): (Opened, Data),
        who: Newcomer,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(lobby) = self.lobby_of_ticket(ticket, false) else {
            if self.origins.contains_key(&ticket.group) {
                // It has completed since, and those who were in have tickets that say so.
                return Err(ErrorCode::Sealed.into());
            }
            return self.open_again(session, id, ticket, (opened, data), who, now);
        };
        let Some(state) = self.sessions.get(&session) else { return Ok(()) };
        if let Some(older) = self.holder(Some(lobby), ticket.peer) {
            self.pace_entry(lobby, state.address, now)?;
            self.take_seat(session, id, (lobby, older), who, now);
            return Ok(());
        }
        let Some(state) = self.sessions.get_mut(&session) else { return Ok(()) };
        let before = std::mem::replace(&mut state.peer, ticket.peer);
        let admitted = self.admit(session, id, lobby, who, now);
        if admitted.is_err()
            && let Some(state) = self.sessions.get_mut(&session)
        {
            state.peer = before;
        }
        admitted
    }

    fn lobby_of_ticket(&self, ticket: &Ticket, is_returned: bool) -> Option<LobbyId> {
        let id = *self.origins.get(&ticket.group)?;
        self.lobbies.get(&id).filter(|lobby| lobby.is_returned() == is_returned).map(|_| id)
    }

    /// A member's newer session in place of the one before, at the same place in the lobby. Its links begin anew.
    fn take_seat(
        &mut self,
        id_of_session: SessionId,
        id: u64,
        (lobby_id, older): (LobbyId, SessionId),
        who: Newcomer,
        now: Instant,
    ) {
        if let Some(state) = self.sessions.get_mut(&older) {
            state.lobby = None;
        }
        self.supersede(older, now);
        self.unwatch(id_of_session);
        let Some(session) = self.sessions.get_mut(&id_of_session) else { return };
        let Some(lobby) = self.lobbies.get_mut(&lobby_id) else { return };
        let is_owner = lobby.owner == older;
        let Some(member) = lobby.member_mut(older) else { return };
        let peer = member.peer;
        (member.session, member.run, member.away) = (id_of_session, who.run, false);
        (member.granted, member.farewell) = (false, None);
        member.me = who.me;
        member.linked.clear();
        session.lobby = Some(lobby_id);
        session.peer = peer;
        session.notices.clear();
        if is_owner {
            lobby.owner = id_of_session;
        }
        for other in &mut lobby.members {
            other.linked.remove(&peer);
        }
        let is_completing = lobby.stage == Stage::Completing;
        let freed = lobby.holds.forget(peer, now);
        self.free(freed);
        self.tell_joined(id_of_session, id, lobby_id, now);
        self.notify_others(lobby_id, Some(id_of_session), &Notice::Back(peer));
        if is_completing {
            self.unseal(lobby_id, now);
        }
        self.relist(lobby_id, now);
        self.renew_grant(id_of_session);
    }

    /// A lobby that is gone, as it was opened, under its code where that is free.
    fn open_again(
        &mut self,
        session: SessionId,
        id: u64,
        ticket: &Ticket,
        (opened, data): (Opened, Data),
        who: Newcomer,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.may_open(session)?;
        let Some(state) = self.sessions.get_mut(&session) else { return Ok(()) };
        let opener = state.address;
        self.addresses.spend(opener, Paced::Opening, now).map_err(Refusal::later)?;
        state.peer = ticket.peer;
        let code = self.code_of(ticket);
        // The relay has been told that the group of before is closed.
        let group = self.ids.group();
        let Opened { size, public, password } = opened;
        let lobby = Lobby {
            origin: ticket.group,
            public,
            size,
            password,
            data,
            before: ticket.owner.filter(|owner| *owner != ticket.peer),
            ..Lobby::new((ticket.app.clone(), code), session, opener, group, now)
        };
        let lobby = self.found(lobby);
        self.enter(session, id, lobby, who, now);
        Ok(())
    }

    /// A completed lobby, made anew: sealed, unlisted, under its code where that is free.
    fn make_anew(&mut self, session: SessionId, ticket: &Ticket, now: Instant) -> LobbyId {
        let opener = self.sessions.get(&session).map(|session| session.address);
        let opener = opener.expect("the session was looked up just before");
        let code = self.code_of(ticket);
        self.found(Lobby {
            locked: true,
            size: ticket.members.len().max(SIZE_MIN as usize),
            stage: Stage::Sealed { until: None },
            tickets_end: Some(ticket.expires),
            before: ticket.owner,
            ..Lobby::new((ticket.app.clone(), code), session, opener, ticket.group, now)
        })
    }

    fn code_of(&mut self, ticket: &Ticket) -> crate::LobbyCode {
        match self.find(&ticket.app, ticket.code) {
            None => ticket.code,
            Some(_) => self.free_code(&ticket.app, false),
        }
    }

    /// The reply to whoever is in now, with the way back.
    pub(super) fn tell_joined(&mut self, session: SessionId, id: u64, lobby_id: LobbyId, now: Instant) {
        let Some(lobby) = self.lobbies.get(&lobby_id) else { return };
        let Some(peer) = lobby.member(session).map(|member| member.peer) else { return };
        // Who came back to a completed lobby holds a ticket already.
        let ticket = (!lobby.is_returned()).then(|| Ticket {
            app: lobby.app.clone(),
            code: lobby.code,
            group: lobby.origin,
            peer,
            members: vec![peer],
            owner: Some(lobby.owner_peer()),
            expires: self.unix(now) + TICKET_LIFETIME.as_secs(),
            open: Some(Opened { size: lobby.size, public: lobby.public, password: lobby.password }),
        });
        let ticket = ticket.map(|ticket| ticket.sign(&self.keys.tickets));
        let joined = Joined { peer, lobby: lobby.view(), ticket: ticket.as_deref().map(Cow::Borrowed) };
        let joined = render(&ServerMessage::Joined(joined));
        self.send(session, Some(id), &joined);
    }
}
