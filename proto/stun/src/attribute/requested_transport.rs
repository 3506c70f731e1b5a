//! REQUESTED-TRANSPORT (RFC 8656 section 18.8).

use super::shape::number;

number!(
    /// How the server shall talk to peers: a protocol number of IP.
    RequestedTransport = REQUESTED_TRANSPORT, u8, then 3
);

impl RequestedTransport {
    /// UDP, the only one that RFC 8656 allows.
    pub const UDP: RequestedTransport = RequestedTransport(17);
}
