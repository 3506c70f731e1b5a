//! What a connection says and asks: events, commands, datagrams.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use twocan_ice::{Kind, RelayProtocol, SocketId, Verdict};

use crate::signal::Signal;
use crate::transport::{ChannelId, ChannelInit, CloseReason, Payload};

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// To be carried to the other side, in this order.
    Signal(Signal),
    /// W3C's `connectionState`.
    StateChanged(ConnectionState),
    /// Data goes this way from now on.
    Path(PathInfo),
    /// A channel of ours may be sent on, or the other side opened one.
    ChannelOpen {
        /// Its handle.
        id: ChannelId,
        /// What it is.
        init: ChannelInit,
    },
    /// A whole message.
    Message {
        /// On this channel.
        id: ChannelId,
        /// What the bytes are.
        kind: Payload,
        /// Empty messages are empty here.
        bytes: Bytes,
    },
    /// `buffered_amount` fell to the threshold.
    BufferedAmountLow {
        /// Of this channel.
        id: ChannelId,
    },
    /// This channel is gone.
    ChannelClosed {
        /// Its handle; it will not be used again.
        id: ChannelId,
    },
    /// A STUN or TURN server did not do what was asked (W3C `icecandidateerror`).
    CandidateError {
        /// As configured.
        url: String,
        /// A STUN error code, or 701: no answer.
        code: u16,
        /// In the server's words, or ours.
        text: String,
    },
    /// No way was found, or found again, in time. Unless [`Event::Closed`] follows it can be tried again: by
    /// [`restart_ice`](crate::Connection::restart_ice), or an offer of the other side.
    Failed {
        /// The word of docs/protocol.md §1.7.
        reason: FailReason,
        /// What ICE saw, where it came to a verdict.
        verdict: Option<Verdict>,
    },
    /// It is over; nothing follows.
    Closed {
        /// Why.
        why: CloseReason,
    },
}

/// W3C `RTCPeerConnectionState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ConnectionState {
    /// Nothing was negotiated yet.
    New,
    /// A way is sought, or secured.
    Connecting,
    /// Data flows.
    Connected,
    /// The way is lost, and mended if possible; channels wait.
    Disconnected,
    /// No way was found in time.
    Failed,
    /// Over.
    Closed,
}

impl fmt::Display for ConnectionState {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ConnectionState::New => "new",
            ConnectionState::Connecting => "connecting",
            ConnectionState::Connected => "connected",
            ConnectionState::Disconnected => "disconnected",
            ConnectionState::Failed => "failed",
            ConnectionState::Closed => "closed",
        })
    }
}

/// Whether a relay stands in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Path {
    /// No.
    Direct,
    /// Ours, the other side's, or both.
    Relayed,
}

impl fmt::Display for Path {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(if *self == Path::Direct { "direct" } else { "relayed" })
    }
}

/// What packets travel in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Datagrams.
    Udp,
    /// A stream.
    Tcp,
    /// A stream inside TLS: to a relay only.
    Tls,
}

impl fmt::Display for Protocol {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Protocol::Udp => "udp",
            Protocol::Tcp => "tcp",
            Protocol::Tls => "tls",
        })
    }
}

impl From<RelayProtocol> for Protocol {
    fn from(protocol: RelayProtocol) -> Protocol {
        match protocol {
            RelayProtocol::Udp => Protocol::Udp,
            RelayProtocol::Tcp => Protocol::Tcp,
            RelayProtocol::Tls => Protocol::Tls,
        }
    }
}

/// The way that data goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathInfo {
    /// Whether a relay stands in between.
    pub path: Path,
    /// Our candidate.
    pub local: Kind,
    /// The other side's.
    pub remote: Kind,
    /// Between the two candidates.
    pub protocol: Protocol,
    /// Between us and our relay, where our candidate is a relayed one.
    pub relay_protocol: Option<Protocol>,
    /// As last measured by a check.
    pub rtt: Option<Duration>,
}

/// Why a connection failed, in the words of docs/protocol.md §1.7 and of the SDK. `PeerLeft` is for callers that learn it elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum FailReason {
    /// Nothing was gathered.
    #[error("This device found no address.")]
    NoCandidates,
    /// The other side sent none.
    #[error("The other side sent no address.")]
    NoRemoteCandidates,
    /// The relay refused the credentials, and nothing else worked.
    #[error("No direct way was found, and the relay refused us.")]
    TurnRejected,
    /// The relay did not answer, and nothing else worked.
    #[error("No direct way was found, and the relay is out of reach.")]
    TurnUnreachable,
    /// Every pair was tried.
    #[error("Every way was tried, none worked.")]
    ChecksFailed,
    /// Not all was tried in the time there was.
    #[error("No way was found in time.")]
    Timeout,
    /// A way was found, and the handshake on it failed, or did not end in time.
    #[error("A way was found, but not secured.")]
    DtlsFailed,
    /// The other side said that it leaves.
    #[error("The other side left.")]
    PeerLeft,
    /// Signals could not be sent when it failed: see [`handle_signaling`](crate::Connection::handle_signaling).
    #[error("The server was lost.")]
    SignalingLost,
    /// A description could not be applied.
    #[error("The two sides do not fit.")]
    Incompatible,
}

impl FailReason {
    /// The word for programs.
    pub fn word(self) -> &'static str {
        match self {
            FailReason::NoCandidates => "no-candidates",
            FailReason::NoRemoteCandidates => "no-remote-candidates",
            FailReason::TurnRejected => "turn-rejected",
            FailReason::TurnUnreachable => "turn-unreachable",
            FailReason::ChecksFailed => "checks-failed",
            FailReason::Timeout => "timeout",
            FailReason::DtlsFailed => "dtls-failed",
            FailReason::PeerLeft => "peer-left",
            FailReason::SignalingLost => "signaling-lost",
            FailReason::Incompatible => "incompatible",
        }
    }
}

/// A question that [`Command::Resolve`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u32);

/// What a connection asks for other than sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Connect a TCP stream, and say [`handle_stream_open`](crate::Connection::handle_stream_open) or
    /// [`handle_stream_closed`](crate::Connection::handle_stream_closed).
    OpenStream {
        /// By this name from now on.
        socket: SocketId,
        /// To here.
        to: SocketAddr,
        /// TLS inside, for this server name.
        tls: Option<String>,
        /// From this address, where it matters.
        from: Option<IpAddr>,
    },
    /// Close this stream.
    CloseSocket(SocketId),
    /// Look a name up (`….local` by mDNS, RFC 6762), and say [`handle_resolved`](crate::Connection::handle_resolved), with nothing where it is unknown.
    Resolve {
        /// The question.
        query: QueryId,
        /// The name.
        name: String,
    },
    /// Answer mDNS questions for this name as long as the connection lives.
    Announce {
        /// `….local`
        name: String,
        /// What it stands for.
        ip: IpAddr,
    },
}

/// Bytes to send. On a stream they are to be written whole, in this order, and `to` means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// From this socket.
    pub socket: SocketId,
    /// To here.
    pub to: SocketAddr,
    /// One datagram, or several.
    pub bytes: Vec<u8>,
    /// `Some(size)`: several datagrams one after another, each of `size` bytes but the last, which may be shorter (GSO).
    pub segment_size: Option<usize>,
    /// Routers that it may pass (IPv4 time to live); `None`: as many as the system's packets do.
    pub ttl: Option<u8>,
}
