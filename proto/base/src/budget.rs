//! What each household has spent of what it may over time, in a table that does not grow with who comes.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::ops::Bound;
use std::time::{Duration, Instant};

use crate::household::{Household, Site};
use crate::rate::{Rate, Spent};

/// A site (an IPv6 /48) may spend so many times what a household may.
const SITE: u32 = 4;
/// Rows looked at for each one that is asked for, so that those with nothing to remember go.
const SWEPT_EACH: usize = 4;
/// Households, and sites, of which it is remembered what they have spent; beyond, one is forgotten for each that comes.
const REMEMBERED_MAX: usize = 32_768;

/// How fast households may spend, each and together.
#[derive(Clone, Copy, Debug)]
pub struct Allowance {
    /// Of one household; of a site four times as much.
    pub each: Rate,
    /// Units that a household may spend though all together have spent too much: it has not spent more than that lately.
    pub first: u32,
    /// Of all together.
    pub all: Rate,
}

/// What households have spent of an [`Allowance`].
#[derive(Clone, Debug)]
pub struct Budget {
    allowance: Allowance,
    households: Rows<Household>,
    sites: Rows<Site>,
    all: Spent,
}

impl Budget {
    /// Nobody has spent anything.
    #[must_use]
    pub fn new(allowance: Allowance, now: Instant) -> Self {
        Self { allowance, households: Rows::new(), sites: Rows::new(), all: Spent::nothing(now) }
    }

    /// Spends `units` of `address`, and says how long to wait until they are there.
    ///
    /// # Errors
    /// How long to wait where that is more than `patience`: then nothing is spent.
    pub fn spend(
        &mut self,
        address: IpAddr,
        units: u32,
        patience: Duration,
        now: Instant,
    ) -> Result<Duration, Duration> {
        let Allowance { each, first, all } = self.allowance;
        let together = Rate { interval: each.interval / SITE, burst: each.burst.saturating_mul(SITE) };
        let household = self.households.spent(address.into(), now);
        let mut site = address.to_canonical().is_ipv6().then(|| self.sites.spent(Site::from(address), now));
        let wait_of = |spent: &Spent, rate| spent.check(units, rate, now).err().unwrap_or_default();
        let mut wait = wait_of(household, each);
        if let Some(site) = &site {
            wait = wait.max(wait_of(site, together));
        }
        if household.check(units, Rate { burst: first, ..each }, now).is_err() {
            wait = wait.max(wait_of(&self.all, all));
        }
        if wait > patience {
            return Err(wait);
        }
        household.spend_surely(units, each, now);
        if let Some(site) = &mut site {
            site.spend_surely(units, together, now);
        }
        self.all.spend_surely(units, all, now);
        Ok(wait)
    }
}

/// What is spent, by whom.
#[derive(Clone, Debug)]
struct Rows<K> {
    rows: BTreeMap<K, Spent>,
    swept: Option<K>,
}

impl<K: Copy + Ord> Rows<K> {
    const fn new() -> Self {
        Self { rows: BTreeMap::new(), swept: None }
    }

    /// A row. A few others are looked at, and go if there is nothing to remember; of a full table, one goes all the same.
    fn spent(&mut self, key: K, now: Instant) -> &mut Spent {
        let from = self.swept.map_or(Bound::Unbounded, Bound::Excluded);
        let next = self.rows.range((from, Bound::Unbounded)).take(SWEPT_EACH);
        let looked: Vec<(K, bool)> = next.map(|(key, spent)| (*key, spent.is_full(now))).collect();
        self.swept = looked.last().map(|(key, _)| *key);
        for (key, _) in looked.iter().filter(|(_, has_nothing)| *has_nothing) {
            self.rows.remove(key);
        }
        if self.rows.len() >= REMEMBERED_MAX && !self.rows.contains_key(&key) {
            let looked = looked.first().map(|(key, _)| *key);
            if let Some(key) = looked.or_else(|| self.rows.keys().next().copied()) {
                self.rows.remove(&key);
            }
        }
        self.rows.entry(key).or_insert(Spent::nothing(now))
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a beginning of time
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    /// Ten a second, a hundred at once; all together a hundred a second, a thousand at once.
    const ALLOWANCE: Allowance = Allowance {
        each: Rate { interval: Duration::from_millis(100), burst: 100 },
        first: 20,
        all: Rate { interval: Duration::from_millis(10), burst: 1_000 },
    };

    fn budget() -> (Budget, Instant) {
        let now = Instant::now();
        (Budget::new(ALLOWANCE, now), now)
    }

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0B00_0000 + n).into()
    }

    #[test]
    fn whoever_has_spent_all_waits_in_line_and_nobody_else_does() {
        let (mut budget, now) = budget();
        assert_eq!(budget.spend(address(1), 100, SECOND, now), Ok(Duration::ZERO));
        assert_eq!(budget.spend(address(1), 5, SECOND, now), Ok(SECOND / 2));
        assert_eq!(budget.spend(address(1), 5, SECOND, now), Ok(SECOND));
        assert_eq!(budget.spend(address(1), 5, SECOND, now), Err(SECOND * 3 / 2), "and it is not spent");
        assert_eq!(budget.spend(address(1), 5, SECOND, now + SECOND / 2), Ok(SECOND));
        assert_eq!(budget.spend(address(2), 100, SECOND, now), Ok(Duration::ZERO));
    }

    #[test]
    fn where_all_together_spend_too_much_whoever_wants_a_little_waits_for_nobody() {
        let (mut budget, now) = budget();
        for n in 0..10 {
            assert_eq!(budget.spend(address(n), 100, SECOND, now), Ok(Duration::ZERO));
        }
        assert_eq!(budget.spend(address(20), 20, SECOND, now), Ok(Duration::ZERO));
        assert_eq!(
            budget.spend(address(20), 1, SECOND, now),
            Ok(SECOND * 21 / 100),
            "then it is one of them"
        );
    }

    #[test]
    fn a_site_spends_four_times_what_a_household_may() {
        let (mut budget, now) = budget();
        let of_site = |n: u32| format!("2001:db8:7:{:x}::1", n << 8).parse::<IpAddr>().unwrap();
        let spent = (0..100).filter(|n| budget.spend(of_site(*n), 100, Duration::ZERO, now).is_ok()).count();
        assert_eq!(spent, 4);
        assert!(budget.spend("2001:db8:8::1".parse().unwrap(), 20, Duration::ZERO, now).is_ok());
    }

    #[test]
    fn what_has_come_back_is_forgotten_and_the_table_does_not_grow() {
        let (mut budget, now) = budget();
        for n in 0..40_000 {
            let _ = budget.spend(address(n), 20, Duration::ZERO, now);
        }
        assert_eq!(budget.households.rows.len(), REMEMBERED_MAX);
        for n in 0..20_000 {
            let _ = budget.spend(address(n % 10), 1, SECOND, now + 10_000 * SECOND);
        }
        assert!(budget.households.rows.len() <= 10);
    }
}
