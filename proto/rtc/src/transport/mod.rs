//! DTLS, SCTP and data channels over one datagram path.
