//! SCTP as data channels need it (RFC 8831 5, RFC 9260, RFC 3758, RFC 6525, RFC 9653), below it DTLS. Why our own:
//! docs/decisions/0009.
//!
//! ```text
//! packet ─► handle_packet ─► handshake (mod) │ inbound: SACKs, messages │ reset
//! packet ◄─ poll_transmit ◄─ control chunks  │ outbound: DATA           │ reset        poll_event ─► Message, Reset, …
//! ```
//!
//! The peer is authenticated, so there is no signed cookie, and INIT from elsewhere does not exist; what it says is still not
//! trusted: each store has a limit (`transport::limits`), and what is not allowed is dropped and counted, or ends the association.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rand_chacha::ChaCha12Rng;
use rand_core::{RngCore, SeedableRng};

use super::limits;

mod congestion;
mod crc32c;
mod handshake;
mod heartbeat;
mod inbound;
mod outbound;
mod path_mtu;
mod reset;
mod wire;

use congestion::Rto;
pub use handshake::init_chunk;
use heartbeat::Heartbeat;
use inbound::Inbound;
use outbound::Outbound;
use reset::{Done, Reset};
use wire::{Data, Header, Init, Sack, flag, kind, word};

/// One message, or what is to become one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// The stream.
    pub stream: u16,
    /// Payload protocol identifier.
    pub ppid: u32,
    /// Never empty.
    pub bytes: Bytes,
}

/// How a message is to be delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Past those sent before it.
    pub unordered: bool,
    /// Given up after so many retransmissions.
    pub max_retransmits: Option<u16>,
    /// Given up at this time.
    pub expires: Option<Instant>,
}

impl Delivery {
    /// Whether it is given up before many retransmissions.
    fn is_fleeting(&self) -> bool {
        const RETRANSMITS: u16 = 3;
        self.max_retransmits.is_some_and(|max| max <= RETRANSMITS) || self.expires.is_some()
    }
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The association is up.
    Connected,
    /// A whole message, in its turn.
    Message(Message),
    /// The peer has closed its direction of this stream.
    StreamReset(u16),
    /// Our direction of this stream is closed; its number may be used anew.
    StreamResetDone(u16),
    /// The association is gone.
    Closed(End),
}

/// How an association ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// Both sides shut down; `true`: we began.
    Shutdown(bool),
    /// ABORT came.
    Aborted,
    /// What the peer sent cannot be.
    Violation,
    /// The peer is silent.
    Timeout,
}

/// A packet, or a chunk of it, that did nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Discard {
    /// Not SCTP, or a wrong checksum.
    Malformed,
    /// Not our ports, or not our tag.
    Foreign,
    /// Not now.
    Unexpected,
    /// No room.
    Full,
}

/// The peer sent what cannot be: the association ends.
#[derive(Clone, Copy, Debug)]
struct Violation;

/// What an association must know.
#[derive(Clone, Copy, Debug)]
pub struct Config {
    /// Ours.
    pub local_port: u16,
    /// The peer's.
    pub remote_port: u16,
    /// Bytes of the largest packet, if the path lets it through.
    pub mtu: usize,
}

/// One association.
pub struct Association {
    config: Config,
    state: State,
    init: Init,
    cookie: [u8; COOKIE_LEN],
    /// What the peer's INIT or INIT ACK said.
    peer: Option<Init>,
    inbound: Inbound,
    outbound: Outbound,
    reset: Reset,
    /// Packets that travel alone, with their tag.
    alone: VecDeque<(u32, Vec<u8>)>,
    /// Chunks for the next packet.
    control: Vec<u8>,
    heartbeat: Heartbeat,
    /// What a probe of the path held.
    probe_answer: Option<Vec<u8>>,
    timer: Option<Instant>,
    deadline: Option<Instant>,
    events: VecDeque<Event>,
    messages: Vec<Message>,
}

const COOKIE_LEN: usize = 16;
/// Bytes of a HEARTBEAT that is more than a question whether we are there.
const PROBE_LEN_MIN: usize = 256;

/// The association's states (RFC 9260 4); a shut-down begins when all is acknowledged.
#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// Answers INIT.
    Idle,
    CookieWait,
    CookieEchoed {
        cookie: Vec<u8>,
        due: bool,
    },
    Established,
    ShutdownPending,
    ShutdownSent,
    ShutdownReceived,
    ShutdownAckSent,
    Closed,
}

impl Association {
    /// It answers the peer's INIT; [`connect`](Self::connect) sends one.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        let mut random = ChaCha12Rng::from_seed(seed);
        let init = local_init(&mut random);
        let mut cookie = [0; COOKIE_LEN];
        random.fill_bytes(&mut cookie);
        Self {
            config,
            state: State::Idle,
            init,
            cookie,
            peer: None,
            inbound: Inbound::new(0),
            outbound: Outbound::new(init.tsn, config.mtu),
            reset: Reset::new(),
            alone: VecDeque::new(),
            control: Vec::new(),
            heartbeat: Heartbeat::default(),
            probe_answer: None,
            timer: None,
            deadline: None,
            events: VecDeque::new(),
            messages: Vec::new(),
        }
    }

    /// Whether messages may be sent at once.
    pub fn is_established(&self) -> bool {
        self.state == State::Established
    }

    /// Whether it has ended.
    pub fn is_closed(&self) -> bool {
        self.state == State::Closed
    }

    /// Whether so many bytes more may wait to be sent.
    pub fn has_room(&self, len: usize) -> bool {
        self.outbound.has_room(len)
    }

    /// Queues a message, also before the association is up. Who sends what is not bounded otherwise asks
    /// [`has_room`](Self::has_room) before.
    pub fn send(&mut self, message: Message, delivery: Delivery) {
        self.outbound.send(message, delivery);
    }

    /// Bytes of messages that were polled, or wait to be, and that nobody has read: they count in the window that the peer sees.
    pub fn set_unread(&mut self, bytes: usize) {
        self.inbound.set_unread(bytes);
    }

    /// Bytes that wait to be sent on a stream.
    pub fn buffered(&self, stream: u16) -> usize {
        self.outbound.buffered(stream)
    }

    /// Whether all that was sent has been acknowledged, or given up.
    pub fn is_idle(&self) -> bool {
        self.outbound.is_idle()
    }

    /// Closes our direction of a stream, after what was sent.
    pub fn reset_stream(&mut self, stream: u16) {
        self.reset.want(stream);
    }

    /// Whether our direction of a stream is being closed.
    pub fn is_resetting(&self, stream: u16) -> bool {
        self.reset.is_underway(stream)
    }

    /// Whether streams can be reset, as far as known.
    pub fn can_reset(&self) -> bool {
        self.peer.is_none_or(|peer| peer.re_config)
    }

    /// The peer's port, and the round trip as far as known. To be said before it is connected.
    pub fn peer_is_at(&mut self, port: u16, rtt: Option<Duration>) {
        self.config.remote_port = port;
        *self.outbound.rto() = Rto::new(rtt);
    }

    /// The round trip, as measured elsewhere: good until it is measured here.
    pub fn rtt_is(&mut self, rtt: Duration) {
        if self.outbound.rto().smoothed().is_none() {
            *self.outbound.rto() = Rto::new(Some(rtt));
        }
    }

    /// Bytes of the largest packet, now that they are known better. To be said before it is connected.
    pub fn set_mtu(&mut self, mtu: usize) {
        self.config.mtu = mtu;
        self.outbound.path_mtu().set_ceiling(mtu);
    }

    /// The path is another one.
    pub fn path_changed(&mut self, rtt: Option<Duration>, now: Instant) {
        self.outbound.path_changed(rtt, now);
        self.heartbeat.path_changed(now);
        if let (Some(_), true) = (self.timer, self.is_up() || self.state == State::CookieWait) {
            self.timer = Some(now);
        }
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if self.state == State::Closed {
            return None;
        }
        let t3 = self.outbound.poll_timeout().filter(|_| self.sends_data());
        let heartbeat = self.heartbeat.poll_timeout().filter(|_| self.is_established());
        let times =
            [self.timer, self.deadline, t3, heartbeat, self.inbound.ack_at(), self.reset.poll_timeout()];
        times.into_iter().flatten().min()
    }

    /// Time has come.
    pub fn handle_timeout(&mut self, now: Instant) {
        if self.state == State::Closed {
            return;
        }
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.abort(End::Timeout);
            return;
        }
        self.inbound.handle_timeout(now);
        self.reset.handle_timeout(now);
        if self.is_established() {
            self.heartbeat.handle_timeout(self.outbound.is_idle(), now);
        }
        if self.sends_data()
            && self.outbound.handle_timeout(now).is_some_and(|silent| silent >= limits::ACKNOWLEDGE_WITHIN)
        {
            self.abort(End::Timeout);
            return;
        }
        if self.timer.is_some_and(|timer| timer <= now) {
            self.timer_expired(now);
        }
    }

    /// Since when data is underway and nothing more of it was acknowledged, or a HEARTBEAT waits for its answer.
    pub fn silent_since(&self) -> Option<Instant> {
        let times = [self.outbound.silent_since(), self.heartbeat.silent_since()];
        times.into_iter().flatten().min().filter(|_| self.sends_data())
    }

    /// Whether DATA may travel by itself.
    fn sends_data(&self) -> bool {
        matches!(self.state, State::Established | State::ShutdownPending | State::ShutdownReceived)
    }

    /// A packet from the peer. Chunks before one that cannot be used are still used.
    pub fn handle_packet(&mut self, packet: &[u8], now: Instant) -> Result<(), Discard> {
        if self.state == State::Closed {
            return Err(Discard::Unexpected);
        }
        let (header, chunks) = wire::open(packet, true).map_err(|_| Discard::Malformed)?;
        if header.source != self.config.remote_port || header.destination != self.config.local_port {
            return Err(Discard::Foreign);
        }
        let mut result = Ok(());
        let (mut any, mut data) = (false, false);
        for (kind, flags, value) in chunks {
            any = true;
            if !self.is_tagged(header.tag, kind, flags) {
                result = Err(Discard::Foreign);
                break;
            }
            data |= kind == kind::DATA;
            match self.handle_chunk(kind, flags, value, now) {
                Ok(()) => {}
                Err(Stop::Discard(discard)) => result = Err(discard),
                Err(Stop::Violation) => {
                    self.abort(End::Violation);
                    break;
                }
                Err(Stop::Packet) => break,
            }
            if self.state == State::Closed {
                break;
            }
        }
        if data && self.state != State::Closed {
            self.inbound.packet_ended(now);
            let mut done = Done::default();
            self.reset.received(&mut self.inbound, &mut self.control, &mut done);
            self.report(done);
        }
        if self.state == State::Established {
            self.heartbeat.begin(now);
        }
        if !any { Err(Discard::Malformed) } else { result }
    }

    /// RFC 9260 8.5.
    fn is_tagged(&self, tag: u32, kind: u8, flags: u8) -> bool {
        let reflects = matches!(kind, kind::ABORT | kind::SHUTDOWN_COMPLETE) && flags & flag::REFLECTED != 0;
        match (kind, reflects) {
            (kind::INIT, _) => tag == 0,
            (_, true) => self.peer.is_some_and(|peer| peer.tag == tag),
            (_, false) => tag == self.init.tag,
        }
    }

    fn handle_chunk(&mut self, kind: u8, flags: u8, value: &[u8], now: Instant) -> Result<(), Stop> {
        let malformed = Stop::Discard(Discard::Malformed);
        match kind {
            kind::DATA => {
                let data = Data::parse(flags, value).ok_or(Stop::Violation)?;
                self.handle_data(&data)
            }
            kind::SACK => {
                let sack = Sack::parse(value).ok_or(malformed)?;
                let known = self.is_up() && self.outbound.handle_sack(&sack, now);
                if known {
                    self.heartbeat.acknowledged(now);
                }
                self.shut_down_further(now);
                if known { Ok(()) } else { Err(Stop::Discard(Discard::Unexpected)) }
            }
            kind::FORWARD_TSN => {
                let (tsn, rest) = word(value).ok_or(malformed)?;
                if !self.receives_data() {
                    return Err(Stop::Discard(Discard::Unexpected));
                }
                let mut pairs = wire::halves(rest);
                let skips = std::iter::from_fn(|| pairs.next().zip(pairs.next()));
                self.inbound.handle_forward(tsn, skips, &mut self.messages);
                self.deliver();
                let mut done = Done::default();
                self.reset.received(&mut self.inbound, &mut self.control, &mut done);
                self.report(done);
                Ok(())
            }
            kind::RE_CONFIG => {
                if !self.is_up() || self.control.len() > limits::CONTROL_MAX {
                    return Err(Stop::Discard(Discard::Unexpected));
                }
                let mut done = Done::default();
                self.reset.handle(value, &mut self.inbound, &mut self.control, &mut done);
                self.report(done);
                Ok(())
            }
            kind::HEARTBEAT => self.answer_heartbeat(value),
            kind::HEARTBEAT_ACK => {
                self.outbound.path_mtu().handle_answer(value);
                self.heartbeat.answered(now);
                Ok(())
            }
            kind::ERROR => Ok(()),
            kind::ABORT => {
                // Cause 12: its user wanted it so (RFC 9260 3.3.10.12), as a page that closes its connection does.
                self.end(if value.starts_with(&[0, 12]) { End::Shutdown(false) } else { End::Aborted });
                Ok(())
            }
            kind::INIT | kind::INIT_ACK | kind::COOKIE_ECHO | kind::COOKIE_ACK => {
                self.handle_handshake(kind, value).map_err(Stop::Discard)
            }
            kind::SHUTDOWN | kind::SHUTDOWN_ACK | kind::SHUTDOWN_COMPLETE => {
                self.handle_shutdown(kind, now).map_err(Stop::Discard)
            }
            // The upper bits say what to do with what is unknown (RFC 9260 3.2).
            unknown if unknown & 0x80 != 0 => Ok(()),
            _ => Err(Stop::Packet),
        }
    }

    fn handle_data(&mut self, data: &Data<'_>) -> Result<(), Stop> {
        // The COOKIE ACK before it went astray.
        if matches!(self.state, State::CookieEchoed { due: false, .. }) {
            self.establish();
        }
        if !self.receives_data() {
            return Err(Stop::Discard(Discard::Unexpected));
        }
        let taken = self.inbound.handle_data(data, &mut self.messages);
        self.deliver();
        match taken {
            Ok(true) => Ok(()),
            Ok(false) => Err(Stop::Discard(Discard::Full)),
            Err(Violation) => Err(Stop::Violation),
        }
    }

    fn deliver(&mut self) {
        self.events.extend(self.messages.drain(..).map(Event::Message));
    }

    fn report(&mut self, done: Done) {
        for stream in done.outgoing {
            self.outbound.reset(stream);
            self.events.push_back(Event::StreamResetDone(stream));
        }
        self.events.extend(done.incoming.into_iter().map(Event::StreamReset));
    }

    fn answer_heartbeat(&mut self, value: &[u8]) -> Result<(), Stop> {
        // What probes the path is answered as large as it is, in a packet of its own; of several the largest says all.
        if value.len() > PROBE_LEN_MIN && self.is_up() {
            if value.len() + wire::HEADER_LEN + 4 > self.config.mtu {
                return Err(Stop::Discard(Discard::Full));
            }
            if self.probe_answer.as_ref().is_none_or(|known| known.len() < value.len()) {
                self.probe_answer = Some(value.to_vec());
            }
            return Ok(());
        }
        if !self.is_up() || self.control.len() + value.len() > limits::CONTROL_MAX {
            return Err(Stop::Discard(Discard::Full));
        }
        wire::put(&mut self.control, kind::HEARTBEAT_ACK, 0, |out| out.extend_from_slice(value));
        Ok(())
    }

    /// Whether the peer's numbers are known and it may send DATA.
    fn receives_data(&self) -> bool {
        matches!(self.state, State::Established | State::ShutdownPending | State::ShutdownSent)
    }

    fn is_up(&self) -> bool {
        !matches!(self.state, State::Idle | State::CookieWait | State::Closed)
    }

    fn end(&mut self, end: End) {
        self.state = State::Closed;
        (self.timer, self.deadline) = (None, None);
        self.events.push_back(Event::Closed(end));
    }

    /// Ends it and tells the peer.
    pub fn abort(&mut self, end: End) {
        if let Some(peer) = self.peer.filter(|_| self.state != State::Closed) {
            self.put_alone(peer.tag, |out| wire::put(out, kind::ABORT, 0, |_| {}));
        }
        if self.state != State::Closed {
            self.end(end);
        }
    }

    fn put_alone(&mut self, tag: u32, chunk: impl FnOnce(&mut Vec<u8>)) {
        if self.alone.len() < limits::ALONE_MAX {
            let mut out = Vec::new();
            wire::begin(&mut out, self.header(tag));
            chunk(&mut out);
            wire::finish(&mut out);
            self.alone.push_back((tag, out));
        }
    }

    fn header(&self, tag: u32) -> Header {
        Header { source: self.config.local_port, destination: self.config.remote_port, tag }
    }

    /// Writes the next packet into `out`; `false`: there is none.
    pub fn poll_transmit(&mut self, out: &mut Vec<u8>, now: Instant) -> bool {
        if let Some((_, packet)) = self.alone.pop_front() {
            *out = packet;
            return true;
        }
        let Some(peer) = self.peer.filter(|_| self.is_up()) else { return false };
        if let State::CookieEchoed { cookie, due } = &mut self.state {
            if !std::mem::take(due) {
                return false;
            }
            let cookie = std::mem::take(cookie);
            wire::begin(out, self.header(peer.tag));
            wire::put(out, kind::COOKIE_ECHO, 0, |out| out.extend_from_slice(&cookie));
            self.outbound.fill(out, now);
            wire::finish(out);
            self.state = State::CookieEchoed { cookie, due: false };
            self.timer = Some(now + self.outbound.rto().now());
            return true;
        }
        if let Some(answer) = self.probe_answer.take() {
            wire::begin(out, self.header(peer.tag));
            wire::put(out, kind::HEARTBEAT_ACK, 0, |out| out.extend_from_slice(&answer));
            wire::finish(out);
            return true;
        }
        if peer.re_config && self.state == State::Established {
            self.reset.progress(&self.outbound);
        }
        let fills = self.sends_data() && self.outbound.can_send();
        let asks = self.state == State::Established && self.heartbeat.is_due();
        if !fills && !asks && self.control.is_empty() && !self.inbound.wants_ack() && !self.reset.is_due() {
            return false;
        }
        wire::begin(out, self.header(peer.tag));
        if fills && self.outbound.wants_probe(now) {
            self.outbound.path_mtu().put_probe(out);
            if !peer.zero_checksum {
                wire::finish(out);
            }
            return true;
        }
        out.append(&mut self.control);
        if asks {
            self.heartbeat.put(out);
        }
        let mtu = self.outbound.path_mtu().size();
        if fills {
            self.outbound.put_forward(out, mtu);
        }
        if self.inbound.has_ack() && out.len() + 16 <= mtu {
            self.inbound.put_sack(out, mtu - out.len());
        }
        // Streams end behind their last message.
        if fills {
            self.outbound.fill(out, now);
        }
        if self.reset.is_due() && out.len() < mtu / 8 {
            let again_at = now + self.outbound.rto().now();
            self.reset.put_request(out, again_at);
        }
        if !peer.zero_checksum {
            wire::finish(out);
        }
        true
    }
}

/// Why a chunk is the last one of its packet that is looked at, or is passed over.
enum Stop {
    Discard(Discard),
    Violation,
    Packet,
}

fn local_init(random: &mut ChaCha12Rng) -> Init {
    Init {
        tag: random.next_u32().max(1),
        window: limits::RECEIVE_WINDOW as u32,
        outbound_streams: u16::MAX,
        inbound_streams: u16::MAX,
        tsn: random.next_u32(),
        forward_tsn: true,
        re_config: true,
        zero_checksum: true,
    }
}

/// The number near `reference` whose lower half is `wire` (RFC 1982).
fn unwrap(reference: u64, wire: u32) -> u64 {
    let distance = wire.wrapping_sub(reference as u32).cast_signed();
    reference.saturating_add_signed(i64::from(distance))
}
