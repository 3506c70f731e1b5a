//! PASSWORD-ALGORITHM and PASSWORD-ALGORITHMS (RFC 8489 sections 14.11 and 14.12): how a long-term key is derived.

use crate::{Attribute, AttributeType, BuildError, TransactionId, Writer};

/// A number in IANA's registry "STUN Password Algorithms" (RFC 8489 section 18.5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Algorithm(pub u16);

impl Algorithm {
    /// MD5, which everyone understands.
    pub const MD5: Algorithm = Algorithm(0x0001);
    /// SHA-256.
    pub const SHA256: Algorithm = Algorithm(0x0002);
}

/// The algorithm that a client chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordAlgorithm<'a> {
    /// Which one.
    pub algorithm: Algorithm,
    /// Its parameters: empty for MD5 and SHA-256.
    pub parameters: &'a [u8],
}

impl<'a> PasswordAlgorithm<'a> {
    /// Reads one entry, and returns what follows it and its padding. The padding of a last entry may be missing, as it
    /// is then the attribute's own.
    fn split_first(bytes: &'a [u8]) -> Option<(PasswordAlgorithm<'a>, &'a [u8])> {
        let (&[a0, a1, l0, l1], rest) = bytes.split_first_chunk()?;
        let len = usize::from(u16::from_be_bytes([l0, l1]));
        let parameters = rest.get(..len)?;
        let rest = rest.get(len.next_multiple_of(4)..).unwrap_or_default();
        Some((PasswordAlgorithm { algorithm: Algorithm(u16::from_be_bytes([a0, a1])), parameters }, rest))
    }
}

impl<'a> Attribute<'a> for PasswordAlgorithm<'a> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHM;

    fn decode(value: &'a [u8], _: &TransactionId) -> Option<Self> {
        let (algorithm, rest) = PasswordAlgorithm::split_first(value)?;
        rest.is_empty().then_some(algorithm)
    }

    fn encode(&self, out: &mut Writer<'_>, _: &TransactionId) -> Result<(), BuildError> {
        let len = u16::try_from(self.parameters.len()).map_err(|_| BuildError::Value(Self::TYPE))?;
        out.put(&self.algorithm.0.to_be_bytes())?;
        out.put(&len.to_be_bytes())?;
        out.put(self.parameters)
    }
}

/// The algorithms that a server offers, best first, as they stand on the wire: the client has to repeat them exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PasswordAlgorithms<'a>(&'a [u8]);

impl<'a> PasswordAlgorithms<'a> {
    /// SHA-256, then MD5.
    pub const SHA256_THEN_MD5: PasswordAlgorithms<'static> = PasswordAlgorithms(&[0, 2, 0, 0, 0, 1, 0, 0]);

    /// The entries, in order.
    pub fn iter(&self) -> impl Iterator<Item = PasswordAlgorithm<'a>> + use<'a> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (algorithm, next) = PasswordAlgorithm::split_first(rest)?;
            rest = next;
            Some(algorithm)
        })
    }
}

impl<'a> Attribute<'a> for PasswordAlgorithms<'a> {
    const TYPE: AttributeType = AttributeType::PASSWORD_ALGORITHMS;

    fn decode(value: &'a [u8], _: &TransactionId) -> Option<Self> {
        let mut rest = value;
        while !rest.is_empty() {
            (_, rest) = PasswordAlgorithm::split_first(rest)?;
        }
        Some(PasswordAlgorithms(value))
    }

    fn encode(&self, out: &mut Writer<'_>, _: &TransactionId) -> Result<(), BuildError> {
        out.put(self.0)
    }
}
