//! Descriptions: ours are made, theirs are applied.

use std::time::Instant;

use twocan_ice::{Agent, Kind as CandidateKind, Role};

use super::Connection;
use super::inbound::DTLS_IN_STUN;
use super::lifecycle::Phase;
use super::negotiation::Taken;
use crate::event::Event;
use crate::sdp::{Description, Kind, Session};
use crate::signal::{Signal, SignalError};
use crate::transport::limits;

impl Connection {
    pub(super) fn signal(&mut self, signal: Signal, now: Instant) -> Result<(), SignalError> {
        if self.lifecycle.is_over() {
            return Err(SignalError::Closed);
        }
        match signal {
            Signal::Description(description) => self.description(&description, now),
            Signal::Candidate(init) => self.remote_candidate(init, now),
            Signal::EndOfCandidates => {
                self.end_remote(now);
                Ok(())
            }
        }
    }

    fn description(&mut self, description: &Description, now: Instant) -> Result<(), SignalError> {
        let kind = description.kind;
        self.negotiation.admit(kind, now)?;
        let Ok(session) = Session::parse(&description.sdp) else {
            if self.negotiation.is_passed_over(kind) {
                return Err(SignalError::WrongState);
            }
            self.unfit();
            return Err(SignalError::BadDescription);
        };
        let is_first = self.negotiation.remote.is_none();
        let offered = self.negotiation.offered;
        let taken = match self.negotiation.take((kind, description.offer), session, self.is_started) {
            Ok(taken) => taken,
            Err(why @ SignalError::WrongState) => return Err(why),
            Err(why @ SignalError::OtherGeneration) => {
                self.answer_is_late(now);
                return Err(why);
            }
            Err(why) => {
                self.unfit();
                return Err(why);
            }
        };
        self.begin(now);
        if self.lifecycle.phase == Phase::Failed {
            self.mend(false, now);
        }
        if kind == Kind::Offer && is_first {
            // If ours was on its way it is rolled back, and with it the role.
            let is_lite = self.remote_session().is_some_and(|session| session.ice_lite);
            self.make_agent(if is_lite { Role::Controlling } else { Role::Controlled }, now);
        }
        if let (Kind::Answer, Some(then), None) = (kind, offered, self.negotiation.rtt_hint)
            && let Some(agent) = &mut self.agent
        {
            agent.set_rtt_hint(now.duration_since(then));
        }
        let (is_ours, trickles) =
            self.remote_session().map_or((true, true), |session| (session.is_ours, session.trickle));
        self.meet(is_ours, trickles, now);
        if let Some(agent) = &mut self.agent {
            // Ours check as soon as they hear of us.
            agent.set_opening(!is_ours);
            // Who cannot trickle may be of the time when the first pair that answered was kept (aiortc is).
            agent.set_patient(!trickles);
        }
        self.take_session(taken, now);
        self.maybe_up(now);
        if kind == Kind::Offer {
            // Ours was to restart ICE, and was rolled back: theirs does it too, or ours comes again.
            self.negotiation.is_wanted |= offered.is_some() && !is_first;
            self.negotiation.is_wanted &= !taken.is_new_generation;
            self.describe(Kind::Answer, now);
        }
        Ok(())
    }

    fn remote_session(&self) -> Option<&Session> {
        self.negotiation.remote.as_ref().map(|remote| &remote.session)
    }

    fn take_session(&mut self, taken: Taken, now: Instant) {
        let Some(session) = self.remote_session().cloned() else { return };
        if taken.is_renewal_due {
            self.renew(now);
        }
        let is_fresh = !self.negotiation.is_paired();
        if taken.is_new_generation || is_fresh {
            self.begin_remote_generation();
            if let Some(agent) = &mut self.agent {
                agent.set_remote_credentials(session.credentials, now);
            }
        }
        self.negotiation.pair();
        for candidate in &session.candidates {
            // One that is of no use does not spoil the rest.
            let _ = self.take_candidate(candidate, now);
        }
        self.take_early_candidates(now);
        if session.end_of_candidates {
            self.end_remote(now);
        }
    }

    /// New credentials: a restart, as far as this side is concerned. Servers are asked anew what they see.
    fn renew(&mut self, now: Instant) {
        let credentials = self.negotiation.renew();
        if let Some(agent) = &mut self.agent {
            agent.restart(credentials, now);
        }
        self.stats.restarts += 1;
        self.lifecycle.renewed = Some(now);
        (self.local.is_gathered, self.local.is_unsaid) = (false, false);
        self.gatherer.restart(now);
    }

    fn make_agent(&mut self, role: Role, now: Instant) {
        let seed = self.seed();
        let credentials = self.negotiation.credentials.clone();
        let mut agent = Agent::new(self.config.ice.clone(), credentials, role, seed, now);
        agent.hear(DTLS_IN_STUN);
        if let Some(rtt) = self.negotiation.rtt_hint {
            agent.set_rtt_hint(rtt);
        }
        self.local.list.retain(|gathered| agent.add_local_candidate(gathered.local.clone(), now).is_ok());
        for (listener, remote) in self.streams.accepted() {
            agent.handle_stream_open(listener, remote, now);
        }
        self.agent = Some(agent);
    }

    pub(super) fn want_offer(&mut self, now: Instant) {
        if self.negotiation.remote.is_none() && self.negotiation.offered.is_none() {
            self.begin(now);
            self.negotiation.is_wanted = true;
        }
    }

    /// Where nothing was negotiated yet there is nothing to restart.
    pub(super) fn restart(&mut self, now: Instant) {
        if self.negotiation.remote.is_none() {
            return;
        }
        match self.lifecycle.phase {
            Phase::Failed => self.mend(true, now),
            // What it would do a moment later is done now, and once.
            Phase::Faltering { .. } => self.mend(false, now),
            _ => {}
        }
        self.negotiation.is_wanted = true;
    }

    /// Once more, whatever became of the offer before: it may have been lost on its way.
    pub(super) fn restart_anew(&mut self) {
        self.negotiation.offered = None;
        self.negotiation.is_repeated = false;
        self.negotiation.is_wanted = true;
    }

    /// Makes the offer that is due; whether one was.
    pub(super) fn offer_if_wanted(&mut self, now: Instant) -> bool {
        let is_due =
            self.negotiation.is_wanted && self.negotiation.offered.is_none() && !self.lifecycle.is_over();
        if is_due {
            self.negotiation.is_wanted = false;
            if self.agent.is_none() {
                self.make_agent(Role::Controlling, now);
            } else if !self.negotiation.is_repeated {
                self.renew(now);
            }
            self.negotiation.offer(now);
            self.describe(Kind::Offer, now);
        }
        is_due
    }

    /// Sends our description of this moment, with the candidates known. Reflexive ones follow it, to whoever takes them so:
    /// a lobby's server lets them go together with those of the other side (docs/protocol.md §1.4). Relayed ones stay
    /// behind them: a peer that got those first would try them first, and may stay with the first that works.
    fn describe(&mut self, kind: Kind, now: Instant) {
        let mut session = self.negotiation.describe(kind, self.config.certificate.fingerprint());
        session.max_message_size = u32::try_from(limits::MESSAGE_LEN_MAX).unwrap_or(u32::MAX);
        session.sctp_init = self.transport.sctp_init();
        let trickles = self.negotiation.remote.as_ref().is_none_or(|remote| remote.session.trickle);
        let known = self.local.list.iter().filter(|gathered| !self.is_kept_back(gathered));
        let mut kinds = known.clone().map(|gathered| gathered.local.candidate.kind);
        let waits = trickles && kinds.any(|kind| kind == CandidateKind::ServerReflexive);
        let (later, here): (Vec<_>, Vec<_>) =
            known.partition(|gathered| waits && gathered.local.candidate.kind != CandidateKind::Host);
        session.candidates = here.into_iter().map(|gathered| gathered.text.clone()).collect();
        let later: Vec<Event> = later
            .into_iter()
            .map(|gathered| Event::Signal(Signal::Candidate(self.candidate_init(&gathered.text))))
            .collect();
        session.end_of_candidates = self.local.is_gathered
            && later.is_empty()
            && !self.keeps_any_back()
            && !self.is_between_networks();
        self.negotiation.is_ended = session.end_of_candidates;
        let offer = self.remote_session().filter(|_| kind == Kind::Answer).map(|session| session.version);
        let description = Description { kind, sdp: session.write(), offer };
        self.output.event(Event::Signal(Signal::Description(description)));
        later.into_iter().for_each(|event| self.output.event(event));
        self.end_local(now);
    }
}
