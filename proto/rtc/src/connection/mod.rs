//! The connection: its doors, and what stands behind them, by the direction of data.
//!
//! `inbound` takes packets apart and `outbound` puts them together; `negotiation` is who may describe what and when, `candidates` what is
//! known of either side, `settle` carries what one part says to the others; `lifecycle` is time: coming up, mending, failing.

mod candidates;
mod channels;
mod describe;
mod direct;
mod early;
mod hosts;
mod inbound;
mod lifecycle;
mod negotiation;
mod outbound;
mod output;
mod settle;
mod sockets;
mod streams;
mod verdict;

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_ice::{Agent, Selected, SocketId};

use crate::config::Config;
use crate::event::{Command, ConnectionState, Event, QueryId, Transmit};
use crate::gather::{self, Gatherer, IceServer};
use crate::signal::{Signal, SignalError};
use crate::stats::{Discard, Stats};
use crate::transport::{self, ChannelId, Transport};
use candidates::{LocalCandidates, RemoteCandidates};
use channels::Counts;
use direct::DirectSearch;
use early::EarlyDatagrams;
use hosts::Hosts;
use lifecycle::Lifecycle;
use negotiation::Negotiation;
use output::Output;
use sockets::Sockets;
use streams::Streams;

/// One WebRTC connection with data channels. See the [crate](crate) for the loop that runs it.
///
/// - *Getters*: [`state`](Self::state), [`stats`](Self::stats), [`report`](Self::report), [`buffered_amount`](Self::buffered_amount), …
/// - *Inputs*: `handle_*`. After any of them, and after any command, drain the outputs.
/// - *Commands*: [`add_socket`](Self::add_socket), [`negotiate`](Self::negotiate), [`open_channel`](Self::open_channel), [`send`](Self::send), [`close`](Self::close), …
/// - *Outputs*: `poll_*`. They only pop, and cannot fail. [`poll_timeout`](Self::poll_timeout) says when [`handle_timeout`](Self::handle_timeout) is due.
pub struct Connection {
    config: Config,
    rng: ChaCha20Rng,
    now: Instant,
    sockets: Sockets,
    streams: Streams,
    gatherer: Gatherer,
    negotiation: Negotiation,
    local: LocalCandidates,
    remote: RemoteCandidates,
    hosts: Hosts,
    /// Made when the role is known: by our first offer, or theirs.
    agent: Option<Agent>,
    early: EarlyDatagrams,
    transport: Transport,
    is_started: bool,
    selected: Option<Selected>,
    direct_search: DirectSearch,
    lifecycle: Lifecycle,
    stats: Stats,
    counts: BTreeMap<ChannelId, Counts>,
    output: Output,
}

impl Connection {
    /// A connection that does nothing yet. `seed` draws everything that is random but DTLS's own keys, and must not be known to anybody.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Connection {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let mut draw = || {
            let mut seed = [0; 32];
            rng.fill_bytes(&mut seed);
            seed
        };
        let gathering = gather::Config {
            servers: config.servers.clone(),
            policy: config.policy,
            hide_host_addresses: config.hide_host_addresses,
        };
        let securing = transport::Config {
            versions: config.versions,
            ..transport::Config::new(config.certificate.clone())
        };
        Connection {
            gatherer: Gatherer::new(gathering, draw(), now),
            transport: Transport::new(securing, draw(), now),
            negotiation: Negotiation::new(config.polite, draw()),
            rng,
            now,
            sockets: Sockets::default(),
            streams: Streams::new(),
            local: LocalCandidates::default(),
            remote: RemoteCandidates::default(),
            hosts: Hosts::default(),
            agent: None,
            early: EarlyDatagrams::default(),
            is_started: false,
            selected: None,
            direct_search: DirectSearch::default(),
            lifecycle: Lifecycle::new(&config),
            stats: Stats::default(),
            counts: BTreeMap::new(),
            output: Output::default(),
            config,
        }
    }

    /// W3C's `connectionState`.
    pub fn state(&self) -> ConnectionState {
        self.lifecycle.state()
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        self.figures()
    }

    /// What ICE tried, pair by pair; `None` before anything was negotiated.
    pub fn report(&self) -> Option<twocan_ice::Report> {
        self.agent.as_ref().map(Agent::report)
    }

    /// One datagram from `from` at a socket of ours.
    ///
    /// # Errors
    /// It did nothing; also counted in [`stats`](Self::stats).
    pub fn handle_datagram(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        self.now = now;
        let taken = self.datagram(socket, from, bytes, now);
        self.counted(taken)
    }

    /// A stream that [`Command::OpenStream`] asked for is open.
    pub fn handle_stream_open(
        &mut self,
        socket: SocketId,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) {
        self.now = now;
        let _ = (local, remote);
        self.stream_open(socket, now);
        self.settle(now);
    }

    /// Bytes from a stream, cut anyhow.
    ///
    /// # Errors
    /// Something in them did nothing; also counted in [`stats`](Self::stats).
    pub fn handle_stream(&mut self, socket: SocketId, bytes: &[u8], now: Instant) -> Result<(), Discard> {
        self.now = now;
        let taken = self.stream_bytes(socket, bytes, now);
        self.settle(now);
        self.counted(taken)
    }

    /// A stream could not be opened, or is closed.
    pub fn handle_stream_closed(&mut self, socket: SocketId, now: Instant) {
        self.now = now;
        self.stream_closed(socket, now);
        self.settle(now);
    }

    /// The answer to [`Command::Resolve`]; no address: the name is unknown.
    pub fn handle_resolved(&mut self, query: QueryId, addresses: &[IpAddr], now: Instant) {
        self.now = now;
        self.resolved(query, addresses, now);
        self.settle(now);
    }

    /// A signal from the other side. Signals are taken in the order in which they were sent.
    ///
    /// # Errors
    /// It was not taken. A side whose offer does not yield refuses offers that cross it ([`SignalError::WrongState`]): that is no fault.
    pub fn handle_signal(&mut self, signal: Signal, now: Instant) -> Result<(), SignalError> {
        self.now = now;
        let taken = self.signal(signal, now);
        self.settle(now);
        taken
    }

    /// Whether signals reach the other side at this moment. Where they do not, a connection that fails says so
    /// ([`FailReason::SignalingLost`](crate::FailReason::SignalingLost)). At first they do.
    pub fn handle_signaling(&mut self, is_up: bool) {
        self.lifecycle.signaling(is_up);
    }

    /// Whatever is due at `now`: see [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.run_timers(now);
        self.settle(now);
    }

    /// A UDP socket of ours, one for each address of an interface. Where the other side was told that no more candidates follow, ICE
    /// is restarted. Whoever has other addresses than before removes first what is gone: who knows that its path is dead goes about
    /// it in another way.
    pub fn add_socket(&mut self, local: SocketAddr, now: Instant) -> SocketId {
        self.now = now;
        let socket = self.new_socket(local, now);
        self.settle(now);
        socket
    }

    /// This socket is gone, by its interface or by our doing. Where the data went this way, another is sought at once.
    pub fn remove_socket(&mut self, socket: SocketId, now: Instant) {
        self.now = now;
        self.lose_socket(socket, now);
        self.settle(now);
    }

    /// Servers to be asked from now on, such as come with new credentials.
    pub fn set_servers(&mut self, servers: Vec<IceServer>, now: Instant) {
        self.now = now;
        self.gatherer.set_servers(servers, now);
        self.settle(now);
    }

    /// How long a packet and its answer take, as far as known before any was sent: the first retransmissions follow it.
    pub fn set_rtt_hint(&mut self, rtt: Duration) {
        self.negotiation.rtt_hint = Some(rtt);
        if let Some(agent) = &mut self.agent {
            agent.set_rtt_hint(rtt);
        }
    }

    /// Makes the first offer, unless the other side's was answered already. Later ones come by themselves.
    pub fn negotiate(&mut self, now: Instant) {
        self.now = now;
        self.want_offer(now);
        self.settle(now);
    }

    /// Restarts ICE (RFC 8445 9): a new offer goes out as soon as that is possible. Data flows on over the old path until there is a new
    /// one. An offer that waits for its answer is made again, with the credentials that it has: it may have gone where nobody was, or its
    /// answer may have, and whoever has begun to try them goes on.
    pub fn restart_ice(&mut self, now: Instant) {
        self.now = now;
        self.restart(now);
        if self.negotiation.is_wanted {
            self.negotiation.is_repeated = self.negotiation.offered.take().is_some();
        }
        self.settle(now);
    }

    /// Ends the connection in good order; drain the outputs until [`Event::Closed`].
    pub fn close(&mut self, now: Instant) {
        self.now = now;
        self.begin_close(now);
        self.settle(now);
    }

    /// The next bytes to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.next_transmit()
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.output.commands.pop_front()
    }

    /// The next thing that happened. Messages that are not fetched hold the other side back.
    pub fn poll_event(&mut self) -> Option<Event> {
        if let Some(event) = self.output.next_event() {
            return Some(event);
        }
        self.take_transport_events(self.now);
        self.output.next_event()
    }

    /// The next signal, state, path or failure, past the messages that wait before it: for an owner who has no room for messages now, so that
    /// the connection can be mended meanwhile.
    pub fn poll_news(&mut self) -> Option<Event> {
        self.output.next_news()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timeout()
    }

    fn seed(&mut self) -> [u8; 32] {
        let mut seed = [0; 32];
        self.rng.fill_bytes(&mut seed);
        seed
    }

    fn counted(&mut self, taken: Result<(), Discard>) -> Result<(), Discard> {
        if let Err(why) = taken {
            *self.stats.discards.entry(why).or_default() += 1;
        }
        taken
    }
}
