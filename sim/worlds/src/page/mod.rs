//! A page: what `web/sdk/src` does in Chromium, ported rule by rule over a model of the browser.
//!
//! ```text
//!  session.rs   session.ts    numbered frames, ping, doubt, resume        ◄──► Tcp
//!  mod.rs       lobby.ts      the lobby, the return by ticket
//!  link.rs      link.ts       perfect negotiation, beats, mending
//!  link/beat.rs               whether it carries, and what is held while it does not
//!  gate.rs      signals.ts    how many signals are taken
//!  outbox.rs    channel.ts    what waits in the SDK
//!  connection.rs              RTCPeerConnection: descriptions, DTLS, SCTP
//!  ice/                       libwebrtc's ICE                            ◄──► packets of the host
//! ```
//!
//! What was measured of the real one, and is held against this model by `tests/page.rs`: the first check of a candidate leaves at once, others in ticks of
//! 48 ms; candidates are looked for once the page's own description is set; host addresses are names; relays are asked by UDP, TCP and TLS at once;
//! the selected pair is asked every 2.5 s, is given up after five seconds of unanswered checks, and the connection after fifteen; networks are looked at
//! every two seconds, and only a restart looks for candidates on a new one; SCTP's timer begins at 400 ms and doubles.

mod connection;
mod gate;
mod ice;
mod link;
mod neighbours;
mod outbox;
mod room;
mod session;

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use serde_json::{Value, json};
use twocan_rtc::{ConnectionState, Path, PathInfo, Protocol};
use twocan_sim::tcp::{StreamId, Tcp, TcpEvent};
use twocan_sim::{Network, Packet, packet::Payload};

pub use link::{Link, LinkState};
pub use neighbours::Neighbours;

use crate::app::App;
use crate::player::{News, Planted, Seat, Settings};
use crate::server::{CLOSE, TLS_PORT, frame, take_frames};
use connection::PeerConnection;
use ice::{Ice, StreamToken};
use link::Effect;
use room::Room;
use session::{Output, Session};

/// The first port of UDP sockets.
const FIRST_PORT: u16 = 50_000;
/// More than a connection opens.
const PORTS_PER_GENERATION: u16 = 100;
/// Between two looks of the browser at its networks.
const NETWORKS_EVERY: Duration = Duration::from_secs(2);

/// A socket to the server, and whose it is.
struct WebSocket {
    session: usize,
    stream: StreamId,
    received: Vec<u8>,
}

/// The page: see the module.
pub struct Page {
    /// What became of it, and when.
    pub(crate) news: Vec<(Duration, News)>,
    /// Its link, once there is one.
    pub(crate) link: Option<Link>,
    settings: Settings,
    addresses: Vec<IpAddr>,
    server: [IpAddr; 2],
    tcp: Tcp,
    sessions: Vec<Session>,
    web_sockets: Vec<WebSocket>,
    streams: BTreeMap<StreamToken, StreamId>,
    room: Room,
    path: Option<PathInfo>,
    networks_at: Instant,
    random: ChaCha8Rng,
    seed: [u8; 32],
    packets: VecDeque<Packet>,
    start: Instant,
}

impl Page {
    /// One that has not said anything yet.
    pub fn new(network: &Network, seat: Seat, settings: Settings, seed: [u8; 32], now: Instant) -> Page {
        let addresses: Vec<IpAddr> = network.host_addresses(seat.host).collect();
        Page {
            news: Vec::new(),
            link: None,
            settings,
            tcp: Tcp::new(&addresses, u64::from(seed[2]) << 8 | u64::from(seed[3]), now),
            addresses,
            server: seat.server,
            sessions: Vec::new(),
            web_sockets: Vec::new(),
            streams: BTreeMap::new(),
            room: Room::default(),
            path: None,
            networks_at: now + NETWORKS_EVERY,
            random: ChaCha8Rng::from_seed(seed),
            seed,
            packets: VecDeque::new(),
            start: now,
        }
    }

    /// Opens a lobby.
    pub fn create(&mut self, now: Instant) {
        self.enter(json!({ "type": "create", "size": 2 }), now);
    }

    /// Enters the lobby of this code.
    pub fn join(&mut self, code: &str, now: Instant) {
        self.enter(json!({ "type": "join", "code": code }), now);
    }

    /// Leaves the server as soon as everyone is linked; the owner's to say.
    pub fn start(&mut self, now: Instant) {
        self.seal();
        self.work(now);
    }

    /// The host has these addresses from now on.
    pub fn set_addresses(&mut self, addresses: Vec<IpAddr>, now: Instant) {
        self.tcp.set_addresses(&addresses);
        self.addresses = addresses;
        self.network_changed(now);
    }

    /// `online`, `change` or `visibilitychange`.
    pub fn network_changed(&mut self, now: Instant) {
        for session in &mut self.sessions {
            session.doubt(now);
        }
        if let Some(link) = &mut self.link {
            link.doubt(now);
        }
        self.work(now);
    }

    /// The way that data goes.
    pub fn path(&self) -> Option<PathInfo> {
        let path = self.link.as_ref()?.pc.ice.path()?;
        let is_relayed = [path.local, path.remote].contains(&twocan_ice::Kind::Relayed);
        Some(PathInfo {
            path: if is_relayed { Path::Relayed } else { Path::Direct },
            local: path.local,
            remote: path.remote,
            protocol: Protocol::Udp,
            relay_protocol: path.relay,
            rtt: path.rtt,
        })
    }

    /// Where the link stands, in W3C's words.
    pub fn state(&self) -> Option<ConnectionState> {
        self.link.as_ref().map(|link| connection_state(link.state))
    }

    /// A packet for this host.
    pub fn handle_packet(&mut self, packet: &Packet, now: Instant) {
        match &packet.payload {
            Payload::Udp(udp) => {
                let from = SocketAddr::new(packet.source, udp.source);
                let to = SocketAddr::new(packet.destination, udp.destination);
                if let Some(link) = &mut self.link {
                    link.pc.ice.handle_datagram(to, from, &udp.data, now);
                }
            }
            Payload::Tcp(_) => self.tcp.handle_packet(packet, now),
            Payload::Icmp(_) | Payload::Other { .. } => {}
        }
        self.work(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, neighbours: &Neighbours, now: Instant) {
        self.tcp.handle_timeout(now);
        for session in &mut self.sessions {
            session.handle_timeout(now);
        }
        if self.networks_at <= now {
            self.networks_at = now + NETWORKS_EVERY;
            let networks = self.usable_addresses();
            if let Some(link) = &mut self.link {
                link.pc.ice.set_networks(&networks, now);
            }
        }
        if let Some(link) = &mut self.link
            && link.poll_timeout().is_some_and(|due| due <= now)
        {
            link.handle_timeout(neighbours, now);
        }
        self.handle_room_timeout(now);
        self.work(now);
    }

    /// When [`Page::handle_timeout`] is due.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        let sessions = self.sessions.iter().filter_map(Session::poll_timeout);
        let others = [
            self.tcp.poll_timeout(now),
            self.link.as_ref().and_then(Link::poll_timeout),
            self.link.is_some().then_some(self.networks_at),
            self.room.poll_timeout(),
        ];
        sessions.chain(others.into_iter().flatten()).min()
    }

    /// A packet to send.
    pub fn poll_packet(&mut self) -> Option<Packet> {
        self.packets.pop_front().or_else(|| self.tcp.poll_packet())
    }

    /// The names that stand for this host's addresses.
    pub fn names(&self) -> &[(IpAddr, String)] {
        self.link.as_ref().map_or(&[], |link| link.pc.ice.names())
    }

    fn tell(&mut self, news: News, now: Instant) {
        self.news.push((now.saturating_duration_since(self.start), news));
    }

    fn usable_addresses(&self) -> Vec<IpAddr> {
        let is_usable = |address: &&IpAddr| !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        self.addresses.iter().filter(is_usable).copied().collect()
    }

    fn open_session(&mut self, now: Instant) -> usize {
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        self.sessions.push(Session::open(ChaCha8Rng::from_seed(seed), now));
        self.sessions.len() - 1
    }

    pub(super) fn work(&mut self, now: Instant) {
        loop {
            let mut busy = false;
            while let Some(event) = self.tcp.poll_event() {
                busy = true;
                self.stream_event(event, now);
            }
            for index in 0..self.sessions.len() {
                while let Some(output) = self.sessions[index].outputs.pop_front() {
                    busy = true;
                    self.session_output(index, output, now);
                }
            }
            busy |= self.work_link(now);
            if !busy {
                break;
            }
        }
        let path = self.path();
        let ends = |path: &Option<PathInfo>| path.map(|path| (path.local, path.remote));
        if ends(&path) != ends(&self.path) {
            self.path = path;
            if let Some(path) = path {
                self.tell(News::Path(path), now);
            }
        }
    }

    fn stream_event(&mut self, event: TcpEvent, now: Instant) {
        let (TcpEvent::Open { stream, .. } | TcpEvent::Data(stream, _) | TcpEvent::Closed(stream)) = event;
        if let Some(index) = self.web_sockets.iter().position(|socket| socket.stream == stream) {
            return self.web_socket_event(index, event, now);
        }
        let token = self.streams.iter().find(|(_, other)| **other == stream).map(|(token, _)| *token);
        let (Some(token), Some(link)) = (token, &mut self.link) else { return };
        match event {
            TcpEvent::Open { .. } => {}
            TcpEvent::Data(_, bytes) => link.pc.ice.handle_stream(token, &bytes, now),
            TcpEvent::Closed(_) => {
                self.streams.remove(&token);
                link.pc.ice.handle_stream_closed(token, now);
            }
        }
    }

    fn web_socket_event(&mut self, index: usize, event: TcpEvent, now: Instant) {
        let session = self.web_sockets[index].session;
        match event {
            TcpEvent::Open { .. } => self.sessions[session].handle_open(now),
            TcpEvent::Data(stream, bytes) => {
                let received = &mut self.web_sockets[index].received;
                received.extend_from_slice(&bytes);
                for text in take_frames(received) {
                    match text.strip_prefix(CLOSE).map(str::parse) {
                        Some(code) => {
                            self.web_sockets.retain(|socket| socket.stream != stream);
                            self.tcp.send(stream, &frame(CLOSE), now);
                            self.tcp.close(stream, now);
                            return self.sessions[session].cut(code.unwrap_or(1_006), now);
                        }
                        None => self.sessions[session].handle_text(&text, now),
                    }
                }
            }
            TcpEvent::Closed(_) => {
                self.web_sockets.remove(index);
                self.sessions[session].cut(1_006, now);
            }
        }
    }

    fn session_output(&mut self, index: usize, output: Output, now: Instant) {
        let socket = self.web_sockets.iter().position(|socket| socket.session == index);
        match output {
            Output::Dial => self.dial(index, now),
            Output::Text(text) => {
                if let Some(socket) = socket {
                    self.tcp.send(self.web_sockets[socket].stream, &frame(&text), now);
                }
            }
            Output::Hang(code) => {
                if let Some(socket) = socket {
                    let stream = self.web_sockets.remove(socket).stream;
                    if code.is_some() {
                        self.tcp.send(stream, &frame(CLOSE), now);
                    }
                    self.tcp.close(stream, now);
                }
            }
            other => self.session_event(index, other, now),
        }
    }

    fn dial(&mut self, session: usize, now: Instant) {
        let from = self.usable_addresses();
        let pick = |is_v4: bool| from.iter().copied().find(|ip| ip.is_ipv4() == is_v4);
        let (from, to) = match (pick(true), pick(false)) {
            (Some(from), _) => (from, self.server[0]),
            (None, Some(from)) => (from, self.server[1]),
            (None, None) => return self.sessions[session].cut(1_006, now),
        };
        let stream = self.tcp.connect(from, SocketAddr::new(to, TLS_PORT), now);
        self.web_sockets.push(WebSocket { session, stream, received: Vec::new() });
    }

    /// The server names us the other side.
    fn connect(&mut self, peer: String, offers: bool, polite: bool, now: Instant) {
        let link = self.new_link(peer, (offers, polite), 0, false, now);
        self.link = Some(link);
        self.tell_around();
    }

    /// A link with a connection of its own: the first, or one that takes another one's place.
    fn new_link(
        &mut self,
        peer: String,
        (offers, polite): (bool, bool),
        generation: u64,
        is_crowded: bool,
        now: Instant,
    ) -> Link {
        let planted = self.settings.planted;
        let relay_only = self.settings.relay_only || is_crowded || planted == Some(Planted::RelaysOnly);
        let mut seed = self.seed;
        seed[0] ^= generation as u8;
        let port = FIRST_PORT + PORTS_PER_GENERATION * generation as u16;
        let ice = Ice::new(self.servers(), relay_only, self.usable_addresses(), port, seed, now);
        let certificate = crate::app::certificate(usize::from(polite));
        let connection = PeerConnection::new(ice, certificate, seed, now);
        Link::new(peer, (offers, polite), connection, (App::new(&self.settings), planted), now)
    }

    /// `Room._anew` of `web/sdk/src/lobby.ts`.
    fn begin_anew(&mut self, generation: u64, offers: bool, now: Instant) {
        let Some(mut before) = self.link.take() else { return };
        before.pc.close(now);
        while let Some(output) = before.pc.ice.poll_output() {
            self.carry(output, now);
        }
        for (_, stream) in std::mem::take(&mut self.streams) {
            self.tcp.close(stream, now);
        }
        let roles = (offers, before.polite);
        let next = self.new_link(before.peer.clone(), roles, generation, offers, now);
        self.link = Some(next.after(&before, generation, now));
    }

    /// A signal, of this link or of the one that takes its place.
    fn signaled(&mut self, frame: &Value, now: Instant) {
        let Some(known) = self.link.as_ref().map(|link| link.generation) else { return };
        if frame["kind"] == "description" {
            let generation = frame["data"]["anew"].as_u64().unwrap_or(0);
            if generation > known {
                self.begin_anew(generation, false, now);
            } else if generation < known {
                return;
            }
        }
        if let Some(link) = &mut self.link {
            link.signal(&frame["kind"], frame["data"].clone(), now);
        }
    }

    /// What the link wants. `true`: something.
    fn work_link(&mut self, now: Instant) -> bool {
        let Some(link) = &mut self.link else { return false };
        if self.settings.planted == Some(Planted::NeverSettles) {
            return false;
        }
        link.work(now);
        let mut busy = false;
        while let Some(output) = self.link.as_mut().and_then(|link| link.pc.ice.poll_output()) {
            busy = true;
            self.carry(output, now);
        }
        while let Some(effect) = self.link.as_mut().and_then(|link| link.effects.pop_front()) {
            busy = true;
            self.follow(effect, now);
        }
        busy
    }

    fn carry(&mut self, output: ice::Output, now: Instant) {
        let usable = self.usable_addresses();
        match output {
            ice::Output::Datagram { from, to, bytes } => {
                let own = usable.iter().find(|ip| ip.is_ipv4() == from.is_ipv4());
                if let Some(own) = own {
                    let from = SocketAddr::new(*own, from.port());
                    self.packets.push_back(Packet::udp(from, to, bytes));
                }
            }
            ice::Output::Connect { stream, is_v4, to } => {
                let own = usable.iter().find(|ip| ip.is_ipv4() == is_v4);
                if let Some(own) = own {
                    self.streams.insert(stream, self.tcp.connect(*own, to, now));
                }
            }
            ice::Output::Stream { stream, bytes } => {
                if let Some(connection) = self.streams.get(&stream) {
                    self.tcp.send(*connection, &bytes, now);
                }
            }
        }
    }

    fn follow(&mut self, effect: Effect, now: Instant) {
        match effect {
            Effect::Note(frame) => self.note(frame),
            Effect::Doubt => {
                if let Some(session) = self.room.session {
                    self.sessions[session].doubt(now);
                }
            }
            Effect::Return => self.return_to_server(now),
            Effect::Anew => {
                let generation = self.link.as_ref().map_or(0, |link| link.generation);
                self.begin_anew(generation + 1, true, now);
            }
            Effect::Opened => {
                self.tell(News::Open, now);
                self.speak_unasked();
            }
            Effect::State(state) => {
                self.tell(News::State(connection_state(state)), now);
                self.link_state(state, now);
            }
            Effect::Failed(reason) => {
                self.tell(News::Failed(reason.word(), None), now);
                self.tell(News::GaveUp(reason.word()), now);
                self.settle();
            }
            Effect::Closed => {
                self.tell(News::Closed, now);
                self.settle();
            }
            Effect::Refused => {
                self.tell(News::SignalRefused("the browser does not take the description".into()), now);
            }
        }
    }

    fn speak_unasked(&mut self) {
        if self.settings.planted == Some(Planted::SpeaksUnasked)
            && let Some(ip) = self.usable_addresses().first()
        {
            let (from, stranger) = (SocketAddr::new(*ip, FIRST_PORT), SocketAddr::from(([80, 80, 9, 9], 9)));
            self.packets.push_back(Packet::udp(from, stranger, vec![22; 40]));
        }
    }

    fn note(&mut self, frame: Value) {
        if let Some(session) = self.room.session {
            self.sessions[session].note(frame);
        }
    }
}

fn connection_state(state: LinkState) -> ConnectionState {
    match state {
        LinkState::Connecting => ConnectionState::Connecting,
        LinkState::Open => ConnectionState::Connected,
        LinkState::Mending => ConnectionState::Disconnected,
        LinkState::Failed => ConnectionState::Failed,
        LinkState::Closed => ConnectionState::Closed,
    }
}
