//! What can be wrong, by whose fault it is: bytes that are no message, an attribute that is not what its type says,
//! integrity that does not hold, and a buffer of ours that is too small.

use crate::AttributeType;

/// These bytes are not a STUN message (RFC 8489 section 5 and 14).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum ParseError {
    /// Fewer bytes than a header has, or than the header's length field promises.
    #[error("the message is cut short")]
    Truncated,
    /// More bytes than the header's length field promises.
    #[error("bytes follow the message")]
    TrailingBytes,
    /// One of the first two bits is set: another protocol on the same port (RFC 7983).
    #[error("the first two bits are not zero")]
    NotStun,
    /// The magic cookie is missing: another protocol, or a client of RFC 3489.
    #[error("the magic cookie is missing")]
    NoMagicCookie,
    /// The length field is not a multiple of four.
    #[error("the length is not a multiple of four")]
    UnalignedLength,
    /// An attribute reaches beyond the end of the message.
    #[error("an attribute reaches beyond the message")]
    AttributeOverrun,
    /// Something follows FINGERPRINT, which must be last (RFC 8489 section 14.7).
    #[error("an attribute follows FINGERPRINT")]
    AttributeAfterFingerprint,
}

/// The value of an attribute does not have the shape that its type promises. A server answers 400.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
#[error("the value of attribute {0} is malformed")]
pub struct AttributeError(pub AttributeType);

/// A message could not be built into the caller's buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum BuildError {
    /// The buffer is too small, or the message would pass 65,532 bytes of attributes.
    #[error("no room for the message")]
    NoRoom,
    /// A value is longer than the RFC allows, or otherwise cannot be written.
    #[error("the value of attribute {0} cannot be written")]
    Value(AttributeType),
}

/// What a message says about itself could not be confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum IntegrityError {
    /// There is no such attribute.
    #[error("there is nothing to verify")]
    Missing,
    /// It is there, and it is wrong.
    #[error("it does not match the message")]
    Mismatch,
}
