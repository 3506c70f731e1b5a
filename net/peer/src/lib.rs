//! Lobbies and direct connections between devices.
//!
//! `Client` meets others in a lobby at a Twocan server; [`Connection`] is the direct connection below, for those who
//! bring a signaling of their own.

pub mod connection;
mod driver;
