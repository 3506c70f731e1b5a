//! What several targets share.

pub mod input;
pub mod relay;
pub mod stun;
