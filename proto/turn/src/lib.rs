//! TURN (RFC 8656), both sides, and the Binding method of STUN (RFC 8489), as state machines: [`Server`] here, the
//! [`client`] in a room of its own.
//!
//! `net/relay` feeds it packets and sends what it says; it opens no socket, reads no clock and starts no thread. It never
//! looks into what it relays.
//!
//! ```text
//!            handle_client ──► ┌────────┐ ──► Transmit { Via::Relay(port, peer) }
//!  client                      │ Server │                                          peer
//!            Via::Client   ◄── └────────┘ ◄── handle_peer
//! ```

mod address;
pub mod client;
mod config;
pub mod control;
pub mod credential;
mod limits;
mod news;
pub mod policy;
mod server;
mod stats;
pub mod wire;

pub use address::{ClientAddr, Family, Icmp, OriginAddr, PeerAddr, RelayAddr, RelayPort, Transport};
pub use config::{Config, ConfigError, External};
pub use limits::{Limits, Rate};
pub use news::{GroupId, MemberId, News, ReservationToken};
pub use policy::Policy;
pub use server::Server;
pub use server::output::{Command, EndReason, Event, PortError, Transmit, Via};
pub use stats::{Discard, Flow, Stats, Stored};
