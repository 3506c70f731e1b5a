//! The words a program can match, with the sentences a person can read.

use serde::Serialize;

/// Why a request is refused. Part of the protocol: a word never changes its meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
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
    BadTicket,
    RateLimited,
    TooManyLobbies,
    ShuttingDown,
}

impl ErrorCode {
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
            Self::BadTicket => "this ticket is not valid here, or no longer",
            Self::RateLimited => "too many at once, try again later",
            Self::TooManyLobbies => "no more lobbies can be opened from here",
            Self::ShuttingDown => "the server is shutting down",
        }
    }
}

/// The word of a closed list as it stands on the wire, for a label or a log line.
#[must_use]
pub fn word(value: &impl Serialize) -> String {
    serde_json::to_string(value).map(|text| text.trim_matches('"').to_owned()).unwrap_or_default()
}
