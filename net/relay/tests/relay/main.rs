//! The relay through real sockets on loopback.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

mod binding;
mod crowds;
mod discovery;
#[cfg(debug_assertions)]
mod failing;
mod kit;
mod relaying;
mod starting;
mod streams;
mod threads;
