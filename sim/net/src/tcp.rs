//! TCP of a host: `smoltcp` on the packets of the pretend internet.
//!
//! ```text
//!  owner ── connect, listen, send, close ──► sockets ── packets ──► poll_packet
//!        ◄── poll_event: Open, Data, Closed ──┘   ▲── handle_packet
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use smoltcp::iface::{Config, Interface, SocketHandle, SocketSet};
use smoltcp::phy::{Device, DeviceCapabilities, Medium, RxToken, TxToken};
use smoltcp::socket::tcp::{Socket, SocketBuffer, State};
use smoltcp::wire::{HardwareAddress, IpCidr};

use crate::packet::{Packet, Payload, TcpFlags};

/// Bytes that a socket holds in each direction.
const BUFFER_LEN: usize = 64 * 1024;
/// How long nothing may be acknowledged before a connection is given up.
const TIMEOUT: Duration = Duration::from_secs(20);
/// The first port of connections that this host opens.
const FIRST_PORT: u16 = 40_000;

/// One connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamId(u32);

/// What happened to a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TcpEvent {
    /// It stands: one of ours, or one that came in at `local`.
    Open {
        /// Which.
        stream: StreamId,
        /// Our end.
        local: SocketAddr,
        /// The other end, as this host sees it.
        remote: SocketAddr,
        /// The other side opened it.
        accepted: bool,
    },
    /// Bytes came.
    Data(StreamId, Vec<u8>),
    /// It is over, or could not be opened.
    Closed(StreamId),
}

struct Stream {
    handle: SocketHandle,
    accepted: bool,
    is_open: bool,
    is_closing: bool,
    waiting: VecDeque<u8>,
}

/// The TCP connections of a host.
pub struct Tcp {
    interface: Interface,
    sockets: SocketSet<'static>,
    wire: Wire,
    epoch: Instant,
    streams: BTreeMap<StreamId, Stream>,
    listeners: Vec<(SocketAddr, SocketHandle)>,
    last: u32,
    next_port: u16,
    events: VecDeque<TcpEvent>,
}

impl fmt::Debug for Tcp {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Tcp").field("connections", &self.connections()).finish_non_exhaustive()
    }
}

impl Tcp {
    /// Of a host with these addresses.
    pub fn new(addresses: &[IpAddr], seed: u64, now: Instant) -> Tcp {
        let mut wire = Wire::default();
        let mut config = Config::new(HardwareAddress::Ip);
        config.random_seed = seed;
        let mut interface = Interface::new(config, &mut wire, smoltcp::time::Instant::ZERO);
        // Everything is reached by the one device; the gateways' addresses mean nothing.
        let _ = interface.routes_mut().add_default_ipv4_route(Ipv4Addr::new(192, 0, 0, 1));
        let _ = interface.routes_mut().add_default_ipv6_route(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1));
        let mut tcp = Tcp {
            interface,
            sockets: SocketSet::new(Vec::new()),
            wire,
            epoch: now,
            streams: BTreeMap::new(),
            listeners: Vec::new(),
            last: 0,
            next_port: FIRST_PORT,
            events: VecDeque::new(),
        };
        tcp.set_addresses(addresses);
        tcp
    }

    /// The host has these addresses from now on.
    pub fn set_addresses(&mut self, addresses: &[IpAddr]) {
        self.interface.update_ip_addrs(|known| {
            known.clear();
            for address in addresses {
                let bits = if address.is_ipv4() { 32 } else { 128 };
                // More than it holds are of no use to a test.
                let _ = known.push(IpCidr::new((*address).into(), bits));
            }
        });
    }

    /// Takes connections at this address from now on.
    pub fn listen(&mut self, at: SocketAddr) {
        let mut socket = new_socket();
        if socket.listen(at).is_ok() {
            let handle = self.sockets.add(socket);
            self.listeners.push((at, handle));
        }
    }

    /// Takes no connections any more, and resets those that stand.
    pub fn abort_all(&mut self, now: Instant) {
        for (_, handle) in std::mem::take(&mut self.listeners) {
            self.sockets.remove(handle);
        }
        for stream in self.streams.values() {
            self.sockets.get_mut::<Socket<'_>>(stream.handle).abort();
        }
        self.run(now);
    }

    /// Resets a connection at once.
    pub fn abort(&mut self, stream: StreamId, now: Instant) {
        if let Some(stream) = self.streams.get(&stream) {
            self.sockets.get_mut::<Socket<'_>>(stream.handle).abort();
        }
        self.run(now);
    }

    /// How many connections stand, are being opened, or are not quite over.
    pub fn connections(&self) -> usize {
        self.streams.len()
    }

    /// Opens a connection.
    pub fn connect(&mut self, from: IpAddr, to: SocketAddr, now: Instant) -> StreamId {
        self.last += 1;
        let id = StreamId(self.last);
        let mut socket = new_socket();
        let local = SocketAddr::new(from, self.next_port);
        self.next_port = self.next_port.checked_add(1).unwrap_or(FIRST_PORT);
        let is_begun = socket.connect(self.interface.context(), to, local).is_ok();
        let handle = self.sockets.add(socket);
        let waiting = VecDeque::new();
        self.streams
            .insert(id, Stream { handle, accepted: false, is_open: false, is_closing: false, waiting });
        if !is_begun {
            self.sockets.get_mut::<Socket<'_>>(handle).abort();
        }
        self.run(now);
        id
    }

    /// Sends bytes, or keeps them until there is room.
    pub fn send(&mut self, stream: StreamId, bytes: &[u8], now: Instant) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.waiting.extend(bytes);
        }
        self.run(now);
    }

    /// Ends a connection behind what was sent. Nothing more is told of it.
    pub fn close(&mut self, stream: StreamId, now: Instant) {
        if let Some(stream) = self.streams.get_mut(&stream) {
            stream.is_closing = true;
        }
        self.run(now);
    }

    /// A packet for this host.
    pub fn handle_packet(&mut self, packet: &Packet, now: Instant) {
        if self.is_being_opened_by(packet) {
            return;
        }
        let mut bytes = Vec::with_capacity(packet.wire_len());
        packet.write(&mut bytes);
        self.wire.inbound.push_back(bytes);
        self.run(now);
    }

    /// A SYN that came twice. `smoltcp` would take it for a second connection; ours was answered, and is again when that
    /// is due (RFC 9293 section 3.10.7.4).
    fn is_being_opened_by(&self, packet: &Packet) -> bool {
        let Payload::Tcp(segment) = &packet.payload else { return false };
        let flags = segment.flags();
        if !flags.contains(TcpFlags::SYN) || flags.contains(TcpFlags::ACK) {
            return false;
        }
        let local = SocketAddr::new(packet.destination, segment.destination);
        let remote = SocketAddr::new(packet.source, segment.source);
        self.streams.values().any(|stream| {
            let socket = self.sockets.get::<Socket<'_>>(stream.handle);
            socket.state() == State::SynReceived
                && socket.local_endpoint() == Some(local.into())
                && socket.remote_endpoint() == Some(remote.into())
        })
    }

    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run(now);
    }

    /// A packet to send.
    pub fn poll_packet(&mut self) -> Option<Packet> {
        let bytes = self.wire.outbound.pop_front()?;
        Packet::parse(&bytes).ok()
    }

    /// What happened.
    pub fn poll_event(&mut self) -> Option<TcpEvent> {
        self.events.pop_front()
    }

    /// When [`Tcp::handle_timeout`] is due.
    pub fn poll_timeout(&mut self, now: Instant) -> Option<Instant> {
        // The other side has closed its end: the owner may still answer, then ours follows.
        let mut streams =
            self.streams.values().filter(|stream| stream.is_closing && stream.waiting.is_empty());
        if streams.any(|stream| self.sockets.get::<Socket<'_>>(stream.handle).state() == State::CloseWait) {
            return Some(now);
        }
        let due = self.interface.poll_at(self.time(now), &self.sockets)?;
        let due = self.epoch + Duration::from_micros(u64::try_from(due.total_micros()).unwrap_or(0));
        Some(due.max(now))
    }

    fn time(&self, now: Instant) -> smoltcp::time::Instant {
        let micros = now.saturating_duration_since(self.epoch).as_micros();
        smoltcp::time::Instant::from_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn run(&mut self, now: Instant) {
        let time = self.time(now);
        loop {
            self.push_out();
            self.interface.poll(time, &mut self.wire, &mut self.sockets);
            let before = self.events.len();
            self.accept();
            self.take_in();
            if self.events.len() == before && self.wire.inbound.is_empty() {
                break;
            }
        }
    }

    fn push_out(&mut self) {
        for stream in self.streams.values_mut() {
            let socket = self.sockets.get_mut::<Socket<'_>>(stream.handle);
            while socket.can_send() && !stream.waiting.is_empty() {
                let (head, _) = stream.waiting.as_slices();
                let Ok(sent @ 1..) = socket.send_slice(head) else { break };
                stream.waiting.drain(..sent);
            }
            if stream.is_closing && stream.waiting.is_empty() {
                socket.close();
            }
        }
    }

    /// A listener that somebody connected to is a stream from now on, and another takes its place.
    fn accept(&mut self) {
        for at in 0..self.listeners.len() {
            let Some(&(address, handle)) = self.listeners.get(at) else { continue };
            let socket = self.sockets.get::<Socket<'_>>(handle);
            if socket.state() == State::Listen {
                continue;
            }
            self.last += 1;
            let waiting = VecDeque::new();
            let stream = Stream { handle, accepted: true, is_open: false, is_closing: false, waiting };
            self.streams.insert(StreamId(self.last), stream);
            let mut socket = new_socket();
            if socket.listen(address).is_ok()
                && let Some(listener) = self.listeners.get_mut(at)
            {
                listener.1 = self.sockets.add(socket);
            }
        }
    }

    fn take_in(&mut self) {
        let mut over = Vec::new();
        for (&id, stream) in &mut self.streams {
            let socket = self.sockets.get_mut::<Socket<'_>>(stream.handle);
            if !stream.is_open && socket.may_send() {
                stream.is_open = true;
                if let (Some(local), Some(remote)) = (socket.local_endpoint(), socket.remote_endpoint()) {
                    let [local, remote] =
                        [local, remote].map(|end| SocketAddr::new(end.addr.into(), end.port));
                    self.events.push_back(TcpEvent::Open {
                        stream: id,
                        local,
                        remote,
                        accepted: stream.accepted,
                    });
                }
            }
            let mut bytes = Vec::new();
            while socket.can_recv() {
                let Ok(()) = socket.recv(|some| {
                    bytes.extend_from_slice(some);
                    (some.len(), ())
                }) else {
                    break;
                };
            }
            if !bytes.is_empty() && !stream.is_closing {
                self.events.push_back(TcpEvent::Data(id, bytes));
            }
            if socket.state() == State::CloseWait {
                stream.is_closing = true;
            }
            // One that was reset before it stood listens again, and another does that already.
            if matches!(socket.state(), State::Closed | State::TimeWait | State::CloseWait | State::Listen) {
                over.push(id);
            }
        }
        for id in over {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            let state = self.sockets.get::<Socket<'_>>(stream.handle).state();
            if state == State::CloseWait {
                // Our own end follows at once; the owner is told when that is done.
                continue;
            }
            if let Some(stream) = self.streams.remove(&id) {
                self.sockets.remove(stream.handle);
            }
            self.events.push_back(TcpEvent::Closed(id));
        }
    }
}

fn new_socket() -> Socket<'static> {
    let [received, sent] = [(); 2].map(|()| SocketBuffer::new(vec![0; BUFFER_LEN]));
    let mut socket = Socket::new(received, sent);
    socket.set_nagle_enabled(false);
    socket.set_ack_delay(None);
    socket.set_timeout(Some(smoltcp::time::Duration::from_micros(TIMEOUT.as_micros() as u64)));
    socket
}

/// Packets in and out of the sockets.
#[derive(Default)]
struct Wire {
    inbound: VecDeque<Vec<u8>>,
    outbound: VecDeque<Vec<u8>>,
}

struct Received(Vec<u8>);

struct Sent<'a>(&'a mut VecDeque<Vec<u8>>);

impl RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, take: F) -> R {
        take(&self.0)
    }
}

impl TxToken for Sent<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, fill: F) -> R {
        let mut bytes = vec![0; len];
        let result = fill(&mut bytes);
        self.0.push_back(bytes);
        result
    }
}

impl Device for Wire {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sent<'a>;

    fn receive(&mut self, _: smoltcp::time::Instant) -> Option<(Received, Sent<'_>)> {
        let bytes = self.inbound.pop_front()?;
        Some((Received(bytes), Sent(&mut self.outbound)))
    }

    fn transmit(&mut self, _: smoltcp::time::Instant) -> Option<Sent<'_>> {
        Some(Sent(&mut self.outbound))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ip;
        capabilities.max_transmission_unit = 1_400;
        capabilities
    }
}
