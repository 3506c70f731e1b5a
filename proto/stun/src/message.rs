//! A received message: a checked view of borrowed bytes. All lengths are right before anyone sees an attribute.

use std::iter::FusedIterator;

use crate::header::{HEADER_LEN, Header};
use crate::{
    Attribute, AttributeError, AttributeType, Class, IntegrityError, IntegrityKey, Method, ParseError,
    TransactionId, fingerprint, integrity,
};

/// A STUN message whose header and attribute lengths have been checked.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    bytes: &'a [u8],
    header: Header,
    integrity: Option<RawAttribute<'a>>,
    integrity_sha256: Option<RawAttribute<'a>>,
    fingerprint: Option<RawAttribute<'a>>,
}

/// One attribute as it stands in a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawAttribute<'a> {
    /// Its type.
    pub kind: AttributeType,
    /// Its value, without padding.
    pub value: &'a [u8],
    /// Where its type stands, in bytes from the start of the message.
    pub offset: usize,
}

impl<'a> Message<'a> {
    /// Checks that `bytes` is exactly one message. Padding is not looked at (RFC 8489 section 14).
    ///
    /// # Errors
    /// Says what is wrong; see [`ParseError`].
    pub fn parse(bytes: &'a [u8]) -> Result<Message<'a>, ParseError> {
        let header = Header::parse(bytes)?;
        match bytes.len().cmp(&header.message_len()) {
            std::cmp::Ordering::Less => return Err(ParseError::Truncated),
            std::cmp::Ordering::Greater => return Err(ParseError::TrailingBytes),
            std::cmp::Ordering::Equal => {}
        }
        let mut message =
            Message { bytes, header, integrity: None, integrity_sha256: None, fingerprint: None };
        let mut offset = HEADER_LEN;
        let mut stage = Stage::Open;
        while offset < bytes.len() {
            if stage == Stage::AfterFingerprint {
                return Err(ParseError::AttributeAfterFingerprint);
            }
            let (attribute, next) = attribute_at(bytes, offset).ok_or(ParseError::AttributeOverrun)?;
            offset = next;
            if !stage.admit(attribute.kind) {
                continue;
            }
            match attribute.kind {
                AttributeType::MESSAGE_INTEGRITY => message.integrity = Some(attribute),
                AttributeType::MESSAGE_INTEGRITY_SHA256 => message.integrity_sha256 = Some(attribute),
                AttributeType::FINGERPRINT => message.fingerprint = Some(attribute),
                _ => {}
            }
        }
        Ok(message)
    }

    /// The message as it came.
    pub fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The kind of message.
    pub fn class(&self) -> Class {
        self.header.class
    }

    /// What it is about.
    pub fn method(&self) -> Method {
        self.header.method
    }

    /// What an answer repeats.
    pub fn transaction_id(&self) -> TransactionId {
        self.header.transaction_id
    }

    /// The attributes that count, in order, duplicates included. What follows MESSAGE-INTEGRITY is left out unless it
    /// is MESSAGE-INTEGRITY-SHA256 or FINGERPRINT; what follows MESSAGE-INTEGRITY-SHA256, unless it is FINGERPRINT
    /// (RFC 8489 sections 14.5 and 14.6).
    pub fn attributes(&self) -> Attributes<'a> {
        Attributes { bytes: self.bytes, offset: HEADER_LEN, stage: Stage::Open }
    }

    /// The first attribute of that type, undecoded: the first duplicate wins.
    pub fn attribute(&self, kind: AttributeType) -> Option<RawAttribute<'a>> {
        self.attributes().find(|attribute| attribute.kind == kind)
    }

    /// Whether there is an attribute of that type.
    pub fn has(&self, kind: AttributeType) -> bool {
        self.attribute(kind).is_some()
    }

    /// The first attribute of that type, decoded: the first duplicate wins. `None` if there is none.
    ///
    /// # Errors
    /// The attribute is there, and malformed.
    pub fn get<A: Attribute<'a>>(&self) -> Result<Option<A>, AttributeError> {
        self.all::<A>().next().transpose()
    }

    /// All attributes of that type, decoded, for those that may be repeated (XOR-PEER-ADDRESS in CreatePermission).
    pub fn all<A: Attribute<'a>>(&self) -> impl Iterator<Item = Result<A, AttributeError>> + use<'a, A> {
        let id = self.transaction_id();
        self.attributes()
            .filter(|attribute| attribute.kind == A::TYPE)
            .map(move |attribute| A::decode(attribute.value, &id).ok_or(AttributeError(A::TYPE)))
    }

    /// The types of attributes that must be understood and are not in `known`: what a 420 lists (RFC 8489 section
    /// 6.3.1). MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 are always known. A repeated type is repeated.
    pub fn unknown_comprehension_required<'k>(
        &self,
        known: &'k [AttributeType],
    ) -> impl Iterator<Item = AttributeType> + use<'a, 'k> {
        const ALWAYS: [AttributeType; 2] =
            [AttributeType::MESSAGE_INTEGRITY, AttributeType::MESSAGE_INTEGRITY_SHA256];
        self.attributes().map(|attribute| attribute.kind).filter(move |kind| {
            kind.is_comprehension_required() && !known.contains(kind) && !ALWAYS.contains(kind)
        })
    }

    /// Whether the message carries MESSAGE-INTEGRITY or MESSAGE-INTEGRITY-SHA256.
    pub fn has_integrity(&self) -> bool {
        self.integrity.is_some() || self.integrity_sha256.is_some()
    }

    /// Verifies MESSAGE-INTEGRITY-SHA256 if it is there, else MESSAGE-INTEGRITY, in constant time.
    ///
    /// # Errors
    /// `Missing` if there is neither; `Mismatch` if the one verified is wrong or of another length than 32 and 20
    /// bytes (neither ICE nor TURN allows a truncated one).
    pub fn verify_integrity(&self, key: &IntegrityKey) -> Result<(), IntegrityError> {
        match (self.integrity_sha256, self.integrity) {
            (Some(attribute), _) => integrity::verify_sha256(self.bytes, attribute, key),
            (None, Some(attribute)) => integrity::verify_sha1(self.bytes, attribute, key),
            (None, None) => Err(IntegrityError::Missing),
        }
    }

    /// Verifies FINGERPRINT (RFC 8489 section 14.7).
    ///
    /// # Errors
    /// `Missing` if there is none, `Mismatch` if it is wrong.
    pub fn verify_fingerprint(&self) -> Result<(), IntegrityError> {
        fingerprint::verify(self.bytes, self.fingerprint.ok_or(IntegrityError::Missing)?)
    }
}

/// The attributes of a message that count: see [`Message::attributes`].
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    bytes: &'a [u8],
    offset: usize,
    stage: Stage,
}

impl<'a> Iterator for Attributes<'a> {
    type Item = RawAttribute<'a>;

    fn next(&mut self) -> Option<RawAttribute<'a>> {
        loop {
            let (attribute, next) = attribute_at(self.bytes, self.offset)?;
            self.offset = next;
            if self.stage.admit(attribute.kind) {
                return Some(attribute);
            }
        }
    }
}

impl FusedIterator for Attributes<'_> {}

/// Which of the attributes that end a message have been passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Open,
    AfterIntegrity,
    AfterSha256,
    AfterFingerprint,
}

impl Stage {
    /// Whether an attribute of that type counts here.
    fn admit(&mut self, kind: AttributeType) -> bool {
        *self = match (*self, kind) {
            (Stage::Open, AttributeType::MESSAGE_INTEGRITY) => Stage::AfterIntegrity,
            (Stage::Open | Stage::AfterIntegrity, AttributeType::MESSAGE_INTEGRITY_SHA256) => {
                Stage::AfterSha256
            }
            (_, AttributeType::FINGERPRINT) => Stage::AfterFingerprint,
            (stage, _) => return stage == Stage::Open,
        };
        true
    }
}

/// The attribute at that offset, and the offset of the next one; `None` if it does not fit.
fn attribute_at(bytes: &[u8], offset: usize) -> Option<(RawAttribute<'_>, usize)> {
    let (&[k0, k1, l0, l1], rest) = bytes.get(offset..)?.split_first_chunk()?;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    let padded = len.next_multiple_of(4);
    let value = rest.get(..padded)?.get(..len)?;
    let kind = AttributeType(u16::from_be_bytes([k0, k1]));
    Some((RawAttribute { kind, value, offset }, offset + 4 + padded))
}
