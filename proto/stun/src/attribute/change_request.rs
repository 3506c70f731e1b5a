//! CHANGE-REQUEST (RFC 5780 section 7.2).

use crate::{Attribute, AttributeType, BuildError, TransactionId, Writer};

/// Asks that the answer leave the server from another of its addresses. The other bits are not looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ChangeRequest {
    /// From the other IP address.
    pub ip: bool,
    /// From the other port.
    pub port: bool,
}

impl Attribute<'_> for ChangeRequest {
    const TYPE: AttributeType = AttributeType::CHANGE_REQUEST;

    fn decode(value: &[u8], _: &TransactionId) -> Option<Self> {
        let &[_, _, _, flags] = value else { return None };
        Some(ChangeRequest { ip: flags & 0x04 != 0, port: flags & 0x02 != 0 })
    }

    fn encode(&self, out: &mut Writer<'_>, _: &TransactionId) -> Result<(), BuildError> {
        out.put(&[0, 0, 0, u8::from(self.ip) << 2 | u8::from(self.port) << 1])
    }
}
