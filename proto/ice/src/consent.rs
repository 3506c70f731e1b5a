//! Consent freshness (RFC 7675): who is sent to is asked again and again whether it wants that.
//!
//! ```text
//! answered ──4..6 s──► asked ─0.5 s─► asked ─1 s─► asked ──4..6 s──► the same again …   30 s after the answer: expired
//!                                                 └ silent: other pairs are preferred
//! ```

use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::RngCore as _;

use crate::Config;
use crate::pair::Pair;

/// How often one question is asked; a pair is silent after that. One lost packet is no lost path.
pub(crate) const FOLLOW_UPS: u32 = 3;

/// The first wait before a follow-up, unless the round trip takes longer.
const FOLLOW_UP_WAIT: Duration = Duration::from_millis(500);

/// How much less often pairs that are not in use are asked.
const BACKUP_FACTOR: u32 = 3;

/// Whether requests on a usable pair remain unanswered.
pub(crate) fn is_silent(pair: &Pair) -> bool {
    pair.unanswered >= FOLLOW_UPS
}

/// Whether more requests remain unanswered than one question has: the owner asked, too, and bad luck alone is unlikely.
pub(crate) fn is_deaf(pair: &Pair) -> bool {
    pair.unanswered > FOLLOW_UPS
}

/// When consent on a pair ends.
pub(crate) fn expires_at(pair: &Pair, config: &Config) -> Option<Instant> {
    pair.confirmed.map(|confirmed| confirmed + config.consent_expiry)
}

/// The wait until the next regular question: 80 to 120 % of the interval.
pub(crate) fn interval(config: &Config, in_use: bool, rng: &mut ChaCha20Rng) -> Duration {
    let interval = config.consent_interval * if in_use { 1 } else { BACKUP_FACTOR };
    interval * 4 / 5 + interval * 2 / 5 * (rng.next_u32() >> 16) / 0xFFFF
}

/// The wait after the so-manieth question without an answer; `None`: the regular one.
pub(crate) fn follow_up(unanswered: u32, rto: Duration) -> Option<Duration> {
    match unanswered % FOLLOW_UPS {
        0 => None,
        nth => Some(rto.max(FOLLOW_UP_WAIT) * nth),
    }
}
