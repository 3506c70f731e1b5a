//! What a connection tells its program.

use std::str::Utf8Error;

use bytes::Bytes;
use twocan_ice::Verdict;
use twocan_rtc::transport::{CloseReason, Misuse, Payload};
use twocan_rtc::{ConnectionState, FailReason, PathInfo, Signal, SignalError};

use super::Channel;

/// What happened.
#[derive(Clone, Debug)]
pub enum ConnectionEvent {
    /// To be carried to the other side, in this order, and given to its [`Connection::signal`](super::Connection::signal).
    Signal(Signal),
    /// A signal of the other side was not taken. Of two offers that cross, one is refused with
    /// [`SignalError::WrongState`]: that is no fault.
    SignalRefused(SignalError),
    /// W3C's `connectionState`.
    StateChanged(ConnectionState),
    /// Data goes this way from now on.
    Path(PathInfo),
    /// A channel of ours is open, or the other side opened one.
    ChannelOpen(Channel),
    /// A message arrived. (With [`Receive::Channels`](super::Receive::Channels) it comes by [`Channel::recv`] instead.)
    Message {
        /// On this channel.
        channel: Channel,
        /// What it says.
        message: Message,
    },
    /// A channel is gone, or could not be opened.
    ChannelClosed {
        /// This one.
        channel: Channel,
        /// Why it could not be opened; `None`: it was closed, by either side.
        why: Option<Misuse>,
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
    /// No way was found, or found again, in time. It can be tried again by
    /// [`Connection::restart_ice`](super::Connection::restart_ice), unless `Closed` follows.
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

impl ConnectionEvent {
    /// It need not wait for the messages before it.
    pub(crate) fn is_news(&self) -> bool {
        match self {
            Self::Signal(_)
            | Self::SignalRefused(_)
            | Self::StateChanged(_)
            | Self::Path(_)
            | Self::CandidateError { .. }
            | Self::Failed { .. } => true,
            Self::ChannelOpen(_)
            | Self::Message { .. }
            | Self::ChannelClosed { .. }
            | Self::Closed { .. } => false,
        }
    }
}

/// One message: text or bytes, as the other side sent it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What the bytes are.
    pub kind: Payload,
    /// The message; cloning it copies nothing.
    pub bytes: Bytes,
}

impl Message {
    /// Bytes.
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Payload::Binary, bytes: bytes.into() }
    }

    /// Text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { kind: Payload::Text, bytes: Bytes::from(text.into()) }
    }

    /// The message as text.
    ///
    /// # Errors
    /// It is not UTF-8.
    pub fn as_text(&self) -> Result<&str, Utf8Error> {
        std::str::from_utf8(&self.bytes)
    }
}

impl From<&str> for Message {
    fn from(text: &str) -> Self {
        Self::text(text)
    }
}

impl From<String> for Message {
    fn from(text: String) -> Self {
        Self::text(text)
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self::binary(bytes)
    }
}

impl From<Vec<u8>> for Message {
    fn from(bytes: Vec<u8>) -> Self {
        Self::binary(bytes)
    }
}

impl From<&[u8]> for Message {
    fn from(bytes: &[u8]) -> Self {
        Self::binary(bytes.to_vec())
    }
}

impl<const N: usize> From<&[u8; N]> for Message {
    fn from(bytes: &[u8; N]) -> Self {
        Self::binary(bytes.to_vec())
    }
}
