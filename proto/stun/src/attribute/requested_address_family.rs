//! REQUESTED-ADDRESS-FAMILY (RFC 8656 section 18.6).

use super::shape::family;

family!(
    /// Of which family the relayed address shall be. A family that nobody knows asks for 440, so any byte is read.
    RequestedAddressFamily = REQUESTED_ADDRESS_FAMILY
);
