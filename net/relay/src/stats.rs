//! What the threads did, published by each about once a second while it has something to say.

use std::sync::{Arc, Mutex, PoisonError};

/// What happened at the sockets, which the TURN server cannot know.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SocketStats {
    /// Datagrams dropped because a socket's buffer was full.
    pub dropped_full: u64,
    /// Datagrams not sent because they are longer than the path and must not be fragmented.
    pub dropped_too_long: u64,
    /// Datagrams that the system refused to send (no route, for one).
    pub dropped_failed: u64,
    /// Messages for a client or a relayed port that was gone by then.
    pub dropped_gone: u64,
    /// Relayed messages dropped because a TCP or TLS client reads too slowly.
    pub dropped_slow_reader: u64,
    /// TCP and TLS connections open now.
    pub connections: u64,
    /// Relayed ports open now.
    pub relay_ports: u64,
    /// TCP and TLS connections accepted.
    pub accepted: u64,
    /// Connections closed at once because `connections` or `connections_per_address` was reached.
    pub refused_limit: u64,
    /// Connections that could not be accepted for want of resources.
    pub accept_failed: u64,
    /// Connections that the client ended, or that broke.
    pub ended_by_client: u64,
    /// Connections closed because what came was neither STUN nor ChannelData.
    pub ended_malformed: u64,
    /// Connections whose TLS failed.
    pub ended_tls: u64,
    /// Connections closed because too many answers were left unread.
    pub ended_too_slow: u64,
    /// Connections closed by a limit in time.
    pub ended_timed_out: u64,
    /// Connections that the TURN server closed.
    pub ended_by_server: u64,
    /// ICMP errors that came back to relayed ports.
    pub icmp_errors: u64,
    /// Facts that another thread's full inbox did not take.
    pub news_lost: u64,
}

impl SocketStats {
    fn add(&mut self, other: &SocketStats) {
        let SocketStats {
            dropped_full,
            dropped_too_long,
            dropped_failed,
            dropped_gone,
            dropped_slow_reader,
            connections,
            relay_ports,
            accepted,
            refused_limit,
            accept_failed,
            ended_by_client,
            ended_malformed,
            ended_tls,
            ended_too_slow,
            ended_timed_out,
            ended_by_server,
            icmp_errors,
            news_lost,
        } = other;
        self.dropped_full += dropped_full;
        self.dropped_too_long += dropped_too_long;
        self.dropped_failed += dropped_failed;
        self.dropped_gone += dropped_gone;
        self.dropped_slow_reader += dropped_slow_reader;
        self.connections += connections;
        self.relay_ports += relay_ports;
        self.accepted += accepted;
        self.refused_limit += refused_limit;
        self.accept_failed += accept_failed;
        self.ended_by_client += ended_by_client;
        self.ended_malformed += ended_malformed;
        self.ended_tls += ended_tls;
        self.ended_too_slow += ended_too_slow;
        self.ended_timed_out += ended_timed_out;
        self.ended_by_server += ended_by_server;
        self.icmp_errors += icmp_errors;
        self.news_lost += news_lost;
    }
}

/// One thread's counters, or the sum of all threads'.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stats {
    /// What the TURN servers did.
    pub turn: twocan_turn::Stats,
    /// What happened at the sockets.
    pub sockets: SocketStats,
}

/// Where one thread leaves its counters for whoever asks.
#[derive(Debug, Clone, Default)]
pub(crate) struct Board(Arc<Mutex<Stats>>);

impl Board {
    pub(crate) fn publish(&self, turn: &twocan_turn::Stats, sockets: SocketStats) {
        let mut stats = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        stats.turn.clone_from(turn);
        stats.sockets = sockets;
    }

    /// The sum of what stands on `boards`.
    pub(crate) fn sum(boards: &[Board]) -> Stats {
        let mut sum = Stats::default();
        for board in boards {
            let stats = board.0.lock().unwrap_or_else(PoisonError::into_inner);
            sum.turn.add(&stats.turn);
            sum.sockets.add(&stats.sockets);
        }
        sum
    }
}
