//! Unix time, from the last value that was passed in and the time that has passed since.

use std::time::{Duration, Instant};

/// Two names for one moment.
pub(super) struct Clock {
    pub start: Instant,
    pub unix_at_start: Duration,
}

impl Clock {
    /// The wall clock says so now: it may have been put right, or the machine may have slept.
    pub fn set(&mut self, unix: Duration, now: Instant) {
        self.unix_at_start = unix.saturating_sub(now.saturating_duration_since(self.start));
    }

    /// Unix seconds at `now`.
    pub fn unix_s(&self, now: Instant) -> u64 {
        (self.unix_at_start + now.saturating_duration_since(self.start)).as_secs()
    }

    /// The moment at which Unix time is `unix_s`; the start, if that is past.
    pub fn instant(&self, unix_s: u64) -> Instant {
        self.start + Duration::from_secs(unix_s).saturating_sub(self.unix_at_start)
    }
}
