//! ICE-CONTROLLED (RFC 8445 section 7.1.3).

use super::shape::number;

number!(
    /// The sender believes to be controlled; the number breaks a tie.
    IceControlled = ICE_CONTROLLED, u64
);
