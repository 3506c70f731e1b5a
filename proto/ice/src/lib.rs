//! ICE (RFC 8445, RFC 8838) as a state machine.
