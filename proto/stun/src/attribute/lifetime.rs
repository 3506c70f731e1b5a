//! LIFETIME (RFC 8656 section 18.2).

use super::shape::number;

number!(
    /// How long an allocation lives if nobody refreshes it, in seconds; zero frees it.
    Lifetime = LIFETIME, u32
);
