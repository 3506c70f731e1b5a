//! XOR-PEER-ADDRESS (RFC 8656 section 18.3).

use super::shape::address;

address!(
    /// The peer meant, seen from the server. CreatePermission may carry several.
    XorPeerAddress = XOR_PEER_ADDRESS, Xor
);
