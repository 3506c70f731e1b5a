//! Lobbies and signaling: our own words (`wire`), and both sides of them as state machines (`server`, `client`).
//!
//! Called by `net/signaling` and `net/peer`, which own the sockets. It never reads a clock, opens a socket or looks into what two
//! peers say to each other: signals are opaque, with a limit on their size. The contract is `docs/protocol.md` §1.

pub mod client;
pub mod server;
pub mod wire;

pub use server::{
    Close, ClosedWhy, Command, Discard, Door, Ended, Event, Grant, HashId, HashJob, Keys, Life, Limits,
    Lobbies, MEMORY_DEFAULT, Purpose, frame_cost,
};
pub use twocan_base::{Quota, Rate, Spent};
pub use wire::names::{AppName, ClientId, GroupId, LobbyCode, PeerId, SessionId};
