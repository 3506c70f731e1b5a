//! RESPONSE-ORIGIN (RFC 5780 section 7.3).

use super::shape::address;

address!(
    /// Which of the server's addresses the answer was sent from. If another is seen, something rewrites packets.
    ResponseOrigin = RESPONSE_ORIGIN, Plain
);
