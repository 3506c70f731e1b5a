//! The server: five doors and what stands behind them.

pub(crate) mod output;

use std::time::Instant;

use crate::address::{ClientAddr, Icmp, PeerAddr, RelayPort};
use crate::config::{Config, ConfigError};
use crate::news::News;
use crate::stats::Stats;
use output::{Command, Event, Output, PortError, Transmit};

/// A TURN and STUN server, one to a thread.
///
/// Inputs: `handle_*`. Outputs: `poll_*`, to be drained after every batch of inputs: events, then commands, then packets.
pub struct Server {
    stats: Stats,
    output: Output,
}

impl Server {
    /// A server without allocations. `seed` draws ports and tokens, and must not be known to anybody.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Result<Server, ConfigError> {
        let _ = (config, seed, now);
        Ok(Server { stats: Stats::default(), output: Output::default() })
    }

    /// One STUN message or ChannelData from a client; a stream is cut by [`crate::wire::frame_len`].
    pub fn handle_client(&mut self, packet: &[u8], from: ClientAddr, now: Instant) {
        let _ = (packet, from, now);
    }

    /// The client's TCP or TLS connection ended: so does its allocation.
    pub fn handle_client_closed(&mut self, from: ClientAddr, now: Instant) {
        let _ = (from, now);
    }

    /// One datagram from a peer at a relayed port.
    pub fn handle_peer(&mut self, packet: &[u8], from: PeerAddr, to: RelayPort, now: Instant) {
        let _ = (packet, from, to, now);
    }

    /// An ICMP error about a packet that `port` sent to `peer`.
    pub fn handle_icmp(&mut self, error: Icmp, peer: PeerAddr, port: RelayPort, now: Instant) {
        let _ = (error, peer, port, now);
    }

    /// The answer to [`Command::OpenPort`].
    pub fn handle_port_opened(&mut self, port: RelayPort, opened: Result<(), PortError>, now: Instant) {
        let _ = (port, opened, now);
    }

    /// What another thread's server, or the lobby, has told.
    pub fn handle_news(&mut self, news: &News, now: Instant) {
        let _ = (news, now);
    }

    /// No new allocations from now on (508); those that are there live on.
    pub fn handle_drain(&mut self, now: Instant) {
        let _ = now;
    }

    /// Whatever is due at `now`: see [`Server::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        self.output.poll_transmit()
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.output.commands.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.output.events.pop_front()
    }

    /// When [`Server::handle_timeout`] is next wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }

    /// Counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }
}
