//! A queue that serves whoever has taken the least time lately: whoever has a thousand things waiting, or comes with a thousand addresses that have
//! been served before, delays nobody who wants one thing.
//!
//! ```text
//! served at t for 2 ms, price 1,000:   t ────────────── 2 s ──────────────▶ its next item counts as one that came here
//! ```

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use crate::household::{Household, Site};

/// A site (an IPv6 /48) may take so many times what a household may, before its households come later.
const SITE: u32 = 4;
/// How many are remembered before those that have nothing to pay any more are looked for.
const REMEMBERED_MIN: usize = 1_024;

/// How much later a household comes for the time it has taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Price {
    /// So many times that time.
    pub times: u32,
    /// But no later than this.
    pub most: Duration,
    /// So much of it is not counted: whoever does a little now and then comes as one who does nothing.
    pub free: Duration,
}

/// Items by whose they are, of each household first come, first served; between them goes first whose item came first, or would have
/// come, see [`Price`]. `push` and `pop` cost the logarithm of the number of households that wait.
#[derive(Clone, Debug)]
pub struct FairQueue<T> {
    price: Price,
    waiting: BTreeMap<Household, Waiting<T>>,
    turns: BTreeMap<Turn, Household>,
    households: Debts<Household>,
    sites: Debts<Site>,
    count: u64,
    len: usize,
}

/// When it is whose turn; the number tells those of one moment apart.
type Turn = (Instant, u64);

#[derive(Clone, Debug)]
struct Waiting<T> {
    items: VecDeque<T>,
    turn: Turn,
}

impl<T> FairQueue<T> {
    /// An empty queue.
    #[must_use]
    pub const fn new(price: Price) -> Self {
        Self {
            price,
            waiting: BTreeMap::new(),
            turns: BTreeMap::new(),
            households: Debts::new(),
            sites: Debts::new(),
            count: 0,
            len: 0,
        }
    }

    /// Adds an item of `whose`.
    pub fn push(&mut self, whose: Household, item: T, now: Instant) {
        self.len += 1;
        if let Some(waiting) = self.waiting.get_mut(&whose) {
            return waiting.items.push_back(item);
        }
        let turn = self.turn(whose, now);
        self.turns.insert(turn, whose);
        self.waiting.insert(whose, Waiting { items: VecDeque::from([item]), turn });
    }

    /// The next item, and whose it is. Say [`took`](Self::took) when it is done with.
    pub fn pop(&mut self, now: Instant) -> Option<(Household, T)> {
        let (_, whose) = self.turns.pop_first()?;
        let mut waiting = self.waiting.remove(&whose)?;
        let item = waiting.items.pop_front()?;
        self.len -= 1;
        if !waiting.items.is_empty() {
            waiting.turn = self.turn(whose, now);
            self.turns.insert(waiting.turn, whose);
            self.waiting.insert(whose, waiting);
        }
        Some((whose, item))
    }

    /// When the next item would have come: in the past, if nobody has to come later.
    #[must_use]
    pub fn next_turn(&self) -> Option<Instant> {
        self.turns.first_key_value().map(|((at, _), _)| *at)
    }

    /// What `whose` wanted took so long.
    pub fn took(&mut self, whose: Household, time: Duration, now: Instant) {
        self.households.add(whose, time * self.price.times, self.price.most, now);
        if whose.network().is_ipv6() {
            self.sites.add(whose.network().into(), time * (self.price.times / SITE), self.price.most, now);
        }
        if let Some(before) = self.waiting.get(&whose).map(|waiting| waiting.turn) {
            let turn = self.turn(whose, now);
            self.turns.remove(&before);
            self.turns.insert(turn, whose);
            self.waiting.entry(whose).and_modify(|waiting| waiting.turn = turn);
        }
    }

    fn turn(&mut self, whose: Household, now: Instant) -> Turn {
        self.count += 1;
        let due = [self.households.due(whose), self.sites.due(whose.network().into())];
        let due = due.into_iter().flatten().filter_map(|until| until.checked_sub(self.price.free));
        (due.fold(now, Instant::max), self.count)
    }

    /// Items that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

/// Until when each is to come later. Its size is that of those who were served within [`Price::most`].
#[derive(Clone, Debug)]
struct Debts<K> {
    until: BTreeMap<K, Instant>,
    swept_len: usize,
}

impl<K: Copy + Ord> Debts<K> {
    const fn new() -> Self {
        Self { until: BTreeMap::new(), swept_len: REMEMBERED_MIN }
    }

    fn due(&self, key: K) -> Option<Instant> {
        self.until.get(&key).copied()
    }

    fn add(&mut self, key: K, debt: Duration, most: Duration, now: Instant) {
        let until = self.until.entry(key).or_insert(now);
        *until = ((*until).max(now) + debt).min(now + most);
        // Half of them at least are new since the last time: what that took each of them has paid for.
        if self.until.len() > 2 * self.swept_len {
            self.until.retain(|_, until| *until > now);
            self.swept_len = self.until.len().max(REMEMBERED_MIN);
        }
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a beginning of time
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn queue(times: u32, most: Duration) -> (FairQueue<u32>, Instant) {
        (FairQueue::new(Price { times, most, free: Duration::ZERO }), Instant::now())
    }

    fn household(n: u32) -> Household {
        IpAddr::from(Ipv4Addr::from_bits(0x0B00_0000 + n)).into()
    }

    #[test]
    fn one_who_has_much_waiting_delays_another_by_one_item() {
        let (mut queue, now) = queue(1_000, 10_000 * MS);
        (0..1_000).for_each(|n| queue.push(household(1), n, now));
        queue.push(household(2), 7_000, now);
        queue.push(household(2), 7_001, now);
        let mut at = now;
        let mut next = || {
            let (whose, item) = queue.pop(at)?;
            at += MS;
            queue.took(whose, MS, at);
            Some(item)
        };
        assert_eq!((0..5).filter_map(|_| next()).collect::<Vec<_>>(), [0, 7_000, 1, 7_001, 2]);
        while next().is_some() {}
        assert!(queue.is_empty() && queue.waiting.is_empty() && queue.turns.is_empty());
    }

    /// 200 households want half a millisecond each, in waves, twenty times a second: ten times what there is.
    #[test]
    fn a_crowd_that_was_served_before_delays_a_newcomer_by_what_is_under_way() {
        let (mut queue, mut now) = queue(1_000, 10_000 * MS);
        for wave in 0..100 {
            (0..200).for_each(|n| queue.push(household(n), n, now));
            for _ in 0..100 {
                let (whose, _) = queue.pop(now).expect("they want more than there is");
                now += MS / 2;
                queue.took(whose, MS / 2, now);
            }
            queue.push(household(1_000 + wave), 9_999, now);
            assert!(wave < 3 || queue.next_turn() == Some(now), "the crowd's turns are ahead");
            let next = queue.pop(now).map(|(_, item)| item);
            assert!(wave < 3 || next == Some(9_999), "wave {wave}: {next:?}");
        }
    }

    #[test]
    fn a_little_is_not_counted() {
        let (_, now) = queue(1, MS);
        let mut queue = FairQueue::new(Price { times: 500, most: 10_000 * MS, free: 100 * MS });
        queue.took(household(1), MS / 10, now);
        queue.took(household(2), MS, now);
        queue.push(household(2), 2, now);
        queue.push(household(1), 1, now);
        assert_eq!(queue.pop(now).map(|(_, item)| item), Some(1));
        assert_eq!(queue.next_turn(), Some(now + 400 * MS));
    }

    #[test]
    fn the_households_of_one_site_come_later_together() {
        let (mut queue, now) = queue(1_000, 10_000 * MS);
        let of_site =
            |n: u32| Household::from(format!("2001:db8:7:{:x}::1", n << 8).parse::<IpAddr>().unwrap());
        (0..100).for_each(|n| queue.took(of_site(n), MS, now));
        queue.push(of_site(101), 1, now);
        queue.push(household(1), 2, now + MS);
        assert_eq!(queue.pop(now + MS).map(|(_, item)| item), Some(2));
    }

    #[test]
    fn nobody_waits_for_ever_and_what_was_taken_is_forgotten() {
        let (mut queue, now) = queue(1_000, 10_000 * MS);
        (0..10_000).for_each(|n| queue.took(household(n), 60_000 * MS, now));
        queue.push(household(1), 1, now);
        queue.push(household(20_000), 2, now + 10_001 * MS);
        assert_eq!(queue.pop(now + 10_001 * MS).map(|(_, item)| item), Some(1));
        (0..10_000).for_each(|n| queue.took(household(30_000 + n), MS, now + 20_001 * MS));
        assert!(queue.households.until.len() < 20_000);
    }
}
