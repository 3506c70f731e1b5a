//! STUN and TURN on real sockets: threads of its own, one per core, around `twocan_turn::Server`. `app` starts it; it
//! decides nothing about who may relay where, parses nothing, and has no task per client.
//!
//! ```text
//!   clients                  one thread of several                       peers
//!   ───────   ┌───────────────────────────────────────────────┐   ─────────────────
//!    UDP ───► │ listener ──► Batch ──► ┌────────┐             │
//!    TCP ───► │ Stream ──► frames ───► │ Server │ ──► Run ──► │ relayed port ───►
//!    TLS ───► │ Stream ──► frames ───► │        │ ◄── Batch ◄─│ relayed port ◄───
//!        ◄─── │ ◄──── Run, Stream ◄─── └────────┘             │
//!             └────────── inbox ▲ │ news to the others ───────┘
//! ```
//!
//! Each thread has its own listeners on the shared ports (`SO_REUSEPORT`: the kernel keeps a client with one thread),
//! its own part of the relayed ports, its own server. What one must know of another travels as
//! [`News`](twocan_turn::News) through an inbox.

#[cfg(not(target_os = "linux"))]
compile_error!(
    "the relay needs Linux: it asks the kernel for destination addresses and ICMP errors in Linux's way"
);

mod admission;
mod alternate;
mod bind;
mod config;
mod error;
mod failure;
mod frames;
mod inbox;
mod own;
mod relay;
mod relays;
mod stats;
mod stream;
mod streams;
mod thread;
mod token;
mod turns;
mod udp;

pub use alternate::AlternateError;
pub use config::{Config, StreamLimits};
pub use error::Error;
pub use failure::Failure;
pub use own::read as own_addresses;
pub use relay::{Handle, Listener, Relay, raise_file_limit};
pub use stats::{SocketStats, Stats};
