//! Who holds how much of something there is only so much of. A household's quota shrinks as the whole fills up (dynamic thresholds,
//! Choudhury and Hahne 1998), and what is left in the end is for those who hold next to nothing: whoever takes all that can be
//! had leaves something to whoever comes next, also where a hundred do so one after another.
//!
//! ```text
//! free        more than 1/4                     1/4 … 1/8    1/8 … 1/16    less
//! quota now   max(floor, most × free ÷ total)   floor        floor ÷ 2     floor ÷ 4, at least 1
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
    /// For one household once only a quarter is free; half of it at an eighth, a quarter of it at a sixteenth.
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
    /// A household may hold `household` of `total`, a site four times that; of the last quarter a 64th of it, or 4 where that is less.
    #[must_use]
    pub const fn new(total: u64, household: u64) -> Self {
        let floor = if household < 256 { 4 } else { household / 64 };
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
        match (free * 16).checked_div(u128::from(self.total)) {
            Some(0) | None => return (self.floor / 4).max(1),
            Some(1) => return (self.floor / 2).max(1),
            Some(2..4) => return self.floor,
            Some(_) => {}
        }
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
        let Quota { total, household, site, floor } = self.quota;
        let after = |held: u64| held.saturating_add(amount);
        // What everybody may hold until nothing is free needs no working out.
        let fits = |held: u64, most: u64| {
            after(held) <= (floor / 4).min(most) || after(held) <= self.quota.now(most, self.total)
        };
        after(self.total) <= total
            && fits(self.held_by(address), household)
            && site_of(address).is_none_or(|key| fits(self.sites.get(&key).copied().unwrap_or(0), site))
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
            if let Some(site) = site_of(address) {
                add(&mut self.sites, site, amount);
            }
        }
    }

    /// Gives `amount` back.
    pub fn give(&mut self, address: IpAddr, amount: u64) {
        self.total = self.total.saturating_sub(amount);
        subtract(&mut self.households, address.into(), amount);
        if let Some(site) = site_of(address) {
            subtract(&mut self.sites, site, amount);
        }
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

    /// Little is free: a quarter, or less.
    #[must_use]
    pub fn is_scarce(&self) -> bool {
        self.total.saturating_mul(4) >= self.quota.total.saturating_mul(3)
    }

    /// Nobody holds anything.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.total == 0
    }
}

/// The site of an IPv6 address. An IPv4 address is household and site in one, and the former may hold less.
fn site_of(address: IpAddr) -> Option<Site> {
    address.to_canonical().is_ipv6().then(|| address.into())
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
    fn many_who_take_all_they_can_leave_the_next_one_something() {
        // In turns, and one after another: who comes late in the latter gets less, and holds less than what is kept back.
        let mut in_turns = Ledger::new(QUOTA);
        while (0..256).filter(|n| in_turns.take(address(*n), 1)).count() > 0 {}
        let mut in_order = Ledger::new(QUOTA);
        for n in 0..256 {
            fill(&mut in_order, address(n));
        }
        for ledger in [&mut in_turns, &mut in_order] {
            assert!(ledger.total() <= QUOTA.total * 9 / 10, "{}", ledger.total());
            assert!(fill(ledger, address(999)) >= 2);
        }
    }

    #[test]
    fn the_last_sixteenth_goes_one_by_one() {
        let mut ledger = Ledger::new(QUOTA);
        let households = (0..u32::MAX).take_while(|n| fill(&mut ledger, address(*n)) > 0).count() as u64;
        assert_eq!(ledger.total(), QUOTA.total);
        assert!(households >= QUOTA.total / 8, "{households} are needed to take all");
    }

    #[test]
    fn whoever_uses_little_gets_the_floor_and_less_of_what_is_left_in_the_end() {
        for (free, gets) in [(4_000, 4), (2_000, 2), (1_000, 1)] {
            let mut ledger = Ledger::new(QUOTA);
            ledger.take_surely(address(0), QUOTA.total - free);
            assert_eq!(fill(&mut ledger, address(1)), gets);
        }
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
