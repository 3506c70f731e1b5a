//! `twocan::Connection` on real sockets of the loopback interface.

#![allow(clippy::unwrap_used)]

mod ends;
mod kit;
mod messages;
mod relayed;
