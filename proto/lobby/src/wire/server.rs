//! What the server says. A message is rendered once and numbered for each who gets it; `parse_server` reads it.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::client::{Class, Kind, ParseError};
use super::names::{LobbyCode, PeerId};
use super::words::ErrorCode;

/// One entry of `RTCConfiguration.iceServers`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct IceServer {
    /// `stun:`, `turn:` and `turns:` addresses.
    pub urls: Vec<String>,
    /// Of a TURN server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// Of a TURN server.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<String>,
}

/// Servers for gathering candidates.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct IceServers {
    /// As a page's `RTCPeerConnection` takes them.
    pub servers: Vec<IceServer>,
    /// Seconds from now for which the credentials are good.
    pub expires: u64,
}

/// A lobby, as its members see it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct LobbyView<'a> {
    pub code: LobbyCode,
    pub public: bool,
    pub password: bool,
    pub locked: bool,
    pub sealed: bool,
    pub size: usize,
    pub owner: PeerId,
    #[serde(borrow)]
    pub data: &'a RawValue,
    #[serde(borrow)]
    pub members: Vec<MemberView<'a>>,
}

/// A member, as the others see it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct MemberView<'a> {
    pub peer: PeerId,
    #[serde(borrow)]
    pub me: &'a RawValue,
    /// Its socket is gone; its seat waits.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub away: bool,
}

/// A lobby, as the list shows it.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct ListedLobby<'a> {
    pub code: LobbyCode,
    pub password: bool,
    pub locked: bool,
    pub size: usize,
    pub members: usize,
    #[serde(borrow)]
    pub data: &'a RawValue,
}

/// Who makes the offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Role {
    Offer,
    Answer,
}

/// Why a member is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LeftWhy {
    /// On purpose.
    Left,
    /// By the owner's will.
    Kicked,
    /// Its session ran out.
    Lost,
}

/// Why the receiver is out of its lobby.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovedWhy {
    /// By the owner's will.
    Kicked,
    /// The lobby has reached the end of its time.
    LobbyClosed,
}

/// The answer to `hello`.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Welcome<'a> {
    pub id: u64,
    pub seq: u64,
    #[serde(borrow)]
    pub session: Cow<'a, str>,
    pub peer: PeerId,
    pub resumed: bool,
    pub received: u64,
}

/// A request, or a note, is refused.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Refused<'a> {
    pub code: ErrorCode,
    #[serde(borrow)]
    pub message: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry: Option<u64>,
}

/// The receiver is in a lobby now.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Joined<'a> {
    pub peer: PeerId,
    #[serde(borrow)]
    pub lobby: LobbyView<'a>,
    /// The way back to this seat, while the lobby is not completed.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<Cow<'a, str>>,
}

/// The public lobbies.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Listing<'a> {
    pub total: usize,
    #[serde(borrow)]
    pub lobbies: Vec<ListedLobby<'a>>,
}

/// A lobby has come into the list, or has changed there.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Listed<'a> {
    #[serde(borrow)]
    pub lobby: ListedLobby<'a>,
}

/// A lobby has gone from the list.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Unlisted {
    pub code: LobbyCode,
}

/// Somebody came in.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Arrived<'a> {
    #[serde(borrow)]
    pub member: MemberView<'a>,
}

/// The two may exchange signals.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Link {
    pub peer: PeerId,
    pub role: Role,
    pub polite: bool,
    /// Which run of the other's program it is, as that says: another one knows nothing of a link with the one before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
}

/// What a linked peer says.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Passed<'a> {
    pub from: PeerId,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
}

/// A member's socket is gone; its seat waits.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Away {
    pub peer: PeerId,
}

/// A member, as it is now: that was away and is there again, or says something else of itself.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Back<'a> {
    #[serde(borrow)]
    pub member: MemberView<'a>,
}

/// A member is gone.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Left {
    pub peer: PeerId,
    pub why: LeftWhy,
}

/// The lobby is this peer's now.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Owner {
    pub peer: PeerId,
}

/// The lobby changed.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Updated<'a> {
    #[serde(borrow)]
    pub lobby: LobbyView<'a>,
}

/// The receiver is out of its lobby.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Removed {
    pub why: RemovedWhy,
}

/// Nobody comes in any more; every pair has `within` seconds to link.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Sealed {
    pub within: u64,
}

/// Open again: these pairs are not linked.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Unsealed {
    pub missing: Vec<[PeerId; 2]>,
}

/// Every pair is linked: the way back, and servers for the time after.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[allow(missing_docs)]
pub struct Complete<'a> {
    #[serde(borrow)]
    pub ticket: Cow<'a, str>,
    pub ice: Cow<'a, IceServers>,
}

/// Everything the server says. `docs/protocol.md` has an example of each.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum ServerMessage<'a> {
    Welcome(Welcome<'a>),
    Ok,
    Error(Refused<'a>),
    Pong,
    Joined(Joined<'a>),
    Lobbies(Listing<'a>),
    Listed(Listed<'a>),
    Unlisted(Unlisted),
    Ice(Cow<'a, IceServers>),
    Arrived(Arrived<'a>),
    Link(Link),
    Signal(Passed<'a>),
    Away(Away),
    Back(Back<'a>),
    Member(Back<'a>),
    Left(Left),
    Owner(Owner),
    Updated(Updated<'a>),
    Removed(Removed),
    Sealed(Sealed),
    Unsealed(Unsealed),
    Complete(Complete<'a>),
}

/// A message with its numbers.
#[derive(Clone, Debug)]
pub struct ServerFrame<'a> {
    /// Of the request that it answers.
    pub id: Option<u64>,
    /// From 1 by one; in `welcome` the highest given out so far.
    pub seq: u64,
    /// What is said; `None` for a type that this side does not know.
    pub message: Option<ServerMessage<'a>>,
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Cow<'a, str>,
    #[serde(default)]
    id: Option<u64>,
    seq: u64,
}

/// Reads one text frame of the server. Fields it does not know are passed over.
///
/// # Errors
/// [`ParseError`] says what is wrong, with the number of the request that is answered, where it has one.
pub fn parse_server(text: &str) -> Result<ServerFrame<'_>, ParseError> {
    if !text.trim_start().starts_with('{') {
        return Err(ParseError::NotAFrame);
    }
    let head: Head<'_> = serde_json::from_str(text).map_err(|_| ParseError::NotAFrame)?;
    let message =
        server_body(&head.kind, text).map_err(|_| ParseError::Fields { id: head.id.unwrap_or(0) })?;
    Ok(ServerFrame { id: head.id, seq: head.seq, message })
}

fn server_body<'a>(kind: &str, text: &'a str) -> Result<Option<ServerMessage<'a>>, serde_json::Error> {
    Ok(Some(match kind {
        "welcome" => ServerMessage::Welcome(serde_json::from_str(text)?),
        "ok" => ServerMessage::Ok,
        "error" => ServerMessage::Error(serde_json::from_str(text)?),
        "pong" => ServerMessage::Pong,
        "joined" => ServerMessage::Joined(serde_json::from_str(text)?),
        "lobbies" => ServerMessage::Lobbies(serde_json::from_str(text)?),
        "listed" => ServerMessage::Listed(serde_json::from_str(text)?),
        "unlisted" => ServerMessage::Unlisted(serde_json::from_str(text)?),
        "ice" => ServerMessage::Ice(serde_json::from_str(text)?),
        "arrived" => ServerMessage::Arrived(serde_json::from_str(text)?),
        "link" => ServerMessage::Link(serde_json::from_str(text)?),
        "signal" => ServerMessage::Signal(serde_json::from_str(text)?),
        "away" => ServerMessage::Away(serde_json::from_str(text)?),
        "back" => ServerMessage::Back(serde_json::from_str(text)?),
        "member" => ServerMessage::Member(serde_json::from_str(text)?),
        "left" => ServerMessage::Left(serde_json::from_str(text)?),
        "owner" => ServerMessage::Owner(serde_json::from_str(text)?),
        "updated" => ServerMessage::Updated(serde_json::from_str(text)?),
        "removed" => ServerMessage::Removed(serde_json::from_str(text)?),
        "sealed" => ServerMessage::Sealed(serde_json::from_str(text)?),
        "unsealed" => ServerMessage::Unsealed(serde_json::from_str(text)?),
        "complete" => ServerMessage::Complete(serde_json::from_str(text)?),
        _ => return Ok(None),
    }))
}

/// The message as JSON text, without `seq`.
#[must_use]
pub fn render(message: &ServerMessage<'_>) -> String {
    serde_json::to_string(message).expect("keys are strings and writing to memory does not fail")
}

/// Puts the receiver's `seq`, and the `id` of the request it answers, in front of a rendered message.
#[must_use]
pub fn number(body: &str, seq: u64, id: Option<u64>) -> Arc<str> {
    let fields = body.strip_prefix('{').unwrap_or(body);
    match id {
        Some(id) => format!("{{\"id\":{id},\"seq\":{seq},{fields}").into(),
        None => format!("{{\"seq\":{seq},{fields}").into(),
    }
}
