//! What may be set, and every limit by its name.

use std::time::Duration;

/// How an agent behaves. The default is what both peers of Twocan use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Checks that may be sent at once, before Ta paces them.
    pub burst: u32,
    /// Ta: how long apart checks are afterwards (RFC 8445 section 14.2: at least 5 ms).
    pub ta: Duration,
    /// The first wait for an answer, as long as nothing is known of the round trip.
    pub rto: Duration,
    /// No wait for an answer is shorter, whatever the round trip.
    pub rto_min: Duration,
    /// No wait for an answer is longer.
    pub rto_max: Duration,
    /// How often a pair is tried in a row.
    pub requests_max: u32,
    /// Pairs in the checklist; the least promising are left out (RFC 8445 section 6.1.2.5).
    pub pairs_max: usize,
    /// Candidates of ours.
    pub local_candidates_max: usize,
    /// Candidates that the other side may name.
    pub remote_candidates_max: usize,
    /// Candidates of the other side that its checks may reveal.
    pub peer_reflexive_max: usize,
    /// How long after the first success a better pair is looked for; what is still untried then is given up.
    pub settle: Duration,
    /// Pairs besides the selected one that are kept usable, to fall back on.
    pub backups_max: usize,
    /// How often consent is asked for, before it is varied by 20 % (RFC 7675 section 5.1).
    pub consent_interval: Duration,
    /// How long consent lasts without an answer (RFC 7675 section 5.1).
    pub consent_expiry: Duration,
    /// How long a selected pair may be silent before the state is `Disconnected`.
    pub disconnected_after: Duration,
    /// The same, if it was asked more often than consent alone does, by [`crate::Agent::probe`], and did not answer.
    pub deaf_after: Duration,
    /// How long to go on trying when everything was tried and failed: a peer's check may still come (RFC 8863).
    pub patience_min: Duration,
    /// How long to try at all, from when both sides' credentials are known.
    pub patience: Duration,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            burst: 32,
            ta: Duration::from_millis(5),
            rto: Duration::from_millis(200),
            rto_min: Duration::from_millis(30),
            rto_max: Duration::from_secs(3),
            requests_max: 10,
            pairs_max: 100,
            local_candidates_max: 64,
            remote_candidates_max: 64,
            peer_reflexive_max: 32,
            settle: Duration::from_secs(2),
            backups_max: 3,
            consent_interval: Duration::from_secs(5),
            consent_expiry: Duration::from_secs(30),
            disconnected_after: Duration::from_secs(8),
            deaf_after: Duration::from_secs(1),
            patience_min: Duration::from_secs(10),
            patience: Duration::from_secs(30),
        }
    }
}
