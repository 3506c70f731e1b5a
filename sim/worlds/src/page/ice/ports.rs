//! Gathering: a UDP port for each family, which STUN servers see; a moment later every relay, by UDP, TCP and TLS at once.
//!
//! A page that was not allowed a microphone is not told of interfaces: its sockets are bound to no address, and follow the host's default route from one network
//! into another. A mover's socket is to the other side what a NAT is that has taken another port.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use rand_core::RngCore as _;
use twocan_ice::{Foundations, Kind, LocalCandidate, LocalPreference, Named, RelayProtocol, SocketId};
use twocan_rtc::Protocol;
use twocan_rtc::gather::{IceServer, Scheme, UrlTransport};
use twocan_stun::attribute::XorMappedAddress;
use twocan_stun::client::{Schedule, Transaction};
use twocan_stun::{Builder, Class, Message, Method, TransactionId};
use twocan_turn::client::{Client, Event as RelayEvent};
use twocan_turn::wire::{Frame, frame_len};

use super::{Event, Ice, Output, StreamToken};

/// From a network's UDP port to its relays.
const RELAYS_AFTER: Duration = Duration::from_millis(50);
/// How often a STUN server is asked again, which keeps the NAT's mapping.
const KEEPALIVE: Duration = Duration::from_secs(10);
/// What a candidate error says of a server that is not there.
const UNREACHABLE: u16 = 701;
/// As libwebrtc asks a STUN server: from 250 ms on, for nine and a half seconds.
const ASKING: Schedule =
    Schedule { first_wait: Duration::from_millis(250), requests_max: 6, last_wait_factor: 8 };

/// A question to a STUN server.
struct Binding {
    server: SocketAddr,
    transaction: Transaction,
    /// It is answered, or was given up.
    is_over: bool,
}

/// What a port is.
enum Way {
    Udp { bindings: Vec<Binding>, keepalive_at: Instant },
    Relay(Box<Relay>),
}

/// A port on a relay.
struct Relay {
    client: Client,
    server: SocketAddr,
    protocol: RelayProtocol,
    /// Unless it is reached by the socket of the UDP port.
    stream: Option<StreamToken>,
    received: Vec<u8>,
    is_over: bool,
    candidate: Option<LocalCandidate>,
}

/// Something that is ours to be reached at.
pub(super) struct Port {
    pub id: u32,
    pub generation: usize,
    /// The family and the port on this host.
    pub base: SocketAddr,
    /// Where STUN servers see it.
    pub reflexive: Vec<SocketAddr>,
    /// Their new candidates are not for it.
    pub is_pruned: bool,
    host: Option<LocalCandidate>,
    way: Way,
}

impl Port {
    /// Kind, priority and address of what connections begin at.
    pub fn offers(&self) -> Option<(Kind, u32, SocketAddr)> {
        let candidate = match &self.way {
            Way::Udp { .. } => self.host.as_ref(),
            Way::Relay(relay) => relay.candidate.as_ref(),
        };
        candidate.map(|local| (local.candidate.kind, local.candidate.priority, local.candidate.address))
    }

    pub fn relay_protocol(&self) -> Option<Protocol> {
        match &self.way {
            Way::Udp { .. } => None,
            Way::Relay(relay) => Some(match relay.protocol {
                RelayProtocol::Udp => Protocol::Udp,
                RelayProtocol::Tcp => Protocol::Tcp,
                RelayProtocol::Tls => Protocol::Tls,
            }),
        }
    }

    /// Whether this is the host candidate's address.
    pub fn is_host_at(&self, address: SocketAddr) -> bool {
        self.host.as_ref().is_some_and(|host| host.candidate.address == address)
    }

    fn is_over(&self) -> bool {
        match &self.way {
            Way::Udp { bindings, .. } => bindings.iter().all(|binding| binding.is_over),
            Way::Relay(relay) => relay.is_over,
        }
    }

    fn relay(&mut self) -> Option<&mut Relay> {
        match &mut self.way {
            Way::Relay(relay) => Some(relay),
            Way::Udp { .. } => None,
        }
    }

    fn timeout(&self) -> Option<Instant> {
        match &self.way {
            Way::Udp { bindings, keepalive_at } => {
                let asked = bindings.iter().filter_map(|binding| binding.transaction.poll_timeout());
                asked.chain([*keepalive_at]).min()
            }
            Way::Relay(relay) => relay.client.poll_timeout(),
        }
    }
}

/// Relays of a network that are still to be asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Later {
    at: Instant,
    generation: usize,
    base: SocketAddr,
}

impl Ice {
    pub(super) fn open_ports(&mut self, networks: &[IpAddr], now: Instant) {
        let generation = self.local.len() - 1;
        for is_v4 in [true, false] {
            let Some(own) = networks.iter().copied().find(|ip| ip.is_ipv4() == is_v4) else { continue };
            let base = SocketAddr::new(any(is_v4), self.next_port);
            self.next_port += 1;
            self.later.push(Later { at: now + RELAYS_AFTER, generation, base });
            if !self.relay_only {
                self.open_udp(generation, base, own, now);
            }
        }
        self.say_gathered();
    }

    fn open_udp(&mut self, generation: usize, base: SocketAddr, own: IpAddr, now: Instant) {
        let mut servers: Vec<SocketAddr> = Vec::new();
        for (address, scheme, transport) in self.servers.iter().flat_map(addresses) {
            let answers = scheme == Scheme::Stun || scheme == Scheme::Turn && transport == UrlTransport::Udp;
            if answers && address.is_ipv4() == base.is_ipv4() && !servers.contains(&address) {
                servers.push(address);
            }
        }
        let preference = LocalPreference::of(own, 0);
        let at = SocketAddr::new(own, base.port());
        let host = LocalCandidate::host(&mut Foundations::default(), SocketId(0), at, preference);
        let bindings = servers.into_iter().filter_map(|server| self.binding(server, now)).collect();
        let way = Way::Udp { bindings, keepalive_at: now + KEEPALIVE };
        let id = self.add_port(generation, base, Some(host.clone()), way);
        let named = Named::hiding(&host.candidate, &self.name_of(own)).to_string();
        self.say(generation, named);
        self.flush_bindings(id);
        self.meet(id, now);
    }

    fn add_port(
        &mut self,
        generation: usize,
        base: SocketAddr,
        host: Option<LocalCandidate>,
        way: Way,
    ) -> u32 {
        let id = self.next_id;
        self.next_id += 1;
        let reflexive = Vec::new();
        self.ports.push(Port { id, generation, base, reflexive, is_pruned: false, host, way });
        id
    }

    fn binding(&mut self, server: SocketAddr, now: Instant) -> Option<Binding> {
        let mut id = [0; 12];
        self.random.fill_bytes(&mut id);
        let mut buffer = [0; 40];
        let builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, TransactionId(id)).ok()?;
        let transaction = Transaction::new(builder.fingerprint().ok()?.finish(), ASKING, now).ok()?;
        Some(Binding { server, transaction, is_over: false })
    }

    fn open_relays(&mut self, later: Later, now: Instant) {
        let servers = self.servers.clone();
        for server in &servers {
            for (address, scheme, transport) in addresses(server) {
                let fits = address.is_ipv4() == later.base.is_ipv4();
                if fits && matches!(scheme, Scheme::Turn | Scheme::Turns) {
                    self.open_relay(later, server, (address, scheme, transport), now);
                }
            }
        }
        self.say_gathered();
    }

    fn open_relay(
        &mut self,
        Later { generation, base, .. }: Later,
        server: &IceServer,
        (address, scheme, transport): (SocketAddr, Scheme, UrlTransport),
        now: Instant,
    ) {
        let (protocol, by) = match (scheme, transport) {
            (Scheme::Turns, _) => (RelayProtocol::Tls, twocan_turn::Transport::Tls),
            (_, UrlTransport::Tcp) => (RelayProtocol::Tcp, twocan_turn::Transport::Tcp),
            (_, UrlTransport::Udp) => (RelayProtocol::Udp, twocan_turn::Transport::Udp),
        };
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        let config = twocan_turn::client::Config {
            transport: by,
            ..twocan_turn::client::Config::new(&*server.username, &*server.credential)
        };
        let stream = (protocol != RelayProtocol::Udp).then(|| {
            self.next_stream += 1;
            StreamToken(self.next_stream)
        });
        let relay = Relay {
            client: Client::new(config, seed, now),
            server: address,
            protocol,
            stream,
            received: Vec::new(),
            is_over: false,
            candidate: None,
        };
        let id = self.add_port(generation, base, None, Way::Relay(Box::new(relay)));
        if let Some(stream) = stream {
            self.outputs.push_back(Output::Connect { stream, is_v4: base.is_ipv4(), to: address });
        }
        self.flush_relay(id, now);
    }

    /// All their candidates are tried from a new port.
    fn meet(&mut self, id: u32, now: Instant) {
        let Some(index) = self.ports.iter().position(|port| port.id == id) else { return };
        for (generation, candidate) in self.remote_candidates.clone() {
            let theirs = self.remote[generation].ufrag.clone();
            self.connect(index, &theirs, &candidate, now);
        }
        self.sort(now);
        self.start_pinging(now);
    }

    fn say(&mut self, generation: usize, text: String) {
        if let Some(credentials) = self.local.get(generation) {
            self.events.push_back(Event::Candidate { text, ufrag: credentials.ufrag.clone() });
        }
    }

    fn say_gathered(&mut self) {
        let last = self.local.len().wrapping_sub(1);
        let is_over = self.ports.iter().filter(|port| port.generation == last).all(Port::is_over);
        if is_over && self.later.is_empty() && !self.has_said_gathered && !self.local.is_empty() {
            self.has_said_gathered = true;
            self.events.push_back(Event::Gathered);
        }
    }

    fn name_of(&mut self, address: IpAddr) -> String {
        if let Some((_, name)) = self.names.iter().find(|(known, _)| *known == address) {
            return name.clone();
        }
        let name = format!("{:08x}-{:08x}.local", self.random.next_u32(), self.random.next_u32());
        self.names.push((address, name.clone()));
        name
    }

    /// One datagram at an address of this host.
    pub fn handle_datagram(&mut self, local: SocketAddr, from: SocketAddr, bytes: &[u8], now: Instant) {
        self.now = now;
        let here = |port: &Port| port.base.port() == local.port() && port.base.is_ipv4() == local.is_ipv4();
        if let Some(message) =
            Message::parse(bytes).ok().filter(|message| message.method() == Method::BINDING)
            && let Some(index) = self.ports.iter().position(here)
            && self.binding_answered(index, from, &message, now)
        {
            return;
        }
        let at_relay = self.ports.iter_mut().position(|port| {
            here(port) && port.relay().is_some_and(|relay| relay.stream.is_none() && relay.server == from)
        });
        if let Some(index) = at_relay {
            return self.relay_packet(index, bytes, now);
        }
        let udp = self.ports.iter().find(|port| here(port) && matches!(port.way, Way::Udp { .. }));
        if let Some(id) = udp.map(|port| port.id) {
            self.take(id, from, bytes, now);
        }
    }

    fn binding_answered(
        &mut self,
        index: usize,
        from: SocketAddr,
        message: &Message<'_>,
        now: Instant,
    ) -> bool {
        let port = &mut self.ports[index];
        let Way::Udp { bindings, .. } = &mut port.way else { return false };
        let is_it = |binding: &&mut Binding| {
            binding.server == from && binding.transaction.transaction_id() == message.transaction_id()
        };
        let Some(binding) = bindings.iter_mut().find(is_it) else { return false };
        let _ = binding.transaction.handle_answer(message, now);
        binding.is_over = true;
        let seen = message.get::<XorMappedAddress>().ok().flatten().map(|XorMappedAddress(seen)| seen);
        if let Some(seen) = seen.filter(|seen| !port.reflexive.contains(seen)) {
            port.reflexive.push(seen);
            let preference = LocalPreference::of(port.base.ip(), 0);
            let (foundations, base, generation) = (&mut Foundations::default(), port.base, port.generation);
            let socket = SocketId(0);
            let mut local =
                LocalCandidate::server_reflexive(foundations, socket, seen, base, from.ip(), preference);
            local.candidate.related = None;
            self.say(generation, local.candidate.to_string());
        }
        self.say_gathered();
        true
    }

    fn relay_packet(&mut self, index: usize, bytes: &[u8], now: Instant) {
        let id = self.ports[index].id;
        let Some(relay) = self.ports[index].relay() else { return };
        let data = match relay.client.handle_packet(bytes, now) {
            Ok(Some(data)) => Some((data.peer, data.bytes.to_vec())),
            _ => None,
        };
        self.flush_relay(id, now);
        if let Some((peer, bytes)) = data {
            self.take(id, peer, &bytes, now);
        }
    }

    /// What a relay has to send and to say.
    fn flush_relay(&mut self, id: u32, now: Instant) {
        let Some(port) = self.ports.iter_mut().find(|port| port.id == id) else { return };
        let (generation, base) = (port.generation, port.base);
        let Some(relay) = port.relay() else { return };
        let (mut said, mut is_new, mut is_lost) = (Vec::new(), false, false);
        while let Some(bytes) = relay.client.poll_transmit() {
            said.push(bytes);
        }
        let mut errors = Vec::new();
        while let Some(event) = relay.client.poll_event() {
            match event {
                RelayEvent::Allocated { relayed, mapped } => {
                    let way = (relay.server.ip(), relay.protocol);
                    let preference = LocalPreference::of(relayed.ip(), 0);
                    let (foundations, seen) = (&mut Foundations::default(), mapped.unwrap_or(relayed));
                    let mut local =
                        LocalCandidate::relayed(foundations, SocketId(0), relayed, seen, way, preference);
                    local.candidate.related = None;
                    relay.candidate = Some(local);
                    (relay.is_over, is_new) = (true, true);
                }
                // libwebrtc asks for no other: the port is closed (`TurnPort::Close`).
                RelayEvent::Lost => is_lost = true,
                RelayEvent::Failed(why) => {
                    relay.is_over = true;
                    is_lost |= relay.candidate.is_some();
                    errors.push(why.code().map_or(UNREACHABLE, twocan_stun::ErrorCode::number));
                }
                _ => {}
            }
        }
        let (stream, server) = (relay.stream, relay.server);
        let text = relay.candidate.as_ref().map(|local| local.candidate.to_string());
        for bytes in said {
            self.outputs.push_back(match stream {
                Some(stream) => Output::Stream { stream, bytes },
                None => Output::Datagram { from: base, to: server, bytes },
            });
        }
        for code in errors {
            self.events.push_back(Event::CandidateError { is_turn: true, code });
        }
        if is_lost {
            self.close_port(id, now);
        }
        if let Some(text) = text.filter(|_| is_new) {
            self.say(generation, text);
            self.meet(id, now);
        }
        self.say_gathered();
    }

    /// Bytes of a stream.
    pub fn handle_stream(&mut self, stream: StreamToken, bytes: &[u8], now: Instant) {
        self.now = now;
        let Some(index) = self.relay_by(stream) else { return };
        if let Some(relay) = self.ports[index].relay() {
            relay.received.extend_from_slice(bytes);
        }
        loop {
            let Some(relay) = self.ports[index].relay() else { return };
            let Frame::Len(len) = frame_len(&relay.received) else { return };
            let Some(frame) = relay.received.get(..len).map(<[u8]>::to_vec) else { return };
            relay.received.drain(..len);
            self.relay_packet(index, &frame, now);
        }
    }

    /// A stream could not be opened, or has ended: with it the port.
    pub fn handle_stream_closed(&mut self, stream: StreamToken, now: Instant) {
        self.now = now;
        let Some(index) = self.relay_by(stream) else { return };
        let id = self.ports[index].id;
        let Some(relay) = self.ports[index].relay() else { return };
        if !std::mem::replace(&mut relay.is_over, true) {
            self.events.push_back(Event::CandidateError { is_turn: true, code: UNREACHABLE });
        }
        self.close_port(id, now);
        self.say_gathered();
    }

    fn close_port(&mut self, id: u32, now: Instant) {
        self.ports.retain(|port| port.id != id);
        self.connections.retain(|each| each.port != id);
        if self.selected().is_none() {
            self.selected = None;
        }
        self.sort(now);
    }

    fn relay_by(&mut self, stream: StreamToken) -> Option<usize> {
        let is_it = |port: &mut Port| port.relay().is_some_and(|relay| relay.stream == Some(stream));
        self.ports.iter_mut().position(is_it)
    }

    /// Sends from a port, through its relay if it is one.
    pub(super) fn send_from(&mut self, port: u32, to: SocketAddr, bytes: &[u8], now: Instant) {
        let Some(port) = self.ports.iter_mut().find(|each| each.id == port) else { return };
        let (id, base) = (port.id, port.base);
        let Some(relay) = port.relay() else {
            self.outputs.push_back(Output::Datagram { from: base, to, bytes: bytes.to_vec() });
            return;
        };
        let (mut wrapped, stream, server) = (Vec::new(), relay.stream, relay.server);
        let is_sent = relay.client.send(to, bytes, &mut wrapped, now).is_ok();
        self.flush_relay(id, now);
        if is_sent {
            self.outputs.push_back(match stream {
                Some(stream) => Output::Stream { stream, bytes: wrapped },
                None => Output::Datagram { from: base, to: server, bytes: wrapped },
            });
        }
    }

    /// A relay is to let this address in.
    pub(super) fn permit(&mut self, port: u32, peer: IpAddr, now: Instant) {
        let Some(port) = self.ports.iter_mut().find(|each| each.id == port) else { return };
        let id = port.id;
        if let Some(relay) = port.relay() {
            relay.client.permit(&[peer], now);
            self.flush_relay(id, now);
        }
    }

    fn flush_bindings(&mut self, id: u32) {
        let Some(port) = self.ports.iter_mut().find(|port| port.id == id) else { return };
        let base = port.base;
        let Way::Udp { bindings, .. } = &mut port.way else { return };
        let mut errors = 0;
        for binding in bindings {
            while let Some(bytes) = binding.transaction.poll_transmit() {
                let bytes = bytes.to_vec();
                self.outputs.push_back(Output::Datagram { from: base, to: binding.server, bytes });
            }
            let is_lost =
                matches!(binding.transaction.poll_event(), Some(twocan_stun::client::Event::TimedOut));
            if is_lost && !std::mem::replace(&mut binding.is_over, true) {
                errors += 1;
            }
        }
        for _ in 0..errors {
            self.events.push_back(Event::CandidateError { is_turn: false, code: UNREACHABLE });
        }
    }

    pub(super) fn run_ports(&mut self, now: Instant) {
        let (due, rest): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.later).into_iter().partition(|later| later.at <= now);
        self.later = rest;
        for later in due {
            self.open_relays(later, now);
        }
        let due: Vec<u32> = self
            .ports
            .iter()
            .filter(|port| port.timeout().is_some_and(|at| at <= now))
            .map(|port| port.id)
            .collect();
        for id in due {
            self.run_port(id, now);
        }
    }

    fn run_port(&mut self, id: u32, now: Instant) {
        let Some(index) = self.ports.iter().position(|port| port.id == id) else { return };
        if let Some(relay) = self.ports[index].relay() {
            relay.client.handle_timeout(now);
            return self.flush_relay(id, now);
        }
        let mut again = None;
        if let Way::Udp { bindings, keepalive_at } = &mut self.ports[index].way {
            for binding in bindings.iter_mut() {
                binding.transaction.handle_timeout(now);
            }
            if *keepalive_at <= now {
                *keepalive_at = now + KEEPALIVE;
                again = bindings.first().map(|binding| binding.server);
            }
        }
        self.flush_bindings(id);
        if let Some(server) = again
            && let Some(mut binding) = self.binding(server, now)
            && let Some(bytes) = binding.transaction.poll_transmit()
        {
            let (from, bytes) = (self.ports[index].base, bytes.to_vec());
            self.outputs.push_back(Output::Datagram { from, to: server, bytes });
        }
        self.say_gathered();
    }

    pub(super) fn ports_timeout(&self) -> Option<Instant> {
        let ports = self.ports.iter().filter_map(Port::timeout);
        ports.chain(self.later.iter().map(|later| later.at)).min()
    }

    /// All allocations are freed.
    pub fn close(&mut self, now: Instant) {
        for id in self.ports.iter().map(|port| port.id).collect::<Vec<_>>() {
            let Some(port) = self.ports.iter_mut().find(|port| port.id == id) else { continue };
            if let Some(relay) = port.relay() {
                relay.client.close(now);
                self.flush_relay(id, now);
            }
        }
        self.ports.clear();
        self.connections.clear();
        (self.selected, self.tick_at, self.switch_at) = (None, None, None);
        self.later.clear();
    }
}

/// No address of this family in particular.
fn any(is_v4: bool) -> IpAddr {
    if is_v4 { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() }
}

/// The servers that have an address for a name, as all of a world do.
fn addresses(server: &IceServer) -> impl Iterator<Item = (SocketAddr, Scheme, UrlTransport)> + '_ {
    server
        .urls
        .iter()
        .filter_map(|url| Some((SocketAddr::new(url.address()?, url.port), url.scheme, url.transport)))
}
