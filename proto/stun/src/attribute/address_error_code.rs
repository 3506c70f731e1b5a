//! ADDRESS-ERROR-CODE (RFC 8656 section 18.12): why one of two families was not allocated.

use super::Family;
use crate::{Attribute, AttributeType, BuildError, ErrorCode, TransactionId, Writer};

/// The family that failed, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressErrorCode<'a> {
    /// The family that was asked for in vain.
    pub family: Family,
    /// What programs look at.
    pub code: ErrorCode,
    /// What people look at; may be empty; at most [`AddressErrorCode::MAX_REASON_LEN`] bytes.
    pub reason: &'a str,
}

impl AddressErrorCode<'_> {
    /// The longest reason that is written or read, in bytes.
    pub const MAX_REASON_LEN: usize = 763;
}

impl<'a> Attribute<'a> for AddressErrorCode<'a> {
    const TYPE: AttributeType = AttributeType::ADDRESS_ERROR_CODE;

    fn decode(value: &'a [u8], _: &TransactionId) -> Option<Self> {
        let (&[family, _, class, number], reason) = value.split_first_chunk()?;
        if reason.len() > Self::MAX_REASON_LEN {
            return None;
        }
        let code = ErrorCode::from_wire(class, number)?;
        Some(AddressErrorCode { family: Family(family), code, reason: std::str::from_utf8(reason).ok()? })
    }

    fn encode(&self, out: &mut Writer<'_>, _: &TransactionId) -> Result<(), BuildError> {
        if self.reason.len() > Self::MAX_REASON_LEN {
            return Err(BuildError::Value(Self::TYPE));
        }
        let [class, number] = self.code.to_wire();
        out.put(&[self.family.0, 0, class, number])?;
        out.put(self.reason.as_bytes())
    }
}
