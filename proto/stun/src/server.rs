//! Answers to Binding requests (RFC 8489 section 6.3), as short as they can be: 32 bytes, 44 for IPv6. No SOFTWARE, no
//! MAPPED-ADDRESS, no reason. Responses, indications and errors are never answered.

use std::net::SocketAddr;

use crate::attribute::{ErrorReply, UnknownAttributes, XorMappedAddress};
use crate::{AttributeType, BuildError, Builder, Class, ErrorCode, Message, Method};

/// Length of the longest answer, in bytes: a buffer of this size is always enough.
pub const ANSWER_LEN_MAX: usize = 20 + 8 + 4 + 2 * UnknownAttributes::MAX_WRITTEN;

/// Why a message is not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum Discard {
    /// A response or an indication: nobody waits for an answer.
    #[error("not a request")]
    NotARequest,
    /// A request for something else than Binding.
    #[error("another method")]
    OtherMethod,
    /// FINGERPRINT is wrong: perhaps no STUN at all.
    #[error("the fingerprint is wrong")]
    WrongFingerprint,
    /// The caller's buffer is too small.
    #[error("no room for the answer")]
    NoRoom,
}

impl From<BuildError> for Discard {
    fn from(_: BuildError) -> Discard {
        Discard::NoRoom
    }
}

/// What a Binding request may carry without being refused: what ICE sends, and credentials, which nobody asked for. What
/// RFC 5780 adds is not among them, since we do not do it.
const KNOWN: &[AttributeType] = &[
    AttributeType::USERNAME,
    AttributeType::USERHASH,
    AttributeType::REALM,
    AttributeType::NONCE,
    AttributeType::PASSWORD_ALGORITHM,
    AttributeType::PRIORITY,
    AttributeType::USE_CANDIDATE,
];

/// Answers a Binding request that came from `from`, without asking for credentials; an unknown attribute that must be
/// understood is answered with 420.
///
/// # Errors
/// The message is not to be answered.
pub fn answer_binding<'b>(
    request: &Message<'_>,
    from: SocketAddr,
    buffer: &'b mut [u8],
) -> Result<&'b [u8], Discard> {
    if request.class() != Class::Request {
        return Err(Discard::NotARequest);
    }
    if request.method() != Method::BINDING {
        return Err(Discard::OtherMethod);
    }
    if request.has(AttributeType::FINGERPRINT) && request.verify_fingerprint().is_err() {
        return Err(Discard::WrongFingerprint);
    }
    let mut unknown = request.unknown_comprehension_required(KNOWN);
    let Some(first) = unknown.next() else {
        let mut answer = Builder::success(buffer, request)?;
        answer.add(&XorMappedAddress(from))?;
        return Ok(answer.finish());
    };
    let mut kinds = [first; UnknownAttributes::MAX_WRITTEN];
    let mut count = 1;
    for (place, kind) in kinds.iter_mut().skip(1).zip(unknown) {
        *place = kind;
        count += 1;
    }
    let mut answer = Builder::error(buffer, request, ErrorReply::bare(ErrorCode::UNKNOWN_ATTRIBUTE))?;
    answer.add(&UnknownAttributes::new(kinds.get(..count).unwrap_or(&kinds)))?;
    Ok(answer.finish())
}
