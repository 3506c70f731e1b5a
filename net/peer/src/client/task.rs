//! The one task that owns the client machine, its sockets and the handles of its links.
//!
//! ```text
//!  Client, Lobby, Peer ── asks ──▶┐                                   ┌──▶ sockets: text
//!                                 │  Task ── proto/lobby's Client ────┤
//!  sockets, links ── inputs ─────▶┘                                   ├──▶ links: signals, servers, restarts
//!                                                                     └──▶ lobbies: events
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use futures_util::future::{join, join_all};
use ring::rand::{SecureRandom as _, SystemRandom};
use serde_json::value::RawValue;
use tokio::sync::{mpsc, watch};
use twocan_lobby::PeerId;
use twocan_lobby::client::{
    Client as Machine, Command, Config, Event, LinkCommand, LinkInput, Outcome, RequestId, RoomId, SocketId,
};
use twocan_lobby::wire::{ClientMessage, Create, IceServer, Join, Kick, List, Me, Path, Quick, Update};

use super::options::Options;
use super::room::RoomSide;
use super::socket::{self, ToSocket};
use super::words::{class, class_word, gathered, reason, wire_reason};
use super::{Ask, Client, Input, Report, RoomAsk, SocketEvent};
use crate::connection::{self, ConnectionConfig, ConnectionState, Signal};
use crate::driver::interfaces::Found;
use crate::driver::watch::Watching;
use crate::error::Error;
use crate::event::LobbyState;
use crate::framing::WHOLE_WITHIN;
use crate::link::{self, Events, ToLink};
use crate::list::{ListedLobby, LobbyList};
use crate::lobby::Lobby;
use crate::peer::Peer;
use crate::pending::{Answer, Pending};
use crate::runtime;

/// What sockets and links may say before they wait for the task.
const INPUTS_MAX: usize = 256;
/// How long the end may take: the goodbyes to the server, and over the links.
const END_WITHIN: Duration = Duration::from_millis(2_500);

/// Starts the task, and asks for the first socket.
pub(super) fn start(options: Options) -> Pending<Client> {
    let (answer, pending) = Pending::new();
    let mut seed = [0; 32];
    if SystemRandom::new().fill(&mut seed).is_err() {
        return Pending::failed(Error::BadValue { what: "the system gives no randomness" });
    }
    let (asks, asked) = mpsc::unbounded_channel();
    let (inputs, input) = mpsc::channel(INPUTS_MAX);
    let mut task = Task {
        machine: Machine::new(Config { app: options.app.clone() }, seed),
        options,
        sockets: BTreeMap::new(),
        places: BTreeMap::new(),
        network: Arc::new(Network(inputs.clone())),
        rooms: BTreeMap::new(),
        links: BTreeMap::new(),
        waiting: BTreeMap::new(),
        list: None,
        lists: 0,
        rows: Vec::new(),
        why: "it does not answer".to_owned(),
        asks: asks.downgrade(),
        inputs,
    };
    let network: Weak<Network> = Arc::downgrade(&task.network);
    if let Err(error) = crate::driver::watch::watch(network) {
        tracing::debug!(%error, "changes of the network are not seen");
    }
    runtime::handle().spawn(async move {
        let request = task.machine.open(Instant::now());
        task.waiting.insert(request, Waiting::Open(answer, asks));
        task.run(asked, input).await;
    });
    pending
}

enum Waiting {
    /// The client is handed over with the first welcome; until then only this keeps the task.
    Open(Answer<Client>, mpsc::UnboundedSender<Ask>),
    Plain(Answer<()>),
    Enter(Answer<Lobby>),
    Watch(Answer<LobbyList>),
}

/// Hears of other addresses of this machine.
struct Network(mpsc::Sender<Input>);

impl Watching for Network {
    fn addresses_changed(&self, found: &Arc<[Found]>) {
        // Where it finds no room there is much to do, and the next change comes as well.
        let _ = self.0.try_send(Input::Network(found.clone()));
    }
}

struct Task {
    machine: Machine,
    options: Options,
    sockets: BTreeMap<SocketId, mpsc::UnboundedSender<ToSocket>>,
    /// From which address of ours each socket goes.
    places: BTreeMap<SocketId, IpAddr>,
    /// Tells of other addresses, as long as this is here.
    network: Arc<Network>,
    rooms: BTreeMap<RoomId, RoomSide>,
    /// Links that have not been told to close: a lobby that is over may be gone before that.
    links: BTreeMap<(RoomId, PeerId), Peer>,
    waiting: BTreeMap<RequestId, Waiting>,
    list: Option<(u64, watch::Sender<Vec<ListedLobby>>)>,
    lists: u64,
    rows: Vec<ListedLobby>,
    /// Why the last socket ended, for a person.
    why: String,
    /// Handles keep the task alive; it does not keep itself.
    asks: mpsc::WeakUnboundedSender<Ask>,
    inputs: mpsc::Sender<Input>,
}

impl Task {
    async fn run(mut self, mut asked: mpsc::UnboundedReceiver<Ask>, mut inputs: mpsc::Receiver<Input>) {
        loop {
            self.follow();
            let due = self.machine.poll_timeout();
            tokio::select! {
                ask = asked.recv() => match ask {
                    Some(ask) => self.obey(ask),
                    // The last handle is gone.
                    None => break,
                },
                input = inputs.recv() => match input {
                    Some(input) => self.take(input),
                    None => break,
                },
                () = sleep_until(due) => self.machine.handle_timeout(Instant::now()),
            }
        }
        self.close(None);
    }

    /// Says the goodbyes, and `answer`s when they are out: then the tasks that said them end.
    fn close(&mut self, answer: Option<Answer<()>>) {
        let (sockets, links) = (self.sockets.clone(), self.links.clone());
        self.machine.close(Instant::now());
        self.follow();
        let sockets = sockets.into_iter().filter(|(id, _)| !self.sockets.contains_key(id));
        let links = links.into_iter().filter(|(key, _)| !self.links.contains_key(key));
        let (sockets, links): (Vec<_>, Vec<_>) = (sockets.collect(), links.collect());
        tokio::spawn(async move {
            let sockets = join_all(sockets.iter().map(|(_, socket)| socket.closed()));
            let links = join_all(links.iter().map(|(_, link)| link.closed()));
            let _ = tokio::time::timeout(END_WITHIN, join(sockets, links)).await;
            if let Some(answer) = answer {
                let _ = answer.send(Ok(()));
            }
        });
    }

    fn obey(&mut self, ask: Ask) {
        let now = Instant::now();
        match ask {
            Ask::Create { public, size, password, code, data, me, answer } => {
                let me = me.or_else(|| self.options.me.clone());
                let password = password.as_deref().map(Into::into);
                let (data, me) = (data.as_deref(), me.as_deref());
                self.enter(
                    &ClientMessage::Create(Create { public, size, password, code, data, me, run: None }),
                    answer,
                    now,
                );
            }
            Ask::Join { code, password, me, answer } => {
                let me = me.or_else(|| self.options.me.clone());
                let password = password.as_deref().map(Into::into);
                let join = Join { code: code.trim().into(), password, me: me.as_deref(), run: None };
                self.enter(&ClientMessage::Join(join), answer, now);
            }
            Ask::Quick { filter, size, data, me, answer } => {
                let me = me.or_else(|| self.options.me.clone());
                let (filter, data, me) = (filter.as_deref(), data.as_deref(), me.as_deref());
                self.enter(&ClientMessage::Quick(Quick { filter, size, data, me, run: None }), answer, now);
            }
            Ask::Rejoin { ticket, answer } => {
                let request = self.machine.rejoin(&ticket, self.options.me.as_deref(), now);
                self.waiting.insert(request, Waiting::Enter(answer));
            }
            Ask::Watch { filter, sort, skip, answer } => {
                let filter: Option<&RawValue> = filter.as_deref();
                let request = self.machine.watch(&List { filter, sort, skip, watch: true }, now);
                self.waiting.insert(request, Waiting::Watch(answer));
            }
            Ask::Unwatch(number) => {
                if self.list.as_ref().is_some_and(|(current, _)| *current == number) {
                    self.machine.unwatch(now);
                }
            }
            Ask::Room(room, what, answer) => self.obey_room(room, what, answer, now),
            Ask::Retry(room, peer) => self.machine.retry_link(room, peer, now),
            Ask::CloseLink(room, peer) => self.machine.close_link(room, peer, now),
            Ask::Close(answer) => self.close(Some(answer)),
        }
    }

    fn enter(&mut self, message: &ClientMessage<'_>, answer: Answer<Lobby>, now: Instant) {
        let request = self.machine.enter(message, now);
        self.waiting.insert(request, Waiting::Enter(answer));
    }

    fn obey_room(&mut self, room: RoomId, what: RoomAsk, answer: Answer<()>, now: Instant) {
        let request = match what {
            RoomAsk::Start => self.machine.start(room, now),
            RoomAsk::Leave => {
                if let Some(side) = self.rooms.get_mut(&room) {
                    side.left();
                }
                self.machine.leave(room, now)
            }
            RoomAsk::Kick { peer, ban } => {
                let kick = ClientMessage::Kick(Kick { peer: peer.as_str().into(), ban });
                self.machine.ask_room(room, &kick, now)
            }
            RoomAsk::Me(me) => self.machine.ask_room(room, &ClientMessage::Me(Me { me: &me }), now),
            RoomAsk::Update { data, public, locked } => {
                let update = Update { data: data.as_deref(), public, locked };
                self.machine.ask_room(room, &ClientMessage::Update(update), now)
            }
        };
        self.waiting.insert(request, Waiting::Plain(answer));
        self.sweep(room);
    }

    /// Forgets a lobby in which nothing can happen any more.
    fn sweep(&mut self, room: RoomId) {
        if self.rooms.get(&room).is_some_and(RoomSide::is_over) {
            self.rooms.remove(&room);
        }
    }

    fn take(&mut self, input: Input) {
        let now = Instant::now();
        match input {
            Input::Socket(id, SocketEvent::Open(from)) => {
                self.places.extend(from.map(|from| (id, from)));
                self.machine.handle_open(id, now);
            }
            Input::Socket(id, SocketEvent::Text(text)) => self.machine.handle_text(id, &text, now),
            Input::Socket(id, SocketEvent::Closed { code, why }) => {
                tracing::debug!(code, why, "a socket to the server ended");
                self.sockets.remove(&id);
                self.places.remove(&id);
                if !why.is_empty() {
                    self.why = why;
                }
                self.machine.handle_closed(id, code, now);
            }
            Input::Link(room, peer, report) => {
                // A link that has begun anew has another task by now.
                if self.links.get(&(room, peer.id())).is_some_and(|link| *link == peer) {
                    self.hear(room, peer.id(), report, now);
                }
            }
            Input::Network(found) => self.network_changed(&found, now),
        }
    }

    /// A socket whose address is gone is dead, whatever the system says; others may be.
    fn network_changed(&mut self, found: &[Found], now: Instant) {
        let is_there = |from: &IpAddr| from.is_loopback() || found.iter().any(|each| each.ip == *from);
        let dead: Vec<SocketId> =
            self.places.iter().filter(|(_, from)| !is_there(from)).map(|(id, _)| *id).collect();
        for id in dead {
            self.places.remove(&id);
            self.sockets.remove(&id);
            self.machine.handle_closed(id, socket::CUT, now);
        }
        self.machine.handle_network_changed(now);
    }

    fn hear(&mut self, room: RoomId, peer: PeerId, report: Report, now: Instant) {
        let mut tell = |input: LinkInput<'_>| self.machine.handle_link(room, peer, input, now);
        match report {
            Report::Signal(Signal::Description(description)) => {
                let offer = description.kind == connection::DescriptionKind::Offer;
                let data = serde_json::to_string(&description.with_offer()).unwrap_or_default();
                tell(LinkInput::Description { offer, data: &data });
            }
            Report::Signal(Signal::Candidate(candidate)) => {
                let signal = Signal::Candidate(candidate);
                let class = signal.class().and_then(class_word);
                let Signal::Candidate(candidate) = &signal else { return };
                let data = serde_json::to_string(candidate).unwrap_or_default();
                tell(LinkInput::Candidate { class, data: &data });
            }
            Report::Signal(Signal::EndOfCandidates) => tell(LinkInput::EndOfCandidates),
            Report::State(ConnectionState::Connected) => tell(LinkInput::Connected),
            Report::State(ConnectionState::Connecting) => tell(LinkInput::Connecting),
            Report::State(ConnectionState::Disconnected) => tell(LinkInput::Disconnected),
            Report::State(_) => {}
            Report::Path(info) => {
                let path = if info.path == connection::Path::Direct { Path::Direct } else { Path::Relayed };
                tell(LinkInput::Path { path, local: class(info.local), remote: class(info.remote) });
            }
            Report::Open => tell(LinkInput::Open),
            Report::Failed(why) => tell(LinkInput::Failed(wire_reason(why))),
            Report::Control(text) => tell(LinkInput::Control(&text)),
            Report::Gone => tell(LinkInput::ControlClosed),
            Report::Unfit => self.machine.close_link(room, peer, now),
        }
    }

    /// Does what the machine wants, until it wants nothing more.
    fn follow(&mut self) {
        loop {
            let mut busy = false;
            while let Some((socket, text)) = self.machine.poll_transmit() {
                busy = true;
                if let Some(socket) = self.sockets.get(&socket) {
                    let _ = socket.send(ToSocket::Text(text));
                }
            }
            // One at a time: a lobby must be there before its links are.
            if let Some(event) = self.machine.poll_event() {
                busy = true;
                self.happened(event);
            } else if let Some(command) = self.machine.poll_command() {
                busy = true;
                self.command(command);
            }
            if !busy {
                return;
            }
        }
    }

    fn command(&mut self, command: Command) {
        match command {
            Command::Dial(id, app) => {
                let (socket, told) = mpsc::unbounded_channel();
                self.sockets.insert(id, socket);
                let (place, roots) = (self.options.place.clone(), self.options.connection.roots.clone());
                tokio::spawn(socket::run(id, (place, app), roots, told, self.inputs.clone()));
            }
            Command::Hang(id, code) => {
                if let Some(socket) = self.sockets.remove(&id) {
                    let _ = socket.send(ToSocket::Close(code));
                }
            }
            Command::Link(room, peer, LinkCommand::Connect { offers, polite, servers, me }) => {
                self.connect(room, peer, offers, polite, servers, me);
            }
            Command::Link(room, peer, command) => self.command_link(room, peer, command),
        }
    }

    fn connect(
        &mut self,
        room: RoomId,
        peer: PeerId,
        offers: bool,
        polite: bool,
        servers: Vec<IceServer>,
        me: serde_json::Value,
    ) {
        let servers = self.servers(servers);
        let Some(side) = self.rooms.get_mut(&room) else { return };
        let config = ConnectionConfig { servers, polite, ..self.options.connection.clone() };
        let started = link::start(link::Start {
            room,
            peer,
            me,
            offers,
            config,
            channels: Arc::clone(&self.options.channels),
            message_max: self.options.message_max,
            whole_within: WHOLE_WITHIN,
            events: side.events.clone(),
            inputs: self.inputs.clone(),
            asks: self.asks.clone(),
        });
        match started {
            Ok(handle) => {
                side.linked(peer, handle.clone());
                self.links.insert((room, peer), handle);
            }
            Err(_) => {
                let failed = LinkInput::Failed(twocan_lobby::wire::Reason::NoCandidates);
                self.machine.handle_link(room, peer, failed, Instant::now());
            }
        }
    }

    fn command_link(&mut self, room: RoomId, peer: PeerId, command: LinkCommand) {
        let over = matches!(command, LinkCommand::Close { .. });
        let what = match command {
            LinkCommand::Connect { .. } => return,
            LinkCommand::Servers(servers) => ToLink::Servers(self.servers(servers)),
            LinkCommand::Signaling(is_up) => ToLink::Signaling(is_up),
            LinkCommand::Signal(kind, data) => ToLink::Signal(kind, data),
            LinkCommand::Restart => ToLink::Restart,
            LinkCommand::Control(text) => ToLink::Control(text),
            LinkCommand::Close { bye } => ToLink::Close { bye },
        };
        let key = (room, peer);
        let link = if over { self.links.remove(&key) } else { self.links.get(&key).cloned() };
        if let Some(link) = link {
            link.tell(what);
        }
    }

    /// As the connection takes them: those of ours, and what it cannot read is left out.
    fn servers(&self, servers: Vec<IceServer>) -> Vec<connection::IceServer> {
        let filter = self.options.filter.as_deref();
        let own = self.options.ice_servers.iter().cloned();
        servers.into_iter().chain(own).filter_map(|server| gathered(server, filter)).collect()
    }

    fn happened(&mut self, event: Event) {
        match event {
            Event::Reply(request, result) => self.replied(request, result),
            Event::Room(room, event) => {
                if let Some(side) = self.rooms.get_mut(&room) {
                    side.happened(event, reason);
                }
                self.sweep(room);
            }
            Event::List(rows) => {
                self.rows = rows.into_iter().map(Into::into).collect();
                if let Some((_, list)) = &self.list {
                    // Nobody looks at it any more: its end is on the way.
                    let _ = list.send(self.rows.clone());
                }
            }
            Event::ListClosed => self.list = None,
            Event::Server(event) => tracing::debug!(?event, "the way to the server"),
        }
    }

    fn replied(&mut self, request: RequestId, result: Result<Outcome, twocan_lobby::client::Failure>) {
        let Some(waiting) = self.waiting.remove(&request) else { return };
        let result = result.map_err(|failure| Error::from_failure(failure, &self.options.url, &self.why));
        // Whoever asked may not look any more; a lobby that nobody takes is left.
        match (waiting, result) {
            (Waiting::Open(answer, asks), result) => {
                let _ = answer.send(result.map(|_| Client::over(asks)));
            }
            (Waiting::Plain(answer), result) => {
                let _ = answer.send(result.map(|_| ()));
            }
            (Waiting::Enter(answer), Ok(Outcome::Entered { room, me, lobby, ticket, is_complete })) => {
                let Some(asks) = self.asks.upgrade() else { return };
                let (events, waiting) = Events::new(self.options.message_max);
                let state = match lobby.sealed {
                    _ if is_complete => LobbyState::Complete,
                    true => LobbyState::Sealed,
                    false => LobbyState::Open,
                };
                let (side, view) = RoomSide::new(lobby, ticket, state, events);
                self.rooms.insert(room, side);
                let _ = answer.send(Ok(Lobby::new(room, me, view, waiting, asks)));
            }
            (Waiting::Enter(answer), Err(error)) => {
                let _ = answer.send(Err(error));
            }
            (Waiting::Watch(answer), Ok(Outcome::Watching { total })) => {
                let Some(asks) = self.asks.upgrade() else { return };
                let (list, rows) = watch::channel(std::mem::take(&mut self.rows));
                self.lists += 1;
                self.list = Some((self.lists, list));
                let _ = answer.send(Ok(LobbyList::new(rows, total, asks, self.lists)));
            }
            (Waiting::Watch(answer), Err(error)) => {
                let _ = answer.send(Err(error));
            }
            // The machine answers each request in its own way.
            (Waiting::Enter(_) | Waiting::Watch(_), Ok(_)) => {}
        }
    }
}

/// Never, where nothing is due.
async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
