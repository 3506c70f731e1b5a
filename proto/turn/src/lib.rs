//! TURN (RFC 8656): the server as a state machine.
