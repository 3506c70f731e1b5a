//! What is played in a world: numbered messages on a reliable and on an unreliable channel, and what arrives of them.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use bytes::Bytes;
use twocan_lobby::wire::Reason;
use twocan_rtc::transport::Transport;
use twocan_rtc::{Certificate, ChannelId, ChannelInit, Connection, FailReason, Payload, Reliability};

use crate::player::Settings;

/// The header of a message in one piece that is bytes (docs/protocol.md §2).
const BYTES: u8 = 0;
/// The header of one that is JSON.
const JSON: u8 = 2;

/// Making a certificate takes a while: two serve all worlds.
pub fn certificate(index: usize) -> Certificate {
    static CERTIFICATES: OnceLock<[Certificate; 2]> = OnceLock::new();
    let both = CERTIFICATES.get_or_init(|| [Certificate::generate(), Certificate::generate()]);
    both[index % 2].clone()
}

/// What channels are opened on.
pub trait Line {
    /// Declares a channel.
    fn open(&mut self, init: ChannelInit, now: Instant) -> Option<ChannelId>;
    /// Sends on it; whether it was taken.
    fn send(&mut self, id: ChannelId, bytes: Bytes, now: Instant) -> bool;
}

impl Line for Connection {
    fn open(&mut self, init: ChannelInit, now: Instant) -> Option<ChannelId> {
        self.open_channel(init, now).ok()
    }

    fn send(&mut self, id: ChannelId, bytes: Bytes, now: Instant) -> bool {
        Connection::send(self, id, Payload::Binary, bytes, now).is_ok()
    }
}

impl Line for Transport {
    fn open(&mut self, init: ChannelInit, now: Instant) -> Option<ChannelId> {
        Transport::open(self, init, now).ok()
    }

    fn send(&mut self, id: ChannelId, bytes: Bytes, now: Instant) -> bool {
        Transport::send(self, id, Payload::Binary, bytes, now).is_ok()
    }
}

/// The three channels that every link has (docs/protocol.md §2).
pub struct Channels {
    pub(crate) control: ChannelId,
    reliable: ChannelId,
    pub(crate) unreliable: ChannelId,
    is_open: bool,
}

impl Channels {
    /// Declares them.
    pub fn open(line: &mut impl Line, now: Instant) -> Channels {
        let mut declare = |name: &str, id: u16, init: fn(ChannelInit) -> ChannelInit| {
            let init = init(ChannelInit::new(name)).negotiated(id);
            line.open(init, now).expect("three channels are allowed")
        };
        Channels {
            control: declare("twocan", 0, |init| init),
            reliable: declare("reliable", 1, |init| init),
            unreliable: declare("unreliable", 2, |init| {
                init.unordered().reliability(Reliability::MaxRetransmits(0))
            }),
            is_open: false,
        }
    }

    /// One is open; whether it is the first to say so of the channel for data.
    pub fn opened(&mut self, id: ChannelId) -> bool {
        id == self.reliable && !std::mem::replace(&mut self.is_open, true)
    }

    /// Says something about the link itself.
    pub fn control(&self, line: &mut impl Line, text: &str, now: Instant) {
        let mut bytes = vec![JSON];
        bytes.extend_from_slice(text.as_bytes());
        let _ = line.send(self.control, bytes.into(), now);
    }

    /// A message came: on the control channel it is given back.
    pub fn received(&self, id: ChannelId, bytes: &[u8], app: &mut App, now: Instant) -> Option<String> {
        let (_, content) = bytes.split_first()?;
        if id == self.control {
            return Some(String::from_utf8_lossy(content).into_owned());
        }
        let number = content.first_chunk().map(|number| u32::from_be_bytes(*number));
        if let Some(number) = number {
            app.received(id == self.reliable, number, now);
        }
        None
    }
}

/// Sends and counts.
#[derive(Debug, Default)]
pub struct App {
    rate: u32,
    message_bytes: usize,
    next: Option<Instant>,
    /// Messages sent on the reliable channel.
    pub sent: u32,
    /// And on the unreliable one.
    pub sent_unreliable: u32,
    /// The number that is expected next on the reliable channel.
    pub expected: u32,
    /// Messages that came out of order there, or twice.
    pub disorder: u32,
    /// Messages that came on the unreliable channel.
    pub came_unreliable: u32,
    /// When the first message came on the reliable channel.
    pub first: Option<Instant>,
    /// When the last message came there, and the longest time between two.
    pub last: Option<Instant>,
    /// The longest time between two messages on the reliable channel.
    pub longest_pause: Duration,
}

impl App {
    /// With as many messages a second, and as large, as these settings say.
    pub fn new(settings: &Settings) -> App {
        App { rate: settings.rate, message_bytes: settings.message_bytes, ..App::default() }
    }

    /// The link is up.
    pub fn begin(&mut self, now: Instant) {
        self.next = (self.rate > 0).then_some(now);
    }

    /// No more messages are begun, on this link or on one that takes its place.
    pub fn stop(&mut self) {
        (self.next, self.rate) = (None, 0);
    }

    /// Whether it was stopped.
    pub fn is_over(&self) -> bool {
        self.rate == 0
    }

    /// When the next message is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next
    }

    /// What is due is not sent: there is no link that takes it.
    pub fn pass(&mut self, now: Instant) {
        while let Some(due) = self.next.filter(|due| *due <= now) {
            self.next = Some(due + Duration::from_secs(1) / self.rate.max(1));
        }
    }

    /// Whether messages are begun.
    pub fn is_playing(&self) -> bool {
        self.next.is_some()
    }

    /// Sends what is due.
    pub fn handle_timeout(&mut self, line: &mut impl Line, channels: &Channels, now: Instant) {
        let Some(due) = self.next.filter(|due| *due <= now) else { return };
        self.next = Some(due + Duration::from_secs(1) / self.rate.max(1));
        if line.send(channels.reliable, message(self.sent, self.message_bytes), now) {
            self.sent += 1;
        }
        if line.send(channels.unreliable, message(self.sent_unreliable, self.message_bytes), now) {
            self.sent_unreliable += 1;
        }
    }

    fn received(&mut self, reliable: bool, number: u32, now: Instant) {
        if !reliable {
            self.came_unreliable += 1;
            return;
        }
        self.disorder += u32::from(number != self.expected);
        self.expected = number + 1;
        self.first.get_or_insert(now);
        if let Some(last) = self.last.replace(now) {
            self.longest_pause = self.longest_pause.max(now.saturating_duration_since(last));
        }
    }
}

fn message(number: u32, len: usize) -> Bytes {
    let mut bytes = vec![0; 1 + len.max(size_of::<u32>())];
    bytes[0] = BYTES;
    bytes[1..5].copy_from_slice(&number.to_be_bytes());
    bytes.into()
}

macro_rules! reasons {
    ($($name:ident)*) => {
        /// Why a link failed, as the server is told.
        pub fn wire_reason(reason: FailReason) -> Reason {
            match reason {
                $(FailReason::$name => Reason::$name,)*
            }
        }

        /// The word for why a link failed.
        pub fn word(reason: Reason) -> &'static str {
            match reason {
                $(Reason::$name => FailReason::$name.word(),)*
            }
        }
    };
}
reasons!(NoCandidates NoRemoteCandidates TurnRejected TurnUnreachable ChecksFailed Timeout DtlsFailed PeerLeft SignalingLost Incompatible);
