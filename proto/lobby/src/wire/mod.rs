//! The words of the signaling protocol: what a client may say, what the server says, and the names in both.
//!
//! Reading is strict about limits and shapes and blind to fields it does not know. `data` and `me` stay the JSON text
//! that came in, and leave as the same text.

mod client;
pub mod names;
mod server;
pub(crate) mod typed;
pub mod words;

pub use client::{
    Class, ClientFrame, ClientMessage, CodeKind, Create, Failed, Hello, Join, Kick, Kind, Linked, List, Me,
    ParseError, Path, Quick, Reason, Resume, Return, Signal, Sort, Update, parse,
};
pub use server::{
    Arrived, Away, Back, Complete, IceServer, IceServers, Joined, Left, LeftWhy, Link, Listed, ListedLobby,
    Listing, LobbyView, MemberView, Owner, Passed, Refused, Removed, RemovedWhy, Role, Sealed, ServerFrame,
    ServerMessage, Unlisted, Unsealed, Updated, Welcome, number, parse_server, render,
};
pub use words::{ErrorCode, word};
