//! ERROR-CODE (RFC 8489 section 14.8): why a request was not carried out.

use crate::{Attribute, AttributeType, BuildError, ErrorCode, TransactionId, Writer};

/// The number and, for people, a reason. The reason may be empty: answers stay short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorReply<'a> {
    /// What programs look at.
    pub code: ErrorCode,
    /// What people look at; at most [`ErrorReply::MAX_REASON_LEN`] bytes.
    pub reason: &'a str,
}

impl ErrorReply<'static> {
    /// With the reason that the RFC recommends.
    pub fn with_reason(code: ErrorCode) -> ErrorReply<'static> {
        ErrorReply { code, reason: code.reason().unwrap_or_default() }
    }

    /// Without a reason.
    pub fn bare(code: ErrorCode) -> ErrorReply<'static> {
        ErrorReply { code, reason: "" }
    }
}

impl ErrorReply<'_> {
    /// The longest reason that is written or read, in bytes.
    pub const MAX_REASON_LEN: usize = 763;
}

impl<'a> Attribute<'a> for ErrorReply<'a> {
    const TYPE: AttributeType = AttributeType::ERROR_CODE;

    fn decode(value: &'a [u8], _: &TransactionId) -> Option<Self> {
        let (&[_, _, class, number], reason) = value.split_first_chunk()?;
        if reason.len() > Self::MAX_REASON_LEN {
            return None;
        }
        Some(ErrorReply {
            code: ErrorCode::from_wire(class, number)?,
            reason: std::str::from_utf8(reason).ok()?,
        })
    }

    fn encode(&self, out: &mut Writer<'_>, _: &TransactionId) -> Result<(), BuildError> {
        if self.reason.len() > Self::MAX_REASON_LEN {
            return Err(BuildError::Value(Self::TYPE));
        }
        let [class, number] = self.code.to_wire();
        out.put(&[0, 0, class, number])?;
        out.put(self.reason.as_bytes())
    }
}
