//! MAPPED-ADDRESS (RFC 8489 section 14.1).

use super::shape::address;

address!(
    /// The address a request came from, as clients of RFC 3489 want it. Twocan never sends it.
    MappedAddress = MAPPED_ADDRESS, Plain
);
