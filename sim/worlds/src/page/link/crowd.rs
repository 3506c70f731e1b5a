//! `Link._uncrowd` of `web/sdk/src/link.ts`: where each check brings another candidate, the link begins anew by relays alone.

use std::time::{Duration, Instant};

use super::{Effect, Link, LinkState, MEND};

const CROWD_AFTER: Duration = Duration::from_secs(1);
const CROWD: usize = 32;

impl Link {
    /// From the beginning, or from when it falters.
    pub(super) fn look_for_a_crowd(&mut self, now: Instant) {
        self.crowd_at = Some(now + CROWD_AFTER);
    }

    pub(super) fn uncrowd(&mut self, now: Instant) {
        if !matches!(self.state, LinkState::Connecting | LinkState::Mending) {
            return;
        }
        if self.offers && self.around.online && self.named && self.pc.ice.peer_reflexive() >= CROWD {
            self.effects.push_back(Effect::Anew);
        } else {
            self.look_for_a_crowd(now);
        }
    }

    /// It takes the place of `before`.
    pub(in crate::page) fn after(mut self, before: &Link, generation: u64, now: Instant) -> Link {
        let is_known = self.offers || before.state == LinkState::Connecting;
        self.deadline = before.deadline.filter(|_| is_known).or(Some(now + MEND));
        if before.app.is_over() {
            self.app.stop();
        }
        (self.generation, self.around, self.was_open) = (generation, before.around, before.was_open);
        self
    }
}
