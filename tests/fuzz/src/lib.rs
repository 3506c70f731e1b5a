//! What several targets share.

pub mod behind_dtls;
pub mod gather;
pub mod ice;
pub mod input;
pub mod lobby;
pub mod relay;
pub mod stun;
pub mod turn_client;
