//! What has arrived: which TSNs, which messages are whole, and what to acknowledge (RFC 9260 6.2, 6.5, 6.9; RFC 3758 3.6).
//!
//! Numbers are kept unwrapped, as `u64`, so that they compare plainly.

use std::collections::BTreeMap;
use std::time::Instant;

use bytes::Bytes;

use super::limits::{
    FRAGMENT_OVERHEAD, GAPS_MAX, MESSAGE_LEN_MAX, RECEIVE_WINDOW, SACK_DELAY, TSN_AHEAD_MAX,
};
use super::wire::{self, Data, flag, kind};
use super::{Message, Violation, unwrap};

/// Duplicates reported in one SACK.
const DUPLICATES_MAX: usize = 8;

pub(super) struct Inbound {
    /// All up to here arrived.
    cumulative: u64,
    /// What arrived beyond, in order and disjoint.
    ranges: Vec<(u64, u64)>,
    duplicates: Vec<u32>,
    /// Messages in pieces, by the TSN of the first piece held.
    runs: BTreeMap<u64, Run>,
    streams: BTreeMap<u16, Stream>,
    /// Bytes of `runs` and of messages that wait for their turn.
    buffered: usize,
    /// Bytes of messages that were handed on, and that nobody has read.
    unread: usize,
    /// The window that the peer was told last.
    told: usize,
    ack: Ack,
}

/// Consecutive pieces of one message.
struct Run {
    last: u64,
    stream: u16,
    ssn: u16,
    ppid: u32,
    flags: u8,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Stream {
    next_ssn: u16,
    waiting: BTreeMap<u16, Message>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ack {
    Idle,
    /// One packet is not acknowledged yet.
    Delayed(Instant),
    Now,
}

impl Inbound {
    pub(super) fn new(first_tsn: u32) -> Self {
        Self {
            // Far from zero, so that what is older than the first can be told.
            cumulative: (1 << 32 | u64::from(first_tsn)) - 1,
            ranges: Vec::new(),
            duplicates: Vec::new(),
            runs: BTreeMap::new(),
            streams: BTreeMap::new(),
            buffered: 0,
            unread: 0,
            told: RECEIVE_WINDOW,
            ack: Ack::Idle,
        }
    }

    pub(super) fn cumulative(&self) -> u64 {
        self.cumulative
    }

    pub(super) fn window(&self) -> u32 {
        u32::try_from(self.room()).unwrap_or(u32::MAX)
    }

    fn room(&self) -> usize {
        RECEIVE_WINDOW.saturating_sub(self.buffered + self.unread)
    }

    /// How much was handed on and is not read yet. A peer that waits learns that there is room again.
    pub(super) fn set_unread(&mut self, bytes: usize) {
        self.unread = bytes;
        if self.told < RECEIVE_WINDOW / 2 && self.room() >= self.told + RECEIVE_WINDOW / 4 {
            self.ack = Ack::Now;
        }
    }

    /// Takes a DATA chunk; messages that are whole and in turn are appended to `messages`. `false`: dropped, for want of room.
    pub(super) fn handle_data(
        &mut self,
        data: &Data<'_>,
        messages: &mut Vec<Message>,
    ) -> Result<bool, Violation> {
        let tsn = unwrap(self.cumulative, data.tsn);
        if tsn <= self.cumulative || self.position(tsn).is_ok() {
            if self.duplicates.len() < DUPLICATES_MAX {
                self.duplicates.push(data.tsn);
            }
            self.ack = Ack::Now;
            return Ok(true);
        }
        let expected = tsn == self.cumulative + 1;
        let no_room = self.room() == 0 || self.ranges.len() >= GAPS_MAX;
        // What is missing is taken all the same: it makes room. It makes none where nobody reads.
        let nobody_reads = self.unread >= RECEIVE_WINDOW;
        if tsn > self.cumulative + TSN_AHEAD_MAX || (no_room && !expected) || nobody_reads {
            self.ack = Ack::Now;
            return Ok(false);
        }
        if self.buffered >= 2 * RECEIVE_WINDOW {
            return Err(Violation);
        }
        if data.flags & flag::IMMEDIATE != 0 || !expected || !self.ranges.is_empty() {
            self.ack = Ack::Now;
        }
        self.note(tsn);
        self.assemble(tsn, data, messages)?;
        Ok(true)
    }

    /// The range that holds `tsn`, or where one would have to stand.
    fn position(&self, tsn: u64) -> Result<usize, usize> {
        let index = self.ranges.partition_point(|&(_, last)| last < tsn);
        match self.ranges.get(index) {
            Some(&(first, _)) if first <= tsn => Ok(index),
            _ => Err(index),
        }
    }

    fn note(&mut self, tsn: u64) {
        if tsn == self.cumulative + 1 {
            self.cumulative = tsn;
            return self.absorb();
        }
        let Err(index) = self.position(tsn) else { return };
        let follows = index
            .checked_sub(1)
            .filter(|&before| self.ranges.get(before).is_some_and(|range| range.1 + 1 == tsn));
        let precedes = self.ranges.get(index).is_some_and(|range| range.0 == tsn + 1);
        match (follows, precedes) {
            (Some(before), true) => {
                let (_, last) = self.ranges.remove(index);
                if let Some(range) = self.ranges.get_mut(before) {
                    range.1 = last;
                }
            }
            (Some(before), false) => {
                if let Some(range) = self.ranges.get_mut(before) {
                    range.1 = tsn;
                }
            }
            (None, true) => {
                if let Some(range) = self.ranges.get_mut(index) {
                    range.0 = tsn;
                }
            }
            (None, false) => self.ranges.insert(index, (tsn, tsn)),
        }
    }

    /// Moves the cumulative TSN over the ranges that touch it.
    fn absorb(&mut self) {
        let touching = self.ranges.partition_point(|&(first, _)| first <= self.cumulative + 1);
        for (_, last) in self.ranges.drain(..touching) {
            self.cumulative = self.cumulative.max(last);
        }
        if touching > 0 {
            self.absorb();
        }
    }

    fn assemble(&mut self, tsn: u64, data: &Data<'_>, messages: &mut Vec<Message>) -> Result<(), Violation> {
        let (begins, ends) = (data.flags & flag::BEGIN != 0, data.flags & flag::END != 0);
        if begins && ends {
            let bytes = Bytes::copy_from_slice(data.payload);
            let message = Message { stream: data.stream, ppid: data.ppid, bytes };
            self.finish(data.flags, data.ssn, message, messages);
            return Ok(());
        }
        let before = self.runs.range(..tsn).next_back();
        let start =
            match before.filter(|(_, run)| !begins && run.last + 1 == tsn && run.flags & flag::END == 0) {
                Some((&start, run)) if run.same_message(data) => start,
                Some(_) => return Err(Violation),
                None => tsn,
            };
        let run = self.runs.entry(start).or_insert_with(|| Run::new(data));
        run.last = tsn;
        run.flags |= data.flags & flag::END;
        run.bytes.extend_from_slice(data.payload);
        self.buffered += data.payload.len() + FRAGMENT_OVERHEAD;
        if !ends {
            self.join(start, tsn + 1)?;
        }
        let Some(run) = self.runs.get(&start) else { return Ok(()) };
        if run.bytes.len() > MESSAGE_LEN_MAX {
            return Err(Violation);
        }
        if run.flags & (flag::BEGIN | flag::END) == flag::BEGIN | flag::END {
            let run = self.runs.remove(&start).unwrap_or_else(|| Run::new(data));
            self.forget(start, &run);
            let message = Message { stream: run.stream, ppid: run.ppid, bytes: run.bytes.into() };
            self.finish(run.flags, run.ssn, message, messages);
        }
        Ok(())
    }

    /// Appends the run that begins at `next` to the one that begins at `start`, if it goes on with the same message.
    fn join(&mut self, start: u64, next: u64) -> Result<(), Violation> {
        let Some(tail) = self.runs.get(&next).filter(|tail| tail.flags & flag::BEGIN == 0) else {
            return Ok(());
        };
        let Some(head) = self.runs.get(&start) else { return Ok(()) };
        if (head.stream, head.ssn, head.flags & flag::UNORDERED)
            != (tail.stream, tail.ssn, tail.flags & flag::UNORDERED)
        {
            return Err(Violation);
        }
        if let (Some(tail), Some(head)) = (self.runs.remove(&next), self.runs.get_mut(&start)) {
            head.last = tail.last;
            head.flags |= tail.flags & flag::END;
            head.bytes.extend_from_slice(&tail.bytes);
        }
        Ok(())
    }

    fn forget(&mut self, start: u64, run: &Run) {
        let pieces = usize::try_from(run.last - start + 1).unwrap_or(usize::MAX);
        self.buffered =
            self.buffered.saturating_sub(run.bytes.len() + pieces.saturating_mul(FRAGMENT_OVERHEAD));
    }

    /// A whole message: out at once, or when its turn comes.
    fn finish(&mut self, flags: u8, ssn: u16, message: Message, messages: &mut Vec<Message>) {
        if flags & flag::UNORDERED != 0 {
            return messages.push(message);
        }
        let stream = self.streams.entry(message.stream).or_default();
        if ssn != stream.next_ssn {
            self.buffered += message.bytes.len() + FRAGMENT_OVERHEAD;
            if let Some(replaced) = stream.waiting.insert(ssn, message) {
                self.buffered = self.buffered.saturating_sub(replaced.bytes.len() + FRAGMENT_OVERHEAD);
            }
            return;
        }
        stream.next_ssn = ssn.wrapping_add(1);
        messages.push(message);
        self.buffered = self.buffered.saturating_sub(stream.release(messages));
    }

    /// FORWARD TSN (RFC 3758 3.6): the peer gave up what is missing up to `tsn`, and in these streams up to these messages.
    pub(super) fn handle_forward(
        &mut self,
        tsn: u32,
        skips: impl Iterator<Item = (u16, u16)>,
        messages: &mut Vec<Message>,
    ) {
        self.ack = Ack::Now;
        let tsn = unwrap(self.cumulative, tsn);
        if tsn <= self.cumulative || tsn > self.cumulative + TSN_AHEAD_MAX {
            return;
        }
        let gone: Vec<u64> = self.runs.range(..=tsn).map(|(&start, _)| start).collect();
        for start in gone {
            if let Some(run) = self.runs.remove(&start) {
                self.forget(start, &run);
            }
        }
        self.cumulative = tsn;
        self.absorb();
        for (stream, ssn) in skips {
            let stream = self.streams.entry(stream).or_default();
            let next = ssn.wrapping_add(1);
            if next.wrapping_sub(stream.next_ssn) >= 1 << 15 {
                continue;
            }
            self.buffered = self.buffered.saturating_sub(stream.skip_to(next, messages));
        }
    }

    /// The peer's outgoing streams start anew (RFC 6525 5.2.2).
    pub(super) fn reset(&mut self, stream: u16) {
        if let Some(stream) = self.streams.remove(&stream) {
            let held = stream.waiting.values().map(|message| message.bytes.len() + FRAGMENT_OVERHEAD).sum();
            self.buffered = self.buffered.saturating_sub(held);
        }
    }

    /// After all chunks of a packet with DATA: every second packet is acknowledged at once.
    pub(super) fn packet_ended(&mut self, now: Instant) {
        self.ack = match self.ack {
            Ack::Idle => Ack::Delayed(now + SACK_DELAY),
            Ack::Delayed(_) | Ack::Now => Ack::Now,
        };
    }

    pub(super) fn ack_at(&self) -> Option<Instant> {
        match self.ack {
            Ack::Delayed(at) => Some(at),
            Ack::Idle | Ack::Now => None,
        }
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if self.ack_at().is_some_and(|at| at <= now) {
            self.ack = Ack::Now;
        }
    }

    pub(super) fn wants_ack(&self) -> bool {
        self.ack == Ack::Now
    }

    /// Whether a packet that goes out anyway should carry a SACK.
    pub(super) fn has_ack(&self) -> bool {
        self.ack != Ack::Idle
    }

    /// Writes a SACK of at most `room` bytes.
    pub(super) fn put_sack(&mut self, out: &mut Vec<u8>, room: usize) {
        let window = self.window();
        self.told = self.room();
        let blocks = self.ranges.len().min(room.saturating_sub(16) / 4);
        let duplicates = self.duplicates.len().min(room.saturating_sub(16 + blocks * 4) / 4);
        wire::put(out, kind::SACK, 0, |out| {
            out.extend_from_slice(&(self.cumulative as u32).to_be_bytes());
            out.extend_from_slice(&window.to_be_bytes());
            out.extend_from_slice(&(blocks as u16).to_be_bytes());
            out.extend_from_slice(&(duplicates as u16).to_be_bytes());
            for &(first, last) in self.ranges.iter().take(blocks) {
                // TSN_AHEAD_MAX keeps both within 16 bits.
                out.extend_from_slice(&((first - self.cumulative) as u16).to_be_bytes());
                out.extend_from_slice(&((last - self.cumulative) as u16).to_be_bytes());
            }
            self.duplicates
                .drain(..)
                .take(duplicates)
                .for_each(|tsn| out.extend_from_slice(&tsn.to_be_bytes()));
        });
        self.ack = Ack::Idle;
    }
}

impl Run {
    fn new(data: &Data<'_>) -> Self {
        Self {
            last: 0,
            stream: data.stream,
            ssn: data.ssn,
            ppid: data.ppid,
            flags: data.flags,
            bytes: Vec::new(),
        }
    }

    fn same_message(&self, data: &Data<'_>) -> bool {
        (self.stream, self.ssn, self.flags & flag::UNORDERED)
            == (data.stream, data.ssn, data.flags & flag::UNORDERED)
    }
}

impl Stream {
    /// Lets out what waits before `next`, for it is whole and still good, and goes on from there; returns the bytes that this frees.
    fn skip_to(&mut self, next: u16, messages: &mut Vec<Message>) -> usize {
        let from = self.next_ssn;
        // Message numbers wrap: from one end of them to the other.
        let (first, rest) = if from <= next { (from..next, 0..0) } else { (from..u16::MAX, 0..next) };
        let last = (from > next).then_some(u16::MAX);
        let whole = |range| self.waiting.range::<u16, _>(range).map(|(&ssn, _)| ssn);
        let skipped: Vec<u16> = whole(first).chain(last).chain(whole(rest)).collect();
        let mut freed = 0;
        for message in skipped.into_iter().filter_map(|ssn| self.waiting.remove(&ssn)) {
            freed += message.bytes.len() + FRAGMENT_OVERHEAD;
            messages.push(message);
        }
        self.next_ssn = next;
        freed + self.release(messages)
    }

    /// Lets out what is next in turn; returns the bytes that this frees.
    fn release(&mut self, messages: &mut Vec<Message>) -> usize {
        let mut freed = 0;
        while let Some(message) = self.waiting.remove(&self.next_ssn) {
            self.next_ssn = self.next_ssn.wrapping_add(1);
            freed += message.bytes.len() + FRAGMENT_OVERHEAD;
            messages.push(message);
        }
        freed
    }
}

/// Gap blocks count in 16 bits.
const _: () = assert!(TSN_AHEAD_MAX <= u16::MAX as u64);
