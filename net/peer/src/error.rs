//! The one error of the client, with a word that a program can match and a sentence that a person can read.

use twocan_lobby::client::Failure;
pub use twocan_lobby::wire::ErrorCode;

/// Why something could not be done.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The server refuses: `docs/protocol.md` §1.7 has the words.
    #[error("{}", code.sentence())]
    Refused {
        /// Why.
        code: ErrorCode,
        /// Seconds after which to try again, with `rate-limited`.
        retry: Option<u64>,
    },
    /// The address given to `connect` is not one.
    #[error("{url:?} is not the address of a server: it looks like wss://play.example")]
    BadUrl {
        /// As given.
        url: String,
    },
    /// A value is outside its limits, before the server was asked.
    #[error("{what}")]
    BadValue {
        /// What is wrong with it.
        what: &'static str,
    },
    /// No socket to the server could be opened.
    #[error("no server answers at {url}: {why}")]
    Unreachable {
        /// Where it was sought.
        url: String,
        /// What the system says.
        why: String,
    },
    /// The server, or this address's share of it, is full.
    #[error("the server is full")]
    ServerFull,
    /// The server did not answer in time.
    #[error("the server did not answer in time")]
    Timeout,
    /// The session or the lobby was closed first.
    #[error("no longer at the server")]
    Closed,
    /// The server no longer knows this session.
    #[error("the server has forgotten us")]
    SessionLost,
    /// Some pair did not link in time, so the lobby is open again.
    #[error("not all were linked in time")]
    Unsealed,
    /// No channel of this name was declared.
    #[error("no channel has this name: declare it with `Connect::channel`")]
    NoChannel,
    /// The message is longer than the channel can carry.
    #[error("the message is longer than this channel carries: at most {max} bytes")]
    TooLarge {
        /// Bytes of content.
        max: usize,
    },
    /// The JSON has more values than 65,536, or more levels than 64.
    #[error("this JSON is too costly to read: at most 65,536 values, and 64 levels")]
    TooComplex,
    /// The message was 50 s on its way, in pieces, and is given up.
    #[error("the message took too long on its way")]
    TooSlow,
    /// More waits to be sent than a channel holds, or than the server is told.
    #[error("too much waits to be sent")]
    Backlog,
    /// The link is closed.
    #[error("the link is closed")]
    LinkClosed,
}

impl Error {
    /// The stable word, as in the SDK for pages.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => code.as_str(),
            Self::BadUrl { .. } => "bad-url",
            Self::BadValue { .. } => "bad-value",
            Self::Unreachable { .. } => "unreachable",
            Self::ServerFull => "server-full",
            Self::Timeout | Self::TooSlow => "timeout",
            Self::Closed => "closed",
            Self::SessionLost => "session-lost",
            Self::Unsealed => "unsealed",
            Self::NoChannel => "no-channel",
            Self::TooLarge { .. } | Self::TooComplex => "too-large",
            Self::Backlog => "backlog",
            Self::LinkClosed => "link-closed",
        }
    }

    /// `url` and `why` are for a server that cannot be reached.
    pub(crate) fn from_failure(failure: Failure, url: &str, why: &str) -> Self {
        match failure {
            Failure::Refused { code, retry } => Self::Refused { code, retry },
            Failure::Unreachable => Self::Unreachable { url: url.to_owned(), why: why.to_owned() },
            Failure::ServerFull => Self::ServerFull,
            Failure::Timeout => Self::Timeout,
            Failure::Closed => Self::Closed,
            Failure::SessionLost => Self::SessionLost,
            Failure::Unsealed => Self::Unsealed,
            Failure::TooLarge => Self::BadValue { what: "more than the server takes in one message" },
            Failure::Backlog => Self::Backlog,
        }
    }
}
