//! ADDITIONAL-ADDRESS-FAMILY (RFC 8656 section 18.11).

use super::shape::family;

family!(
    /// Asks for a second relayed address, of this family, beside the one of IPv4.
    AdditionalAddressFamily = ADDITIONAL_ADDRESS_FAMILY
);
