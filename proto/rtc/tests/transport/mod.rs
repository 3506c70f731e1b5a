//! Two transports and a path between them, in arithmetic time: delay, loss, reordering and duplication from one seed.

#![allow(dead_code, reason = "each test file uses a part")]
#![allow(clippy::unwrap_used, reason = "a test")]

pub mod records;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore, SeedableRng};
use twocan_rtc::transport::{
    Certificate, ChannelId, ChannelInit, CloseReason, Config, Discard, DtlsRole, DtlsVersions, Event,
    Payload, Remote, Transport, limits,
};

/// What the path does to datagrams.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    pub rtt: Duration,
    /// Of a thousand.
    pub loss: u32,
    pub duplicated: u32,
    /// Of a thousand, these take up to another round trip.
    pub late: u32,
}

impl Path {
    pub fn perfect(rtt_ms: u64) -> Self {
        Self { rtt: Duration::from_millis(rtt_ms), loss: 0, duplicated: 0, late: 0 }
    }

    pub fn lossy(rtt_ms: u64, loss: u32) -> Self {
        Self { loss, ..Self::perfect(rtt_ms) }
    }
}

pub fn seed(number: u64) -> [u8; 32] {
    let mut seed = [0; 32];
    seed[..8].copy_from_slice(&number.to_le_bytes());
    seed
}

/// What becomes of a datagram of this end on its way: any number of others.
pub type Rewrite = Box<dyn FnMut(usize, &[u8], &mut ChaCha12Rng) -> Vec<Vec<u8>>>;

/// When, in what order, where, what.
type Arrival = (Instant, u64, usize, Vec<u8>);

/// Two ends: 0 is the DTLS client.
pub struct Pair {
    pub ends: [Transport; 2],
    pub events: [Vec<(Duration, Event)>; 2],
    pub discards: [Vec<Discard>; 2],
    pub path: Path,
    pub start: Instant,
    pub now: Instant,
    /// Every datagram that was sent, with its sender.
    pub sent: Vec<(usize, Vec<u8>)>,
    pub records: bool,
    /// An end whose events nobody takes.
    pub unheard: Option<usize>,
    pub rewrite: Option<Rewrite>,
    random: ChaCha12Rng,
    wire: BinaryHeap<Reverse<Arrival>>,
    order: u64,
}

pub fn remote(role: DtlsRole, certificate: &Certificate) -> Remote {
    Remote {
        role,
        fingerprints: vec![certificate.fingerprint()],
        sctp_port: 5_000,
        max_message_size: 262_144,
        sctp_init: None,
    }
}

impl Pair {
    /// Not started yet.
    pub fn new(path: Path, number: u64, versions: [DtlsVersions; 2]) -> Self {
        Self::with_mtu(path, number, versions, limits::MTU)
    }

    /// The client's datagrams have at most so many bytes.
    pub fn with_mtu(path: Path, number: u64, versions: [DtlsVersions; 2], mtu: usize) -> Self {
        Self::with_mtus(path, number, versions, [mtu, limits::MTU])
    }

    pub fn with_mtus(path: Path, number: u64, versions: [DtlsVersions; 2], mtus: [usize; 2]) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the beginning of arithmetic time")]
        let now = Instant::now();
        let certificates = certificates();
        let end = |index: usize| {
            let config = Config {
                versions: versions[index],
                mtu: mtus[index],
                ..Config::new(certificates[index].clone())
            };
            Transport::new(config, seed(number * 2 + index as u64), now)
        };
        Self {
            ends: [end(0), end(1)],
            events: [Vec::new(), Vec::new()],
            discards: [Vec::new(), Vec::new()],
            path,
            start: now,
            now,
            sent: Vec::new(),
            records: false,
            unheard: None,
            rewrite: None,
            random: ChaCha12Rng::seed_from_u64(number),
            wire: BinaryHeap::new(),
            order: 0,
        }
    }

    pub fn start(&mut self) {
        let [client, server] = certificates();
        let rtt = Some(self.path.rtt).filter(|rtt| !rtt.is_zero());
        self.ends[0].start(remote(DtlsRole::Client, &server), rtt, self.now);
        self.ends[1].start(remote(DtlsRole::Server, &client), rtt, self.now);
    }

    pub fn started(path: Path, number: u64) -> Self {
        let mut pair = Self::new(path, number, [DtlsVersions::Any; 2]);
        pair.start();
        pair
    }

    /// Connected, with one negotiated channel of this kind.
    pub fn connected(path: Path, number: u64, init: &ChannelInit) -> (Self, ChannelId) {
        let mut pair = Self::started(Path { loss: 0, duplicated: 0, late: 0, ..path }, number);
        let [here, _] = [0, 1].map(|index| pair.ends[index].open(init.clone(), pair.now).unwrap());
        pair.run_until("connected", |pair| pair.is_connected(0) && pair.is_connected(1));
        pair.path = path;
        (pair, here)
    }

    pub fn is_connected(&self, end: usize) -> bool {
        self.events[end].iter().any(|(_, event)| *event == Event::Connected)
    }

    pub fn closed(&self, end: usize) -> Option<CloseReason> {
        self.events[end].iter().find_map(|(_, event)| match event {
            Event::Closed { why } => Some(*why),
            _ => None,
        })
    }

    pub fn messages(&self, end: usize) -> Vec<(Duration, Payload, Bytes)> {
        let message = |(at, event): &(Duration, Event)| match event {
            Event::Message { kind, bytes, .. } => Some((*at, *kind, bytes.clone())),
            _ => None,
        };
        self.events[end].iter().filter_map(message).collect()
    }

    pub fn elapsed(&self) -> Duration {
        self.now - self.start
    }

    /// Takes all outputs.
    pub fn flush(&mut self) {
        for end in 0..2 {
            while let Some(datagrams) = self.ends[end].poll_transmit() {
                let size = datagrams.segment_size.unwrap_or(datagrams.bytes.len());
                for datagram in datagrams.bytes.chunks(size) {
                    self.carry(end, datagram);
                }
            }
            while self.unheard != Some(end)
                && let Some(event) = self.ends[end].poll_event()
            {
                self.events[end].push((self.now - self.start, event));
            }
        }
    }

    fn chance(&mut self, of_thousand: u32) -> bool {
        of_thousand > 0 && self.random.next_u32() % 1_000 < of_thousand
    }

    fn carry(&mut self, from: usize, datagram: &[u8]) {
        if self.records {
            self.sent.push((from, datagram.to_vec()));
        }
        match &mut self.rewrite {
            Some(rewrite) => {
                for datagram in rewrite(from, datagram, &mut self.random) {
                    self.carry_one(from, &datagram);
                }
            }
            None => self.carry_one(from, datagram),
        }
    }

    fn carry_one(&mut self, from: usize, datagram: &[u8]) {
        let copies = if self.chance(self.path.duplicated) { 2 } else { 1 };
        for _ in 0..copies {
            if self.chance(self.path.loss) {
                continue;
            }
            let mut delay = self.path.rtt / 2;
            if self.chance(self.path.late) {
                delay += self.path.rtt * (self.random.next_u32() % 100) / 100;
            }
            self.deliver_at(1 - from, datagram, self.now + delay);
        }
    }

    /// A datagram that somebody sends to `end`.
    pub fn deliver_at(&mut self, end: usize, datagram: &[u8], at: Instant) {
        self.order += 1;
        self.wire.push(Reverse((at, self.order, end, datagram.to_vec())));
    }

    /// The next thing that is due; `false`: nothing is.
    pub fn step(&mut self) -> bool {
        self.flush();
        let timers = self.ends.iter().filter_map(Transport::poll_timeout).min();
        let arrival = self.wire.peek().map(|Reverse((at, ..))| *at);
        let Some(due) = timers.into_iter().chain(arrival).min() else { return false };
        self.now = self.now.max(due);
        while let Some(Reverse((at, ..))) = self.wire.peek()
            && *at <= self.now
        {
            let Some(Reverse((_, _, end, datagram))) = self.wire.pop() else { break };
            if let Err(discard) = self.ends[end].handle_datagram(&datagram, self.now) {
                self.discards[end].push(discard);
            }
        }
        for end in &mut self.ends {
            if end.poll_timeout().is_some_and(|at| at <= self.now) {
                end.handle_timeout(self.now);
            }
        }
        self.flush();
        true
    }

    pub fn run_until(&mut self, what: &str, done: impl Fn(&Self) -> bool) {
        let limit = self.now + Duration::from_secs(120);
        while !done(self) {
            assert!(
                self.step() && self.now < limit,
                "{what}: not after {:?}; {:?}",
                self.elapsed(),
                self.events
            );
        }
    }

    pub fn run_for(&mut self, time: Duration) {
        let until = self.now + time;
        loop {
            self.flush();
            let timers = self.ends.iter().filter_map(Transport::poll_timeout).min();
            let arrival = self.wire.peek().map(|Reverse((at, ..))| *at);
            if timers.into_iter().chain(arrival).min().is_none_or(|due| due > until) {
                break;
            }
            self.step();
        }
        self.now = until;
    }
}

/// The same two for all tests: to make a key takes time.
pub fn certificates() -> [Certificate; 2] {
    static CERTIFICATES: std::sync::OnceLock<[Certificate; 2]> = std::sync::OnceLock::new();
    CERTIFICATES.get_or_init(|| [Certificate::generate(), Certificate::generate()]).clone()
}
