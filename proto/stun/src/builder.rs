//! Writes a message into a caller's buffer. The order that RFC 8489 section 14 asks for is in the types: attributes,
//! then MESSAGE-INTEGRITY, then MESSAGE-INTEGRITY-SHA256, then FINGERPRINT; each may be left out, none can come late.

use std::marker::PhantomData;

use crate::attribute::ErrorReply;
use crate::header::{HEADER_LEN, Header};
use crate::{
    Attribute, AttributeType, BuildError, Class, IntegrityKey, Message, Method, TransactionId, Writer,
    fingerprint, integrity,
};

/// Attributes may be added.
#[derive(Debug)]
pub enum Open {}
/// MESSAGE-INTEGRITY is written.
#[derive(Debug)]
pub enum AfterIntegrity {}
/// MESSAGE-INTEGRITY-SHA256 is written.
#[derive(Debug)]
pub enum AfterSha256 {}
/// FINGERPRINT is written.
#[derive(Debug)]
pub enum AfterFingerprint {}

/// A message being written; `Stage` says what may still follow.
///
/// An attribute after MESSAGE-INTEGRITY does not compile:
/// ```compile_fail
/// use twocan_stun::{attribute::Software, Builder, Class, IntegrityKey, Method, TransactionId};
/// let mut buffer = [0; 128];
/// let builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, TransactionId([0; 12])).unwrap();
/// let mut builder = builder.integrity(&IntegrityKey::short_term("p")).unwrap();
/// builder.add(&Software("too late")).unwrap();
/// ```
#[derive(Debug)]
pub struct Builder<'b, Stage = Open> {
    writer: Writer<'b>,
    transaction_id: TransactionId,
    stage: PhantomData<Stage>,
}

impl<'b> Builder<'b> {
    /// Begins a message at the start of `buffer`.
    ///
    /// # Errors
    /// `NoRoom` if not even a header fits.
    pub fn new(
        buffer: &'b mut [u8],
        class: Class,
        method: Method,
        transaction_id: TransactionId,
    ) -> Result<Builder<'b>, BuildError> {
        let mut writer = Writer::new(buffer);
        writer.put(&Header { class, method, attributes_len: 0, transaction_id }.to_bytes())?;
        Ok(Builder { writer, transaction_id, stage: PhantomData })
    }

    /// Begins the answer to a request that was carried out.
    ///
    /// # Errors
    /// `NoRoom`.
    pub fn success(buffer: &'b mut [u8], request: &Message<'_>) -> Result<Builder<'b>, BuildError> {
        Builder::new(buffer, Class::Success, request.method(), request.transaction_id())
    }

    /// Begins the answer to a request that was not, with its ERROR-CODE.
    ///
    /// # Errors
    /// `NoRoom`, or `Value` if the reason is too long.
    pub fn error(
        buffer: &'b mut [u8],
        request: &Message<'_>,
        reply: ErrorReply<'_>,
    ) -> Result<Builder<'b>, BuildError> {
        let mut builder = Builder::new(buffer, Class::Error, request.method(), request.transaction_id())?;
        builder.add(&reply)?;
        Ok(builder)
    }

    /// Appends an attribute.
    ///
    /// # Errors
    /// `NoRoom`, or `Value` if the attribute cannot be written. The message then stands as it did before.
    pub fn add<'a, A: Attribute<'a>>(&mut self, attribute: &A) -> Result<&mut Self, BuildError> {
        const { assert!(!A::TYPE.ends_a_message(), "integrity and fingerprint have methods of their own") };
        let id = self.transaction_id;
        self.append(A::TYPE, |writer| attribute.encode(writer, &id))?;
        Ok(self)
    }

    /// Appends an attribute, if there is one.
    ///
    /// # Errors
    /// As [`Builder::add`].
    pub fn add_optional<'a, A: Attribute<'a>>(
        &mut self,
        attribute: Option<&A>,
    ) -> Result<&mut Self, BuildError> {
        match attribute {
            Some(attribute) => self.add(attribute),
            None => Ok(self),
        }
    }

    /// Appends an attribute of a type that this crate does not know.
    ///
    /// # Errors
    /// `NoRoom`; `Value` for MESSAGE-INTEGRITY, MESSAGE-INTEGRITY-SHA256 and FINGERPRINT, which have methods of their own.
    pub fn add_raw(&mut self, kind: AttributeType, value: &[u8]) -> Result<&mut Self, BuildError> {
        if kind.ends_a_message() {
            return Err(BuildError::Value(kind));
        }
        self.append(kind, |writer| writer.put(value))?;
        Ok(self)
    }

    /// Appends MESSAGE-INTEGRITY.
    ///
    /// # Errors
    /// `NoRoom`.
    pub fn integrity(mut self, key: &IntegrityKey) -> Result<Builder<'b, AfterIntegrity>, BuildError> {
        let tag = integrity::sha1_of(self.before_last(integrity::SHA1_LEN)?, key);
        self.append(AttributeType::MESSAGE_INTEGRITY, |writer| writer.put(tag.as_ref()))?;
        Ok(self.into_stage())
    }

    /// Appends MESSAGE-INTEGRITY-SHA256, without MESSAGE-INTEGRITY before it.
    ///
    /// # Errors
    /// `NoRoom`.
    pub fn integrity_sha256(self, key: &IntegrityKey) -> Result<Builder<'b, AfterSha256>, BuildError> {
        self.append_sha256(key)
    }

    /// Appends FINGERPRINT, without integrity before it.
    ///
    /// # Errors
    /// `NoRoom`.
    pub fn fingerprint(self) -> Result<Builder<'b, AfterFingerprint>, BuildError> {
        self.append_fingerprint()
    }
}

impl<'b> Builder<'b, AfterIntegrity> {
    /// Appends MESSAGE-INTEGRITY-SHA256 after MESSAGE-INTEGRITY, for a server of unknown age.
    ///
    /// # Errors
    /// `NoRoom`.
    pub fn integrity_sha256(self, key: &IntegrityKey) -> Result<Builder<'b, AfterSha256>, BuildError> {
        self.append_sha256(key)
    }

    /// Appends FINGERPRINT.
    ///
    /// # Errors
    /// `NoRoom`.
    pub fn fingerprint(self) -> Result<Builder<'b, AfterFingerprint>, BuildError> {
        self.append_fingerprint()
    }
}

impl<'b> Builder<'b, AfterSha256> {
    /// Appends FINGERPRINT.
    ///
    /// # Errors
    /// `NoRoom`.
    pub fn fingerprint(self) -> Result<Builder<'b, AfterFingerprint>, BuildError> {
        self.append_fingerprint()
    }
}

impl<'b, Stage> Builder<'b, Stage> {
    /// The finished message: the front of the buffer.
    pub fn finish(self) -> &'b mut [u8] {
        self.writer.finish()
    }

    fn append_sha256(mut self, key: &IntegrityKey) -> Result<Builder<'b, AfterSha256>, BuildError> {
        let tag = integrity::sha256_of(self.before_last(integrity::SHA256_LEN)?, key);
        self.append(AttributeType::MESSAGE_INTEGRITY_SHA256, |writer| writer.put(tag.as_ref()))?;
        Ok(self.into_stage())
    }

    fn append_fingerprint(mut self) -> Result<Builder<'b, AfterFingerprint>, BuildError> {
        let start = self.writer.len();
        self.append(AttributeType::FINGERPRINT, |writer| writer.put(&[0; fingerprint::LEN]))?;
        let covered = self.writer.written().get(..start).expect("what was appended comes after");
        let value = fingerprint::of(covered);
        self.writer.patch(start + 4, &value);
        Ok(self.into_stage())
    }

    /// What was written so far, if an attribute of `value_len` bytes can still follow.
    fn before_last(&self, value_len: usize) -> Result<&[u8], BuildError> {
        attributes_len(self.writer.len() + 4 + value_len)?;
        Ok(self.writer.written())
    }

    /// Appends one attribute with zeroed padding and counts it in the header, or leaves everything as it was.
    fn append(
        &mut self,
        kind: AttributeType,
        value: impl FnOnce(&mut Writer<'b>) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let start = self.writer.len();
        match write_attribute(&mut self.writer, kind, value) {
            Ok(len) => {
                self.writer.patch(2, &len.to_be_bytes());
                Ok(())
            }
            Err(error) => {
                self.writer.truncate(start);
                Err(error)
            }
        }
    }

    fn into_stage<Next>(self) -> Builder<'b, Next> {
        Builder { writer: self.writer, transaction_id: self.transaction_id, stage: PhantomData }
    }
}

/// Returns what the header's length field must say afterwards.
fn write_attribute<'b>(
    writer: &mut Writer<'b>,
    kind: AttributeType,
    value: impl FnOnce(&mut Writer<'b>) -> Result<(), BuildError>,
) -> Result<u16, BuildError> {
    let start = writer.len();
    writer.put(&kind.0.to_be_bytes())?;
    writer.put(&[0; 2])?;
    value(writer)?;
    let value_len = writer.len() - start - 4;
    let padding = value_len.next_multiple_of(4) - value_len;
    writer.put([0; 3].get(..padding).expect("there are at most three bytes of padding"))?;
    let len = attributes_len(writer.len())?;
    let value_len = u16::try_from(value_len).map_err(|_| BuildError::NoRoom)?;
    writer.patch(start + 2, &value_len.to_be_bytes());
    Ok(len)
}

/// What the length field of a message of that many bytes says.
fn attributes_len(message_len: usize) -> Result<u16, BuildError> {
    u16::try_from(message_len - HEADER_LEN).map_err(|_| BuildError::NoRoom)
}
