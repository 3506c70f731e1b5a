//! XOR-RELAYED-ADDRESS (RFC 8656 section 18.5).

use super::shape::address;

address!(
    /// The address that the server relays for a client.
    XorRelayedAddress = XOR_RELAYED_ADDRESS, Xor
);
