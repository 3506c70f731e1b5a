//! Lobbies and signaling: our own words (`wire`), and the server's side of them as a state machine (`server`).
//!
//! Called by `net/signaling`, which owns the sockets. It never reads a clock, opens a socket or looks into what two
//! peers say to each other: signals are opaque, with a limit on their size. The contract is `docs/protocol.md` §1.

pub mod server;
pub mod wire;

pub use server::{
    Close, ClosedWhy, Command, Discard, Door, Ended, Event, Grant, HashId, HashJob, Keys, Limits, Lobbies,
    Purpose,
};
pub use wire::names::{AppName, ClientId, GroupId, LobbyCode, PeerId, SessionId};
