//! ICE-CONTROLLING (RFC 8445 section 7.1.3).

use super::shape::number;

number!(
    /// The sender believes to be controlling; the number breaks a tie.
    IceControlling = ICE_CONTROLLING, u64
);
