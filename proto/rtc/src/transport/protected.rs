//! What DTLS protects: SCTP and the channels on it. It has the doors of a machine of its own, so that it can be tried, and
//! abused, without DTLS around it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::channels::{Channels, Context};
use super::sctp::{self, Association, End};
use super::{
    ChannelId, ChannelInit, CloseReason, Config, Discard, DtlsRole, Event, Misuse, Payload, SendError, limits,
};

/// SCTP and channels. Its packets are what DTLS carries.
pub struct Protected {
    association: Association,
    channels: Channels,
    role: DtlsRole,
    max_message_size: usize,
    /// When a passive end sends its own INIT.
    init_at: Option<Instant>,
    ended: Option<CloseReason>,
    events: VecDeque<Event>,
    /// Bytes of the messages among the events, and what each costs.
    unread: usize,
}

impl Protected {
    /// Channels can be opened and sent on at once.
    pub fn new(config: &Config, seed: [u8; 32]) -> Self {
        let mtu = config.mtu.saturating_sub(limits::DTLS_OVERHEAD) & !3;
        Self {
            association: Association::new(
                sctp::Config { local_port: config.sctp_port, remote_port: 0, mtu },
                seed,
            ),
            channels: Channels::default(),
            role: DtlsRole::Client,
            max_message_size: limits::MESSAGE_LEN_MAX,
            init_at: None,
            ended: None,
            events: VecDeque::new(),
            unread: 0,
        }
    }

    /// The peer's description is there: channels get their streams.
    pub fn start(
        &mut self,
        role: DtlsRole,
        port: u16,
        max_message_size: u32,
        rtt: Option<Duration>,
        now: Instant,
    ) {
        self.role = role;
        self.association.peer_is_at(port, rtt);
        if max_message_size > 0 {
            self.max_message_size = limits::MESSAGE_LEN_MAX.min(max_message_size as usize);
        }
        let (channels, mut context) = self.split(now);
        channels.start(role, &mut context);
    }

    /// How many bytes DTLS adds to a packet, of datagrams of at most `mtu` bytes. To be said before SCTP begins.
    pub fn set_overhead(&mut self, mtu: usize, overhead: usize) {
        self.association.set_mtu(mtu.saturating_sub(overhead) & !3);
    }

    /// DTLS is up: SCTP begins. At once, where the peer's INIT chunk was signaled; by ours, as a DTLS client; else by the peer's, for
    /// which a server waits a while.
    pub fn associate(&mut self, peer_init: Option<&[u8]>, now: Instant) {
        if peer_init.is_some_and(|chunk| self.association.connect_with(chunk)) {
            // Nothing was received.
            let _ = self.take_events(now);
            return;
        }
        match self.role {
            DtlsRole::Client => self.association.connect(now),
            DtlsRole::Server => self.init_at = Some(now + limits::INIT_WAIT),
        }
    }

    /// A packet that DTLS has opened. An error says that some of it did nothing.
    pub fn handle_packet(&mut self, packet: &[u8], now: Instant) -> Result<(), Discard> {
        let taken = self.association.handle_packet(packet, now).map_err(Discard::from);
        taken.and(self.take_events(now))
    }

    fn take_events(&mut self, now: Instant) -> Result<(), Discard> {
        let mut result = Ok(());
        let known = self.events.len();
        while let Some(event) = self.association.poll_event() {
            let (channels, mut context) = self.split(now);
            match event {
                sctp::Event::Connected => {
                    context.events.push_back(Event::Connected);
                    channels.connected(context.events);
                    self.init_at = None;
                }
                sctp::Event::Message(message) => {
                    result = result.and(channels.handle_message(message, &mut context));
                }
                sctp::Event::StreamReset(stream) => channels.stream_reset(stream, false, &mut context),
                sctp::Event::StreamResetDone(stream) => channels.stream_reset(stream, true, &mut context),
                sctp::Event::Closed(end) => {
                    self.ended = Some(match end {
                        End::Shutdown(true) => CloseReason::Local,
                        End::Shutdown(false) => CloseReason::PeerClosed,
                        End::Aborted => CloseReason::Aborted,
                        End::Violation => CloseReason::ProtocolViolation,
                        End::Timeout => CloseReason::Timeout,
                    });
                }
            }
        }
        self.unread += self.events.range(known..).map(weight).sum::<usize>();
        self.association.set_unread(self.unread + self.channels.partial_bytes());
        result
    }

    fn split(&mut self, now: Instant) -> (&mut Channels, Context<'_>) {
        let context = Context { association: &mut self.association, events: &mut self.events, now };
        (&mut self.channels, context)
    }

    /// Why the association is over, if it is.
    pub fn ended(&self) -> Option<CloseReason> {
        self.ended
    }

    /// Whether messages travel.
    pub fn is_established(&self) -> bool {
        self.association.is_established()
    }

    /// The path's round-trip time, as known by now.
    pub fn set_rtt(&mut self, rtt: Duration) {
        self.association.rtt_is(rtt);
    }

    /// Since when data is underway and the peer acknowledged nothing more of it.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        self.association.silent_since()
    }

    /// The path is another one.
    pub fn path_changed(&mut self, rtt: Option<Duration>, now: Instant) {
        self.association.path_changed(rtt, now);
    }

    /// Opens a channel.
    pub fn open(&mut self, init: ChannelInit, now: Instant) -> Result<ChannelId, Misuse> {
        let (channels, mut context) = self.split(now);
        channels.open(init, &mut context)
    }

    /// Sends one message.
    pub fn send(
        &mut self,
        id: ChannelId,
        kind: Payload,
        bytes: Bytes,
        now: Instant,
    ) -> Result<(), SendError> {
        let max = self.max_message_size;
        let (channels, mut context) = self.split(now);
        channels.send(id, kind, bytes, max, &mut context)
    }

    /// The largest message that the peer takes, bytes.
    pub fn max_message_size(&self) -> usize {
        self.max_message_size
    }

    /// Bytes that wait to be sent on a channel.
    pub fn buffered_amount(&self, id: ChannelId) -> usize {
        self.channels.buffered(id, &self.association)
    }

    /// Whether the peer has all that was sent on any channel.
    pub fn is_flushed(&self) -> bool {
        self.channels.is_flushed() && self.association.is_idle()
    }

    /// When to say that they are few.
    pub fn set_buffered_amount_low_threshold(&mut self, id: ChannelId, bytes: usize) {
        self.channels.set_threshold(id, bytes, &self.association);
    }

    /// Closes a channel behind its last message.
    pub fn close_channel(&mut self, id: ChannelId, now: Instant) {
        let (channels, mut context) = self.split(now);
        channels.close(id, &mut context);
    }

    /// Ends the association when all that was sent has arrived.
    pub fn shut_down(&mut self, now: Instant) {
        self.association.shut_down(now);
        // Nothing was received, so nothing was discarded.
        let _ = self.take_events(now);
    }

    /// Writes the next packet into `packet`; `false`: there is none.
    pub fn poll_transmit(&mut self, packet: &mut Vec<u8>, now: Instant) -> bool {
        let any = self.association.poll_transmit(packet, now);
        if !any {
            self.channels.tell_low(&self.association, &mut self.events);
        }
        any
    }

    /// Events that wait.
    pub fn events_waiting(&self) -> usize {
        self.events.len()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let weight @ 1.. = weight(&event) {
            self.unread -= weight;
            self.association.set_unread(self.unread + self.channels.partial_bytes());
        }
        Some(event)
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.association.poll_timeout().into_iter().chain(self.init_at).min()
    }

    /// Time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.init_at.is_some_and(|at| at <= now) {
            self.init_at = None;
            self.association.connect(now);
        }
        self.association.handle_timeout(now);
        // Nothing was received, so nothing was discarded.
        let _ = self.take_events(now);
    }
}

/// What an event counts for in the window that the peer sees, bytes.
fn weight(event: &Event) -> usize {
    match event {
        Event::Message { bytes, .. } => bytes.len() + limits::FRAGMENT_OVERHEAD,
        _ => 0,
    }
}

impl From<sctp::Discard> for Discard {
    fn from(discard: sctp::Discard) -> Self {
        match discard {
            sctp::Discard::Malformed => Self::Malformed,
            sctp::Discard::Foreign => Self::Foreign,
            sctp::Discard::Unexpected => Self::Unexpected,
            sctp::Discard::Full => Self::BeyondWindow,
        }
    }
}
