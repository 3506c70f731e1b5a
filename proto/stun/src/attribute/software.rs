//! SOFTWARE (RFC 8489 section 14.14).

use super::shape::text;

text!(
    /// What the sender runs. Twocan never sends it: answers stay short.
    Software = SOFTWARE, at most 763
);
