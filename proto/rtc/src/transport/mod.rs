//! DTLS, SCTP and data channels over one datagram path, as one machine: below it ICE moves datagrams, above it are messages.
//!
//! ```text
//! datagram ─► handle_datagram ─► dtls ─► sctp ─► channel, dcep ─► poll_event
//! datagram ◄─ poll_transmit ◄─── dtls ◄─ sctp ◄─ channel, dcep ◄─ open, send, close_channel
//! ```

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

mod certificate;
mod channel;
mod crypto;
mod dtls;
pub mod limits;
mod outbox;
pub mod sctp;

pub use certificate::{Certificate, Fingerprint, FingerprintError};
pub use channel::{ChannelId, ChannelInit, Payload, Reliability};

/// Who speaks first in DTLS; also decides whose streams are even (RFC 8832 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DtlsRole {
    /// `a=setup:active`: sends the ClientHello, opens even streams.
    Client,
    /// `a=setup:passive`: waits for it, opens odd streams.
    Server,
}

/// Which versions of DTLS may be spoken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DtlsVersions {
    /// 1.3, or 1.2 where the peer has no more.
    #[default]
    Any,
    /// 1.2 alone.
    Only12,
    /// 1.3 alone.
    Only13,
}

/// What a transport must know.
#[derive(Clone, Debug)]
pub struct Config {
    /// Ours.
    pub certificate: Certificate,
    /// Who speaks first.
    pub role: DtlsRole,
    /// The peer's certificate must match one of these (RFC 8122).
    pub remote_fingerprints: Vec<Fingerprint>,
    /// Our `a=sctp-port`.
    pub local_port: u16,
    /// The peer's `a=sctp-port`.
    pub remote_port: u16,
    /// The peer's `a=max-message-size`, bytes; 0 is no limit (RFC 8841 6.1).
    pub remote_max_message_size: u32,
    /// The round-trip time as far as known: the first timers follow it.
    pub rtt: Option<Duration>,
    /// Which versions of DTLS may be spoken.
    pub versions: DtlsVersions,
    /// The largest datagram that we send, bytes.
    pub mtu: usize,
}

impl Config {
    /// With what is usual: port 5000 on both sides, any version, no round-trip time known, no limit of the peer's.
    pub fn new(certificate: Certificate, role: DtlsRole, remote_fingerprints: Vec<Fingerprint>) -> Self {
        Self {
            certificate,
            role,
            remote_fingerprints,
            local_port: 5_000,
            remote_port: 5_000,
            remote_max_message_size: 0,
            rtt: None,
            versions: DtlsVersions::Any,
            mtu: limits::MTU,
        }
    }
}

/// A run of datagrams in one buffer, each of `segment_size` bytes but the last, which may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagrams {
    /// The datagrams, one after another.
    pub bytes: Vec<u8>,
    /// `None`: it is one.
    pub segment_size: Option<usize>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// DTLS and SCTP are up; negotiated channels are open.
    Connected,
    /// A channel of ours may be sent on, or the peer opened one.
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
    #[error("the peer's certificate does not match its fingerprint")]
    FingerprintMismatch,
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

/// A datagram that did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Discard {
    /// The transport is closed.
    #[error("the transport is closed")]
    Closed,
    /// Not DTLS (RFC 7983: first byte 20 to 63).
    #[error("not DTLS")]
    NotDtls,
}

/// The caller asked for what cannot be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Misuse {
    /// The transport is closed.
    #[error("the transport is closed")]
    Closed,
    /// More channels than [`limits::CHANNELS_MAX`].
    #[error("too many channels")]
    TooManyChannels,
    /// A label or protocol longer than [`limits::LABEL_LEN_MAX`].
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

/// One DTLS connection with its data channels. See the [module](self) for the way of a packet.
///
/// Inputs: [`handle_datagram`](Self::handle_datagram), [`handle_timeout`](Self::handle_timeout), [`open`](Self::open), [`send`](Self::send),
/// [`close_channel`](Self::close_channel), [`close`](Self::close). After any of them drain [`poll_transmit`](Self::poll_transmit) and
/// [`poll_event`](Self::poll_event), and ask [`poll_timeout`](Self::poll_timeout) when to come back.
pub struct Transport {
    config: Config,
    next_channel: u32,
    transmits: VecDeque<Datagrams>,
    events: VecDeque<Event>,
}

impl Transport {
    /// A client begins its handshake at once. `seed` feeds what is random but for keys, which `ring` draws from the system.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        let _ = (seed, now, config.certificate.private_key());
        Self { config, next_channel: 0, transmits: VecDeque::new(), events: VecDeque::new() }
    }

    /// A datagram from the path.
    pub fn handle_datagram(&mut self, bytes: &[u8], now: Instant) -> Result<(), Discard> {
        let _ = (bytes, now);
        Err(Discard::NotDtls)
    }

    /// The path's round-trip time, for timers that start from now on.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.config.rtt = Some(rtt);
    }

    /// Time has come to [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// Opens a channel. May be called before the transport is connected; messages sent meanwhile wait.
    pub fn open(&mut self, init: ChannelInit, now: Instant) -> Result<ChannelId, Misuse> {
        let _ = (init, now);
        let id = ChannelId(self.next_channel);
        self.next_channel += 1;
        Ok(id)
    }

    /// Sends one message. It may be called as soon as the channel is made: data follows right behind the announcement.
    pub fn send(
        &mut self,
        id: ChannelId,
        kind: Payload,
        bytes: Bytes,
        now: Instant,
    ) -> Result<(), SendError> {
        let _ = (id, kind, bytes, now);
        Err(SendError::NotOpen)
    }

    /// The largest message that the peer takes, bytes.
    pub fn max_message_size(&self) -> usize {
        match self.config.remote_max_message_size {
            0 => limits::MESSAGE_LEN_MAX,
            size => limits::MESSAGE_LEN_MAX.min(size as usize),
        }
    }

    /// Bytes of messages that wait to be sent on this channel; those underway do not count.
    pub fn buffered_amount(&self, id: ChannelId) -> usize {
        let _ = id;
        0
    }

    /// When `buffered_amount` falls to this, [`Event::BufferedAmountLow`] says so. 0 at first.
    pub fn set_buffered_amount_low_threshold(&mut self, id: ChannelId, bytes: usize) {
        let _ = (id, bytes);
    }

    /// Closes a channel: what was sent still goes out, then the stream is reset (RFC 8831 6.7).
    pub fn close_channel(&mut self, id: ChannelId, now: Instant) {
        let _ = (id, now);
    }

    /// Ends the association and DTLS in good order. Poll for what is to be sent until [`Event::Closed`].
    pub fn close(&mut self, now: Instant) {
        let _ = now;
    }

    /// The next datagrams to send.
    pub fn poll_transmit(&mut self) -> Option<Datagrams> {
        self.transmits.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
