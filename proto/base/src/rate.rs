//! A rate with a burst, in one `Instant` (the generic cell rate algorithm, ITU-T I.371).

use std::time::{Duration, Instant};

/// How much, how fast.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// Time that one unit takes to come back.
    pub interval: Duration,
    /// Units that may be spent at once.
    pub burst: u32,
}

impl Rate {
    /// `units` a minute, all of them at once if need be.
    #[must_use]
    pub fn per_minute(units: u32) -> Self {
        Self { interval: Duration::from_secs(60) / units.max(1), burst: units }
    }

    /// `units` a second, and `burst` at once.
    #[must_use]
    pub fn per_second(units: u32, burst: u32) -> Self {
        Self { interval: Duration::from_secs(1) / units.max(1), burst }
    }
}

/// What is spent of a [`Rate`]: the time at which all of it will have come back.
#[derive(Clone, Copy, Debug)]
pub struct Spent(Instant);

impl Spent {
    /// All may be spent.
    #[must_use]
    pub fn nothing(now: Instant) -> Self {
        Self(now)
    }

    /// Spends `units`.
    ///
    /// # Errors
    /// How long to wait for them.
    pub fn spend(&mut self, units: u32, rate: Rate, now: Instant) -> Result<(), Duration> {
        self.check(units, rate, now)?;
        self.spend_surely(units, rate, now);
        Ok(())
    }

    /// Whether `units` may be spent.
    ///
    /// # Errors
    /// How long to wait for them.
    pub fn check(&self, units: u32, rate: Rate, now: Instant) -> Result<(), Duration> {
        let full_at = self.0.max(now) + rate.interval * units;
        let wait = full_at.saturating_duration_since(now + rate.interval * rate.burst);
        if wait.is_zero() { Ok(()) } else { Err(wait) }
    }

    /// Spends `units` whether or not they are there: what is owed has to come back first.
    pub fn spend_surely(&mut self, units: u32, rate: Rate, now: Instant) {
        self.0 = self.0.max(now) + rate.interval * units;
    }

    /// Nothing is spent any more.
    #[must_use]
    pub fn is_full(self, now: Instant) -> bool {
        self.0 <= now
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_spent_and_comes_back_one_by_one() {
        let start = Instant::now_for_tests();
        let rate = Rate::per_minute(10);
        let mut spent = Spent::nothing(start);
        for _ in 0..10 {
            assert!(spent.spend(1, rate, start).is_ok());
        }
        assert_eq!(spent.spend(1, rate, start), Err(Duration::from_secs(6)));
        assert!(spent.spend(1, rate, start + Duration::from_secs(6)).is_ok());
        assert!(spent.spend(1, rate, start + Duration::from_secs(6)).is_err());
    }

    #[test]
    fn what_is_owed_comes_back_first() {
        let start = Instant::now_for_tests();
        let rate = Rate::per_minute(10);
        let mut spent = Spent::nothing(start);
        (0..15).for_each(|_| spent.spend_surely(1, rate, start));
        assert_eq!(spent.check(1, rate, start), Err(Duration::from_secs(36)));
        assert!(spent.check(1, rate, start + Duration::from_secs(36)).is_ok());
    }

    trait TestClock {
        fn now_for_tests() -> Self;
    }
    impl TestClock for Instant {
        #[allow(clippy::disallowed_methods)] // an arbitrary origin: only differences are looked at
        fn now_for_tests() -> Self {
            Self::now()
        }
    }
}
