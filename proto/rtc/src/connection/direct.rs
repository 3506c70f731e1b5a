//! A path that turned from direct to relayed works, but is not good again: it costs the relay's owner every byte, and both sides its delay. So ICE is
//! restarted over it, which keeps it until something better is found: a few times, and no more.
//!
//! ```text
//!  direct ── its pair falls silent, a relay takes over ──► relayed ── restart after 0, 4, 15 and 60 s ──► direct
//! ```

use std::time::Instant;

use super::Connection;
use super::lifecycle::Phase;
use crate::gather::TransportPolicy;
use crate::limits::{DIRECT_RETRIES, RESTART_INTERVAL, RESTART_PATIENCE};

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DirectSearch {
    /// The last path was direct.
    was_direct: bool,
    /// When it turned, and how many of [`DIRECT_RETRIES`] are over.
    turned: Option<(Instant, usize)>,
}

impl DirectSearch {
    /// Another path is in use; our credentials were `renewed` last then. A path that comes and goes does not begin anew each time.
    pub(super) fn follow(&mut self, is_relayed: bool, renewed: Option<Instant>, now: Instant) {
        let is_turned = is_relayed && self.was_direct;
        self.was_direct = !is_relayed;
        let is_under_way = self
            .turned
            .is_some_and(|(since, _)| DIRECT_RETRIES.last().is_some_and(|last| now < since + *last));
        if is_turned && !is_under_way {
            // Where a restart brought this path it has only just looked for a better one.
            let is_looked = renewed.is_some_and(|at| now < at + RESTART_INTERVAL);
            self.turned = Some((now, usize::from(is_looked)));
        }
    }

    /// When the next restart is due.
    fn due(&self) -> Option<Instant> {
        let (since, tries) = self.turned.filter(|_| !self.was_direct)?;
        DIRECT_RETRIES.get(tries).map(|wait| since + *wait)
    }
}

impl Connection {
    /// When ICE is restarted for a direct path. The controlled side gives the other one a moment.
    pub(super) fn search_timeout(&self) -> Option<Instant> {
        // Whatever the other side does not use yet may not carry the offer.
        let is_taken = self.selected.is_some_and(|selected| selected.nominated);
        if self.lifecycle.phase != Phase::Connected
            || !is_taken
            || self.config.policy == TransportPolicy::Relay
        {
            return None;
        }
        let due = self.direct_search.due()?;
        Some(if self.is_controlling() { due } else { due + RESTART_PATIENCE })
    }

    pub(super) fn search_direct(&mut self, now: Instant) {
        let Some(due) = self.direct_search.due() else { return };
        if let Some((_, tries)) = &mut self.direct_search.turned {
            *tries += 1;
        }
        // The other side may have done it.
        if self.lifecycle.renewed.is_none_or(|at| at < due) {
            self.restart(now);
        }
    }
}
