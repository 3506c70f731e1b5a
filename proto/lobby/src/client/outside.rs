//! What goes in and out of the client: names of its sockets, lobbies and requests, inputs, commands, events.

use std::time::Duration;

use serde_json::Value;

use crate::wire::names::{LobbyCode, PeerId};
use crate::wire::{Class, ErrorCode, IceServer, Kind, LeftWhy, Path, Reason};

/// One socket to the server, as the client numbers them. Each is used once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub(super) u32);

/// One lobby that was entered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoomId(pub(super) u32);

/// One request; exactly one [`Event::Reply`] carries it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(super) u64);

/// A member of a lobby.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Public name.
    pub peer: PeerId,
    /// What the member says of itself: a JSON object.
    pub me: Value,
    /// Its device sleeps, has no network, or its program begins anew; its seat waits.
    pub away: bool,
}

/// A lobby as its members see it.
#[derive(Clone, Debug, PartialEq)]
pub struct Snapshot {
    /// What leads here.
    pub code: LobbyCode,
    /// Shown in the list.
    pub public: bool,
    /// A password is asked.
    pub password: bool,
    /// Newcomers are kept out.
    pub locked: bool,
    /// Nobody comes in any more: it is about to complete.
    pub sealed: bool,
    /// Seats.
    pub size: usize,
    /// The owner's name.
    pub owner: PeerId,
    /// The lobby's own data: a JSON object.
    pub data: Value,
    /// Everyone, in the order of arrival.
    pub members: Vec<Member>,
}

/// One row of the list of public lobbies.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// What leads there.
    pub code: LobbyCode,
    /// A password is asked.
    pub password: bool,
    /// Newcomers are kept out.
    pub locked: bool,
    /// Seats.
    pub size: usize,
    /// Seats taken.
    pub members: usize,
    /// The lobby's own data: a JSON object.
    pub data: Value,
}

/// Why a request came to nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// The server's word.
    #[error("{}", code.sentence())]
    Refused {
        /// Why.
        code: ErrorCode,
        /// Seconds after which to try again, with `rate-limited`.
        retry: Option<u64>,
    },
    /// No socket to the server could be opened.
    #[error("the server cannot be reached")]
    Unreachable,
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
    /// More than a frame to the server holds.
    #[error("this is too large for the server")]
    TooLarge,
    /// Too many frames wait for the server.
    #[error("too much waits for the server")]
    Backlog,
}

impl Failure {
    /// The stable word, as in the SDK for pages.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Refused { code, .. } => code.as_str(),
            Self::Unreachable => "unreachable",
            Self::ServerFull => "server-full",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::SessionLost => "session-lost",
            Self::Unsealed => "unsealed",
            Self::TooLarge => "bad-value",
            Self::Backlog => "backlog",
        }
    }
}

/// Bad or unneeded input, dropped and counted under its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Discard {
    /// From a socket that was given up.
    OldSocket,
    /// Not a frame of the protocol.
    Unreadable,
    /// A `type` that this side does not know.
    UnknownType,
    /// Seen before.
    Duplicate,
    /// Frames before it are missing; the session is resumed.
    Gap,
    /// Before the welcome, or a second one.
    OutOfTurn,
    /// About a lobby or a peer that is not there.
    NobodyThere,
    /// A control message that is none.
    NotControl,
    /// A note for which the outbox had no room.
    OutboxFull,
}

/// What a request brought.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// It is done.
    Done,
    /// A lobby is entered: it has this name, and we have this one.
    Entered {
        /// For everything that concerns the lobby.
        room: RoomId,
        /// Our own name in there.
        me: PeerId,
        /// As it stands.
        lobby: Snapshot,
        /// The way back to our seat.
        ticket: Option<String>,
        /// It has completed, and is only returned to.
        is_complete: bool,
    },
    /// The list follows with [`Event::List`].
    Watching {
        /// How many there were in all.
        total: usize,
    },
}

/// What the owner of the client is to do, in this order.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Open a socket, with `?app=` and this in its address if there is any, which is the hello of a session that begins
    /// (docs/protocol.md §1.2); `handle_open` or `handle_closed` follows.
    Dial(SocketId, Option<String>),
    /// Close a socket, with this code if any; nothing more of it is heard.
    Hang(SocketId, Option<u16>),
    /// Something for a link.
    Link(RoomId, PeerId, LinkCommand),
}

/// What the owner of a link's connection is to do.
#[derive(Clone, Debug, PartialEq)]
pub enum LinkCommand {
    /// Make the connection with these servers, and the offer if `offers`.
    Connect {
        /// Ours is the offer.
        offers: bool,
        /// Ours yields when two offers cross.
        polite: bool,
        /// STUN and TURN servers that the server named.
        servers: Vec<IceServer>,
        /// What the other side says of itself.
        me: Value,
    },
    /// Use these servers from now on.
    Servers(Vec<IceServer>),
    /// Whether signals reach the other side at this moment.
    Signaling(bool),
    /// A signal of the other side: JSON text.
    Signal(Kind, Option<String>),
    /// Restart ICE with a new offer.
    Restart,
    /// Send this text, which is JSON, over the control channel.
    Control(String),
    /// Close it; `bye` says that the other side is to hear of it before.
    Close {
        /// Say goodbye first.
        bye: bool,
    },
}

/// What happens to a link's connection.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum LinkInput<'a> {
    /// A description of ours is to be sent.
    Description {
        /// It is an offer.
        offer: bool,
        /// JSON text.
        data: &'a str,
    },
    /// A candidate of ours is to be sent.
    Candidate {
        /// Its kind.
        class: Option<Class>,
        /// JSON text.
        data: &'a str,
    },
    /// There are no more candidates of ours.
    EndOfCandidates,
    /// Packets take this way.
    Path {
        /// Direct or relayed.
        path: Path,
        /// Kind of our address.
        local: Class,
        /// Kind of the other's address.
        remote: Class,
    },
    /// A channel is open.
    Open,
    /// A way is sought.
    Connecting,
    /// The connection is there, or there again.
    Connected,
    /// Nothing has come for a while; the connection sees to it.
    Disconnected,
    /// The connection has given up, until it is tried again.
    Failed(Reason),
    /// A JSON message on the control channel.
    Control(&'a str),
    /// The other side has closed the control channel.
    ControlClosed,
}

/// `Mending`: it was up, and is being restarted. `Failed`: given up, until it is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum LinkState {
    Connecting,
    Open,
    Mending,
    Failed,
    Closed,
}

/// Where a lobby stands: `Gone` after leaving, or after we were removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum RoomState {
    Open,
    Sealed,
    Complete,
    Gone,
}

/// Why we are out of a lobby.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OutWhy {
    /// By the owner's will.
    Kicked,
    /// The lobby has reached the end of its time.
    LobbyClosed,
    /// The server has forgotten us; links that are up stay up.
    SessionLost,
}

/// The way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerEvent {
    /// The socket was cut; the next attempt, counted from 1, starts after `wait`.
    Reconnecting {
        /// From 1.
        attempt: u32,
        /// From now.
        wait: Duration,
    },
    /// The server is back. `kept` says whether it still knew us.
    Resumed {
        /// The session is the same.
        kept: bool,
    },
    /// Back to the server by ticket, to mend a link.
    Returning,
    /// No socket to the server, and none is sought: 1000 after completion.
    Closed {
        /// The WebSocket close code.
        code: u16,
    },
}

/// What happened in a lobby.
#[derive(Clone, Debug, PartialEq)]
pub enum RoomEvent {
    /// Someone came in.
    Arrive(Member),
    /// Someone's device sleeps, has no network, or its program begins anew.
    Away(Member),
    /// Someone who was away is there again.
    Back(Member),
    /// Someone says something else of itself.
    Me(Member),
    /// Someone is gone.
    Leave(Member, LeftWhy),
    /// The lobby is this peer's now.
    Owner(PeerId),
    /// Data, visibility or lock are different now.
    Update(Snapshot),
    /// STUN and TURN servers that the server names; those before are no longer good.
    Servers(Vec<IceServer>),
    /// Where a link stands. The first `Open` carries the time it took.
    Link(PeerId, LinkState, Option<Duration>),
    /// A link did not come up, or could not be mended.
    Fail(PeerId, Reason),
    /// Nobody comes in any more; all pairs have this many seconds.
    Sealed(u64),
    /// Open again: these pairs did not link.
    Unsealed(Vec<[PeerId; 2]>),
    /// The way back to our seat is this one now.
    Ticket(String),
    /// Everyone is linked, and the server lets go.
    Complete,
    /// We are out.
    Removed(OutWhy),
    /// The way to the server.
    Server(ServerEvent),
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The one answer to a request.
    Reply(RequestId, Result<Outcome, Failure>),
    /// In a lobby.
    Room(RoomId, RoomEvent),
    /// The public lobbies are these now, newest first.
    List(Vec<Row>),
    /// No more changes to the list come.
    ListClosed,
    /// The way to the server, where no lobby hears of it.
    Server(ServerEvent),
}
