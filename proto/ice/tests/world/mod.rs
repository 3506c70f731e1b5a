//! Two agents and what lies between them: interfaces, NATs, relays, streams, delay and loss, in virtual time. A world is a
//! seed: the same seed gives the same trace.
#![allow(dead_code, unused_imports, reason = "each test uses another part")]
#![allow(clippy::unwrap_used, reason = "a helper of tests")]

pub mod forge;
pub mod net;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_ice::{
    Agent, Candidate, Command, Config, Credentials, Discard, Event, Foundations, LocalCandidate,
    LocalPreference, RelayProtocol, Role, SocketId, State, TcpType,
};

pub use net::{Nat, NatKind};
use net::{Net, Port};

/// The two sides.
pub const A: usize = 0;
pub const B: usize = 1;

/// A STUN server that everyone asks.
const STUN: &str = "198.51.100.1:3478";

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

/// One agent, and what became of it.
pub struct Side {
    pub agent: Agent,
    pub foundations: Foundations,
    pub candidates: Vec<Candidate>,
    pub events: Vec<(Duration, Event)>,
    pub discards: BTreeMap<Discard, u32>,
    pub sent: Vec<(Duration, SocketId, SocketAddr, Vec<u8>)>,
    /// Those of it that get no further than our NAT, and where they would go.
    pub openers: Vec<(Duration, SocketAddr)>,
    next_socket: u32,
}

impl Side {
    /// When a pair was usable for the first time.
    pub fn usable_at(&self) -> Option<Duration> {
        self.events.iter().find(|(_, event)| matches!(event, Event::Selected(_))).map(|(at, _)| *at)
    }

    pub fn selections(&self) -> usize {
        self.events.iter().filter(|(_, event)| matches!(event, Event::Selected(_))).count()
    }

    pub fn has(&self, wanted: &Event) -> bool {
        self.events.iter().any(|(_, event)| event == wanted)
    }
}

#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Arrival {
    Packet { side: usize, socket: SocketId, from: SocketAddr, bytes: Vec<u8> },
    StreamOpen { side: usize, socket: SocketId, remote: SocketAddr },
    StreamClosed { side: usize, socket: SocketId, remote: SocketAddr },
}

pub struct World {
    pub sides: [Side; 2],
    pub net: Net,
    pub now: Duration,
    pub rtt: Duration,
    /// Packets lost, of 1,000.
    pub loss: u32,
    /// All packets are lost.
    pub cut: bool,
    epoch: Instant,
    rng: ChaCha20Rng,
    arrivals: BTreeMap<(Duration, u64), Arrival>,
    sequence: u64,
}

impl World {
    pub fn new(seed: u64, rtt: Duration) -> World {
        World::with(seed, rtt, [Role::Controlling, Role::Controlled], &Config::default())
    }

    pub fn with(seed: u64, rtt: Duration, roles: [Role; 2], config: &Config) -> World {
        let mut rng = ChaCha20Rng::seed_from_u64(seed);
        let epoch = Instant::now_in_tests();
        let sides = roles.map(|role| {
            let local = Credentials::generate(seed_of(&mut rng));
            let mut agent = Agent::new(config.clone(), local, role, seed_of(&mut rng), epoch);
            agent.set_rtt_hint(rtt);
            Side {
                agent,
                foundations: Foundations::default(),
                candidates: Vec::new(),
                events: Vec::new(),
                discards: BTreeMap::new(),
                sent: Vec::new(),
                openers: Vec::new(),
                next_socket: 1,
            }
        });
        World {
            sides,
            net: Net::default(),
            now: Duration::ZERO,
            rtt,
            loss: 0,
            cut: false,
            epoch,
            rng,
            arrivals: BTreeMap::new(),
            sequence: 0,
        }
    }

    pub fn instant(&self) -> Instant {
        self.epoch + self.now
    }

    pub fn new_credentials(&mut self) -> Credentials {
        Credentials::generate(seed_of(&mut self.rng))
    }

    /// A UDP socket on an interface; `lan` says which network it is in (`None`: public). Returns its socket.
    pub fn host(&mut self, side: usize, address: &str, lan: Option<u8>) -> SocketId {
        self.interface(side, address, lan, true)
    }

    /// An interface that leads nowhere.
    pub fn dead_host(&mut self, side: usize, address: &str) -> SocketId {
        self.interface(side, address, Some(255), false)
    }

    fn interface(&mut self, side: usize, address: &str, lan: Option<u8>, up: bool) -> SocketId {
        let (socket, address) = (self.next_socket(side), addr(address));
        self.net.ports.push(Port { side, socket, address, lan, up, relay: None });
        let preference = LocalPreference::of(address.ip(), socket.0 as u16);
        let candidate = LocalCandidate::host(&mut self.sides[side].foundations, socket, address, preference);
        self.add_local(side, candidate);
        socket
    }

    /// What the STUN server sees that socket at.
    pub fn reflexive(&mut self, side: usize, socket: SocketId) {
        self.reflexive_at(side, socket, STUN);
    }

    /// What a STUN server of that address sees the socket at.
    pub fn reflexive_at(&mut self, side: usize, socket: SocketId, server: &str) {
        let port = self.net.port(side, socket).clone();
        let mapped = self.net.leave(&port, addr(server));
        let preference = LocalPreference::of(port.address.ip(), socket.0 as u16);
        let foundations = &mut self.sides[side].foundations;
        let server = addr(STUN).ip();
        let candidate =
            LocalCandidate::server_reflexive(foundations, socket, mapped, port.address, server, preference);
        self.add_local(side, candidate);
    }

    /// A relayed address; the way through it takes `detour` longer, one way.
    pub fn relayed(&mut self, side: usize, address: &str, detour: Duration) -> SocketId {
        self.relayed_by(RelayProtocol::Udp, side, address, detour)
    }

    /// The same, of a relay that is reached by this protocol.
    pub fn relayed_by(
        &mut self,
        protocol: RelayProtocol,
        side: usize,
        address: &str,
        detour: Duration,
    ) -> SocketId {
        let (socket, address) = (self.next_socket(side), addr(address));
        self.net.ports.push(Port { side, socket, address, lan: None, up: true, relay: Some(detour) });
        let preference = LocalPreference::of(address.ip(), 0);
        let server = (addr(STUN).ip(), protocol);
        let foundations = &mut self.sides[side].foundations;
        let candidate = LocalCandidate::relayed(foundations, socket, address, address, server, preference);
        self.add_local(side, candidate);
        socket
    }

    pub fn tcp(&mut self, side: usize, address: &str, tcp: TcpType) -> SocketId {
        let (socket, address) = (self.next_socket(side), addr(address));
        if tcp == TcpType::Passive {
            self.net.ports.push(Port { side, socket, address, lan: None, up: true, relay: None });
        }
        let preference = LocalPreference::of(address.ip(), 0);
        let candidate =
            LocalCandidate::tcp(&mut self.sides[side].foundations, socket, address, tcp, preference);
        self.add_local(side, candidate);
        socket
    }

    fn add_local(&mut self, side: usize, candidate: LocalCandidate) {
        self.sides[side].candidates.push(candidate.candidate.clone());
        let now = self.instant();
        self.sides[side].agent.add_local_candidate(candidate, now).unwrap();
        self.sides[side].agent.set_rtt_hint(self.rtt);
    }

    fn next_socket(&mut self, side: usize) -> SocketId {
        let id = self.sides[side].next_socket;
        self.sides[side].next_socket += 1;
        SocketId(id)
    }

    /// Signaling: this side now knows the other's credentials and candidates.
    pub fn introduce(&mut self, to: usize) {
        self.tell_credentials(to);
        for candidate in self.sides[1 - to].candidates.clone() {
            self.tell(to, candidate).unwrap();
        }
        self.end(to);
    }

    pub fn tell_credentials(&mut self, to: usize) {
        let credentials = self.sides[1 - to].agent.local_credentials().clone();
        let now = self.instant();
        self.sides[to].agent.set_remote_credentials(credentials, now);
    }

    /// Each candidate goes as text, as it does in life.
    pub fn tell(&mut self, to: usize, candidate: Candidate) -> Result<(), Discard> {
        let twocan_ice::Parsed::Candidate(candidate) = Candidate::parse(&candidate.to_string()).unwrap()
        else {
            panic!("a candidate with an address has no name");
        };
        let now = self.instant();
        self.sides[to].agent.add_remote_candidate(candidate, now)
    }

    /// Both ends of candidates, as this side sees them.
    pub fn end(&mut self, to: usize) {
        let now = self.instant();
        self.sides[to].agent.end_of_local_candidates(now);
        self.sides[to].agent.end_of_remote_candidates(now);
    }

    /// Both are introduced to each other now.
    pub fn meet(&mut self) {
        self.introduce(A);
        self.introduce(B);
    }

    pub fn remove_socket(&mut self, side: usize, socket: SocketId) {
        self.net.ports.retain(|port| port.side != side || port.socket != socket);
        let now = self.instant();
        self.sides[side].agent.remove_socket(socket, now);
    }

    /// Both begin anew, and learn of it now.
    pub fn restart(&mut self) {
        for side in [A, B] {
            let (credentials, now) = (self.new_credentials(), self.instant());
            self.sides[side].agent.restart(credentials, now);
        }
        self.meet();
    }

    /// Lets a side receive something, whoever sent it.
    pub fn inject(
        &mut self,
        side: usize,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
    ) -> Result<(), Discard> {
        let now = self.instant();
        let result = self.sides[side].agent.handle_packet(socket, from, bytes, now);
        if let Err(discard) = result {
            *self.sides[side].discards.entry(discard).or_default() += 1;
        }
        self.drain(side);
        result
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(self.now + time);
    }

    pub fn run_until(&mut self, until: Duration) {
        self.drain(A);
        self.drain(B);
        let mut steps = 0;
        while let Some(next) = self.next_event().filter(|next| *next <= until) {
            self.now = self.now.max(next);
            steps += 1;
            assert!(steps < 2_000_000, "the world does not come to rest");
            self.step();
        }
        self.now = until;
    }

    /// Until both can send, or so long.
    pub fn run_until_usable(&mut self, limit: Duration) -> bool {
        while self.now < limit {
            if self.sides.iter().all(|side| side.agent.selected().is_some()) {
                return true;
            }
            self.run_for(ms(5).min(limit - self.now));
        }
        false
    }

    fn next_event(&self) -> Option<Duration> {
        let timeout = |side: &Side| {
            side.agent.poll_timeout().map(|at| at.saturating_duration_since(self.epoch).max(self.now))
        };
        let timeouts = self.sides.iter().filter_map(timeout).min();
        let arrival = self.arrivals.keys().next().map(|(at, _)| *at);
        [timeouts, arrival].into_iter().flatten().min()
    }

    fn step(&mut self) {
        let now = self.instant();
        while let Some(entry) = self.arrivals.first_entry().filter(|entry| entry.key().0 <= self.now) {
            match entry.remove() {
                Arrival::Packet { side, socket, from, bytes } => {
                    let _ = self.inject(side, socket, from, &bytes);
                }
                Arrival::StreamOpen { side, socket, remote } => {
                    self.sides[side].agent.handle_stream_open(socket, remote, now);
                    self.drain(side);
                }
                Arrival::StreamClosed { side, socket, remote } => {
                    self.sides[side].agent.handle_stream_closed(socket, remote, now);
                    self.drain(side);
                }
            }
        }
        for side in [A, B] {
            if self.sides[side].agent.poll_timeout().is_some_and(|at| at <= now) {
                self.sides[side].agent.handle_timeout(now);
                self.drain(side);
            }
        }
    }

    fn drain(&mut self, side: usize) {
        while let Some(transmit) = self.sides[side].agent.poll_transmit() {
            let (socket, to) = (transmit.socket, transmit.to);
            self.sides[side].sent.push((self.now, socket, to, transmit.bytes.clone()));
            if transmit.ttl.is_some() {
                self.sides[side].openers.push((self.now, to));
                self.net.route(side, socket, to);
                continue;
            }
            self.carry(side, socket, to, transmit.bytes);
        }
        while let Some(command) = self.sides[side].agent.poll_command() {
            self.obey(side, command);
        }
        while let Some(event) = self.sides[side].agent.poll_event() {
            self.sides[side].events.push((self.now, event));
        }
    }

    fn carry(&mut self, side: usize, socket: SocketId, to: SocketAddr, bytes: Vec<u8>) {
        let lost = self.rng.next_u32() % 1000 < self.loss;
        if let Some((other, at, from)) = self.net.stream_end(side, socket, to) {
            return self.arrive(self.rtt / 2, Arrival::Packet { side: other, socket: at, from, bytes });
        }
        if lost || self.cut {
            // NATs and relays see what leaves, even if it is lost behind them.
            self.net.route(side, socket, to);
            return;
        }
        if let Some(way) = self.net.route(side, socket, to) {
            let delay = self.rtt / 2 + way.detour;
            self.arrive(delay, Arrival::Packet { side: way.side, socket: way.socket, from: way.from, bytes });
        }
    }

    fn obey(&mut self, side: usize, command: Command) {
        match command {
            Command::OpenStream { socket, to } => match self.net.open_stream(side, socket, to) {
                Some((other, at, from)) => {
                    self.arrive(self.rtt / 2, Arrival::StreamOpen { side: other, socket: at, remote: from });
                    self.arrive(self.rtt, Arrival::StreamOpen { side, socket, remote: to });
                }
                None => self.arrive(self.rtt, Arrival::StreamClosed { side, socket, remote: to }),
            },
            Command::CloseStream { socket, to } => {
                if let Some((other, at, from)) = self.net.stream_end(side, socket, to) {
                    self.net.streams.retain(|stream| !stream.contains(&(side, socket, to)));
                    self.arrive(
                        self.rtt / 2,
                        Arrival::StreamClosed { side: other, socket: at, remote: from },
                    );
                }
            }
        }
    }

    fn arrive(&mut self, delay: Duration, arrival: Arrival) {
        self.sequence += 1;
        self.arrivals.insert((self.now + delay, self.sequence), arrival);
    }

    pub fn states(&self) -> [State; 2] {
        [self.sides[A].agent.state(), self.sides[B].agent.state()]
    }
}

fn seed_of(rng: &mut ChaCha20Rng) -> [u8; 32] {
    let mut seed = [0; 32];
    rng.fill_bytes(&mut seed);
    seed
}

/// Virtual time needs an instant to begin with; which one does not matter.
trait Epoch {
    fn now_in_tests() -> Instant;
}

impl Epoch for Instant {
    #[expect(clippy::disallowed_methods, reason = "where virtual time begins")]
    fn now_in_tests() -> Instant {
        Instant::now()
    }
}
