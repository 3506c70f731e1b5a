//! ICMP (RFC 8656 section 18.13): an error that came back from the way to a peer.

use crate::{Attribute, AttributeType, BuildError, TransactionId, Writer};

/// What the ICMP packet said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Icmp {
    /// Its type: at most 127, which holds every error of ICMPv4 and ICMPv6.
    pub kind: u8,
    /// Its code: at most 511.
    pub code: u16,
    /// The next-hop MTU for "too big", else zero.
    pub data: u32,
}

impl Attribute<'_> for Icmp {
    const TYPE: AttributeType = AttributeType::ICMP;

    fn decode(value: &[u8], _: &TransactionId) -> Option<Self> {
        let &[_, _, t0, t1, d0, d1, d2, d3] = value else { return None };
        let kind_and_code = u16::from_be_bytes([t0, t1]);
        Some(Icmp { kind: t0 >> 1, code: kind_and_code & 0x01FF, data: u32::from_be_bytes([d0, d1, d2, d3]) })
    }

    fn encode(&self, out: &mut Writer<'_>, _: &TransactionId) -> Result<(), BuildError> {
        if self.kind > 0x7F || self.code > 0x01FF {
            return Err(BuildError::Value(Self::TYPE));
        }
        out.put(&[0, 0])?;
        out.put(&(u16::from(self.kind) << 9 | self.code).to_be_bytes())?;
        out.put(&self.data.to_be_bytes())
    }
}
