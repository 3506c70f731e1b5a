//! DTLS, SCTP and data channels over one datagram path, as one machine: below it ICE moves datagrams, above it are messages.
//!
//! ```text
//! datagram ─► handle_datagram ─► dtls ─► sctp ─► channels, dcep ─► poll_event
//! datagram ◄─ poll_transmit ◄─── dtls ◄─ sctp ◄─ channels, dcep ◄─ open, send, close_channel
//! ```

use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore as _, SeedableRng as _};

mod alert;
mod certificate;
mod channel;
mod channels;
mod crypto;
mod dcep;
mod dtls;
mod event;
mod gate;
pub mod limits;
mod outbox;
mod protected;
pub mod sctp;

pub use alert::{Alert, Refusal};
pub use certificate::{Certificate, Fingerprint, FingerprintError};
pub use channel::{ChannelId, ChannelInit, Payload, Reliability};
use dtls::{Dtls, Failed, Record, Setup, is_application_data};
pub use event::{CloseReason, Discard, Event, Misuse, SendError};
use outbox::Outbox;
pub use protected::Protected;

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

/// What a transport must know of its own side.
#[derive(Clone, Debug)]
pub struct Config {
    /// Ours.
    pub certificate: Certificate,
    /// Which versions of DTLS may be spoken.
    pub versions: DtlsVersions,
    /// Our `a=sctp-port`.
    pub sctp_port: u16,
    /// The largest datagram that we send, bytes.
    pub mtu: usize,
}

impl Config {
    /// With what is usual: port 5000, any version, datagrams of up to [`limits::MTU`] bytes.
    pub fn new(certificate: Certificate) -> Self {
        Self { certificate, versions: DtlsVersions::Any, sctp_port: 5_000, mtu: limits::MTU }
    }
}

/// What the peer's description says.
#[derive(Clone, Debug)]
pub struct Remote {
    /// Our own role, as agreed by `a=setup`.
    pub role: DtlsRole,
    /// The peer's certificate must match one of these (RFC 8122).
    pub fingerprints: Vec<Fingerprint>,
    /// `a=sctp-port`.
    pub sctp_port: u16,
    /// `a=max-message-size`, bytes; 0 is no limit (RFC 8841 6.1).
    pub max_message_size: u32,
    /// `a=sctp-init`: the association begins without a round trip, if the peer knows ours, too
    /// ([`Transport::sctp_init`]; draft-hancke-tsvwg-snap).
    pub sctp_init: Option<String>,
}

/// A run of datagrams in one buffer, each of `segment_size` bytes but the last, which may be shorter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagrams {
    /// The datagrams, one after another.
    pub bytes: Vec<u8>,
    /// `None`: it is one.
    pub segment_size: Option<usize>,
}

/// One DTLS connection with its data channels. See the [module](self) for the way of a packet.
///
/// Inputs: [`start`](Self::start), [`handle_datagram`](Self::handle_datagram), [`handle_timeout`](Self::handle_timeout),
/// [`open`](Self::open), [`send`](Self::send), [`close_channel`](Self::close_channel), [`close`](Self::close).
/// After one of them, or better after a batch, drain [`poll_transmit`](Self::poll_transmit), **then**
/// [`poll_event`](Self::poll_event), and ask [`poll_timeout`](Self::poll_timeout) when to come back. Packets are made when they
/// are polled for: one acknowledgement answers a whole batch.
pub struct Transport {
    config: Config,
    now: Instant,
    seed: u64,
    sctp_init: Vec<u8>,
    remote: Option<Remote>,
    phase: Phase,
    dtls: Option<Dtls>,
    protected: Protected,
    /// The peer's certificate is the one that was signaled.
    is_verified: bool,
    /// Of application data that were authentic.
    records: u64,
    /// When the handshake, or closing, has taken too long.
    deadline: Option<Instant>,
    packet: Vec<u8>,
    outbox: Outbox,
    /// The last event, when all before it are polled.
    closed: Option<CloseReason>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    New,
    /// DTLS and SCTP are on their way.
    Connecting,
    Up,
    Closing,
    Closed,
}

impl Transport {
    /// It does nothing until [`start`](Self::start), but channels can be opened and sent on. `seed` feeds what is random but for
    /// keys, which `ring` draws from the system.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Self {
        // Another stream than the association draws from.
        let mut random = ChaCha12Rng::from_seed(seed);
        random.set_stream(1);
        Self {
            now,
            seed: random.next_u64(),
            sctp_init: sctp::init_chunk(seed),
            remote: None,
            phase: Phase::New,
            dtls: None,
            protected: Protected::new(&config, seed),
            config,
            is_verified: false,
            records: 0,
            deadline: None,
            packet: Vec::new(),
            outbox: Outbox::default(),
            closed: None,
        }
    }

    /// What our description may say as `a=sctp-init`, for a peer that can do without SCTP's handshake.
    pub fn sctp_init(&self) -> Option<String> {
        Some(BASE64.encode(&self.sctp_init))
    }

    /// A path is there, and the peer's description: a DTLS client begins. `rtt`: as far as known, the first timers follow it.
    pub fn start(&mut self, remote: Remote, rtt: Option<Duration>, now: Instant) {
        self.now = now;
        if self.phase != Phase::New {
            return;
        }
        self.phase = Phase::Connecting;
        self.deadline = Some(now + limits::PEER_SILENCE_MAX);
        self.protected.start(remote.role, remote.sctp_port, remote.max_message_size, rtt, now);
        let Config { certificate, versions, mtu, .. } = self.config.clone();
        let mtu = mtu.min(limits::HANDSHAKE_MTU);
        let setup = Setup { certificate, role: remote.role, versions, mtu, rtt };
        self.remote = Some(remote);
        match Dtls::new(setup, self.seed, now) {
            Ok(dtls) => self.dtls = Some(dtls),
            Err(Failed(why)) => self.end(why),
        }
        // Nothing was received.
        let _ = self.take_dtls();
    }

    /// A datagram from the path. An error says that some of it did nothing; whoever sent it learns nothing of that.
    pub fn handle_datagram(&mut self, bytes: &[u8], now: Instant) -> Result<(), Discard> {
        self.now = now;
        if !matches!(bytes.first(), Some(20..=63)) {
            return Err(Discard::NotDtls);
        }
        if self.protected.events_waiting() >= limits::EVENTS_MAX {
            return Err(Discard::Full);
        }
        let Some(dtls) = &mut self.dtls else { return Err(Discard::Closed) };
        match dtls.handle_datagram(bytes, now) {
            Ok(true) => self.take_dtls(),
            Ok(false) => Err(Discard::Stranger),
            Err(Failed(why)) => {
                self.end(why);
                Ok(())
            }
        }
    }

    /// A datagram from an address that no check has answered. Application data alone is taken, once there are keys: a record
    /// proves by itself who made it (RFC 9147 section 4.5.1). What does not is dropped.
    pub fn handle_stray(&mut self, bytes: &[u8], now: Instant) -> Result<(), Discard> {
        if !self.dtls.as_ref().is_some_and(Dtls::is_connected) || !is_application_data(bytes) {
            return Err(Discard::Stranger);
        }
        let before = self.records;
        self.handle_datagram(bytes, now)?;
        if self.records == before { Err(Discard::Stranger) } else { Ok(()) }
    }

    /// What DTLS has for us, and what follows from it.
    fn take_dtls(&mut self) -> Result<(), Discard> {
        let (Some(dtls), Some(remote)) = (&mut self.dtls, &self.remote) else { return Ok(()) };
        let (protected, is_verified, now) = (&mut self.protected, &mut self.is_verified, self.now);
        let (mtu, overhead) = (self.config.mtu, dtls.overhead());
        let (mut result, mut mismatch, mut closed) = (Ok(()), false, false);
        let records = &mut self.records;
        dtls.drain(&mut self.outbox, now, |record| match record {
            Record::Certificate(certificate) => {
                *is_verified = remote.fingerprints.iter().any(|fingerprint| fingerprint.matches(certificate));
                mismatch |= !*is_verified;
            }
            Record::Connected if *is_verified => {
                protected.set_overhead(mtu, overhead);
                let chunk = remote.sctp_init.as_ref().and_then(|text| BASE64.decode(text).ok());
                protected.associate(chunk.as_deref(), now);
            }
            Record::Connected => mismatch = true,
            Record::Data(packet) if *is_verified && !mismatch => {
                *records += 1;
                result = protected.handle_packet(packet, now);
            }
            Record::Data(_) => {}
            Record::CloseNotify => closed = true,
        });
        if mismatch {
            self.outbox.clear();
            self.end(CloseReason::FingerprintMismatch);
        } else {
            self.follow(closed);
        }
        result
    }

    /// Follows the association from phase to phase.
    fn follow(&mut self, peer_closed: bool) {
        if self.phase == Phase::Connecting && self.protected.is_established() {
            self.phase = Phase::Up;
            self.deadline = None;
        }
        let peer_closed = peer_closed.then_some(CloseReason::PeerClosed);
        if let Some(why) = self.protected.ended().or(peer_closed) {
            self.end(why);
        }
    }

    /// The end: what is still to be said is said, without an answer.
    fn end(&mut self, why: CloseReason) {
        if self.phase == Phase::Closed {
            return;
        }
        // Whatever the peer does meanwhile: it was we who wanted it.
        let why = if self.phase == Phase::Closing { CloseReason::Local } else { why };
        self.pump(usize::MAX);
        self.phase = Phase::Closed;
        self.deadline = None;
        if let Some(mut dtls) = self.dtls.take() {
            match why {
                CloseReason::FingerprintMismatch => dtls.refuse(Alert::BAD_CERTIFICATE),
                CloseReason::Refused(refusal) => dtls.refuse(refusal.alert()),
                _ => dtls.close(),
            }
            dtls.drain(&mut self.outbox, self.now, |_| {});
        }
        self.closed = Some(why);
    }

    /// The path's round-trip time, as known by now.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.protected.set_rtt(rtt);
    }

    /// The path is another one: what was sent on the old one may be lost, and the old timers say nothing about it.
    pub fn path_changed(&mut self, rtt: Option<Duration>, now: Instant) {
        self.now = now;
        self.protected.path_changed(rtt, now);
    }

    /// Time has come to [`poll_timeout`](Self::poll_timeout).
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        if matches!(self.phase, Phase::New | Phase::Closed) {
            return;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.end(CloseReason::Timeout);
            return;
        }
        let due = self.dtls.as_ref().and_then(Dtls::poll_timeout).is_some_and(|at| at <= now);
        if let Some(dtls) = self.dtls.as_mut().filter(|_| due)
            && let Err(Failed(why)) = dtls.handle_timeout(now)
        {
            self.end(why);
            return;
        }
        self.protected.handle_timeout(now);
        // Nothing was received.
        let _ = self.take_dtls();
    }

    /// Since when data is underway and the peer acknowledged nothing more of it: the path may be dead.
    pub fn silent_since(&self) -> Option<Instant> {
        self.protected.silent_since()
    }

    /// Opens a channel. May be called at any time, also before [`start`](Self::start); messages sent meanwhile wait.
    pub fn open(&mut self, init: ChannelInit, now: Instant) -> Result<ChannelId, Misuse> {
        self.now = now;
        match self.phase {
            Phase::Closing | Phase::Closed => Err(Misuse::Closed),
            Phase::New | Phase::Connecting | Phase::Up => self.protected.open(init, now),
        }
    }

    /// Sends one message. It may be called as soon as the channel is made: data follows right behind the announcement.
    pub fn send(
        &mut self,
        id: ChannelId,
        kind: Payload,
        bytes: Bytes,
        now: Instant,
    ) -> Result<(), SendError> {
        self.now = now;
        match self.phase {
            Phase::Closing | Phase::Closed => Err(SendError::NotOpen),
            Phase::New | Phase::Connecting | Phase::Up => self.protected.send(id, kind, bytes, now),
        }
    }

    /// The largest message that the peer takes, bytes; ours until its description is there.
    pub fn max_message_size(&self) -> usize {
        self.protected.max_message_size()
    }

    /// Bytes of messages that wait to be sent on this channel; those underway do not count.
    pub fn buffered_amount(&self, id: ChannelId) -> usize {
        self.protected.buffered_amount(id)
    }

    /// Whether the peer has acknowledged all that was sent on any channel.
    pub fn is_flushed(&self) -> bool {
        self.protected.is_flushed()
    }

    /// When `buffered_amount` falls to this, [`Event::BufferedAmountLow`] says so. 0 at first.
    pub fn set_buffered_amount_low_threshold(&mut self, id: ChannelId, bytes: usize) {
        self.protected.set_buffered_amount_low_threshold(id, bytes);
    }

    /// Closes a channel: what was sent still goes out, then the stream is reset (RFC 8831 6.7).
    pub fn close_channel(&mut self, id: ChannelId, now: Instant) {
        self.now = now;
        self.protected.close_channel(id, now);
    }

    /// Ends the association and DTLS in good order: all that was sent goes out first, within
    /// [`CLOSE_WITHIN`](limits::CLOSE_WITHIN). Drain the outputs until [`Event::Closed`].
    pub fn close(&mut self, now: Instant) {
        self.now = now;
        match self.phase {
            Phase::New | Phase::Connecting => self.end(CloseReason::Local),
            Phase::Up => {
                self.phase = Phase::Closing;
                self.deadline = Some(now + limits::CLOSE_WITHIN);
                self.protected.shut_down(now);
                self.follow(false);
            }
            Phase::Closing | Phase::Closed => {}
        }
    }

    /// Makes packets until so many runs wait.
    fn pump(&mut self, runs: usize) {
        let Some(dtls) = self.dtls.as_mut().filter(|dtls| dtls.is_connected() && self.is_verified) else {
            return;
        };
        while self.outbox.len() < runs && self.protected.poll_transmit(&mut self.packet, self.now) {
            if let Err(Failed(why)) = dtls.send(&self.packet, &mut self.outbox, self.now) {
                self.dtls = None;
                self.end(why);
                return;
            }
        }
    }

    /// The next datagrams to send.
    pub fn poll_transmit(&mut self) -> Option<Datagrams> {
        self.pump(2);
        self.outbox.pop()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.protected.poll_event();
        event.or_else(|| self.closed.take().map(|why| Event::Closed { why }))
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if matches!(self.phase, Phase::New | Phase::Closed) {
            return None;
        }
        let dtls = self.dtls.as_ref().and_then(Dtls::poll_timeout);
        [dtls, self.protected.poll_timeout(), self.deadline].into_iter().flatten().min()
    }
}
