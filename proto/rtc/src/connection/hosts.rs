//! Host candidates of private addresses, towards a page. A browser spends its first check on whatever it hears first, and waits 48 ms before the next: so
//! they are said once it has had time for the reflexive ones, on which it hangs whether a NAT in between keeps its port (docs/nat.md). In one
//! network the page is reached all the same: its own host candidate is a name that we look up.
//!
//! ```text
//!  our offer ─► their answer: one of ours ─► said at once        their offer: one of ours ─► said in the answer
//!                             a page's    ─► 100 ms behind its first reflexive candidate, or a second after all
//! ```

use std::time::Instant;

use twocan_ice::Kind;
use twocan_turn::policy::is_public_unicast;

use super::Connection;
use crate::event::Event;
use crate::gather::{Gathered, TransportPolicy};
use crate::limits::{HOSTS_AFTER, HOSTS_WITHIN};
use crate::signal::Signal;

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Hosts {
    /// They are said as others are.
    are_said: bool,
    /// Else they are then.
    until: Option<Instant>,
}

impl Connection {
    /// Whether the other side is not told of this candidate yet.
    pub(super) fn is_kept_back(&self, gathered: &Gathered) -> bool {
        let candidate = &gathered.local.candidate;
        !self.hosts.are_said
            && candidate.kind == Kind::Host
            && !is_public_unicast(candidate.address.ip())
            && self.config.policy == TransportPolicy::All
            && !self.config.hide_host_addresses
            && !self.config.servers.is_empty()
    }

    pub(super) fn keeps_any_back(&self) -> bool {
        self.local.list.iter().any(|gathered| self.is_kept_back(gathered))
    }

    /// A description has come: its writer is one of ours, or takes no candidates later than in descriptions; or it may be a page.
    pub(super) fn meet(&mut self, is_ours: bool, trickles: bool, now: Instant) {
        if self.hosts.are_said {
            return;
        }
        if is_ours || !trickles {
            self.say_hosts(now);
        } else {
            self.hosts.until.get_or_insert(now + HOSTS_WITHIN);
        }
    }

    /// A reflexive or relayed candidate of theirs has come, or the end of them: they have ours as well, or soon.
    pub(super) fn met_reflexive(&mut self, now: Instant) {
        if let Some(until) = &mut self.hosts.until {
            *until = (*until).min(now + HOSTS_AFTER);
        }
    }

    pub(super) fn hosts_timeout(&self) -> Option<Instant> {
        self.hosts.until.filter(|_| !self.hosts.are_said)
    }

    pub(super) fn say_hosts(&mut self, now: Instant) {
        let kept = self.local.list.iter().filter(|gathered| self.is_kept_back(gathered));
        let texts: Vec<String> = kept.map(|gathered| gathered.text.clone()).collect();
        self.hosts.are_said = true;
        if !self.negotiation.is_described() {
            return;
        }
        for text in texts {
            let init = self.candidate_init(&text);
            self.output.event(Event::Signal(Signal::Candidate(init)));
        }
        self.end_local(now);
    }
}
