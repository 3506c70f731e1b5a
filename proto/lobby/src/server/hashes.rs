//! Passwords that wait to be hashed, and whose turn it is. Households take turns, and those that have had none lately go first: who
//! wants one hash does not wait for the many who want more. Every fourth turn is the others', so that nobody waits for ever.

use twocan_base::{FairQueue, Household};

use super::outside::HashJob;

/// Of so many turns, one is for those who have had some lately.
const TURNS: u32 = 4;

#[derive(Default)]
pub(super) struct Hashes {
    first: FairQueue<Household, HashJob>,
    others: FairQueue<Household, HashJob>,
    turn: u32,
    /// Under way.
    running: usize,
}

impl Hashes {
    /// `is_first`: the household has had none lately.
    pub fn push(&mut self, whose: Household, job: HashJob, is_first: bool) {
        let queue = if is_first { &mut self.first } else { &mut self.others };
        queue.push(whose, job);
    }

    /// The next one to hash, unless `most` are under way.
    pub fn next(&mut self, most: usize) -> Option<HashJob> {
        if self.running >= most {
            return None;
        }
        self.turn = self.turn.wrapping_add(1);
        let job = match self.turn.is_multiple_of(TURNS) {
            true => self.others.pop().or_else(|| self.first.pop()),
            false => self.first.pop().or_else(|| self.others.pop()),
        };
        self.running += usize::from(job.is_some());
        job
    }

    /// One has been made, or could not be.
    pub fn done(&mut self) {
        self.running = self.running.saturating_sub(1);
    }
}
