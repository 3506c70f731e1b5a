//! USE-CANDIDATE (RFC 8445 section 7.1.2).

use super::shape::flag;

flag!(
    /// The controlling agent nominates this pair.
    UseCandidate = USE_CANDIDATE
);
