//! REALM (RFC 8489 section 14.9).

use super::shape::text;

text!(
    /// The domain that a long-term credential is good for: fewer than 128 characters, at most 763 bytes.
    Realm = REALM, at most 763
);
