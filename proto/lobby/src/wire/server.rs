//! What the server says. A message is rendered once, and numbered for each who gets it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::client::{Class, Kind};
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
#[derive(Clone, Debug, Serialize)]
#[allow(missing_docs)]
pub struct LobbyView<'a> {
    pub code: LobbyCode,
    pub public: bool,
    pub password: bool,
    pub locked: bool,
    pub sealed: bool,
    pub size: usize,
    pub owner: PeerId,
    pub data: &'a RawValue,
    pub members: Vec<MemberView<'a>>,
}

/// A member, as the others see it.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)]
pub struct MemberView<'a> {
    pub peer: PeerId,
    pub me: &'a RawValue,
}

/// A lobby, as the list shows it.
#[derive(Clone, Copy, Debug, Serialize)]
#[allow(missing_docs)]
pub struct ListedLobby<'a> {
    pub code: LobbyCode,
    pub password: bool,
    pub locked: bool,
    pub size: usize,
    pub members: usize,
    pub data: &'a RawValue,
}

/// Who makes the offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum Role {
    Offer,
    Answer,
}

/// Why a member is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RemovedWhy {
    /// By the owner's will.
    Kicked,
    /// The lobby has reached the end of its time.
    LobbyClosed,
}

/// Everything the server says. `docs/protocol.md` has an example of each.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
#[allow(missing_docs)]
pub enum ServerMessage<'a> {
    Welcome {
        id: u64,
        seq: u64,
        session: &'a str,
        peer: PeerId,
        resumed: bool,
        received: u64,
    },
    Ok,
    Error {
        code: ErrorCode,
        message: &'static str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry: Option<u64>,
    },
    Pong,
    Joined {
        peer: PeerId,
        lobby: LobbyView<'a>,
    },
    Lobbies {
        total: usize,
        lobbies: Vec<ListedLobby<'a>>,
    },
    Listed {
        lobby: ListedLobby<'a>,
    },
    Unlisted {
        code: LobbyCode,
    },
    Ice(&'a IceServers),
    Arrived {
        member: MemberView<'a>,
    },
    Link {
        peer: PeerId,
        role: Role,
        polite: bool,
    },
    Signal {
        from: PeerId,
        kind: Kind,
        #[serde(skip_serializing_if = "Option::is_none")]
        class: Option<Class>,
        #[serde(skip_serializing_if = "Option::is_none")]
        data: Option<&'a RawValue>,
    },
    Left {
        peer: PeerId,
        why: LeftWhy,
    },
    Owner {
        peer: PeerId,
    },
    Updated {
        lobby: LobbyView<'a>,
    },
    Removed {
        why: RemovedWhy,
    },
    Sealed {
        within: u64,
    },
    Unsealed {
        missing: Vec<[PeerId; 2]>,
    },
    Complete {
        ticket: &'a str,
        ice: &'a IceServers,
    },
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
