//! ALTERNATE-SERVER (RFC 8489 section 14.15).

use super::shape::address;

address!(
    /// Where a client should go instead (300 Try Alternate).
    AlternateServer = ALTERNATE_SERVER, Plain
);
