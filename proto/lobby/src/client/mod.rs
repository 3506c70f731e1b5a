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
mod pump;
mod room;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore, SeedableRng};
use serde_json::value::RawValue;

pub use link::BYE;
pub use outside::{
    Command, Discard, Event, Failure, LinkCommand, LinkInput, LinkState, Member, OutWhy, Outcome, RequestId,
    RoomEvent, RoomId, RoomState, Row, ServerEvent, Snapshot, SocketId,
};
pub use session::hello;

use crate::wire::names::{AppName, PeerId};
use crate::wire::{ClientMessage, Create, Join, List, Quick, Return};
use list::LiveList;
use room::Room;
use session::{Session, say};

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
    /// Has its seat again.
    Seat(RoomId),
    /// Comes back with this ticket.
    Rejoin(String),
    /// Nobody waits.
    Nothing,
}

/// The client: see the module.
pub struct Client {
    config: Config,
    /// Names this run of the program.
    run: u64,
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
        let mut random = ChaCha8Rng::from_seed(seed);
        Self {
            config,
            run: u64::from(random.next_u32()),
            random,
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
        let mut message = message.clone();
        if let ClientMessage::Create(Create { run, .. })
        | ClientMessage::Join(Join { run, .. })
        | ClientMessage::Quick(Quick { run, .. }) = &mut message
        {
            *run = Some(self.run);
        }
        self.ask(key, say(&message), Purpose::Enter, true, now)
    }

    /// Comes back to a seat, by the ticket that [`Client::ticket`] gave for it, in another run of the program perhaps.
    pub fn rejoin(&mut self, ticket: &str, me: Option<&RawValue>, now: Instant) -> RequestId {
        let key = self.ready(now);
        let body = say(&ClientMessage::Return(Return {
            ticket: ticket.into(),
            data: None,
            me,
            run: Some(self.run),
        }));
        self.ask(key, body, Purpose::Rejoin(ticket.to_owned()), true, now)
    }

    /// The way back to our seat in this lobby: a secret, and a new one whenever we come in and when the lobby completes.
    #[must_use]
    pub fn ticket(&self, room: RoomId) -> Option<&str> {
        self.rooms.get(&room)?.0.ticket.as_deref()
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
                let (key, online) = (*key, entry.online);
                self.purposes.insert(request, if online { Purpose::Plain } else { Purpose::Nothing });
                let body = say(&ClientMessage::Leave);
                self.with_session(key, now, |session| session.request(request, body, false, now));
                if !online {
                    self.reply(request, Ok(Outcome::Done));
                }
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

    /// The network is another one, or may be: the server's sockets are asked whether they are there, and opened at once where they are not.
    pub fn handle_network_changed(&mut self, now: Instant) {
        for key in self.sessions.keys().copied().collect::<Vec<_>>() {
            self.with_session(key, now, |session| session.doubt(now));
        }
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
}
