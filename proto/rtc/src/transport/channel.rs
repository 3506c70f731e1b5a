//! What a data channel is: its name, its promises, and the handle that the caller holds.

use std::time::Duration;

/// A channel of one connection: a handle, good before the stream's number is known, never given out twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelId(pub u32);

/// What a lost message means (RFC 8831 6.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Reliability {
    /// Sent again until it arrives.
    #[default]
    Reliable,
    /// Sent again at most so often.
    MaxRetransmits(u16),
    /// Given up after this time, which is counted in milliseconds.
    MaxPacketLifeTime(Duration),
}

/// How a channel is to be opened (W3C `RTCDataChannelInit`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelInit {
    /// The name that both sides see; at most [`LABEL_LEN_MAX`](super::limits::LABEL_LEN_MAX) bytes.
    pub label: String,
    /// The application's sub-protocol, or empty; at most as long as a label.
    pub protocol: String,
    /// Messages arrive in the order in which they were sent.
    pub ordered: bool,
    /// What a lost message means.
    pub reliability: Reliability,
    /// `Some(stream)`: both sides agreed on this stream elsewhere, and nothing is said about it on the wire.
    pub negotiated: Option<u16>,
}

impl ChannelInit {
    /// An ordered, reliable channel, announced in-band.
    pub fn new(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            protocol: String::new(),
            ordered: true,
            reliability: Reliability::Reliable,
            negotiated: None,
        }
    }

    /// The same on an agreed stream, which needs no announcement.
    #[must_use]
    pub fn negotiated(self, stream: u16) -> Self {
        Self { negotiated: Some(stream), ..self }
    }

    /// The same without order.
    #[must_use]
    pub fn unordered(self) -> Self {
        Self { ordered: false, ..self }
    }

    /// The same with another promise.
    #[must_use]
    pub fn reliability(self, reliability: Reliability) -> Self {
        Self { reliability, ..self }
    }
}

/// What a message's bytes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// UTF-8.
    Text,
    /// Bytes.
    Binary,
}
