//! Sockets: they come, say hello, belong to a session, are cut, come back, and go.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use super::Lobbies;
use super::addresses::Paced;
use super::limits::{ASK_BYTES, DRAIN_WITHIN, HELLO_WITHIN};
use super::lobby::Stage;
use super::outside::{Close, Command, Discard, Door, Ended, Event};
use super::session::{Session, read_token};
use super::timers::Timer;
use crate::wire::names::{AppName, ClientId, SessionId};
use crate::wire::{ClientMessage, Hello, LeftWhy, ParseError, Resume, ServerMessage, Welcome, parse, render};

/// A socket.
pub(super) struct Client {
    address: IpAddr,
    /// It has a place of its household's. One that found none has only to go, and takes nobody else's.
    has_place: bool,
    state: State,
    /// What was given out to it and is not known to be written, see [`frame_cost`](super::frame_cost).
    pub queued: usize,
    /// How much of that came back with its session, and does not count against it.
    pub resumed: usize,
    /// The `seq` up to which it was asked how far it has come.
    asked: u64,
    /// It has not answered.
    is_asked: bool,
}

enum State {
    /// `hello` has not come yet.
    Silent { host: Arc<str>, until: Instant },
    /// It carries this session.
    Bound(SessionId),
    /// It is being closed; a finished session waits for that.
    Closing(Option<SessionId>),
}

impl Lobbies {
    /// A socket has come.
    pub fn handle_connected(&mut self, client: ClientId, door: Door, now: Instant) {
        self.now = now;
        let has_place = self.addresses.sockets.take(door.address, 1);
        let until = now + HELLO_WITHIN;
        let state = State::Silent { host: door.host, until };
        self.clients.insert(
            client,
            Client {
                address: door.address,
                has_place,
                state,
                queued: 0,
                resumed: 0,
                asked: 0,
                is_asked: false,
            },
        );
        if self.draining {
            self.close(client, Close::GoingAway);
        } else if has_place {
            self.timers.set(Timer::Hello(client), until);
        } else {
            self.close(client, Close::Full);
        }
    }

    /// A text frame has come.
    pub fn handle_message(&mut self, client: ClientId, text: &str, now: Instant) {
        self.now = now;
        let session = match self.clients.get(&client).map(|client| &client.state) {
            Some(State::Silent { .. }) => return self.greet(client, text, now),
            Some(State::Bound(session)) => *session,
            Some(State::Closing(_)) | None => return self.out.discard(Discard::NoClient),
        };
        match parse(text) {
            Err(ParseError::TooLong) => self.close(client, Close::TooLong),
            frame => self.handle_frame(session, client, frame, now),
        }
    }

    /// A socket is gone.
    pub fn handle_disconnected(&mut self, client: ClientId, how: Ended, now: Instant) {
        self.now = now;
        let Some(Client { address, has_place, state, .. }) = self.clients.remove(&client) else { return };
        self.addresses.sockets.give(address, u64::from(has_place));
        match state {
            State::Silent { until, .. } => self.timers.clear(Timer::Hello(client), Some(until)),
            State::Bound(session) | State::Closing(Some(session)) => {
                // While draining, 1001 is the answer to our own.
                let how = if self.draining { Ended::Cut } else { how };
                self.unbind(session, client, how, now);
            }
            State::Closing(None) => {}
        }
        self.check_drained();
    }

    /// So much of what was given out for a socket has been written to it: the sum of [`frame_cost`](super::frame_cost). May be
    /// said for many frames at once, but soon: while much is not known to be written, what others send has to wait.
    pub fn handle_written(&mut self, client: ClientId, bytes: usize, now: Instant) {
        self.now = now;
        let Some(entry) = self.clients.get_mut(&client) else { return };
        entry.queued = entry.queued.saturating_sub(bytes);
        if let State::Bound(session) = entry.state {
            self.ask_how_far(session, client);
            self.catch_up(session);
        }
    }

    /// A client's end of the socket has answered a [`Command::Ping`]: it has received all up to `seq`.
    pub fn handle_seen(&mut self, client: ClientId, seq: u64, now: Instant) {
        self.now = now;
        let Some(entry) = self.clients.get_mut(&client) else { return };
        entry.is_asked = false;
        if let State::Bound(session) = entry.state {
            self.acknowledge(session, client, seq);
            self.ask_how_far(session, client);
        }
    }

    /// Where much is kept of what a client may have seen long since, it is asked: most say so only with their next frame.
    fn ask_how_far(&mut self, session: SessionId, client: ClientId) {
        let Some(entry) = self.clients.get_mut(&client).filter(|entry| !entry.is_asked) else { return };
        let Some(session) = self.sessions.get(&session) else { return };
        // Once for each frame: the answer may free nothing, as long as we are not told all that was written.
        if session.seq > entry.asked && session.kept_bytes() >= entry.queued + ASK_BYTES {
            (entry.is_asked, entry.asked) = (true, session.seq);
            self.out.commands.push_back(Command::Ping { client, seq: session.seq });
        }
    }

    /// What waits for a socket is more than it may be: it is closed at once, and its session waits to be resumed.
    pub(super) fn too_slow(&mut self, client: ClientId, now: Instant) {
        let Some(entry) = self.clients.get_mut(&client) else { return };
        if let State::Bound(session) = std::mem::replace(&mut entry.state, State::Closing(None)) {
            self.out.commands.push_back(Command::Close { client, why: Close::TooSlow });
            self.unbind(session, client, Ended::Cut, now);
        }
    }

    /// The process is to end: sealed lobbies may complete within a limit, everyone else is sent away at once.
    pub fn handle_drain(&mut self, now: Instant) {
        self.now = now;
        self.draining = true;
        let waits = |lobbies: &Self, session: SessionId| {
            let lobby = lobbies.sessions.get(&session).and_then(|session| session.lobby);
            lobby
                .and_then(|lobby| lobbies.lobbies.get(&lobby))
                .is_some_and(|lobby| lobby.stage != Stage::Open)
        };
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            match self.clients[&client].state {
                State::Bound(session) if waits(self, session) => {}
                _ => self.close(client, Close::GoingAway),
            }
        }
        self.timers.set(Timer::Drain, now + DRAIN_WITHIN);
        self.check_drained();
    }

    pub(super) fn drain_is_over(&mut self) {
        let clients: Vec<ClientId> = self.clients.keys().copied().collect();
        for client in clients {
            self.close(client, Close::GoingAway);
        }
    }

    pub(super) fn hello_is_late(&mut self, client: ClientId) {
        self.close(client, Close::BadHello);
    }

    /// Asks for a socket to be closed; nothing more is heard from it. Its session is cut once the socket is gone.
    pub(super) fn close(&mut self, client: ClientId, why: Close) {
        let Some(entry) = self.clients.get_mut(&client) else { return };
        let session = match entry.state {
            State::Silent { until, .. } => {
                self.timers.clear(Timer::Hello(client), Some(until));
                None
            }
            State::Bound(session) => Some(session),
            State::Closing(_) => return,
        };
        entry.state = State::Closing(session);
        self.out.commands.push_back(Command::Close { client, why });
    }

    /// Takes the socket away from its session, which ends, or waits to be resumed. Not if it has another one by now.
    fn unbind(&mut self, id: SessionId, client: ClientId, how: Ended, now: Instant) {
        let Some(session) = self.sessions.get_mut(&id).filter(|session| session.client == Some(client))
        else {
            return;
        };
        session.client = None;
        let has_seat = session.lobby.is_some() || session.entering;
        match how {
            Ended::Goodbye => self.end_session(id, LeftWhy::Left, now),
            Ended::Unloaded if session.lobby.is_none() => self.end_session(id, LeftWhy::Left, now),
            // It has no seat to come back to, and others want the place.
            Ended::Cut if !has_seat && self.addresses.sessions.is_scarce() => {
                self.end_session(id, LeftWhy::Lost, now);
            }
            Ended::Cut | Ended::Unloaded => self.begin_to_wait(id, how, now),
        }
    }

    pub(super) fn session_is_lost(&mut self, session: SessionId, now: Instant) {
        self.end_session(session, LeftWhy::Lost, now);
    }

    /// The session is gone, and out of its lobby.
    pub(super) fn end_session(&mut self, id: SessionId, why: LeftWhy, now: Instant) {
        self.remove_member(id, why, now);
        self.unwatch(id);
        let Some(session) = self.sessions.remove(&id) else { return };
        self.timers.clear(Timer::Session(id), session.lost_at);
        self.timers.clear(Timer::Away(id), session.away_at);
        self.timers.clear(Timer::Renew(id), session.renew_at);
        self.addresses.sessions.give(session.address, 1);
        self.addresses.bytes.give(session.address, session.cost());
        self.forget_app(&session.app);
        self.out.event(Event::SessionEnded);
    }

    /// The first frame of a socket.
    fn greet(&mut self, client: ClientId, text: &str, now: Instant) {
        let Ok(frame) = parse(text) else { return self.close(client, Close::BadHello) };
        let ClientMessage::Hello(Hello { app, resume }) = frame.message else {
            return self.close(client, Close::BadHello);
        };
        let Some(app) = AppName::parse(&app) else { return self.close(client, Close::BadHello) };
        let Some(Client { address, state: State::Silent { host, until }, .. }) = self.clients.get(&client)
        else {
            return;
        };
        let (door, until) = (Door { address: *address, host: Arc::clone(host) }, *until);
        if let Some(resume) = resume
            && let Some(session) = self.find_session(&app, &resume)
        {
            // A socket that was given up, and gets through after the one in its place.
            if resume.seq < self.sessions[&session].seen {
                return self.close(client, Close::Resumed);
            }
            if self.sessions[&session].replay_after(resume.seq).is_some() {
                self.timers.clear(Timer::Hello(client), Some(until));
                return self.resume(session, client, door, resume.seq, now);
            }
            // It is the same client, and it has missed too much: it begins anew.
            self.supersede(session, now);
        }
        if !self.session_fits(&door, now) {
            return self.close(client, Close::Full);
        }
        self.timers.clear(Timer::Hello(client), Some(until));
        let id = self.ids.session();
        let (peer, secret) = (self.ids.peer(), self.ids.bytes());
        self.sessions.insert(id, Session::new(app, peer, secret, door.address, door.host, now));
        self.out.event(Event::SessionOpened);
        self.bind(id, client, false);
    }

    fn session_fits(&mut self, door: &Door, now: Instant) -> bool {
        if !self.addresses.sessions.fits(door.address, 1) {
            self.give_up_the_longest_away(door.address.into(), now);
        }
        self.addresses.sessions.fits(door.address, 1)
            && self.addresses.spend(door.address, Paced::Session, now).is_ok()
            && self.addresses.sessions.take(door.address, 1)
    }

    fn find_session(&self, app: &AppName, resume: &Resume<'_>) -> Option<SessionId> {
        let (id, secret) = read_token(&resume.session)?;
        let session = self.sessions.get(&id)?;
        (session.app == *app && self.keys.same(&session.secret, &secret)).then_some(id)
    }

    /// Ends a session in favour of another of the same client.
    pub(super) fn supersede(&mut self, session: SessionId, now: Instant) {
        if let Some(older) = self.sessions.get(&session).and_then(|session| session.client) {
            self.close(older, Close::Resumed);
        }
        self.end_session(session, LeftWhy::Lost, now);
    }

    fn resume(&mut self, id: SessionId, client: ClientId, door: Door, seq: u64, now: Instant) {
        if let Some(older) = self.sessions[&id].client {
            self.close(older, Close::Resumed);
        }
        let moved = self.sessions[&id].address != door.address;
        if moved {
            self.move_session(id, &door);
        }
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.host = door.host;
        session.says(seq);
        let freed = session.acknowledge(seq, 0);
        self.addresses.bytes.give(session.address, freed as u64);
        self.bind(id, client, true);
        self.is_back(id, now);
        let session = &self.sessions[&id];
        if let Some(missed) = session.replay_after(seq) {
            self.out.transmits.extend(missed.map(|frame| (client, Arc::clone(frame))));
        }
        if let Some(client) = self.clients.get_mut(&client) {
            client.queued += session.kept_bytes();
            client.resumed = session.kept_bytes();
        }
        // Who was cut while a password was hashed has been let in, but granted nothing.
        let lapsed = session.lobby.is_some() && session.renew_at.is_none_or(|at| at <= now);
        let finished = session.finished;
        self.out.event(Event::SessionResumed);
        if finished {
            self.close(client, Close::Complete);
        } else {
            self.catch_up(id);
            if moved || lapsed {
                self.renew_grant(id);
            }
        }
    }

    /// A session comes from another address than before.
    fn move_session(&mut self, id: SessionId, door: &Door) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        let older = std::mem::replace(&mut session.address, door.address);
        let kept = session.cost();
        self.addresses.sessions.give(older, 1);
        self.addresses.sessions.take_surely(door.address, 1);
        self.addresses.bytes.give(older, kept);
        self.addresses.bytes.take_surely(door.address, kept);
    }

    fn bind(&mut self, id: SessionId, client: ClientId, resumed: bool) {
        let Some(session) = self.sessions.get_mut(&id) else { return };
        session.client = Some(client);
        let welcome = ServerMessage::Welcome(Welcome {
            id: 0,
            seq: session.seq,
            session: session.token(id).into(),
            peer: session.peer,
            resumed,
            received: session.received,
        });
        self.out.transmits.push_back((client, render(&welcome).into()));
        if let Some(client) = self.clients.get_mut(&client) {
            client.state = State::Bound(id);
        }
    }

    fn check_drained(&mut self) {
        if self.draining && self.clients.is_empty() {
            self.out.event(Event::Drained);
        }
    }
}
