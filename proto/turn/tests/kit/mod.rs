//! A pretend world around one server: arithmetic time, ports that open by themselves, clients that speak STUN.
#![allow(dead_code, reason = "each test file uses its own part of the kit")]

mod client;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twocan_turn::{
    Command, Config, Event, External, GroupId, Icmp, Limits, MemberId, News, PeerAddr, Policy, PortError,
    RelayPort, Server, Via, credential,
};

#[allow(unused_imports, reason = "each test file uses its own part of the kit")]
pub use client::{Client, Reply, unknown_of};

/// Unix time at the start of every world, in seconds.
pub const UNIX: u64 = 1_790_000_000;
pub const SECRET: &[u8] = b"north";
/// The address that relayed candidates advertise, and that is nobody's listener.
pub const EXTERNAL: &str = "192.0.2.5";
pub const LISTENER: &str = "192.0.2.5:3478";
/// Somebody on the public Internet.
pub const PEER: &str = "8.8.8.8:5000";
pub const PEER_V6: &str = "[2a00:1450::1]:5000";

/// One packet that the server sent.
#[derive(Clone, Debug)]
pub struct Sent {
    pub via: Via,
    pub bytes: Vec<u8>,
    pub dont_fragment: bool,
}

/// What becomes of the next ports that are opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ports {
    Open,
    Fail(PortError),
    /// The kernel takes its time: nothing is answered.
    Wait,
}

pub struct World {
    pub server: Server,
    pub now: Instant,
    start: Instant,
    pub ports: Ports,
    pub sent: Vec<Sent>,
    pub commands: Vec<Command>,
    pub events: Vec<Event>,
}

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn config() -> Config {
    Config {
        realm: "twocan".into(),
        external: External { v4: Some(EXTERNAL.parse().unwrap()), v6: Some("2001:db8::5".parse().unwrap()) },
        relay_ports: 50_000..=50_999,
        relay_range: 50_000..=50_999,
        threads: 1,
        control_key: Some([8; 32]),
        own_addresses: Vec::new(),
        users: vec![("ada".into(), "lovelace".into()), ("bob".into(), "builder".into())],
        secret: Some(SECRET.to_vec()),
        grant_key: credential::grant_key(SECRET),
        policy: Policy::new(),
        limits: Limits::default(),
        nonce_key: [9; 32],
        unix_now: Duration::from_secs(UNIX),
        listeners: vec![addr(LISTENER)],
        discovery: Vec::new(),
        dont_fragment: true,
    }
}

pub fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
    Instant::now()
}

impl World {
    pub fn new() -> World {
        World::with(|_| ())
    }

    pub fn with(change: impl FnOnce(&mut Config)) -> World {
        World::at(start(), 1, change)
    }

    /// A world that shares its clock with others.
    pub fn at(start: Instant, seed: u8, change: impl FnOnce(&mut Config)) -> World {
        let mut config = config();
        change(&mut config);
        let server = Server::new(config, [seed; 32], start).unwrap();
        let ports = Ports::Open;
        World { server, now: start, start, ports, sent: vec![], commands: vec![], events: vec![] }
    }

    /// Moves to `ms` after the start, stopping at each timeout on the way.
    pub fn t(&mut self, ms: u64) {
        let then = self.start + Duration::from_millis(ms);
        while let Some(due) = self.server.poll_timeout().filter(|due| *due <= then) {
            self.now = self.now.max(due);
            self.server.handle_timeout(self.now);
            self.drain();
            assert!(self.server.poll_timeout().is_none_or(|next| next > due), "a timeout that does not pass");
        }
        self.now = then;
    }

    pub fn client_sends(&mut self, client: &Client, packet: &[u8]) {
        self.server.handle_client(packet, client.addr, self.now);
        self.drain();
    }

    pub fn peer_sends(&mut self, peer: SocketAddr, to: SocketAddr, packet: &[u8]) {
        self.server.handle_peer(packet, PeerAddr(peer), port_of(to), self.now);
        self.drain();
    }

    pub fn icmp(&mut self, error: Icmp, peer: SocketAddr, to: SocketAddr) {
        self.server.handle_icmp(error, PeerAddr(peer), port_of(to), self.now);
        self.drain();
    }

    pub fn news(&mut self, news: &News) {
        self.server.handle_news(news, self.now);
        self.drain();
    }

    pub fn granted(&mut self, group: &str, peer: &str, address: &str) {
        self.news(&News::Granted {
            group: GroupId::new(group),
            peer: MemberId::new(peer),
            address: address.parse().unwrap(),
            expires: UNIX + 3_600,
        });
    }

    pub fn revoked(&mut self, group: &str, peer: &str) {
        self.news(&News::Revoked { group: GroupId::new(group), peer: MemberId::new(peer) });
    }

    /// Does what the server asks for, as `net/relay` would.
    pub fn drain(&mut self) {
        loop {
            while let Some(event) = self.server.poll_event() {
                self.events.push(event);
            }
            let Some(command) = self.server.poll_command() else { break };
            self.commands.push(command);
            if let Command::OpenPort(port) = command {
                match self.ports {
                    Ports::Open => self.server.handle_port_opened(port, Ok(()), self.now),
                    Ports::Fail(why) => self.server.handle_port_opened(port, Err(why), self.now),
                    Ports::Wait => {}
                }
            }
        }
        while let Some(sent) = self.server.poll_transmit() {
            let (via, bytes, dont_fragment) = (sent.via, sent.bytes.to_vec(), sent.dont_fragment);
            self.sent.push(Sent { via, bytes, dont_fragment });
        }
    }

    /// What was sent since the last time.
    pub fn take_sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    /// News since the last time.
    pub fn take_news(&mut self) -> Vec<News> {
        let events = std::mem::take(&mut self.events);
        events
            .into_iter()
            .filter_map(|event| match event {
                Event::News(news) => Some(news),
                Event::Opened { .. } | Event::Ended { .. } => None,
            })
            .collect()
    }

    /// Ports open at this moment, going by the commands.
    pub fn open_ports(&self) -> Vec<RelayPort> {
        let mut open = vec![];
        for command in &self.commands {
            match command {
                Command::OpenPort(port) => open.push(*port),
                Command::ClosePort(port) => open.retain(|known| known != port),
                Command::CloseClient(_) => {}
            }
        }
        open
    }

    /// The payload of the one packet that went to `peer` since the last time.
    pub fn peer_got(&mut self, peer: SocketAddr) -> Option<Vec<u8>> {
        let sent = self.take_sent();
        let mut found = sent
            .into_iter()
            .filter(|sent| matches!(sent.via, Via::Relay(_, PeerAddr(to)) if to == peer))
            .map(|sent| sent.bytes);
        let first = found.next();
        assert_eq!(found.next(), None);
        first
    }
}

pub fn port_of(relayed: SocketAddr) -> RelayPort {
    twocan_turn::RelayAddr(relayed).port()
}
