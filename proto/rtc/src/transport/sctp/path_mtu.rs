//! How large a packet the path lets through (RFC 8899; RFC 9260 8.3 has the probe, a HEARTBEAT filled up to the size in question).
//!
//! ```text
//! start: 1,200 bytes with all headers (RFC 8831 5) ── T3, or a piece lost three times ──► BASE
//!   ▲                                                                                     │ something arrived
//!   └───────────── the largest probe that was answered ◄── a probe of each size above ◄───┘
//! ```
//!
//! A piece that has its number cannot be cut anew, so pieces are made small enough to get through one by one where two or three of them
//! make a packet: a path that shrinks goes on. Probes go out while there is something to send that would fill them; they need no timer.

use std::time::{Duration, Instant};

use super::wire::{self, DATA_HEADER_LEN, HEADER_LEN, kind};

/// Sizes in question, bytes of an SCTP packet; the ceiling comes on top. With DTLS, UDP and IPv4: 1,228 bytes; with four bytes of TURN, too:
/// 1,200, 1,100, 1,000 and 800.
const STEPS: [usize; 5] = [1_160, START, 1_020, 920, 720];
const START: usize = 1_128;
/// What any path lets through: 576 bytes of IPv4, with a relay in between.
const BASE: usize = 472;
/// From here on two pieces make a packet.
const PROVEN_MIN: usize = 1_000;
/// Pauses between bursts of probes that did not reach the ceiling.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(1), Duration::from_secs(5), Duration::from_secs(30), Duration::from_secs(120)];
/// Type of the Heartbeat Info parameter.
const HEARTBEAT_INFO: u16 = 1;

pub(super) struct PathMtu {
    ceiling: usize,
    /// A packet has at most so many bytes, unless one piece alone has more.
    size: usize,
    /// So many bytes of one packet arrived.
    proven: usize,
    /// Sizes for which probes are still to be sent.
    due: Vec<usize>,
    /// The burst that is underway, so that answers to earlier ones say nothing about this path.
    burst: u32,
    bursts: usize,
    next_at: Option<Instant>,
    /// Nothing arrived since it went down.
    in_doubt: bool,
}

impl PathMtu {
    pub(super) fn new(ceiling: usize) -> Self {
        let size = ceiling.min(START);
        let due = Vec::new();
        Self { ceiling, size, proven: 0, due, burst: 0, bursts: 0, next_at: None, in_doubt: false }
    }

    /// DTLS needs less than was thought, or more.
    pub(super) fn set_ceiling(&mut self, ceiling: usize) {
        self.ceiling = ceiling;
        self.size = self.size.min(ceiling);
    }

    pub(super) fn size(&self) -> usize {
        self.size
    }

    /// Bytes of a message in one piece, at most.
    pub(super) fn piece_max(&self) -> usize {
        let pieces = match self.size {
            PROVEN_MIN.. if self.proven >= PROVEN_MIN => 2,
            PROVEN_MIN.. => 3,
            _ => 1,
        };
        let piece = (self.size.saturating_sub(HEADER_LEN) / pieces) & !3;
        piece.saturating_sub(DATA_HEADER_LEN).max(DATA_HEADER_LEN)
    }

    /// A piece arrived that ended so far in its packet.
    pub(super) fn arrived(&mut self, end: usize) {
        self.in_doubt = false;
        self.proven = self.proven.max(end);
    }

    /// Packets vanish, and perhaps for their size.
    pub(super) fn suspect(&mut self) {
        if self.size <= BASE {
            return;
        }
        self.size = BASE;
        self.in_doubt = true;
        self.forget();
    }

    /// Another path: what is known of the old one says nothing about it.
    pub(super) fn path_changed(&mut self) {
        self.forget();
    }

    fn forget(&mut self) {
        self.proven = 0;
        self.due.clear();
        self.burst = self.burst.wrapping_add(1);
        (self.bursts, self.next_at) = (0, None);
    }

    /// Whether a probe is to be sent, where `waiting` bytes wait to be.
    pub(super) fn wants_probe(&mut self, waiting: usize, now: Instant) -> bool {
        if self.size >= self.ceiling || waiting <= self.size || self.in_doubt {
            return false;
        }
        if self.due.is_empty() && self.next_at.is_none_or(|at| at <= now) {
            let steps = STEPS.into_iter().filter(|step| *step < self.ceiling);
            self.due = steps.chain([self.ceiling]).filter(|step| *step > self.size).collect();
            self.due.sort_unstable();
            let pause = PAUSES.get(self.bursts).or(PAUSES.last()).copied().unwrap_or_default();
            self.bursts += 1;
            self.next_at = Some(now + pause);
        }
        !self.due.is_empty()
    }

    /// Appends a probe to a packet that has a header alone.
    pub(super) fn put_probe(&mut self, out: &mut Vec<u8>) {
        let Some(size) = self.due.pop() else { return };
        let (burst, end) = (self.burst, size.saturating_sub(HEADER_LEN + 4 + 4 + 8) + out.len() + 4 + 4 + 8);
        wire::put(out, kind::HEARTBEAT, 0, |out| {
            wire::put_parameter(out, HEARTBEAT_INFO, |out| {
                out.extend_from_slice(&burst.to_be_bytes());
                out.extend_from_slice(&(size as u32).to_be_bytes());
                out.resize(end, 0);
            });
        });
    }

    /// A HEARTBEAT ACK came; it holds what the probe held.
    pub(super) fn handle_answer(&mut self, value: &[u8]) {
        let Some((HEARTBEAT_INFO, info)) = wire::Parameters(value).next() else { return };
        let Some((burst, size)) =
            wire::word(info).and_then(|(burst, rest)| Some((burst, wire::word(rest)?.0)))
        else {
            return;
        };
        let size = size as usize;
        let is_ours = burst == self.burst && size <= self.ceiling;
        if is_ours && info.len() + HEADER_LEN + 8 >= size && size > self.size {
            self.size = size;
            self.proven = self.proven.max(size);
            self.due.retain(|step| *step > size);
        }
    }
}
