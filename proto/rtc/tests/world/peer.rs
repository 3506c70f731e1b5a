//! A peer: a connection, its driver, and what its application saw.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use bytes::Bytes;
use twocan_rtc::{
    ChannelId, Command, Config, Connection, ConnectionState, Event, FailReason, PathInfo, Payload, Signal,
    SignalError, SocketId, Transmit,
};

use super::sleep::Sleep;
use super::{Happening, PUBLIC, Realm, World, relay};

/// An address of a peer.
#[derive(Clone, Copy, Debug)]
pub struct Interface {
    pub ip: IpAddr,
    pub lan: Realm,
    pub nat: Option<usize>,
}

impl Interface {
    /// On the public internet.
    pub fn public(ip: &str) -> Interface {
        Interface { ip: ip.parse().unwrap(), lan: PUBLIC, nat: None }
    }

    /// In a LAN that leads nowhere.
    pub fn lan(ip: &str, lan: Realm) -> Interface {
        Interface { ip: ip.parse().unwrap(), lan, nat: None }
    }

    /// In a LAN behind a NAT.
    pub fn behind(nat: usize, ip: &str, lan: Realm) -> Interface {
        Interface { ip: ip.parse().unwrap(), lan, nat: Some(nat) }
    }
}

/// A TCP stream between two peers: who opened it, and who accepted it.
pub struct Crossing {
    ends: [(usize, Option<SocketId>); 2],
    listener: SocketId,
    from: SocketAddr,
    to: SocketAddr,
}

pub struct Peer {
    pub connection: Connection,
    pub listeners: BTreeMap<SocketId, SocketAddr>,
    /// Whether the application fetches what happened.
    pub is_reading: bool,
    pub interfaces: Vec<Interface>,
    pub sockets: BTreeMap<SocketId, SocketAddr>,
    next_port: u16,
    start: Instant,
    /// All but messages, and when.
    pub events: Vec<(Duration, Event)>,
    /// Messages, and when.
    pub messages: Vec<(Duration, ChannelId, Bytes)>,
    pub signals: Vec<(Duration, Signal)>,
    pub refused: Vec<SignalError>,
    pub sleep: Sleep,
    /// Signals are changed, or dropped, before they go.
    pub tamper: Box<dyn FnMut(Signal) -> Option<Signal>>,
}

impl Peer {
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Peer {
        Peer {
            connection: Connection::new(config, seed, now),
            listeners: BTreeMap::new(),
            is_reading: true,
            interfaces: Vec::new(),
            sockets: BTreeMap::new(),
            next_port: 40_000,
            start: now,
            events: Vec::new(),
            messages: Vec::new(),
            signals: Vec::new(),
            refused: Vec::new(),
            sleep: Sleep::default(),
            tamper: Box::new(Some),
        }
    }

    pub fn interface(&self, ip: IpAddr) -> Option<Interface> {
        self.interfaces.iter().copied().find(|interface| interface.ip == ip)
    }

    pub fn plug(&mut self, interface: Interface, now: Instant) {
        self.interfaces.push(interface);
        self.next_port += 1;
        let local = SocketAddr::new(interface.ip, self.next_port);
        let socket = self.connection.add_socket(local, now);
        self.sockets.insert(socket, local);
    }

    pub fn unplug(&mut self, ip: IpAddr, now: Instant) {
        self.interfaces.retain(|interface| interface.ip != ip);
        let gone: Vec<SocketId> =
            self.sockets.iter().filter(|(_, local)| local.ip() == ip).map(|(socket, _)| *socket).collect();
        for socket in gone {
            self.sockets.remove(&socket);
            self.connection.remove_socket(socket, now);
        }
    }

    /// A datagram at one of the sockets.
    pub fn datagram(&mut self, from: SocketAddr, to: SocketAddr, bytes: &[u8], now: Instant) {
        if let Some((socket, _)) = self.sockets.iter().find(|(_, local)| **local == to) {
            let _ = self.connection.handle_datagram(*socket, from, bytes, now);
        }
    }

    pub fn signal(&mut self, signal: Signal, now: Instant) {
        if let Err(why) = self.connection.handle_signal(signal, now) {
            self.refused.push(why);
        }
    }

    pub fn state(&self) -> ConnectionState {
        self.connection.state()
    }

    pub fn is_connected(&self) -> bool {
        self.state() == ConnectionState::Connected
    }

    /// The ways that data went, in order.
    pub fn paths(&self) -> Vec<PathInfo> {
        self.events
            .iter()
            .filter_map(|(_, event)| if let Event::Path(path) = event { Some(*path) } else { None })
            .collect()
    }

    pub fn path(&self) -> PathInfo {
        self.connection.stats().path.unwrap()
    }

    pub fn failure(&self) -> Option<FailReason> {
        self.events.iter().find_map(|(_, event)| {
            if let Event::Failed { reason, .. } = event { Some(*reason) } else { None }
        })
    }

    pub fn states(&self) -> Vec<ConnectionState> {
        let state = |event: &Event| if let Event::StateChanged(state) = event { Some(*state) } else { None };
        self.events.iter().filter_map(|(_, event)| state(event)).collect()
    }

    pub fn is_closed(&self) -> bool {
        self.events.iter().any(|(_, event)| matches!(event, Event::Closed { .. }))
    }

    /// How many descriptions were sent.
    pub fn descriptions(&self) -> usize {
        self.signals.iter().filter(|(_, signal)| matches!(signal, Signal::Description(_))).count()
    }

    pub fn send(&mut self, channel: ChannelId, bytes: Vec<u8>, now: Instant) -> bool {
        self.connection.send(channel, Payload::Binary, Bytes::from(bytes), now).is_ok()
    }
}

impl World {
    /// Sends one message; whether it was taken.
    pub fn send(&mut self, peer: usize, channel: ChannelId, bytes: Vec<u8>) -> bool {
        let now = self.now;
        let is_taken = self.peers[peer].send(channel, bytes, now);
        self.drain(peer);
        is_taken
    }

    /// Does what a connection asks for, as `net/peer` would.
    pub(super) fn drain(&mut self, peer: usize) {
        self.send_all(peer);
        while let Some(command) = self.peers[peer].connection.poll_command() {
            self.command(peer, command);
        }
        let at = self.now.duration_since(self.peers[peer].start);
        let poll = if self.peers[peer].is_reading { Connection::poll_event } else { Connection::poll_news };
        while let Some(event) = poll(&mut self.peers[peer].connection) {
            match event {
                Event::Signal(signal) => {
                    self.peers[peer].signals.push((at, signal.clone()));
                    if let Some(signal) = (self.peers[peer].tamper)(signal)
                        && self.is_signaling_up
                    {
                        self.schedule(self.net.signal_delay, Happening::Signal { to: 1 - peer, signal });
                    }
                }
                Event::Message { id, bytes, .. } => self.peers[peer].messages.push((at, id, bytes)),
                event => self.peers[peer].events.push((at, event)),
            }
        }
        // Whatever was read makes room.
        self.send_all(peer);
    }

    fn send_all(&mut self, peer: usize) {
        while let Some(transmit) = self.peers[peer].connection.poll_transmit() {
            self.transmit(peer, transmit);
        }
    }

    fn transmit(&mut self, peer: usize, transmit: Transmit) {
        let Transmit { socket, to, bytes, segment_size, ttl } = transmit;
        assert!(!bytes.is_empty(), "nothing is no packet");
        if let Some(source) = self.peers[peer].sockets.get(&socket).copied() {
            for datagram in bytes.chunks(segment_size.unwrap_or(bytes.len())) {
                assert!(datagram.len() <= 1_236, "a datagram of {} bytes", datagram.len());
                self.send_from_peer(peer, source, to, datagram, ttl);
            }
            return;
        }
        let is_end = |crossing: &Crossing| crossing.ends.contains(&(peer, Some(socket)));
        if let Some(stream) = self.crossings.iter().position(is_end) {
            let end = usize::from(self.crossings[stream].ends[0].0 == peer);
            return self.schedule(self.net.delay, Happening::Crossed { stream, end, bytes });
        }
        let at = |stream: &relay::Stream| stream.peer == peer && stream.socket == socket;
        if let Some(stream) = self.streams.iter().position(at)
            && self.streams[stream].is_open
        {
            assert_eq!(self.streams[stream].remote, to);
            self.schedule(self.net.relay_delay, Happening::StreamUp { stream, bytes });
        }
    }

    fn command(&mut self, peer: usize, command: Command) {
        match command {
            Command::OpenStream { socket, to, tls, from } => {
                self.open_stream(peer, socket, to, from, tls.is_some());
            }
            Command::CloseSocket(socket) => {
                for stream in &mut self.streams {
                    stream.is_open &= stream.peer != peer || stream.socket != socket;
                }
            }
            Command::Resolve { query, name } => {
                let known = self.names.get(&name).copied();
                let near = |ip: &IpAddr| {
                    let lans = |peer: &Peer, ip: IpAddr| peer.interface(ip).map(|interface| interface.lan);
                    let lan = self.peers.iter().find_map(|peer| lans(peer, *ip));
                    self.peers[peer].interfaces.iter().any(|interface| Some(interface.lan) == lan)
                };
                let addresses: Vec<IpAddr> = known.filter(near).into_iter().collect();
                self.schedule(self.net.lan_delay * 2, Happening::Resolved { peer, query, addresses });
            }
            Command::Announce { name, ip } => {
                self.names.insert(name, ip);
            }
        }
    }

    /// A TCP listener on an interface.
    pub fn listen(&mut self, peer: usize, local: &str) {
        let (local, now) = (local.parse().unwrap(), self.now);
        let socket = self.peers[peer].connection.add_listener(local, now);
        self.peers[peer].listeners.insert(socket, local);
        self.drain(peer);
    }

    pub(super) fn accept(&mut self, stream: usize) {
        let Crossing { ends: [_, (accepter, _)], listener, from, .. } = self.crossings[stream];
        let now = self.now;
        self.crossings[stream].ends[1].1 = self.peers[accepter].connection.add_stream(listener, from, now);
        self.drain(accepter);
        // The opener learns of it as of a packet of no bytes.
        self.schedule(self.net.delay, Happening::Crossed { stream, end: 0, bytes: Vec::new() });
    }

    pub(super) fn cross(&mut self, stream: usize, end: usize, bytes: &[u8]) {
        let Crossing { ends, from, to, .. } = self.crossings[stream];
        let (peer, Some(socket)) = ends[end] else { return };
        let (now, connection) = (self.now, &mut self.peers[peer].connection);
        if bytes.is_empty() {
            connection.handle_stream_open(socket, from, to, now);
        } else {
            // Cut anyhow.
            let (some, rest) = bytes.split_at(bytes.len() / 3);
            let _ = connection.handle_stream(socket, some, now);
            let _ = connection.handle_stream(socket, rest, now);
        }
        self.drain(peer);
    }

    fn open_stream(
        &mut self,
        peer: usize,
        socket: SocketId,
        to: SocketAddr,
        from: Option<IpAddr>,
        tls: bool,
    ) {
        let listener = self.peers.iter().enumerate().find_map(|(index, peer)| {
            peer.listeners.iter().find(|(_, at)| **at == to).map(|(listener, _)| (index, *listener))
        });
        if let (Some((accepter, listener)), Some(from)) = (listener, from) {
            let from = SocketAddr::new(from, 30_000 + u16::try_from(self.crossings.len()).unwrap());
            let ends = [(peer, Some(socket)), (accepter, None)];
            self.crossings.push(Crossing { ends, listener, from, to });
            let stream = self.crossings.len() - 1;
            return self.schedule(self.net.delay, Happening::Accepted { stream });
        }
        let interface =
            self.peers[peer].interfaces.iter().find(|interface| interface.ip.is_ipv4() == to.is_ipv4());
        let found =
            self.relays.iter().enumerate().find_map(|(id, relay)| Some((id, relay.listener(to, tls)?)));
        let trips = if tls { 4 } else { 2 };
        let (Some(interface), Some((relay, transport))) = (interface, found) else {
            let stream = relay::Stream {
                peer,
                socket,
                relay: usize::MAX,
                local: to,
                remote: to,
                transport: twocan_turn::Transport::Tcp,
                is_open: false,
                received: Vec::new(),
            };
            self.streams.push(stream);
            let stream = self.streams.len() - 1;
            return self
                .schedule(self.net.relay_delay * 2, Happening::StreamOpened { stream, is_open: false });
        };
        let port = 10_000 + u16::try_from(self.streams.len()).unwrap();
        let public = interface.nat.map_or(interface.ip, |nat| self.nats[nat].public);
        let local = SocketAddr::new(public, port);
        let (is_open, received) = (true, Vec::new());
        self.streams.push(relay::Stream {
            peer,
            socket,
            relay,
            local,
            remote: to,
            transport,
            is_open,
            received,
        });
        let stream = self.streams.len() - 1;
        self.schedule(self.net.relay_delay * trips, Happening::StreamOpened { stream, is_open: true });
    }

    pub(super) fn stream_opened(&mut self, stream: usize, is_open: bool) {
        let relay::Stream { peer, socket, local, remote, .. } = self.streams[stream];
        let now = self.now;
        let connection = &mut self.peers[peer].connection;
        if is_open {
            connection.handle_stream_open(socket, local, remote, now);
        } else {
            connection.handle_stream_closed(socket, now);
        }
        self.drain(peer);
    }
}
