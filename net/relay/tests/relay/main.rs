//! The relay through real sockets on loopback.

mod binding;
mod kit;
mod relaying;
mod starting;
mod streams;
mod threads;
