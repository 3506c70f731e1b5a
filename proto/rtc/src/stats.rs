//! Figures of one connection, and the names under which bad input is counted.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use crate::event::PathInfo;
use crate::transport::ChannelId;
use crate::{gather, transport};

/// A packet that did nothing, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Discard {
    /// From a socket that was never added, or was removed.
    #[error("no such socket")]
    UnknownSocket,
    /// The first byte belongs to no protocol of ours (RFC 7983).
    #[error("no protocol of ours")]
    UnknownProtocol,
    /// No application byte comes from an address that has not answered a check.
    #[error("the address has answered no check")]
    NotValidated,
    /// A DTLS datagram came before its pair was validated, and [`limits`](crate::limits) were reached.
    #[error("too many early datagrams")]
    TooEarly,
    /// Only relays may be used (`policy`), and this came past them.
    #[error("past the relay")]
    PastRelay,
    /// The connection is closed.
    #[error("the connection is closed")]
    Closed,
    /// ICE's own word.
    #[error(transparent)]
    Ice(#[from] twocan_ice::Discard),
    /// Gathering's own word.
    #[error(transparent)]
    Gather(#[from] gather::Discard),
    /// The transport's own word.
    #[error(transparent)]
    Transport(#[from] transport::Discard),
}

/// Figures of one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelStats {
    /// Of this channel.
    pub id: ChannelId,
    /// Messages given to `send`.
    pub messages_sent: u64,
    /// Bytes of them.
    pub bytes_sent: u64,
    /// Messages that arrived whole.
    pub messages_received: u64,
    /// Bytes of them.
    pub bytes_received: u64,
    /// Bytes that wait to be sent.
    pub buffered_amount: usize,
}

/// Figures of one connection, since it was made.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Stats {
    /// The way that data goes.
    pub path: Option<PathInfo>,
    /// Since when data goes by the pair of addresses that is in use.
    pub path_since: Option<Instant>,
    /// The round-trip time by the last check.
    pub rtt: Option<Duration>,
    /// From the first signal to the first time that data could flow.
    pub connect_time: Option<Duration>,
    /// Bytes of DTLS datagrams sent.
    pub bytes_sent: u64,
    /// Bytes of DTLS datagrams taken.
    pub bytes_received: u64,
    /// DTLS datagrams sent.
    pub packets_sent: u64,
    /// DTLS datagrams taken.
    pub packets_received: u64,
    /// ICE restarts, by either side.
    pub restarts: u32,
    /// Changes of the path.
    pub path_changes: u32,
    /// The other side has acknowledged all that was sent on any channel.
    pub is_flushed: bool,
    /// Each channel that is not gone.
    pub channels: Vec<ChannelStats>,
    /// Packets that did nothing, by name.
    pub discards: BTreeMap<Discard, u64>,
}
