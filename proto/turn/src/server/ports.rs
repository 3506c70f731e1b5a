//! Who has which relayed port, and which one is drawn next.

use std::ops::RangeInclusive;

use rand_chacha::ChaCha20Rng;
use rand_core::RngCore as _;

use super::AllocationId;
use crate::address::{Family, RelayPort};

/// Draws before the range is searched from a random place on, 64 ports a step.
const DRAWS: u32 = 16;

/// Every port of a family.
const PORTS: usize = 1 << 16;
/// A bit for each.
const WORDS: usize = PORTS / 64;

/// A free port.
const FREE: u32 = 0;
/// A port kept for a RESERVATION-TOKEN, or used by another thread.
const LENT: u32 = u32::MAX;

/// What a drawn port must be (RFC 8656 7.2, EVEN-PORT).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Any port.
    Any,
    /// An even one.
    Even,
    /// An even one whose successor is free as well.
    Pair,
}

/// Ports by number: one look-up for each packet from a peer. The pages of an unused part are never touched.
pub(super) struct Ports {
    own: RangeInclusive<u16>,
    /// With those of other threads.
    all: RangeInclusive<u16>,
    v4: Table,
    v6: Table,
    in_use: u32,
}

/// The ports of one family: who has each, and which may be drawn, of ours and, once there are none, of other threads'.
struct Table {
    owners: Vec<u32>,
    own: Free,
    others: Free,
}

/// A bit for each port that may be drawn.
struct Free(Vec<u64>);

impl Free {
    fn new(ports: impl Iterator<Item = u16>) -> Free {
        let mut free = Free(vec![0; WORDS]);
        ports.for_each(|port| free.mark(port, true));
        free
    }

    fn mark(&mut self, port: u16, is_free: bool) {
        if let Some(word) = self.0.get_mut(usize::from(port) / 64) {
            let bit = 1 << (port % 64);
            *word = if is_free { *word | bit } else { *word & !bit };
        }
    }

    /// The ports of one word that will do.
    fn fitting(&self, word: usize, wanted: Wanted) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let free = self.0.get(word).copied().unwrap_or(0);
        match wanted {
            Wanted::Any => free,
            Wanted::Even => free & EVEN,
            Wanted::Pair => free & (free >> 1) & EVEN,
        }
    }

    fn fits(&self, port: u16, wanted: Wanted) -> bool {
        self.fitting(usize::from(port) / 64, wanted) >> (port % 64) & 1 == 1
    }

    /// The first port that will do from `start` on, and from the first port on after the last.
    fn next(&self, start: u16, wanted: Wanted) -> Option<u16> {
        let first = usize::from(start) / 64;
        let from_start = u64::MAX << (start % 64);
        (0..=WORDS).find_map(|step| {
            let word = (first + step) % WORDS;
            let mask = match step {
                0 => from_start,
                WORDS => !from_start,
                _ => u64::MAX,
            };
            let fitting = self.fitting(word, wanted) & mask;
            let port = u32::try_from(word * 64).ok()? + fitting.trailing_zeros();
            if fitting == 0 { None } else { u16::try_from(port).ok() }
        })
    }

    /// One of `range`, drawn so that nobody can foretell it.
    fn draw(&self, rng: &mut ChaCha20Rng, range: &RangeInclusive<u16>, wanted: Wanted) -> Option<u16> {
        let first = u32::from(*range.start());
        let count = u32::from(*range.end()) - first + 1;
        for _ in 0..DRAWS {
            let port = u16::try_from(first + below(rng, count)).ok()?;
            if self.fits(port, wanted) {
                return Some(port);
            }
        }
        let start = u16::try_from(first + below(rng, count)).ok()?;
        self.next(start, wanted)
    }
}

impl Ports {
    /// `own` are drawn from first; `all` are those of all threads.
    pub fn new(own: RangeInclusive<u16>, all: RangeInclusive<u16>) -> Ports {
        let table = || Table {
            owners: vec![FREE; PORTS],
            own: Free::new(own.clone()),
            others: Free::new(all.clone().filter(|port| !own.contains(port))),
        };
        Ports { v4: table(), v6: table(), own, all, in_use: 0 }
    }

    /// Whose port it is.
    pub fn owner(&self, port: RelayPort) -> Option<AllocationId> {
        match *self.table(port.family).owners.get(usize::from(port.port))? {
            FREE | LENT => None,
            owner => Some(AllocationId(owner - 1)),
        }
    }

    /// How many have an owner.
    pub fn in_use(&self) -> u32 {
        self.in_use
    }

    /// Gives a port an owner.
    pub fn claim(&mut self, port: RelayPort, owner: AllocationId) {
        self.set(port, owner.0 + 1);
    }

    /// Keeps a port from being drawn, without an owner here.
    pub fn lend(&mut self, port: RelayPort) {
        self.set(port, LENT);
    }

    /// The port is free again.
    pub fn release(&mut self, port: RelayPort) {
        self.set(port, FREE);
    }

    /// Another thread has it, or keeps it for somebody.
    pub fn lend_if_free(&mut self, port: RelayPort) {
        if self.table(port.family).owners.get(usize::from(port.port)) == Some(&FREE) {
            self.lend(port);
        }
    }

    /// Frees a port that was lent.
    pub fn take_back(&mut self, port: RelayPort) {
        if self.table(port.family).owners.get(usize::from(port.port)) == Some(&LENT) {
            self.release(port);
        }
    }

    /// A free port of this server's own, or else of another thread's, drawn so that nobody can foretell it; `None` if there is none
    /// that is known to be free. Two threads may draw the same, and one of them does not get it opened then.
    pub fn draw(&self, rng: &mut ChaCha20Rng, family: Family, wanted: Wanted) -> Option<RelayPort> {
        let Table { own, others, .. } = self.table(family);
        let port = own.draw(rng, &self.own, wanted).or_else(|| others.draw(rng, &self.all, wanted))?;
        Some(RelayPort { family, port })
    }

    /// In place of `taken`, which somebody else has: not from where that was, if there is one elsewhere.
    pub fn draw_instead(&self, rng: &mut ChaCha20Rng, taken: RelayPort, wanted: Wanted) -> Option<RelayPort> {
        let Table { own, others, .. } = self.table(taken.family);
        let (own, others) = ((own, &self.own), (others, &self.all));
        let of_both = if self.own.contains(&taken.port) { [others, own] } else { [own, others] };
        let port = of_both.into_iter().find_map(|(free, range)| free.draw(rng, range, wanted))?;
        Some(RelayPort { port, ..taken })
    }

    fn table(&self, family: Family) -> &Table {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    fn set(&mut self, port: RelayPort, value: u32) {
        let table = match port.family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        };
        let slot = table.owners.get_mut(usize::from(port.port)).expect("a table has every port");
        let owned = |value: u32| u32::from(value != FREE && value != LENT);
        self.in_use = self.in_use + owned(value) - owned(*slot);
        *slot = value;
        let is_own = self.own.contains(&port.port);
        table.own.mark(port.port, value == FREE && is_own);
        table.others.mark(port.port, value == FREE && !is_own && self.all.contains(&port.port));
    }
}

/// The odd port that goes with an even one.
pub(super) fn partner(even: RelayPort) -> RelayPort {
    RelayPort { port: even.port | 1, ..even }
}

/// A number below `count`, each as likely as the others (Lemire's method).
fn below(rng: &mut ChaCha20Rng, count: u32) -> u32 {
    let threshold = count.wrapping_neg() % count;
    loop {
        let product = u64::from(rng.next_u32()) * u64::from(count);
        let low = u32::try_from(product & u64::from(u32::MAX)).expect("masked");
        if low >= threshold {
            return u32::try_from(product >> 32).expect("shifted");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use rand_core::SeedableRng as _;

    use super::*;

    #[test]
    fn every_port_of_the_range_is_drawn_once_and_then_there_is_none() {
        let mut rng = ChaCha20Rng::from_seed([1; 32]);
        let mut ports = Ports::new(50_000..=50_099, 50_000..=50_099);
        let mut drawn = BTreeSet::new();
        while let Some(port) = ports.draw(&mut rng, Family::V4, Wanted::Any) {
            assert!(drawn.insert(port.port));
            ports.claim(port, AllocationId(0));
        }
        assert_eq!(drawn, (50_000..=50_099).collect());
        assert!(ports.draw(&mut rng, Family::V6, Wanted::Any).is_some());
        assert_eq!(ports.in_use(), 100);
    }

    #[test]
    fn the_next_port_does_not_follow_from_the_last() {
        let mut rng = ChaCha20Rng::from_seed([2; 32]);
        let ports = Ports::new(49_152..=65_535, 49_152..=65_535);
        let drawn: Vec<u16> =
            (0..1_000).map(|_| ports.draw(&mut rng, Family::V4, Wanted::Any).unwrap().port).collect();
        let steps: BTreeSet<i32> =
            drawn.windows(2).map(|two| i32::from(two[1]) - i32::from(two[0])).collect();
        assert!(steps.len() > 900, "{}", steps.len());
    }

    #[test]
    fn a_pair_is_even_and_both_its_ports_are_in_the_range_and_free() {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let mut ports = Ports::new(50_001..=50_004, 50_001..=50_004);
        let pair = ports.draw(&mut rng, Family::V4, Wanted::Pair).unwrap();
        assert_eq!(pair.port, 50_002);
        ports.lend(partner(pair));
        assert_eq!(ports.draw(&mut rng, Family::V4, Wanted::Pair), None);
        assert!(ports.draw(&mut rng, Family::V4, Wanted::Even).is_some());
        ports.take_back(partner(pair));
        assert_eq!(ports.draw(&mut rng, Family::V4, Wanted::Pair), Some(pair));
    }

    #[test]
    fn ports_of_other_threads_are_drawn_once_there_are_none_of_ones_own() {
        let mut rng = ChaCha20Rng::from_seed([4; 32]);
        let mut ports = Ports::new(50_050..=50_099, 50_000..=50_199);
        // Another thread has this one, and keeps that one.
        let elsewhere = [50_000, 50_199].map(|port| RelayPort { family: Family::V4, port });
        elsewhere.iter().for_each(|port| ports.lend_if_free(*port));
        let mut drawn = Vec::new();
        while let Some(port) = ports.draw(&mut rng, Family::V4, Wanted::Any) {
            drawn.push(port.port);
            ports.claim(port, AllocationId(0));
        }
        let first: BTreeSet<u16> = drawn.iter().take(50).copied().collect();
        assert_eq!(first, (50_050..=50_099).collect());
        assert_eq!(drawn.iter().copied().collect::<BTreeSet<u16>>(), (50_001..=50_198).collect());
        assert_eq!(drawn.len(), 198);
        ports.take_back(elsewhere[1]);
        assert_eq!(ports.draw(&mut rng, Family::V4, Wanted::Any), Some(elsewhere[1]));
        let borrowed = RelayPort { family: Family::V4, port: 50_020 };
        ports.claim(elsewhere[1], AllocationId(0));
        ports.release(borrowed);
        assert_eq!(ports.draw(&mut rng, Family::V4, Wanted::Even), Some(borrowed));
    }
}
