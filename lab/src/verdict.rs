//! How two hosts talk: what the ledger says of them, in one word.

use serde::Serialize;
use twocan_sim::HostId;

use crate::ledger::Ledger;
use crate::way::Way;

/// Records of TLS that a host gets while it does no more than ask the relay for an allocation, at most: which of them are
/// somebody's data does not show.
const TLS_CONTROL_RECORDS: u64 = 16;

/// How two hosts talk.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "verdict", rename_all = "kebab-case")]
pub enum Verdict {
    /// From host to host, both ways.
    Direct,
    /// Through the relay.
    Relayed {
        /// How the one reaches it.
        left: Way,
        /// How the other does.
        right: Way,
    },
    /// Not at all.
    Nothing,
}

impl Ledger {
    /// How these two talk, or talked last: of two ways that work, the one that carries more of late. `server` is where the
    /// relay is.
    pub fn verdict(&self, left: HostId, right: HostId, server: HostId) -> Verdict {
        let latest = self.delivered().map(|(.., traffic)| traffic.last).max();
        let Some(latest) = latest else { return Verdict::Nothing };
        let direct =
            |from, to| self.between(from, to, |way| way == Way::Direct, latest).map(|(_, weight)| weight);
        let relayed = |to| self.between(server, to, Way::is_relayed, latest);
        let direct = direct(left, right).zip(direct(right, left)).map(|(there, back)| there.min(back));
        let relayed = relayed(left).zip(relayed(right));
        match (direct, relayed) {
            (Some(direct), Some(((_, one), (_, other)))) if direct >= one.min(other) => Verdict::Direct,
            (_, Some(((left, _), (right, _)))) => Verdict::Relayed { left, right },
            (Some(_), None) => Verdict::Direct,
            (None, None) => Verdict::Nothing,
        }
    }

    /// The way with the most weight of those that arrived.
    fn between(
        &self,
        from: HostId,
        to: HostId,
        wanted: impl Fn(Way) -> bool,
        now: std::time::Instant,
    ) -> Option<(Way, f64)> {
        let ways = self.delivered().filter(|(a, b, way, traffic)| {
            let is_control = *way == Way::RelayedTls && traffic.packets <= TLS_CONTROL_RECORDS;
            *a == from && *b == to && wanted(*way) && !is_control
        });
        let weighed = ways.map(|(_, _, way, traffic)| (way, traffic.weight(now)));
        weighed.max_by(|(_, one), (_, other)| one.total_cmp(other))
    }
}
