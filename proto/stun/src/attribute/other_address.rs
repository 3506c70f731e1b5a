//! OTHER-ADDRESS (RFC 5780 section 7.4).

use super::shape::address;

address!(
    /// Where the answer would come from, had CHANGE-REQUEST asked for the other IP address and the other port.
    OtherAddress = OTHER_ADDRESS, Plain
);
