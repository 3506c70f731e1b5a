//! What a transport tells, and what it refuses.

use bytes::Bytes;

use super::{Alert, ChannelId, ChannelInit, Payload, Refusal};

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// DTLS and SCTP are up; negotiated channels are open.
    Connected,
    /// A channel of ours is open at the peer, too, or the peer opened one.
    ChannelOpen {
        /// Its handle.
        id: ChannelId,
        /// What it is.
        init: ChannelInit,
    },
    /// A whole message arrived.
    Message {
        /// On this channel.
        id: ChannelId,
        /// What the bytes are.
        kind: Payload,
        /// Empty messages are empty here.
        bytes: Bytes,
    },
    /// `buffered_amount` fell to the threshold or below.
    BufferedAmountLow {
        /// Of this channel.
        id: ChannelId,
    },
    /// This channel is gone, by our doing or the peer's.
    ChannelClosed {
        /// Its handle; it will not be used again.
        id: ChannelId,
    },
    /// The transport is gone; nothing follows.
    Closed {
        /// Why.
        why: CloseReason,
    },
}

/// Why a transport ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum CloseReason {
    /// We closed it.
    #[error("closed here")]
    Local,
    /// The peer closed it in good order.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// The peer broke off the SCTP association.
    #[error("the peer aborted the connection")]
    Aborted,
    /// The peer's certificate has none of the fingerprints that were signaled.
    #[error("its certificate is not the one that its description names")]
    FingerprintMismatch,
    /// The peer ended DTLS by a fatal alert.
    #[error("the other side refused: {0}")]
    PeerRefused(Alert),
    /// The peer's handshake does not fit ours; it was told by an alert.
    #[error("{0}")]
    Refused(Refusal),
    /// The DTLS handshake failed, or a record broke the protocol.
    #[error("the DTLS handshake failed")]
    DtlsFailed,
    /// The peer broke the rules of SCTP or of data channels.
    #[error("the peer broke the protocol")]
    ProtocolViolation,
    /// Nothing came from the peer for too long.
    #[error("the peer does not answer")]
    Timeout,
}

impl CloseReason {
    /// Whether it is DTLS that came to nothing.
    pub fn is_dtls(self) -> bool {
        matches!(self, Self::FingerprintMismatch | Self::PeerRefused(_) | Self::Refused(_) | Self::DtlsFailed)
    }
}

/// A datagram that did nothing, or of which something was passed over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Discard {
    /// The transport is not started, or closed.
    #[error("the transport is closed")]
    Closed,
    /// Not DTLS (RFC 7983: first byte 20 to 63).
    #[error("not DTLS")]
    NotDtls,
    /// Part of a handshake with somebody else, or repeated too often.
    #[error("a handshake of somebody else")]
    Stranger,
    /// Events wait to be polled, and there is no room for more.
    #[error("too many events wait")]
    Full,
    /// What DTLS protected is no SCTP packet, or a chunk in it cannot be read.
    #[error("not SCTP")]
    Malformed,
    /// Other ports than agreed, or not this association.
    #[error("another SCTP association's")]
    Foreign,
    /// A chunk that has no meaning at this moment.
    #[error("an SCTP chunk out of turn")]
    Unexpected,
    /// More than the receive window holds.
    #[error("beyond the receive window")]
    BeyondWindow,
    /// A message on a stream that is no channel.
    #[error("a message on no channel")]
    NoChannel,
    /// A channel was opened on a stream in use, or on 65,535, which is none.
    #[error("a channel on a stream that is not free")]
    StreamTaken,
    /// A channel beyond [`CHANNELS_MAX`](super::limits::CHANNELS_MAX), or with a label too long.
    #[error("a channel too many, or too long a label")]
    ChannelRefused,
    /// A message whose kind is not known, or text that is no UTF-8.
    #[error("a message of no kind")]
    NotAMessage,
}

/// The caller asked for what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// The transport is closed.
    #[error("the transport is closed")]
    Closed,
    /// More channels than [`CHANNELS_MAX`](super::limits::CHANNELS_MAX).
    #[error("too many channels")]
    TooManyChannels,
    /// A label or protocol longer than [`LABEL_LEN_MAX`](super::limits::LABEL_LEN_MAX).
    #[error("a label is too long")]
    LabelTooLong,
    /// The negotiated stream is in use, or is 65,535.
    #[error("the stream is taken")]
    StreamTaken,
}

/// Why a message cannot be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The channel is closed, or closing, or unknown.
    #[error("the channel is not open")]
    NotOpen,
    /// The message is larger than the peer takes.
    #[error("a message has at most {max} bytes")]
    TooLarge {
        /// Bytes.
        max: usize,
    },
    /// Too much waits already: send again after [`Event::BufferedAmountLow`].
    #[error("too much waits to be sent")]
    Full,
}
