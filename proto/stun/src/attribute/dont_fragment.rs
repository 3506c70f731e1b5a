//! DONT-FRAGMENT (RFC 8656 section 18.9).

use super::shape::flag;

flag!(
    /// Asks that the datagram to the peer be sent with DF set.
    DontFragment = DONT_FRAGMENT
);
