//! A pretend NAT with every behaviour of RFC 4787, a pretend server with two addresses, and packets between them that take
//! time and get lost.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twocan_stun::alternate::Alternate;
use twocan_stun::discovery::{
    Allocation, Behaviour, Config, Discard, Discovery, Event, Filtering, Mapping, SocketId,
};
use twocan_stun::discovery::{SCHEDULE, sockets_for};
use twocan_stun::{Message, server};

pub fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub const SERVER: &str = "192.0.2.1:3478";
pub const ALTERNATE: &str = "192.0.2.2:3479";
/// A server with one address, somewhere else.
pub const ANOTHER: &str = "203.0.113.9:3478";
const OUTER: &str = "198.51.100.7:0";
/// One way between us and the server.
const DELAY: Duration = Duration::from_millis(20);

/// Draws numbers: splitmix64.
pub struct Draw(pub u64);

impl Draw {
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        (mixed ^ mixed >> 31) % bound
    }
}

/// How the NAT behaves.
#[derive(Clone, Copy, Debug)]
pub struct Kind {
    pub mapping: Mapping,
    pub filtering: Filtering,
    pub allocation: Allocation,
    pub hairpin: bool,
    pub lifetime: Duration,
}

impl Kind {
    /// Which destinations share a mapping.
    fn destination(self, to: SocketAddr) -> Option<SocketAddr> {
        match self.mapping {
            Mapping::EndpointIndependent => None,
            Mapping::AddressDependent | Mapping::Dependent => Some(SocketAddr::new(to.ip(), 0)),
            Mapping::AddressAndPortDependent => Some(to),
        }
    }
}

struct Entry {
    inner: SocketAddr,
    destination: Option<SocketAddr>,
    sent_to: BTreeSet<SocketAddr>,
    used: Instant,
}

/// `None`: nothing translates and nothing filters.
pub struct Nat {
    kind: Option<Kind>,
    /// By outer port.
    entries: BTreeMap<u16, Entry>,
    next_port: u16,
    draw: Draw,
}

impl Nat {
    /// The outer address for a packet out.
    fn out(&mut self, inner: SocketAddr, to: SocketAddr, now: Instant) -> SocketAddr {
        let Some(kind) = self.kind else { return inner };
        self.entries.retain(|_, entry| now < entry.used + kind.lifetime);
        let destination = kind.destination(to);
        let known =
            self.entries.iter().find(|(_, entry)| (entry.inner, entry.destination) == (inner, destination));
        let port = known.map(|(port, _)| *port).unwrap_or_else(|| self.allocate(kind, inner));
        let entry = self.entries.entry(port).or_insert(Entry {
            inner,
            destination,
            sent_to: BTreeSet::new(),
            used: now,
        });
        entry.used = now;
        entry.sent_to.insert(to);
        SocketAddr::new(address(OUTER).ip(), port)
    }

    fn allocate(&mut self, kind: Kind, inner: SocketAddr) -> u16 {
        match kind.allocation {
            Allocation::Preserving if !self.entries.contains_key(&inner.port()) => inner.port(),
            Allocation::Sequential { step } => {
                self.next_port = (i32::from(self.next_port) + step) as u16;
                self.next_port
            }
            _ => 1_024 + self.draw.below(64_000) as u16,
        }
    }

    /// The inner address for a packet in, if it may come in.
    fn inward(&mut self, outer: SocketAddr, from: SocketAddr, now: Instant) -> Option<SocketAddr> {
        let Some(kind) = self.kind else { return Some(outer) };
        let entry = self.entries.get_mut(&outer.port()).filter(|entry| now < entry.used + kind.lifetime)?;
        let is_let_in = match kind.filtering {
            Filtering::EndpointIndependent => true,
            Filtering::AddressDependent => entry.sent_to.iter().any(|to| to.ip() == from.ip()),
            Filtering::AddressAndPortDependent => entry.sent_to.contains(&from),
        };
        is_let_in.then(|| {
            entry.used = now;
            entry.inner
        })
    }
}

/// What the server does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Serves {
    /// RFC 5780.
    Discovery,
    /// One address: 420 for what it does not know.
    Binding,
    /// Nothing.
    Nothing,
}

pub struct World {
    pub nat: Nat,
    pub serves: Serves,
    /// Of a hundred packets each way.
    pub lost_percent: u64,
    pub draw: Draw,
    pub now: Instant,
    pub start: Instant,
    /// When, from, to, what.
    flying: Vec<(Instant, SocketAddr, SocketAddr, Vec<u8>)>,
    pub local: Vec<SocketAddr>,
}

impl World {
    pub fn new(kind: Option<Kind>, seed: u64) -> World {
        #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
        let now = Instant::now();
        let nat = Nat { kind, entries: BTreeMap::new(), next_port: 20_000, draw: Draw(seed ^ 77) };
        World {
            nat,
            serves: Serves::Discovery,
            lost_percent: 0,
            draw: Draw(seed),
            now,
            start: now,
            flying: Vec::new(),
            local: Vec::new(),
        }
    }

    /// Discovers, to the end.
    pub fn discover(&mut self, lifetimes: &[Duration], others: &[&str]) -> Behaviour {
        let ports = (0..sockets_for(lifetimes.len())).map(|_| 32_768 + self.draw.below(28_000) as u16);
        self.local = ports.map(|port| SocketAddr::from(([192, 168, 1, 10], port))).collect();
        let config = Config {
            server: address(SERVER),
            others: others.iter().copied().map(address).collect(),
            local: self.local.clone(),
            lifetimes: lifetimes.to_vec(),
            schedule: SCHEDULE,
        };
        let mut discovery = Discovery::new(config, [self.draw.below(256) as u8; 32], self.now).unwrap();
        let mut answered = 0;
        loop {
            while let Some(sent) = discovery.poll_transmit() {
                self.send(self.local[usize::from(sent.socket.0)], sent.to, sent.bytes);
            }
            while let Some(event) = discovery.poll_event() {
                match event {
                    Event::Answered { .. } => answered += 1,
                    Event::Finished(behaviour) => {
                        assert_eq!(answered, usize::from(behaviour.mapped.is_some()));
                        assert_eq!(discovery.poll_timeout(), None, "it is over");
                        return behaviour;
                    }
                }
            }
            let lands = self.flying.iter().map(|(when, ..)| *when).min();
            let due = discovery.poll_timeout().into_iter().chain(lands).min().expect("it never finishes");
            self.now = due;
            if lands == Some(due) {
                self.land(&mut discovery);
            } else {
                discovery.handle_timeout(self.now);
                let next = discovery.poll_timeout();
                assert!(next.is_none_or(|next| next > self.now), "a timeout that does not pass");
            }
        }
    }

    pub fn ms(&self) -> u128 {
        (self.now - self.start).as_millis()
    }

    fn send(&mut self, inner: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        let outer = self.nat.out(inner, to, self.now);
        self.fly(outer, to, bytes);
    }

    fn fly(&mut self, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        if self.draw.below(100) >= self.lost_percent {
            self.flying.push((self.now + DELAY, from, to, bytes));
        }
    }

    fn land(&mut self, discovery: &mut Discovery) {
        let place = self.flying.iter().position(|(when, ..)| *when == self.now).unwrap();
        let (_, from, to, bytes) = self.flying.remove(place);
        let (server, alternate) = (address(SERVER), address(ALTERNATE));
        if [server.ip(), alternate.ip(), address(ANOTHER).ip()].contains(&to.ip()) {
            return self.serve(from, to, &bytes);
        }
        if self.nat.kind.is_some_and(|kind| from.ip() == to.ip() && !kind.hairpin) {
            return;
        }
        let Some(inner) = self.nat.inward(to, from, self.now) else { return };
        let Some(index) = self.local.iter().position(|local| *local == inner) else { return };
        // The second answer to what was asked twice is nobody's.
        let looked_at = discovery.handle_datagram(&bytes, from, SocketId(index as u8), self.now);
        assert!(matches!(looked_at, Ok(()) | Err(Discard::NotOurs)), "{looked_at:?}");
    }

    fn serve(&mut self, from: SocketAddr, at: SocketAddr, bytes: &[u8]) {
        let request = Message::parse(bytes).unwrap();
        let pair = Alternate::new(address(SERVER), address(ALTERNATE)).unwrap();
        match (self.serves, pair.origin(at)) {
            (Serves::Discovery, Some(origin)) => {
                let answer = pair.plan(&request, origin, from).unwrap();
                let mut room = vec![0; answer.room()];
                let len = answer.write(&request, &mut room).unwrap();
                self.fly(answer.from, answer.to, room[..len].to_vec());
            }
            (Serves::Nothing, _) => {}
            _ => {
                let mut room = [0; server::ANSWER_LEN_MAX];
                let answer = server::answer_binding(&request, from, &mut room).unwrap().to_vec();
                self.fly(at, from, answer);
            }
        }
    }
}
