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
/// A port kept for a RESERVATION-TOKEN, or used by another thread that redeemed it.
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
    range: RangeInclusive<u16>,
    v4: Table,
    v6: Table,
    in_use: u32,
}

/// The ports of one family: who has each, and a bit for each that may be drawn.
struct Table {
    owners: Vec<u32>,
    free: Vec<u64>,
}

impl Table {
    fn new(range: &RangeInclusive<u16>) -> Table {
        let mut table = Table { owners: vec![FREE; PORTS], free: vec![0; WORDS] };
        for port in range.clone() {
            table.mark(port, true);
        }
        table
    }

    fn mark(&mut self, port: u16, is_free: bool) {
        if let Some(word) = self.free.get_mut(usize::from(port) / 64) {
            let bit = 1 << (port % 64);
            *word = if is_free { *word | bit } else { *word & !bit };
        }
    }

    /// The ports of one word that will do.
    fn fitting(&self, word: usize, wanted: Wanted) -> u64 {
        const EVEN: u64 = 0x5555_5555_5555_5555;
        let free = self.free.get(word).copied().unwrap_or(0);
        match wanted {
            Wanted::Any => free,
            Wanted::Even => free & EVEN,
            Wanted::Pair => free & (free >> 1) & EVEN,
        }
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
}

impl Ports {
    pub fn new(range: RangeInclusive<u16>) -> Ports {
        Ports { v4: Table::new(&range), v6: Table::new(&range), range, in_use: 0 }
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

    /// Frees a port that was lent, if it is one of ours.
    pub fn take_back(&mut self, port: RelayPort) {
        if self.table(port.family).owners.get(usize::from(port.port)) == Some(&LENT) {
            self.release(port);
        }
    }

    /// A free port of this server's range, drawn so that nobody can foretell it; `None` if there is none.
    pub fn draw(&self, rng: &mut ChaCha20Rng, family: Family, wanted: Wanted) -> Option<RelayPort> {
        let first = u32::from(*self.range.start());
        let count = u32::from(*self.range.end()) - first + 1;
        for _ in 0..DRAWS {
            let port = first + below(rng, count);
            if let Some(port) = self.fits(family, port, wanted) {
                return Some(port);
            }
        }
        let start = u16::try_from(first + below(rng, count)).ok()?;
        let port = self.table(family).next(start, wanted)?;
        Some(RelayPort { family, port })
    }

    fn fits(&self, family: Family, port: u32, wanted: Wanted) -> Option<RelayPort> {
        let port = u16::try_from(port).ok()?;
        let fitting = self.table(family).fitting(usize::from(port) / 64, wanted);
        (fitting >> (port % 64) & 1 == 1).then_some(RelayPort { family, port })
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
        table.mark(port.port, value == FREE && self.range.contains(&port.port));
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
        let mut ports = Ports::new(50_000..=50_099);
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
        let ports = Ports::new(49_152..=65_535);
        let drawn: Vec<u16> =
            (0..1_000).map(|_| ports.draw(&mut rng, Family::V4, Wanted::Any).unwrap().port).collect();
        let steps: BTreeSet<i32> =
            drawn.windows(2).map(|two| i32::from(two[1]) - i32::from(two[0])).collect();
        assert!(steps.len() > 900, "{}", steps.len());
    }

    #[test]
    fn a_pair_is_even_and_both_its_ports_are_in_the_range_and_free() {
        let mut rng = ChaCha20Rng::from_seed([3; 32]);
        let mut ports = Ports::new(50_001..=50_004);
        let pair = ports.draw(&mut rng, Family::V4, Wanted::Pair).unwrap();
        assert_eq!(pair.port, 50_002);
        ports.lend(partner(pair));
        assert_eq!(ports.draw(&mut rng, Family::V4, Wanted::Pair), None);
        assert!(ports.draw(&mut rng, Family::V4, Wanted::Even).is_some());
        ports.take_back(partner(pair));
        assert_eq!(ports.draw(&mut rng, Family::V4, Wanted::Pair), Some(pair));
    }
}
