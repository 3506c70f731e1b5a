//! FINGERPRINT (RFC 8489 section 14.7): a CRC-32 that tells STUN from other packets on the same port. It proves nothing.

use crate::{IntegrityError, RawAttribute};

/// The CRC is mixed with "STUN", in case another protocol on the port ends in a CRC-32 too.
const XOR: u32 = 0x5354_554E;

/// Length of the value of FINGERPRINT, in bytes.
pub(crate) const LEN: usize = 4;

/// The value over `bytes`: all before the attribute, the header's length field already counting it.
pub(crate) fn of(bytes: &[u8]) -> [u8; LEN] {
    (crc32fast::hash(bytes) ^ XOR).to_be_bytes()
}

pub(crate) fn verify(bytes: &[u8], attribute: RawAttribute<'_>) -> Result<(), IntegrityError> {
    let covered = bytes.get(..attribute.offset).ok_or(IntegrityError::Mismatch)?;
    if attribute.value == of(covered) { Ok(()) } else { Err(IntegrityError::Mismatch) }
}
