//! What goes to a peer that has not answered: a trickle, enough for connectivity checks. Whoever is in a lobby gets no cannon to
//! point at somebody who has agreed to nothing else.

use std::net::IpAddr;
use std::time::Instant;

use super::quota::{Meter, household_place};
use crate::config::Config;
use crate::limits::Rate;

/// What a packet counts at least, in bytes, so that small ones have a rate as well.
const PACKET_BYTES_MIN: u32 = 128;

/// The meters, in bytes.
pub(super) struct Trial {
    users: Meter,
    peers: Meter,
}

impl Trial {
    /// `key` draws by chance.
    pub fn new(config: &Config, mut key: impl FnMut() -> u64, now: Instant) -> Trial {
        let limits = &config.limits;
        Trial {
            users: Meter::new(limits.unanswered_per_user, [key(), key()], now),
            peers: Meter::new(limits.unanswered_per_peer.share(config.threads), [key(), key()], now),
        }
    }

    /// Whether a user may send `len` bytes to a household that has not answered.
    pub fn admits(&mut self, user: u64, peer: IpAddr, len: usize, now: Instant) -> bool {
        let bytes = u32::try_from(len).unwrap_or(u32::MAX).max(PACKET_BYTES_MIN);
        let place = household_place(peer);
        self.users.admits(user ^ place, bytes, now) && self.peers.admits(place, bytes, now)
    }
}

impl Rate {
    /// One of so many equal parts, rounded up.
    pub(super) fn share(self, parts: u32) -> Rate {
        let parts = parts.max(1);
        Rate { per_second: self.per_second.div_ceil(parts), burst: self.burst.div_ceil(parts) }
    }
}
