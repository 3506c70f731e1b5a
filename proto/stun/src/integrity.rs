//! MESSAGE-INTEGRITY and MESSAGE-INTEGRITY-SHA256 (RFC 8489 sections 9, 14.5 and 14.6), and the keys they are made with.

use std::fmt;

use md5::{Digest, Md5};
use ring::{digest, hmac};
use subtle::ConstantTimeEq;

use crate::header::HEADER_LEN;
use crate::{IntegrityError, RawAttribute};

/// Length of the value of MESSAGE-INTEGRITY, in bytes.
pub const SHA1_LEN: usize = 20;
/// Length of the value of MESSAGE-INTEGRITY-SHA256, in bytes.
pub const SHA256_LEN: usize = 32;

/// The key that messages are protected with. Strings are taken as they are: whoever wants OpaqueString (RFC 8265)
/// prepares them before.
#[derive(Clone, PartialEq, Eq)]
pub struct IntegrityKey(Box<[u8]>);

impl IntegrityKey {
    /// The short-term key: the password itself (RFC 8489 section 9.1.1). ICE uses it.
    pub fn short_term(password: &str) -> IntegrityKey {
        IntegrityKey(password.as_bytes().into())
    }

    /// The long-term key by MD5, which everyone understands (RFC 8489 section 18.5.1.1).
    pub fn long_term(username: &str, realm: &str, password: &str) -> IntegrityKey {
        let mut digest = Md5::new();
        for part in [username, ":", realm, ":", password] {
            digest.update(part);
        }
        IntegrityKey(digest.finalize().as_slice().into())
    }

    /// The long-term key by SHA-256, after PASSWORD-ALGORITHM chose it (RFC 8489 section 18.5.1.2).
    pub fn long_term_sha256(username: &str, realm: &str, password: &str) -> IntegrityKey {
        IntegrityKey(sha256(&[username, ":", realm, ":", password]).into())
    }
}

impl fmt::Debug for IntegrityKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("IntegrityKey(..)")
    }
}

/// SHA-256 of the joined parts.
pub(crate) fn sha256(parts: &[&str]) -> [u8; SHA256_LEN] {
    let mut context = digest::Context::new(&digest::SHA256);
    for part in parts {
        context.update(part.as_bytes());
    }
    context.finish().as_ref().try_into().expect("SHA-256 is 32 bytes long")
}

/// HMAC over the first `covered` bytes, the header's length field counting up to the end of an attribute of
/// `value_len` bytes that starts there.
fn mac(algorithm: hmac::Algorithm, key: &IntegrityKey, bytes: &[u8], value_len: usize) -> hmac::Tag {
    let mut context = hmac::Context::with_key(&hmac::Key::new(algorithm, &key.0));
    let (kind, rest) = bytes.split_at_checked(2).expect("a message begins with a header");
    let (_, rest) = rest.split_at_checked(2).expect("a message begins with a header");
    let len =
        u16::try_from(bytes.len() - HEADER_LEN + 4 + value_len).expect("a message has at most 65,535 bytes");
    context.update(kind);
    context.update(&len.to_be_bytes());
    context.update(rest);
    context.sign()
}

/// The value of a MESSAGE-INTEGRITY appended to `bytes`.
pub(crate) fn sha1_of(bytes: &[u8], key: &IntegrityKey) -> hmac::Tag {
    mac(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, key, bytes, SHA1_LEN)
}

/// The value of a MESSAGE-INTEGRITY-SHA256 appended to `bytes`.
pub(crate) fn sha256_of(bytes: &[u8], key: &IntegrityKey) -> hmac::Tag {
    mac(hmac::HMAC_SHA256, key, bytes, SHA256_LEN)
}

pub(crate) fn verify_sha1(
    bytes: &[u8],
    attribute: RawAttribute<'_>,
    key: &IntegrityKey,
) -> Result<(), IntegrityError> {
    let covered = covered(bytes, attribute, SHA1_LEN)?;
    compare(sha1_of(covered, key).as_ref(), attribute.value)
}

pub(crate) fn verify_sha256(
    bytes: &[u8],
    attribute: RawAttribute<'_>,
    key: &IntegrityKey,
) -> Result<(), IntegrityError> {
    let covered = covered(bytes, attribute, SHA256_LEN)?;
    compare(sha256_of(covered, key).as_ref(), attribute.value)
}

/// What the attribute protects. Its length comes first: with a shorter value the length that is protected may not fit
/// the header's field.
fn covered<'a>(
    bytes: &'a [u8],
    attribute: RawAttribute<'_>,
    value_len: usize,
) -> Result<&'a [u8], IntegrityError> {
    if attribute.value.len() != value_len {
        return Err(IntegrityError::Mismatch);
    }
    bytes.get(..attribute.offset).ok_or(IntegrityError::Mismatch)
}

fn compare(expected: &[u8], found: &[u8]) -> Result<(), IntegrityError> {
    if bool::from(expected.ct_eq(found)) { Ok(()) } else { Err(IntegrityError::Mismatch) }
}
