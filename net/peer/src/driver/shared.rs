//! What a connection's handles share with its task: two queues, and a few figures.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tokio::sync::oneshot;
use twocan_rtc::gather::IceServer;
use twocan_rtc::transport::limits::MESSAGE_LEN_MAX;
use twocan_rtc::{Signal, Stats};

use super::interfaces::Found;
use super::queue::{Budget, Queue};
use super::watch::Watching;
use crate::connection::{CloseReason, ConnectionEvent, Line, Message, Report, UNREAD_MAX};

/// What the task is asked to do.
pub enum Command {
    /// Make the first offer.
    Negotiate,
    /// From the other side.
    Signal(Signal),
    /// Other servers.
    SetServers(Vec<IceServer>),
    /// The round-trip time, as far as known.
    SetRttHint(Duration),
    /// Whether signals reach the other side.
    SetSignaling(bool),
    /// Look for a way anew.
    RestartIce,
    /// Open a channel.
    OpenChannel(Arc<Line>),
    /// Send a message, whose bytes the line has made room for.
    Send {
        /// On this channel.
        line: Arc<Line>,
        /// This.
        message: Message,
    },
    /// Close a channel.
    CloseChannel(Arc<Line>),
    /// Tell the figures.
    Stats(oneshot::Sender<Stats>),
    /// Tell what ICE tried.
    Report(oneshot::Sender<Option<Report>>),
    /// This machine has other addresses than before.
    Addresses(Arc<[Found]>),
    /// End it.
    Close,
}

/// What a connection's handles share with its task.
pub struct Shared {
    /// From the handles to the task.
    pub commands: Queue<Command>,
    /// From the task to the handles.
    pub events: Queue<ConnectionEvent>,
    /// What waits for the program, in all queues to it.
    pub unread: Budget,
    max_message_size: AtomicUsize,
    close_reason: OnceLock<CloseReason>,
    is_abandoned: AtomicBool,
}

impl Shared {
    pub fn new() -> Self {
        Self {
            commands: Queue::new(),
            events: Queue::new(),
            unread: Budget::new(UNREAD_MAX),
            max_message_size: AtomicUsize::new(MESSAGE_LEN_MAX),
            close_reason: OnceLock::new(),
            is_abandoned: AtomicBool::new(false),
        }
    }

    /// The program has taken this event.
    pub fn taken(&self, event: &ConnectionEvent) {
        self.unread.release(weight(event));
    }

    pub fn max_message_size(&self) -> usize {
        self.max_message_size.load(Ordering::Relaxed)
    }

    /// Why the connection ended, told before the event that says that it failed.
    pub fn close_reason(&self) -> Option<CloseReason> {
        self.close_reason.get().copied()
    }

    pub fn set_close_reason(&self, why: CloseReason) {
        // Nothing follows the first.
        let _ = self.close_reason.set(why);
    }

    pub fn set_max_message_size(&self, bytes: usize) {
        self.max_message_size.store(bytes, Ordering::Relaxed);
    }

    /// The program has dropped its connection: nobody reads events.
    pub fn abandon(&self) {
        self.is_abandoned.store(true, Ordering::Release);
        self.events.close();
        self.events.clear();
    }

    pub fn is_abandoned(&self) -> bool {
        self.is_abandoned.load(Ordering::Acquire)
    }
}

/// What anything counts for while it waits, whatever it holds.
const EACH: usize = 128;

/// What an event counts for while it waits.
pub fn weight(event: &ConnectionEvent) -> usize {
    match event {
        ConnectionEvent::Message { message, .. } => message_weight(message),
        _ => EACH,
    }
}

/// What a message counts for while it waits.
pub fn message_weight(message: &Message) -> usize {
    EACH + message.bytes.len()
}

impl Watching for Shared {
    fn addresses_changed(&self, found: &Arc<[Found]>) {
        let _ = self.commands.push(Command::Addresses(found.clone()));
    }
}
