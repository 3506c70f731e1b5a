//! XOR-MAPPED-ADDRESS (RFC 8489 section 14.2).

use super::shape::address;

address!(
    /// The address a request came from: the reflexive address.
    XorMappedAddress = XOR_MAPPED_ADDRESS, Xor
);
