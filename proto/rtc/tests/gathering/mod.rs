//! A gatherer in a pretend network: NATs before its sockets, our own servers, names, streams, and arithmetic time.
#![allow(dead_code, reason = "each test uses its own part")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use twocan_ice::{Kind, SocketId};
use twocan_rtc::gather::{
    CandidateError, Command, Config, Event, Gathered, Gatherer, IceServer, IceUrl, Input, Transmit,
};
use twocan_stun::attribute::{AlternateServer, ErrorReply};
use twocan_stun::{Builder, ErrorCode, Message, Method};
use twocan_turn::{
    ClientAddr, Command as ServerCommand, External, Limits, PeerAddr, Policy, RelayAddr, Server, Transport,
    Via,
};

pub const DELAY: Duration = Duration::from_millis(25);
pub const SERVER: &str = "192.0.2.5:3478";
pub const SERVER_V6: &str = "[2001:db8::5]:3478";
pub const OTHER: &str = "192.0.2.6:3478";
pub const PEER: &str = "8.8.8.8:5000";

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn server(urls: &[&str]) -> IceServer {
    let urls = urls.iter().map(|url| IceUrl::parse(url).unwrap()).collect();
    IceServer { urls, username: "ada".into(), credential: "lovelace".into() }
}

enum Due {
    ToServer { from: ClientAddr, bytes: Vec<u8> },
    ToClient { socket: SocketId, from: SocketAddr, bytes: Vec<u8>, is_stream: bool },
    StreamOpen(SocketId),
    StreamClosed(SocketId),
}

pub struct World {
    pub now: Instant,
    start: Instant,
    pub gatherer: Gatherer,
    queue: BTreeMap<(Instant, u64), Due>,
    count: u64,
    /// Servers by address; both families of one server share a machine.
    pub servers: Vec<(Vec<SocketAddr>, Server)>,
    locals: BTreeMap<SocketId, SocketAddr>,
    /// What the outside sees of a socket, where there is a NAT.
    pub mapped: BTreeMap<SocketId, SocketAddr>,
    pub streams: BTreeMap<SocketId, (SocketAddr, Transport)>,
    /// Sockets that nothing passes through.
    pub dead: BTreeSet<SocketId>,
    /// Whether datagrams, and streams, get through.
    pub udp_works: bool,
    pub streams_work: bool,
    /// Streams are neither opened nor refused.
    pub streams_hang: bool,
    pub names: BTreeMap<String, Vec<IpAddr>>,
    pub resolver_works: bool,
    /// Servers that name another (300), and which.
    pub alternates: BTreeMap<SocketAddr, SocketAddr>,
    pub events: Vec<(u64, Event)>,
    pub commands: Vec<Command>,
    pub sent: Vec<(u64, Transmit)>,
    pub received: Vec<(SocketId, SocketAddr, Vec<u8>)>,
    pub at_peers: Vec<(SocketAddr, Vec<u8>)>,
}

/// The answer of a server that sends Allocates elsewhere.
fn try_alternate(request: &[u8], other: SocketAddr) -> Option<Vec<u8>> {
    let request = Message::parse(request).unwrap();
    if request.method() != Method::ALLOCATE {
        return None;
    }
    let mut buffer = [0; 128];
    let reply = ErrorReply::bare(ErrorCode::TRY_ALTERNATE);
    let mut builder = Builder::error(&mut buffer, &request, reply).unwrap();
    builder.add(&AlternateServer(other)).unwrap();
    Some(builder.finish().to_vec())
}

fn machine(now: Instant, seed: u8, addresses: &[SocketAddr]) -> Server {
    let config = twocan_turn::Config {
        realm: "twocan".into(),
        external: External {
            v4: addresses.iter().find_map(|address| match address.ip() {
                IpAddr::V4(ip) => Some(ip),
                IpAddr::V6(_) => None,
            }),
            v6: addresses.iter().find_map(|address| match address.ip() {
                IpAddr::V6(ip) => Some(ip),
                IpAddr::V4(_) => None,
            }),
        },
        relay_ports: 50_000..=50_999,
        relay_range: 50_000..=50_999,
        threads: 1,
        control_key: None,
        own_addresses: Vec::new(),
        users: vec![("ada".into(), "lovelace".into())],
        secret: None,
        grant_key: [3; 32],
        policy: Policy::new(),
        limits: Limits::default(),
        nonce_key: [seed; 32],
        unix_now: Duration::from_secs(1_790_000_000),
        listeners: addresses.to_vec(),
        discovery: Vec::new(),
        dont_fragment: false,
    };
    Server::new(config, [seed; 32], now).unwrap()
}

impl World {
    pub fn new(config: Config) -> World {
        #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
        let now = Instant::now();
        World {
            now,
            start: now,
            gatherer: Gatherer::new(config, [5; 32], now),
            queue: BTreeMap::new(),
            count: 0,
            servers: vec![],
            locals: BTreeMap::new(),
            mapped: BTreeMap::new(),
            streams: BTreeMap::new(),
            dead: BTreeSet::new(),
            udp_works: true,
            streams_work: true,
            streams_hang: false,
            names: BTreeMap::new(),
            resolver_works: true,
            alternates: BTreeMap::new(),
            events: vec![],
            commands: vec![],
            sent: vec![],
            received: vec![],
            at_peers: vec![],
        }
        .with_server(&[SERVER, SERVER_V6])
    }

    pub fn of(servers: &[IceServer]) -> World {
        World::new(Config { servers: servers.to_vec(), ..Config::default() })
    }

    pub fn with_server(mut self, addresses: &[&str]) -> World {
        let addresses: Vec<_> = addresses.iter().map(|text| addr(text)).collect();
        let seed = u8::try_from(self.servers.len()).unwrap() + 1;
        self.servers.push((addresses.clone(), machine(self.now, seed, &addresses)));
        self
    }

    /// The first server is started anew.
    pub fn restart_server(&mut self) {
        let addresses = self.servers[0].0.clone();
        self.servers[0].1 = machine(self.now, 77, &addresses);
    }

    /// A socket behind a NAT, or not.
    pub fn add(&mut self, id: u32, local: &str, mapped: Option<&str>) {
        let id = SocketId(id);
        self.locals.insert(id, addr(local));
        if let Some(mapped) = mapped {
            self.mapped.insert(id, addr(mapped));
        }
        self.gatherer.add_socket(id, addr(local), self.now);
        self.drain();
    }

    pub fn remove(&mut self, id: u32) {
        self.gatherer.remove_socket(SocketId(id), self.now);
        self.drain();
    }

    /// One socket behind a NAT, and no more.
    pub fn home(&mut self) {
        self.add(1, "10.0.0.2:4000", Some("198.51.100.7:61000"));
        self.gatherer.end_of_sockets(self.now);
        self.drain();
    }

    fn ms(&self) -> u64 {
        u64::try_from((self.now - self.start).as_millis()).unwrap()
    }

    fn later(&mut self, after: Duration, due: Due) {
        self.count += 1;
        self.queue.insert((self.now + after, self.count), due);
    }

    pub fn drain(&mut self) {
        while let Some(command) = self.gatherer.poll_command() {
            self.commands.push(command.clone());
            self.obey(command);
        }
        while let Some(transmit) = self.gatherer.poll_transmit() {
            self.sent.push((self.ms(), transmit.clone()));
            self.transmit(&transmit);
        }
        while let Some(event) = self.gatherer.poll_event() {
            self.events.push((self.ms(), event));
        }
        while let Some(relayed) = self.gatherer.poll_relayed() {
            self.received.push((relayed.socket, relayed.from, relayed.bytes));
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Resolve { .. } if !self.resolver_works => {}
            Command::Resolve { query, name } => {
                let addresses = self.names.get(&name).cloned().unwrap_or_default();
                self.gatherer.handle_resolved(query, &addresses, self.now);
            }
            Command::OpenStream { socket, to, tls } => {
                let transport = if tls.is_some() { Transport::Tls } else { Transport::Tcp };
                self.streams.insert(socket, (to, transport));
                if self.streams_hang {
                    return;
                }
                let trips = if tls.is_some() { 4 } else { 2 };
                let due = if self.streams_work { Due::StreamOpen(socket) } else { Due::StreamClosed(socket) };
                self.later(DELAY * trips, due);
            }
            Command::CloseStream(socket) => {
                self.streams.remove(&socket);
            }
            Command::Announce { .. } => {}
        }
    }

    /// Nothing passes through the streams of this moment any more, and nobody is told.
    pub fn cut_streams(&mut self) {
        self.dead.extend(self.streams.keys());
    }

    fn transmit(&mut self, transmit: &Transmit) {
        let socket = transmit.socket;
        if let Some((to, transport)) = self.streams.get(&socket).copied() {
            let port = 30_000 + u16::try_from(socket.0 - Gatherer::FIRST_OWN_SOCKET.0).unwrap();
            let remote = SocketAddr::new("198.51.100.7".parse().unwrap(), port);
            assert_eq!(transmit.to, to);
            if self.dead.contains(&socket) {
                return;
            }
            let from = ClientAddr { remote, local: to, transport };
            return self.later(DELAY, Due::ToServer { from, bytes: transmit.bytes.clone() });
        }
        let local = self.locals[&socket];
        assert_eq!(local.is_ipv4(), transmit.to.is_ipv4(), "a socket sends to its own family");
        if !self.udp_works || self.dead.contains(&socket) {
            return;
        }
        let remote = self.mapped.get(&socket).copied().unwrap_or(local);
        let from = ClientAddr { remote, local: transmit.to, transport: Transport::Udp };
        for bytes in transmit.bytes.chunks(transmit.segment_size.unwrap_or(usize::MAX)) {
            self.later(DELAY, Due::ToServer { from, bytes: bytes.to_vec() });
        }
    }

    /// Runs until `ms` after the start.
    pub fn t(&mut self, ms: u64) {
        let then = self.start + Duration::from_millis(ms);
        loop {
            self.drain();
            let queued = self.queue.keys().next().map(|(at, _)| *at);
            let servers = self.servers.iter().filter_map(|(_, server)| server.poll_timeout()).min();
            let due = [queued, self.gatherer.poll_timeout(), servers];
            let Some(next) = due.into_iter().flatten().min().filter(|next| *next <= then) else { break };
            self.now = self.now.max(next);
            self.step();
        }
        self.now = then;
    }

    fn step(&mut self) {
        let now = self.now;
        while let Some(entry) = self.queue.first_entry().filter(|entry| entry.key().0 <= now) {
            let due = entry.remove();
            self.happen(due);
            self.drain();
        }
        if self.gatherer.poll_timeout().is_some_and(|at| at <= now) {
            self.gatherer.handle_timeout(now);
            assert!(
                self.gatherer.poll_timeout().is_none_or(|next| next > now),
                "a timeout that does not pass"
            );
        }
        for index in 0..self.servers.len() {
            if self.servers[index].1.poll_timeout().is_some_and(|at| at <= now) {
                self.servers[index].1.handle_timeout(now);
                self.serve(index);
            }
        }
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::ToServer { from, bytes } => {
                if let Some(other) = self.alternates.get(&from.local).copied()
                    && let Some(bytes) = try_alternate(&bytes, other)
                {
                    return self.answer(from, bytes);
                }
                let index = self.servers.iter().position(|(at, _)| {
                    at.iter().any(|at| {
                        at.ip() == from.local.ip()
                            && (at.port() == from.local.port() || from.transport == Transport::Tls)
                    })
                });
                if let Some(index) = index {
                    self.servers[index].1.handle_client(&bytes, from, self.now);
                    self.serve(index);
                }
            }
            Due::ToClient { socket, bytes, is_stream: true, .. } => {
                self.gatherer.handle_stream(socket, &bytes, self.now);
            }
            Due::ToClient { socket, from, bytes, is_stream: false } => {
                if self.dead.contains(&socket) {
                    return;
                }
                match self.gatherer.handle_packet(socket, from, &bytes, self.now) {
                    Ok(Input::Data { socket, from, bytes }) => {
                        self.received.push((socket, from, bytes.to_vec()));
                    }
                    Ok(Input::Consumed) | Err(_) => {}
                }
            }
            Due::StreamOpen(socket) => self.gatherer.handle_stream_open(socket, self.now),
            Due::StreamClosed(socket) => self.gatherer.handle_stream_closed(socket, self.now),
        }
    }

    /// Does what a server wants.
    fn serve(&mut self, index: usize) {
        let mut answers = vec![];
        let server = &mut self.servers[index].1;
        while server.poll_event().is_some() {}
        while let Some(command) = server.poll_command() {
            if let ServerCommand::OpenPort(port) = command {
                server.handle_port_opened(port, Ok(()), self.now);
                while server.poll_event().is_some() {}
            }
        }
        while let Some(sent) = server.poll_transmit() {
            match sent.via {
                Via::Client(to) => answers.push((to, sent.bytes.to_vec())),
                Via::Relay(_, PeerAddr(peer)) => self.at_peers.push((peer, sent.bytes.to_vec())),
                Via::Discovery(..) => unreachable!("no discovery is configured"),
            }
        }
        for (to, bytes) in answers {
            self.answer(to, bytes);
        }
    }

    fn answer(&mut self, to: ClientAddr, bytes: Vec<u8>) {
        if to.transport == Transport::Udp {
            let sees =
                |id: &SocketId| self.mapped.get(id).or_else(|| self.locals.get(id)) == Some(&to.remote);
            let Some(socket) = self.locals.keys().copied().find(sees) else { return };
            return self.later(DELAY, Due::ToClient { socket, from: to.local, bytes, is_stream: false });
        }
        let socket = SocketId(u32::from(to.remote.port()) - 30_000 + Gatherer::FIRST_OWN_SOCKET.0);
        if self.streams.contains_key(&socket) {
            self.later(DELAY, Due::ToClient { socket, from: to.local, bytes, is_stream: true });
        }
    }

    pub fn peer_sends(&mut self, relayed: SocketAddr, bytes: &[u8]) {
        let index =
            self.servers.iter().position(|(at, _)| at.iter().any(|at| at.ip() == relayed.ip())).unwrap();
        self.servers[index].1.handle_peer(bytes, PeerAddr(addr(PEER)), RelayAddr(relayed).port(), self.now);
        self.serve(index);
        self.drain();
    }

    /// Candidates in the order they were said, with when.
    pub fn said(&self) -> Vec<(u64, Gathered)> {
        let candidate = |(at, event): &(u64, Event)| match event {
            Event::Candidate(gathered) => Some((*at, gathered.clone())),
            _ => None,
        };
        self.events.iter().filter_map(candidate).collect()
    }

    pub fn said_of(&self, kind: Kind) -> Vec<(u64, Gathered)> {
        self.said().into_iter().filter(|(_, gathered)| gathered.local.candidate.kind == kind).collect()
    }

    /// The one relay.
    pub fn relay(&self) -> (SocketId, SocketAddr) {
        let all = self.said_of(Kind::Relayed);
        let last = &all.last().expect("a relayed candidate").1.local;
        (last.socket, last.candidate.address)
    }

    pub fn errors(&self) -> Vec<CandidateError> {
        let error = |(_, event): &(u64, Event)| match event {
            Event::CandidateError(error) => Some(error.clone()),
            _ => None,
        };
        self.events.iter().filter_map(error).collect()
    }

    pub fn done_at(&self) -> Option<u64> {
        self.events.iter().rev().find(|(_, event)| *event == Event::Done).map(|(at, _)| *at)
    }

    /// Allocations at the servers.
    pub fn allocations(&self) -> usize {
        self.servers.iter().map(|(_, server)| server.stats().stored.allocations as usize).sum()
    }
}
