//! What the agent says of itself.

use super::Agent;
use super::timers::is_open;
use crate::pair::Pair;
use crate::verdict::{Facts, judge};
use crate::{Kind, PairReport, Report, State, Verdict};

impl Agent {
    pub(super) fn explain(&self) -> Report {
        Report {
            role: self.role,
            state: self.state,
            verdict: self.judge(),
            pairs: self.checklist.iter().map(|pair| self.explain_pair(pair)).collect(),
            requests_sent: self.counts.requests_sent,
            discarded: self.counts.discarded,
            unauthenticated: self.counts.unauthenticated,
        }
    }

    fn explain_pair(&self, pair: &Pair) -> PairReport {
        let since = |at: std::time::Instant| at.saturating_duration_since(self.started);
        PairReport {
            socket: pair.base.socket,
            local_kind: pair.local_kind,
            remote: pair.remote.address,
            remote_kind: pair.remote.kind,
            transport: pair.base.transport,
            priority: pair.priority(self.role),
            state: pair.state,
            requests_sent: pair.requests_sent,
            answers: pair.answers,
            requests_heard: pair.requests_heard,
            first_sent: pair.first_sent.map(since),
            last_sent: pair.last_sent.map(since),
            validated: pair.validated.map(since),
            rtt: pair.rtt,
            nominated: pair.nominated,
            selected: self.selected == Some(pair.id),
        }
    }

    pub(super) fn judge(&self) -> Verdict {
        if self.state == State::Closed {
            return Verdict::Closed;
        }
        if self.selected().is_some() {
            return Verdict::Connected;
        }
        match self.lost {
            Some(lost) => lost,
            None if self.checklist.iter().any(is_open) => Verdict::Undecided,
            None => self.reason(),
        }
    }

    /// Why nothing is usable, as far as is known.
    pub(super) fn reason(&self) -> Verdict {
        judge(&self.facts())
    }

    fn facts(&self) -> Facts {
        let pairs = || self.checklist.iter();
        let relayed_here = self.bases.iter().any(|base| base.kind == Kind::Relayed);
        let relayed_there = self.signaled.iter().any(|signaled| signaled.remote.kind == Kind::Relayed);
        Facts {
            described: self.remote.is_some(),
            local_candidates: !self.bases.is_empty(),
            remote_candidates: !self.signaled.is_empty() || !self.peer_reflexive.is_empty(),
            pairs: pairs().next().is_some(),
            heard: pairs().any(|pair| pair.requests_heard > 0),
            unauthenticated: self.counts.unauthenticated > 0,
            refused: pairs().filter_map(Pair::refusal).next(),
            role_conflicts: self.counts.role_conflicts,
            relay: relayed_here || relayed_there,
            symmetric_here: self.is_symmetric_here(),
            symmetric_there: self.is_symmetric_there(),
        }
    }

    /// One socket of ours was seen at two addresses.
    fn is_symmetric_here(&self) -> bool {
        self.bases.iter().filter(|base| base.kind == Kind::Host).any(|base| {
            let reflexive = self
                .local_candidates
                .iter()
                .filter(|local| local.socket == base.socket && local.candidate.kind == Kind::ServerReflexive);
            let mapped = self.checklist.iter().filter(|pair| pair.base.socket == base.socket);
            let mapped = mapped.filter_map(|pair| pair.mapped).filter(|mapped| *mapped != base.address);
            let mut seen = reflexive.map(|local| local.candidate.address).chain(mapped);
            let first = seen.next();
            seen.any(|other| Some(other) != first)
        })
    }

    /// One socket of theirs was seen at two addresses: they say so, or their checks come from a port that no server saw.
    fn is_symmetric_there(&self) -> bool {
        let reflexive = || {
            let of_kind = |s: &&super::Signaled| s.remote.kind == Kind::ServerReflexive;
            self.signaled.iter().filter(of_kind)
        };
        let said = reflexive().any(|one| {
            let other =
                |s: &super::Signaled| s.related == one.related && s.remote.address != one.remote.address;
            one.related.is_some() && reflexive().any(other)
        });
        let found = self
            .peer_reflexive
            .iter()
            .any(|found| reflexive().any(|named| named.remote.address.ip() == found.address.ip()));
        said || found
    }
}
