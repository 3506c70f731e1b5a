//! One WebRTC connection as a state machine.

pub mod gather;
pub mod sdp;
pub mod transport;
