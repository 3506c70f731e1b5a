//! A small pretend internet around real machines: two peers (or more) with interfaces, NATs, relays that are the real
//! `twocan_turn::Server`, signaling with a delay of its own; arithmetic time, loss by seed.
//!
//! ```text
//!  Peer 0 ─ interface ─ lan 1 ─ Nat ─┐                 ┌─ Nat ─ lan 2 ─ interface ─ Peer 1
//!             └──────── lan 0 ───────┼─── the public ──┼─────── lan 0 ───────┘
//!                                    └─ Relay, Relay ──┘
//! ```
#![allow(dead_code, reason = "each test file uses its own part of the world")]
#![allow(clippy::unwrap_used, reason = "a world that is not as it should be ends the test")]

pub mod nat;
pub mod peer;
pub mod relay;
mod sleep;
pub mod story;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_rtc::{Config, Signal};

pub use nat::{Nat, Rule};
pub use peer::{Interface, Peer};
pub use relay::{PASSWORD, Relay, USER};
pub use story::*;

/// Delays and loss.
#[derive(Clone, Copy, Debug)]
pub struct Net {
    /// One way between two peers.
    pub delay: Duration,
    /// One way between a peer and a relay.
    pub relay_delay: Duration,
    /// One way in a LAN.
    pub lan_delay: Duration,
    /// One way through signaling.
    pub signal_delay: Duration,
    /// Of each datagram, per cent.
    pub loss: f64,
}

impl Default for Net {
    fn default() -> Net {
        Net { delay: ms(25), relay_delay: ms(15), lan_delay: ms(1), signal_delay: ms(25), loss: 0.0 }
    }
}

/// Where an address means something: 0 is the public internet, others are LANs.
pub type Realm = u32;
pub const PUBLIC: Realm = 0;

/// From where, to where, what: whether it may go.
pub type Filter = dyn FnMut(SocketAddr, SocketAddr, &[u8]) -> bool;

/// Another datagram in the place of this one.
pub type Rewrite = dyn FnMut(&[u8]) -> Option<Vec<u8>>;

enum Happening {
    Datagram { realm: Realm, from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    StreamOpened { stream: usize, is_open: bool },
    StreamUp { stream: usize, bytes: Vec<u8> },
    StreamDown { stream: usize, bytes: Vec<u8> },
    Accepted { stream: usize },
    Crossed { stream: usize, end: usize, bytes: Vec<u8> },
    Signal { to: usize, signal: Signal },
    Resolved { peer: usize, query: twocan_rtc::QueryId, addresses: Vec<IpAddr> },
}

pub struct World {
    start: Instant,
    pub now: Instant,
    rng: ChaCha8Rng,
    sequence: u64,
    queue: BTreeMap<(Instant, u64), Happening>,
    pub net: Net,
    pub peers: Vec<Peer>,
    pub relays: Vec<Relay>,
    pub nats: Vec<Nat>,
    streams: Vec<relay::Stream>,
    crossings: Vec<peer::Crossing>,
    pub is_signaling_up: bool,
    /// Names of the local network.
    names: BTreeMap<String, IpAddr>,
    /// Datagrams that went to nobody, by address.
    pub nowhere: BTreeMap<SocketAddr, u32>,
    /// When each datagram was sent, from where to where.
    pub trace: Vec<(Duration, SocketAddr, SocketAddr)>,
    /// Sees each datagram before it goes; `false` drops it.
    pub filter: Box<Filter>,
    /// Changes datagrams of peers.
    pub rewrite: Option<Box<Rewrite>>,
}

pub fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

pub fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn is_private(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unique_local() || ip.is_loopback(),
    }
}

impl World {
    pub fn new(seed: u64, net: Net) -> World {
        #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
        let start = Instant::now();
        World {
            start,
            now: start,
            rng: ChaCha8Rng::seed_from_u64(seed),
            sequence: 0,
            queue: BTreeMap::new(),
            net,
            peers: Vec::new(),
            relays: Vec::new(),
            nats: Vec::new(),
            streams: Vec::new(),
            crossings: Vec::new(),
            is_signaling_up: true,
            names: BTreeMap::new(),
            nowhere: BTreeMap::new(),
            trace: Vec::new(),
            filter: Box::new(|_, _, _| true),
            rewrite: None,
        }
    }

    /// Virtual time since the beginning.
    pub fn elapsed(&self) -> Duration {
        self.now.duration_since(self.start)
    }

    pub fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }

    pub fn add_relay(&mut self, ip: &str) -> usize {
        let seed = self.seed();
        self.relays.push(Relay::new(ip.parse().unwrap(), seed, self.now));
        self.relays.len() - 1
    }

    pub fn add_nat(&mut self, public: &str, mapping: Rule, filtering: Rule) -> usize {
        self.nats.push(Nat::new(public.parse().unwrap(), mapping, filtering));
        self.nats.len() - 1
    }

    /// A peer with a socket on each of its interfaces.
    pub fn add_peer(&mut self, config: Config, interfaces: &[Interface]) -> usize {
        let seed = self.seed();
        self.peers.push(Peer::new(config, seed, self.now));
        let peer = self.peers.len() - 1;
        for interface in interfaces {
            self.plug(peer, *interface);
        }
        peer
    }

    /// A new interface, and a socket on it.
    pub fn plug(&mut self, peer: usize, interface: Interface) {
        let now = self.now;
        self.peers[peer].plug(interface, now);
        self.drain(peer);
    }

    /// An interface goes away, and its sockets with it.
    pub fn unplug(&mut self, peer: usize, ip: &str) {
        let now = self.now;
        self.peers[peer].unplug(ip.parse().unwrap(), now);
        self.drain(peer);
    }

    /// Something the application does to its connection.
    pub fn with<T>(&mut self, peer: usize, act: impl FnOnce(&mut twocan_rtc::Connection, Instant) -> T) -> T {
        let done = act(&mut self.peers[peer].connection, self.now);
        self.drain(peer);
        done
    }

    fn schedule(&mut self, after: Duration, happening: Happening) {
        self.sequence += 1;
        self.queue.insert((self.now + after, self.sequence), happening);
    }

    fn is_lost(&mut self) -> bool {
        let draw = f64::from(self.rng.next_u32()) / f64::from(u32::MAX) * 100.0;
        draw < self.net.loss
    }

    /// A datagram from an interface of a peer.
    fn send_from_peer(
        &mut self,
        peer: usize,
        source: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
        ttl: Option<u8>,
    ) {
        self.trace.push((self.elapsed(), source, to));
        if !(self.filter)(source, to, bytes) {
            return;
        }
        let Some(interface) = self.peers[peer].interface(source.ip()) else { return };
        if source.is_ipv4() != to.is_ipv4() || self.is_lost() {
            return;
        }
        let is_neighbour = self
            .peers
            .iter()
            .flat_map(|peer| &peer.interfaces)
            .any(|i| i.lan == interface.lan && i.ip == to.ip());
        let rewritten = self.rewrite.as_mut().and_then(|rewrite| rewrite(bytes));
        let bytes = rewritten.unwrap_or_else(|| bytes.to_vec());
        if interface.lan != PUBLIC && is_neighbour {
            let happening = Happening::Datagram { realm: interface.lan, from: source, to, bytes };
            self.schedule(self.net.lan_delay, happening);
        } else if is_private(to.ip()) {
            *self.nowhere.entry(to).or_default() += 1;
        } else {
            let from = interface.nat.map_or(source, |nat| self.nats[nat].outbound(source, to, &mut self.rng));
            if ttl.is_some() {
                // It ends within the provider's network.
                return;
            }
            let delay = if self.relays.iter().any(|relay| relay.ip == to.ip()) {
                self.net.relay_delay
            } else {
                self.net.delay
            };
            self.schedule(delay, Happening::Datagram { realm: PUBLIC, from, to, bytes });
        }
    }

    /// A datagram that somebody else made up, as it comes in from the public internet.
    pub fn inject(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        self.arrive(PUBLIC, from, to, bytes);
    }

    fn arrive(&mut self, realm: Realm, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        if realm == PUBLIC {
            if let Some(relay) = self.relays.iter().position(|relay| relay.is_at(to)) {
                self.relays[relay].datagram(from, to, bytes, self.now);
                return self.drain_relay(relay);
            }
            if let Some(nat) = self.nats.iter().position(|nat| nat.public == to.ip()) {
                let Some(inside) = self.nats[nat].inbound(from, to) else { return };
                return self.deliver(|interface| interface.nat == Some(nat), from, inside, bytes);
            }
        }
        self.deliver(|interface| interface.lan == realm, from, to, bytes);
    }

    fn deliver(
        &mut self,
        is_there: impl Fn(&Interface) -> bool,
        from: SocketAddr,
        to: SocketAddr,
        bytes: &[u8],
    ) {
        let at = |peer: &Peer| {
            peer.interfaces.iter().any(|interface| interface.ip == to.ip() && is_there(interface))
        };
        match self.peers.iter().position(at) {
            Some(peer) if self.peers[peer].sleep.keep_datagram(from, to, bytes) => {}
            Some(peer) => {
                self.peers[peer].datagram(from, to, bytes, self.now);
                self.drain(peer);
            }
            None => *self.nowhere.entry(to).or_default() += 1,
        }
    }

    /// What a relay wants sent.
    fn drain_relay(&mut self, relay: usize) {
        for (from, to, bytes) in self.relays[relay].take_datagrams(self.now) {
            self.trace.push((self.elapsed(), from, to));
            if self.is_lost() {
                continue;
            }
            let is_itself = self.relays.iter().any(|relay| relay.ip == to.ip());
            let delay = if is_itself { Duration::ZERO } else { self.net.relay_delay };
            self.schedule(delay, Happening::Datagram { realm: PUBLIC, from, to, bytes });
        }
        for (client, bytes) in self.relays[relay].take_stream_bytes() {
            let at =
                |stream: &relay::Stream| stream.relay == relay && stream.client() == client && stream.is_open;
            if let Some(stream) = self.streams.iter().position(at) {
                self.schedule(self.net.relay_delay, Happening::StreamDown { stream, bytes });
            }
        }
    }

    /// The server's process is killed, and a new one starts that knows nothing.
    pub fn restart_relay(&mut self, relay: usize) {
        let (ip, seed) = (self.relays[relay].ip, self.seed());
        self.relays[relay] = Relay::new(ip, seed, self.now);
        for stream in 0..self.streams.len() {
            if self.streams[stream].relay == relay && self.streams[stream].is_open {
                self.streams[stream].is_open = false;
                self.schedule(self.net.relay_delay, Happening::StreamOpened { stream, is_open: false });
            }
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = self.now;
        match happening {
            Happening::Datagram { realm, from, to, bytes } => self.arrive(realm, from, to, &bytes),
            Happening::StreamOpened { stream, is_open } => self.stream_opened(stream, is_open),
            Happening::StreamUp { stream, bytes } => {
                let (relay, client) = (self.streams[stream].relay, self.streams[stream].client());
                self.streams[stream].received.extend_from_slice(&bytes);
                while let Some(frame) = self.streams[stream].next_frame() {
                    self.relays[relay].frame(client, &frame, now);
                }
                self.drain_relay(relay);
            }
            Happening::StreamDown { stream, bytes } => {
                let (peer, socket) = (self.streams[stream].peer, self.streams[stream].socket);
                if self.streams[stream].is_open {
                    let _ = self.peers[peer].connection.handle_stream(socket, &bytes, now);
                    self.drain(peer);
                }
            }
            Happening::Accepted { stream } => self.accept(stream),
            Happening::Crossed { stream, end, bytes } => self.cross(stream, end, &bytes),
            Happening::Signal { to, signal } => {
                if let Some(signal) = self.peers[to].sleep.keep_signal(signal) {
                    self.peers[to].signal(signal, now);
                    self.drain(to);
                }
            }
            Happening::Resolved { peer, query, addresses } => {
                self.peers[peer].connection.handle_resolved(query, &addresses, now);
                self.drain(peer);
            }
        }
    }

    fn next_time(&self) -> Option<Instant> {
        let queued = self.queue.first_key_value().map(|((at, _), _)| *at);
        let awake = self.peers.iter().filter(|peer| !peer.sleep.is_asleep());
        let peers = awake.filter_map(|peer| peer.connection.poll_timeout());
        let relays = self.relays.iter().filter_map(Relay::poll_timeout);
        queued.into_iter().chain(peers).chain(relays).min()
    }

    /// Whatever is next; its time is at most `until`.
    fn step(&mut self, until: Instant) -> bool {
        let Some(at) = self.next_time().filter(|at| *at <= until) else { return false };
        self.now = self.now.max(at);
        if self.queue.first_key_value().is_some_and(|((due, _), _)| *due <= self.now) {
            let (_, happening) = self.queue.pop_first().unwrap();
            self.happen(happening);
            return true;
        }
        for peer in 0..self.peers.len() {
            let is_due = self.peers[peer].connection.poll_timeout().is_some_and(|due| due <= self.now);
            if is_due && !self.peers[peer].sleep.is_asleep() {
                self.peers[peer].connection.handle_timeout(self.now);
                self.drain(peer);
            }
        }
        for relay in 0..self.relays.len() {
            self.relays[relay].timeout(self.now);
            self.drain_relay(relay);
        }
        true
    }

    /// Lets time pass until `is_done`, or for `limit` at most; whether it was done.
    pub fn run_until(&mut self, limit: Duration, mut is_done: impl FnMut(&World) -> bool) -> bool {
        let until = self.now + limit;
        let (mut last, mut steps) = (self.now, 0);
        while !is_done(self) {
            if !self.step(until) {
                self.now = until;
                return is_done(self);
            }
            steps = if self.now == last { steps + 1 } else { 0 };
            last = self.now;
            assert!(steps < 100_000, "time stands still at {:?}", self.elapsed());
        }
        true
    }

    pub fn run_for(&mut self, time: Duration) {
        self.run_until(time, |_| false);
    }
}
