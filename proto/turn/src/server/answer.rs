//! Answers: short, sealed where the request was proved, metered where it was not.

use std::net::SocketAddr;
use std::time::Instant;

use twocan_stun::attribute::{
    AddressErrorCode, ErrorReply, Family as WireFamily, Lifetime, Nonce, PasswordAlgorithms, Realm,
    ReservationToken, UnknownAttributes, XorMappedAddress, XorRelayedAddress,
};
use twocan_stun::{AttributeType, BuildError, Builder, Class, ErrorCode, Message, Method, TransactionId};

use super::Server;
use super::access::Identity;
use super::allocation::{Allocation, AllocationId, Seal};
use super::output::Via;
use super::quota::network_place;
use crate::address::{ClientAddr, Family, RelayAddr};
use crate::policy::is_public_unicast;
use crate::stats::Discard;

/// Room for any answer.
const ANSWER_ROOM: usize = 1_024;
/// An answer to somebody who proved nothing is at most so many times as long as what was asked: a source may be forged.
const AMPLIFICATION_MAX: usize = 5;
/// A challenge without its realm: header, ERROR-CODE, the head of REALM, NONCE, PASSWORD-ALGORITHMS.
const CHALLENGE_BYTES: usize = 20 + 8 + 4 + 44 + 12;
/// Room for a Binding success: 32 or 44 bytes.
const BINDING_ROOM: usize = 44;

/// A request whose sender is proved.
pub(super) struct Request<'a> {
    pub message: Message<'a>,
    pub from: ClientAddr,
    pub identity: Identity,
}

/// Every attribute that this server understands, DONT-FRAGMENT first: it depends on the sockets.
pub(super) const KNOWN: &[AttributeType] = &[
    AttributeType::DONT_FRAGMENT,
    AttributeType::MAPPED_ADDRESS,
    AttributeType::USERNAME,
    AttributeType::ERROR_CODE,
    AttributeType::UNKNOWN_ATTRIBUTES,
    AttributeType::CHANNEL_NUMBER,
    AttributeType::LIFETIME,
    AttributeType::XOR_PEER_ADDRESS,
    AttributeType::DATA,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::XOR_RELAYED_ADDRESS,
    AttributeType::REQUESTED_ADDRESS_FAMILY,
    AttributeType::EVEN_PORT,
    AttributeType::REQUESTED_TRANSPORT,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::XOR_MAPPED_ADDRESS,
    AttributeType::RESERVATION_TOKEN,
];

impl Server {
    /// The attributes of `message` that must be understood, and are not (RFC 8489 6.3.1).
    pub(super) fn unknown_in(&self, message: &Message<'_>) -> Vec<AttributeType> {
        let known = if self.dont_fragment { KNOWN } else { KNOWN.get(1..).unwrap_or_default() };
        message.unknown_comprehension_required(known).take(UnknownAttributes::MAX_WRITTEN).collect()
    }

    /// Answers a Binding request: XOR-MAPPED-ADDRESS and nothing else, unless this is a listener for behaviour discovery.
    pub(super) fn answer_binding(&mut self, message: &Message<'_>, from: ClientAddr, now: Instant) {
        if let Some((alternate, at)) = self.discovery_at(&from) {
            return self.answer_discovery(message, alternate, at, from, now);
        }
        let unknown = self.unknown_in(message);
        if !unknown.is_empty() {
            return self.refuse_unproved(message, from, ErrorCode::UNKNOWN_ATTRIBUTE, &unknown, now);
        }
        if !self.may_answer(from, now) {
            return;
        }
        self.stats.bindings += 1;
        let id = message.transaction_id();
        self.output.message(Via::Client(from), BINDING_ROOM, |buffer| {
            let mut builder = Builder::new(buffer, Class::Success, Method::BINDING, id)?;
            builder.add(&XorMappedAddress(seen_address(&from)))?;
            Ok(builder.finish().len())
        });
    }

    /// Answers a request whose sender is not proved: nothing is kept of it, and each /24 or /56 gets only so many.
    pub(super) fn refuse_unproved(
        &mut self,
        message: &Message<'_>,
        from: ClientAddr,
        code: ErrorCode,
        unknown: &[AttributeType],
        now: Instant,
    ) {
        if !self.may_answer(from, now) {
            return;
        }
        let is_challenge = matches!(code, ErrorCode::UNAUTHENTICATED | ErrorCode::STALE_NONCE);
        let challenge_len = CHALLENGE_BYTES + self.access.realm().len().next_multiple_of(4);
        // Whoever asks in earnest says more: Allocate has REQUESTED-TRANSPORT, all others name a user.
        let is_too_short = is_challenge && challenge_len > AMPLIFICATION_MAX * message.as_bytes().len();
        let code = if is_too_short { ErrorCode::BAD_REQUEST } else { code };
        self.stats.count_error(code.number());
        let challenge =
            (is_challenge && !is_too_short).then(|| self.access.nonce(&from, self.clock.unix_s(now)));
        let realm = self.access.realm();
        let (method, id) = (message.method(), message.transaction_id());
        self.output.message(Via::Client(from), ANSWER_ROOM, |buffer| {
            let mut builder = Builder::new(buffer, Class::Error, method, id)?;
            builder.add(&ErrorReply::bare(code))?;
            if let Some(nonce) = &challenge {
                builder.add(&Realm(realm))?.add(&Nonce(nonce.as_bytes()))?;
                builder.add(&PasswordAlgorithms::SHA256_THEN_MD5)?;
            }
            if !unknown.is_empty() {
                builder.add(&UnknownAttributes::new(unknown))?;
            }
            Ok(builder.finish().len())
        });
    }

    /// Answers a proved request with an error.
    pub(super) fn refuse(&mut self, request: &Request<'_>, code: ErrorCode) {
        self.refuse_with(request, code, &[]);
    }

    /// Answers a proved request with 420.
    pub(super) fn refuse_unknown(&mut self, request: &Request<'_>, unknown: &[AttributeType]) {
        self.refuse_with(request, ErrorCode::UNKNOWN_ATTRIBUTE, unknown);
    }

    fn refuse_with(&mut self, request: &Request<'_>, code: ErrorCode, unknown: &[AttributeType]) {
        self.stats.count_error(code.number());
        let (method, id) = (request.message.method(), request.message.transaction_id());
        self.output.message(Via::Client(request.from), ANSWER_ROOM, |buffer| {
            let mut builder = Builder::new(buffer, Class::Error, method, id)?;
            builder.add(&ErrorReply::bare(code))?;
            if !unknown.is_empty() {
                builder.add(&UnknownAttributes::new(unknown))?;
            }
            finish(builder, &request.identity.seal)
        });
    }

    /// Answers a proved request with success, and LIFETIME where there is one to tell.
    pub(super) fn accept(&mut self, request: &Request<'_>, lifetime_s: Option<u32>) {
        self.stats.successes += 1;
        let (method, id) = (request.message.method(), request.message.transaction_id());
        self.output.message(Via::Client(request.from), ANSWER_ROOM, |buffer| {
            let mut builder = Builder::new(buffer, Class::Success, method, id)?;
            builder.add_optional(lifetime_s.map(Lifetime).as_ref())?;
            finish(builder, &request.identity.seal)
        });
    }

    /// Answers the Allocate that made this allocation, the first time or again (RFC 8656 7.2).
    pub(super) fn answer_allocated(&mut self, id: AllocationId, seal: &Seal) {
        let Some(allocation) = self.allocations.get(id) else { return };
        self.stats.successes += 1;
        let external = self.external;
        let relayed = allocation.relayed().filter_map(|relayed| external.relay_addr(relayed.port));
        self.output.message(Via::Client(allocation.client), ANSWER_ROOM, |buffer| {
            allocated(allocation, relayed, seal, buffer)
        });
    }

    /// Answers the Allocate of an allocation that did not come to be.
    pub(super) fn answer_not_allocated(
        &mut self,
        client: ClientAddr,
        id: TransactionId,
        code: ErrorCode,
        seal: &Seal,
    ) {
        self.stats.count_error(code.number());
        self.output.message(Via::Client(client), ANSWER_ROOM, |buffer| {
            let mut builder = Builder::new(buffer, Class::Error, Method::ALLOCATE, id)?;
            builder.add(&ErrorReply::bare(code))?;
            finish(builder, seal)
        });
    }

    pub(super) fn may_answer(&mut self, from: ClientAddr, now: Instant) -> bool {
        let ip = from.remote.ip().to_canonical();
        let meter = match ip {
            _ if ip.is_loopback() => &mut self.answers_loopback,
            _ if is_public_unicast(ip) => &mut self.answers,
            _ => &mut self.answers_local,
        };
        let admitted = meter.admits(network_place(ip), 1, now);
        if !admitted {
            self.stats.discard(Discard::AnswerRate);
        }
        admitted
    }
}

/// The client's address as it is told: an IPv4 address that came in through an IPv6 socket is an IPv4 address.
fn seen_address(from: &ClientAddr) -> SocketAddr {
    SocketAddr::new(from.remote.ip().to_canonical(), from.remote.port())
}

fn allocated(
    allocation: &Allocation,
    relayed: impl Iterator<Item = RelayAddr>,
    seal: &Seal,
    buffer: &mut [u8],
) -> Result<usize, BuildError> {
    let mut builder = Builder::new(buffer, Class::Success, Method::ALLOCATE, allocation.transaction)?;
    for RelayAddr(address) in relayed {
        builder.add(&XorRelayedAddress(address))?;
    }
    builder.add(&Lifetime(allocation.lifetime_s))?;
    builder.add_optional(allocation.token.map(ReservationToken).as_ref())?;
    if let Some((family, code)) = allocation.failed {
        let family = match family {
            Family::V4 => WireFamily::V4,
            Family::V6 => WireFamily::V6,
        };
        builder.add(&AddressErrorCode { family, code, reason: "" })?;
    }
    builder.add(&XorMappedAddress(seen_address(&allocation.client)))?;
    finish(builder, seal)
}

fn finish(builder: Builder<'_>, seal: &Seal) -> Result<usize, BuildError> {
    if seal.is_sha256 {
        Ok(builder.integrity_sha256(&seal.key)?.finish().len())
    } else {
        Ok(builder.integrity(&seal.key)?.finish().len())
    }
}
