//! Gathering: which candidates this side has, from its sockets, from STUN servers and from relays (RFC 8445 5.1.1), each said
//! the moment it is known. Afterwards it is the way through those relays.
//!
//! ```text
//!  add_socket ──► host candidate
//!             ──► Binding to each STUN and TURN server ──► server-reflexive candidate
//!             ──► Allocate to each TURN server over UDP ─┐ the first way that is answered goes on,
//!  OpenStream ◄── TCP and TLS, a moment later ───────────┴► to a relayed candidate with a SocketId of its own
//! ```

mod candidates;
mod config;
mod finish;
mod output;
mod reflexive;
mod relay;
mod servers;
mod stream;
mod url;
mod wrapping;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_ice::{Foundations, LocalCandidate, RelayProtocol, SocketId};

pub use config::{Config, IceServer, TransportPolicy, limits};
pub use output::{CandidateError, Command, Discard, Event, Input, QueryId, Relayed, Transmit};
pub use twocan_turn::client::SendError;
pub use url::{IceUrl, Scheme, UrlError, UrlTransport};

use finish::Progress;
use reflexive::Binding;
use relay::Relay;
use servers::Server;

/// A candidate of ours, and what the other side is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// For ICE.
    pub local: LocalCandidate,
    /// For the other side: `candidate:…`, with what is to be hidden hidden, and without `ufrag`.
    pub text: String,
}

/// A UDP socket of the caller.
#[derive(Clone, Copy, Debug)]
struct Socket {
    id: SocketId,
    local: SocketAddr,
    /// The so-manieth of its family: the first is preferred.
    interface: u16,
}

/// Finds candidates, and carries data through relays.
///
/// Sockets of the caller have ids below [`Gatherer::FIRST_OWN_SOCKET`]; relays, and streams to them, get ids from there on,
/// each used once. Outputs are to be drained after every input and command: commands, then packets, in their order.
pub struct Gatherer {
    policy: TransportPolicy,
    hides_hosts: bool,
    rng: ChaCha20Rng,
    foundations: Foundations,
    next_socket: u32,
    next_number: u32,
    sockets: Vec<Socket>,
    servers: Vec<Server>,
    bindings: Vec<Binding>,
    relays: Vec<Relay>,
    candidates: Vec<Gathered>,
    /// Whom relays shall let in, the latest last.
    peers: VecDeque<IpAddr>,
    /// The mDNS names given out, one an address.
    names: Vec<(IpAddr, String)>,
    progress: Progress,
    /// Whether reflexive addresses are kept alive.
    is_active: bool,
    transmits: VecDeque<Transmit>,
    commands: VecDeque<Command>,
    events: VecDeque<Event>,
    relayed: VecDeque<Relayed>,
}

impl Gatherer {
    /// The first id that the gatherer gives to a relay or a stream.
    pub const FIRST_OWN_SOCKET: SocketId = SocketId(1 << 16);

    /// A gatherer without sockets; names of servers are asked for at once. `seed` draws transaction ids and mDNS names, and
    /// must not be known to anybody.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Gatherer {
        let mut gatherer = Gatherer {
            policy: config.policy,
            hides_hosts: config.hide_host_addresses,
            rng: ChaCha20Rng::from_seed(seed),
            foundations: Foundations::default(),
            next_socket: Self::FIRST_OWN_SOCKET.0,
            next_number: 0,
            sockets: Vec::new(),
            servers: Vec::new(),
            bindings: Vec::new(),
            relays: Vec::new(),
            candidates: Vec::new(),
            peers: VecDeque::new(),
            names: Vec::new(),
            progress: Progress::default(),
            is_active: true,
            transmits: VecDeque::new(),
            commands: VecDeque::new(),
            events: VecDeque::new(),
            relayed: VecDeque::new(),
        };
        gatherer.set_servers(config.servers, now);
        gatherer
    }

    /// A UDP socket bound to one interface address: its candidate, and requests to all servers, go out at once. The sooner a
    /// socket is added, the more its interface is preferred. Beyond [`limits::SOCKETS_MAX`] it is left out.
    pub fn add_socket(&mut self, id: SocketId, local: SocketAddr, now: Instant) {
        let is_full = self.sockets.len() >= limits::SOCKETS_MAX;
        if is_full || self.socket(id).is_some() || self.progress.is_over() {
            return;
        }
        let of_family = self.sockets.iter().filter(|known| known.local.is_ipv4() == local.is_ipv4());
        let interface = u16::try_from(of_family.count()).unwrap_or(u16::MAX);
        let socket = Socket { id, local, interface };
        self.sockets.push(socket);
        self.progress.more(now);
        self.add_host(socket);
        self.ask_servers(now);
    }

    /// The socket is gone, and what was reached through it: [`Event::SocketLost`] follows for each relay. Relays are looked
    /// for through the other sockets.
    pub fn remove_socket(&mut self, id: SocketId, now: Instant) {
        self.sockets.retain(|socket| socket.id != id);
        self.candidates.retain(|gathered| gathered.local.socket != id);
        self.bindings.retain(|binding| binding.socket != id);
        self.end_relays_through(id, now);
        self.ask_servers(now);
    }

    /// No more sockets for now: [`Event::Done`] follows when every server has answered or failed, at the latest after
    /// [`limits::DONE_AFTER`].
    pub fn end_of_sockets(&mut self, now: Instant) {
        self.progress.end_of_sockets(now);
        self.finish(now);
    }

    /// Other servers, or the same with renewed credentials, which allocations take over at once. Allocations of servers that
    /// are no longer there stand until they end.
    pub fn set_servers(&mut self, servers: Vec<IceServer>, now: Instant) {
        if self.progress.is_over() {
            return;
        }
        self.replace_servers(servers, now);
        self.ask_servers(now);
        self.finish(now);
    }

    /// ICE starts anew: reflexive addresses are asked for again, allocations are probed, and servers that gave nothing get
    /// another chance. Candidates that stand are not said again: see [`Gatherer::candidates`].
    pub fn restart(&mut self, now: Instant) {
        self.is_active = true;
        self.progress.more(now);
        self.retry_servers();
        self.ask_bindings_again(now);
        self.probe_relays(now);
        self.ask_servers(now);
        self.finish(now);
    }

    /// Whether ICE still looks for a path: only then reflexive addresses are kept alive.
    pub fn set_active(&mut self, is_active: bool, now: Instant) {
        if is_active && !self.is_active {
            self.ask_bindings_again(now);
        }
        self.is_active = is_active;
    }

    /// All candidates that stand, as [`Event::Candidate`] said them.
    pub fn candidates(&self) -> impl Iterator<Item = &Gathered> {
        self.candidates.iter()
    }

    /// Asks all relays, also those to come, to let these peers in, ahead of the first packet to them. Relays to come know of
    /// the last [`limits::PEERS_MAX`].
    pub fn permit(&mut self, peers: &[IpAddr], now: Instant) {
        self.peers.retain(|known| !peers.contains(known));
        self.peers.extend(peers);
        self.peers.drain(..self.peers.len().saturating_sub(limits::PEERS_MAX));
        for index in 0..self.relays.len() {
            self.with_client(index, now, |client| client.permit(peers, now));
        }
        self.sweep();
    }

    /// One datagram at a UDP socket.
    ///
    /// # Errors
    /// `NotForUs`: it is not from a server that was asked; offer it to ICE.
    pub fn handle_packet<'a>(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &'a [u8],
        now: Instant,
    ) -> Result<Input<'a>, Discard> {
        if let Some(answered) = self.binding_answer(socket, from, bytes, now) {
            return Ok(answered);
        }
        let index = self.relay_at(socket, from).ok_or(Discard::NotForUs)?;
        self.relay_packet(index, bytes, now)
    }

    /// [`Command::OpenStream`] was done.
    pub fn handle_stream_open(&mut self, socket: SocketId, now: Instant) {
        self.stream_open(socket, now);
    }

    /// Bytes of a stream; what peers sent waits in [`Gatherer::poll_relayed`].
    pub fn handle_stream(&mut self, socket: SocketId, bytes: &[u8], now: Instant) {
        self.stream_bytes(socket, bytes, now);
    }

    /// The stream could not be opened, or has ended; not to be said after [`Command::CloseStream`].
    pub fn handle_stream_closed(&mut self, socket: SocketId, now: Instant) {
        self.stream_closed(socket, now);
    }

    /// The answer to [`Command::Resolve`]; empty where there is none.
    pub fn handle_resolved(&mut self, query: QueryId, addresses: &[IpAddr], now: Instant) {
        self.resolved(query, addresses);
        self.ask_servers(now);
        self.finish(now);
    }

    /// Sends a datagram, or a run of datagrams of `segment_size` bytes (the last may be shorter), to a peer through a relay.
    ///
    /// # Errors
    /// This is no relay of ours, or the relay does not take it.
    pub fn send_relayed(
        &mut self,
        relay: SocketId,
        peer: SocketAddr,
        bytes: &[u8],
        segment_size: Option<usize>,
        now: Instant,
    ) -> Result<(), SendError> {
        self.send_through(relay, peer, bytes, segment_size, now)
    }

    /// Whether this id is a relay's, so that packets go through [`Gatherer::send_relayed`].
    pub fn is_relay(&self, socket: SocketId) -> bool {
        self.relays.iter().any(|relay| relay.id == Some(socket))
    }

    /// What this relay is reached by.
    pub fn relay_protocol(&self, socket: SocketId) -> Option<RelayProtocol> {
        let relay = self.relays.iter().find(|relay| relay.id == Some(socket))?;
        Some(match relay.transport {
            twocan_turn::Transport::Udp => RelayProtocol::Udp,
            twocan_turn::Transport::Tcp => RelayProtocol::Tcp,
            twocan_turn::Transport::Tls => RelayProtocol::Tls,
        })
    }

    /// Frees all allocations; [`Event::Closed`] follows, and nothing after it.
    pub fn close(&mut self, now: Instant) {
        self.bindings.clear();
        self.servers.clear();
        self.progress.close();
        self.close_relays(now);
        self.finish(now);
    }

    /// Whatever is due at `now`: see [`Gatherer::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run_bindings(now);
        self.run_relays(now);
        self.finish(now);
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// The next datagram that a peer sent through a stream.
    pub fn poll_relayed(&mut self) -> Option<Relayed> {
        self.relayed.pop_front()
    }

    /// When [`Gatherer::handle_timeout`] is next wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.bindings_timeout(), self.relays_timeout(), self.progress.timeout()].into_iter().flatten().min()
    }

    fn socket(&self, id: SocketId) -> Option<Socket> {
        self.sockets.iter().copied().find(|socket| socket.id == id)
    }

    fn next_socket(&mut self) -> SocketId {
        let id = SocketId(self.next_socket);
        self.next_socket += 1;
        id
    }

    fn next_number(&mut self) -> u32 {
        self.next_number += 1;
        self.next_number
    }

    fn random<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.rng.fill_bytes(&mut bytes);
        bytes
    }
}

impl std::fmt::Debug for Gatherer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Gatherer").field("candidates", &self.candidates.len()).finish_non_exhaustive()
    }
}
