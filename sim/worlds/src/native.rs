//! A native peer: the client machine, a connection for each link, and sockets: what `net/peer` is in life.
//!
//! ```text
//!  lobby::client::Client ◄─ frames ─► Tcp ◄───────────┐
//!      │ commands  ▲ link inputs                      ├─► packets of the host
//!  rtc::Connection ◄─ datagrams, streams ─► sockets ──┘
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use twocan_ice::SocketId;
use twocan_lobby::client::{
    Client, Command, Event, LinkCommand, LinkInput, LinkState, Outcome, RequestId, RoomEvent, RoomId,
    SocketId as WsId, hello,
};
use twocan_lobby::wire::{
    Class, ClientMessage, Create, IceServer, Join, Kind as SignalKind, Path as WirePath,
};
use twocan_lobby::{AppName, PeerId};
use twocan_rtc::gather::{IceUrl, TransportPolicy};
use twocan_rtc::{Connection, ConnectionState, PathInfo, Signal, Transmit};
use twocan_sim::tcp::{StreamId, Tcp, TcpEvent};
use twocan_sim::{Network, Packet, packet::Payload};

use crate::app::{App, Channels};
use crate::page::Neighbours;
use crate::player::{News, Planted, Seat, Settings};
use crate::server::{CLOSE, TLS_PORT, frame, take_frames};

/// The first port of UDP sockets.
const FIRST_PORT: u16 = 50_000;

/// One link.
pub struct Link {
    /// Its connection.
    pub connection: Connection,
    room: RoomId,
    peer: PeerId,
    channels: Channels,
    sockets: BTreeMap<SocketId, SocketAddr>,
    streams: BTreeMap<SocketId, StreamId>,
    /// The application's messages.
    pub app: App,
}

/// The peer: see the module.
pub struct Native {
    settings: Settings,
    /// What became of it, and when.
    pub(crate) news: Vec<(Duration, News)>,
    /// Its link, once there is one.
    pub(crate) link: Option<Link>,
    /// Where its lobby says that the link stands.
    pub(crate) says: LinkState,
    addresses: Vec<IpAddr>,
    server: [IpAddr; 2],
    tcp: Tcp,
    client: Client,
    /// Who answers for which name here.
    pub(crate) neighbours: Neighbours,
    web_sockets: BTreeMap<WsId, StreamId>,
    /// What the addresses of sockets say that are not open yet.
    greetings: BTreeMap<WsId, String>,
    received: BTreeMap<StreamId, Vec<u8>>,
    entering: Option<RequestId>,
    room: Option<RoomId>,
    next_port: u16,
    seed: [u8; 32],
    packets: VecDeque<Packet>,
    start: Instant,
}

impl Native {
    /// One who has not said anything yet.
    pub fn new(network: &Network, seat: Seat, settings: Settings, seed: [u8; 32], now: Instant) -> Native {
        let addresses: Vec<IpAddr> = network.host_addresses(seat.host).collect();
        let app = AppName::parse("sim").expect("a name of three letters");
        Native {
            settings,
            news: Vec::new(),
            link: None,
            says: LinkState::Connecting,
            tcp: Tcp::new(&addresses, u64::from(seed[2]) << 8 | u64::from(seed[3]), now),
            addresses,
            server: seat.server,
            client: Client::new(twocan_lobby::client::Config { app }, seed),
            neighbours: Neighbours::default(),
            web_sockets: BTreeMap::new(),
            greetings: BTreeMap::new(),
            received: BTreeMap::new(),
            entering: None,
            room: None,
            next_port: FIRST_PORT,
            seed,
            packets: VecDeque::new(),
            start: now,
        }
    }

    /// Opens a lobby.
    pub fn create(&mut self, now: Instant) {
        let create = ClientMessage::Create(Create { size: Some(2), ..Create::default() });
        self.entering = Some(self.client.enter(&create, now));
        self.work(now);
    }

    /// Enters the lobby of this code.
    pub fn join(&mut self, code: &str, now: Instant) {
        let join = ClientMessage::Join(Join { code: code.into(), password: None, me: None, run: None });
        self.entering = Some(self.client.enter(&join, now));
        self.work(now);
    }

    /// Leaves the server as soon as everyone is linked; the owner's to say.
    pub fn start(&mut self, now: Instant) {
        if let Some(room) = self.room {
            self.client.start(room, now);
        }
        self.work(now);
    }

    /// The host has these addresses from now on.
    pub fn set_addresses(&mut self, addresses: Vec<IpAddr>, now: Instant) {
        self.tcp.set_addresses(&addresses);
        self.addresses = addresses;
        let wanted: Vec<IpAddr> = self.usable_addresses();
        if let Some(link) = &mut self.link {
            let gone: Vec<SocketId> = link
                .sockets
                .iter()
                .filter(|(_, local)| !wanted.contains(&local.ip()))
                .map(|(id, _)| *id)
                .collect();
            let missing: Vec<IpAddr> = wanted
                .into_iter()
                .filter(|ip| !link.sockets.values().any(|local| local.ip() == *ip))
                .collect();
            for id in gone {
                link.sockets.remove(&id);
                link.connection.remove_socket(id, now);
            }
            for ip in missing {
                let local = SocketAddr::new(ip, self.next_port);
                self.next_port += 1;
                let id = link.connection.add_socket(local, now);
                link.sockets.insert(id, local);
            }
        }
        self.work(now);
    }

    /// The way that data goes, as last told.
    pub fn path(&self) -> Option<PathInfo> {
        self.link.as_ref()?.connection.stats().path
    }

    /// Where the link stands.
    pub fn state(&self) -> Option<ConnectionState> {
        self.link.as_ref().map(|link| link.connection.state())
    }

    /// Whether a way past the relay is still under check.
    pub(crate) fn is_still_trying(&self) -> bool {
        let report = self.link.as_ref().and_then(|link| link.connection.report());
        report.is_some_and(|report| {
            report.pairs.iter().any(|pair| {
                let is_relayed = [pair.local_kind, pair.remote_kind].contains(&twocan_ice::Kind::Relayed);
                !is_relayed && pair.state == twocan_ice::PairState::InProgress
            })
        })
    }

    /// A few figures of the connection, for a person.
    pub(crate) fn figures(&self) -> Option<String> {
        let stats = self.link.as_ref()?.connection.stats();
        let twocan_rtc::Stats { restarts, path_changes, discards, .. } = stats;
        Some(format!("{restarts} restarts, {path_changes} changes of path, discarded {discards:?}"))
    }

    /// The addresses that sockets are bound to.
    fn usable_addresses(&self) -> Vec<IpAddr> {
        let is_usable = |address: &&IpAddr| !matches!(address, IpAddr::V6(v6) if v6.is_unicast_link_local());
        self.addresses.iter().filter(is_usable).copied().collect()
    }

    /// A packet for this host.
    pub fn handle_packet(&mut self, packet: &Packet, now: Instant) {
        match &packet.payload {
            Payload::Udp(udp) => {
                let from = SocketAddr::new(packet.source, udp.source);
                let to = SocketAddr::new(packet.destination, udp.destination);
                if let Some(link) = &mut self.link {
                    let socket = link.sockets.iter().find(|(_, local)| **local == to).map(|(id, _)| *id);
                    if let Some(socket) = socket {
                        // What it is of no use for, the machine counts by name.
                        let _ = link.connection.handle_datagram(socket, from, &udp.data, now);
                    }
                }
            }
            Payload::Tcp(_) => self.tcp.handle_packet(packet, now),
            Payload::Icmp(_) | Payload::Other { .. } => {}
        }
        self.work(now);
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tcp.handle_timeout(now);
        if self.client.poll_timeout().is_some_and(|due| due <= now) {
            self.client.handle_timeout(now);
        }
        if let Some(link) = &mut self.link {
            if link.connection.poll_timeout().is_some_and(|due| due <= now) {
                link.connection.handle_timeout(now);
            }
            link.app.handle_timeout(&mut link.connection, &link.channels, now);
        }
        self.work(now);
    }

    /// When [`Native::handle_timeout`] is due.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        let link = self.link.as_ref();
        let machines = [
            self.client.poll_timeout(),
            link.and_then(|link| link.connection.poll_timeout()),
            link.and_then(|link| link.app.poll_timeout()),
        ];
        self.tcp.poll_timeout(now).into_iter().chain(machines.into_iter().flatten()).min()
    }

    /// A packet to send.
    pub fn poll_packet(&mut self) -> Option<Packet> {
        self.packets.pop_front().or_else(|| self.tcp.poll_packet())
    }

    fn tell(&mut self, news: News, now: Instant) {
        self.news.push((now.saturating_duration_since(self.start), news));
    }

    fn work(&mut self, now: Instant) {
        loop {
            let mut busy = false;
            while let Some(event) = self.tcp.poll_event() {
                busy = true;
                self.stream_event(event, now);
            }
            while let Some((socket, text)) = self.client.poll_transmit() {
                busy = true;
                if let Some(stream) = self.web_sockets.get(&socket) {
                    self.tcp.send(*stream, &frame(&text), now);
                }
            }
            if let Some(event) = self.client.poll_event() {
                busy = true;
                self.client_event(event, now);
            } else if let Some(command) = self.client.poll_command() {
                busy = true;
                self.obey_client(command, now);
            }
            busy |= self.work_link(now);
            if !busy {
                return;
            }
        }
    }

    fn stream_event(&mut self, event: TcpEvent, now: Instant) {
        let (TcpEvent::Open { stream, .. } | TcpEvent::Data(stream, _) | TcpEvent::Closed(stream)) = event;
        let web_socket = self.web_sockets.iter().find(|(_, other)| **other == stream).map(|(id, _)| *id);
        if let Some(id) = web_socket {
            return self.web_socket_event(id, event, now);
        }
        let Some(link) = &mut self.link else { return };
        let Some(socket) = link.streams.iter().find(|(_, other)| **other == stream).map(|(id, _)| *id) else {
            return;
        };
        match event {
            TcpEvent::Open { local, remote, .. } => {
                link.connection.handle_stream_open(socket, local, remote, now);
            }
            TcpEvent::Data(_, bytes) => {
                let _ = link.connection.handle_stream(socket, &bytes, now);
            }
            TcpEvent::Closed(_) => {
                link.streams.remove(&socket);
                link.connection.handle_stream_closed(socket, now);
            }
        }
    }

    fn web_socket_event(&mut self, id: WsId, event: TcpEvent, now: Instant) {
        match event {
            TcpEvent::Open { stream, .. } => {
                // There are no addresses here: what a socket's says goes as its first frame.
                if let Some(text) = self.greetings.remove(&id) {
                    self.tcp.send(stream, &frame(&text), now);
                }
                self.client.handle_open(id, now);
            }
            TcpEvent::Data(stream, bytes) => {
                let received = self.received.entry(stream).or_default();
                received.extend_from_slice(&bytes);
                for text in take_frames(received) {
                    match text.strip_prefix(CLOSE).map(str::parse) {
                        Some(code) => {
                            self.web_sockets.remove(&id);
                            self.tcp.send(stream, &frame(CLOSE), now);
                            self.tcp.close(stream, now);
                            self.client.handle_closed(id, code.unwrap_or(1_006), now);
                        }
                        None => self.client.handle_text(id, &text, now),
                    }
                }
            }
            TcpEvent::Closed(stream) => {
                self.received.remove(&stream);
                self.web_sockets.remove(&id);
                self.client.handle_closed(id, 1_006, now);
            }
        }
    }

    fn client_event(&mut self, event: Event, now: Instant) {
        match event {
            Event::Reply(request, result) if self.entering == Some(request) => match result {
                Ok(Outcome::Entered { room, lobby, .. }) => {
                    self.room = Some(room);
                    self.tell(News::Entered(lobby.code.to_string()), now);
                }
                Ok(_) => {}
                Err(why) => self.tell(News::Refused(why.code().to_owned()), now),
            },
            Event::Room(_, RoomEvent::Complete) => self.tell(News::Complete, now),
            Event::Room(_, RoomEvent::Link(_, state, _)) => self.says = state,
            Event::Room(_, RoomEvent::Fail(_, why)) => self.tell(News::GaveUp(crate::app::word(why)), now),
            Event::Room(_, RoomEvent::Removed(_)) if self.link.is_none() => {
                self.tell(News::GaveUp("session-lost"), now);
            }
            _ => {}
        }
    }

    fn obey_client(&mut self, command: Command, now: Instant) {
        match command {
            Command::Dial(id, app) => {
                let from = self.usable_addresses();
                let pick = |is_v4: bool| from.iter().copied().find(|ip| ip.is_ipv4() == is_v4);
                let (from, to) = match (pick(true), pick(false)) {
                    (Some(from), _) => (from, self.server[0]),
                    (None, Some(from)) => (from, self.server[1]),
                    (None, None) => return self.client.handle_closed(id, 1_006, now),
                };
                let stream = self.tcp.connect(from, SocketAddr::new(to, TLS_PORT), now);
                self.web_sockets.insert(id, stream);
                self.greetings.extend(app.map(|app| (id, hello(&app, None))));
            }
            Command::Hang(id, code) => {
                if let Some(stream) = self.web_sockets.remove(&id) {
                    if code.is_some() {
                        self.tcp.send(stream, &frame(CLOSE), now);
                    }
                    self.tcp.close(stream, now);
                }
            }
            Command::Link(room, peer, LinkCommand::Connect { offers, polite, servers, .. }) => {
                self.connect(room, peer, (offers, polite), servers, now);
            }
            Command::Link(_, _, command) => self.obey_for_link(command, now),
        }
    }

    fn connect(
        &mut self,
        room: RoomId,
        peer: PeerId,
        (offers, polite): (bool, bool),
        servers: Vec<IceServer>,
        now: Instant,
    ) {
        let certificate = crate::app::certificate(usize::from(polite));
        let planted = self.settings.planted;
        let relay_only = self.settings.relay_only || planted == Some(Planted::RelaysOnly);
        let policy = if relay_only { TransportPolicy::Relay } else { TransportPolicy::All };
        let config = twocan_rtc::Config {
            servers: self.gathered(servers),
            policy,
            polite,
            is_tcp: self.settings.tcp,
            ..twocan_rtc::Config::new(certificate)
        };
        let mut connection = Connection::new(config, self.seed, now);
        let mut sockets = BTreeMap::new();
        for ip in self.usable_addresses() {
            let local = SocketAddr::new(ip, self.next_port);
            self.next_port += 1;
            sockets.insert(connection.add_socket(local, now), local);
        }
        let channels = Channels::open(&mut connection, now);
        if offers {
            connection.negotiate(now);
        }
        let mut app = App::new(&self.settings);
        if self.link.as_ref().is_some_and(|before| before.app.is_over()) {
            app.stop();
        }
        self.link = Some(Link { connection, room, peer, channels, sockets, streams: BTreeMap::new(), app });
    }

    fn gathered(&self, servers: Vec<IceServer>) -> Vec<twocan_rtc::gather::IceServer> {
        let word = self.settings.only_urls;
        let gathered = |server: IceServer| {
            let wanted = server.urls.iter().filter(|url| word.is_none_or(|word| url.contains(word)));
            twocan_rtc::gather::IceServer {
                urls: wanted.filter_map(|url| IceUrl::parse(url).ok()).collect(),
                username: server.username.unwrap_or_default(),
                credential: server.credential.unwrap_or_default(),
            }
        };
        servers.into_iter().map(gathered).filter(|server| !server.urls.is_empty()).collect()
    }

    fn obey_for_link(&mut self, command: LinkCommand, now: Instant) {
        let servers = match command {
            LinkCommand::Servers(ref servers) => self.gathered(servers.clone()),
            _ => Vec::new(),
        };
        let Some(link) = &mut self.link else { return };
        let refused = match command {
            LinkCommand::Connect { .. } => Ok(()),
            LinkCommand::Servers(_) => {
                link.connection.set_servers(servers, now);
                Ok(())
            }
            LinkCommand::Signaling(is_up) => {
                link.connection.handle_signaling(is_up);
                Ok(())
            }
            LinkCommand::Signal(kind, data) => match read_signal(kind, data.as_deref()) {
                Some(signal) => link.connection.handle_signal(signal, now),
                None => Ok(()),
            },
            LinkCommand::Restart => {
                link.connection.restart_ice(now);
                Ok(())
            }
            LinkCommand::Control(text) => {
                link.channels.control(&mut link.connection, &text, now);
                Ok(())
            }
            LinkCommand::Close { .. } => {
                link.connection.close(now);
                Ok(())
            }
        };
        if let Err(why) = refused {
            self.tell(News::SignalRefused(why.to_string()), now);
        }
    }

    /// What the connection wants. `true`: something.
    fn work_link(&mut self, now: Instant) -> bool {
        let Some(link) = &mut self.link else { return false };
        if self.settings.planted == Some(Planted::NeverSettles) {
            return false;
        }
        let mut busy = false;
        while let Some(transmit) = link.connection.poll_transmit() {
            busy = true;
            send(link, &mut self.tcp, &mut self.packets, transmit, now);
        }
        while let Some(command) = link.connection.poll_command() {
            busy = true;
            match command {
                twocan_rtc::Command::OpenStream { socket, to, from, .. } => {
                    let local = self.addresses.iter().copied().find(|ip| ip.is_ipv4() == to.is_ipv4());
                    match from.or(local) {
                        Some(from) => {
                            let stream = self.tcp.connect(from, to, now);
                            link.streams.insert(socket, stream);
                        }
                        None => link.connection.handle_stream_closed(socket, now),
                    }
                }
                twocan_rtc::Command::CloseSocket(socket) => {
                    if let Some(stream) = link.streams.remove(&socket) {
                        self.tcp.close(stream, now);
                    }
                }
                twocan_rtc::Command::Resolve { query, name } => {
                    let known: Vec<IpAddr> = self.neighbours.address_of(&name).into_iter().collect();
                    link.connection.handle_resolved(query, &known, now);
                }
                twocan_rtc::Command::Announce { .. } => {}
            }
        }
        if let Some(event) = link.connection.poll_event() {
            busy = true;
            self.link_event(event, now);
        }
        busy
    }

    fn link_event(&mut self, event: twocan_rtc::Event, now: Instant) {
        let Some(link) = &mut self.link else { return };
        let (room, peer) = (link.room, link.peer);
        let mut tell = |input: LinkInput<'_>| self.client.handle_link(room, peer, input, now);
        match event {
            twocan_rtc::Event::Signal(signal) => self.signal(&signal, (room, peer), now),
            twocan_rtc::Event::StateChanged(state) => {
                match state {
                    ConnectionState::Connected => tell(LinkInput::Connected),
                    ConnectionState::Connecting => tell(LinkInput::Connecting),
                    ConnectionState::Disconnected => tell(LinkInput::Disconnected),
                    _ => {}
                }
                self.tell(News::State(state), now);
            }
            twocan_rtc::Event::Path(info) => {
                let is_direct = info.path == twocan_rtc::Path::Direct;
                let path = if is_direct { WirePath::Direct } else { WirePath::Relayed };
                tell(LinkInput::Path { path, local: class(info.local), remote: class(info.remote) });
                self.tell(News::Path(info), now);
            }
            twocan_rtc::Event::ChannelOpen { .. }
                if self.settings.planted == Some(Planted::SpeaksUnasked) =>
            {
                self.settings.planted = None;
                if let Some(local) = link.sockets.values().next() {
                    let stranger = SocketAddr::from(([80, 80, 9, 9], 9));
                    self.packets.push_back(Packet::udp(*local, stranger, vec![22; 40]));
                }
            }
            twocan_rtc::Event::ChannelOpen { id, .. } => {
                let is_first = link.channels.opened(id);
                if is_first {
                    tell(LinkInput::Open);
                    link.app.begin(now);
                    self.tell(News::Open, now);
                }
            }
            twocan_rtc::Event::Message { .. } if self.settings.planted == Some(Planted::SwallowsAMessage) => {
                self.settings.planted = None;
            }
            twocan_rtc::Event::Message { id, bytes, .. } => {
                if let Some(text) = link.channels.received(id, &bytes, &mut link.app, now) {
                    tell(LinkInput::Control(text.as_str()));
                }
            }
            twocan_rtc::Event::Failed { reason, verdict } => {
                tell(LinkInput::Failed(crate::app::wire_reason(reason)));
                self.tell(News::Failed(reason.word(), verdict.map(|verdict| verdict.to_string())), now);
            }
            twocan_rtc::Event::Closed { .. } => {
                tell(LinkInput::ControlClosed);
                self.tell(News::Closed, now);
            }
            twocan_rtc::Event::BufferedAmountLow { .. }
            | twocan_rtc::Event::ChannelClosed { .. }
            | twocan_rtc::Event::CandidateError { .. } => {}
        }
    }

    fn signal(&mut self, signal: &Signal, (room, peer): (RoomId, PeerId), now: Instant) {
        match signal {
            Signal::Description(description) => {
                let offer = description.kind == twocan_rtc::sdp::Kind::Offer;
                let data = serde_json::to_string(&description.with_offer()).unwrap_or_default();
                self.client.handle_link(room, peer, LinkInput::Description { offer, data: &data }, now);
            }
            Signal::Candidate(candidate) => {
                let class = signal.class().and_then(class_of);
                let data = serde_json::to_string(candidate).unwrap_or_default();
                self.client.handle_link(room, peer, LinkInput::Candidate { class, data: &data }, now);
            }
            Signal::EndOfCandidates => {
                self.client.handle_link(room, peer, LinkInput::EndOfCandidates, now);
            }
        }
    }
}

fn send(link: &Link, tcp: &mut Tcp, packets: &mut VecDeque<Packet>, transmit: Transmit, now: Instant) {
    let Transmit { socket, to, bytes, segment_size, ttl } = transmit;
    if let Some(stream) = link.streams.get(&socket) {
        return tcp.send(*stream, &bytes, now);
    }
    let Some(&local) = link.sockets.get(&socket) else { return };
    for datagram in bytes.chunks(segment_size.unwrap_or(bytes.len()).max(1)) {
        let packet = Packet::udp(local, to, datagram.to_vec());
        packets.push_back(Packet { hop_limit: ttl.unwrap_or(packet.hop_limit), ..packet });
    }
}

fn class(kind: twocan_ice::Kind) -> Class {
    match kind {
        twocan_ice::Kind::Host => Class::Host,
        twocan_ice::Kind::ServerReflexive => Class::Srflx,
        twocan_ice::Kind::PeerReflexive => Class::Prflx,
        twocan_ice::Kind::Relayed => Class::Relay,
    }
}

fn class_of(word: &str) -> Option<Class> {
    match word {
        "host" => Some(Class::Host),
        "srflx" => Some(Class::Srflx),
        "prflx" => Some(Class::Prflx),
        "relay" => Some(Class::Relay),
        _ => None,
    }
}

fn read_signal(kind: SignalKind, data: Option<&str>) -> Option<Signal> {
    Some(match kind {
        SignalKind::Description => Signal::Description(serde_json::from_str(data?).ok()?),
        SignalKind::Candidate => Signal::Candidate(serde_json::from_str(data?).ok()?),
        SignalKind::EndOfCandidates => Signal::EndOfCandidates,
    })
}
