//! ICE (RFC 8445, RFC 8838) as a state machine.

#![cfg_attr(not(test), deny(clippy::indexing_slicing))]

mod agent;
mod candidate;
mod check;
mod checklist;
mod config;
mod consent;
mod credentials;
mod error;
mod event;
mod nomination;
mod pacer;
mod pair;
pub mod pasted;
mod priority;
mod report;
mod role;
mod verdict;

pub use agent::Agent;
pub use candidate::{
    Candidate, Foundations, Kind, LocalCandidate, Named, Parsed, RelayProtocol, SocketId, TcpType, Transport,
};
pub use config::Config;
pub use credentials::Credentials;
pub use error::{Discard, Misuse, ParseError};
pub use event::{Command, Event, Selected, State, Transmit};
pub use priority::{LocalPreference, priority};
pub use report::{Failure, PairReport, PairState, Report};
pub use role::Role;
pub use verdict::Verdict;
