//! Answers: verified first, then what they mean for the request behind them.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twocan_stun::attribute::{
    AlternateServer, ErrorReply, Lifetime, Nonce, XorMappedAddress, XorRelayedAddress,
};
use twocan_stun::client::Event as Answered;
use twocan_stun::{AttributeType, Class, ErrorCode, IntegrityError, Message};

use super::config::limits;
use super::output::{Discard, Event, Failure};
use super::request::{Pending, What};
use super::{Client, State};
use crate::Family;

impl Client {
    pub(super) fn answer(&mut self, answer: &Message<'_>, now: Instant) -> Result<(), Discard> {
        let index = self
            .pending
            .iter()
            .position(|pending| pending.transaction.transaction_id() == answer.transaction_id())
            .ok_or(Discard::OtherTransaction)?;
        let pending = self.pending.get_mut(index).ok_or(Discard::OtherTransaction)?;
        let code = match answer.class() {
            Class::Success => None,
            _ => Some(answer.get::<ErrorReply<'_>>()?.ok_or(Discard::Missing)?.code),
        };
        verify(pending, answer, code)?;
        if answer.unknown_comprehension_required(AttributeType::ALL).next().is_some() {
            return Err(Discard::UnknownAttribute);
        }
        let challenge = match code {
            Some(code @ (ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE)) => Some(code),
            _ => None,
        };
        let is_new_nonce = answer.get::<Nonce<'_>>()?.is_some_and(|Nonce(nonce)| !self.auth.has_nonce(nonce));
        if challenge.is_some() {
            self.auth.challenged(answer)?;
        }
        pending.transaction.handle_answer(answer, now).map_err(|_| Discard::OtherTransaction)?;
        let mut pending = self.pending.swap_remove(index);
        if let Some(Answered::Answered { rtt: Some(rtt) }) = pending.transaction.poll_event() {
            self.rtt = Some(rtt);
        }
        match (challenge, code) {
            (Some(code), _) => self.challenged(pending, code, is_new_nonce, now),
            (None, Some(code)) => self.refused(pending, code, answer, now),
            (None, None) => self.accepted(pending, answer, now),
        }
        Ok(())
    }

    /// 401 or 438: once more, with the new nonce.
    fn challenged(&mut self, pending: Pending, code: ErrorCode, is_new_nonce: bool, now: Instant) {
        let Pending { what, key, attempts, .. } = pending;
        if key.is_none() {
            if self.config.hold && self.state == State::Allocating && !self.was_allocated {
                self.state = State::Held;
                return self.events.push_back(Event::Challenged);
            }
            self.events.push_back(Event::Challenged);
            return self.request_again(what, attempts + 1, now);
        }
        let may_repeat = attempts < limits::ATTEMPTS_MAX && is_new_nonce;
        let is_stale = code == ErrorCode::STALE_NONCE
            // Some servers say 401 where the nonce is too old; a credential that was good once deserves another try.
            || self.was_allocated && attempts == 0;
        if may_repeat && is_stale {
            return self.request_again(what, attempts + 1, now);
        }
        if self.auth.fall_back() {
            return self.request_again(what, attempts + 1, now);
        }
        match what {
            What::Close => self.closed(),
            _ => self.fail(Failure::WrongCredentials),
        }
    }

    fn accepted(&mut self, pending: Pending, answer: &Message<'_>, now: Instant) {
        match pending.what {
            What::Allocate => match self.read_allocation(answer) {
                Some((relayed, mapped, lifetime)) => self.allocated(relayed, mapped, lifetime, now),
                None => self.fail(Failure::BadAnswer),
            },
            What::Free => self.request(What::Allocate, now),
            What::Refresh => {
                self.auth.settle();
                match (self.state, answer.get()) {
                    (State::Allocated { relayed, .. }, Ok(Some(Lifetime(lifetime_s)))) if lifetime_s > 0 => {
                        let refresh_at = now + refresh_after(lifetime_s);
                        self.state = State::Allocated { relayed, refresh_at };
                    }
                    (State::Allocated { .. }, _) => self.allocate_anew(now),
                    _ => {}
                }
            }
            What::Close => self.closed(),
            What::Permit(_) => {}
            What::Bind(number, _) => self.peers.bound(number, true),
        }
    }

    fn read_allocation(&self, answer: &Message<'_>) -> Option<(SocketAddr, Option<SocketAddr>, u32)> {
        let XorRelayedAddress(relayed) = answer.get().ok()??;
        let Lifetime(lifetime_s) = answer.get().ok()??;
        let mapped = answer.get::<XorMappedAddress>().ok()?.map(|XorMappedAddress(mapped)| mapped);
        let is_usable = Family::of(relayed.ip()) == self.config.family
            && relayed.port() != 0
            && !relayed.ip().is_unspecified()
            && !relayed.ip().is_multicast()
            && lifetime_s > 0;
        is_usable.then_some((relayed, mapped, lifetime_s))
    }

    fn allocated(&mut self, relayed: SocketAddr, mapped: Option<SocketAddr>, lifetime_s: u32, now: Instant) {
        self.auth.settle();
        self.has_freed = false;
        self.state = State::Allocated { relayed, refresh_at: now + refresh_after(lifetime_s) };
        let event = if self.was_allocated {
            Event::Reallocated { relayed, mapped }
        } else {
            Event::Allocated { relayed, mapped }
        };
        self.was_allocated = true;
        self.events.push_back(event);
        let wanted = self.peers.permitted();
        self.request_permissions(&wanted, now);
    }

    /// An error other than 401 and 438.
    fn refused(&mut self, pending: Pending, code: ErrorCode, answer: &Message<'_>, now: Instant) {
        let is_mismatch = code == ErrorCode::ALLOCATION_MISMATCH;
        match pending.what {
            What::Allocate if code == ErrorCode::TRY_ALTERNATE => match answer.get() {
                Ok(Some(AlternateServer(server))) => {
                    self.end();
                    self.events.push_back(Event::AlternateServer(server));
                }
                _ => self.fail(Failure::BadAnswer),
            },
            What::Allocate if is_mismatch && !self.has_freed && pending.key.is_some() => {
                self.has_freed = true;
                self.request(What::Free, now);
            }
            What::Allocate if is_mismatch => self.fail(Failure::FiveTupleTaken),
            What::Allocate => self.fail(failure(code)),
            What::Free if is_mismatch => self.request(What::Allocate, now),
            What::Free => self.fail(Failure::FiveTupleTaken),
            What::Close => self.closed(),
            What::Refresh | What::Permit(_) | What::Bind(..) if is_mismatch => self.allocate_anew(now),
            what @ What::Refresh if code == ErrorCode::WRONG_CREDENTIALS && self.auth.fall_back() => {
                self.request_again(what, pending.attempts + 1, now);
            }
            What::Refresh => self.fail(failure(code)),
            What::Permit(peer) => {
                self.peers.refused(peer, now);
                self.events.push_back(Event::PeerRefused { peer, code });
            }
            What::Bind(number, peer) => {
                self.peers.bound(number, false);
                if code == ErrorCode::FORBIDDEN {
                    self.peers.refused(peer.ip(), now);
                    self.events.push_back(Event::PeerRefused { peer: peer.ip(), code });
                }
            }
        }
    }

    /// No answer came.
    pub(super) fn timed_out(&mut self, pending: Pending, now: Instant) {
        match pending.what {
            What::Allocate | What::Free => {
                self.fail(pending.unverified.map_or(Failure::TimedOut, Failure::Unverified));
            }
            What::Close => self.closed(),
            // The server is there: so many packets were lost, or it is slow.
            what if now.saturating_duration_since(self.heard_at) < limits::PATIENCE => {
                self.request(what, now);
            }
            What::Refresh | What::Permit(_) | What::Bind(..) => self.allocate_anew(now),
        }
    }

    fn closed(&mut self) {
        self.end();
        self.events.push_back(Event::Closed);
    }
}

/// A signed request has a signed answer; only 401 and 438 come without, since the server may not know the key (RFC 8489
/// 9.2.5).
fn verify(pending: &mut Pending, answer: &Message<'_>, code: Option<ErrorCode>) -> Result<(), Discard> {
    let Some(key) = &pending.key else { return Ok(()) };
    let is_challenge = matches!(code, Some(ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE));
    match answer.verify_integrity(key) {
        Ok(()) => Ok(()),
        Err(IntegrityError::Missing) if is_challenge => Ok(()),
        Err(error) => {
            pending.unverified = code.or(pending.unverified);
            Err(Discard::Integrity(error))
        }
    }
}

fn failure(code: ErrorCode) -> Failure {
    match code {
        ErrorCode::UNAUTHENTICATED | ErrorCode::WRONG_CREDENTIALS => Failure::WrongCredentials,
        code => Failure::Refused(code),
    }
}

/// When to refresh an allocation that has just got this lifetime.
fn refresh_after(lifetime_s: u32) -> Duration {
    let lifetime = Duration::from_secs(lifetime_s.into());
    let margin = limits::REFRESH_MARGIN.min(lifetime / 2);
    (lifetime - margin).clamp(limits::REFRESH_MIN, limits::REFRESH_MAX)
}
