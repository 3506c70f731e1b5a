//! `web/sdk/src/signals.ts`: what is taken of the other side's signals, whichever way they come.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde_json::Value;

const DESCRIPTIONS_MAX: usize = 20;
const DESCRIPTIONS_WITHIN: Duration = Duration::from_secs(10);
/// What an offer with other credentials counts for.
const RESTART_COST: usize = 3;
const SDP_LENGTH_MAX: usize = 32 * 1024;
const CANDIDATES_MAX: usize = 128;
const CANDIDATE_LENGTH_MAX: usize = 1_024;

/// Counts the signals of one link.
#[derive(Debug, Default)]
pub(super) struct Gate {
    descriptions: VecDeque<Instant>,
    candidates: usize,
    /// That of the last offer.
    offered: Option<String>,
    generation: Option<String>,
}

impl Gate {
    /// Whether it is a signal, and within the limits.
    pub fn admits(&mut self, kind: &str, data: &Value, now: Instant) -> bool {
        if kind != "description" {
            let text = data["candidate"].as_str();
            let is_one = kind == "end-of-candidates"
                || kind == "candidate" && text.is_some_and(|text| text.len() <= CANDIDATE_LENGTH_MAX);
            self.candidates += usize::from(is_one);
            return is_one && self.candidates <= CANDIDATES_MAX;
        }
        while self.descriptions.front().is_some_and(|then| now >= *then + DESCRIPTIONS_WITHIN) {
            self.descriptions.pop_front();
        }
        let sdp = data["sdp"].as_str().unwrap_or_default();
        let is_known = data["type"] == "answer" || generation_of(sdp) == self.offered.as_deref();
        let cost = if is_known { 1 } else { RESTART_COST };
        let is_much = self.descriptions.len() + cost > DESCRIPTIONS_MAX;
        if sdp.is_empty() || sdp.len() > SDP_LENGTH_MAX || is_much {
            return false;
        }
        if !is_known {
            self.offered = generation_of(sdp).map(str::to_owned);
        }
        self.descriptions.extend(std::iter::repeat_n(now, cost));
        let own = candidates_in(sdp);
        if generation_of(sdp) != self.generation.as_deref() {
            return own <= CANDIDATES_MAX;
        }
        self.candidates += own;
        self.candidates <= CANDIDATES_MAX
    }

    /// A description was set: the candidates that follow may be those of another generation.
    pub fn taken(&mut self, sdp: &str) {
        let generation = generation_of(sdp);
        if generation != self.generation.as_deref() {
            self.generation = generation.map(str::to_owned);
            self.candidates = candidates_in(sdp);
        }
    }
}

fn generation_of(sdp: &str) -> Option<&str> {
    sdp.lines().find(|line| line.starts_with("a=ice-ufrag:"))
}

/// Candidates that a description names.
pub(super) fn candidates_in(sdp: &str) -> usize {
    sdp.matches("a=candidate").count()
}
