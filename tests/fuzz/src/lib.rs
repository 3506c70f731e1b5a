//! What several targets share.

pub mod stun;
