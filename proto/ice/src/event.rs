//! What comes out of an agent: packets, wishes, news.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use twocan_stun::AttributeType;

use crate::{Kind, Role, SocketId, Transport, Verdict};

/// How far the agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// Nothing to check yet.
    New,
    /// Pairs are checked, none is usable yet.
    Checking,
    /// A pair is usable; a better one may come.
    Connected,
    /// The nominated pair is in use, and nothing is left to check.
    Completed,
    /// The selected pair is silent, for the moment.
    Disconnected,
    /// No pair is usable, and none will be without a restart.
    Failed,
    /// The caller closed the agent.
    Closed,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::New => "new",
            State::Checking => "checking",
            State::Connected => "connected",
            State::Completed => "completed",
            State::Disconnected => "disconnected",
            State::Failed => "failed",
            State::Closed => "closed",
        })
    }
}

/// A datagram, or on a stream a message to be framed, to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// The way out.
    pub socket: SocketId,
    /// Where to.
    pub to: SocketAddr,
    /// One whole STUN message.
    pub bytes: Vec<u8>,
    /// Routers that it may pass (IPv4 time to live, RFC 791 section 3.2); `None`: as many as the system's packets do.
    pub ttl: Option<u8>,
}

/// What the caller is to do besides sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command {
    /// Open a TCP connection from the address of that active candidate; [`crate::Agent::handle_stream_open`] or
    /// [`crate::Agent::handle_stream_closed`] answers.
    OpenStream {
        /// The socket of the active candidate.
        socket: SocketId,
        /// The passive candidate of the other side.
        to: SocketAddr,
    },
    /// Close a TCP connection that is no longer of use.
    CloseStream {
        /// The socket of the local candidate.
        socket: SocketId,
        /// The other end.
        to: SocketAddr,
    },
}

/// The pair in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected {
    /// The way out.
    pub socket: SocketId,
    /// Where to.
    pub remote: SocketAddr,
    /// What the other side sees us as.
    pub local_kind: Kind,
    /// What the other side is.
    pub remote_kind: Kind,
    /// UDP or TCP.
    pub transport: Transport,
    /// The round trip, smoothed.
    pub rtt: Option<Duration>,
    /// Whether both sides have agreed on this pair.
    pub nominated: bool,
}

impl Selected {
    /// Whether a relay is in between, as far as we know.
    pub fn is_relayed(&self) -> bool {
        self.local_kind == Kind::Relayed || self.remote_kind == Kind::Relayed
    }
}

/// News.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The state changed.
    StateChanged(State),
    /// This pair is to be used from now on: the first usable one at once, another one whenever it is better, the same one
    /// again when it is nominated.
    Selected(Selected),
    /// No pair is usable, and none will be without a restart; the reason.
    Failed(Verdict),
    /// Both sides had the same role; now ours is this one.
    RoleChanged(Role),
    /// An authentic message carried bytes in an attribute that [`crate::Agent::embed`] or [`crate::Agent::hear`] opened.
    Embedded {
        /// The attribute.
        kind: AttributeType,
        /// Its value.
        bytes: Vec<u8>,
    },
}
