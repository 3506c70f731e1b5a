//! The server's host: the lobby machine, the relay machine, and the addresses at which they are reached.
//!
//! ```text
//!  first address   UDP, TCP 3478   STUN, TURN            second address   TCP 443   TURN over TLS
//!                  TCP 443         signaling             (each of both families)
//!                  UDP 49152…      relayed addresses
//! ```
//!
//! What is simplified: a frame of signaling stands behind its length instead of in WebSocket, and TLS is not spoken: its
//! streams are plain, at the port that is TLS's.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use twocan_lobby::wire::{IceServer, IceServers};
use twocan_lobby::{ClientId, Door, Ended, Keys, Limits, Lobbies};
use twocan_sim::tcp::{StreamId, Tcp, TcpEvent};
use twocan_sim::{HostId, Network, Packet, packet::Payload};
use twocan_turn::wire::{Frame, frame_len};
use twocan_turn::{
    ClientAddr, External, Family, MemberId, News, PeerAddr, Policy, RelayPort, Transport, Via,
};

/// STUN and TURN.
pub const TURN_PORT: u16 = 3_478;
/// Signaling at the first address, TURN over TLS at the second.
pub const TLS_PORT: u16 = 443;
/// The wall clock at the beginning of a world, Unix seconds.
const UNIX: u64 = 1_790_000_000;
/// What frames of signaling stand behind.
const LENGTH_LEN: usize = 4;

/// Which parts of a server do not answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dead {
    /// Binding requests are not answered.
    pub stun: bool,
    /// Nothing of TURN is answered.
    pub turn: bool,
    /// The process that holds the lobbies is gone.
    pub signaling: bool,
}

/// What is at the other end of a stream.
enum Peer {
    Signaling { client: ClientId, received: Vec<u8> },
    Turn { client: ClientAddr, received: Vec<u8> },
}

/// The server: see the module.
pub struct Server {
    /// Its host.
    pub host: HostId,
    /// First address of each family: signaling, STUN, TURN, relayed addresses.
    pub first: [IpAddr; 2],
    /// Second ones: TURN over TLS.
    pub second: [IpAddr; 2],
    /// What does not answer.
    pub dead: Dead,
    /// The password of relay credentials is a wrong one.
    pub gives_wrong_password: bool,
    /// Relay credentials have ended when they are given.
    pub gives_expired: bool,
    relay: twocan_turn::Server,
    lobbies: Lobbies,
    tcp: Tcp,
    ports: BTreeSet<RelayPort>,
    streams: BTreeMap<StreamId, Peer>,
    clients: BTreeMap<ClientId, StreamId>,
    next_client: u64,
    grant_key: [u8; 32],
    packets: VecDeque<Packet>,
    start: Instant,
}

impl Server {
    /// With all its listeners.
    pub fn new(network: &Network, host: HostId, holds: bool, seed: [u8; 32], now: Instant) -> Server {
        let all: Vec<IpAddr> = network.host_addresses(host).collect();
        let nth = |is_v4: bool, n: usize| {
            let mut of_family = all.iter().copied().filter(|address| address.is_ipv4() == is_v4);
            of_family.nth(n).expect("the server has two addresses of each family")
        };
        let (first, second) = ([nth(true, 0), nth(false, 0)], [nth(true, 1), nth(false, 1)]);
        let mut tcp = Tcp::new(&all, u64::from(seed[0]) << 8 | u64::from(seed[1]), now);
        for address in first {
            tcp.listen(SocketAddr::new(address, TURN_PORT));
            tcp.listen(SocketAddr::new(address, TLS_PORT));
        }
        for address in second {
            tcp.listen(SocketAddr::new(address, TLS_PORT));
        }
        Server {
            host,
            first,
            second,
            dead: Dead::default(),
            gives_wrong_password: false,
            gives_expired: false,
            relay: new_relay(first, second, seed, now),
            lobbies: new_lobbies(holds, seed, now),
            tcp,
            ports: BTreeSet::new(),
            streams: BTreeMap::new(),
            clients: BTreeMap::new(),
            next_client: 1,
            grant_key: seed,
            packets: VecDeque::new(),
            start: now,
        }
    }

    /// The relay's figures.
    pub fn relay_stats(&self) -> &twocan_turn::Stats {
        self.relay.stats()
    }

    /// Lobbies that are there.
    pub fn lobbies(&self) -> usize {
        self.lobbies.lobbies()
    }

    /// Sessions that are there.
    pub fn sessions(&self) -> usize {
        self.lobbies.sessions()
    }

    /// The process is killed: sockets are reset, and nothing answers any more.
    pub fn kill(&mut self, now: Instant) {
        self.dead = Dead { stun: true, turn: true, signaling: true };
        self.tcp.abort_all(now);
    }

    /// A packet for this host.
    pub fn handle_packet(&mut self, packet: &Packet, now: Instant) {
        match &packet.payload {
            Payload::Udp(udp) => {
                let from = SocketAddr::new(packet.source, udp.source);
                let to = SocketAddr::new(packet.destination, udp.destination);
                self.datagram(from, to, &udp.data, now);
            }
            Payload::Tcp(_) => self.tcp.handle_packet(packet, now),
            Payload::Icmp(_) | Payload::Other { .. } => {}
        }
        self.work(now);
    }

    fn datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8], now: Instant) {
        if to.port() == TURN_PORT && self.first.contains(&to.ip()) {
            let is_binding = matches!(bytes, [0, 1, ..]);
            if !(self.dead.stun && is_binding || self.dead.turn && !is_binding) {
                let client = ClientAddr { remote: from, local: to, transport: Transport::Udp };
                self.relay.handle_client(bytes, client, now);
            }
            return;
        }
        let port = RelayPort { family: Family::of(to.ip()), port: to.port() };
        if self.ports.contains(&port) && !self.dead.turn {
            self.relay.handle_peer(bytes, PeerAddr(from), port, now);
        }
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.tcp.handle_timeout(now);
        if self.relay.poll_timeout().is_some_and(|due| due <= now) {
            self.relay.handle_timeout(now);
        }
        if self.lobbies.poll_timeout().is_some_and(|due| due <= now) {
            self.lobbies.handle_timeout(now);
        }
        self.work(now);
    }

    /// A packet to send.
    pub fn poll_packet(&mut self) -> Option<Packet> {
        self.packets.pop_front().or_else(|| self.tcp.poll_packet())
    }

    /// When [`Server::handle_timeout`] is due.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        let machines = [self.relay.poll_timeout(), self.lobbies.poll_timeout()];
        self.tcp.poll_timeout(now).into_iter().chain(machines.into_iter().flatten()).min()
    }

    fn work(&mut self, now: Instant) {
        while let Some(event) = self.tcp.poll_event() {
            self.stream_event(event, now);
        }
        self.drain_lobbies(now);
        self.drain_relay(now);
    }

    fn stream_event(&mut self, event: TcpEvent, now: Instant) {
        match event {
            TcpEvent::Open { stream, local, remote, .. } => {
                let is_signaling = local.port() == TLS_PORT && self.first.contains(&local.ip());
                if is_signaling && !self.dead.signaling {
                    let client = ClientId(self.next_client);
                    self.next_client += 1;
                    self.clients.insert(client, stream);
                    self.streams.insert(stream, Peer::Signaling { client, received: Vec::new() });
                    let door = Door { address: remote.ip(), host: Arc::from("play.test") };
                    self.lobbies.handle_connected(client, door, now);
                } else if !is_signaling && !self.dead.turn {
                    let transport = if local.port() == TLS_PORT { Transport::Tls } else { Transport::Tcp };
                    let client = ClientAddr { remote, local, transport };
                    self.streams.insert(stream, Peer::Turn { client, received: Vec::new() });
                } else {
                    self.tcp.close(stream, now);
                }
            }
            TcpEvent::Data(stream, bytes) => self.stream_bytes(stream, &bytes, now),
            TcpEvent::Closed(stream) => match self.streams.remove(&stream) {
                Some(Peer::Signaling { client, .. }) => {
                    self.clients.remove(&client);
                    self.lobbies.handle_disconnected(client, Ended::Cut, now);
                }
                Some(Peer::Turn { client, .. }) => self.relay.handle_client_closed(client, now),
                None => {}
            },
        }
    }

    fn stream_bytes(&mut self, stream: StreamId, bytes: &[u8], now: Instant) {
        match self.streams.get_mut(&stream) {
            Some(Peer::Signaling { client, received }) => {
                received.extend_from_slice(bytes);
                let client = *client;
                let frames = take_frames(received);
                for text in frames {
                    if text == CLOSE {
                        self.clients.remove(&client);
                        self.streams.remove(&stream);
                        self.lobbies.handle_disconnected(client, Ended::Goodbye, now);
                        return self.tcp.close(stream, now);
                    }
                    self.lobbies.handle_message(client, &text, now);
                }
            }
            Some(Peer::Turn { client, received }) => {
                received.extend_from_slice(bytes);
                while let Frame::Len(len) = frame_len(received) {
                    let Some(frame) = received.get(..len).map(<[u8]>::to_vec) else { break };
                    received.drain(..len);
                    self.relay.handle_client(&frame, *client, now);
                }
            }
            None => {}
        }
    }

    fn drain_lobbies(&mut self, now: Instant) {
        while self.lobbies.poll_event().is_some() {}
        loop {
            while let Some((client, text)) = self.lobbies.poll_transmit() {
                if let Some(stream) = self.clients.get(&client) {
                    self.tcp.send(*stream, &frame(&text), now);
                    self.lobbies.handle_written(client, twocan_lobby::frame_cost(&text), now);
                }
            }
            let Some(command) = self.lobbies.poll_command() else { break };
            self.obey(command, now);
        }
    }

    fn obey(&mut self, command: twocan_lobby::Command, now: Instant) {
        match command {
            twocan_lobby::Command::Close { client, why } => {
                // The client answers with its own, and then the socket ends.
                if let Some(stream) = self.clients.remove(&client) {
                    self.tcp.send(stream, &frame(&format!("{CLOSE}{}", why.code())), now);
                }
            }
            // Nobody here keeps still for so long that it would have to be asked.
            twocan_lobby::Command::Ping { .. } => {}
            // No world of ours has passwords that are worth a hash.
            twocan_lobby::Command::Hash(job) => {
                let mut hash = [0; 32];
                hash.iter_mut().zip(job.password.bytes()).for_each(|(to, from)| *to = from);
                self.lobbies.handle_hashed(job.id(), Some(hash), now);
            }
            twocan_lobby::Command::Grant(grant) => {
                let servers = self.servers(&grant, now);
                self.lobbies.handle_granted(&grant, servers, now);
            }
            twocan_lobby::Command::Revoke { group, peer } => {
                let (group, peer) = (group_of(&group), MemberId::new(&peer.to_string()));
                let news = News::Revoked { group, peer };
                self.relay.handle_news(&news, now);
            }
            twocan_lobby::Command::CloseGroup { group } => {
                self.relay.handle_news(&News::GroupClosed { group: group_of(&group) }, now);
            }
        }
    }

    fn servers(&mut self, grant: &twocan_lobby::Grant, now: Instant) -> IceServers {
        let unix = UNIX + now.saturating_duration_since(self.start).as_secs();
        let expires = if self.gives_expired { unix - 60 } else { unix + grant.lifetime.as_secs() };
        let (group, peer) = (grant.group.to_string(), grant.peer.to_string());
        let username = twocan_turn::credential::username(expires, &group, &peer);
        let mut credential = twocan_turn::credential::password(&self.grant_key, &username);
        if self.gives_wrong_password {
            credential.insert(0, '!');
        }
        let news = News::Granted {
            group: group_of(&grant.group),
            peer: MemberId::new(&peer),
            address: grant.address,
            expires,
        };
        self.relay.handle_news(&news, now);
        let at = |address: IpAddr, port| SocketAddr::new(address, port);
        let stun = self.first.map(|address| format!("stun:{}", at(address, TURN_PORT)));
        let turn = self.first.into_iter().flat_map(|address| {
            ["udp", "tcp"].map(|transport| format!("turn:{}?transport={transport}", at(address, TURN_PORT)))
        });
        let turns = self.second.map(|address| format!("turns:{}?transport=tcp", at(address, TLS_PORT)));
        let relays = turn.chain(turns).collect();
        IceServers {
            servers: vec![
                IceServer { urls: stun.to_vec(), username: None, credential: None },
                IceServer { urls: relays, username: Some(username), credential: Some(credential) },
            ],
            expires: grant.lifetime.as_secs(),
        }
    }

    fn drain_relay(&mut self, now: Instant) {
        loop {
            while self.relay.poll_event().is_some() {}
            let Some(command) = self.relay.poll_command() else { break };
            match command {
                twocan_turn::Command::OpenPort(port) => {
                    self.ports.insert(port);
                    self.relay.handle_port_opened(port, Ok(()), now);
                }
                twocan_turn::Command::ClosePort(port) => {
                    self.ports.remove(&port);
                }
                twocan_turn::Command::CloseClient(client) => {
                    let is_it =
                        |peer: &Peer| matches!(peer, Peer::Turn { client: other, .. } if *other == client);
                    let stream = self.streams.iter().find(|(_, peer)| is_it(peer)).map(|(stream, _)| *stream);
                    if let Some(stream) = stream {
                        self.streams.remove(&stream);
                        self.tcp.close(stream, now);
                    }
                }
            }
        }
        while let Some(sent) = self.relay.poll_transmit() {
            match sent.via {
                Via::Client(client) if client.transport == Transport::Udp => {
                    let packet = Packet::udp(client.local, client.remote, sent.bytes.to_vec());
                    self.packets.push_back(packet);
                }
                Via::Client(client) => {
                    let is_it =
                        |peer: &Peer| matches!(peer, Peer::Turn { client: other, .. } if *other == client);
                    let stream = self.streams.iter().find(|(_, peer)| is_it(peer)).map(|(stream, _)| *stream);
                    if let Some(stream) = stream {
                        self.tcp.send(stream, sent.bytes, now);
                    }
                }
                // No world's server answers behaviour discovery.
                Via::Discovery(..) => {}
                Via::Relay(port, PeerAddr(peer)) => {
                    let from = if port.family == Family::V4 { self.first[0] } else { self.first[1] };
                    let packet = Packet::udp(SocketAddr::new(from, port.port), peer, sent.bytes.to_vec());
                    self.packets.push_back(packet);
                }
            }
        }
    }
}

/// The text of a frame that stands for WebSocket's Close; the server's has the code behind it.
pub const CLOSE: &str = "close ";

/// A frame of signaling, behind its length.
pub fn frame(text: &str) -> Vec<u8> {
    let len = u32::try_from(text.len()).expect("a frame of signaling is short");
    let mut bytes = len.to_be_bytes().to_vec();
    bytes.extend_from_slice(text.as_bytes());
    bytes
}

/// The frames that have come whole.
pub fn take_frames(received: &mut Vec<u8>) -> Vec<String> {
    let mut frames = Vec::new();
    while let Some((length, rest)) = received.split_first_chunk::<LENGTH_LEN>() {
        let len = u32::from_be_bytes(*length) as usize;
        let Some(text) = rest.get(..len) else { break };
        frames.push(String::from_utf8_lossy(text).into_owned());
        received.drain(..LENGTH_LEN + len);
    }
    frames
}

fn group_of(group: &twocan_lobby::GroupId) -> twocan_turn::GroupId {
    twocan_turn::GroupId::new(&group.to_string())
}

fn new_lobbies(holds: bool, seed: [u8; 32], now: Instant) -> Lobbies {
    let usual = Limits::default();
    let limits = Limits { hold: if holds { usual.hold } else { Duration::ZERO }, ..usual };
    Lobbies::new(limits, Keys::new(seed, seed), seed, UNIX, now)
}

fn new_relay(first: [IpAddr; 2], second: [IpAddr; 2], seed: [u8; 32], now: Instant) -> twocan_turn::Server {
    let external = match first {
        [IpAddr::V4(v4), IpAddr::V6(v6)] => External { v4: Some(v4), v6: Some(v6) },
        _ => External { v4: None, v6: None },
    };
    let at =
        |ports: &'static [u16]| move |ip: IpAddr| ports.iter().map(move |port| SocketAddr::new(ip, *port));
    let listeners = first.into_iter().flat_map(at(&[TURN_PORT, TLS_PORT]));
    let config = twocan_turn::Config {
        realm: "twocan".into(),
        external,
        relay_ports: 49_152..=65_535,
        relay_range: 49_152..=65_535,
        threads: 1,
        control_key: None,
        own_addresses: Vec::new(),
        users: Vec::new(),
        secret: None,
        grant_key: seed,
        policy: Policy::new(),
        limits: twocan_turn::Limits::default(),
        nonce_key: seed,
        unix_now: Duration::from_secs(UNIX),
        listeners: listeners.chain(second.into_iter().flat_map(at(&[TLS_PORT]))).collect(),
        dont_fragment: false,
        discovery: Vec::new(),
    };
    twocan_turn::Server::new(config, seed, now).expect("the world's addresses are sound")
}
