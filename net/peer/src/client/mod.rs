//! Our side of the server: connect, then create, join, or look around.

mod enter;
mod options;
mod room;
mod socket;
mod task;
mod url;
mod words;

use std::fmt;
use std::future::IntoFuture;
use std::net::IpAddr;
use std::sync::Arc;

use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use tokio::sync::mpsc;
use twocan_lobby::PeerId;
use twocan_lobby::client::{RoomId, SocketId};
use twocan_lobby::wire::{CodeKind, Sort};

pub use enter::{Create, Join, Lobbies, Quick};
pub use options::Connect;

use crate::connection::{ConnectionState, FailReason, PathInfo, Signal};
use crate::driver::interfaces::Found;
use crate::error::Error;
use crate::list::LobbyList;
use crate::lobby::Lobby;
use crate::peer::Peer;
use crate::pending::{Answer, Pending};

/// A session at the server, while one is needed. It holds at most one lobby at a time; when that completes, the next call
/// opens the next session.
///
/// ```no_run
/// # async fn example() -> Result<(), twocan::Error> {
/// use twocan::Client;
///
/// let net = Client::connect("wss://play.example").app("chess").await?;
/// let lobby = net.create().public(true).size(2).await?;
/// println!("the others join with {}", lobby.code());
/// # Ok(())
/// # }
/// ```
///
/// Cloning gives another handle of the same session. When the last handle, lobby and list is dropped, the session ends.
#[derive(Clone)]
pub struct Client {
    asks: mpsc::UnboundedSender<Ask>,
}

impl Client {
    /// The way to a server: `wss://host`, `https://host`, `ws://…` or `http://…`. Options follow; awaiting it connects.
    pub fn connect(url: impl Into<String>) -> Connect {
        Connect::new(url.into())
    }

    /// Opens a lobby; we own it.
    pub fn create(&self) -> Create {
        Create::new(self.asks.clone())
    }

    /// Enters a lobby by its code, read without regard to case. Refused with `not-found` also where the password is wrong.
    pub fn join(&self, code: impl Into<String>) -> Join {
        Join::new(self.asks.clone(), code.into())
    }

    /// Enters the fullest open public lobby whose data has equal values under the keys of this object, or opens one.
    pub fn quick(&self, filter: impl Serialize) -> Quick {
        Quick::new(self.asks.clone(), raw(&filter))
    }

    /// Comes back to a seat by its ticket ([`Lobby::ticket`]), in another run of this program: under the same name, and linked again with whoever is
    /// there. A lobby that is gone is opened again, under its code where that is free; of one that was completed, its members are met at the server.
    ///
    /// # Errors
    /// Refused with `bad-ticket` (not one, or too old), `kicked`, or as [`Client::join`] is where the seat is no longer free.
    pub fn rejoin(&self, ticket: impl Into<String>) -> Pending<Lobby> {
        let (answer, pending) = Pending::new();
        // Where nobody is left to answer, `answer` is dropped, which says `Closed`.
        let _ = self.asks.send(Ask::Rejoin { ticket: ticket.into(), answer });
        pending
    }

    /// The public lobbies, live.
    pub fn lobbies(&self) -> Lobbies {
        Lobbies::new(self.asks.clone())
    }

    /// Leaves the lobby if it is not complete, and the server. Links of a completed lobby stay.
    ///
    /// The answer comes when all goodbyes are said, at most 2.5 s later: a program that ends before leaves the others wondering for half a
    /// minute.
    pub fn close(&self) -> Pending<()> {
        let (answer, pending) = Pending::new();
        // Where nobody is left to hear it, it is closed.
        let _ = self.asks.send(Ask::Close(answer));
        pending
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Client").finish_non_exhaustive()
    }
}

/// A value as the JSON text that the server passes on: an object.
pub(crate) fn raw(value: &impl Serialize) -> Result<Box<RawValue>, Error> {
    let raw = to_raw_value(value).map_err(|_| Error::BadValue { what: "this cannot be written as JSON" })?;
    if raw.get().starts_with('{') {
        Ok(raw)
    } else {
        Err(Error::BadValue { what: "this must be a JSON object" })
    }
}

/// What is asked of the task.
#[derive(Debug)]
pub(crate) enum Ask {
    Create {
        public: bool,
        size: Option<i64>,
        password: Option<String>,
        code: Option<CodeKind>,
        data: Object,
        me: Object,
        answer: Answer<Lobby>,
    },
    Join {
        code: String,
        password: Option<String>,
        me: Object,
        answer: Answer<Lobby>,
    },
    Rejoin {
        ticket: String,
        answer: Answer<Lobby>,
    },
    Quick {
        filter: Object,
        size: Option<i64>,
        data: Object,
        me: Object,
        answer: Answer<Lobby>,
    },
    Watch {
        filter: Object,
        sort: Sort,
        skip: u16,
        answer: Answer<LobbyList>,
    },
    /// The list of this number is not looked at any more.
    Unwatch(u64),
    Room(RoomId, RoomAsk, Answer<()>),
    Retry(RoomId, PeerId),
    CloseLink(RoomId, PeerId),
    Close(Answer<()>),
}

/// A JSON object, as text.
pub(crate) type Object = Option<Box<RawValue>>;

/// What is asked of a lobby.
#[derive(Debug)]
pub(crate) enum RoomAsk {
    Start,
    Leave,
    Me(Box<RawValue>),
    Kick { peer: PeerId, ban: bool },
    Update { data: Object, public: Option<bool>, locked: Option<bool> },
}

/// What comes to the task from its sockets and links.
pub(crate) enum Input {
    Socket(SocketId, SocketEvent),
    /// From the task of this handle's link.
    Link(RoomId, Peer, Report),
    /// The machine has these addresses now.
    Network(Arc<[Found]>),
}

pub(crate) enum SocketEvent {
    /// From this address of ours.
    Open(Option<IpAddr>),
    Text(String),
    Closed {
        code: u16,
        why: String,
    },
}

/// What a link tells.
pub(crate) enum Report {
    Signal(Signal),
    State(ConnectionState),
    Path(PathInfo),
    Open,
    Failed(FailReason),
    Control(String),
    /// The other side is gone.
    Gone,
    /// This link can never work.
    Unfit,
}

/// Waits for anything in this crate, from a thread that is not `async`.
pub fn block_on<T>(request: impl IntoFuture<Output = T>) -> T {
    crate::runtime::handle().block_on(request.into_future())
}
