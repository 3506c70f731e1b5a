//! A meeting of clients at one server machine: sockets are queues, time is arithmetic, a link is a cable that is in or out.

#![allow(dead_code, missing_docs)] // each test uses a part

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use serde_json::value::{RawValue, to_raw_value};
use serde_json::{Value, json};
use twocan_lobby::client::{
    Client, Command as Do, Config, Event, Failure, LinkCommand, LinkInput, LinkState, Outcome, RequestId,
    RoomEvent, RoomId, Row, Snapshot, SocketId, hello,
};
use twocan_lobby::wire::{
    Class, ClientMessage, Create, IceServer, IceServers, Join, Kind, List, Path, Quick, Reason, Update,
};
use twocan_lobby::{AppName, ClientId, Command, Door, Ended, Keys, Limits, Lobbies, PeerId};

const UNIX: u64 = 1_790_000_000;

/// Someone with a client, and the connections that it asked for.
pub struct End {
    pub client: Client,
    pub sockets: BTreeMap<SocketId, ClientId>,
    log: Vec<Event>,
    all: Vec<Event>,
    room: Option<RoomId>,
    name: Option<PeerId>,
    started: Option<RequestId>,
    states: BTreeMap<PeerId, LinkState>,
    /// How often a connection was told to restart.
    pub restarts: usize,
}

impl End {
    fn new(seed: u8) -> Self {
        Self {
            client: Client::new(Config { app: AppName::parse("test").unwrap() }, [seed; 32]),
            sockets: BTreeMap::new(),
            log: Vec::new(),
            all: Vec::new(),
            room: None,
            name: None,
            started: None,
            states: BTreeMap::new(),
            restarts: 0,
        }
    }
}

pub struct Meeting {
    pub server: Option<Lobbies>,
    pub ends: Vec<End>,
    pub now: Instant,
    /// Packets reach the other side.
    pub cable: bool,
    /// What each said over links.
    pub said: Vec<(usize, String)>,
    /// Connections that are made say nothing.
    pub mute: bool,
    pub hold_to_server: bool,
    pub hold_to_client: bool,
    to_server: VecDeque<(ClientId, String)>,
    to_client: VecDeque<(ClientId, String)>,
    closing: Vec<(ClientId, u16)>,
    pub refusals: usize,
    /// Of the lobby of a pair.
    pub code: String,
    next_client: u64,
}

/// What is needed to enter, with its own JSON.
pub struct Entrance {
    kind: &'static str,
    code: String,
    password: Option<String>,
    public: bool,
    data: Option<Box<RawValue>>,
}

pub fn create(fields: Value) -> Entrance {
    Entrance {
        kind: "create",
        code: String::new(),
        password: fields["password"].as_str().map(str::to_owned),
        public: fields["public"].as_bool().unwrap_or(false),
        data: fields.get("data").map(|data| to_raw_value(data).unwrap()),
    }
}

pub fn join(code: &str, password: Option<&str>) -> Entrance {
    let password = password.map(str::to_owned);
    Entrance { kind: "join", code: code.into(), password, public: false, data: None }
}

pub fn quick(filter: Value) -> Entrance {
    let data = Some(to_raw_value(&filter).unwrap());
    Entrance { kind: "quick", code: String::new(), password: None, public: true, data }
}

impl Entrance {
    pub fn create(&self) -> Create<'_> {
        let password = self.password.as_deref().map(Into::into);
        Create { public: self.public, password, data: self.data.as_deref(), ..Create::default() }
    }

    fn message(&self) -> ClientMessage<'_> {
        match self.kind {
            "create" => ClientMessage::Create(self.create()),
            "join" => {
                let password = self.password.as_deref().map(Into::into);
                ClientMessage::Join(Join { code: self.code.as_str().into(), password, me: None, run: None })
            }
            _ => {
                let data = self.data.as_deref();
                ClientMessage::Quick(Quick { filter: data, data, ..Quick::default() })
            }
        }
    }
}

#[allow(clippy::disallowed_methods)] // an arbitrary origin: all else is arithmetic
fn origin() -> Instant {
    Instant::now()
}

fn server(now: Instant, seed: u8) -> Lobbies {
    Lobbies::new(Limits::default(), Keys::new([2; 32], [3; 32]), [seed; 32], UNIX, now)
}

impl Meeting {
    /// Clients that have not said anything yet, and no server.
    pub fn nowhere() -> Self {
        let mut meeting = Self::of(1);
        meeting.server = None;
        meeting
    }

    pub fn of(count: usize) -> Self {
        let now = origin();
        Self {
            server: Some(server(now, 1)),
            ends: (0..count).map(|at| End::new(at as u8)).collect(),
            now,
            cable: true,
            said: Vec::new(),
            mute: false,
            hold_to_server: false,
            hold_to_client: false,
            to_server: VecDeque::new(),
            to_client: VecDeque::new(),
            closing: Vec::new(),
            refusals: 0,
            code: String::new(),
            next_client: 1,
        }
    }

    /// Two who are linked.
    pub fn pair() -> Self {
        let mut meeting = Self::of(2);
        let code = meeting.enter(0, &create(json!({"public":true}))).unwrap().code;
        meeting.enter(1, &join(code.as_str(), None)).unwrap();
        meeting.code = code.as_str().to_owned();
        meeting.pass(100);
        assert_eq!(meeting.link(0, 1), Some(LinkState::Open));
        meeting
    }

    /// One more; its number.
    pub fn newcomer(&mut self) -> usize {
        self.ends.push(End::new(self.ends.len() as u8));
        self.ends.len() - 1
    }

    /// The way back to the seat of `end`.
    pub fn ticket(&self, end: usize) -> String {
        self.ends[end].client.ticket(self.room(end)).unwrap().to_owned()
    }

    /// The program of `end` ends, as a page does that is closed (`says`) or a process that is killed; another run of it begins.
    pub fn run_again(&mut self, end: usize, says: bool) {
        let how = if says { Ended::Unloaded } else { Ended::Cut };
        for peer in self.ends[end].states.keys().copied().collect::<Vec<_>>() {
            if says {
                self.over_the_cable(end, peer, r#"{"type":"away"}"#);
            }
        }
        for client in std::mem::take(&mut self.ends[end].sockets).into_values() {
            if let Some(server) = &mut self.server {
                server.handle_disconnected(client, how, self.now);
            }
        }
        self.ends[end] = End::new(100 + end as u8);
        self.settle();
    }

    /// Comes back with a ticket.
    pub fn rejoin(&mut self, end: usize, ticket: &str) -> Result<Snapshot, Failure> {
        let request = self.ends[end].client.rejoin(ticket, None, self.now);
        self.settle();
        match self.outcome(end, request).unwrap() {
            Ok(Outcome::Entered { lobby, .. }) => Ok(lobby),
            Ok(other) => panic!("{other:?}"),
            Err(failure) => Err(failure),
        }
    }

    pub fn open(&mut self, end: usize) {
        self.ends[end].client.open(self.now);
        self.settle();
    }

    pub fn enter(&mut self, end: usize, entrance: &Entrance) -> Result<Snapshot, Failure> {
        let request = self.ends[end].client.enter(&entrance.message(), self.now);
        self.pass(10);
        let outcome = self.outcome(end, request).expect("a reply")?;
        let Outcome::Entered { lobby, .. } = outcome else { panic!("{outcome:?}") };
        Ok(lobby)
    }

    pub fn watch(&mut self, end: usize, list: &List<'_>) -> Result<usize, Failure> {
        let request = self.ends[end].client.watch(list, self.now);
        self.pass(10);
        match self.outcome(end, request).expect("a reply")? {
            Outcome::Watching { total } => Ok(total),
            other => panic!("{other:?}"),
        }
    }

    pub fn update(&mut self, end: usize, data: &Value) -> Result<(), Failure> {
        let (raw, room) = (to_raw_value(data).unwrap(), self.room(end));
        let update = Update { data: Some(&raw), ..Update::default() };
        let request = self.ends[end].client.ask_room(room, &ClientMessage::Update(update), self.now);
        self.pass(10);
        self.outcome(end, request).expect("a reply").map(|_| ())
    }

    /// Starts; the answer, if it is there already.
    pub fn start(&mut self, end: usize) -> Option<Result<(), Failure>> {
        let room = self.room(end);
        let request = self.ends[end].client.start(room, self.now);
        self.ends[end].started = Some(request);
        self.pass(600);
        self.started(end)
    }

    pub fn started(&self, end: usize) -> Option<Result<(), Failure>> {
        self.outcome(end, self.ends[end].started?).map(|result| result.map(|_| ()))
    }

    fn outcome(&self, end: usize, request: RequestId) -> Option<Result<Outcome, Failure>> {
        self.ends[end].all.iter().find_map(|event| match event {
            Event::Reply(of, result) if *of == request => Some(result.clone()),
            _ => None,
        })
    }

    pub fn replies(&self, end: usize, request: RequestId) -> Vec<Result<(), Failure>> {
        let replies = self.ends[end].all.iter().filter_map(|event| match event {
            Event::Reply(of, result) if *of == request => Some(result.clone().map(|_| ())),
            _ => None,
        });
        replies.collect()
    }

    pub fn room(&self, end: usize) -> RoomId {
        self.ends[end].room.expect("a lobby")
    }

    pub fn name(&self, end: usize) -> PeerId {
        self.ends[end].name.expect("a name")
    }

    /// Where the link stands, as `end` was last told.
    pub fn link(&self, end: usize, other: usize) -> Option<LinkState> {
        self.ends[end].states.get(&self.name(other)).copied()
    }

    /// What happened since the last time.
    pub fn events(&mut self, end: usize) -> Vec<Event> {
        std::mem::take(&mut self.ends[end].log)
    }

    pub fn room_events(&mut self, end: usize) -> Vec<RoomEvent> {
        let events = self.events(end).into_iter();
        events
            .filter_map(|event| if let Event::Room(_, event) = event { Some(event) } else { None })
            .collect()
    }

    pub fn last_list(&mut self, end: usize) -> Option<Vec<Row>> {
        let events = self.events(end).into_iter().rev();
        events.into_iter().find_map(|event| if let Event::List(rows) = event { Some(rows) } else { None })
    }

    pub fn sockets(&self) -> usize {
        self.ends.iter().map(|end| end.sockets.len()).sum()
    }

    /// Whether somebody who watches sees a lobby; counts the open ones by their events.
    pub fn lobbies_at_server(&mut self) -> usize {
        let server = self.server.as_mut().expect("a server");
        let mut open = 0;
        while let Some(event) = server.poll_event() {
            match event {
                twocan_lobby::Event::LobbyOpened => open += 1,
                twocan_lobby::Event::LobbyClosed { .. } => open -= 1,
                _ => {}
            }
        }
        open
    }

    /// The sockets of `end` are gone, without a close frame.
    pub fn cut(&mut self, end: usize) {
        for (socket, client) in std::mem::take(&mut self.ends[end].sockets) {
            if let Some(server) = &mut self.server {
                server.handle_disconnected(client, Ended::Cut, self.now);
            }
            self.ends[end].client.handle_closed(socket, 1006, self.now);
        }
        self.to_client.clear();
        self.to_server.clear();
        self.settle();
    }

    pub fn restart_server(&mut self) {
        self.server = Some(server(self.now, 9));
        for end in 0..self.ends.len() {
            for (socket, _) in std::mem::take(&mut self.ends[end].sockets) {
                self.ends[end].client.handle_closed(socket, 1006, self.now);
            }
        }
        self.to_client.clear();
        self.to_server.clear();
        self.settle();
    }

    /// Says something in the server's name.
    pub fn say_to(&mut self, end: usize, text: &str) {
        if let Some(socket) = self.ends[end].sockets.keys().next().copied() {
            self.ends[end].client.handle_text(socket, text, self.now);
        }
        self.settle();
    }

    /// Both sides of every link notice that nothing comes.
    pub fn falter(&mut self) {
        for end in 0..self.ends.len() {
            for peer in self.ends[end].states.keys().copied().collect::<Vec<_>>() {
                let room = self.room(end);
                self.ends[end].client.handle_link(room, peer, LinkInput::Disconnected, self.now);
            }
        }
        self.settle();
    }

    /// The connection of `end` restarts ICE by itself.
    pub fn restart(&mut self, end: usize, other: usize) {
        let (room, peer) = (self.room(end), self.name(other));
        self.wire(end, room, peer, LinkCommand::Restart);
        self.settle();
    }

    /// The connection of `end` gives up.
    pub fn give_up(&mut self, end: usize, other: usize, reason: Reason) {
        let (room, peer) = (self.room(end), self.name(other));
        self.ends[end].client.handle_link(room, peer, LinkInput::Failed(reason), self.now);
        self.settle();
    }

    pub fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        self.settle();
        loop {
            let clients = self.ends.iter().filter_map(|end| end.client.poll_timeout());
            let server = self.server.as_ref().and_then(Lobbies::poll_timeout);
            let Some(due) = clients.chain(server).min().filter(|due| *due <= end) else { break };
            self.now = self.now.max(due);
            if let Some(server) = &mut self.server {
                server.handle_timeout(self.now);
            }
            for end in &mut self.ends {
                end.client.handle_timeout(self.now);
            }
            self.settle();
        }
        self.now = end;
    }

    pub fn settle(&mut self) {
        while self.step() {}
    }

    /// Carries everything one step; whether there was anything.
    fn step(&mut self) -> bool {
        let mut busy = self.serve();
        for at in 0..self.ends.len() {
            while let Some((socket, text)) = self.ends[at].client.poll_transmit() {
                busy = true;
                if let Some(client) = self.ends[at].sockets.get(&socket) {
                    self.to_server.push_back((*client, text));
                }
            }
            while let Some(command) = self.ends[at].client.poll_command() {
                busy = true;
                self.obey(at, command);
            }
            while let Some(event) = self.ends[at].client.poll_event() {
                busy = true;
                self.note(at, event);
            }
        }
        busy
    }

    fn serve(&mut self) -> bool {
        let mut busy = false;
        while let Some((client, text)) = if self.hold_to_server { None } else { self.to_server.pop_front() } {
            busy = true;
            if let Some(server) = &mut self.server {
                server.handle_message(client, &text, self.now);
            }
        }
        let Some(server) = &mut self.server else { return busy };
        while let Some(command) = server.poll_command() {
            busy = true;
            match command {
                Command::Close { client, why } => self.closing.push((client, why.code())),
                Command::Hash(job) => {
                    let hash = ring::digest::digest(&ring::digest::SHA256, job.password.as_bytes());
                    server.handle_hashed(job.id(), Some(hash.as_ref().try_into().unwrap()), self.now);
                }
                Command::Grant(grant) => {
                    let urls = vec!["stun:192.0.2.1:3478".to_owned()];
                    let servers = vec![IceServer { urls, username: None, credential: None }];
                    let expires = grant.lifetime.as_secs();
                    server.handle_granted(&grant, IceServers { servers, expires }, self.now);
                }
                Command::Revoke { .. } | Command::CloseGroup { .. } | Command::Ping { .. } => {}
            }
        }
        while let Some((client, text)) = server.poll_transmit() {
            self.refusals += usize::from(text.contains("rate-limited"));
            self.to_client.push_back((client, text.to_string()));
        }
        while let Some((client, text)) = if self.hold_to_client { None } else { self.to_client.pop_front() } {
            busy = true;
            if let Some((at, socket)) = self.owner(client) {
                self.ends[at].client.handle_text(socket, &text, self.now);
            }
        }
        for (client, code) in std::mem::take(&mut self.closing) {
            busy = true;
            if let Some((at, socket)) = self.owner(client) {
                self.ends[at].sockets.remove(&socket);
                self.ends[at].client.handle_closed(socket, code, self.now);
            }
            if let Some(server) = &mut self.server {
                server.handle_disconnected(client, Ended::Cut, self.now);
            }
        }
        busy
    }

    fn owner(&self, client: ClientId) -> Option<(usize, SocketId)> {
        self.ends.iter().enumerate().find_map(|(at, end)| {
            let (socket, _) = end.sockets.iter().find(|(_, of)| **of == client)?;
            Some((at, *socket))
        })
    }

    /// One's connection makes an offer to another.
    pub fn offer(&mut self, from: usize, to: usize) {
        let (room, peer) = (self.room(from), self.name(to));
        let offer = LinkInput::Description { offer: true, data: r#"{"type":"offer"}"# };
        self.ends[from].client.handle_link(room, peer, offer, self.now);
    }

    fn obey(&mut self, at: usize, command: Do) {
        match command {
            Do::Dial(socket, app) => {
                let Some(server) = &mut self.server else {
                    return self.ends[at].client.handle_closed(socket, 1006, self.now);
                };
                let client = ClientId(self.next_client);
                self.next_client += 1;
                let door = Door { address: "192.0.2.1".parse().unwrap(), host: "play.example".into() };
                server.handle_connected(client, door, self.now);
                if let Some(app) = app {
                    server.handle_message(client, &hello(&app, None), self.now);
                }
                self.ends[at].sockets.insert(socket, client);
                self.ends[at].client.handle_open(socket, self.now);
            }
            Do::Hang(socket, code) => {
                let Some(client) = self.ends[at].sockets.remove(&socket) else { return };
                self.serve();
                let how = if code == Some(1000) { Ended::Goodbye } else { Ended::Cut };
                if let Some(server) = &mut self.server {
                    server.handle_disconnected(client, how, self.now);
                }
            }
            Do::Link(room, peer, command) => self.wire(at, room, peer, command),
        }
    }

    /// What a connection would do, in as few steps as one can.
    fn wire(&mut self, at: usize, room: RoomId, peer: PeerId, command: LinkCommand) {
        let now = self.now;
        let tell = |end: &mut End, input| end.client.handle_link(room, peer, input, now);
        let end = &mut self.ends[at];
        match command {
            LinkCommand::Connect { offers, servers, .. } => {
                assert_eq!(servers.len(), 1, "servers come before the link");
                if self.mute {
                    return;
                }
                tell(end, LinkInput::Candidate { class: Some(Class::Host), data: "{}" });
                if offers {
                    tell(end, LinkInput::Description { offer: true, data: r#"{"type":"offer"}"# });
                }
            }
            LinkCommand::Restart => {
                end.restarts += 1;
                tell(end, LinkInput::Description { offer: true, data: r#"{"type":"offer"}"# });
            }
            LinkCommand::Signal(Kind::Description, data) => {
                if data.as_deref() == Some(r#"{"type":"offer"}"#) {
                    tell(end, LinkInput::Description { offer: false, data: r#"{"type":"answer"}"# });
                }
                if self.cable {
                    let (path, local) = (Path::Direct, Class::Host);
                    tell(end, LinkInput::Path { path, local, remote: Class::Srflx });
                    tell(end, LinkInput::Open);
                    tell(end, LinkInput::Connected);
                }
            }
            LinkCommand::Signal(..) | LinkCommand::Servers(_) | LinkCommand::Signaling(_) => {}
            LinkCommand::Control(text) => self.over_the_cable(at, peer, &text),
            LinkCommand::Close { bye } => {
                if bye {
                    self.over_the_cable(at, peer, twocan_lobby::client::BYE);
                }
            }
        }
    }

    fn over_the_cable(&mut self, at: usize, to: PeerId, text: &str) {
        let from = self.name(at);
        self.said.push((at, text.to_owned()));
        if !self.cable {
            return;
        }
        let now = self.now;
        if let Some(end) = self.ends.iter_mut().find(|end| end.name == Some(to)) {
            let room = end.room.unwrap();
            end.client.handle_link(room, from, LinkInput::Control(text), now);
        }
    }

    fn note(&mut self, at: usize, event: Event) {
        let end = &mut self.ends[at];
        match &event {
            Event::Reply(_, Ok(Outcome::Entered { room, me, .. })) => {
                (end.room, end.name) = (Some(*room), Some(*me));
            }
            Event::Room(_, RoomEvent::Link(peer, state, _)) => {
                end.states.insert(*peer, *state);
            }
            _ => {}
        }
        end.log.push(event.clone());
        end.all.push(event);
    }
}
