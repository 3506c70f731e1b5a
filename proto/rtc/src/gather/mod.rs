//! Gathering: which candidates this side has, from its sockets, from STUN servers and from relays (RFC 8445 5.1.1), each said
//! the moment it is known. Afterwards it is the way through those relays.
//!
//! ```text
//!  add_socket ──► host candidate
//!             ──► Binding to each STUN and TURN server ──► server-reflexive candidate
//!             ──► Allocate to each TURN server over UDP ─┐ the first way that is answered goes on
//!  OpenStream ◄── TCP and TLS, a moment later ───────────┴► relayed candidate, which has a SocketId of its own
//! ```

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use twocan_ice::{LocalCandidate, SocketId};

mod config;
mod output;
mod url;

pub use config::{Config, IceServer, TransportPolicy, limits};
pub use output::{CandidateError, Command, Discard, Event, Input, QueryId, Relayed, Transmit};
pub use twocan_turn::client::SendError;
pub use url::{IceUrl, Scheme, UrlError, UrlTransport};

/// Finds candidates, and carries data through relays.
///
/// Sockets of the caller have ids below [`Gatherer::FIRST_OWN_SOCKET`]; relays, and streams to them, get ids from there on,
/// each used once. Outputs are to be drained after every input: commands, then packets in their order.
#[derive(Debug)]
pub struct Gatherer {}

impl Gatherer {
    /// The first id that the gatherer gives to a relay or a stream.
    pub const FIRST_OWN_SOCKET: SocketId = SocketId(1 << 16);

    /// A gatherer without sockets. `seed` draws transaction ids and names, and must not be known to anybody.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Gatherer {
        let _ = (config, seed, now);
        Gatherer {}
    }
    /// A UDP socket bound to one interface address: its candidate, and requests to all servers, go out at once. The sooner a
    /// socket is added, the more its interface is preferred.
    pub fn add_socket(&mut self, socket: SocketId, local: SocketAddr, now: Instant) {
        let _ = (socket, local, now);
    }
    /// The socket is gone, and what was reached through it: [`Event::SocketLost`] follows for each relay.
    pub fn remove_socket(&mut self, socket: SocketId, now: Instant) {
        let _ = (socket, now);
    }
    /// No more sockets for now: [`Event::Done`] follows when every server has answered or failed.
    pub fn end_of_sockets(&mut self, now: Instant) {
        let _ = now;
    }
    /// Renewed or other servers.
    pub fn set_servers(&mut self, servers: Vec<IceServer>, now: Instant) {
        let _ = (servers, now);
    }
    /// ICE starts anew: reflexive addresses are asked for again and allocations probed; what is new is said.
    pub fn restart(&mut self, now: Instant) {
        let _ = now;
    }
    /// Whether ICE still looks for a path: only then reflexive addresses are kept alive.
    pub fn set_active(&mut self, is_active: bool, now: Instant) {
        let _ = (is_active, now);
    }
    /// All candidates that stand, as [`Event::Candidate`] said them.
    pub fn candidates(&self) -> impl Iterator<Item = &Gathered> {
        std::iter::empty()
    }
    /// Asks all relays to let these peers in, ahead of the first packet to them.
    pub fn permit(&mut self, peers: &[IpAddr], now: Instant) {
        let _ = (peers, now);
    }
    /// One datagram from a server, at a UDP socket.
    ///
    /// # Errors
    /// It is not from a server of ours: offer it to ICE.
    pub fn handle_packet<'a>(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &'a [u8],
        now: Instant,
    ) -> Result<Input<'a>, Discard> {
        let _ = (socket, from, bytes, now);
        Err(Discard::NotForUs)
    }
    /// [`Command::OpenStream`] was done.
    pub fn handle_stream_open(&mut self, socket: SocketId, now: Instant) {
        let _ = (socket, now);
    }
    /// Bytes of a stream; what peers sent waits in [`Gatherer::poll_relayed`].
    pub fn handle_stream(&mut self, socket: SocketId, bytes: &[u8], now: Instant) {
        let _ = (socket, bytes, now);
    }
    /// The stream could not be opened, or has ended.
    pub fn handle_stream_closed(&mut self, socket: SocketId, now: Instant) {
        let _ = (socket, now);
    }
    /// The answer to [`Command::Resolve`]; empty where there is none.
    pub fn handle_resolved(&mut self, query: QueryId, addresses: &[IpAddr], now: Instant) {
        let _ = (query, addresses, now);
    }
    /// Sends a datagram, or a run of datagrams of `segment_size` bytes each (the last may be shorter), to a peer through a relay.
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
        let _ = (relay, peer, bytes, segment_size, now);
        Err(SendError::NotAllocated)
    }
    /// Whether this id is one of our relays, so that packets go through [`Gatherer::send_relayed`].
    pub fn is_relay(&self, socket: SocketId) -> bool {
        socket >= Self::FIRST_OWN_SOCKET
    }
    /// Frees all allocations; [`Event::Closed`] follows.
    pub fn close(&mut self, now: Instant) {
        let _ = now;
    }
    /// Whatever is due at `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }
    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        None
    }
    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        None
    }
    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        None
    }
    /// The next datagram that a peer sent through a stream.
    pub fn poll_relayed(&mut self) -> Option<Relayed> {
        None
    }
    /// When [`Gatherer::handle_timeout`] is next wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}

/// A candidate of ours, and what the other side is told of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gathered {
    /// For ICE.
    pub local: LocalCandidate,
    /// For the other side: `candidate:…`, with what is to be hidden hidden. Without `ufrag`. `None`: it is not told, being
    /// withheld by the policy.
    pub text: String,
}
