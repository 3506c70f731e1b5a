//! Clients at a real server on loopback: they meet, link, say things, and leave the server behind.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod entering;
mod kit;
mod leaving;
mod messages;
mod plain;
