//! A relay: the real server, its ports, and streams to it.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use twocan_rtc::SocketId;
use twocan_turn::wire::{Frame, frame_len};
use twocan_turn::{
    ClientAddr, Command, Config, External, Family, Limits, PeerAddr, Policy, RelayPort, Server, Transport,
    Via,
};

pub const USER: &str = "ada";
pub const PASSWORD: &str = "lovelace";
const PORT: u16 = 3_478;
const TLS_PORT: u16 = 5_349;

pub struct Relay {
    pub ip: IpAddr,
    pub server: Server,
    ports: BTreeSet<RelayPort>,
    datagrams: Vec<(SocketAddr, SocketAddr, Vec<u8>)>,
    stream_bytes: Vec<(ClientAddr, Vec<u8>)>,
    /// Says nothing to anybody.
    pub is_dead: bool,
    /// Packets that came in from clients and peers.
    pub packets: u64,
}

impl Relay {
    pub fn new(ip: IpAddr, seed: [u8; 32], now: Instant) -> Relay {
        let external = match ip {
            IpAddr::V4(ip) => External { v4: Some(ip), v6: None },
            IpAddr::V6(ip) => External { v4: None, v6: Some(ip) },
        };
        let config = Config {
            realm: "twocan".into(),
            external,
            relay_ports: 50_000..=59_999,
            relay_range: 50_000..=59_999,
            threads: 1,
            control_key: None,
            own_addresses: Vec::new(),
            users: vec![(USER.into(), PASSWORD.into())],
            secret: None,
            grant_key: seed,
            policy: Policy::new(),
            limits: Limits::default(),
            nonce_key: seed,
            unix_now: Duration::from_secs(1_790_000_000),
            listeners: vec![SocketAddr::new(ip, PORT), SocketAddr::new(ip, TLS_PORT)],
            discovery: Vec::new(),
            dont_fragment: false,
        };
        Relay {
            ip,
            server: Server::new(config, seed, now).unwrap(),
            ports: BTreeSet::new(),
            datagrams: Vec::new(),
            stream_bytes: Vec::new(),
            is_dead: false,
            packets: 0,
        }
    }

    fn family(&self) -> Family {
        Family::of(self.ip)
    }

    pub fn is_at(&self, to: SocketAddr) -> bool {
        let port = RelayPort { family: self.family(), port: to.port() };
        to.ip() == self.ip && (to.port() == PORT || self.ports.contains(&port))
    }

    /// How a stream to this address is spoken; `None`: nobody listens.
    pub fn listener(&self, to: SocketAddr, tls: bool) -> Option<Transport> {
        match (to.ip() == self.ip && !self.is_dead, to.port(), tls) {
            (true, PORT, false) => Some(Transport::Tcp),
            (true, TLS_PORT, true) => Some(Transport::Tls),
            _ => None,
        }
    }

    pub fn datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8], now: Instant) {
        if self.is_dead {
            return;
        }
        self.packets += 1;
        if to.port() == PORT {
            let client = ClientAddr { remote: from, local: to, transport: Transport::Udp };
            self.server.handle_client(bytes, client, now);
        } else {
            let port = RelayPort { family: self.family(), port: to.port() };
            self.server.handle_peer(bytes, PeerAddr(from), port, now);
        }
    }

    pub fn frame(&mut self, client: ClientAddr, frame: &[u8], now: Instant) {
        if !self.is_dead {
            self.packets += 1;
            self.server.handle_client(frame, client, now);
        }
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        self.server.poll_timeout().filter(|_| !self.is_dead)
    }

    pub fn timeout(&mut self, now: Instant) {
        if self.poll_timeout().is_some_and(|due| due <= now) {
            self.server.handle_timeout(now);
        }
    }

    fn drain(&mut self, now: Instant) {
        loop {
            while self.server.poll_event().is_some() {}
            let Some(command) = self.server.poll_command() else { break };
            match command {
                Command::OpenPort(port) => {
                    self.ports.insert(port);
                    self.server.handle_port_opened(port, Ok(()), now);
                }
                Command::ClosePort(port) => {
                    self.ports.remove(&port);
                }
                Command::CloseClient(_) => {}
            }
        }
        while let Some(sent) = self.server.poll_transmit() {
            let bytes = sent.bytes.to_vec();
            match sent.via {
                Via::Client(client) if client.transport == Transport::Udp => {
                    self.datagrams.push((client.local, client.remote, bytes));
                }
                Via::Client(client) => self.stream_bytes.push((client, bytes)),
                Via::Relay(port, PeerAddr(peer)) => {
                    self.datagrams.push((SocketAddr::new(self.ip, port.port), peer, bytes));
                }
                Via::Discovery(..) => unreachable!("no discovery is configured"),
            }
        }
    }

    /// From where, to where, what.
    pub fn take_datagrams(&mut self, now: Instant) -> Vec<(SocketAddr, SocketAddr, Vec<u8>)> {
        self.drain(now);
        std::mem::take(&mut self.datagrams)
    }

    pub fn take_stream_bytes(&mut self) -> Vec<(ClientAddr, Vec<u8>)> {
        std::mem::take(&mut self.stream_bytes)
    }
}

/// A stream from a peer to a relay.
pub struct Stream {
    pub peer: usize,
    pub socket: SocketId,
    pub relay: usize,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub transport: Transport,
    pub is_open: bool,
    pub received: Vec<u8>,
}

impl Stream {
    pub fn client(&self) -> ClientAddr {
        ClientAddr { remote: self.local, local: self.remote, transport: self.transport }
    }

    pub fn next_frame(&mut self) -> Option<Vec<u8>> {
        match frame_len(&self.received) {
            Frame::Len(len) if self.received.len() >= len => Some(self.received.drain(..len).collect()),
            Frame::Len(_) | Frame::Short => None,
            Frame::Garbage => panic!("a relay was sent garbage"),
        }
    }
}
