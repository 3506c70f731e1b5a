//! Between the parts of a client: sessions' outputs, answers, and what lobbies want are carried to where they belong.

use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

use super::heard::{Answer, Heard};
use super::outside::{
    Command, Discard, Event, Failure, OutWhy, Outcome, RequestId, RoomEvent, RoomId, RoomState, ServerEvent,
    Snapshot, SocketId,
};
use super::room::{Effect, Room};
use super::session::{FULL, Output, Session, say};
use super::{Client, Held, Key, Purpose};
use crate::wire::names::PeerId;
use crate::wire::{ClientMessage, ErrorCode, Return, Signal};

impl Client {
    pub(super) fn number(&mut self) -> RequestId {
        self.last += 1;
        RequestId(self.last)
    }

    fn short_number(&mut self) -> u32 {
        self.number().0 as u32
    }

    pub(super) fn discard(&mut self, discard: Discard) {
        *self.discarded.entry(discard).or_default() += 1;
    }

    pub(super) fn reply(&mut self, request: RequestId, result: Result<Outcome, Failure>) {
        self.events.push_back(Event::Reply(request, result));
    }

    pub(super) fn key_of(&self, socket: SocketId) -> Option<Key> {
        self.sessions.iter().find(|(_, held)| held.socket == Some(socket)).map(|(key, _)| *key)
    }

    /// A session that is alive, opened if there is none.
    pub(super) fn ready(&mut self, now: Instant) -> Key {
        let alive = |held: &&Held| !held.session.is_ended() && !held.session.done;
        if let Some(key) = self.main.filter(|key| self.sessions.get(key).filter(alive).is_some()) {
            return key;
        }
        let key = self.begin(None, now);
        self.main = Some(key);
        key
    }

    fn begin(&mut self, returns_to: Option<RoomId>, now: Instant) -> Key {
        let key = self.short_number();
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        let session = Session::new(self.config.app.clone(), ChaCha8Rng::from_seed(seed), now);
        self.sessions.insert(key, Held { session, socket: None, returns_to });
        self.pump(key, now);
        key
    }

    pub(super) fn ask(
        &mut self,
        key: Key,
        body: String,
        purpose: Purpose,
        portable: bool,
        now: Instant,
    ) -> RequestId {
        let request = self.number();
        self.purposes.insert(request, purpose);
        self.with_session(key, now, |session| session.request(request, body, portable, now));
        request
    }

    pub(super) fn with_session(&mut self, key: Key, now: Instant, act: impl FnOnce(&mut Session)) {
        if let Some(held) = self.sessions.get_mut(&key) {
            act(&mut held.session);
            self.pump(key, now);
        }
    }

    pub(super) fn with_room(&mut self, id: RoomId, now: Instant, act: impl FnOnce(&mut Room)) {
        if let Some((room, _)) = self.rooms.get_mut(&id) {
            act(room);
            self.follow(id, now);
        }
    }

    /// Does what a session wants.
    fn pump(&mut self, key: Key, now: Instant) {
        while let Some(output) = self.sessions.get_mut(&key).and_then(|held| held.session.poll()) {
            match output {
                Output::Dial(app) => {
                    let socket = SocketId(self.short_number());
                    if let Some(held) = self.sessions.get_mut(&key) {
                        held.socket = Some(socket);
                    }
                    self.commands.push_back(Command::Dial(socket, app));
                }
                Output::Hang(code) => {
                    let socket = self.sessions.get_mut(&key).and_then(|held| held.socket.take());
                    self.commands.extend(socket.map(|socket| Command::Hang(socket, code)));
                }
                Output::Text(text) => {
                    let socket = self.sessions.get(&key).and_then(|held| held.socket);
                    self.transmits.extend(socket.map(|socket| (socket, text)));
                }
                Output::Opened => self.opened(key, Ok(Outcome::Done)),
                Output::Down { attempt, wait } => {
                    self.tell_server(key, ServerEvent::Reconnecting { attempt, wait });
                    self.in_rooms_of(key, now, |room| room.set_online(false));
                }
                Output::Up { kept } => self.back(key, kept, now),
                Output::Ended { code } => self.session_ended(key, code, now),
                Output::Answer(request, answer) => self.answered(key, request, answer, now),
                Output::Refused(body) => self.refused(key, &body, now),
                Output::Heard(heard) => self.heard(key, heard, now),
            }
        }
        if self.sessions.get(&key).is_some_and(|held| held.session.is_ended()) {
            self.sessions.remove(&key);
        }
    }

    fn opened(&mut self, key: Key, result: Result<Outcome, Failure>) {
        let (waiting, rest) = std::mem::take(&mut self.opening).into_iter().partition(|(of, _)| *of == key);
        self.opening = rest;
        for (_, request) in waiting {
            self.reply(request, result.clone());
        }
    }

    fn rooms_of(&self, key: Key) -> Vec<RoomId> {
        self.rooms.iter().filter(|(_, (_, of))| *of == Some(key)).map(|(id, _)| *id).collect()
    }

    fn in_rooms_of(&mut self, key: Key, now: Instant, act: impl Fn(&mut Room)) {
        for id in self.rooms_of(key) {
            self.with_room(id, now, &act);
        }
    }

    /// Tells the lobby that hangs on the session, or the caller where there is none.
    fn tell_server(&mut self, key: Key, event: ServerEvent) {
        let rooms = self.rooms_of(key);
        if rooms.is_empty() && self.main == Some(key) {
            self.events.push_back(Event::Server(event));
        }
        for id in rooms {
            self.events.push_back(Event::Room(id, RoomEvent::Server(event)));
        }
    }

    /// A socket is back.
    fn back(&mut self, key: Key, kept: bool, now: Instant) {
        if !kept && self.sessions.get(&key).is_some_and(|held| held.returns_to.is_some()) {
            return self.with_session(key, now, Session::close);
        }
        self.tell_server(key, ServerEvent::Resumed { kept });
        for id in self.rooms_of(key) {
            self.with_room(id, now, |room| {
                room.set_online(true);
            });
            if !kept {
                self.take_seat_again(id, key, now);
            }
        }
        let watched =
            self.list.as_ref().filter(|(of, _)| *of == key && !kept).map(|(_, list)| list.body.clone());
        if let Some(body) = watched {
            self.ask(key, body, Purpose::Nothing, true, now);
        }
    }

    fn session_ended(&mut self, key: Key, code: u16, now: Instant) {
        let Some(held) = self.sessions.get(&key) else { return };
        let returns_to = held.returns_to;
        if held.session.never_opened() {
            let why = if code == FULL { Failure::ServerFull } else { Failure::Unreachable };
            self.opened(key, Err(why));
        }
        let rooms = self.rooms_of(key);
        if let Some(id) = returns_to {
            let chance = f64::from(self.random.next_u32()) / f64::from(u32::MAX);
            if let Some((_, of)) = self.rooms.get_mut(&id) {
                of.take_if(|of| *of == key);
            }
            return self.with_room(id, now, |room| room.return_ended(code, chance, now));
        }
        for id in &rooms {
            if let Some((_, of)) = self.rooms.get_mut(id) {
                *of = None;
            }
            self.with_room(*id, now, |room| room.session_ended(code, now));
        }
        if self.list.as_ref().is_some_and(|(of, _)| *of == key) {
            self.end_list();
        }
        if self.main == Some(key) {
            self.main = None;
            if rooms.is_empty() {
                self.events.push_back(Event::Server(ServerEvent::Closed { code }));
            }
        }
    }

    pub(super) fn end_list(&mut self) {
        if self.list.take().is_some() {
            self.events.push_back(Event::ListClosed);
        }
    }

    fn answered(&mut self, key: Key, request: RequestId, answer: Result<Answer, Failure>, now: Instant) {
        let purpose = self.purposes.remove(&request).unwrap_or(Purpose::Nothing);
        if let Ok(Answer::Lobbies { total, rows }) = answer {
            if let Some((_, list)) = self.list.as_mut().filter(|(of, _)| *of == key) {
                list.fill(rows);
                self.events.push_back(Event::List(list.rows()));
            }
            if let Purpose::Watch = purpose {
                self.reply(request, Ok(Outcome::Watching { total }));
            }
            return;
        }
        match (purpose, answer) {
            (Purpose::Enter, Ok(Answer::Joined { peer, lobby, ticket })) => {
                self.entered(key, request, (peer, lobby), ticket, now);
            }
            (Purpose::Rejoin(given), Ok(Answer::Joined { peer, lobby, ticket })) => match ticket {
                Some(_) => self.entered(key, request, (peer, lobby), ticket, now),
                None => self.returned_anew(key, request, (peer, lobby), given, now),
            },
            (Purpose::Seat(id), Ok(Answer::Joined { lobby, ticket, .. })) => {
                self.with_room(id, now, |room| room.seated_again(lobby, ticket, now));
            }
            (Purpose::Seat(id), _) => {
                self.with_room(id, now, |room| room.removed(OutWhy::SessionLost, now));
            }
            (Purpose::Return(id), Ok(_)) => {
                if let Some((_, of)) = self.rooms.get_mut(&id) {
                    *of = Some(key);
                }
                self.with_room(id, now, Room::returned);
            }
            (Purpose::Return(id), Err(failure)) => {
                if matches!(failure, Failure::Refused { code: ErrorCode::BadTicket, .. }) {
                    self.with_room(id, now, |room| room.ticket = None);
                }
                self.with_session(key, now, Session::close);
            }
            // The reply to a start that has begun comes when it is over.
            (Purpose::Seal(_), Ok(_)) | (Purpose::Nothing, _) => {}
            (Purpose::Seal(id), Err(failure)) => {
                self.with_room(id, now, |room| room.not_started(request, failure));
            }
            (Purpose::Enter | Purpose::Rejoin(_) | Purpose::Watch | Purpose::Plain, answer) => {
                self.reply(request, answer.map(|_| Outcome::Done));
            }
        }
    }

    /// Of what nobody waits for an answer to, signals alone are said by another way.
    fn refused(&mut self, key: Key, body: &str, now: Instant) {
        if let Ok(signal) = serde_json::from_str::<Signal<'_>>(body) {
            self.in_rooms_of(key, now, |room| room.refused(&signal, now));
        }
    }

    fn entered(
        &mut self,
        key: Key,
        request: RequestId,
        (me, lobby): (PeerId, Snapshot),
        ticket: Option<String>,
        now: Instant,
    ) {
        // Entering ends the list.
        self.end_list();
        let room = RoomId(self.short_number());
        // A session is in one lobby at a time.
        for (_, of) in self.rooms.values_mut() {
            of.take_if(|of| *of == key);
        }
        self.rooms.insert(room, (Room::new(me, &lobby, ticket.clone()), Some(key)));
        if let Some(held) = self.sessions.get_mut(&key) {
            held.session.is_seated = true;
        }
        self.reply(request, Ok(Outcome::Entered { room, me, lobby, ticket, is_complete: false }));
        self.follow(room, now);
    }

    /// Another run of the program is back in a lobby that has completed: by a session that is for this alone.
    fn returned_anew(
        &mut self,
        key: Key,
        request: RequestId,
        (me, lobby): (PeerId, Snapshot),
        ticket: String,
        now: Instant,
    ) {
        let id = RoomId(self.short_number());
        let ticket = Some(ticket);
        let mut room = Room::new(me, &lobby, ticket.clone());
        (room.state, room.returning) = (RoomState::Complete, true);
        self.rooms.insert(id, (room, Some(key)));
        if let Some(held) = self.sessions.get_mut(&key) {
            held.returns_to = Some(id);
        }
        self.main.take_if(|main| *main == key);
        self.reply(request, Ok(Outcome::Entered { room: id, me, lobby, ticket, is_complete: true }));
        self.follow(id, now);
    }

    /// The server has forgotten a session with a seat: by ticket it is had again, or the lobby opened again.
    fn take_seat_again(&mut self, id: RoomId, key: Key, now: Instant) {
        let Some((room, _)) = self.rooms.get(&id) else { return };
        let ticket = room.ticket.clone().filter(|_| room.state != RoomState::Gone);
        let Some(ticket) = ticket else {
            return self.with_room(id, now, |room| room.removed(OutWhy::SessionLost, now));
        };
        let [data, me] = [Some(&room.data), room.own().map(|member| &member.me)]
            .map(|value| value.and_then(|value| serde_json::value::to_raw_value(value).ok()));
        let (data, me, run) = (data.as_deref(), me.as_deref(), Some(self.run));
        let body = say(&ClientMessage::Return(Return { ticket: ticket.into(), data, me, run }));
        self.ask(key, body, Purpose::Seat(id), true, now);
    }

    fn heard(&mut self, key: Key, heard: Heard, now: Instant) {
        if let Some((_, list)) = self.list.as_mut().filter(|(of, _)| *of == key)
            && list.heard(&heard)
        {
            return self.events.push_back(Event::List(list.rows()));
        }
        let Some(id) = self.rooms_of(key).first().copied() else { return self.discard(Discard::NobodyThere) };
        let mut result = Ok(());
        self.with_room(id, now, |room| result = room.handle_heard(heard, now));
        if let Err(discard) = result {
            self.discard(discard);
        }
    }

    /// Does what a lobby wants.
    pub(super) fn follow(&mut self, id: RoomId, now: Instant) {
        while let Some((effect, key)) =
            self.rooms.get_mut(&id).and_then(|(room, key)| Some((room.effects.pop_front()?, *key)))
        {
            match effect {
                Effect::Command(peer, command) => self.commands.push_back(Command::Link(id, peer, command)),
                Effect::Event(event) => self.events.push_back(Event::Room(id, event)),
                Effect::Started(request, result) => self.reply(request, result.map(|()| Outcome::Done)),
                Effect::Note(body) => self.note(key, body, now),
                Effect::Finish => {
                    if let Some(held) = key.and_then(|key| self.sessions.get_mut(&key)) {
                        held.session.done = true;
                    }
                }
                Effect::Doubt => {
                    if let Some(key) = key {
                        self.with_session(key, now, |session| session.doubt(now));
                    }
                }
                Effect::Return => self.come_back(id, now),
                Effect::EndReturn => {
                    let mine = |(_, held): &(&Key, &Held)| held.returns_to == Some(id);
                    let key = self.sessions.iter().find(mine).map(|(key, _)| *key);
                    if let Some(key) = key {
                        self.with_session(key, now, Session::close);
                    }
                }
            }
        }
        if let Some((room, key)) = self.rooms.get_mut(&id).filter(|(room, _)| room.state == RoomState::Gone) {
            *key = None;
            if room.is_over() {
                self.rooms.remove(&id);
            }
        }
    }

    fn note(&mut self, key: Option<Key>, body: String, now: Instant) {
        let Some(key) = key else { return };
        let mut result = Ok(());
        self.with_session(key, now, |session| result = session.note(body, now));
        if let Err(discard) = result {
            self.discard(discard);
        }
    }

    fn come_back(&mut self, id: RoomId, now: Instant) {
        let Some((room, _)) = self.rooms.get(&id) else { return };
        let Some(ticket) = room.ticket.clone() else { return };
        // Who comes back as another run of its program knows nothing of us.
        let me = room.own().and_then(|member| serde_json::value::to_raw_value(&member.me).ok());
        let key = self.begin(Some(id), now);
        let run = Some(self.run);
        let body =
            say(&ClientMessage::Return(Return { ticket: ticket.into(), data: None, me: me.as_deref(), run }));
        self.ask(key, body, Purpose::Return(id), false, now);
    }
}
