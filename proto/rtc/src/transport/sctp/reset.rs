//! Streams that start anew (RFC 6525): how a data channel is closed (RFC 8831 6.7).

use std::collections::BTreeSet;
use std::time::Instant;

use super::inbound::Inbound;
use super::outbound::Outbound;
use super::unwrap;
use super::wire::{self, Parameters, halves, kind, parameter, word};

/// Results in a response (RFC 6525 4.4).
mod result {
    pub const NOTHING_TO_DO: u32 = 0;
    pub const PERFORMED: u32 = 1;
    pub const DENIED: u32 = 2;
    pub const BAD_SEQUENCE: u32 = 5;
    pub const IN_PROGRESS: u32 = 6;
}

/// Streams in one request: as many as surely fit a packet.
const STREAMS_MAX: usize = 500;

pub(super) struct Reset {
    /// Ours, that shall be reset when drained.
    wanted: BTreeSet<u16>,
    request: Option<Request>,
    next_sequence: u32,
    expected_sequence: u32,
    /// The peer's last request: its number, what we said, and what it waits for.
    last: Option<Last>,
}

struct Request {
    sequence: u32,
    last_tsn: u64,
    streams: Vec<u16>,
    due: bool,
    again_at: Option<Instant>,
}

struct Last {
    sequence: u32,
    result: u32,
    tsn: u64,
    streams: Vec<u16>,
}

/// What became of streams.
#[derive(Default)]
pub(super) struct Done {
    /// The peer starts these anew.
    pub(super) incoming: Vec<u16>,
    /// Ours start anew: the peer knows.
    pub(super) outgoing: Vec<u16>,
}

impl Reset {
    pub(super) fn new() -> Self {
        Self { wanted: BTreeSet::new(), request: None, next_sequence: 0, expected_sequence: 0, last: None }
    }

    /// Requests are numbered from the first TSN (RFC 6525 4.1).
    pub(super) fn begin(&mut self, our_tsn: u32, peer_tsn: u32) {
        (self.next_sequence, self.expected_sequence) = (our_tsn, peer_tsn);
    }

    pub(super) fn want(&mut self, stream: u16) {
        self.wanted.insert(stream);
    }

    /// Whether a stream is being reset by us.
    pub(super) fn is_underway(&self, stream: u16) -> bool {
        self.wanted.contains(&stream)
            || self.request.as_ref().is_some_and(|request| request.streams.contains(&stream))
    }

    /// Makes a request of what is drained, one at a time (RFC 6525 5.1.1).
    pub(super) fn progress(&mut self, outbound: &Outbound) {
        if self.request.is_some() || self.wanted.is_empty() {
            return;
        }
        let drained = self.wanted.iter().copied().filter(|&stream| outbound.is_drained(stream));
        let streams: Vec<u16> = drained.take(STREAMS_MAX).collect();
        if streams.is_empty() {
            return;
        }
        streams.iter().for_each(|stream| _ = self.wanted.remove(stream));
        let sequence = self.take_sequence();
        self.request =
            Some(Request { sequence, last_tsn: outbound.last_tsn(), streams, due: true, again_at: None });
    }

    fn take_sequence(&mut self) -> u32 {
        let sequence = self.next_sequence;
        self.next_sequence = sequence.wrapping_add(1);
        sequence
    }

    pub(super) fn is_due(&self) -> bool {
        self.request.as_ref().is_some_and(|request| request.due)
    }

    pub(super) fn put_request(&mut self, out: &mut Vec<u8>, again_at: Instant) {
        let Some(request) = &mut self.request else { return };
        (request.due, request.again_at) = (false, Some(again_at));
        let response = self.expected_sequence.wrapping_sub(1);
        wire::put(out, kind::RE_CONFIG, 0, |out| {
            wire::put_parameter(out, parameter::OUTGOING_RESET, |out| {
                out.extend_from_slice(&request.sequence.to_be_bytes());
                out.extend_from_slice(&response.to_be_bytes());
                out.extend_from_slice(&(request.last_tsn as u32).to_be_bytes());
                request.streams.iter().for_each(|stream| out.extend_from_slice(&stream.to_be_bytes()));
            });
        });
    }

    /// A RE-CONFIG chunk. Responses are appended to `out`.
    pub(super) fn handle(&mut self, value: &[u8], inbound: &mut Inbound, out: &mut Vec<u8>, done: &mut Done) {
        for (kind, value) in Parameters(value) {
            let Some((sequence, rest)) = word(value) else { continue };
            let result = match kind {
                parameter::OUTGOING_RESET => self.handle_outgoing(sequence, rest, inbound, done),
                parameter::INCOMING_RESET => self.answer(sequence, result::DENIED),
                // All streams that there can be are there.
                parameter::ADD_OUTGOING | parameter::ADD_INCOMING => self.answer(sequence, result::PERFORMED),
                parameter::RESPONSE => {
                    self.handle_response(sequence, rest, done);
                    continue;
                }
                _ => continue,
            };
            put_response(out, sequence, result);
        }
    }

    /// A request that needs no work.
    fn answer(&mut self, sequence: u32, result: u32) -> u32 {
        match &self.last {
            Some(last) if last.sequence == sequence => last.result,
            _ if sequence != self.expected_sequence => result::BAD_SEQUENCE,
            _ => {
                self.expected_sequence = sequence.wrapping_add(1);
                self.last = Some(Last { sequence, result, tsn: 0, streams: Vec::new() });
                result
            }
        }
    }

    fn handle_outgoing(&mut self, sequence: u32, rest: &[u8], inbound: &mut Inbound, done: &mut Done) -> u32 {
        let Some((_, rest)) = word(rest) else { return result::DENIED };
        let Some((tsn, streams)) = word(rest) else { return result::DENIED };
        if sequence == self.expected_sequence {
            self.expected_sequence = sequence.wrapping_add(1);
            let streams: BTreeSet<u16> = halves(streams).collect();
            self.last = Some(Last {
                sequence,
                result: result::IN_PROGRESS,
                tsn: unwrap(inbound.cumulative(), tsn),
                streams: streams.into_iter().collect(),
            });
        }
        self.perform(inbound, done);
        match &self.last {
            Some(last) if last.sequence == sequence => last.result,
            _ => result::BAD_SEQUENCE,
        }
    }

    /// Performs what the peer asked for, once all that it sent before has arrived; says whether it did.
    fn perform(&mut self, inbound: &mut Inbound, done: &mut Done) -> bool {
        let Some(last) = &mut self.last else { return false };
        if last.result != result::IN_PROGRESS || last.tsn > inbound.cumulative() {
            return false;
        }
        last.result = if last.streams.is_empty() { result::NOTHING_TO_DO } else { result::PERFORMED };
        for stream in std::mem::take(&mut last.streams) {
            inbound.reset(stream);
            done.incoming.push(stream);
        }
        true
    }

    /// After DATA: a reset that waited for it may be due. The response is appended to `out`.
    pub(super) fn received(&mut self, inbound: &mut Inbound, out: &mut Vec<u8>, done: &mut Done) {
        if self.perform(inbound, done)
            && let Some(last) = &self.last
        {
            put_response(out, last.sequence, last.result);
        }
    }

    fn handle_response(&mut self, sequence: u32, rest: &[u8], done: &mut Done) {
        let Some((result, _)) = word(rest) else { return };
        if self.request.as_ref().is_none_or(|request| request.sequence != sequence) {
            return;
        }
        if result == result::IN_PROGRESS {
            // Asked again under a new number: some peers answer a number once and for all.
            let sequence = self.take_sequence();
            if let Some(request) = &mut self.request {
                request.sequence = sequence;
            }
            return;
        }
        // A refused reset leaves nothing to be done: the stream is not used again by the peer's will.
        if let Some(request) = self.request.take() {
            done.outgoing.extend(request.streams);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.request.as_ref().and_then(|request| request.again_at)
    }

    pub(super) fn handle_timeout(&mut self, now: Instant) {
        if let Some(request) = &mut self.request
            && request.again_at.is_some_and(|at| at <= now)
        {
            (request.due, request.again_at) = (true, None);
        }
    }
}

fn put_response(out: &mut Vec<u8>, sequence: u32, result: u32) {
    wire::put(out, kind::RE_CONFIG, 0, |out| {
        wire::put_parameter(out, parameter::RESPONSE, |out| {
            out.extend_from_slice(&sequence.to_be_bytes());
            out.extend_from_slice(&result.to_be_bytes());
        });
    });
}
