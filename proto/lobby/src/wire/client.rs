//! What a client may say: one struct a message, and `parse`, the only way in.

#![allow(missing_docs)] // the fields are those of `docs/protocol.md` §1, by the same names

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::server::limits::{
    DATA_BYTES_MAX, FRAME_BYTES_MAX, ID_MAX, LINK_MS_MAX, ME_BYTES_MAX, PASSWORD_BYTES_MAX, SIZE_MAX,
    SIZE_MIN, TICKET_BYTES_MAX,
};

type Text<'a> = Cow<'a, str>;

/// The first frame of a socket.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Hello<'a> {
    #[serde(borrow)]
    pub app: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub resume: Option<Resume<'a>>,
}

/// The session to come back to, and the highest `seq` seen of it.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Resume<'a> {
    #[serde(borrow)]
    pub session: Text<'a>,
    pub seq: u64,
}

/// Opens a lobby.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Create<'a> {
    #[serde(default)]
    pub public: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Text<'a>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<CodeKind>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub me: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
}

/// What kind of code a lobby is to have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum CodeKind {
    /// As short as can be without being guessed.
    Short,
    /// One that nobody can guess, for links.
    Long,
}

/// Enters a lobby by its code.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Join<'a> {
    #[serde(borrow)]
    pub code: Text<'a>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Text<'a>>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub me: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
}

/// Enters the fullest public lobby that matches, or opens one.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Quick<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<i64>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub me: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
}

/// Asks for the public lobbies, and with `watch` for what changes among them.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct List<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "is_newest")]
    pub sort: Sort,
    /// So many of them are left out: those of the pages before.
    #[serde(default, skip_serializing_if = "is_none_left_out")]
    pub skip: u16,
    #[serde(default)]
    pub watch: bool,
}

/// Which lobbies of the list come first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// Those that were opened last.
    #[default]
    Newest,
    /// Those with the most members; of several, the newest.
    Fullest,
}

fn is_newest(sort: &Sort) -> bool {
    *sort == Sort::Newest
}

fn is_none_left_out(skip: &u16) -> bool {
    *skip == 0
}

/// Changes the lobby; what is absent stays.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Update<'a> {
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub locked: Option<bool>,
}

/// What a member says of itself from now on.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Me<'a> {
    #[serde(borrow)]
    pub me: &'a RawValue,
}

/// Sends a member away.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Kick<'a> {
    #[serde(borrow)]
    pub peer: Text<'a>,
    /// For as long as the lobby lives.
    #[serde(default = "yes", skip_serializing_if = "Clone::clone")]
    pub ban: bool,
}

fn yes() -> bool {
    true
}

/// Comes back to one's seat: of a lobby that is open, or was, or is completed.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Return<'a> {
    #[serde(borrow)]
    pub ticket: Text<'a>,
    /// Of a lobby that is gone and opened again.
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub me: Option<&'a RawValue>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<u64>,
}

/// What a signal is, as its sender says; the server does not look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Description,
    Candidate,
    EndOfCandidates,
}

/// The class of a candidate (RFC 8445 5.1.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Class {
    Host,
    Srflx,
    Prflx,
    Relay,
}

/// A note to one linked peer.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Signal<'a> {
    #[serde(borrow)]
    pub to: Text<'a>,
    pub kind: Kind,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub class: Option<Class>,
    #[serde(borrow, default, skip_serializing_if = "Option::is_none")]
    pub data: Option<&'a RawValue>,
}

/// How a link travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Path {
    Direct,
    Relayed,
}

/// The link with `peer` is up, `ms` milliseconds after `link`.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Linked<'a> {
    #[serde(borrow)]
    pub peer: Text<'a>,
    pub path: Path,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub local: Option<Class>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote: Option<Class>,
    pub ms: u64,
}

/// Why a link failed: the closed list of `docs/protocol.md` §1.7.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    NoCandidates,
    NoRemoteCandidates,
    TurnRejected,
    TurnUnreachable,
    ChecksFailed,
    Timeout,
    DtlsFailed,
    PeerLeft,
    SignalingLost,
    Incompatible,
}

/// The link with `peer` could not be made, or is lost.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Failed<'a> {
    #[serde(borrow)]
    pub peer: Text<'a>,
    pub reason: Reason,
}

/// Everything a client may say.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ClientMessage<'a> {
    Hello(Hello<'a>),
    Create(Create<'a>),
    Join(Join<'a>),
    Quick(Quick<'a>),
    List(List<'a>),
    Unwatch,
    Update(Update<'a>),
    Me(Me<'a>),
    Kick(Kick<'a>),
    Leave,
    Seal,
    Return(Return<'a>),
    Signal(Signal<'a>),
    Linked(Linked<'a>),
    Failed(Failed<'a>),
    Ping,
}

/// A message with its number, and the highest `seq` its sender has seen.
#[derive(Clone, Debug)]
pub struct ClientFrame<'a> {
    /// From 1, rising; 0 in `hello`.
    pub id: u64,
    /// What the server need not keep any longer.
    pub ack: Option<u64>,
    /// What is said.
    pub message: ClientMessage<'a>,
}

/// Why a text is not a client's frame. `id` is 0 where it could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParseError {
    /// Longer than [`FRAME_BYTES_MAX`].
    TooLong,
    /// Not a JSON object with a `type` and an `id` in range.
    NotAFrame,
    /// A `type` that the protocol does not have.
    UnknownType {
        /// The frame's number.
        id: u64,
    },
    /// A field is missing, twice there, or of the wrong type.
    Fields {
        /// The frame's number.
        id: u64,
    },
    /// A field's value is outside its limits.
    Value {
        /// The frame's number.
        id: u64,
        /// Which limit of which field.
        limit: &'static str,
    },
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Text<'a>,
    #[serde(default)]
    id: u64,
    #[serde(default)]
    ack: Option<u64>,
}

/// Reads one text frame.
///
/// # Errors
/// [`ParseError`] says what is wrong, with the frame's number where it has one.
pub fn parse(text: &str) -> Result<ClientFrame<'_>, ParseError> {
    if text.len() > FRAME_BYTES_MAX {
        return Err(ParseError::TooLong);
    }
    // A derived reader takes arrays for structs too; a frame is an object.
    if !text.trim_start().starts_with('{') {
        return Err(ParseError::NotAFrame);
    }
    if let Some(frame) = signal(text) {
        return Ok(frame);
    }
    let head: Head<'_> = serde_json::from_str(text).map_err(|_| ParseError::NotAFrame)?;
    let id = head.id;
    if id > ID_MAX || (id == 0) != (head.kind == "hello") {
        return Err(ParseError::NotAFrame);
    }
    let message = body(&head.kind, text, id)?;
    match beyond_limits(&message) {
        None => Ok(ClientFrame { id, ack: head.ack, message }),
        Some(limit) => Err(ParseError::Value { id, limit }),
    }
}

/// Reads a signal in one pass: most of what is said is signals, and they are the longest. What is unusual about one is left to `parse`.
fn signal(text: &str) -> Option<ClientFrame<'_>> {
    #[derive(Deserialize)]
    struct Whole<'a> {
        #[serde(borrow, rename = "type")]
        message: &'a str,
        id: u64,
        ack: Option<u64>,
        #[serde(borrow)]
        to: Text<'a>,
        kind: Kind,
        class: Option<Class>,
        #[serde(borrow)]
        data: Option<&'a RawValue>,
    }
    if !text.starts_with(r#"{"type":"signal","#) {
        return None;
    }
    let Whole { message, id, ack, to, kind, class, data } = serde_json::from_str(text).ok()?;
    let read = ClientMessage::Signal(Signal { to, kind, class, data });
    let is_usual = message == "signal" && (1..=ID_MAX).contains(&id) && beyond_limits(&read).is_none();
    is_usual.then_some(ClientFrame { id, ack, message: read })
}

fn body<'a>(kind: &str, text: &'a str, id: u64) -> Result<ClientMessage<'a>, ParseError> {
    fn read<'a, T: Deserialize<'a>>(text: &'a str, id: u64) -> Result<T, ParseError> {
        serde_json::from_str(text).map_err(|_| ParseError::Fields { id })
    }
    Ok(match kind {
        "hello" => ClientMessage::Hello(read(text, id)?),
        "create" => ClientMessage::Create(read(text, id)?),
        "join" => ClientMessage::Join(read(text, id)?),
        "quick" => ClientMessage::Quick(read(text, id)?),
        "list" => ClientMessage::List(read(text, id)?),
        "unwatch" => ClientMessage::Unwatch,
        "update" => ClientMessage::Update(read(text, id)?),
        "me" => ClientMessage::Me(read(text, id)?),
        "kick" => ClientMessage::Kick(read(text, id)?),
        "leave" => ClientMessage::Leave,
        "seal" => ClientMessage::Seal,
        "return" => ClientMessage::Return(read(text, id)?),
        "signal" => ClientMessage::Signal(read(text, id)?),
        "linked" => ClientMessage::Linked(read(text, id)?),
        "failed" => ClientMessage::Failed(read(text, id)?),
        "ping" => ClientMessage::Ping,
        _ => return Err(ParseError::UnknownType { id }),
    })
}

/// The first limit that a message does not keep, in words.
fn beyond_limits(message: &ClientMessage<'_>) -> Option<&'static str> {
    let object = |value: Option<&RawValue>, max: usize| {
        value.is_none_or(|value| value.get().len() <= max && value.get().starts_with('{'))
    };
    let data = |value| (!object(value, DATA_BYTES_MAX)).then_some(DATA);
    let me = |value| (!object(value, ME_BYTES_MAX)).then_some(ME);
    let size = |value: Option<i64>| {
        (!value.is_none_or(|value| (SIZE_MIN..=SIZE_MAX).contains(&value))).then_some(SIZE)
    };
    let password = |value: &Option<Text<'_>>| {
        let fits = value.as_ref().is_none_or(|value| (1..=PASSWORD_BYTES_MAX).contains(&value.len()));
        (!fits).then_some(PASSWORD)
    };
    match message {
        ClientMessage::Create(m) => {
            size(m.size).or(password(&m.password)).or_else(|| data(m.data)).or_else(|| me(m.me))
        }
        ClientMessage::Join(m) => password(&m.password).or_else(|| me(m.me)),
        ClientMessage::Quick(m) => {
            size(m.size).or_else(|| data(m.filter)).or_else(|| data(m.data)).or_else(|| me(m.me))
        }
        ClientMessage::List(m) => data(m.filter),
        ClientMessage::Update(m) => data(m.data),
        ClientMessage::Me(m) => me(Some(m.me)),
        ClientMessage::Return(m) if m.ticket.len() > TICKET_BYTES_MAX => {
            Some("a ticket has at most 4,096 bytes")
        }
        ClientMessage::Return(m) => data(m.data).or_else(|| me(m.me)),
        ClientMessage::Linked(m) => (m.ms > LINK_MS_MAX).then_some("ms is at most 600,000"),
        ClientMessage::Hello(_)
        | ClientMessage::Unwatch
        | ClientMessage::Kick(_)
        | ClientMessage::Leave
        | ClientMessage::Seal
        | ClientMessage::Signal(_)
        | ClientMessage::Failed(_)
        | ClientMessage::Ping => None,
    }
}

const DATA: &str = "data, and a filter, are a JSON object of at most 2,048 bytes";
const ME: &str = "me is a JSON object of at most 512 bytes";
const SIZE: &str = "size is 2 to 64";
const PASSWORD: &str = "a password has 1 to 512 bytes of UTF-8";
