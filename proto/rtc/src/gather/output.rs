//! What a gatherer says, asks for and sends.

use std::net::{IpAddr, SocketAddr};

use twocan_ice::SocketId;

use super::Gathered;

/// A question that [`Command::Resolve`] asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueryId(pub u32);

/// A packet to send, or bytes to write into a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// Through which socket or stream.
    pub socket: SocketId,
    /// To whom; for a stream, whom it leads to.
    pub to: SocketAddr,
    /// The packet; or a run of packets.
    pub bytes: Vec<u8>,
    /// The size of each packet of a run but the last, which may be shorter; `None`: it is one packet.
    pub segment_size: Option<usize>,
}

/// What a gatherer asks for other than sending.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Find the addresses of a server's name.
    Resolve {
        /// What the answer is to name.
        query: QueryId,
        /// The name.
        name: String,
    },
    /// Connect by TCP, and then by TLS if there is a name to verify.
    OpenStream {
        /// What the stream is called from now on.
        socket: SocketId,
        /// Where to.
        to: SocketAddr,
        /// The server's name for TLS; an IP address as text where the URL has one.
        tls: Option<String>,
    },
    /// Close a stream.
    CloseStream(SocketId),
    /// Answer mDNS questions for this name.
    Announce {
        /// The name: a UUID and `.local`.
        name: String,
        /// Its address.
        address: IpAddr,
    },
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A candidate, for ICE and for the other side.
    Candidate(Gathered),
    /// A server gave nothing.
    CandidateError(CandidateError),
    /// This relay is gone: ICE must forget it.
    SocketLost(SocketId),
    /// Every server has answered or failed: no candidates follow, unless the network changes.
    Done,
    /// All allocations are freed; nothing follows.
    Closed,
}

/// Why a server gave nothing (W3C `RTCPeerConnectionIceErrorEvent`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CandidateError {
    /// Which server.
    pub url: String,
    /// A STUN error code, or [`CandidateError::UNREACHABLE`].
    pub code: u16,
    /// What happened, in English.
    pub text: &'static str,
}

impl CandidateError {
    /// The server could not be reached.
    pub const UNREACHABLE: u16 = 701;
}

/// What a packet was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Input<'a> {
    /// An answer of a server; nothing is left to do.
    Consumed,
    /// A peer's datagram, which came through a relay: to be looked at as if it came in at `socket`.
    Data {
        /// The relay.
        socket: SocketId,
        /// The peer.
        from: SocketAddr,
        /// The datagram.
        bytes: &'a [u8],
    },
}

/// A peer's datagram that came through a relay by a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// The relay.
    pub socket: SocketId,
    /// The peer.
    pub from: SocketAddr,
    /// The datagram.
    pub bytes: Vec<u8>,
}

/// Why a packet was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Discard {
    /// It is not from a server of ours, or not an answer to anything asked: offer it to ICE.
    #[error("not from a server that was asked")]
    NotForUs,
    /// A server's message that makes no sense.
    #[error("from a relay: {0}")]
    Turn(#[from] twocan_turn::client::Discard),
}
