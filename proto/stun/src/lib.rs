//! STUN (RFC 8489): messages, attributes, integrity.
