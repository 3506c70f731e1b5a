//! Time: coming up, faltering, mending, failing, closing. The same figures and the same order as the SDK's `link.ts`.
//!
//! ```text
//!  New ──► Connecting ── ICE and the transport are up ──► Connected ── trouble ──► Faltering ── 2 s ──► Mending
//!              │ no way in time                               ▲                        │ up again          │
//!              ▼                                              └────────────────────────┴───────────────────┤
//!            Failed ── restart, or their offer ──► Connecting, Mending            no way in time ──► Failed
//! ```

use std::time::{Duration, Instant};

use twocan_ice::{Role, State, Verdict};

use super::Connection;
use super::verdict::{Evidence, TurnTrouble};
use crate::config::Config;
use crate::event::{ConnectionState, Event, FailReason};
use crate::gather::TransportPolicy;
use crate::limits::{
    FALTER_TIMEOUT, FAREWELL_TIME, NOMINATION_TIMEOUT, PROBE_INTERVAL, PROBE_INTERVAL_MAX, RESTART_INTERVAL,
    RESTART_PATIENCE, STALL_TIMEOUT, TURNED_TIMEOUT, UNHEARD_TIMEOUT,
};
use crate::transport::CloseReason;

/// Where a connection stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    New,
    /// Comes up, for the first time or after it failed to.
    Connecting {
        deadline: Instant,
        /// When ICE is restarted next, where it failed once.
        again: Option<Instant>,
    },
    Connected,
    /// Trouble: it is given a moment.
    Faltering {
        until: Instant,
    },
    Mending {
        deadline: Instant,
        again: Instant,
    },
    Failed,
    /// Our last words go out.
    Closing,
    Closed,
}

pub(super) struct Lifecycle {
    pub(super) phase: Phase,
    connect_timeout: Duration,
    mend_timeout: Duration,
    began: Option<Instant>,
    /// From the beginning to the first time that data could flow.
    pub(super) connect_time: Option<Duration>,
    /// When relays are given back.
    leaves_at: Option<Instant>,
    /// ICE is restarted with the next socket: there was none when the path was lost, and signaling was up.
    pub(super) waits_for_socket: bool,
    /// When our credentials were last renewed: an ICE restart, by either side.
    pub(super) renewed: Option<Instant>,
    /// It is mended because nothing was acknowledged since then, whatever ICE says of the path.
    pub(super) unheard: Option<Instant>,
    /// We stood still until then: what was not acknowledged meanwhile says nothing.
    woke: Option<Instant>,
    /// When ICE was last asked to look after the path.
    probed: Option<Instant>,
    /// When data began to go by the selected pair.
    pub(super) selected_at: Option<Instant>,
    /// When data last came by the selected pair, or ICE was last told that it comes by another one.
    pub(super) heard: Option<Instant>,
    /// The transport is up.
    pub(super) is_secured: bool,
    /// Why the transport ended.
    close_reason: Option<CloseReason>,
    is_signaling_up: bool,
    pub(super) is_incompatible: bool,
    pub(super) turn: TurnTrouble,
}

impl Lifecycle {
    pub(super) fn new(config: &Config) -> Lifecycle {
        Lifecycle {
            phase: Phase::New,
            connect_timeout: config.connect_timeout,
            mend_timeout: config.mend_timeout,
            began: None,
            connect_time: None,
            leaves_at: None,
            waits_for_socket: false,
            renewed: None,
            unheard: None,
            woke: None,
            probed: None,
            selected_at: None,
            heard: None,
            is_secured: false,
            close_reason: None,
            is_signaling_up: true,
            is_incompatible: false,
            turn: TurnTrouble::None,
        }
    }

    pub(super) fn state(&self) -> ConnectionState {
        match self.phase {
            Phase::New => ConnectionState::New,
            Phase::Connecting { .. } => ConnectionState::Connecting,
            Phase::Connected => ConnectionState::Connected,
            Phase::Faltering { .. } | Phase::Mending { .. } => ConnectionState::Disconnected,
            Phase::Failed => ConnectionState::Failed,
            Phase::Closing | Phase::Closed => ConnectionState::Closed,
        }
    }

    pub(super) fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason
    }

    pub(super) fn signaling(&mut self, is_up: bool) {
        self.is_signaling_up = is_up;
    }

    /// It is mended, and nobody is there who would carry an offer.
    pub(super) fn is_alone(&self) -> bool {
        self.is_mending() && !self.is_signaling_up
    }

    pub(super) fn is_mending(&self) -> bool {
        matches!(self.phase, Phase::Mending { .. })
    }

    pub(super) fn is_over(&self) -> bool {
        matches!(self.phase, Phase::Closing | Phase::Closed)
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Connecting { deadline, again } => {
                Some(again.map_or(deadline, |again| again.min(deadline)))
            }
            Phase::Faltering { until } => Some(until),
            Phase::Mending { deadline, again } => Some(deadline.min(again)),
            Phase::New | Phase::Connected | Phase::Failed | Phase::Closing | Phase::Closed => None,
        }
    }
}

impl Connection {
    pub(super) fn become_phase(&mut self, phase: Phase) {
        let before = self.lifecycle.state();
        self.lifecycle.phase = phase;
        let state = self.lifecycle.state();
        if state != before {
            self.output.event(Event::StateChanged(state));
        }
    }

    /// The first signal goes out, or came in.
    pub(super) fn begin(&mut self, now: Instant) {
        if self.lifecycle.phase == Phase::New {
            self.lifecycle.began = Some(now);
            let deadline = now + self.lifecycle.connect_timeout;
            self.become_phase(Phase::Connecting { deadline, again: None });
            self.gatherer.end_of_sockets(now);
        }
    }

    /// Something came up: is all of it?
    pub(super) fn maybe_up(&mut self, now: Instant) {
        let is_ice_up = self
            .agent
            .as_ref()
            .is_some_and(|agent| matches!(agent.state(), State::Connected | State::Completed));
        // The other side answers checks by what it knew before: until it has answered our offer, what is mended is not whole.
        let is_asked =
            matches!(self.lifecycle.phase, Phase::Mending { .. }) && self.negotiation.offered.is_some();
        // Something is acknowledged, though more may be underway.
        let silent = self.transport.silent_since();
        self.lifecycle.unheard =
            self.lifecycle.unheard.filter(|unheard| silent.is_some_and(|since| since <= *unheard));
        let is_not_yet = is_asked || self.lifecycle.unheard.is_some();
        if !is_ice_up || is_not_yet || !self.lifecycle.is_secured || self.lifecycle.is_over() {
            return;
        }
        if self.lifecycle.connect_time.is_none() {
            self.lifecycle.connect_time = self.lifecycle.began.map(|began| now.duration_since(began));
        }
        if self.lifecycle.phase != Phase::Connected {
            self.say_what_waits(now);
            self.become_phase(Phase::Connected);
            // Whoever restarts asks anew.
            self.gatherer.set_active(false, now);
        }
    }

    /// ICE has a path.
    pub(super) fn path_found(&mut self, now: Instant) {
        self.maybe_up(now);
        self.say_what_waits(now);
    }

    /// While nothing got through SCTP's timer has backed off: what waits for it goes now.
    fn say_what_waits(&mut self, now: Instant) {
        let is_silent = matches!(self.lifecycle.phase, Phase::Faltering { .. } | Phase::Mending { .. });
        if is_silent && let Some(selected) = self.selected {
            self.transport.path_changed(selected.rtt, now);
        }
    }

    /// Data of the other side came by a pair that is not selected. It may have lost the selected one, which the controlling side would otherwise notice only by what
    /// is not acknowledged.
    pub(super) fn heard_elsewhere(&mut self, now: Instant) {
        let Some(selected) = self.selected.filter(|_| self.is_controlling()) else { return };
        let patience = TURNED_TIMEOUT + selected.rtt.unwrap_or_default();
        let heard = self.lifecycle.heard.max(self.lifecycle.selected_at);
        if heard.is_none_or(|heard| heard + patience <= now)
            && let Some(agent) = &mut self.agent
        {
            self.lifecycle.heard = Some(now);
            agent.suspect(now);
        }
    }

    /// ICE hears nothing on the path.
    pub(super) fn falter(&mut self, now: Instant) {
        if self.lifecycle.phase == Phase::Connected {
            self.become_phase(Phase::Faltering { until: now + FALTER_TIMEOUT });
        }
    }

    /// The path is gone: its socket is. Whoever loses it restarts ICE at once, if it has another. Where nobody carries an offer, the
    /// credentials in force are what another way can be found with, and are kept for a while: the other side takes a check from
    /// wherever it comes.
    pub(super) fn path_lost(&mut self, now: Instant) {
        match self.lifecycle.phase {
            Phase::Connected | Phase::Faltering { .. } => {
                self.mend(false, now);
                if self.lifecycle.is_signaling_up {
                    if self.sockets.is_empty() {
                        self.lifecycle.waits_for_socket = true;
                    } else {
                        self.restart(now);
                    }
                } else if let Phase::Mending { again, .. } = &mut self.lifecycle.phase {
                    *again = now + RESTART_PATIENCE;
                }
            }
            Phase::New
            | Phase::Connecting { .. }
            | Phase::Mending { .. }
            | Phase::Failed
            | Phase::Closing
            | Phase::Closed => {}
        }
    }

    /// ICE gave up.
    pub(super) fn gave_up(&mut self, verdict: Verdict, now: Instant) {
        match self.lifecycle.phase {
            Phase::Connecting { again: None, .. } => self.fail(true, Some(verdict)),
            Phase::Connected | Phase::Faltering { .. } => self.mend(true, now),
            // It is restarted by and by until the deadline.
            Phase::Connecting { again: Some(_), .. } | Phase::Mending { .. } => {}
            Phase::New | Phase::Failed | Phase::Closing | Phase::Closed => {}
        }
    }

    /// Gathering ended with nothing: there is nothing to wait for.
    pub(super) fn nothing_gathered(&mut self, now: Instant) {
        let _ = now;
        if matches!(self.lifecycle.phase, Phase::Connecting { .. }) {
            self.fail(false, None);
        }
    }

    /// A description does not fit: a connection that never came up will not.
    pub(super) fn unfit(&mut self) {
        self.lifecycle.is_incompatible = true;
        if matches!(self.lifecycle.phase, Phase::New | Phase::Connecting { .. }) {
            self.fail(false, None);
        }
    }

    /// The connection falters, or is tried once more. The side that offered restarts ICE at once, the other one later.
    pub(super) fn mend(&mut self, restarts: bool, now: Instant) {
        self.lifecycle.is_incompatible = false;
        self.lifecycle.turn = TurnTrouble::None;
        let is_ours = self.negotiation.offered.is_some() || self.is_controlling();
        let is_now = restarts && is_ours && !self.waits_alone();
        let again = now + if is_now { RESTART_INTERVAL } else { RESTART_INTERVAL / 2 };
        let phase = if self.lifecycle.connect_time.is_some() {
            Phase::Mending { deadline: now + self.lifecycle.mend_timeout, again }
        } else {
            Phase::Connecting { deadline: now + self.lifecycle.connect_timeout, again: Some(again) }
        };
        self.become_phase(phase);
        if is_now {
            self.restart(now);
        }
    }

    /// Nobody carries an offer, and the path is silent, but not given up: the other side may stand still, and answers with the credentials in
    /// force when it goes on. With others it would be waited for an answer that cannot come.
    fn waits_alone(&self) -> bool {
        !self.lifecycle.is_signaling_up && self.negotiation.offered.is_none() && self.selected.is_some()
    }

    /// Checks on the path of before are answered, and all that was sent is acknowledged: the other side calls it open.
    fn carries(&self, now: Instant) -> bool {
        let patience = self.config.ice.consent_interval * 2;
        let confirmed = self.agent.as_ref().and_then(twocan_ice::Agent::confirmed);
        let is_answered = confirmed.is_some_and(|then| now.duration_since(then) < patience);
        is_answered && self.lifecycle.is_secured && self.transport.silent_since().is_none()
    }

    pub(super) fn is_controlling(&self) -> bool {
        self.agent.as_ref().is_some_and(|agent| agent.role() == Role::Controlling)
    }

    pub(super) fn run_timers(&mut self, now: Instant) {
        if let Some(agent) = &mut self.agent {
            agent.handle_timeout(now);
        }
        self.gatherer.handle_timeout(now);
        if self.lifecycle.leaves_at.is_some_and(|due| due <= now) {
            self.lifecycle.leaves_at = None;
            self.gatherer.close(now);
        }
        if self.is_started {
            self.transport.handle_timeout(now);
        }
        if self.probe_timeout().is_some_and(|due| due <= now)
            && let Some(agent) = &mut self.agent
        {
            self.lifecycle.probed = Some(now);
            agent.probe(now);
        }
        if let Some(due) = self.unheard_timeout().filter(|due| *due <= now) {
            self.unheard(due, now);
        }
        if self.offer_timeout().is_some_and(|due| due <= now) {
            self.restart_anew();
        }
        if self.search_timeout().is_some_and(|due| due <= now) {
            self.search_direct(now);
        }
        if self.unsaid_timeout().is_some_and(|due| due <= now) {
            self.restart(now);
        }
        if self.hosts_timeout().is_some_and(|due| due <= now) {
            self.say_hosts(now);
        }
        self.close_strangers(now);
        if self.lifecycle.next_timeout().is_none_or(|due| due > now) {
            return;
        }
        match self.lifecycle.phase {
            Phase::Faltering { .. } => self.mend(true, now),
            // It may be the offers that get nowhere, and not what is sent.
            Phase::Mending { deadline, .. } if deadline <= now && self.carries(now) => {
                self.become_phase(Phase::Connected);
            }
            Phase::Connecting { deadline, .. } | Phase::Mending { deadline, .. } if deadline <= now => {
                self.fail(false, None);
            }
            Phase::Connecting { deadline, again: Some(_) } => {
                let again = Some(now + RESTART_INTERVAL);
                self.become_phase(Phase::Connecting { deadline, again });
                self.restart_anew();
            }
            Phase::Mending { deadline, .. } if self.waits_alone() => {
                self.become_phase(Phase::Mending { deadline, again: now + RESTART_PATIENCE });
                if let Some(agent) = &mut self.agent {
                    agent.probe(now);
                }
            }
            Phase::Mending { deadline, .. } => {
                self.become_phase(Phase::Mending { deadline, again: now + RESTART_INTERVAL });
                self.restart_anew();
            }
            Phase::Connecting { again: None, .. }
            | Phase::New
            | Phase::Connected
            | Phase::Failed
            | Phase::Closing
            | Phase::Closed => {}
        }
    }

    /// When ICE is to ask whether the path is still there: data went out, and nothing came back. Consent alone would take its time.
    fn probe_timeout(&self) -> Option<Instant> {
        let rtt = self.selected?.rtt.unwrap_or_default();
        let stalled = self.transport.silent_since()? + STALL_TIMEOUT + 2 * rtt;
        let Some(probed) = self.lifecycle.probed else { return Some(stalled) };
        // Rarer, the longer it lasts.
        let patience = (probed.saturating_duration_since(stalled) / 8).min(PROBE_INTERVAL_MAX);
        Some(stalled.max(probed + PROBE_INTERVAL.max(rtt + rtt / 4).max(patience)))
    }

    /// When the path is taken for lost although its checks are answered.
    fn unheard_timeout(&self) -> Option<Instant> {
        let is_up = self.lifecycle.phase == Phase::Connected;
        let rtt = self.selected.and_then(|selected| selected.rtt).unwrap_or_default();
        let since = self.transport.silent_since().filter(|_| is_up)?;
        let since = self.lifecycle.woke.map_or(since, |woke| woke.max(since));
        Some(since + UNHEARD_TIMEOUT + 2 * rtt)
    }

    /// Nothing was acknowledged for so long; unless we stood still ourselves.
    fn unheard(&mut self, due: Instant, now: Instant) {
        if due + UNHEARD_TIMEOUT / 4 <= now {
            self.lifecycle.woke = Some(now);
        } else {
            self.lifecycle.unheard = self.transport.silent_since();
            self.mend(true, now);
        }
    }

    /// When ICE is restarted for what was gathered and not signaled, over a path that was found with the credentials in force: once the other side has taken to that
    /// path, since whatever it takes to until then belongs to the time before a restart. One that nominates only when its own pair falls silent, as browsers do, is not
    /// waited for.
    fn unsaid_timeout(&self) -> Option<Instant> {
        let selected = self.selected.filter(|_| self.local.is_unsaid)?;
        let since = self.lifecycle.selected_at.filter(|_| self.lifecycle.phase == Phase::Connected)?;
        let patience = NOMINATION_TIMEOUT + 2 * selected.rtt.unwrap_or_default();
        Some(if selected.nominated { since } else { since + patience })
    }

    /// When an offer that found no answer is made anew: as long as it stands the other side's are passed over.
    fn offer_timeout(&self) -> Option<Instant> {
        let is_up = matches!(self.lifecycle.phase, Phase::Connected | Phase::Faltering { .. });
        self.negotiation.offered.filter(|_| is_up).map(|then| then + RESTART_INTERVAL)
    }

    /// An answer came to an offer that was made anew meanwhile: those to the later ones are on their way, and are waited for longer.
    pub(super) fn answer_is_late(&mut self, now: Instant) {
        let patient = now + RESTART_INTERVAL * 2;
        self.negotiation.offered = self.negotiation.offered.map(|_| now + RESTART_INTERVAL);
        if let Phase::Mending { again, .. } | Phase::Connecting { again: Some(again), .. } =
            &mut self.lifecycle.phase
        {
            *again = patient.max(*again);
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Instant> {
        if self.lifecycle.phase == Phase::Closed {
            return self.lifecycle.leaves_at.into_iter().chain(self.gatherer.poll_timeout()).min();
        }
        let parts = [
            self.agent.as_ref().and_then(twocan_ice::Agent::poll_timeout),
            self.gatherer.poll_timeout(),
            if self.is_started { self.transport.poll_timeout() } else { None },
            self.lifecycle.next_timeout(),
            self.offer_timeout(),
            self.search_timeout(),
            self.unsaid_timeout(),
            self.hosts_timeout(),
            self.probe_timeout(),
            self.unheard_timeout(),
            self.stranger_timeout(),
        ];
        parts.into_iter().flatten().min()
    }

    pub(super) fn fail(&mut self, gave_up: bool, verdict: Option<Verdict>) {
        let verdict = verdict.or_else(|| self.agent.as_ref().map(twocan_ice::Agent::verdict));
        let reason = self.evidence(gave_up).reason();
        self.fail_because(reason, verdict);
    }

    fn fail_because(&mut self, reason: FailReason, verdict: Option<Verdict>) {
        self.become_phase(Phase::Failed);
        self.output.event(Event::Failed { reason, verdict });
    }

    fn evidence(&self, gave_up: bool) -> Evidence {
        let is_ice_up = self
            .agent
            .as_ref()
            .is_some_and(|agent| matches!(agent.state(), State::Connected | State::Completed));
        Evidence {
            is_incompatible: self.lifecycle.is_incompatible,
            has_pair: is_ice_up && self.lifecycle.unheard.is_none(),
            is_signaling_up: self.lifecycle.is_signaling_up,
            has_local: !self.local.list.is_empty(),
            has_relayed: self.local.has_relayed(),
            has_remote: self.remote.is_any,
            is_relay_only: self.config.policy == TransportPolicy::Relay,
            turn: self.lifecycle.turn,
            gave_up,
        }
    }

    pub(super) fn begin_close(&mut self, now: Instant) {
        if self.lifecycle.is_over() {
            return;
        }
        if self.is_started {
            self.become_phase(Phase::Closing);
            self.transport.close(now);
        } else {
            self.end(CloseReason::Local, now);
        }
    }

    /// The transport is gone, and with it the connection.
    pub(super) fn transport_closed(&mut self, why: CloseReason, now: Instant) {
        self.lifecycle.close_reason = Some(why);
        if why.is_dtls() && !self.lifecycle.is_over() {
            self.fail_because(FailReason::DtlsFailed, None);
        }
        self.end(why, now);
    }

    /// Nothing follows but goodbyes to relays.
    fn end(&mut self, why: CloseReason, now: Instant) {
        // The last words go by the path, which ends with ICE and the relays.
        self.queue_farewell(now);
        self.become_phase(Phase::Closed);
        if self.selected.is_some_and(|selected| self.gatherer.is_relay(selected.socket)) {
            self.lifecycle.leaves_at = Some(now + FAREWELL_TIME);
        } else {
            self.gatherer.close(now);
        }
        if let Some(agent) = &mut self.agent {
            agent.close(now);
        }
        self.early.clear();
        self.output.event(Event::Closed { why });
    }
}
