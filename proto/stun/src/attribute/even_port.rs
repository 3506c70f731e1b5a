//! EVEN-PORT (RFC 8656 section 18.7).

use crate::{Attribute, AttributeType, BuildError, TransactionId, Writer};

/// Asks for an even port, and perhaps that the next one be reserved. The seven bits below R are not looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EvenPort {
    /// The R bit: keep the next higher port for whoever has the token.
    pub reserve_next: bool,
}

impl Attribute<'_> for EvenPort {
    const TYPE: AttributeType = AttributeType::EVEN_PORT;

    fn decode(value: &[u8], _: &TransactionId) -> Option<Self> {
        let &[flags] = value else { return None };
        Some(EvenPort { reserve_next: flags & 0x80 != 0 })
    }

    fn encode(&self, out: &mut Writer<'_>, _: &TransactionId) -> Result<(), BuildError> {
        out.put(&[u8::from(self.reserve_next) << 7])
    }
}
