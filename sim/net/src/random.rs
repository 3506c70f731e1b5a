//! Chance, from one seed.

use std::time::Duration;

use rand_chacha::ChaCha8Rng;
use rand_core::{RngCore as _, SeedableRng as _};

/// All that is random in a network, in the order in which it is asked for.
#[derive(Debug)]
pub(crate) struct Random(ChaCha8Rng);

impl Random {
    pub(crate) fn new(seed: [u8; 32]) -> Random {
        Random(ChaCha8Rng::from_seed(seed))
    }

    /// Any number.
    pub(crate) fn word(&mut self) -> u64 {
        self.0.next_u64()
    }

    /// Below `end`; 0 if that is 0.
    pub(crate) fn below(&mut self, end: u32) -> u32 {
        // The highest of 2^32 draws is a little less likely: by less than one in 65,000 for a port.
        ((u64::from(self.0.next_u32()) * u64::from(end)) >> 32) as u32
    }

    /// Whether it happens. Nothing is drawn for what never or always does.
    pub(crate) fn happens(&mut self, chance: Chance) -> bool {
        match chance.0 {
            0 => false,
            Chance::ONE => true,
            chance => u64::from(self.0.next_u32()) < chance,
        }
    }

    /// From nothing to `max`.
    pub(crate) fn up_to(&mut self, max: Duration) -> Duration {
        if max.is_zero() {
            return max;
        }
        let nanos = (u128::from(self.0.next_u64()) * (max.as_nanos() + 1)) >> 64;
        Duration::from_nanos(nanos as u64)
    }
}

/// How likely something is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chance(u64);

impl Chance {
    const ONE: u64 = 1 << 32;

    /// It does not happen.
    pub const NEVER: Chance = Chance(0);

    /// It happens each time.
    pub const ALWAYS: Chance = Chance(Chance::ONE);

    /// So many of a hundred; less than 0 is 0, more than 100 is 100.
    pub fn percent(percent: f64) -> Chance {
        // A float that is out of range becomes the nearest integer, and NaN becomes 0.
        Chance(((percent / 100.0 * Chance::ONE as f64) as u64).min(Chance::ONE))
    }
}
