//! What happens in a lobby.

use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use twocan_lobby::PeerId;
use twocan_lobby::client;
pub use twocan_lobby::client::{LinkState as PeerState, OutWhy as RemovedWhy, RoomState as LobbyState};
pub use twocan_lobby::wire::LeftWhy;

use crate::connection::FailReason;
use crate::data::Data;
use crate::peer::Peer;

/// A member of a lobby.
#[derive(Clone, Debug, PartialEq)]
pub struct Member {
    /// Public name.
    pub peer: PeerId,
    /// What the member says of itself: a JSON object.
    pub me: Value,
    /// Its device sleeps or has no network, or its program is begun again: its seat waits.
    pub away: bool,
}

impl From<client::Member> for Member {
    fn from(member: client::Member) -> Self {
        Self { peer: member.peer, me: member.me, away: member.away }
    }
}

/// The way to the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ServerEvent {
    /// The socket was cut; the next attempt, counted from 1, starts after `wait`.
    Reconnecting {
        /// From 1.
        attempt: u32,
        /// From now.
        wait: Duration,
    },
    /// The server is back. Where it has forgotten us our seat is asked for again, and the lobby opened again if it is gone; where that is refused,
    /// [`LobbyEvent::Removed`] follows.
    Resumed {
        /// Whether it still knew us.
        kept: bool,
    },
    /// Back to the server for a while, to mend a link.
    Returning,
    /// No socket to the server, and none is sought: 1000 after completion.
    Closed {
        /// The WebSocket close code.
        code: u16,
    },
}

impl From<client::ServerEvent> for ServerEvent {
    fn from(event: client::ServerEvent) -> Self {
        match event {
            client::ServerEvent::Reconnecting { attempt, wait } => Self::Reconnecting { attempt, wait },
            client::ServerEvent::Resumed { kept } => Self::Resumed { kept },
            client::ServerEvent::Returning => Self::Returning,
            client::ServerEvent::Closed { code } => Self::Closed { code },
        }
    }
}

/// A link that did not come up, or could not be mended. [`Peer::retry`] tries again.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The other side.
    pub peer: Peer,
    /// For a program: `reason.word()`.
    pub reason: FailReason,
}

impl Failure {
    /// For a person: one sentence.
    #[must_use]
    pub fn message(&self) -> String {
        let sentence = self.reason.to_string();
        let detail =
            self.peer.close_reason().filter(|why| self.reason == FailReason::DtlsFailed && why.is_dtls());
        match detail {
            Some(why) => format!("{}: {why}.", sentence.trim_end_matches('.')),
            None => sentence,
        }
    }
}

/// What happened in a lobby.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum LobbyEvent {
    /// The link to this peer is up. A peer whose connection had to begin anew (a Firefox whose network changed) is told again, with another
    /// handle: what was under way by the one before, which is closed, is lost, as for whoever comes late.
    Peer(Peer),
    /// A message arrived.
    Message {
        /// From this peer.
        peer: Peer,
        /// On the channel of this name.
        channel: Arc<str>,
        /// What it says.
        data: Data,
    },
    /// A link did not come up, or could not be mended.
    Fail(Failure),
    /// A link has changed: it is being mended, is up again, is closed.
    State(Peer, PeerState),
    /// Someone came in. The link follows.
    Arrive(Member),
    /// Someone's device sleeps or has no network, or its program is begun again. The seat waits: ten minutes, or 20 s where a page was closed;
    /// after [`LobbyEvent::Complete`] a minute where a page was closed.
    Away(Member),
    /// Someone who was away is there again. Where it was begun again another link follows, with [`LobbyEvent::Peer`].
    Back(Member),
    /// Someone says something else of itself: [`Member::me`].
    Me(Member),
    /// Someone is gone. `Lost` means that the server has not heard of them, which says nothing about the link.
    Leave(Member, LeftWhy),
    /// The lobby belongs to this peer now.
    Owner(PeerId),
    /// The lobby's data, visibility or lock changed.
    Update,
    /// Nobody comes in any more; all pairs have this many seconds to link.
    Sealed {
        /// Seconds.
        within: u64,
    },
    /// Open again: these pairs did not link.
    Unsealed {
        /// Pairs of names.
        missing: Vec<[PeerId; 2]>,
    },
    /// Everyone is linked; the server lets go, and forgets the lobby. The links stay.
    Complete,
    /// We are out. With `SessionLost`, links that are up stay up.
    Removed(RemovedWhy),
    /// The way to the server.
    Server(ServerEvent),
}
