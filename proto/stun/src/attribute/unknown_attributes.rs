//! UNKNOWN-ATTRIBUTES (RFC 8489 section 14.13): which attributes a server did not understand (420).

use crate::{Attribute, AttributeType, BuildError, TransactionId, Writer};

/// Types of attributes. Read from a message, or written from a slice.
#[derive(Clone, Copy, Debug)]
pub struct UnknownAttributes<'a>(List<'a>);

#[derive(Clone, Copy, Debug)]
enum List<'a> {
    Wire(&'a [[u8; 2]]),
    Types(&'a [AttributeType]),
}

impl<'a> UnknownAttributes<'a> {
    /// The most that are written, so that a request full of unknown attributes is not answered by something longer.
    pub const MAX_WRITTEN: usize = 16;

    /// To be written; what comes after [`UnknownAttributes::MAX_WRITTEN`] is left out.
    pub fn new(kinds: &'a [AttributeType]) -> UnknownAttributes<'a> {
        UnknownAttributes(List::Types(kinds.get(..Self::MAX_WRITTEN).unwrap_or(kinds)))
    }

    /// The types, in order.
    pub fn iter(&self) -> impl Iterator<Item = AttributeType> + use<'a> {
        let (wire, kinds): (&[[u8; 2]], &[AttributeType]) = match self.0 {
            List::Wire(wire) => (wire, &[]),
            List::Types(kinds) => (&[], kinds),
        };
        wire.iter().map(|&kind| AttributeType(u16::from_be_bytes(kind))).chain(kinds.iter().copied())
    }
}

impl PartialEq for UnknownAttributes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl Eq for UnknownAttributes<'_> {}

impl<'a> Attribute<'a> for UnknownAttributes<'a> {
    const TYPE: AttributeType = AttributeType::UNKNOWN_ATTRIBUTES;

    fn decode(value: &'a [u8], _: &TransactionId) -> Option<Self> {
        let (kinds, rest) = value.as_chunks();
        rest.is_empty().then_some(UnknownAttributes(List::Wire(kinds)))
    }

    fn encode(&self, out: &mut Writer<'_>, _: &TransactionId) -> Result<(), BuildError> {
        self.iter().try_for_each(|kind| out.put(&kind.0.to_be_bytes()))
    }
}
