//! One direct connection, with a signaling of your own.
//!
//! A [`Connection`] finds the way to one other side, secures it, and carries messages over [`Channel`]s. It needs somebody
//! who carries its [`Signal`]s to the other side, whatever that is: a lobby (as [`Client`](crate::Client) does), a chat, a
//! sheet of paper. It speaks WebRTC, so the other side may as well be a browser's `RTCPeerConnection`.
//!
//! ```
//! use twocan::connection::{ChannelInit, Connection, ConnectionConfig, ConnectionEvent};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let mut ada = Connection::new(ConnectionConfig { loopback: true, ..Default::default() })?;
//! let mut bob = Connection::new(ConnectionConfig { loopback: true, polite: true, ..Default::default() })?;
//!
//! let chat = ada.open_channel(ChannelInit::new("chat"));
//! chat.send("Hello, Bob!").await?; // Goes out once the channel is open.
//! ada.negotiate();
//!
//! loop {
//!     tokio::select! {
//!         Some(event) = ada.next() => if let ConnectionEvent::Signal(signal) = event {
//!             bob.signal(signal);
//!         },
//!         Some(event) = bob.next() => match event {
//!             ConnectionEvent::Signal(signal) => ada.signal(signal),
//!             ConnectionEvent::Message { channel, message } => {
//!                 assert_eq!((channel.label(), message.as_text()?), ("chat", "Hello, Bob!"));
//!                 break;
//!             }
//!             _ => {}
//!         },
//!     }
//! }
//! ada.close().await;
//! # Ok(())
//! # }
//! ```
//!
//! Each connection is a task of the runtime in which it was made. Between that task and the program there are two queues:
//! nothing here blocks, and nothing is lost by dropping a future. A program without `async` asks
//! [`Connection::poll_event`] once a frame, and sends with [`Channel::try_send`].

mod channel;
mod config;
mod error;
mod event;
mod roots;

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub use channel::{Channel, WATERMARK};
pub use config::{Addresses, ConnectionConfig, Receive};
pub use error::{Closed, ConnectionError, SendError};
pub use event::{ConnectionEvent, Message};
pub use roots::{Roots, RootsError};
pub use twocan_ice::{Kind, Report, Verdict};
pub use twocan_rtc::gather::{IceServer, IceUrl, Scheme, TransportPolicy, UrlError, UrlTransport};
pub use twocan_rtc::sdp::{Description, Kind as DescriptionKind};
pub use twocan_rtc::transport::{
    Alert, Certificate, ChannelId, ChannelInit, CloseReason, Misuse, Payload, Refusal, Reliability,
};
pub use twocan_rtc::{
    CandidateInit, ConnectionState, FailReason, Path, PathInfo, Protocol, Signal, SignalError, Stats,
};

pub(crate) use channel::Line;

use crate::driver::{self, Command, Shared};

/// Bytes of received messages that may wait for the program. Past that the other side is told to wait.
pub const UNREAD_MAX: usize = 1 << 20;

/// A direct connection to one other side. See the [module](self) for an example.
///
/// Dropping it closes it; its channels are closed then, too.
pub struct Connection {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Connection {
    /// A connection that does nothing yet but gather its addresses: open channels, then [`negotiate`](Self::negotiate), or
    /// wait for the other side's offer.
    ///
    /// # Errors
    /// Not within a tokio runtime, or the system does not say which addresses it has.
    pub fn new(config: ConnectionConfig) -> Result<Self, ConnectionError> {
        let runtime = Handle::try_current().map_err(|_| ConnectionError::NoRuntime)?;
        let shared = Arc::new(Shared::new());
        let driver = driver::Driver::new(config, shared.clone()).map_err(ConnectionError::Addresses)?;
        Ok(Self { task: runtime.spawn(driver), shared })
    }

    /// Makes the first offer. Only one of the two sides should; if both do, the polite one yields, or one of the two where both say the same.
    pub fn negotiate(&self) {
        self.command(Command::Negotiate);
    }

    /// Takes a signal of the other side, in the order in which they were sent.
    pub fn signal(&self, signal: Signal) {
        self.command(Command::Signal(signal));
    }

    /// The next event; `None` after [`ConnectionEvent::Closed`]. Where nobody asks, the other side is made to wait.
    pub async fn next(&mut self) -> Option<ConnectionEvent> {
        poll_fn(|context| self.shared.events.poll_pop(context))
            .await
            .inspect(|event| self.shared.taken(event))
    }

    /// The next event that need not wait for the messages before it: for whoever has no room for messages now.
    pub(crate) async fn next_news(&mut self) -> ConnectionEvent {
        let event =
            poll_fn(|context| self.shared.events.poll_pop_where(ConnectionEvent::is_news, context)).await;
        self.shared.taken(&event);
        event
    }

    /// The next event, if one waits: for programs that look once a frame.
    pub fn poll_event(&mut self) -> Option<ConnectionEvent> {
        self.shared.events.try_pop().inspect(|event| self.shared.taken(event))
    }

    /// Opens a channel. It can be sent on at once, and [`ConnectionEvent::ChannelOpen`] or
    /// [`ConnectionEvent::ChannelClosed`] says what became of it.
    pub fn open_channel(&self, init: ChannelInit) -> Channel {
        let channel = Channel { line: Line::new(init), shared: self.shared.clone() };
        if self.shared.commands.push(Command::OpenChannel(channel.line.clone())).is_err() {
            channel.line.close();
        }
        channel
    }

    /// The largest message that the other side takes, bytes. Until it has said so: what we would take.
    pub fn max_message_size(&self) -> usize {
        self.shared.max_message_size()
    }

    /// Why the connection failed, where [`ConnectionEvent::Failed`] says `DtlsFailed`: what did not fit, or which alert came. `None`: it
    /// has not failed, or time ran out.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.shared.close_reason()
    }

    /// Servers to be asked from now on, such as come with new credentials.
    pub fn set_servers(&self, servers: Vec<IceServer>) {
        self.command(Command::SetServers(servers));
    }

    /// How long a packet and its answer take, as far as known before any was sent, such as by way of the signaling: the first
    /// retransmissions follow it.
    pub fn set_rtt_hint(&self, rtt: Duration) {
        self.command(Command::SetRttHint(rtt));
    }

    /// Whether signals reach the other side at this moment: if not, a failure is put down to that.
    pub fn set_signaling(&self, is_up: bool) {
        self.command(Command::SetSignaling(is_up));
    }

    /// Looks for a way anew. Data flows on over the old one until there is a new one. Lost ways are mended without this.
    pub fn restart_ice(&self) {
        self.command(Command::RestartIce);
    }

    /// Figures.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn stats(&self) -> Result<Stats, Closed> {
        let (reply, stats) = oneshot::channel();
        self.command(Command::Stats(reply));
        stats.await.map_err(|_| Closed)
    }

    /// What ICE tried, pair by pair; `None` before anything was negotiated.
    ///
    /// # Errors
    /// The connection is closed.
    pub async fn report(&self) -> Result<Option<Report>, Closed> {
        let (reply, report) = oneshot::channel();
        self.command(Command::Report(reply));
        report.await.map_err(|_| Closed)
    }

    /// Ends the connection in good order, and waits until that is done: the other side is told, relays are given back.
    /// Takes two seconds at most, where nobody answers. The last events can still be read.
    pub async fn close(&mut self) {
        self.command(Command::Close);
        if !self.task.is_finished() {
            // A task that was cancelled with its runtime is gone as well.
            let _ = (&mut self.task).await;
        }
    }

    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    fn command(&self, command: Command) {
        // A closed connection does nothing: its last event said so.
        let _ = self.shared.commands.push(command);
    }
}

impl futures_util::Stream for Connection {
    type Item = ConnectionEvent;

    fn poll_next(
        self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<ConnectionEvent>> {
        let polled = self.shared.events.poll_pop(context);
        if let std::task::Poll::Ready(Some(event)) = &polled {
            self.shared.taken(event);
        }
        polled
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.command(Command::Close);
        // Nobody reads any more.
        self.shared.abandon();
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Connection").field("closed", &self.task.is_finished()).finish()
    }
}
