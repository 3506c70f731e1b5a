//! The signaling server: HTTP and WebSocket around the lobby machine.
//!
//! `app/` calls [`bind`], merges its pages, and runs the result. Nothing is decided here: a socket's frames go to the
//! one task that owns [`twocan_lobby::Lobbies`], and what that says comes back through a bounded queue.
//!
//! ```text
//! accept ── hyper ── axum ─┬ pages, /healthz, /metrics      (answers go out as each household's budget allows)
//!                          └ /v1  socket task ──Input──▶ machine task (Lobbies) ──▶ IceProvider
//!                                     ▲──────── Queue ──────────┘ └── argon2 on the blocking pool
//! ```

mod answers;
mod base_path;
mod config;
mod frames;
mod front;
mod hashing;
mod ice;
mod listener;
mod machine;
mod metrics;
mod origin;
mod progress;
mod queue;
mod server;
mod socket;

pub use config::{Config, Died, Error, TrustedProxy};
pub use ice::IceProvider;
pub use origin::{is_loopback, is_origin};
pub use server::{Signaling, bind};
pub use twocan_base::Quota;
pub use twocan_lobby::wire::{IceServer, IceServers};
pub use twocan_lobby::{Grant, GroupId, Limits, MEMORY_DEFAULT, PeerId, Purpose};
