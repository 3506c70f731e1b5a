//! What was tried: every pair, when, how often, and why it failed.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use twocan_stun::ErrorCode;

use crate::{Kind, Role, SocketId, State, Transport, Verdict};

/// The state of a pair (RFC 8445 section 6.1.2.6; nothing is ever frozen, see `ASSUMPTIONS.md`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PairState {
    /// Not tried yet.
    Waiting,
    /// A TCP connection is being opened.
    Opening,
    /// Asked, not answered yet.
    InProgress,
    /// Answered: usable.
    Succeeded,
    /// Tried, and given up; or once usable, and no more.
    Failed(Failure),
}

/// Why a pair failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Failure {
    /// No answer to any request.
    NoAnswer,
    /// Answers came, but from another address or at another socket.
    AnsweredFromElsewhere,
    /// The other side said no.
    Refused(ErrorCode),
    /// The TCP connection could not be opened, or ended.
    StreamClosed,
    /// It was usable, and answers stopped coming (RFC 7675).
    ConsentExpired,
    /// The socket was removed.
    SocketRemoved,
    /// A better one was found before this was settled.
    Superseded,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Failure::NoAnswer => f.write_str("no answer"),
            Failure::AnsweredFromElsewhere => f.write_str("answered from elsewhere"),
            Failure::Refused(code) => write!(f, "refused with {code}"),
            Failure::StreamClosed => f.write_str("the TCP connection ended"),
            Failure::ConsentExpired => f.write_str("answers stopped coming"),
            Failure::SocketRemoved => f.write_str("the socket was removed"),
            Failure::Superseded => f.write_str("a better pair was found"),
        }
    }
}

impl fmt::Display for PairState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PairState::Waiting => f.write_str("waiting"),
            PairState::Opening => f.write_str("connecting"),
            PairState::InProgress => f.write_str("in progress"),
            PairState::Succeeded => f.write_str("succeeded"),
            PairState::Failed(failure) => write!(f, "failed: {failure}"),
        }
    }
}

/// What was tried with one pair. Times count from when the agent was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PairReport {
    /// The way out.
    pub socket: SocketId,
    /// What this side is on this pair, as far as is known.
    pub local_kind: Kind,
    /// Where to.
    pub remote: SocketAddr,
    /// What the other side is.
    pub remote_kind: Kind,
    /// UDP or TCP.
    pub transport: Transport,
    /// The priority that both sides compute (RFC 8445 section 6.1.2.3).
    pub priority: u64,
    /// How it stands.
    pub state: PairState,
    /// Requests sent.
    pub requests_sent: u32,
    /// Answers received.
    pub answers: u32,
    /// Authentic requests received.
    pub requests_heard: u32,
    /// When the first request was sent.
    pub first_sent: Option<Duration>,
    /// When the last request was sent.
    pub last_sent: Option<Duration>,
    /// When it became usable.
    pub validated: Option<Duration>,
    /// The round trip, smoothed.
    pub rtt: Option<Duration>,
    /// Whether it was nominated.
    pub nominated: bool,
    /// Whether it is in use.
    pub selected: bool,
}

/// All that was tried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Our role.
    pub role: Role,
    /// How far the agent is.
    pub state: State,
    /// How things stand.
    pub verdict: Verdict,
    /// Each pair, in the order they were formed.
    pub pairs: Vec<PairReport>,
    /// Requests sent, on all pairs there ever were.
    pub requests_sent: u64,
    /// Messages that were refused or passed over.
    pub discarded: u64,
    /// Of them, those that were not authentic.
    pub unauthenticated: u64,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} {}: {}", self.role, self.state, self.verdict)?;
        for pair in &self.pairs {
            let mark = if pair.selected { '*' } else { ' ' };
            let PairReport { local_kind, remote_kind, remote, transport, state, .. } = pair;
            write!(f, "{mark} {local_kind:<5} > {remote_kind:<5} {transport} {remote:<40}")?;
            write!(f, " {:>2} sent {:>2} heard", pair.requests_sent, pair.requests_heard)?;
            if let Some(first) = pair.first_sent {
                write!(f, " from {} ms", first.as_millis())?;
            }
            if let Some(rtt) = pair.rtt {
                write!(f, " rtt {} ms", rtt.as_millis())?;
            }
            writeln!(f, "  {state}")?;
        }
        Ok(())
    }
}
