//! One WebRTC connection with data channels as a state machine: gathering, descriptions, ICE, DTLS, SCTP.

mod config;
mod connection;
mod event;
pub mod gather;
pub mod limits;
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
    Certificate, ChannelId, ChannelInit, CloseReason, Fingerprint, Misuse, Payload, Reliability, SendError,
};
pub use twocan_ice::{Kind, SocketId, Verdict};
