//! What the machine and its owner say to each other: doors, commands, events.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::wire::names::{AppName, ClientId, GroupId, LobbyCode, PeerId, SessionId};
use crate::wire::{Class, ErrorCode, Path, Reason};

/// Where a socket comes from, and by which name it found the server.
#[derive(Clone, Debug)]
pub struct Door {
    /// The other end's address.
    pub address: IpAddr,
    /// The request's `Host`, for the addresses of ICE servers.
    pub host: Arc<str>,
}

/// How a socket ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Its client closed it with 1000, or answered our own close: it will not come back.
    Goodbye,
    /// Its client closed it with 1001, as a browser does for a page that is closed or reloaded (RFC 6455 7.4.1), or 4900: a seat waits for a while.
    Unloaded,
    /// In any other way: its session waits.
    Cut,
}

/// Codes with which the server closes a socket (`docs/protocol.md` §1.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Close {
    /// The lobby is complete.
    Complete,
    /// The server is shutting down.
    GoingAway,
    /// A frame over the limit.
    TooLong,
    /// `hello` is missing, late or malformed.
    BadHello,
    /// The session was resumed on another socket.
    Resumed,
    /// The client does not read what it is sent.
    TooSlow,
    /// Too many requests.
    TooManyRequests,
    /// The server is full, or too many sockets from this address.
    Full,
}

impl Close {
    /// The number on the wire.
    #[must_use]
    pub fn code(self) -> u16 {
        match self {
            Self::Complete => 1000,
            Self::GoingAway => 1001,
            Self::TooLong => 1009,
            Self::BadHello => 4000,
            Self::Resumed => 4001,
            Self::TooSlow => 4002,
            Self::TooManyRequests => 4003,
            Self::Full => 4004,
        }
    }

    /// The reason on the wire, for people.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Complete => "complete: the links stay",
            Self::GoingAway => "the server is shutting down",
            Self::TooLong => "a frame has at most 16384 bytes",
            Self::BadHello => {
                "no hello within 10 s, or one that cannot be read: app has 1 to 64 of A-Z a-z 0-9 . _ -"
            }
            Self::Resumed => "resumed on another socket",
            Self::TooSlow => "too slow in reading",
            Self::TooManyRequests => "too many requests",
            Self::Full => "full, or too many sockets, or too many at once, from this address",
        }
    }
}

/// One password to hash. It is not to be logged, and its `Debug` does not show it.
pub struct HashJob {
    pub(super) id: HashId,
    /// What was typed.
    pub password: String,
    /// Salt for the hash.
    pub salt: [u8; 16],
}

impl fmt::Debug for HashJob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HashJob").field("id", &self.id).finish_non_exhaustive()
    }
}

impl HashJob {
    /// What `handle_hashed` wants to know it by.
    #[must_use]
    pub fn id(&self) -> HashId {
        self.id
    }
}

/// Names a [`HashJob`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashId(pub(super) u64);

/// What a grant is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Gathering while in the lobby.
    Lobby,
    /// The time after completion. It is never revoked.
    Completion,
}

/// Asks for ICE servers, with relay credentials for one member.
#[derive(Clone, Debug)]
pub struct Grant {
    pub(super) session: SessionId,
    /// For what.
    pub purpose: Purpose,
    /// The lobby's life.
    pub group: GroupId,
    /// The member.
    pub peer: PeerId,
    /// From where the member is seen.
    pub address: IpAddr,
    /// By which name it found the server.
    pub host: Arc<str>,
    /// How long the credentials are to last.
    pub lifetime: Duration,
}

/// What the owner of the machine is asked to do.
#[derive(Debug)]
pub enum Command {
    /// Close this socket, after what was sent to it.
    Close {
        /// Which.
        client: ClientId,
        /// Why.
        why: Close,
    },
    /// Ask this client's end of the socket, behind what was sent to it, to answer with this number (a WebSocket ping, RFC 6455
    /// 5.5.2), and call `handle_seen` when it does.
    Ping {
        /// Which.
        client: ClientId,
        /// The highest `seq` sent.
        seq: u64,
    },
    /// Hash this (Argon2) and call `handle_hashed`.
    Hash(HashJob),
    /// Make credentials and call `handle_granted`.
    Grant(Grant),
    /// This member's credentials, and what was allocated with them, end now.
    Revoke {
        /// The lobby's life.
        group: GroupId,
        /// The member.
        peer: PeerId,
    },
    /// All of this group's credentials end now.
    CloseGroup {
        /// The lobby's life.
        group: GroupId,
    },
}

/// Why a lobby is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClosedWhy {
    /// Everyone is linked, and has left with a ticket.
    Completed,
    /// The last member is gone.
    Empty,
    /// Its time was over.
    Expired,
}

/// An input that changes nothing, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Discard {
    /// From a socket that is being closed, or is unknown.
    NoClient,
    /// A frame whose `id` was handled before.
    Duplicate,
    /// A hash for an entrance that is no longer wanted.
    StaleHash,
    /// A grant for someone who is no longer there.
    StaleGrant,
    /// A report of a link, from a household that makes too many.
    Report,
}

/// A lobby's life, for the log: what an operator is asked about.
#[derive(Clone, Debug)]
pub struct Life {
    /// The application's name.
    pub app: AppName,
    /// The lobby's code.
    pub code: LobbyCode,
    /// Members that came in, the first among them.
    pub entered: u32,
    /// Links that both ends have reported, direct.
    pub direct: u32,
    /// The same, relayed.
    pub relayed: u32,
    /// Reports of links that failed, by their reason.
    pub failed: BTreeMap<Reason, u32>,
}

impl Life {
    /// Nobody is in yet.
    pub(super) fn new(app: AppName, code: LobbyCode) -> Self {
        Self { app, code, entered: 0, direct: 0, relayed: 0, failed: BTreeMap::new() }
    }

    /// One end has reported this of a link.
    pub(super) fn count(&mut self, event: &Event) {
        match event {
            Event::Linked { path: Path::Direct, both: true, .. } => self.direct += 1,
            Event::Linked { path: Path::Relayed, both: true, .. } => self.relayed += 1,
            Event::Failed(reason) => *self.failed.entry(*reason).or_default() += 1,
            _ => {}
        }
    }
}

/// What happened, for the log and the counters.
#[derive(Clone, Debug)]
pub enum Event {
    /// A new session.
    SessionOpened,
    /// A session came back on a new socket.
    SessionResumed,
    /// A session is gone.
    SessionEnded,
    /// A new lobby.
    LobbyOpened,
    /// A lobby is gone.
    LobbyClosed {
        /// Why.
        why: ClosedWhy,
        /// How long it was there.
        lived: Duration,
        /// What it was.
        life: Box<Life>,
    },
    /// One end reports a link.
    Linked {
        /// Direct or relayed.
        path: Path,
        /// Its own candidate.
        local: Option<Class>,
        /// The other's.
        remote: Option<Class>,
        /// From `link` to the first open channel.
        took: Duration,
        /// The other end has reported it before: the link is made.
        both: bool,
    },
    /// One end reports a failure.
    Failed(Reason),
    /// A request was refused.
    Refused(ErrorCode),
    /// An input changed nothing.
    Discarded(Discard),
    /// While shutting down: the last socket is gone.
    Drained,
}

/// What waits to be polled.
#[derive(Default)]
pub(super) struct Outbox {
    pub transmits: VecDeque<(ClientId, Arc<str>)>,
    pub commands: VecDeque<Command>,
    pub events: VecDeque<Event>,
}

impl Outbox {
    pub fn event(&mut self, event: Event) {
        self.events.push_back(event);
    }

    pub fn discard(&mut self, why: Discard) {
        self.event(Event::Discarded(why));
    }
}
