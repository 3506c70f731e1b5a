//! The words a program can match, with the sentences a person can read.

use serde::{Deserialize, Serialize};

/// Why a request is refused. Part of the protocol: a word never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)] // `sentence` says what each one means
pub enum ErrorCode {
    BadMessage,
    BadValue,
    NotFound,
    Full,
    Locked,
    Sealed,
    AlreadyInLobby,
    NotInLobby,
    NotOwner,
    NoSuchPeer,
    NoLink,
    Alone,
    Kicked,
    BadTicket,
    RateLimited,
    TooManyLobbies,
    ShuttingDown,
    /// A word of a later server.
    #[serde(other)]
    Unknown,
}

impl ErrorCode {
    /// The word itself, as it stands on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BadMessage => "bad-message",
            Self::BadValue => "bad-value",
            Self::NotFound => "not-found",
            Self::Full => "full",
            Self::Locked => "locked",
            Self::Sealed => "sealed",
            Self::AlreadyInLobby => "already-in-lobby",
            Self::NotInLobby => "not-in-lobby",
            Self::NotOwner => "not-owner",
            Self::NoSuchPeer => "no-such-peer",
            Self::NoLink => "no-link",
            Self::Alone => "alone",
            Self::Kicked => "kicked",
            Self::BadTicket => "bad-ticket",
            Self::RateLimited => "rate-limited",
            Self::TooManyLobbies => "too-many-lobbies",
            Self::ShuttingDown => "shutting-down",
            Self::Unknown => "unknown",
        }
    }

    /// The sentence that goes with the word.
    #[must_use]
    pub fn sentence(self) -> &'static str {
        match self {
            Self::BadMessage => "this message cannot be read",
            Self::BadValue => "a field of this message is outside its limits",
            Self::NotFound => "no lobby has this code and this password",
            Self::Full => "the lobby has no free seat",
            Self::Locked => "the lobby is locked",
            Self::Sealed => "the lobby is sealed",
            Self::AlreadyInLobby => "you are in a lobby, or entering one",
            Self::NotInLobby => "you are in no lobby",
            Self::NotOwner => "only the owner of the lobby may do this",
            Self::NoSuchPeer => "no other member of the lobby has this name",
            Self::NoLink => "there is no link with this peer",
            Self::Alone => "a lobby with one member cannot be sealed",
            Self::Kicked => "the owner of this lobby has shown you out",
            Self::BadTicket => "this ticket is not valid here, or no longer",
            Self::RateLimited => "too many at once, try again later",
            Self::TooManyLobbies => "no more lobbies can be opened from here",
            Self::ShuttingDown => "the server is shutting down",
            Self::Unknown => "the server refuses, for a reason that is not known here",
        }
    }
}

/// The word of a closed list as it stands on the wire, for a label or a log line.
#[must_use]
pub fn word(value: &impl Serialize) -> String {
    serde_json::to_string(value).map(|text| text.trim_matches('"').to_owned()).unwrap_or_default()
}
