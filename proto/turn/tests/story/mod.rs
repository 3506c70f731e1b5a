//! A client of ours and our server, a path of 25 ms that may lose packets between them, and arithmetic time.
#![allow(dead_code, reason = "each test file uses its own part of the kit")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_turn::client::{Client, Config, Event};
use twocan_turn::{ClientAddr, Command, PeerAddr, Transport, Via};

use crate::kit::{LISTENER, World, addr};

pub const DELAY: Duration = Duration::from_millis(25);
pub const CLIENT: &str = "198.51.100.7:40000";

#[derive(Clone, Debug)]
enum Packet {
    ToServer(Vec<u8>),
    ToClient(Vec<u8>),
}

pub struct Story {
    pub world: World,
    pub client: Client,
    pub from: ClientAddr,
    start: Instant,
    in_flight: BTreeMap<(Instant, u64), Packet>,
    count: u64,
    rng: ChaCha20Rng,
    /// Of a hundred packets, how many are lost.
    pub loss_percent: u32,
    /// Packets arrive up to so much later, and so in another order.
    pub jitter_ms: u32,
    /// Of a hundred packets, how many come twice.
    pub twice_percent: u32,
    /// Nothing arrives at the server, or comes from it.
    pub is_cut: bool,
    pub events: Vec<(u64, Event)>,
    pub received: Vec<(SocketAddr, Vec<u8>)>,
    pub at_peers: Vec<(SocketAddr, Vec<u8>)>,
    /// What the client sent, whole.
    pub sent: Vec<Vec<u8>>,
    /// What the server sent the client, whole.
    pub answers: Vec<Vec<u8>>,
    pub discards: usize,
}

pub fn ada() -> Config {
    Config::new("ada", "lovelace")
}

impl Story {
    pub fn new(config: Config) -> Story {
        Story::in_world(World::new(), config, 1)
    }

    pub fn in_world(world: World, config: Config, seed: u8) -> Story {
        let transport = config.transport;
        let client = Client::new(config, [seed; 32], world.now);
        let mut story = Story {
            start: world.now,
            client,
            from: ClientAddr { remote: addr(CLIENT), local: addr(LISTENER), transport },
            in_flight: BTreeMap::new(),
            count: 0,
            rng: ChaCha20Rng::from_seed([seed; 32]),
            loss_percent: 0,
            jitter_ms: 0,
            twice_percent: 0,
            is_cut: false,
            events: vec![],
            received: vec![],
            at_peers: vec![],
            sent: vec![],
            answers: vec![],
            discards: 0,
            world,
        };
        story.drain();
        story
    }

    pub fn now(&self) -> Instant {
        self.world.now
    }

    fn ms(&self) -> u64 {
        u64::try_from((self.world.now - self.start).as_millis()).unwrap()
    }

    fn fly(&mut self, packet: Packet) {
        let is_lost = self.from.transport == Transport::Udp && self.rng.next_u32() % 100 < self.loss_percent;
        if is_lost || self.is_cut {
            return;
        }
        let times = if self.rng.next_u32() % 100 < self.twice_percent { 2 } else { 1 };
        for _ in 0..times {
            let jitter = Duration::from_millis(u64::from(self.rng.next_u32() % (self.jitter_ms + 1)));
            self.count += 1;
            self.in_flight.insert((self.world.now + DELAY + jitter, self.count), packet.clone());
        }
    }

    /// Moves everything that waits to be polled.
    pub fn drain(&mut self) {
        while let Some(bytes) = self.client.poll_transmit() {
            self.sent.push(bytes.clone());
            self.fly(Packet::ToServer(bytes));
        }
        while let Some(event) = self.client.poll_event() {
            self.events.push((self.ms(), event));
        }
        for sent in self.world.take_sent() {
            match sent.via {
                Via::Client(to) if to == self.from => {
                    self.answers.push(sent.bytes.clone());
                    self.fly(Packet::ToClient(sent.bytes));
                }
                Via::Client(_) => {}
                Via::Relay(_, PeerAddr(peer)) => self.at_peers.push((peer, sent.bytes)),
                Via::Discovery(..) => unreachable!("no discovery is configured"),
            }
        }
    }

    /// Runs until `ms` after the start.
    pub fn t(&mut self, ms: u64) {
        let then = self.start + Duration::from_millis(ms);
        loop {
            self.drain();
            let flying = self.in_flight.keys().next().map(|(at, _)| *at);
            let due = [flying, self.client.poll_timeout(), self.world.server.poll_timeout()];
            let Some(next) = due.into_iter().flatten().min().filter(|next| *next <= then) else { break };
            self.world.now = self.world.now.max(next);
            self.step();
        }
        self.world.now = then;
    }

    fn step(&mut self) {
        let now = self.world.now;
        while let Some(entry) = self.in_flight.first_entry().filter(|entry| entry.key().0 <= now) {
            match entry.remove() {
                Packet::ToServer(bytes) => {
                    self.world.server.handle_client(&bytes, self.from, now);
                    self.world.drain();
                }
                Packet::ToClient(bytes) => self.deliver(&bytes),
            }
            self.drain();
        }
        if self.client.poll_timeout().is_some_and(|at| at <= now) {
            self.client.handle_timeout(now);
            assert!(self.client.poll_timeout().is_none_or(|next| next > now), "a timeout that does not pass");
        }
        if self.world.server.poll_timeout().is_some_and(|at| at <= now) {
            self.world.server.handle_timeout(now);
            self.world.drain();
        }
    }

    /// Hands bytes to the client as if they came from the server.
    pub fn deliver(&mut self, bytes: &[u8]) {
        match self.client.handle_packet(bytes, self.world.now) {
            Ok(Some(data)) => self.received.push((data.peer, data.bytes.to_vec())),
            Ok(None) => {}
            Err(_) => self.discards += 1,
        }
    }

    /// Runs until there is a relayed address, which is returned.
    pub fn allocate(&mut self) -> SocketAddr {
        self.t(self.ms() + 100);
        self.client.relayed().expect("two round trips are enough")
    }

    pub fn send(&mut self, peer: &str, data: &[u8]) {
        let mut out = Vec::new();
        self.client.send(addr(peer), data, &mut out, self.world.now).unwrap();
        self.drain();
        self.sent.push(out.clone());
        self.fly(Packet::ToServer(out));
    }

    pub fn peer_sends(&mut self, peer: &str, data: &[u8]) {
        let relayed = self.client.relayed().unwrap();
        self.world.server.handle_peer(
            data,
            PeerAddr(addr(peer)),
            crate::kit::port_of(relayed),
            self.world.now,
        );
        self.world.drain();
        self.drain();
    }

    /// The server is started anew: it knows nothing, and no nonce.
    pub fn restart_server(&mut self) {
        let now = self.world.now;
        self.world = World::at(now, 2, |config| {
            config.nonce_key = [10; 32];
            config.relay_ports = 51_000..=51_999;
            config.relay_range = 51_000..=51_999;
        });
    }

    pub fn kinds(&self) -> Vec<Event> {
        self.events.iter().map(|(_, event)| *event).collect()
    }

    /// How often the server opened a port.
    pub fn ports_opened(&self) -> usize {
        self.world.commands.iter().filter(|command| matches!(command, Command::OpenPort(_))).count()
    }
}
