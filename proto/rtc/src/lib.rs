//! One WebRTC connection with data channels as a state machine: gathering, descriptions, ICE, DTLS, SCTP, channels.
//!
//! `net/peer` runs it; simulators and tests run it in arithmetic time. It opens no socket, reads no clock, starts no thread, logs nothing.
//!
//! ```text
//!  handle_datagram ─► inbound ─┬ STUN, ChannelData ─► gather ─┬ an answer: a candidate ─► ICE, Event::Signal
//!  handle_stream               │                              ├ relayed: once more, path = the relay
//!                              │                              └ not of a server ─► ICE ─► Selected: the path
//!                              └ DTLS, from a validated pair, or proved by its keys ─► transport ─► Event::Message
//!
//!  poll_transmit ◄─ outbound ─◄┬ ICE, gather
//!                              └ transport (DTLS ◄ SCTP ◄ channels), by the path: as it is, wrapped for a relay, framed on a stream
//!
//!  handle_signal ─► negotiation: whose turn is it, which generation ─► ICE's credentials and candidates
//! ```
//!
//! # The loop
//!
//! 1. Make a [`Connection`], [`add_socket`](Connection::add_socket) for each address of an interface, [`open_channel`](Connection::open_channel).
//!    One side calls [`negotiate`](Connection::negotiate).
//! 2. After each input drain the outputs: send what [`poll_transmit`](Connection::poll_transmit) gives, do what [`poll_command`](Connection::poll_command)
//!    asks, and take [`poll_event`](Connection::poll_event); an [`Event::Signal`] is to be carried to the other side's
//!    [`handle_signal`](Connection::handle_signal), in order.
//! 3. Wait for a packet, a signal, a wish of the application, or [`poll_timeout`](Connection::poll_timeout); tell it; go to 2. A batch of packets may be
//!    told at once.
//!
//! Restarts of ICE need no one: an interface that comes or goes, a path that falls silent, a relay that forgot us lead to an offer by
//! `Event::Signal`, and the data channels notice no more than a pause. All it asks is that signals still reach the other side, by
//! the server or over a channel of the connection itself.
//!
//! Two in one room, connected by hand:
//!
//! ```
//! use std::net::SocketAddr;
//! use std::time::{Duration, Instant};
//! use twocan_rtc::{Certificate, ChannelInit, Config, Connection, Event, Payload};
//!
//! let start = Instant::now();
//! let mut now = start;
//! let at: [SocketAddr; 2] = ["192.0.2.1:1000".parse()?, "192.0.2.2:2000".parse()?];
//! let mut sides = [0, 1].map(|side| {
//!     let config = Config { polite: side == 1, ..Config::new(Certificate::generate()) };
//!     let mut connection = Connection::new(config, [side; 32], now);
//!     let socket = connection.add_socket(at[usize::from(side)], now);
//!     let channel = connection.open_channel(ChannelInit::new("chat").negotiated(0), now).unwrap();
//!     (connection, socket, channel)
//! });
//! sides[0].0.negotiate(now);
//! let chat = sides[0].2;
//! sides[0].0.send(chat, Payload::Text, "hello".into(), now)?;
//!
//! let mut heard = None;
//! while heard.is_none() {
//!     assert!(now < start + Duration::from_secs(5));
//!     now += Duration::from_millis(1);
//!     for here in [0, 1] {
//!         let there = 1 - here;
//!         if sides[here].0.poll_timeout().is_some_and(|due| due <= now) {
//!             sides[here].0.handle_timeout(now);
//!         }
//!         while let Some(sent) = sides[here].0.poll_transmit() {
//!             for datagram in sent.bytes.chunks(sent.segment_size.unwrap_or(sent.bytes.len())) {
//!                 let (other, socket, _) = &mut sides[there];
//!                 let _ = other.handle_datagram(*socket, at[here], datagram, now);
//!             }
//!         }
//!         while let Some(event) = sides[here].0.poll_event() {
//!             match event {
//!                 Event::Signal(signal) => sides[there].0.handle_signal(signal, now)?,
//!                 Event::Message { bytes, .. } => heard = Some(bytes),
//!                 _ => {}
//!             }
//!         }
//!     }
//! }
//! assert_eq!(&heard.unwrap()[..], b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod config;
mod connection;
mod event;
pub mod gather;
pub mod limits;
mod room;
pub mod sdp;
mod signal;
mod stats;
pub mod transport;

pub use config::Config;
pub use connection::Connection;
pub use event::{Command, ConnectionState, Event, FailReason, Path, PathInfo, Protocol, QueryId, Transmit};
pub use sdp::Description;
pub use signal::{CandidateInit, Signal, SignalError};
pub use stats::{ChannelStats, Discard, Stats};
pub use transport::{
    Alert, Certificate, ChannelId, ChannelInit, CloseReason, Fingerprint, Misuse, Payload, Refusal,
    Reliability, SendError,
};
pub use twocan_ice::{Kind, SocketId, Verdict};
