//! The other end of a link: a handle that sends.

use std::fmt;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, mpsc, oneshot};
use twocan_lobby::PeerId;
use twocan_lobby::client::RoomId;

use crate::client::Ask;
use crate::connection::{Channel, Kind, Message, Path, Protocol, SendError, WATERMARK};
use crate::data::Data;
use crate::error::Error;
use crate::event::PeerState;
use crate::framing::{Encoded, MESSAGE_BYTES_MAX, PIECE_BYTES_MAX, encode};
use crate::link::ToLink;

/// A link's figures.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Whether a relay stands in between; `None` until a way is found.
    pub path: Option<Path>,
    /// Kind of our own address.
    pub local: Option<Kind>,
    /// Kind of the other's address.
    pub remote: Option<Kind>,
    /// Between the two candidates.
    pub protocol: Option<Protocol>,
    /// Between us and our relay, where our end is relayed.
    pub relay_protocol: Option<Protocol>,
    /// Round trip, as last measured by ICE.
    pub rtt: Option<Duration>,
    /// Bytes of messages and their headers, over all channels.
    pub bytes_sent: u64,
    /// Bytes of messages and their headers, over all channels.
    pub bytes_received: u64,
    /// Pieces that could not be read, since the start.
    pub discarded: u64,
}

/// The other end of a link. Cloning gives another handle of the same link.
///
/// ```no_run
/// # async fn example(peer: twocan::Peer) -> Result<(), twocan::Error> {
/// peer.send("reliable", "hello").await?;             // waits where too much is under way
/// let _ = peer.try_send("unreliable", [1, 2, 3]);    // never waits: for a game loop
/// println!("{:?}", peer.stats().await?.rtt);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Peer(Arc<Inner>);

struct Inner {
    id: PeerId,
    me: Value,
    room: RoomId,
    state: AtomicU8,
    took: OnceLock<Duration>,
    outlets: Vec<Outlet>,
    link: mpsc::UnboundedSender<ToLink>,
    asks: mpsc::WeakUnboundedSender<Ask>,
    runtime: Handle,
}

/// One channel, to send on.
pub(crate) struct Outlet {
    pub name: Arc<str>,
    pub channel: Channel,
    /// Ordered and reliable: messages may have more than one piece.
    pub joins: bool,
    /// Whoever holds it sends: pieces of two messages do not mix.
    turn: Arc<Mutex<()>>,
}

impl Outlet {
    pub fn new(name: Arc<str>, channel: Channel, joins: bool) -> Self {
        Self { name, channel, joins, turn: Arc::default() }
    }

    fn piece_max(&self) -> usize {
        piece_max(self.channel.shared.max_message_size())
    }

    fn admit(&self, message: &Encoded) -> Result<usize, Error> {
        let piece_max = self.piece_max();
        let max = if self.joins { MESSAGE_BYTES_MAX } else { piece_max };
        if message.len() > max { Err(Error::TooLarge { max }) } else { Ok(piece_max) }
    }
}

/// Content bytes of one piece, for a peer that takes messages of so many bytes.
pub(crate) fn piece_max(message_max: usize) -> usize {
    message_max.saturating_sub(1).clamp(1, PIECE_BYTES_MAX)
}

async fn send_all(channel: Channel, message: Encoded, piece_max: usize) -> Result<(), SendError> {
    for piece in message.pieces(piece_max) {
        channel.send(Message::binary(piece)).await?;
    }
    Ok(())
}

impl From<SendError> for Error {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed => Self::LinkClosed,
            SendError::TooLarge { max } => Self::TooLarge { max: max.saturating_sub(1) },
            SendError::Full => Self::Backlog,
        }
    }
}

impl Peer {
    pub(crate) fn new(
        (room, id): (RoomId, PeerId),
        me: Value,
        outlets: Vec<Outlet>,
        link: mpsc::UnboundedSender<ToLink>,
        asks: mpsc::WeakUnboundedSender<Ask>,
    ) -> Self {
        let (state, took) = (AtomicU8::new(PeerState::Connecting as u8), OnceLock::new());
        let runtime = Handle::current();
        Self(Arc::new(Inner { id, me, room, state, took, outlets, link, asks, runtime }))
    }

    pub(crate) fn become_state(&self, state: PeerState, took: Option<Duration>) {
        self.0.state.store(state as u8, Ordering::Release);
        if let Some(took) = took {
            let _ = self.0.took.set(took);
        }
    }

    pub(crate) fn tell(&self, what: ToLink) {
        // A link that has ended needs to be told nothing.
        let _ = self.0.link.send(what);
    }

    /// Waits until the link has ended.
    pub(crate) async fn closed(&self) {
        self.0.link.closed().await;
    }

    /// Its name.
    #[must_use]
    pub fn id(&self) -> PeerId {
        self.0.id
    }

    /// What it says of itself: a JSON object.
    #[must_use]
    pub fn me(&self) -> &Value {
        &self.0.me
    }

    /// Where the link stands.
    #[must_use]
    pub fn state(&self) -> PeerState {
        let state = self.0.state.load(Ordering::Acquire);
        let all = [PeerState::Connecting, PeerState::Open, PeerState::Mending, PeerState::Failed];
        all.into_iter().find(|each| *each as u8 == state).unwrap_or(PeerState::Closed)
    }

    /// Messages can be sent: the link is up, or is being mended, and then they wait for that.
    #[must_use]
    pub fn is_up(&self) -> bool {
        matches!(self.state(), PeerState::Open | PeerState::Mending)
    }

    /// Milliseconds from the beginning to the first open channel; `None` before.
    #[must_use]
    pub fn connect_ms(&self) -> Option<u64> {
        self.0.took.get().map(|took| took.as_millis() as u64)
    }

    /// Sends a message; waits while as much is under way as may be (256 KiB in a channel). Messages on one channel arrive
    /// in the order of these calls.
    ///
    /// A message of one piece (65,535 bytes) is not sent if this future is dropped before it is ready; a longer one that
    /// has begun goes out to its end.
    ///
    /// # Errors
    /// [`Error::NoChannel`], [`Error::TooLarge`], [`Error::LinkClosed`].
    pub async fn send(&self, channel: &str, data: impl Into<Data>) -> Result<(), Error> {
        self.send_encoded(channel, encode(data.into())).await
    }

    pub(crate) async fn send_encoded(&self, channel: &str, message: Encoded) -> Result<(), Error> {
        let outlet = self.outlet(channel)?;
        let piece_max = outlet.admit(&message)?;
        let turn = outlet.turn.clone().lock_owned().await;
        if message.len() <= piece_max {
            return Ok(send_all(outlet.channel.clone(), message, piece_max).await?);
        }
        // In a task of its own: half a message must not be what remains of a future that is dropped.
        let channel = outlet.channel.clone();
        let sending = self.0.runtime.spawn(async move {
            let _turn = turn;
            send_all(channel, message, piece_max).await
        });
        Ok(sending.await.unwrap_or(Err(SendError::Closed))?)
    }

    /// Sends a message if there is room for it now: never waits.
    ///
    /// # Errors
    /// [`Error::Backlog`] where as much is under way as may be, and those of [`send`](Self::send).
    pub fn try_send(&self, channel: &str, data: impl Into<Data>) -> Result<(), Error> {
        let outlet = self.outlet(channel)?;
        let message = encode(data.into());
        let piece_max = outlet.admit(&message)?;
        let turn = outlet.turn.clone().try_lock_owned().map_err(|_| Error::Backlog)?;
        if message.len() <= piece_max {
            for piece in message.pieces(piece_max) {
                outlet.channel.try_send(Message::binary(piece))?;
            }
            return Ok(());
        }
        if outlet.channel.is_closed() {
            return Err(Error::LinkClosed);
        }
        if outlet.channel.buffered_amount() >= WATERMARK {
            return Err(Error::Backlog);
        }
        let channel = outlet.channel.clone();
        self.0.runtime.spawn(async move {
            let _turn = turn;
            // Nobody hears of a link that is closed meanwhile but by its events.
            let _ = send_all(channel, message, piece_max).await;
        });
        Ok(())
    }

    /// The link's figures.
    ///
    /// # Errors
    /// [`Error::LinkClosed`].
    pub async fn stats(&self) -> Result<PeerStats, Error> {
        let (reply, stats) = oneshot::channel();
        self.tell(ToLink::Stats(reply));
        stats.await.map_err(|_| Error::LinkClosed)
    }

    /// Tries a failed link again.
    pub fn retry(&self) {
        self.ask(Ask::Retry(self.0.room, self.0.id));
    }

    /// Says goodbye and closes the link.
    pub fn close(&self) {
        self.ask(Ask::CloseLink(self.0.room, self.0.id));
    }

    fn ask(&self, ask: Ask) {
        if let Some(asks) = self.0.asks.upgrade() {
            // Where nobody is left to do it, the link is closed already.
            let _ = asks.send(ask);
        }
    }

    fn outlet(&self, name: &str) -> Result<&Outlet, Error> {
        let outlets = &self.0.outlets;
        if self.state() == PeerState::Closed {
            return Err(Error::LinkClosed);
        }
        outlets.iter().find(|outlet| *outlet.name == *name).ok_or(Error::NoChannel)
    }
}

impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Peer {}

impl fmt::Debug for Peer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Peer").field(&self.id()).field(&self.state()).finish()
    }
}
