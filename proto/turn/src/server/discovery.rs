//! Behaviour discovery (RFC 5780): Binding requests at the four sockets of a server with two addresses. The answers are
//! metered as all that go to somebody unproved, and never go to another IP address than the one that asks.

use std::time::Instant;

use twocan_stun::alternate::{Alternate, Origin};
use twocan_stun::attribute::UnknownAttributes;
use twocan_stun::{AttributeType, ErrorCode, Message};

use super::Server;
use super::answer::KNOWN;
use super::output::Via;
use crate::address::{ClientAddr, OriginAddr, Transport};

/// What is understood besides, here alone.
const KNOWN_HERE: [AttributeType; 3] =
    [AttributeType::CHANGE_REQUEST, AttributeType::RESPONSE_PORT, AttributeType::PADDING];

impl Server {
    /// Which of whose sockets a client's packet came in at, if that answers discovery. A connection cannot be answered from
    /// elsewhere, so only UDP does.
    pub(super) fn discovery_at(&self, from: &ClientAddr) -> Option<(Alternate, Origin)> {
        let of = |alternate: &Alternate| Some((*alternate, alternate.origin(from.local)?));
        if from.transport == Transport::Udp { self.discovery.iter().find_map(of) } else { None }
    }

    pub(super) fn answer_discovery(
        &mut self,
        message: &Message<'_>,
        alternate: Alternate,
        at: Origin,
        from: ClientAddr,
        now: Instant,
    ) {
        let unknown: Vec<AttributeType> = message
            .unknown_comprehension_required(KNOWN)
            .filter(|kind| !KNOWN_HERE.contains(kind))
            .take(UnknownAttributes::MAX_WRITTEN)
            .collect();
        if !unknown.is_empty() {
            return self.refuse_unproved(message, from, ErrorCode::UNKNOWN_ATTRIBUTE, &unknown, now);
        }
        let Ok(answer) = alternate.plan(message, at, from.remote) else {
            return self.refuse_unproved(message, from, ErrorCode::BAD_REQUEST, &[], now);
        };
        if !self.may_answer(from, now) {
            return;
        }
        self.stats.bindings += 1;
        let via = Via::Discovery(OriginAddr(answer.from), answer.to);
        self.output.message(via, answer.room(), |buffer| answer.write(message, buffer));
    }
}
