//! RESPONSE-PORT (RFC 5780 section 7.5).

use crate::{Attribute, AttributeType, BuildError, TransactionId, Writer};

/// Asks that the answer go to another port of the address that asks.
///
/// The RFC can be read as a value of two bytes, padded, or as one of four: both are in use, so both are read. Four are
/// written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResponsePort(pub u16);

impl Attribute<'_> for ResponsePort {
    const TYPE: AttributeType = AttributeType::RESPONSE_PORT;

    fn decode(value: &[u8], _: &TransactionId) -> Option<Self> {
        let (&[p0, p1] | &[p0, p1, _, _]) = value else { return None };
        Some(ResponsePort(u16::from_be_bytes([p0, p1])))
    }

    fn encode(&self, out: &mut Writer<'_>, _: &TransactionId) -> Result<(), BuildError> {
        out.put(&self.0.to_be_bytes())?;
        out.put(&[0; 2])
    }
}
