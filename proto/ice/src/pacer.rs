//! Ta (RFC 8445 section 14.2): how often something may happen, with a burst at first and after a rest.

use std::time::{Duration, Instant};

/// A leaky bucket that remembers one instant.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pacer {
    interval: Duration,
    tolerance: Duration,
    next: Instant,
}

impl Pacer {
    /// `burst` at once, one per `interval` afterwards.
    pub fn new(burst: u32, interval: Duration, now: Instant) -> Pacer {
        Pacer { interval, tolerance: interval * burst.saturating_sub(1), next: now }
    }

    /// When the next one may happen.
    pub fn ready_at(&self) -> Instant {
        self.next.checked_sub(self.tolerance).unwrap_or(self.next)
    }

    /// Takes one, if it may happen now.
    pub fn take(&mut self, now: Instant) -> bool {
        if self.ready_at() > now {
            return false;
        }
        self.next = self.next.max(now) + self.interval;
        true
    }
}
