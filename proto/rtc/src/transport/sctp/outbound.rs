//! What is to be sent and what is underway (RFC 9260 6.1, 6.2.1, 6.3, 7.2; RFC 3758 3.5).
//!
//! ```text
//! send ─► streams: queues of messages ─► ready: whose turn it is ─► fill ─► sent: one entry per TSN
//!                                                 lost: to be sent again ◄──┘ ▲ handle_sack, T3
//! ```
//!
//! A piece is taken for lost when a packet that left three packets later, or more, has arrived: by the order of sending and not by
//! counting SACKs (RFC 9260 7.2.4), so that one SACK for many packets is enough, and a piece lost twice is found twice.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::congestion::{Congestion, Rto};
use super::limits::{IN_FLIGHT_MAX, SEND_BUFFER_MAX};
use super::path_mtu::PathMtu;
use super::wire::{self, DATA_HEADER_LEN, Data, HEADER_LEN, Sack, flag, kind};
use super::{Delivery, Message, unwrap};

/// Packets sent later that must have arrived for a piece to be lost (RFC 9260 7.2.4 counts three reports).
const REORDERING: u64 = 3;
/// A message is not begun in less room than this, unless it fits whole.
const FRAGMENT_MIN: usize = 128;
/// A piece that is lost so often may be too large for the path.
const LOST_FOR_SIZE: u32 = 3;

pub(super) struct Outbound {
    streams: BTreeMap<u16, Stream>,
    /// Streams that have something to send; the first one's first message may be half sent.
    ready: VecDeque<u16>,
    /// Bytes of messages not yet sent.
    queued: usize,
    next_message: u64,
    next_tsn: u64,
    acked: u64,
    /// The peer may forget what is missing up to here (RFC 3758 3.5 Advanced.Peer.Ack.Point).
    advanced: u64,
    forward_due: bool,
    /// Entry `i` is TSN `acked + 1 + i`.
    sent: VecDeque<Sent>,
    lost: BTreeSet<u64>,
    gaps: Vec<(u64, u64)>,
    in_flight: usize,
    peer_window: usize,
    packets: u64,
    newest_acked: u64,
    congestion: Congestion,
    path_mtu: PathMtu,
    rto: Rto,
    t3: Option<Instant>,
    /// Since when nothing was acknowledged although something is underway.
    silent_since: Option<Instant>,
    /// Whether the peer understands FORWARD TSN.
    partial_reliability: bool,
}

#[derive(Default)]
struct Stream {
    next_ssn: u16,
    queue: VecDeque<Queued>,
    bytes: usize,
}

struct Queued {
    number: u64,
    bytes: Bytes,
    begun: bool,
    ppid: u32,
    delivery: Delivery,
}

struct Sent {
    message: u64,
    bytes: Bytes,
    stream: u16,
    ssn: u16,
    ppid: u32,
    flags: u8,
    delivery: Delivery,
    state: State,
    times: u32,
    at: Instant,
    packet: u64,
    /// Where in its packet it ended.
    end: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    InFlight,
    Lost,
    Acked,
    Abandoned,
}

impl Outbound {
    pub(super) fn new(first_tsn: u32, mtu: usize) -> Self {
        let next_tsn = 1 << 32 | u64::from(first_tsn);
        Self {
            streams: BTreeMap::new(),
            ready: VecDeque::new(),
            queued: 0,
            next_message: 0,
            next_tsn,
            acked: next_tsn - 1,
            advanced: next_tsn - 1,
            forward_due: false,
            sent: VecDeque::new(),
            lost: BTreeSet::new(),
            gaps: Vec::new(),
            in_flight: 0,
            peer_window: 0,
            packets: 0,
            newest_acked: 0,
            congestion: Congestion::new(mtu),
            path_mtu: PathMtu::new(mtu),
            rto: Rto::new(None),
            t3: None,
            silent_since: None,
            partial_reliability: false,
        }
    }

    pub(super) fn peer_is(&mut self, window: u32, partial_reliability: bool) {
        self.peer_window = window as usize;
        self.partial_reliability = partial_reliability;
    }

    pub(super) fn rto(&mut self) -> &mut Rto {
        &mut self.rto
    }

    pub(super) fn path_mtu(&mut self) -> &mut PathMtu {
        &mut self.path_mtu
    }

    /// Whether a probe of the path goes before what waits.
    pub(super) fn wants_probe(&mut self, now: Instant) -> bool {
        self.path_mtu.wants_probe(self.queued + self.in_flight, now)
    }

    pub(super) fn has_room(&self, len: usize) -> bool {
        self.queued + len <= SEND_BUFFER_MAX
    }

    pub(super) fn send(&mut self, message: Message, delivery: Delivery) {
        let stream = self.streams.entry(message.stream).or_default();
        if stream.queue.is_empty() {
            self.ready.push_back(message.stream);
        }
        self.queued += message.bytes.len();
        stream.bytes += message.bytes.len();
        let number = self.next_message;
        self.next_message += 1;
        stream.queue.push_back(Queued {
            number,
            bytes: message.bytes,
            begun: false,
            ppid: message.ppid,
            delivery,
        });
    }

    pub(super) fn buffered(&self, stream: u16) -> usize {
        self.streams.get(&stream).map_or(0, |stream| stream.bytes)
    }

    /// Nothing waits and nothing is underway.
    pub(super) fn is_idle(&self) -> bool {
        self.ready.is_empty() && self.sent.is_empty()
    }

    pub(super) fn last_tsn(&self) -> u64 {
        self.next_tsn - 1
    }

    /// All messages of the stream are sent; they may still be underway.
    pub(super) fn is_drained(&self, stream: u16) -> bool {
        self.streams.get(&stream).is_none_or(|stream| stream.queue.is_empty())
    }

    /// The stream starts anew.
    pub(super) fn reset(&mut self, stream: u16) {
        self.streams.remove(&stream);
    }

    /// Whether [`fill`](Self::fill) would write something.
    pub(super) fn can_send(&self) -> bool {
        self.forward_due
            || (!self.lost.is_empty() && self.may_send_again())
            || (!self.ready.is_empty() && self.may_send() && self.peer_has_room())
    }

    fn may_send_again(&self) -> bool {
        self.may_send() && self.peer_takes_again()
    }

    /// Into a closed window goes one packet at a time, old or new.
    fn peer_takes_again(&self) -> bool {
        self.in_flight == 0 || self.peer_window > 0
    }

    fn may_send(&self) -> bool {
        self.in_flight < self.congestion.window().min(IN_FLIGHT_MAX)
    }

    /// With nothing underway one packet probes a closed window (RFC 9260 6.1 A).
    fn peer_has_room(&self) -> bool {
        self.in_flight == 0 || self.in_flight < self.peer_window
    }

    /// Appends chunks until `out` is as large as the path takes or nothing is left that may be sent.
    pub(super) fn fill(&mut self, out: &mut Vec<u8>, now: Instant) {
        let mtu = self.path_mtu.size();
        let start = out.len();
        let mut last_data = None;
        // A packet that is begun is filled: half a packet more than the window costs less than half a packet.
        let may_send = self.may_send();
        while may_send && self.peer_takes_again() {
            let Some(&tsn) = self.lost.first() else { break };
            let at = out.len();
            if !self.send_again(tsn, out, mtu, now) {
                break;
            }
            last_data = Some(at);
        }
        while self.lost.is_empty() && may_send && self.peer_has_room() {
            let at = out.len();
            if !self.send_next(out, mtu, now) {
                break;
            }
            last_data = Some(at);
        }
        if out.len() > start {
            self.packets += 1;
        }
        let Some(last_data) = last_data else { return };
        self.silent_since.get_or_insert(now);
        if self.t3.is_none() {
            self.t3 = Some(now + self.rto.now());
        }
        // The peer need not wait for more before it acknowledges (RFC 7053).
        if !self.can_send()
            && let Some(flags) = out.get_mut(last_data + 1)
        {
            *flags |= flag::IMMEDIATE;
        }
    }

    fn send_again(&mut self, tsn: u64, out: &mut Vec<u8>, mtu: usize, now: Instant) -> bool {
        let packet = self.packets;
        let Some(sent) = self.sent_mut(tsn) else {
            self.lost.remove(&tsn);
            return true;
        };
        // It cannot be cut anew: alone it is as small as can be.
        if out.len() > HEADER_LEN && out.len() + DATA_HEADER_LEN + sent.bytes.len() > mtu {
            return false;
        }
        sent.put(tsn, out);
        sent.end = out.len();
        (sent.state, sent.at, sent.packet) = (State::InFlight, now, packet);
        sent.times += 1;
        self.in_flight += sent.bytes.len();
        self.lost.remove(&tsn);
        true
    }

    fn send_next(&mut self, out: &mut Vec<u8>, mtu: usize, now: Instant) -> bool {
        self.drop_expired(now);
        let Some(&number) = self.ready.front() else { return false };
        let Some(stream) = self.streams.get_mut(&number) else { return false };
        let Some(message) = stream.queue.front_mut() else { return false };
        let room = mtu.saturating_sub(out.len() + DATA_HEADER_LEN) & !3;
        if room < message.bytes.len().min(FRAGMENT_MIN) {
            return false;
        }
        // What is soon given up need not get through whatever becomes of the path.
        let is_fleeting = self.partial_reliability && message.delivery.is_fleeting();
        let piece_max = if is_fleeting { room } else { self.path_mtu.piece_max() };
        let piece = room.min(piece_max).min(message.bytes.len());
        let bytes = message.bytes.split_to(piece);
        let unordered = message.delivery.unordered;
        let mut flags = if unordered { flag::UNORDERED } else { 0 };
        if !message.begun {
            flags |= flag::BEGIN;
            message.begun = true;
        }
        let ended = message.bytes.is_empty();
        if ended {
            flags |= flag::END;
        }
        let ssn = if unordered { 0 } else { stream.next_ssn };
        let (ppid, delivery) = (message.ppid, message.delivery);
        let sent = Sent {
            message: message.number,
            stream: number,
            ssn,
            ppid,
            flags,
            delivery,
            state: State::InFlight,
            times: 1,
            at: now,
            packet: self.packets,
            end: 0,
            bytes,
        };
        sent.put(self.next_tsn, out);
        let sent = Sent { end: out.len(), ..sent };
        self.next_tsn += 1;
        self.in_flight += sent.bytes.len();
        self.queued -= sent.bytes.len();
        stream.bytes -= sent.bytes.len();
        self.sent.push_back(sent);
        if ended {
            self.end_message(true);
        }
        true
    }

    /// The first message of the stream whose turn it is is done, `sent` or given up; the next stream has its turn.
    fn end_message(&mut self, sent: bool) {
        let Some(number) = self.ready.pop_front() else { return };
        let Some(stream) = self.streams.get_mut(&number) else { return };
        if let Some(message) = stream.queue.pop_front() {
            stream.bytes -= message.bytes.len();
            self.queued -= message.bytes.len();
            if (sent || message.begun) && !message.delivery.unordered {
                stream.next_ssn = stream.next_ssn.wrapping_add(1);
            }
        }
        if !stream.queue.is_empty() {
            self.ready.push_back(number);
        }
    }

    /// Messages whose time ran out before they were begun never existed.
    fn drop_expired(&mut self, now: Instant) {
        while let Some(message) =
            self.ready.front().and_then(|number| self.streams.get(number)?.queue.front())
        {
            let expired = message.delivery.expires.is_some_and(|expires| expires <= now);
            if !expired || message.begun || !self.partial_reliability {
                return;
            }
            self.end_message(false);
        }
    }

    fn sent_mut(&mut self, tsn: u64) -> Option<&mut Sent> {
        let index = tsn.checked_sub(self.acked + 1)?;
        self.sent.get_mut(usize::try_from(index).ok()?)
    }

    /// `false`: it acknowledges what was never sent.
    pub(super) fn handle_sack(&mut self, sack: &Sack<'_>, now: Instant) -> bool {
        let cumulative = unwrap(self.acked, sack.cumulative);
        if cumulative >= self.next_tsn {
            return false;
        }
        if cumulative < self.acked {
            return true;
        }
        let limited = self.in_flight * 2 >= self.congestion.window();
        let advanced = cumulative > self.acked;
        let mut news = News::default();
        while self.acked < cumulative {
            let Some(sent) = self.sent.pop_front() else { break };
            self.acked += 1;
            self.lost.remove(&self.acked);
            if sent.state == State::InFlight {
                self.in_flight -= sent.bytes.len();
            }
            if matches!(sent.state, State::InFlight | State::Lost) {
                news.take(&sent);
            }
        }
        self.take_gaps(sack, &mut news);
        self.peer_window = sack.window as usize;
        if news.bytes > 0 {
            self.path_mtu.arrived(news.end);
        }
        if let Some(at) = news.sent_at {
            self.rto.measured(now.saturating_duration_since(at));
        }
        self.newest_acked = self.newest_acked.max(news.newest_packet);
        if news.bytes > 0 || advanced {
            self.silent_since = (!self.sent.is_empty()).then_some(now);
            self.rto.progress();
        } else if self.peer_window == 0 {
            // It has no room, but it is there.
            self.silent_since = self.silent_since.map(|_| now);
        }
        let rtt = self.rto.smoothed().unwrap_or_default();
        self.congestion.acknowledged(news.bytes, cumulative, limited, rtt, now);
        if self.find_lost(now) {
            self.congestion.lost(self.next_tsn);
        }
        if self.sent.is_empty() {
            self.t3 = None;
        } else if advanced || news.bytes > 0 {
            self.t3 = Some(now + self.rto.now());
        }
        self.advance();
        true
    }

    /// Notes the blocks of a SACK; only what the one before did not report is looked at.
    fn take_gaps(&mut self, sack: &Sack<'_>, news: &mut News) {
        let before = std::mem::take(&mut self.gaps);
        let mut known = before.iter().copied().peekable();
        let mut gaps = Vec::with_capacity(before.len());
        let mut end = self.acked;
        for (first, last) in sack.gaps() {
            let (first, last) = (self.acked + u64::from(first), self.acked + u64::from(last));
            if first <= end || last < first || last >= self.next_tsn {
                break;
            }
            end = last;
            gaps.push((first, last));
            let mut tsn = first;
            while tsn <= last {
                while known.next_if(|known| known.1 < tsn).is_some() {}
                let stop = match known.peek() {
                    Some(known) if known.0 <= tsn => {
                        tsn = known.1 + 1;
                        continue;
                    }
                    Some(known) => last.min(known.0 - 1),
                    None => last,
                };
                for tsn in tsn..=stop {
                    self.take_gap(tsn, news);
                }
                tsn = stop + 1;
            }
        }
        self.gaps = gaps;
    }

    fn take_gap(&mut self, tsn: u64, news: &mut News) {
        let Some(sent) = self.sent_mut(tsn) else { return };
        let len = sent.bytes.len();
        let state = sent.state;
        if !matches!(state, State::InFlight | State::Lost) {
            return;
        }
        sent.state = State::Acked;
        news.take(sent);
        if state == State::InFlight {
            self.in_flight -= len;
        } else {
            self.lost.remove(&tsn);
        }
    }

    /// Looks for losses in the holes of the last SACK; says whether there were any.
    fn find_lost(&mut self, now: Instant) -> bool {
        let mut any = false;
        let mut hole = self.acked + 1;
        for index in 0..self.gaps.len() {
            let Some(&(first, last)) = self.gaps.get(index) else { break };
            for tsn in hole..first {
                let newest = self.newest_acked;
                let is_lost =
                    |sent: &mut Sent| sent.state == State::InFlight && sent.packet + REORDERING <= newest;
                if self.sent_mut(tsn).is_some_and(is_lost) {
                    self.lose(tsn, now);
                    any = true;
                }
            }
            hole = last + 1;
        }
        any
    }

    /// To be sent again, or given up.
    fn lose(&mut self, tsn: u64, now: Instant) {
        let partial_reliability = self.partial_reliability;
        let Some(sent) = self.sent_mut(tsn) else { return };
        let was_in_flight = sent.state == State::InFlight;
        let often = sent.times >= LOST_FOR_SIZE;
        let len = sent.bytes.len();
        sent.state = State::Lost;
        let given_up = partial_reliability
            && (sent.delivery.max_retransmits.is_some_and(|max| sent.times > u32::from(max))
                || sent.delivery.expires.is_some_and(|expires| expires <= now));
        if was_in_flight {
            self.in_flight -= len;
        }
        if often {
            self.path_mtu.suspect();
        }
        if given_up {
            self.abandon(tsn);
        } else {
            self.lost.insert(tsn);
        }
    }

    /// Gives up the message that this piece is of: all its pieces, sent or not (RFC 3758 3.5 A).
    fn abandon(&mut self, tsn: u64) {
        let Some(message) = self.sent_mut(tsn).map(|sent| sent.message) else { return };
        let mut first = tsn;
        while self.sent_mut(first - 1).is_some_and(|sent| sent.message == message) {
            first -= 1;
        }
        let mut tsn = first;
        while let Some(sent) = self.sent_mut(tsn).filter(|sent| sent.message == message) {
            let (state, len) = (sent.state, sent.bytes.len());
            sent.state = State::Abandoned;
            if state == State::InFlight {
                self.in_flight -= len;
            }
            self.lost.remove(&tsn);
            tsn += 1;
        }
        let current = self.ready.front().and_then(|number| self.streams.get(number)?.queue.front());
        if current.is_some_and(|current| current.number == message) {
            self.end_message(true);
        }
        self.advance();
    }

    /// RFC 3758 3.5 C.
    fn advance(&mut self) {
        self.advanced = self.advanced.max(self.acked);
        while self.sent_mut(self.advanced + 1).is_some_and(|sent| sent.state == State::Abandoned) {
            self.advanced += 1;
        }
        self.forward_due = self.advanced > self.acked;
    }

    /// FORWARD TSN, where one is due, as far as its list of streams finds room (RFC 3758 3.5 C): before a SACK, which can be shortened.
    pub(super) fn put_forward(&mut self, out: &mut Vec<u8>, mtu: usize) {
        let Some(room) = mtu.checked_sub(out.len() + 8).filter(|_| self.forward_due).map(|bytes| bytes / 4)
        else {
            return;
        };
        self.forward_due = false;
        let mut skips = BTreeMap::new();
        let mut upto = self.acked;
        let count = usize::try_from(self.advanced - self.acked).unwrap_or(usize::MAX);
        for sent in self.sent.iter().take(count) {
            if sent.flags & flag::UNORDERED == 0 {
                if skips.len() >= room && !skips.contains_key(&sent.stream) {
                    break;
                }
                skips.insert(sent.stream, sent.ssn);
            }
            upto += 1;
        }
        wire::put(out, kind::FORWARD_TSN, 0, |out| {
            out.extend_from_slice(&(upto as u32).to_be_bytes());
            for (stream, ssn) in skips {
                out.extend_from_slice(&stream.to_be_bytes());
                out.extend_from_slice(&ssn.to_be_bytes());
            }
        });
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.t3
    }

    /// Since when something is underway and nothing more of it was acknowledged.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        self.silent_since
    }

    /// T3 (RFC 9260 6.3.3): all that is underway is taken for lost. Says since when the peer is silent.
    pub(super) fn handle_timeout(&mut self, now: Instant) -> Option<Duration> {
        if self.t3.is_none_or(|t3| t3 > now) {
            return None;
        }
        // A packet that finds no room at the peer says nothing about the path.
        if self.peer_window > 0 {
            self.congestion.timed_out();
            self.path_mtu.suspect();
        }
        self.rto.back_off();
        self.lose_all(now);
        self.t3 = (!self.sent.is_empty()).then(|| now + self.rto.now());
        Some(now.saturating_duration_since(self.silent_since.unwrap_or(now)))
    }

    /// All that is underway is to be sent again.
    pub(super) fn lose_all(&mut self, now: Instant) {
        // The first one is missing by definition: if it is marked as arrived, the peer dropped what it had reported.
        let reneged = self.sent.front().is_some_and(|sent| sent.state == State::Acked);
        if reneged {
            self.gaps.clear();
        }
        for tsn in self.acked + 1..self.next_tsn {
            let affected =
                |sent: &mut Sent| sent.state == State::InFlight || (reneged && sent.state == State::Acked);
            if self.sent_mut(tsn).is_some_and(affected) {
                self.lose(tsn, now);
            }
        }
        self.advance();
    }

    /// Another path: what is underway may be lost, and the old timer says nothing about it. Where nothing was acknowledged for long the
    /// old path was dead: then it is lost.
    pub(super) fn path_changed(&mut self, rtt: Option<Duration>, now: Instant) {
        self.rto = Rto::new(rtt);
        self.path_mtu.path_changed();
        let rto = self.rto.now();
        if self.t3.is_some() {
            let is_lost =
                self.silent_since.is_some_and(|since| now.saturating_duration_since(since) > 2 * rto);
            self.t3 = Some(if is_lost { now } else { now + rto });
        }
    }
}

/// What a SACK acknowledges for the first time.
#[derive(Default)]
struct News {
    bytes: usize,
    newest_packet: u64,
    end: usize,
    /// When the newest piece that was sent only once was sent.
    sent_at: Option<Instant>,
}

impl News {
    fn take(&mut self, sent: &Sent) {
        self.bytes += sent.bytes.len();
        self.newest_packet = self.newest_packet.max(sent.packet);
        self.end = self.end.max(sent.end);
        if sent.times == 1 {
            self.sent_at = self.sent_at.max(Some(sent.at));
        }
    }
}

impl Sent {
    fn put(&self, tsn: u64, out: &mut Vec<u8>) {
        let data = Data {
            flags: self.flags,
            tsn: tsn as u32,
            stream: self.stream,
            ssn: self.ssn,
            ppid: self.ppid,
            payload: &self.bytes,
        };
        data.put(out);
    }
}
