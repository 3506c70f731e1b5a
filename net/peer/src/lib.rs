//! Lobbies and direct connections between devices.
//!
//! Players meet in a lobby at a Twocan server, link with each other directly, and leave the server, which forgets them.
//! The other members may be programs like this one, or pages: both say the same words.
//!
//! ```no_run
//! use twocan::{Client, LobbyEvent};
//!
//! #[tokio::main]
//! async fn main() -> Result<(), twocan::Error> {
//!     let net = Client::connect("wss://play.example").app("chess").await?;
//!     let mut lobby = net.join("ED84").await?;            // or net.create(), net.quick(json!({ "map": "dust" }))
//!     while let Some(event) = lobby.next().await {
//!         match event {
//!             LobbyEvent::Peer(peer) => peer.send("reliable", "hello").await?,
//!             LobbyEvent::Message { peer, data, .. } => println!("{}: {data:?}", peer.id()),
//!             _ => {}
//!         }
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Without `async`, the same from a game loop:
//!
//! ```no_run
//! use twocan::{Client, LobbyEvent, Request};
//!
//! fn main() -> Result<(), twocan::Error> {
//!     let net = Client::connect("wss://play.example").app("chess").wait()?;
//!     let mut lobby = net.create().public(true).wait()?;
//!     loop {
//!         while let Some(event) = lobby.poll() {
//!             if let LobbyEvent::Peer(_) = event {
//!                 let _ = lobby.start();                   // leave the server, keep the links
//!             }
//!         }
//!         lobby.all().try_send("unreliable", [1, 2, 3]);
//!         std::thread::sleep(std::time::Duration::from_millis(16));
//!     }
//! }
//! ```
//!
//! - [`Client`]: connect, then [`create`](Client::create), [`join`](Client::join), [`quick`](Client::quick) or look at the
//!   [`lobbies`](Client::lobbies).
//! - [`Lobby`]: its members, what happens ([`LobbyEvent`]), and the way out of the server ([`start`](Lobby::start)).
//! - [`Peer`]: the other end of a link. [`send`](Peer::send) feels backpressure, [`try_send`](Peer::try_send) never waits.
//! - [`connection`]: the direct connection below, for those who bring a signaling of their own.
//!
//! Tasks run in the tokio runtime in which `connect` is called, or in one thread of our own where there is none. Every
//! call that needs an answer returns a [`Pending`]: await it on any executor, poll it, or wait for it.

mod client;
pub mod connection;
mod data;
mod driver;
mod error;
mod event;
mod framing;
mod halves;
mod link;
mod list;
mod lobby;
mod peer;
mod pending;
mod runtime;
mod signals;

pub use client::{Client, Connect, Create, Join, Lobbies, Quick, block_on};
pub use connection::{Connection, FailReason, Roots, TransportPolicy};
pub use data::Data;
pub use error::{Error, ErrorCode};
pub use event::{Failure, LeftWhy, LobbyEvent, LobbyState, Member, PeerState, RemovedWhy, ServerEvent};
pub use link::ChannelOptions;
pub use list::{ListedLobby, LobbyList};
pub use lobby::{All, Lobby, Update};
pub use peer::{Peer, PeerStats};
pub use pending::{Pending, Request};
pub use twocan_lobby::wire::{IceServer, Sort};
pub use twocan_lobby::{LobbyCode, PeerId};
