//! Which connection is served next. Datagrams are served as they come; a connection can have any amount of work waiting, and where it
//! begins, a private key's. So connections wait in line, and whose household took the least time goes first
//! ([`twocan_base::FairQueue`]).
//!
//! ```text
//!  a pass of the thread     │ UDP, relayed ports │ handshakes         │ data                │
//!  takes at most            │ a batch a socket   │ a fifth of time    │ as long as UDP did, │
//!                           │                    │                    │ PASS_TIME at least  │
//! ```

use std::time::{Duration, Instant};

use twocan_base::{FairQueue, Household, Price, Rate, Spent};

use crate::token::Place;

/// Time that a pass has for connections, and then for the one that is under way.
const PASS_TIME: Duration = Duration::from_micros(500);
/// What handshakes may take of the thread's time, in microseconds: a fifth; half a millisecond at once, and then the one that is
/// under way.
const HANDSHAKES: Rate = Rate { interval: Duration::from_micros(5), burst: 500 };
/// Whoever takes a five-hundredth of the time comes as one who takes none.
const DATA_PRICE: Price =
    Price { times: 500, most: Duration::from_secs(10), free: Duration::from_millis(100) };
/// 3 ms are free: a few handshakes with RSA, some tens with an elliptic curve. Then each comes seconds later than one of somebody who
/// had none.
const HANDSHAKE_PRICE: Price =
    Price { times: 5_000, most: Duration::from_secs(60), free: Duration::from_secs(15) };

/// What a connection wants its turn for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// A step of a TLS handshake.
    Handshake,
    Data,
}

/// A connection whose turn it is. Say [`took`](Turns::took) when it is done with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    pub place: Place,
    whose: Household,
    work: Work,
}

/// The connections of one thread that have something for it.
pub(crate) struct Turns {
    handshakes: FairQueue<Place>,
    /// Microseconds that handshakes took.
    handshaken: Spent,
    data: FairQueue<Place>,
    /// When this pass has had its time.
    pass_ends: Instant,
}

impl Turns {
    pub(crate) fn new(now: Instant) -> Turns {
        Turns {
            handshakes: FairQueue::new(HANDSHAKE_PRICE),
            handshaken: Spent::nothing(now),
            data: FairQueue::new(DATA_PRICE),
            pass_ends: now,
        }
    }

    /// A connection waits for its turn from now on: once, whatever comes meanwhile.
    pub(crate) fn push(&mut self, place: Place, whose: Household, work: Work, now: Instant) {
        self.line(work).push(whose, place, now);
    }

    /// Connections have their time of this pass, in which other sources have had `others`.
    pub(crate) fn begin_pass(&mut self, others: Duration, now: Instant) {
        self.pass_ends = now + others.max(PASS_TIME);
    }

    /// The next one of this pass.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Turn> {
        if now >= self.pass_ends {
            return None;
        }
        let may_handshake = self.handshaken.check(1, HANDSHAKES, now).is_ok();
        let work = if may_handshake && !self.handshakes.is_empty() { Work::Handshake } else { Work::Data };
        let (whose, place) = self.line(work).pop(now)?;
        Some(Turn { place, whose, work })
    }

    /// What a turn took: from `begun` to `now`.
    pub(crate) fn took(&mut self, turn: Turn, begun: Instant, now: Instant) {
        let time = now.saturating_duration_since(begun);
        if turn.work == Work::Handshake {
            let micros = u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
            self.handshaken.spend_surely(micros, HANDSHAKES, now);
        }
        self.line(turn.work).took(turn.whose, time, now);
    }

    /// When there is somebody whose turn it is.
    pub(crate) fn next_due(&self, now: Instant) -> Option<Instant> {
        if !self.data.is_empty() {
            return Some(now);
        }
        let wait = self.handshaken.check(1, HANDSHAKES, now).err().unwrap_or_default();
        (!self.handshakes.is_empty()).then(|| now + wait)
    }

    fn line(&mut self, work: Work) -> &mut FairQueue<Place> {
        match work {
            Work::Handshake => &mut self.handshakes,
            Work::Data => &mut self.data,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const US: Duration = Duration::from_micros(1);
    const SECOND: Duration = Duration::from_secs(1);

    /// A thread that does nothing else, and whose clock is arithmetic.
    struct World {
        turns: Turns,
        now: Instant,
    }

    impl World {
        fn new() -> World {
            let now = Instant::now();
            World { turns: Turns::new(now), now }
        }

        fn push(&mut self, address: u32, work: Work) {
            let place = Place { index: address, generation: 0 };
            self.turns.push(place, household(address), work, self.now);
        }

        /// One pass in which each turn takes `each` and comes back; whose they were.
        fn pass(&mut self, each: Duration) -> Vec<(u32, Work)> {
            self.turns.begin_pass(Duration::ZERO, self.now);
            let mut served = Vec::new();
            while let Some(turn) = self.turns.pop(self.now) {
                let begun = self.now;
                self.now += each;
                self.turns.took(turn, begun, self.now);
                self.push(turn.place.index, turn.work);
                served.push((turn.place.index, turn.work));
            }
            served
        }

        /// Passes, and sleep between them as the thread would, until `address` is served; how many others were before.
        fn others_before(&mut self, address: u32, each: Duration) -> usize {
            let mut others = 0;
            loop {
                let served = self.pass(each);
                if let Some(before) = served.iter().position(|(whose, _)| *whose == address) {
                    return others + before;
                }
                others += served.len();
                self.now = self.turns.next_due(self.now).expect("somebody waits");
            }
        }
    }

    fn household(address: u32) -> Household {
        IpAddr::from(Ipv4Addr::from_bits(0x0B00_0000 + address)).into()
    }

    #[test]
    fn handshakes_take_a_fifth_of_the_time_however_many_wait() {
        let mut world = World::new();
        (0..500).for_each(|n| world.push(n, Work::Handshake));
        let (begun, mut steps) = (world.now, 0);
        while world.now < begun + SECOND {
            let served = world.pass(1_500 * US).len();
            assert!(served <= 1, "{served} in one pass");
            steps += served;
            world.now = world.turns.next_due(world.now).expect("they all come back");
        }
        assert!((130..=136).contains(&steps), "{steps} of 1.5 ms in a second");
    }

    #[test]
    fn a_pass_serves_connections_for_half_a_millisecond_and_then_comes_back_to_datagrams() {
        let mut world = World::new();
        for n in 0..100 {
            world.push(n, Work::Data);
            world.push(n, Work::Handshake);
        }
        for each in [50 * US, 400 * US, 2_000 * US] {
            let begun = world.now;
            assert!(!world.pass(each).is_empty());
            assert!(world.now < begun + PASS_TIME + each);
            assert_eq!(world.turns.next_due(world.now), Some(world.now), "it does not sleep");
        }
    }

    #[test]
    fn a_pass_that_was_long_for_datagrams_is_as_long_for_connections() {
        let mut world = World::new();
        world.push(1, Work::Data);
        world.turns.begin_pass(SECOND, world.now);
        assert!(world.turns.pop(world.now + SECOND - US).is_some());
        world.push(1, Work::Data);
        assert!(world.turns.pop(world.now + SECOND).is_none());
    }

    #[test]
    fn whoever_has_had_no_handshake_waits_for_the_one_under_way_not_for_a_flood() {
        let mut world = World::new();
        for _ in 0..450 {
            world.push(1, Work::Handshake);
        }
        (2..100).for_each(|n| world.push(n, Work::Handshake));
        let end = world.now + 3 * SECOND;
        while world.now < end {
            world.pass(1_000 * US);
            world.now = world.turns.next_due(world.now).expect("they all come back");
        }
        // Hello, the end of the handshake, and the hello of the next connection.
        world.push(1_000, Work::Handshake);
        for _ in 0..3 {
            assert!(world.others_before(1_000, 1_000 * US) <= 1);
        }
    }

    #[test]
    fn whoever_sends_little_waits_for_the_turn_under_way_not_for_a_flood() {
        let mut world = World::new();
        (0..40).for_each(|n| world.push(n % 4, Work::Data));
        let end = world.now + SECOND;
        while world.now < end {
            world.pass(1_000 * US);
        }
        world.push(1_000, Work::Data);
        assert_eq!(world.others_before(1_000, 100 * US), 0);
    }

    #[test]
    fn handshakes_that_wait_hold_up_no_data() {
        let mut world = World::new();
        (0..100).for_each(|n| world.push(n, Work::Handshake));
        world.push(1_000, Work::Data);
        assert!(world.others_before(1_000, 1_500 * US) <= 1);
    }

    #[test]
    fn a_thread_whose_handshakes_have_had_their_share_sleeps_until_there_is_more_of_it() {
        let mut world = World::new();
        assert_eq!(world.turns.next_due(world.now), None);
        world.push(1, Work::Handshake);
        world.pass(1_500 * US);
        let due = world.turns.next_due(world.now).expect("it has come back");
        assert!(due > world.now + 4_000 * US && due < world.now + 7_500 * US);
        assert_eq!(world.pass(US), []);
        world.now = due;
        assert_eq!(world.pass(1_500 * US), [(1, Work::Handshake)]);
    }
}
