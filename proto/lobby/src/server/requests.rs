//! One frame of a session: is it new, is it within the pace, and which part of the machine does it.

use std::time::Instant;

use twocan_base::Rate;

use super::limits::{COSTLY_FRAMES, QUEUE_SMALL_BYTES, REFUSALS_MAX, RETRY_AFTER};
use super::lobby::{Data, LobbyId};
use super::notices::Notice;
use super::outside::{Close, Discard};
use super::pace::TooFast;
use super::{Lobbies, Refusal};
use crate::wire::names::{ClientId, SessionId};
use crate::wire::{ClientFrame, ClientMessage, ErrorCode, Me, ParseError, ServerMessage, Update};

impl Lobbies {
    pub(super) fn handle_frame(
        &mut self,
        session: SessionId,
        client: ClientId,
        frame: Result<ClientFrame<'_>, ParseError>,
        now: Instant,
    ) {
        let (id, cost) = match &frame {
            Ok(frame) => (frame.id, cost(&frame.message)),
            Err(error) => (id_of(*error), 1),
        };
        if let Some(seq) = frame.as_ref().ok().and_then(|frame| frame.ack) {
            if let Some(state) = self.sessions.get_mut(&session) {
                state.says(seq);
            }
            self.acknowledge(session, client, seq);
        }
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let rate = Rate::per_second(self.limits.frames_per_second, self.limits.frames_burst);
        let pace = state.pace.spend(cost, rate, REFUSALS_MAX, now);
        if pace == Err(TooFast::Enough) {
            return self.close(client, Close::TooManyRequests);
        }
        let hello = matches!(&frame, Ok(frame) if matches!(frame.message, ClientMessage::Hello(_)));
        if id <= state.received && id != 0 {
            return self.out.discard(Discard::Duplicate);
        }
        state.received = state.received.max(id);
        let done = match (pace, frame) {
            (Err(TooFast::Wait(wait)), _) => Err(Refusal::later(wait)),
            (Err(TooFast::Enough), _) => return,
            (Ok(()), Err(ParseError::Value { limit, .. })) => {
                Err(Refusal { sentence: limit, ..ErrorCode::BadValue.into() })
            }
            (Ok(()), Err(_)) => Err(ErrorCode::BadMessage.into()),
            (Ok(()), Ok(_)) if hello => Err(ErrorCode::BadMessage.into()),
            (Ok(()), Ok(frame)) => {
                self.may_ask(session, client).and_then(|()| self.dispatch(session, id, frame.message, now))
            }
        };
        if let Err(refusal) = done {
            self.refuse(session, id, refusal);
        }
    }

    pub(super) fn acknowledge(&mut self, session: SessionId, client: ClientId, seq: u64) {
        let queued = self.clients.get(&client).map_or(0, |client| client.queued);
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let freed = state.acknowledge(seq, queued);
        self.addresses.bytes.give(state.address, freed as u64);
    }

    /// Whether a session may ask for more: not while much waits for it to read and its household uses more than its share.
    fn may_ask(&self, session: SessionId, client: ClientId) -> Result<(), Refusal> {
        let queued = self.clients.get(&client).map_or(0, |client| client.queued);
        let Some(state) = self.sessions.get(&session) else { return Ok(()) };
        let is_small = queued <= QUEUE_SMALL_BYTES;
        if is_small || self.addresses.bytes.fits(state.address, QUEUE_SMALL_BYTES as u64) {
            Ok(())
        } else {
            Err(Refusal::later(RETRY_AFTER))
        }
    }

    fn dispatch(
        &mut self,
        session: SessionId,
        id: u64,
        message: ClientMessage<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        match message {
            ClientMessage::Hello(_) => Err(ErrorCode::BadMessage.into()),
            ClientMessage::Create(create) => self.create(session, id, &create, now),
            ClientMessage::Join(join) => self.join(session, id, &join, now),
            ClientMessage::Quick(quick) => self.quick(session, id, &quick, now),
            ClientMessage::Return(ticket) => self.come_back(session, id, &ticket, now),
            ClientMessage::List(list) => self.list(session, id, &list),
            ClientMessage::Unwatch => {
                self.unwatch(session);
                self.reply(session, id, &ServerMessage::Ok);
                Ok(())
            }
            ClientMessage::Update(update) => self.update(session, id, &update, now),
            ClientMessage::Me(me) => self.change_me(session, id, &me),
            ClientMessage::Kick(kick) => self.kick(session, id, &kick, now),
            ClientMessage::Leave => self.leave(session, id, now),
            ClientMessage::Seal => self.seal(session, id, now),
            ClientMessage::Signal(signal) => self.signal(session, &signal, now),
            ClientMessage::Linked(linked) => self.linked(session, &linked, now),
            ClientMessage::Failed(failed) => self.failed(session, &failed, now),
            ClientMessage::Ping => {
                self.reply(session, id, &ServerMessage::Pong);
                Ok(())
            }
        }
    }

    /// The lobby that the session is in.
    pub(super) fn lobby_of(&self, session: SessionId) -> Result<LobbyId, Refusal> {
        let lobby = self.sessions.get(&session).and_then(|session| session.lobby);
        lobby.ok_or_else(|| ErrorCode::NotInLobby.into())
    }

    /// The lobby that the session owns.
    pub(super) fn own_lobby(&self, session: SessionId) -> Result<LobbyId, Refusal> {
        let lobby = self.lobby_of(session)?;
        match self.lobbies.get(&lobby) {
            Some(found) if found.is_owner(session) => Ok(lobby),
            _ => Err(ErrorCode::NotOwner.into()),
        }
    }

    fn update(
        &mut self,
        session: SessionId,
        id: u64,
        update: &Update<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let lobby_id = self.own_lobby(session)?;
        let data = update.data.map(|raw| Data::read(Some(raw), &self.keys).ok_or(ErrorCode::BadValue));
        let data = data.transpose()?;
        if let Some(lobby) = self.lobbies.get_mut(&lobby_id) {
            if let Some(data) = data {
                let (before, after) = (lobby.data.cost(), data.cost());
                if after > before && !self.addresses.bytes.fits(lobby.opener, after - before) {
                    return Err(Refusal::later(RETRY_AFTER));
                }
                self.addresses.bytes.give(lobby.opener, before);
                self.addresses.bytes.take_surely(lobby.opener, after);
                lobby.data = data;
            }
            lobby.public = update.public.unwrap_or(lobby.public);
            lobby.locked = update.locked.unwrap_or(lobby.locked);
        }
        self.reply(session, id, &ServerMessage::Ok);
        self.notify_others(lobby_id, None, &Notice::Updated);
        self.relist(lobby_id, now);
        Ok(())
    }
}

impl Lobbies {
    /// A member says something else of itself.
    fn change_me(&mut self, session: SessionId, id: u64, me: &Me<'_>) -> Result<(), Refusal> {
        let lobby_id = self.lobby_of(session)?;
        let member = self.lobbies.get_mut(&lobby_id).and_then(|lobby| lobby.member_mut(session));
        let member = member.ok_or(ErrorCode::NotInLobby)?;
        me.me.clone_into(&mut member.me);
        let peer = member.peer;
        self.reply(session, id, &ServerMessage::Ok);
        self.notify_others(lobby_id, None, &Notice::Me(peer));
        Ok(())
    }
}

fn cost(message: &ClientMessage<'_>) -> u32 {
    match message {
        ClientMessage::List(_)
        | ClientMessage::Quick(_)
        | ClientMessage::Update(_)
        | ClientMessage::Me(_) => COSTLY_FRAMES,
        _ => 1,
    }
}

fn id_of(error: ParseError) -> u64 {
    match error {
        ParseError::TooLong | ParseError::NotAFrame => 0,
        ParseError::UnknownType { id } | ParseError::Fields { id } | ParseError::Value { id, .. } => id,
    }
}
