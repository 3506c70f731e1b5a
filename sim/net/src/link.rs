//! Conditions of one direction of an interface's access link.
//!
//! ```text
//!  packet ─► queue (bytes, at most) ─► rate ─► loss ─► corruption, duplication ─► delay + jitter ─► segment or node
//!               └ full: dropped                                                     └ reordering: held back
//! ```

use std::time::{Duration, Instant};

use crate::random::{Chance, Random};

/// Which way through an access link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the host or router into the segment.
    Up,
    /// From the segment to the host or router.
    Down,
}

/// How one direction of an access link is. The default is perfect, with an MTU of 1500 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// How long a packet takes at least, once it was sent whole.
    pub delay: Duration,
    /// Up to so much is added to the delay, evenly.
    pub jitter: Duration,
    /// Whether jitter lets a packet overtake another.
    pub jitter_reorders: bool,
    /// How likely a packet is lost.
    pub loss: Chance,
    /// How likely it arrives twice.
    pub duplication: Chance,
    /// How likely a bit of its payload is flipped: whoever gets it sees a wrong checksum and drops it.
    pub corruption: Chance,
    /// How likely it is held back for [`Link::reordering_delay`], and others overtake it.
    pub reordering: Chance,
    /// How long.
    pub reordering_delay: Duration,
    /// Bits per second; `None`: no limit.
    pub rate_bps: Option<u64>,
    /// Bytes that may wait for a limited rate; what comes then is dropped (tail drop).
    pub queue_len_max: usize,
    /// The longest packet in bytes, IP header and all.
    pub mtu: u16,
    /// Whether longer packets vanish without the ICMP message that is due.
    pub blackhole: bool,
}

impl Default for Link {
    fn default() -> Link {
        Link {
            delay: Duration::ZERO,
            jitter: Duration::ZERO,
            jitter_reorders: false,
            loss: Chance::NEVER,
            duplication: Chance::NEVER,
            corruption: Chance::NEVER,
            reordering: Chance::NEVER,
            reordering_delay: Duration::from_millis(10),
            rate_bps: None,
            queue_len_max: 128 * 1024,
            mtu: 1500,
            blackhole: false,
        }
    }
}

impl Link {
    /// A perfect link but for its delay.
    pub fn delayed(delay: Duration) -> Link {
        Link { delay, ..Link::default() }
    }
}

/// Both directions of an access link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// From the host or router into the segment.
    pub up: Link,
    /// From the segment to the host or router.
    pub down: Link,
}

impl Access {
    /// The same conditions both ways.
    pub fn both(link: Link) -> Access {
        Access { up: link, down: link }
    }
}

/// What becomes of a packet in a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Passage {
    /// There was no room to wait.
    QueueFull,
    /// Lost on the way.
    Lost,
    /// It comes out, perhaps damaged, perhaps twice.
    Out { at: Instant, is_corrupted: bool, is_doubled: bool },
}

/// One direction of a link, with what is in it.
#[derive(Debug)]
pub(crate) struct LinkState {
    pub(crate) conditions: Link,
    /// Until when packets that came earlier keep the sender busy.
    busy_until: Instant,
    /// When the last packet comes out that kept its place.
    last_out: Instant,
}

impl LinkState {
    pub(crate) fn new(conditions: Link, now: Instant) -> LinkState {
        LinkState { conditions, busy_until: now, last_out: now }
    }

    /// A packet of `len` bytes goes in.
    pub(crate) fn carry(&mut self, len: usize, now: Instant, random: &mut Random) -> Passage {
        let link = self.conditions;
        let mut at = now;
        if let Some(rate_bps) = link.rate_bps {
            let waiting = self.busy_until.saturating_duration_since(now);
            let queued = waiting.as_nanos() * u128::from(rate_bps) / 8_000_000_000;
            if queued > 0 && queued + len as u128 > link.queue_len_max as u128 {
                return Passage::QueueFull;
            }
            let nanos = (len as u128 * 8_000_000_000).div_ceil(u128::from(rate_bps.max(1)));
            let nanos = u64::try_from(nanos).unwrap_or(u64::MAX / 4).min(u64::MAX / 4);
            self.busy_until = self.busy_until.max(now) + Duration::from_nanos(nanos);
            at = self.busy_until;
        }
        if random.happens(link.loss) {
            return Passage::Lost;
        }
        let is_corrupted = random.happens(link.corruption);
        let is_doubled = random.happens(link.duplication);
        at += link.delay + random.up_to(link.jitter);
        if random.happens(link.reordering) {
            at += link.reordering_delay;
        } else if !link.jitter_reorders {
            at = at.max(self.last_out);
            self.last_out = at;
        }
        Passage::Out { at, is_corrupted, is_doubled }
    }

    /// The link is plugged in anew: nothing is in it.
    pub(crate) fn clear(&mut self, now: Instant) {
        (self.busy_until, self.last_out) = (now, now);
    }
}
