//! The client's side: a session at the server while one is needed, lobbies and their links, the list.
//!
//! ```text
//!            net/peer                                        proto/lobby, client
//!  ws text ─▶ handle_text(socket, ..)      session   numbers, acknowledgements, replay, what waits for the server
//!  caller  ─▶ enter, start, leave, ask     room      members, sealing, completion, return by ticket
//!  link    ─▶ handle_link(room, peer, ..)  link      when it is up, falters, is mended, is given up
//!  ws text ◀─ poll_transmit    sockets, connections ◀─ poll_command    caller ◀─ poll_event
//! ```
//!
//! It behaves as the SDK for pages does: `docs/protocol.md` §1 is the contract, `web/sdk/src` the other half. Signals
//! are JSON text that it does not read.
//!
//! - Inputs: `handle_open`, `handle_text`, `handle_closed` (sockets), `handle_link` (connections), `handle_timeout`.
//! - Commands of the caller: [`Client::open`], [`Client::enter`], [`Client::watch`], [`Client::start`], [`Client::leave`], …
//! - Outputs: `poll_transmit`, `poll_command`, `poll_event`, `poll_timeout`.

mod heard;
pub mod limits;
mod link;
mod list;
mod outside;
mod room;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};

pub use link::BYE;
pub use outside::{
    Command, Discard, Event, Failure, LinkCommand, LinkInput, LinkState, Member, OutWhy, Outcome, RequestId,
    RoomEvent, RoomId, RoomState, Row, ServerEvent, Snapshot, SocketId,
};

use crate::wire::names::{AppName, PeerId};
use crate::wire::{ClientMessage, List, Return};
use heard::{Answer, Heard};
use list::LiveList;
use room::{Effect, Room};
use session::{Output, Session, say};

/// What a client is told at its start.
#[derive(Clone, Debug)]
pub struct Config {
    /// Separates applications.
    pub app: AppName,
}

/// One session, as the client numbers them.
type Key = u32;

struct Held {
    session: Session,
    /// The socket that it speaks through.
    socket: Option<SocketId>,
    /// It was opened to return to this lobby.
    returns_to: Option<RoomId>,
}

/// What an answer is for.
enum Purpose {
    Enter,
    Watch,
    /// Any reply is as good.
    Plain,
    Seal(RoomId),
    Return(RoomId),
    /// Nobody waits.
    Nothing,
}

/// The client: see the module.
pub struct Client {
    config: Config,
    random: ChaCha8Rng,
    sessions: BTreeMap<Key, Held>,
    /// The session for what the caller asks; it may still be opening.
    main: Option<Key>,
    /// Who waits for the first welcome of a session.
    opening: Vec<(Key, RequestId)>,
    /// Which session a lobby hangs on.
    rooms: BTreeMap<RoomId, (Room, Option<Key>)>,
    list: Option<(Key, LiveList)>,
    purposes: BTreeMap<RequestId, Purpose>,
    last: u64,
    transmits: VecDeque<(SocketId, String)>,
    commands: VecDeque<Command>,
    events: VecDeque<Event>,
    discarded: BTreeMap<Discard, u64>,
}

impl Client {
    /// A client that has not asked for a socket yet.
    #[must_use]
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            config,
            random: ChaCha8Rng::from_seed(seed),
            sessions: BTreeMap::new(),
            main: None,
            opening: Vec::new(),
            rooms: BTreeMap::new(),
            list: None,
            purposes: BTreeMap::new(),
            last: 0,
            transmits: VecDeque::new(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
            discarded: BTreeMap::new(),
        }
    }

    /// Our name at the server, once there is a session.
    #[must_use]
    pub fn peer(&self) -> Option<PeerId> {
        self.sessions.get(&self.main?)?.session.peer
    }

    /// How often input was dropped, by name.
    #[must_use]
    pub fn discarded(&self) -> &BTreeMap<Discard, u64> {
        &self.discarded
    }

    /// Opens a session, if there is none. Its reply comes with the welcome.
    pub fn open(&mut self, now: Instant) -> RequestId {
        let request = self.number();
        let key = self.ready(now);
        if self.sessions[&key].session.peer.is_some() {
            self.reply(request, Ok(Outcome::Done));
        } else {
            self.opening.push((key, request));
        }
        request
    }

    /// Enters a lobby: `Create`, `Join` or `Quick`. Opens a session if there is none.
    pub fn enter(&mut self, message: &ClientMessage<'_>, now: Instant) -> RequestId {
        let key = self.ready(now);
        self.ask(key, say(message), Purpose::Enter, true, now)
    }

    /// Asks for the public lobbies whose data matches, and for what changes among them; ends an earlier list.
    pub fn watch(&mut self, list: &List<'_>, now: Instant) -> RequestId {
        let key = self.ready(now);
        self.end_list();
        let body = say(&ClientMessage::List(List { watch: true, ..list.clone() }));
        self.list = Some((key, LiveList::new(body.clone())));
        self.ask(key, body, Purpose::Watch, true, now)
    }

    /// Ends the list.
    pub fn unwatch(&mut self, now: Instant) {
        if let Some((key, _)) = self.list.take() {
            self.ask(key, say(&ClientMessage::Unwatch), Purpose::Nothing, false, now);
            self.events.push_back(Event::ListClosed);
        }
    }

    /// The owner's `Kick` and `Update`.
    pub fn ask_room(&mut self, room: RoomId, message: &ClientMessage<'_>, now: Instant) -> RequestId {
        match self.rooms.get(&room) {
            Some((_, Some(key))) => self.ask(*key, say(message), Purpose::Plain, false, now),
            _ => {
                let request = self.number();
                self.reply(request, Err(Failure::Closed));
                request
            }
        }
    }

    /// The reply comes when everyone is linked and the server has let go. The owner's seals the lobby, and fails with
    /// `unsealed` where some pair does not link in time.
    pub fn start(&mut self, room: RoomId, now: Instant) -> RequestId {
        let request = self.number();
        let Some((entry, key)) = self.rooms.get_mut(&room) else {
            self.reply(request, Err(Failure::Closed));
            return request;
        };
        let seals = entry.start(request);
        if let (true, Some(key)) = (seals, *key) {
            self.purposes.insert(request, Purpose::Seal(room));
            let body = say(&ClientMessage::Seal);
            self.with_session(key, now, |session| session.request(request, body, false, now));
        }
        self.follow(room, now);
        request
    }

    /// Says goodbye to everyone, closes the links and leaves the lobby.
    pub fn leave(&mut self, room: RoomId, now: Instant) -> RequestId {
        let request = self.number();
        match self.rooms.get(&room) {
            Some((entry, Some(key))) if entry.with_server => {
                let key = *key;
                self.purposes.insert(request, Purpose::Plain);
                let body = say(&ClientMessage::Leave);
                self.with_session(key, now, |session| session.request(request, body, false, now));
            }
            _ => self.reply(request, Ok(Outcome::Done)),
        }
        self.with_room(room, now, |room| room.leave(now));
        request
    }

    /// Says goodbye to one member, and closes the link.
    pub fn close_link(&mut self, room: RoomId, peer: PeerId, now: Instant) {
        self.with_room(room, now, |room| room.close(peer, now));
    }

    /// Tries a failed link again.
    pub fn retry_link(&mut self, room: RoomId, peer: PeerId, now: Instant) {
        self.with_room(room, now, |room| room.retry(peer, now));
    }

    /// Leaves the lobby if it is not complete, and the server. Links of a completed lobby stay.
    pub fn close(&mut self, now: Instant) {
        let rooms = self
            .rooms
            .iter()
            .filter(|(_, (room, _))| matches!(room.state, RoomState::Open | RoomState::Sealed));
        for room in rooms.map(|(room, _)| *room).collect::<Vec<_>>() {
            self.leave(room, now);
        }
        if let Some(key) = self.main {
            self.with_session(key, now, Session::close);
        }
    }

    /// A socket is open.
    pub fn handle_open(&mut self, socket: SocketId, now: Instant) {
        match self.key_of(socket) {
            Some(key) => self.with_session(key, now, Session::handle_open),
            None => self.discard(Discard::OldSocket),
        }
    }

    /// A text frame has come.
    pub fn handle_text(&mut self, socket: SocketId, text: &str, now: Instant) {
        let Some(key) = self.key_of(socket) else { return self.discard(Discard::OldSocket) };
        let mut result = Ok(());
        self.with_session(key, now, |session| result = session.handle_text(text, now));
        if let Err(discard) = result {
            self.discard(discard);
        }
    }

    /// A socket is gone, with this close code; 1006 where there was none.
    pub fn handle_closed(&mut self, socket: SocketId, code: u16, now: Instant) {
        let Some(key) = self.key_of(socket) else { return self.discard(Discard::OldSocket) };
        if let Some(held) = self.sessions.get_mut(&key) {
            held.socket = None;
        }
        self.with_session(key, now, |session| session.handle_closed(code, now));
    }

    /// Something happened to the connection of a link.
    pub fn handle_link(&mut self, room: RoomId, peer: PeerId, input: LinkInput<'_>, now: Instant) {
        let mut result = Err(Discard::NobodyThere);
        self.with_room(room, now, |room| result = room.handle_link(peer, input, now));
        if let Err(discard) = result {
            self.discard(discard);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.with_session(key, now, |session| session.handle_timeout(now));
        }
        for room in self.rooms.keys().copied().collect::<Vec<_>>() {
            self.with_room(room, now, |room| room.handle_timeout(now));
        }
    }

    /// When `handle_timeout` is to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let sessions = self.sessions.values().filter_map(|held| held.session.poll_timeout());
        sessions.chain(self.rooms.values().filter_map(|(room, _)| room.poll_timeout())).min()
    }

    /// The next text frame to send, and through which socket.
    pub fn poll_transmit(&mut self) -> Option<(SocketId, String)> {
        self.transmits.pop_front()
    }

    /// The next thing to do. Send what `poll_transmit` gives before a socket is hung up.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn number(&mut self) -> RequestId {
        self.last += 1;
        RequestId(self.last)
    }

    fn short_number(&mut self) -> u32 {
        self.number().0 as u32
    }

    fn discard(&mut self, discard: Discard) {
        *self.discarded.entry(discard).or_default() += 1;
    }

    fn reply(&mut self, request: RequestId, result: Result<Outcome, Failure>) {
        self.events.push_back(Event::Reply(request, result));
    }

    fn key_of(&self, socket: SocketId) -> Option<Key> {
        self.sessions.iter().find(|(_, held)| held.socket == Some(socket)).map(|(key, _)| *key)
    }

    /// A session that is alive, opened if there is none.
    fn ready(&mut self, now: Instant) -> Key {
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

    fn ask(&mut self, key: Key, body: String, purpose: Purpose, portable: bool, now: Instant) -> RequestId {
        let request = self.number();
        self.purposes.insert(request, purpose);
        self.with_session(key, now, |session| session.request(request, body, portable, now));
        request
    }

    fn with_session(&mut self, key: Key, now: Instant, act: impl FnOnce(&mut Session)) {
        if let Some(held) = self.sessions.get_mut(&key) {
            act(&mut held.session);
            self.pump(key, now);
        }
    }

    fn with_room(&mut self, id: RoomId, now: Instant, act: impl FnOnce(&mut Room)) {
        if let Some((room, _)) = self.rooms.get_mut(&id) {
            act(room);
            self.follow(id, now);
        }
    }

    /// Does what a session wants.
    fn pump(&mut self, key: Key, now: Instant) {
        while let Some(output) = self.sessions.get_mut(&key).and_then(|held| held.session.poll()) {
            match output {
                Output::Dial => {
                    let socket = SocketId(self.short_number());
                    if let Some(held) = self.sessions.get_mut(&key) {
                        held.socket = Some(socket);
                    }
                    self.commands.push_back(Command::Dial(socket));
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
                if !kept {
                    room.removed(OutWhy::SessionLost, now);
                }
            });
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
            let why = if code == session::FULL { Failure::ServerFull } else { Failure::Unreachable };
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

    fn end_list(&mut self) {
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
            (Purpose::Enter, Ok(Answer::Joined { peer, lobby })) => self.entered(key, request, peer, lobby),
            (Purpose::Return(id), Ok(_)) => {
                if let Some((_, of)) = self.rooms.get_mut(&id) {
                    *of = Some(key);
                }
                self.with_room(id, now, Room::returned);
            }
            (Purpose::Return(id), Err(failure)) => {
                if matches!(failure, Failure::Refused { code: crate::wire::ErrorCode::BadTicket, .. }) {
                    self.with_room(id, now, |room| room.ticket = None);
                }
                self.with_session(key, now, Session::close);
            }
            // The reply to a start that has begun comes when it is over.
            (Purpose::Seal(_), Ok(_)) | (Purpose::Nothing, _) => {}
            (Purpose::Seal(id), Err(failure)) => {
                self.with_room(id, now, |room| room.not_started(request, failure));
            }
            (Purpose::Enter | Purpose::Watch | Purpose::Plain, answer) => {
                self.reply(request, answer.map(|_| Outcome::Done));
            }
        }
    }

    fn entered(&mut self, key: Key, request: RequestId, me: PeerId, lobby: Snapshot) {
        // Entering ends the list.
        self.end_list();
        let room = RoomId(self.short_number());
        // A session is in one lobby at a time.
        for (_, of) in self.rooms.values_mut() {
            of.take_if(|of| *of == key);
        }
        self.rooms.insert(room, (Room::new(me, &lobby), Some(key)));
        self.reply(request, Ok(Outcome::Entered { room, me, lobby }));
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
    fn follow(&mut self, id: RoomId, now: Instant) {
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
        let Some(ticket) = self.rooms.get(&id).and_then(|(room, _)| room.ticket.clone()) else { return };
        let key = self.begin(Some(id), now);
        let body = say(&ClientMessage::Return(Return { ticket: ticket.into(), me: None }));
        self.ask(key, body, Purpose::Return(id), false, now);
    }
}
