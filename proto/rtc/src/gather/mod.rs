//! Gathering: candidates of this side, from its sockets, STUN and TURN servers.
