//! What a client says: events, data from peers, and why something could not be.

use std::net::{IpAddr, SocketAddr};

use twocan_stun::{AttributeError, ErrorCode, IntegrityError, ParseError};

/// Something that happened to the allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The server answered and wants credentials; with [`super::Config::hold`] it waits for [`super::Client::proceed`].
    Challenged,
    /// There is a relayed address.
    Allocated {
        /// Where peers reach us.
        relayed: SocketAddr,
        /// From where the server sees us; `None` if it did not say.
        mapped: Option<SocketAddr>,
    },
    /// The allocation was gone (the server was started anew, or lost it), and there is another. Channels and permissions
    /// are asked for again by themselves; peers must learn the new address.
    Reallocated {
        /// Where peers reach us now.
        relayed: SocketAddr,
        /// From where the server sees us.
        mapped: Option<SocketAddr>,
    },
    /// The allocation is gone, and another is being asked for: nothing can be sent meanwhile.
    Lost,
    /// Ask this server instead (300), with a new client; this one has ended.
    AlternateServer(SocketAddr),
    /// The server does not relay to this peer.
    PeerRefused {
        /// Whom.
        peer: IpAddr,
        /// Why: 403, 443, 508.
        code: ErrorCode,
    },
    /// It could not be; this client has ended.
    Failed(Failure),
    /// The allocation was freed, as [`super::Client::close`] asked; this client has ended.
    Closed,
}

/// Why there is no allocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Failure {
    /// No answer came in time.
    #[error("the server does not answer")]
    TimedOut,
    /// The user name or the password is wrong, or has expired (401, 441).
    #[error("the server does not accept the credential")]
    WrongCredentials,
    /// The server holds another allocation for this 5-tuple and does not let go of it (437): try from another port.
    #[error("the server holds another allocation for this port")]
    FiveTupleTaken,
    /// The server said no: 403, 442, 486, 508 or another.
    #[error("the server refused: {0}")]
    Refused(ErrorCode),
    /// No answer that can be trusted came in time; one that may be forged said this.
    #[error("no answer that can be trusted; an unsigned one said {0}")]
    Unverified(ErrorCode),
    /// The server accepted, and gave no usable address.
    #[error("the server's answer makes no sense")]
    BadAnswer,
}

impl Failure {
    /// The STUN error code behind it, if there is one.
    pub fn code(self) -> Option<ErrorCode> {
        match self {
            Failure::WrongCredentials => Some(ErrorCode::UNAUTHENTICATED),
            Failure::FiveTupleTaken => Some(ErrorCode::ALLOCATION_MISMATCH),
            Failure::Refused(code) | Failure::Unverified(code) => Some(code),
            Failure::TimedOut | Failure::BadAnswer => None,
        }
    }
}

/// What a peer sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Data<'a> {
    /// Who.
    pub peer: SocketAddr,
    /// The datagram.
    pub bytes: &'a [u8],
}

/// Why a packet from the server was ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Discard {
    /// Neither STUN nor ChannelData, or malformed.
    #[error("not a message: {0}")]
    Parse(#[from] ParseError),
    /// ChannelData that is cut short.
    #[error("ChannelData is cut short")]
    ChannelData,
    /// A channel that we have not bound.
    #[error("a channel that is not bound")]
    UnknownChannel,
    /// A peer that we have not asked for.
    #[error("a peer without permission")]
    UnknownPeer,
    /// A request, or an indication other than Data.
    #[error("neither an answer nor data")]
    NotForAClient,
    /// The answer to nothing that we asked, or one that came too late.
    #[error("the answer to another request")]
    OtherTransaction,
    /// The answer is not signed by the server: it may be forged.
    #[error("not signed by the server: {0}")]
    Integrity(#[from] IntegrityError),
    /// An attribute cannot be read.
    #[error("{0}")]
    Attribute(#[from] AttributeError),
    /// An attribute is missing.
    #[error("an attribute is missing")]
    Missing,
    /// An attribute that must be understood is not (RFC 8489 6.3.3).
    #[error("an attribute that must be understood is not")]
    UnknownAttribute,
    /// The nonce says that password algorithms are offered, and they are not there: somebody took them out (RFC 8489 9.2.1).
    #[error("the offered password algorithms were taken out")]
    BidDown,
}

/// Why data cannot be sent to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum SendError {
    /// There is no relayed address (yet, or any more).
    #[error("there is no allocation")]
    NotAllocated,
    /// The server has refused this peer; it is asked again after [`super::limits::REFUSED`].
    #[error("the server does not relay to this peer")]
    Refused,
    /// There are [`super::limits::PERMISSIONS_MAX`] peers.
    #[error("too many peers")]
    TooManyPeers,
    /// The peer's address is of another family than the relayed one, or has no port.
    #[error("the relayed address cannot reach this address")]
    Unreachable,
    /// More than [`super::limits::DATA_LEN_MAX`] bytes.
    #[error("too long for a datagram")]
    TooLong,
}
