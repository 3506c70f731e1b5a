//! One WebRTC connection as a state machine.
