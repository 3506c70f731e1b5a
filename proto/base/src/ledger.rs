//! Who holds how much of something there is only so much of. A household's quota shrinks as the whole fills up, so a few who
//! take all they can never leave nothing to those who use little (dynamic thresholds, Choudhury and Hahne 1998).
//!
//! ```text
//! quota now = max(floor, most × free ÷ total)      most ÷ total = 1/32:  256 households that take all they can hold 89 %,
//!                                                                       and the next one still gets as much as each of them
//! ```

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::household::{Household, Site};

/// How much there is, and how much of it one may hold. All in one unit: pieces, or bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    /// For everybody together.
    pub total: u64,
    /// For one household while all is free.
    pub household: u64,
    /// For one site (an IPv6 /48) while all is free.
    pub site: u64,
    /// For one household however little is free, as long as anything is.
    pub floor: u64,
}

/// What is held, by whom. Its size is that of those who hold something.
#[derive(Clone, Debug)]
pub struct Ledger {
    quota: Quota,
    total: u64,
    households: BTreeMap<Household, u64>,
    sites: BTreeMap<Site, u64>,
}

impl Quota {
    /// A household may hold `household` of `total`, a site four times, and the floor is a 64th of the former, at least 1.
    #[must_use]
    pub const fn new(total: u64, household: u64) -> Self {
        let floor = if household < 128 { 1 } else { household / 64 };
        Self { total, household, site: household.saturating_mul(4), floor }
    }

    /// The same with `times`/`of` as much for everybody together. What one may hold stays, as far as there is that much.
    #[must_use]
    pub fn scaled(self, times: u64, of: u64) -> Self {
        let total = u128::from(self.total) * u128::from(times) / u128::from(of.max(1));
        let total = u64::try_from(total).unwrap_or(u64::MAX).max(1);
        let [household, site, floor] = [self.household, self.site, self.floor].map(|most| most.min(total));
        Self { total, household, site, floor }
    }

    /// What of `most` may be held while `used` of all is.
    fn now(&self, most: u64, used: u64) -> u64 {
        let free = u128::from(self.total.saturating_sub(used));
        let share = (u128::from(most) * free).div_ceil(u128::from(self.total.max(1)));
        u64::try_from(share).unwrap_or(most).max(self.floor)
    }
}

impl Ledger {
    /// A ledger in which nobody holds anything.
    #[must_use]
    pub const fn new(quota: Quota) -> Self {
        Self { quota, total: 0, households: BTreeMap::new(), sites: BTreeMap::new() }
    }

    /// Whether `address` may hold `amount` more.
    #[must_use]
    pub fn fits(&self, address: IpAddr, amount: u64) -> bool {
        let Quota { total, household, site, .. } = self.quota;
        let after = |held: u64| held.saturating_add(amount);
        after(self.total) <= total
            && after(self.held_by(address)) <= self.quota.now(household, self.total)
            && after(self.held_by_site(address)) <= self.quota.now(site, self.total)
    }

    /// Takes `amount` for `address` if it may hold that much more.
    pub fn take(&mut self, address: IpAddr, amount: u64) -> bool {
        let fits = self.fits(address, amount);
        if fits {
            self.take_surely(address, amount);
        }
        fits
    }

    /// Takes `amount` without asking: for what is there whatever the quota says.
    pub fn take_surely(&mut self, address: IpAddr, amount: u64) {
        if amount > 0 {
            self.total = self.total.saturating_add(amount);
            add(&mut self.households, address.into(), amount);
            add(&mut self.sites, address.into(), amount);
        }
    }

    /// Gives `amount` back.
    pub fn give(&mut self, address: IpAddr, amount: u64) {
        self.total = self.total.saturating_sub(amount);
        subtract(&mut self.households, address.into(), amount);
        subtract(&mut self.sites, address.into(), amount);
    }

    /// What the household of `address` holds.
    #[must_use]
    pub fn held_by(&self, address: IpAddr) -> u64 {
        self.households.get(&address.into()).copied().unwrap_or(0)
    }

    /// What all hold together.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// Nobody holds anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }

    fn held_by_site(&self, address: IpAddr) -> u64 {
        self.sites.get(&address.into()).copied().unwrap_or(0)
    }
}

fn add<K: Ord>(held: &mut BTreeMap<K, u64>, key: K, amount: u64) {
    let held = held.entry(key).or_default();
    *held = held.saturating_add(amount);
}

fn subtract<K: Ord>(held: &mut BTreeMap<K, u64>, key: K, amount: u64) {
    if let Some(count) = held.get_mut(&key) {
        *count = count.saturating_sub(amount);
        if *count == 0 {
            held.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota { total: 16_384, household: 512, site: 1_024, floor: 4 };

    fn address(n: u32) -> IpAddr {
        std::net::Ipv4Addr::from_bits(0x0B00_0000 + n).into()
    }

    /// Takes one at a time until there is no more to be had.
    fn fill(ledger: &mut Ledger, address: IpAddr) -> u64 {
        let before = ledger.held_by(address);
        while ledger.take(address, 1) {}
        ledger.held_by(address) - before
    }

    #[test]
    fn one_household_gets_its_quota_and_no_more() {
        let mut ledger = Ledger::new(QUOTA);
        // A little less than 512, since what it takes itself is no longer free.
        assert_eq!(fill(&mut ledger, address(1)), 497);
        ledger.give(address(1), 497);
        assert!(ledger.is_empty() && ledger.households.is_empty() && ledger.sites.is_empty());
    }

    #[test]
    fn a_site_gets_more_than_a_household_but_not_256_times() {
        let mut ledger = Ledger::new(QUOTA);
        let household = |n: u32| format!("2001:db8:7:{:x}::1", n << 8).parse::<IpAddr>().unwrap();
        let all: u64 = (0..256).map(|n| fill(&mut ledger, household(n))).sum();
        assert!((900..=1_024).contains(&all), "{all}");
        assert!(ledger.take("2001:db8:8::1".parse().unwrap(), 1));
    }

    #[test]
    fn many_who_take_all_they_can_leave_the_next_one_as_much_as_each_of_them() {
        let mut ledger = Ledger::new(QUOTA);
        // In turns, until nobody gets any more.
        while (0..256).filter(|n| ledger.take(address(*n), 1)).count() > 0 {}
        let each = ledger.held_by(address(0));
        assert!((50..=60).contains(&each), "{each}");
        assert!(ledger.total() < QUOTA.total * 9 / 10);
        assert!(fill(&mut ledger, address(999)) >= each - 8);
    }

    #[test]
    fn whoever_uses_little_gets_the_floor_until_nothing_is_free() {
        let mut ledger = Ledger::new(QUOTA);
        ledger.take_surely(address(0), QUOTA.total - 6);
        assert_eq!(fill(&mut ledger, address(1)), 4);
        assert_eq!(fill(&mut ledger, address(2)), 2);
        assert_eq!(fill(&mut ledger, address(3)), 0);
    }

    #[test]
    fn amounts_may_be_bytes() {
        let mut ledger = Ledger::new(Quota::new(64 << 20, 2 << 20));
        assert!(ledger.take(address(1), 1 << 20));
        assert!(!ledger.take(address(1), 1 << 20), "what it holds itself is no longer free");
        ledger.give(address(1), 1 << 20);
        assert!(ledger.take(address(1), 1 << 20));
        assert!(!ledger.fits(address(2), u64::MAX));
    }
}
