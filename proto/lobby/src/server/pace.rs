//! How fast one session may talk.

use std::time::{Duration, Instant};

use twocan_base::{Rate, Spent};

/// How fast one session may talk.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    spent: Spent,
    /// Frames on top, for links just opened.
    spare: u32,
    refused: u32,
}

/// A frame beyond the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum TooFast {
    /// Refused, with the time to wait.
    Wait(Duration),
    /// Refused too often: the socket is to be closed.
    Enough,
}

impl Pace {
    pub fn new(now: Instant) -> Self {
        Self { spent: Spent::nothing(now), spare: 0, refused: 0 }
    }

    pub fn credit(&mut self, frames: u32, most: u32) {
        self.spare = self.spare.saturating_add(frames).min(most);
    }

    pub fn spend(&mut self, frames: u32, rate: Rate, refusals_max: u32, now: Instant) -> Result<(), TooFast> {
        if self.spare >= frames {
            self.spare -= frames;
            self.refused = 0;
            return Ok(());
        }
        match self.spent.spend(frames, rate, now) {
            Ok(()) => {
                self.refused = self.refused.saturating_sub(1);
                Ok(())
            }
            Err(_) if self.refused >= refusals_max => Err(TooFast::Enough),
            Err(wait) => {
                self.refused += 1;
                Err(TooFast::Wait(wait))
            }
        }
    }
}
