//! What the other side signals, as far as it is read: nothing odd, nothing long, and not too much of it.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::Deserialize;
use serde_json::value::RawValue;
use twocan_lobby::wire::Kind;
use twocan_rtc::limits::{CANDIDATE_LEN_MAX, DESCRIPTIONS_MAX, DESCRIPTIONS_WITHIN};

use crate::connection::{DescriptionKind, Signal};

/// Candidates taken from the other side for one generation (`ice-ufrag`) of its descriptions, those in them included. Of a description with
/// more, so many are taken; their end is none of them.
pub const CANDIDATES_MAX: usize = 128;
/// Bytes of a description: what the server lets through.
pub const SDP_BYTES_MAX: usize = 32 * 1024;

/// Control messages taken within [`CONTROL_WITHIN`]; more say nothing: each may ask for an answer.
pub const CONTROL_MAX: u32 = 500;
/// See [`CONTROL_MAX`].
pub const CONTROL_WITHIN: Duration = Duration::from_secs(1);

/// Reads and counts the signals of one link.
#[derive(Debug, Default)]
pub struct Gate {
    /// When each of the descriptions of late was taken.
    descriptions: VecDeque<Instant>,
    candidates: usize,
    has_end: bool,
    ufrag: Option<String>,
    /// Control messages since then.
    said: Option<(Instant, u32)>,
}

/// What the two say to each other on the control channel.
#[derive(Deserialize)]
struct Control<'a> {
    #[serde(rename = "type")]
    what: &'a str,
    kind: Option<Kind>,
    #[serde(borrow)]
    data: Option<&'a RawValue>,
}

impl Gate {
    /// The signal, unless it is none, or beyond a limit.
    pub fn admit(&mut self, kind: Kind, data: Option<&str>, now: Instant) -> Option<Signal> {
        let signal = match kind {
            Kind::Description => Signal::Description(serde_json::from_str(data?).ok()?),
            Kind::Candidate => Signal::Candidate(serde_json::from_str(data?).ok()?),
            Kind::EndOfCandidates => Signal::EndOfCandidates,
        };
        match &signal {
            Signal::Description(description) => {
                let is_sound = description.kind != DescriptionKind::Rollback
                    && description.sdp.len() <= SDP_BYTES_MAX
                    && self.has_turn(now);
                if !is_sound {
                    return None;
                }
                self.describe(&description.sdp);
            }
            Signal::Candidate(init) => {
                if init.candidate.len() > CANDIDATE_LEN_MAX || self.candidates >= CANDIDATES_MAX {
                    return None;
                }
                self.candidates += 1;
            }
            Signal::EndOfCandidates => {
                if std::mem::replace(&mut self.has_end, true) {
                    return None;
                }
            }
        }
        Some(signal)
    }

    /// Whether a control message says something, and is within the limits.
    pub fn admits_control(&mut self, text: &str, now: Instant) -> bool {
        let (since, said) = self.said.filter(|(since, _)| now < *since + CONTROL_WITHIN).unwrap_or((now, 0));
        self.said = Some((since, said + 1));
        match serde_json::from_str(text) {
            Ok(Control { what: "bye", .. }) => true,
            _ if said >= CONTROL_MAX => false,
            Ok(Control { what: "ping", .. }) => true,
            Ok(Control { what: "signal", kind: Some(kind), data }) => {
                self.admit(kind, data.map(RawValue::get), now).is_some()
            }
            _ => false,
        }
    }

    fn has_turn(&mut self, now: Instant) -> bool {
        while self.descriptions.front().is_some_and(|then| now.duration_since(*then) >= DESCRIPTIONS_WITHIN) {
            self.descriptions.pop_front();
        }
        let has_turn = self.descriptions.len() < DESCRIPTIONS_MAX;
        if has_turn {
            self.descriptions.push_back(now);
        }
        has_turn
    }

    fn describe(&mut self, sdp: &str) {
        let ufrag = sdp.lines().find_map(|line| line.strip_prefix("a=ice-ufrag:"));
        if ufrag != self.ufrag.as_deref() {
            (self.candidates, self.has_end) = (0, false);
            self.ufrag = ufrag.map(str::to_owned);
        }
        let more = sdp.matches("a=candidate").count();
        self.candidates = (self.candidates + more).min(CANDIDATES_MAX);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CANDIDATE: &str = r#"{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host"}"#;

    /// A description of this generation, with so many candidates in it.
    fn offer(ufrag: &str, candidates: usize) -> String {
        let lines = "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n".repeat(candidates);
        json!({"type":"offer","sdp":format!("v=0\r\na=ice-ufrag:{ufrag}\r\n{lines}")}).to_string()
    }

    #[test]
    fn signals_of_a_page_are_read() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        let candidate = r#"{"candidate":"candidate:1 1 udp 1 192.0.2.1 9 typ host","sdpMid":"0","sdpMLineIndex":0,"usernameFragment":null}"#;
        assert!(gate.admit(Kind::Candidate, Some(candidate), now).is_some());
        assert!(gate.admit(Kind::Description, Some(r#"{"type":"offer","sdp":"v=0"}"#), now).is_some());
        assert_eq!(gate.admit(Kind::EndOfCandidates, None, now), Some(Signal::EndOfCandidates));
    }

    #[test]
    fn what_is_no_signal_is_passed_over() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        let long = json!({"candidate":"x".repeat(CANDIDATE_LEN_MAX + 1)}).to_string();
        let large = json!({"type":"offer","sdp":"x".repeat(SDP_BYTES_MAX + 1)}).to_string();
        for data in [None, Some("7"), Some("null"), Some(r#"{"candidate":7}"#), Some(&long)] {
            assert_eq!(gate.admit(Kind::Candidate, data, now), None, "{data:?}");
        }
        for data in [
            None,
            Some("7"),
            Some(r#"{"type":"rollback","sdp":""}"#),
            Some(r#"{"type":["offer"],"sdp":""}"#),
            Some(&large),
        ] {
            assert_eq!(gate.admit(Kind::Description, data, now), None);
        }
        for text in ["7", "null", "[]", r#"{"type":"signal"}"#, r#"{"type":"signal","kind":"other"}"#, "{"] {
            assert!(!gate.admits_control(text, now), "{text}");
        }
        assert!(gate.admits_control(r#"{"type":"bye"}"#, now));
    }

    #[test]
    fn so_many_control_messages_are_taken_in_a_second_and_a_goodbye_always() {
        let (mut gate, start) = (Gate::default(), Instant::now());
        let mut flood = |ms| {
            let now = start + Duration::from_millis(ms);
            let taken =
                (0..2_000).filter(|_| gate.admits_control(r#"{"type":"ping","reply":true}"#, now)).count();
            assert!(gate.admits_control(r#"{"type":"bye"}"#, now));
            taken
        };
        assert_eq!([flood(0), flood(999), flood(1_000)], [500, 0, 500]);
    }

    #[test]
    fn so_many_candidates_of_a_generation_are_taken_with_those_in_its_description() {
        let (mut gate, now) = (Gate::default(), Instant::now());
        gate.admit(Kind::Description, Some(&offer("one", 124)), now).unwrap();
        let taken = (0..200).filter(|_| gate.admit(Kind::Candidate, Some(CANDIDATE), now).is_some()).count();
        assert_eq!(taken, 4);
        assert!(gate.admit(Kind::EndOfCandidates, None, now).is_some());
        assert_eq!(gate.admit(Kind::EndOfCandidates, None, now), None, "once is enough");
        assert!(gate.admit(Kind::Description, Some(&offer("one", 1)), now).is_some(), "the same generation");
        assert_eq!(gate.admit(Kind::Candidate, Some(CANDIDATE), now), None);
        assert!(gate.admit(Kind::Description, Some(&offer("two", 0)), now).is_some());
        assert!(gate.admit(Kind::Candidate, Some(CANDIDATE), now).is_some());
        assert!(
            gate.admit(Kind::Description, Some(&offer("three", 129)), now).is_some(),
            "what fits is taken"
        );
        assert_eq!(gate.admit(Kind::Candidate, Some(CANDIDATE), now), None);
        assert!(gate.admit(Kind::EndOfCandidates, None, now).is_some());
    }

    #[test]
    fn twenty_descriptions_are_taken_in_ten_seconds() {
        let (mut gate, start) = (Gate::default(), Instant::now());
        let mut flood = |ms| {
            let now = start + Duration::from_millis(ms);
            (0..50).filter(|_| gate.admit(Kind::Description, Some(&offer("x", 0)), now).is_some()).count()
        };
        assert_eq!([flood(0), flood(9_999), flood(10_000)], [20, 0, 20]);
    }
}
