//! Messages in: requests are answered and lead to checks, answers make pairs usable (RFC 8445 sections 7.2.5 and 7.3).
//!
//! ```text
//! request ─► fingerprint ─► username, integrity ─► attributes ─► roles ─► success, with the address seen
//!              (drop)          (400, 401)            (420, 400)    (487)     └► pair heard: nominated? check at once
//! answer  ─► who asked? ─► fingerprint, integrity ─► from where asked? ─► pair usable, or 487: other role, ask again
//!            (not for us)      (drop)                  (drop)
//! ```

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twocan_stun::attribute::{
    ErrorReply, IceControlled, IceControlling, Priority, Username, XorMappedAddress,
};
use twocan_stun::{AttributeType, Class, ErrorCode, IntegrityKey, Message, Method};

use super::Agent;
use crate::check::{self, Asked};
use crate::checklist::plain;
use crate::pair::{Generation, PairId, Remote, Way};
use crate::role::{Claim, Resolution, resolve};
use crate::{Discard, Event, Failure, Kind, PairState, Role, SocketId, State, TcpType, Transmit, Transport};

/// Requests that are kept until the other side's credentials come.
const EARLY_REQUESTS_MAX: usize = 32;

/// Attributes of one message whose bytes are handed on.
const EMBEDDED_MAX: usize = 4;

/// How long nominations by way of a relay count as lost: a direct pair's check may be lost once, and be repeated after 500 ms.
const PATIENCE: Duration = Duration::from_millis(700);

/// Attributes of a request that must be understood, and are.
const KNOWN: [AttributeType; 3] =
    [AttributeType::USERNAME, AttributeType::PRIORITY, AttributeType::USE_CANDIDATE];

/// An authentic request whose sender's credentials are not known yet: it was answered, and its check is still due.
#[derive(Clone, Debug)]
pub(super) struct Early {
    pub way: Way,
    ufrag: String,
    says: Says,
}

/// What a request says besides its credentials.
#[derive(Clone, Copy, Debug)]
struct Says {
    priority: u32,
    nominates: bool,
    claim: Option<Claim>,
}

impl Agent {
    /// A STUN message, whole: a datagram, or a frame of a stream.
    ///
    /// # Errors
    /// It was not taken; `NotForUs` if it answers a request that was not ours, which gathering may have made.
    pub fn handle_packet(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        self.now = now;
        let way = Way { socket, remote: plain(from) };
        let result = self.take_message(way, bytes, now);
        match result {
            Err(Discard::NotForUs) => {}
            Err(discard) => {
                self.counts.discarded += 1;
                self.counts.unauthenticated += u64::from(discard == Discard::Unauthenticated);
            }
            Ok(()) => self.advance(now),
        }
        result
    }

    fn take_message(&mut self, way: Way, bytes: &[u8], now: Instant) -> Result<(), Discard> {
        let message = Message::parse(bytes).map_err(|_| Discard::Malformed)?;
        if message.method() != Method::BINDING {
            let is_answer = matches!(message.class(), Class::Success | Class::Error);
            return Err(if is_answer { Discard::NotForUs } else { Discard::OtherMethod });
        }
        match message.class() {
            Class::Request => self.take_request(way, &message, now),
            Class::Success | Class::Error => self.take_answer(way, &message, now),
            // A keepalive (RFC 8445 section 11): not authentic, and nothing follows from it.
            Class::Indication => Ok(()),
        }
    }

    fn take_request(&mut self, way: Way, message: &Message<'_>, now: Instant) -> Result<(), Discard> {
        if !self.is_working() {
            return Err(Discard::Closed);
        }
        if !self.bases.iter().any(|base| base.socket == way.socket) {
            return Err(Discard::UnknownSocket);
        }
        message.verify_fingerprint().map_err(|_| Discard::Fingerprint)?;
        let (generation, key, ufrag) = self.authenticate(way, message, now)?;
        let unknown: Vec<AttributeType> = message.unknown_comprehension_required(&KNOWN).collect();
        if !unknown.is_empty() {
            self.refuse(way, message, ErrorCode::UNKNOWN_ATTRIBUTE, &unknown, Some(&key));
            return Err(Discard::UnknownAttributes);
        }
        let Ok(says) = Says::read(message) else {
            self.refuse(way, message, ErrorCode::BAD_REQUEST, &[], Some(&key));
            return Err(Discard::Incomplete);
        };
        if generation == self.generation
            && let Some(theirs) = says.claim
        {
            match resolve(self.claim(), theirs) {
                Resolution::Agreed => {}
                Resolution::Switch => self.switch_role(),
                Resolution::Refuse => {
                    self.counts.role_conflicts += 1;
                    self.refuse(way, message, ErrorCode::ROLE_CONFLICT, &[], Some(&key));
                    return Err(Discard::RoleConflict);
                }
            }
        }
        if self.is_hasty(way, says, generation, now) {
            return Err(Discard::Hasty);
        }
        if let Ok(bytes) = check::success(message, way.remote, &key, &self.embedded) {
            self.transmits.push_back(Transmit { socket: way.socket, to: way.remote, bytes, ttl: None });
        }
        self.take_embedded(message);
        let is_former = generation != self.generation;
        if is_former || self.remote_credentials().is_some_and(|remote| remote.ufrag == ufrag) {
            self.heard(way, says, generation, now)
        } else {
            self.keep(Early { way, ufrag, says })
        }
    }

    /// Whether the answer would end the search on a relay before direct pairs had their time: a nomination without a check before, by
    /// one who keeps the first pair that answers. It counts as lost, and its sender asks again.
    fn is_hasty(&mut self, way: Way, says: Says, generation: Generation, now: Instant) -> bool {
        if !self.is_patient || !says.nominates || self.role != Role::Controlled || self.selected.is_some() {
            return false;
        }
        let pair = self.checklist.find(way, generation);
        let is_relayed =
            self.bases.iter().any(|base| base.socket == way.socket && base.kind == Kind::Relayed)
                || pair.is_some_and(|pair| pair.remote.kind == Kind::Relayed);
        is_relayed
            && pair.is_none_or(|pair| pair.requests_heard == 0)
            && now < *self.hasty_until.get_or_insert(now + PATIENCE)
    }

    /// Who sent a request: by USERNAME `ours:theirs`, and MESSAGE-INTEGRITY with our password. Refused otherwise (RFC 8489
    /// section 9.1.3), within a rate, since anyone can make us answer.
    fn authenticate(
        &mut self,
        way: Way,
        message: &Message<'_>,
        now: Instant,
    ) -> Result<(Generation, IntegrityKey, String), Discard> {
        let username = message.get::<Username>().ok().flatten().map(|Username(name)| name);
        let Some(username) = username.filter(|_| message.has_integrity()) else {
            if self.refusal_pacer.take(now) {
                self.refuse(way, message, ErrorCode::BAD_REQUEST, &[], None);
            }
            return Err(Discard::Incomplete);
        };
        let (ours, theirs) = username.split_once(':').unwrap_or((username, ""));
        let current = (self.generation, &self.local);
        let previous = self.previous.as_ref().map(|previous| (previous.generation, &previous.local));
        let side = [Some(current), previous].into_iter().flatten().find(|(_, local)| {
            local.credentials.ufrag == ours && message.verify_integrity(&local.key).is_ok()
        });
        let side = side.map(|(generation, local)| (generation, local.key.clone(), theirs.to_owned()));
        if side.is_none() && self.refusal_pacer.take(now) {
            self.refuse(way, message, ErrorCode::UNAUTHENTICATED, &[], None);
        }
        side.ok_or(Discard::Unauthenticated)
    }

    fn refuse(
        &mut self,
        way: Way,
        message: &Message<'_>,
        code: ErrorCode,
        unknown: &[AttributeType],
        key: Option<&IntegrityKey>,
    ) {
        if let Ok(bytes) = check::refusal(message, code, unknown, key) {
            self.transmits.push_back(Transmit { socket: way.socket, to: way.remote, bytes, ttl: None });
        }
    }

    fn take_embedded(&mut self, message: &Message<'_>) {
        let open = |kind: AttributeType| {
            self.heard == Some(kind) || self.embedded.iter().any(|(other, _)| *other == kind)
        };
        let found = message.attributes().filter(|attribute| open(attribute.kind)).take(EMBEDDED_MAX);
        let news = found.map(|found| Event::Embedded { kind: found.kind, bytes: found.value.to_vec() });
        self.events.extend(news.collect::<Vec<_>>());
    }

    fn keep(&mut self, early: Early) -> Result<(), Discard> {
        if let Some(known) = self.early.iter_mut().find(|known| known.way == early.way) {
            let nominates = known.says.nominates || early.says.nominates;
            *known = early;
            known.says.nominates = nominates;
            return Ok(());
        }
        if self.early.len() >= EARLY_REQUESTS_MAX {
            return Err(Discard::Full);
        }
        self.early.push_back(early);
        Ok(())
    }

    /// The requests that came before the credentials that they were made with.
    pub(super) fn replay_early(&mut self, now: Instant) {
        for early in std::mem::take(&mut self.early) {
            if self.remote_credentials().is_some_and(|remote| remote.ufrag == early.ufrag) {
                let _ = self.heard(early.way, early.says, self.generation, now);
            } else {
                self.early.push_back(early);
            }
        }
    }

    /// The other side reached us here, so we are likely to reach it: check at once (RFC 8445 section 7.3.1.4).
    /// In the generation before a restart too, where it is a way of that time: the other side may use another pair than we
    /// do, until both have found new ones.
    fn heard(&mut self, way: Way, says: Says, generation: Generation, now: Instant) -> Result<(), Discard> {
        let id = match self.checklist.find(way, generation) {
            Some(pair) => pair.id,
            None => self.discover(way, says.priority, generation)?,
        };
        let controlled = self.role == Role::Controlled;
        let is_selected = self.selected == Some(id);
        let Some(pair) = self.checklist.get_mut(id) else { return Err(Discard::Full) };
        pair.heard = Some(now);
        pair.requests_heard += 1;
        if says.nominates && controlled {
            // Consent checks repeat the nomination in force: that is no new one.
            if !is_selected || pair.nomination.is_none() {
                pair.nomination = Some(now);
            }
            pair.nominated = pair.is_valid();
        }
        match pair.state {
            PairState::Succeeded | PairState::Opening => {}
            // RFC 7675 section 5.1: only a restart brings consent back.
            PairState::Failed(Failure::ConsentExpired | Failure::SocketRemoved) => {}
            _ if pair.was_triggered => {}
            state => {
                if matches!(state, PairState::Failed(_)) {
                    pair.rewind();
                }
                pair.was_triggered = true;
                self.trigger(id);
            }
        }
        Ok(())
    }

    /// A pair that nobody named: with a candidate that was named but not paired, or a peer-reflexive one (RFC 8445
    /// section 7.3.1.3).
    fn discover(&mut self, way: Way, priority: u32, generation: Generation) -> Result<PairId, Discard> {
        let base = self.bases.iter().find(|base| base.socket == way.socket).copied();
        let base = base.ok_or(Discard::UnknownSocket)?;
        let transport = match base.transport {
            Transport::Udp => Transport::Udp,
            Transport::Tcp(TcpType::Active) => Transport::Tcp(TcpType::Passive),
            Transport::Tcp(_) => Transport::Tcp(TcpType::Active),
        };
        let here = |remote: &&Remote| remote.address == way.remote && remote.transport == transport;
        let is_former = generation != self.generation;
        let known = if is_former {
            self.previous.as_ref().and_then(|previous| previous.remotes.iter().find(here))
        } else {
            self.signaled.iter().map(|signaled| &signaled.remote).chain(&self.peer_reflexive).find(here)
        };
        let known = known.copied();
        let remote = match known {
            Some(remote) => remote,
            None if is_former => return Err(Discard::OtherGeneration),
            None if self.peer_reflexive.len() >= self.config.peer_reflexive_max => return Err(Discard::Full),
            None => Remote { kind: Kind::PeerReflexive, transport, address: way.remote, priority },
        };
        let max = self.config.pairs_max;
        let id = self.checklist.add_heard(base, remote, generation, self.role, max).ok_or(Discard::Full)?;
        if known.is_none() {
            self.peer_reflexive.push(remote);
        }
        Ok(id)
    }

    fn take_answer(&mut self, way: Way, message: &Message<'_>, now: Instant) -> Result<(), Discard> {
        let id = self.checklist.asked_by(message.transaction_id()).ok_or(Discard::NotForUs)?;
        let pair = self.checklist.get(id).ok_or(Discard::NotForUs)?;
        let (asked_way, generation) = (pair.way(), pair.generation);
        message.verify_fingerprint().map_err(|_| Discard::Fingerprint)?;
        let refusal = match message.class() {
            Class::Error => {
                Some(message.get::<ErrorReply<'_>>().ok().flatten().ok_or(Discard::Incomplete)?.code)
            }
            _ => None,
        };
        // Who could not tell that we are authentic cannot be authentic to us (RFC 8489 section 9.1.3).
        let is_bare = matches!(refusal, Some(ErrorCode::BAD_REQUEST | ErrorCode::UNAUTHENTICATED));
        let key = self.remote_key(generation).ok_or(Discard::Unauthenticated)?;
        if (message.has_integrity() || !is_bare) && message.verify_integrity(key).is_err() {
            return Err(Discard::Unauthenticated);
        }
        let Some(pair) = self.checklist.get_mut(id) else { return Err(Discard::NotForUs) };
        if asked_way != way {
            pair.answered_from_elsewhere = true;
            return Err(Discard::Asymmetric);
        }
        let mapped = match refusal {
            None => message.get::<XorMappedAddress>().ok().flatten().map(|mapped| plain(mapped.0)),
            Some(_) => None,
        };
        if refusal.is_none() && mapped.is_none() {
            return Err(Discard::Incomplete);
        }
        let Some(asked) = pair.outstanding.take(message.transaction_id()) else {
            return Err(Discard::NotForUs);
        };
        self.take_embedded(message);
        match (refusal, mapped) {
            (Some(code), _) => self.refused(id, asked, code, now),
            (None, Some(mapped)) => {
                self.succeeded(id, asked, mapped, now);
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    fn remote_key(&self, generation: Generation) -> Option<&IntegrityKey> {
        let current = self.remote.as_ref().filter(|_| generation == self.generation);
        let previous = self.previous.as_ref().filter(|previous| generation == previous.generation);
        current.or(previous.map(|previous| &previous.remote)).map(|remote| &remote.key)
    }

    fn refused(&mut self, id: PairId, asked: Asked, code: ErrorCode, now: Instant) -> Result<(), Discard> {
        if code == ErrorCode::ROLE_CONFLICT {
            self.counts.role_conflicts += 1;
            if asked.role == self.role {
                self.tie_breaker = rand_core::RngCore::next_u64(&mut self.rng);
                self.switch_role();
            }
            self.trigger(id);
        } else if let Some(pair) = self.checklist.get_mut(id)
            && pair.state == PairState::InProgress
        {
            pair.fail(Failure::Refused(code));
        }
        self.advance(now);
        Err(Discard::Refused(code))
    }

    /// The pair is usable (RFC 8445 section 7.2.5.3).
    fn succeeded(&mut self, id: PairId, asked: Asked, mapped: SocketAddr, now: Instant) {
        let in_use = self.selected == Some(id);
        let role = self.role;
        let due = now + crate::consent::interval(&self.config, in_use, &mut self.rng);
        let Some(pair) = self.checklist.get_mut(id) else { return };
        let local = self.local_candidates.iter().filter(|local| local.socket == pair.base.socket);
        let kind = local.clone().find(|local| plain(local.candidate.address) == mapped);
        pair.local_kind = match kind {
            Some(local) => local.candidate.kind,
            None if pair.base.kind == Kind::Relayed || pair.is_stream() => pair.base.kind,
            None => Kind::PeerReflexive,
        };
        pair.mapped = Some(mapped);
        pair.confirm(now.saturating_duration_since(asked.at), now);
        pair.nominated |= pair.nomination.is_some()
            && match role {
                Role::Controlling => asked.nominating && asked.role == role,
                Role::Controlled => true,
            };
        let is_to_be_nominated = pair.nomination.is_some() && !pair.nominated;
        if !is_to_be_nominated {
            pair.due = Some(due);
            pair.triggered = false;
        }
        if pair.generation == self.generation {
            self.first_valid.get_or_insert(now);
        }
    }

    /// RFC 8445 section 7.3.1.1: who nominates changes, and so does the order of pairs.
    fn switch_role(&mut self) {
        self.role = self.role.other();
        self.counts.role_conflicts += 1;
        for pair in self.checklist.iter_mut() {
            (pair.nomination, pair.nominated) = (None, false);
        }
        self.events.push_back(Event::RoleChanged(self.role));
        if self.state == State::Completed {
            self.set_state(State::Connected);
        }
    }
}

impl Says {
    fn read(message: &Message<'_>) -> Result<Says, Discard> {
        let priority = message.get::<Priority>().ok().flatten().ok_or(Discard::Incomplete)?;
        let controlling = message.get::<IceControlling>().map_err(|_| Discard::Incomplete)?;
        let controlled = message.get::<IceControlled>().map_err(|_| Discard::Incomplete)?;
        let claim = match (controlling, controlled) {
            (Some(IceControlling(tie_breaker)), _) => Some(Claim { role: Role::Controlling, tie_breaker }),
            (None, Some(IceControlled(tie_breaker))) => Some(Claim { role: Role::Controlled, tie_breaker }),
            (None, None) => None,
        };
        Ok(Says { priority: priority.0, nominates: message.has(AttributeType::USE_CANDIDATE), claim })
    }
}
