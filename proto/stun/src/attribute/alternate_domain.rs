//! ALTERNATE-DOMAIN (RFC 8489 section 14.16).

use super::shape::text;

text!(
    /// The name that the certificate of an ALTERNATE-SERVER carries: at most 255 bytes.
    AlternateDomain = ALTERNATE_DOMAIN, at most 255
);
