//! A data channel: a handle that sends, and receives where it was asked to.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::Notify;
use twocan_rtc::transport::{ChannelId, ChannelInit};

use super::{Message, SendError};
use crate::driver::{Command, Queue, Shared, message_weight};

/// Bytes that may wait in one channel before [`Channel::send`] waits too (the SDK's figure).
pub const WATERMARK: usize = 256 * 1024;

/// A data channel of a [`Connection`](super::Connection). Cloning gives another handle of the same channel.
///
/// Dropping handles does not close the channel: [`close`](Self::close) does, and the end of the connection.
#[derive(Clone)]
pub struct Channel {
    pub(crate) line: Arc<Line>,
    pub(crate) shared: Arc<Shared>,
}

/// What a channel's handles share with the task.
pub(crate) struct Line {
    pub(crate) init: ChannelInit,
    pub(crate) id: OnceLock<ChannelId>,
    /// Bytes taken from the program that are not yet on their way.
    buffered: AtomicUsize,
    room: Notify,
    is_closed: AtomicBool,
    /// Received messages, where each channel is read for itself.
    pub(crate) received: Queue<Message>,
}

impl Line {
    pub(crate) fn new(init: ChannelInit) -> Arc<Self> {
        Arc::new(Self {
            init,
            id: OnceLock::new(),
            buffered: AtomicUsize::new(0),
            room: Notify::new(),
            is_closed: AtomicBool::new(false),
            received: Queue::new(),
        })
    }

    /// Takes room for a message, unless as much waits as may.
    fn reserve(&self, bytes: usize) -> bool {
        let take = |buffered: usize| (buffered < WATERMARK).then_some(buffered + bytes);
        self.buffered.fetch_update(Ordering::AcqRel, Ordering::Acquire, take).is_ok()
    }

    /// `bytes` are on their way, or never will be.
    pub(crate) fn release(&self, bytes: usize) {
        let before = self.buffered.fetch_sub(bytes, Ordering::AcqRel);
        if before >= WATERMARK && before - bytes < WATERMARK {
            self.room.notify_waiters();
        }
    }

    /// Nothing more is sent or received.
    pub(crate) fn close(&self) {
        self.is_closed.store(true, Ordering::Release);
        self.room.notify_waiters();
        self.received.close();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.is_closed.load(Ordering::Acquire)
    }
}

impl Channel {
    /// How it was opened.
    pub fn init(&self) -> &ChannelInit {
        &self.line.init
    }

    /// The name that both sides see.
    pub fn label(&self) -> &str {
        &self.line.init.label
    }

    /// Its number in [`Stats`](super::Stats); `None` until the task has taken it up.
    pub fn id(&self) -> Option<ChannelId> {
        self.line.id.get().copied()
    }

    /// Bytes that wait to be sent; those under way do not count.
    pub fn buffered_amount(&self) -> usize {
        self.line.buffered.load(Ordering::Acquire)
    }

    /// Whether the channel is closed, or closing.
    pub fn is_closed(&self) -> bool {
        self.line.is_closed()
    }

    /// Sends a message; before that, waits until fewer than [`WATERMARK`] bytes wait. A channel that is not open yet takes
    /// messages too: they go out once it is.
    ///
    /// Nothing is sent if this future is dropped before it is ready.
    ///
    /// # Errors
    /// [`SendError::Closed`] and [`SendError::TooLarge`].
    pub async fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let mut message = message.into();
        loop {
            let room = self.line.room.notified();
            match self.offer(message) {
                Ok(sent) => return sent,
                Err(back) => message = back,
            }
            room.await;
        }
    }

    /// Sends a message, if fewer than [`WATERMARK`] bytes wait.
    ///
    /// # Errors
    /// All of [`SendError`].
    pub fn try_send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.offer(message.into()).unwrap_or(Err(SendError::Full))
    }

    /// `Err`: there is no room yet.
    fn offer(&self, message: Message) -> Result<Result<(), SendError>, Message> {
        let max = self.shared.max_message_size();
        if self.line.is_closed() {
            return Ok(Err(SendError::Closed));
        }
        if message.bytes.len() > max {
            return Ok(Err(SendError::TooLarge { max }));
        }
        if !self.line.reserve(message.bytes.len()) {
            return Err(message);
        }
        let command = Command::Send { line: self.line.clone(), message };
        Ok(self.shared.commands.push(command).map_err(|_| SendError::Closed))
    }

    /// The next message, with [`Receive::Channels`](super::Receive::Channels). `None`: the channel is closed, and all is read; at
    /// once, where messages come as events.
    pub async fn recv(&self) -> Option<Message> {
        poll_fn(|context| self.line.received.poll_pop(context))
            .await
            .inspect(|message| self.received(message))
    }

    /// The next message, if one waits, with [`Receive::Channels`](super::Receive::Channels).
    pub fn try_recv(&self) -> Option<Message> {
        self.line.received.try_pop().inspect(|message| self.received(message))
    }

    fn received(&self, message: &Message) {
        self.shared.unread.release(message_weight(message));
    }

    /// Closes the channel: what was sent before still goes out.
    pub fn close(&self) {
        self.line.is_closed.store(true, Ordering::Release);
        self.line.room.notify_waiters();
        let _ = self.shared.commands.push(Command::CloseChannel(self.line.clone()));
    }
}

impl PartialEq for Channel {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.line, &other.line)
    }
}

impl Eq for Channel {}

impl fmt::Debug for Channel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Channel").field(&self.label()).finish()
    }
}
