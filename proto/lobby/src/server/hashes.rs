//! Passwords that wait to be hashed, and whose turn it is: first the households that had none hashed lately, then those whose last
//! is the longest ago. Who wants one hash does not wait for the many who go on and on.

use std::time::{Duration, Instant};

use twocan_base::{FairQueue, Household, Price};

use super::outside::HashJob;

/// What a hash takes, about; a household comes a minute later for each, but no more than that.
const TIME: Duration = Duration::from_millis(25);
const PRICE: Price = Price { times: 2_400, most: Duration::from_secs(60), free: Duration::ZERO };

pub(super) struct Hashes {
    waiting: FairQueue<HashJob>,
    /// Under way.
    running: usize,
}

impl Default for Hashes {
    fn default() -> Self {
        Self { waiting: FairQueue::new(PRICE), running: 0 }
    }
}

impl Hashes {
    pub fn push(&mut self, whose: Household, job: HashJob, now: Instant) {
        self.waiting.push(whose, job, now);
    }

    /// The next one to hash, unless `most` are under way.
    pub fn next(&mut self, most: usize, now: Instant) -> Option<HashJob> {
        if self.running >= most {
            return None;
        }
        let (whose, job) = self.waiting.pop(now)?;
        self.waiting.took(whose, TIME, now);
        self.running += 1;
        Some(job)
    }

    /// One has been made, or could not be.
    pub fn done(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)] // a beginning of time
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::super::outside::HashId;
    use super::*;

    /// 200 households join with the right password every ten and a half seconds, all at once, and one /48 does the same.
    #[test]
    fn whoever_comes_for_the_first_time_does_not_wait_for_those_who_come_again_and_again() {
        let (mut hashes, start) = (Hashes::default(), Instant::now());
        let crowd: Vec<Household> = (0..200)
            .map(|n| IpAddr::from(Ipv4Addr::from_bits(0x0B00_0000 + n)).into())
            .chain(
                (0..200_u32).map(|n| format!("2001:db8:7:{:x}::1", n << 8).parse::<IpAddr>().unwrap().into()),
            )
            .collect();
        let job = |id| HashJob { id: HashId(id), password: "p".into(), salt: [0; 16] };
        for round in 0..5_u32 {
            let now = start + Duration::from_millis(10_500) * round;
            crowd.iter().for_each(|whose| hashes.push(*whose, job(1), now));
            let newcomer: Household = IpAddr::from(Ipv4Addr::from_bits(0x0C00_0000 + round)).into();
            hashes.push(newcomer, job(2), now);
            let place =
                std::iter::from_fn(|| hashes.next(usize::MAX, now)).position(|job| job.id == HashId(2));
            assert!(round == 0 || place == Some(0), "round {round}: {place:?}");
        }
    }
}
