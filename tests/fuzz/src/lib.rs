//! What several targets share.

pub mod gather;
pub mod input;
pub mod lobby;
pub mod relay;
pub mod stun;
pub mod turn_client;
