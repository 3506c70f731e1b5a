//! Which of the usable pairs is used: the first one at once, then only what is really better (`ASSUMPTIONS.md`, 3).

use std::cmp::Reverse;
use std::time::{Duration, Instant};

use crate::consent::is_silent;
use crate::pair::{Pair, PairId};

/// A path is faster only if it saves this much, or a quarter: less is noise.
const RTT_GAIN_MIN: Duration = Duration::from_millis(10);

/// What a choice depends on besides the pairs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Situation {
    /// When the pair in use was selected; `None` if there is none.
    pub selected_since: Option<Instant>,
    /// How long only a shorter way counts, not a faster one.
    pub settle: Duration,
    pub now: Instant,
}

impl Situation {
    fn is_settled(&self) -> bool {
        self.selected_since.is_none_or(|since| self.now >= since + self.settle)
    }
}

/// The pair to use, of the usable ones, by what is known on this side alone.
pub(crate) fn choose<'a>(
    pairs: impl Iterator<Item = &'a Pair>,
    current: Option<&Pair>,
    situation: Situation,
) -> Option<PairId> {
    let best = pairs.min_by_key(|pair| rank(pair))?;
    match current {
        Some(current) if !is_better(best, current, situation) => Some(current.id),
        _ => Some(best.id),
    }
}

/// The pair that the controlling side wants, of those usable that it nominated: the latest. Nominations that come shortly after one another may
/// have overtaken each other, or be those of a peer that nominates whatever it checks: of them it is the best way.
pub(crate) fn follow<'a>(
    nominated: impl Iterator<Item = &'a Pair> + Clone,
    settle: Duration,
) -> Option<PairId> {
    let latest = nominated.clone().filter_map(|pair| pair.nomination).max()?;
    let recent = nominated.filter(|pair| pair.nomination.is_some_and(|at| at + settle > latest));
    let key = |pair: &&Pair| (is_silent(pair), pair.class(), Reverse((pair.nomination, pair.id)));
    recent.min_by_key(key).map(|pair| pair.id)
}

fn is_better(pair: &Pair, current: &Pair, situation: Situation) -> bool {
    let class = |pair: &Pair| (is_silent(pair), pair.class());
    class(pair) < class(current)
        || class(pair) == class(current) && situation.is_settled() && is_faster(pair, current)
}

fn is_faster(pair: &Pair, current: &Pair) -> bool {
    match (pair.rtt, current.rtt) {
        (Some(rtt), Some(current)) => rtt + RTT_GAIN_MIN.max(current / 4) < current,
        _ => false,
    }
}

fn rank(pair: &Pair) -> impl Ord + use<> {
    (is_silent(pair), pair.class(), pair.rtt.unwrap_or(Duration::MAX), pair.id)
}
