//! The other end of a link: a handle that sends.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::{Mutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use twocan_lobby::PeerId;
use twocan_lobby::client::RoomId;

use crate::client::Ask;
use crate::connection::{Channel, CloseReason, Kind, Message, Path, Protocol, SendError, WATERMARK};
use crate::data::Data;
use crate::error::Error;
use crate::event::PeerState;
use crate::framing::{Encoded, PIECE_BYTES_MAX, encode, spoiling_piece};
use crate::link::ToLink;

/// From the first piece of a message to its last, or it is given up: in good time before the other side does
/// ([`WHOLE_WITHIN`](crate::framing::WHOLE_WITHIN)).
const SEND_WITHIN: Duration = Duration::from_secs(50);
/// A channel in which a message to all has waited so long is slow until nothing waits: sending to all does not wait for it.
const SLOW_AFTER: Duration = Duration::from_secs(10);
/// Each time that a channel is slow it is waited for half as long as the last time, down to a sixteenth.
const SLOW_HALVINGS: u32 = 4;
/// Bytes that wait for a slow channel; beyond, it gets no message to all.
const SLOW_BYTES_MAX: usize = 4 << 20;

/// A link's figures.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Whether a relay stands in between; `None` until a way is found.
    pub path: Option<Path>,
    /// How long data has gone by the pair of addresses that is in use.
    pub path_age: Option<Duration>,
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
    /// Pieces, messages and signals that could not be read, or were beyond a limit, since the start.
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
    /// Content bytes of one message.
    max: usize,
    /// Whoever holds it sends: pieces of two messages do not mix.
    turn: Arc<Mutex<()>>,
    /// Bytes of messages of several pieces that may be begun and not at their end, over all channels of the link.
    underway: Arc<Semaphore>,
    slow: Arc<Slow>,
}

/// What becomes of messages to all in a channel that does not keep up.
#[derive(Default)]
struct Slow {
    is_slow: AtomicBool,
    /// How often it was.
    times: AtomicU32,
    /// Bytes that wait for it, and that nobody waits for.
    waiting: AtomicUsize,
}

/// What a message of several pieces holds while it is sent.
type Turn = (OwnedMutexGuard<()>, OwnedSemaphorePermit);

impl Outlet {
    pub fn new(name: Arc<str>, channel: Channel, joins: bool, max: usize, underway: Arc<Semaphore>) -> Self {
        Self { name, channel, joins, max, turn: Arc::default(), underway, slow: Arc::default() }
    }

    fn piece_max(&self) -> usize {
        piece_max(self.channel.shared.max_message_size())
    }

    fn admit(&self, message: &Encoded) -> Result<usize, Error> {
        let piece_max = self.piece_max();
        let max = message.longest(self.max).min(if self.joins { usize::MAX } else { piece_max });
        if message.len() > max {
            return Err(Error::TooLarge { max });
        }
        if message.fits(self.max) { Ok(piece_max) } else { Err(Error::TooComplex) }
    }

    /// How many of [`underway`](Self::underway) a message takes: all, if it is as large as any.
    fn share(&self, message: &Encoded) -> u32 {
        u32::try_from(message.len().min(self.max)).unwrap_or(u32::MAX)
    }

    /// Whether messages to all are not waited for; no longer, once nothing waits.
    fn is_slow(&self) -> bool {
        let waits = self.channel.buffered_amount() > 0 || self.slow.waiting.load(Ordering::Acquire) > 0;
        if !waits {
            self.slow.is_slow.store(false, Ordering::Release);
        }
        self.slow.is_slow.load(Ordering::Acquire)
    }
}

impl Slow {
    fn patience(&self) -> Duration {
        SLOW_AFTER / (1 << self.times.load(Ordering::Acquire).min(SLOW_HALVINGS))
    }

    /// Takes room for a message that nobody waits for.
    fn reserve(&self, bytes: usize) -> bool {
        let take = |waiting: usize| (waiting + bytes <= SLOW_BYTES_MAX).then_some(waiting + bytes);
        self.waiting.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }
}

/// Content bytes of one piece, for a peer that takes messages of so many bytes.
pub(crate) fn piece_max(message_max: usize) -> usize {
    message_max.saturating_sub(1).clamp(1, PIECE_BYTES_MAX)
}

/// Sends a message of several pieces, and answers when it is out, or is not going to be.
async fn send_long(
    channel: Channel,
    message: Encoded,
    piece_max: usize,
    turn: Turn,
    answer: oneshot::Sender<Result<(), Error>>,
) {
    let mut pieces = message.pieces(piece_max).map(Message::binary);
    let begun = match pieces.next() {
        Some(first) => channel.send(first).await,
        None => Ok(()),
    };
    let rest = async {
        for piece in pieces {
            channel.send(piece).await?;
        }
        Ok(())
    };
    let sent = match begun {
        Ok(()) => tokio::time::timeout(SEND_WITHIN, rest).await,
        Err(error) => Ok(Err(error)),
    };
    // Nobody may be waiting for the answer any more.
    match sent {
        Ok(sent) => drop(answer.send(sent.map_err(Error::from))),
        Err(_) => {
            let _ = answer.send(Err(Error::TooSlow));
            // The other side drops it when it hears of its end.
            let _ = channel.send(Message::binary(spoiling_piece())).await;
        }
    }
    drop(turn);
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
    /// Why the connection below the link ended.
    pub(crate) fn close_reason(&self) -> Option<CloseReason> {
        self.0.outlets.first()?.channel.shared.close_reason()
    }

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
    /// [`Error::NoChannel`], [`Error::TooLarge`], [`Error::TooComplex`], [`Error::LinkClosed`]; [`Error::TooSlow`] where a message of
    /// several pieces was 50 s on its way: the other side gets nothing of it.
    pub async fn send(&self, channel: &str, data: impl Into<Data>) -> Result<(), Error> {
        self.send_encoded(channel, encode(data.into())).await
    }

    pub(crate) async fn send_encoded(&self, channel: &str, message: Encoded) -> Result<(), Error> {
        let outlet = self.outlet(channel)?;
        let piece_max = outlet.admit(&message)?;
        let turn = outlet.turn.clone().lock_owned().await;
        if message.len() <= piece_max {
            for piece in message.pieces(piece_max) {
                outlet.channel.send(Message::binary(piece)).await?;
            }
            return Ok(());
        }
        let share = outlet.underway.clone().acquire_many_owned(outlet.share(&message)).await;
        let turn = (turn, share.map_err(|_| Error::LinkClosed)?);
        let (answer, sent) = oneshot::channel();
        // In a task of its own: half a message must not be what remains of a future that is dropped.
        self.0.runtime.spawn(send_long(outlet.channel.clone(), message, piece_max, turn, answer));
        sent.await.unwrap_or(Err(Error::LinkClosed))
    }

    /// Sends a message that goes to others, too, and does not wait for a channel that is slow. `false`: too much waits for that
    /// already, and this was not sent.
    pub(crate) async fn send_patiently(&self, channel: &str, message: Encoded) -> Result<bool, Error> {
        let outlet = self.outlet(channel)?;
        outlet.admit(&message)?;
        let (peer, name, bytes) = (self.clone(), outlet.name.clone(), message.len());
        let mut sending: Pin<Box<dyn Future<Output = Result<(), Error>> + Send>> =
            Box::pin(async move { peer.send_encoded(&name, message).await });
        if !outlet.is_slow() {
            if let Ok(sent) = tokio::time::timeout(outlet.slow.patience(), &mut sending).await {
                return sent.map(|()| true);
            }
            outlet.slow.times.fetch_add(1, Ordering::AcqRel);
            outlet.slow.is_slow.store(true, Ordering::Release);
        }
        if !outlet.slow.reserve(bytes) {
            return Ok(false);
        }
        let slow = outlet.slow.clone();
        // It takes its place behind what waits, before it is left to a task.
        let look = poll_fn(|context| Poll::Ready(sending.as_mut().poll(context)));
        if let Poll::Ready(sent) = look.await {
            slow.waiting.fetch_sub(bytes, Ordering::AcqRel);
            return sent.map(|()| true);
        }
        self.0.runtime.spawn(async move {
            // Nobody hears of a link that is closed meanwhile but by its events.
            let _ = sending.await;
            slow.waiting.fetch_sub(bytes, Ordering::AcqRel);
        });
        Ok(true)
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
        let share = outlet.underway.clone().try_acquire_many_owned(outlet.share(&message));
        let turn = (turn, share.map_err(|_| Error::Backlog)?);
        // Nobody hears of a link that is closed meanwhile but by its events.
        let (answer, _) = oneshot::channel();
        self.0.runtime.spawn(send_long(outlet.channel.clone(), message, piece_max, turn, answer));
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

#[cfg(test)]
mod tests;
