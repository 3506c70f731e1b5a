//! STUN and TURN on real sockets: threads of its own, one per core.
