//! The relay through real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod binding;
mod discovery;
mod kit;
mod relaying;
mod starting;
mod streams;
mod threads;
