//! How a thread is told something from outside: a queue and a bell.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use mio::{Poll, Waker};
use twocan_turn::{External, News};

use crate::token::Token;

/// Messages that may wait for one thread. A thread empties its inbox before each batch of packets, so this many wait
/// only for one that hangs.
pub(crate) const INBOX_MESSAGES: usize = 65_536;

/// What a thread can be told.
#[derive(Debug, Clone)]
pub(crate) enum Message {
    /// A fact from another thread, or from the lobby.
    News(Arc<News>),
    /// The host's interfaces have these addresses now.
    OwnAddresses(Arc<[IpAddr]>),
    /// Relayed ports are at these addresses now.
    External(External),
    /// No new allocations.
    Drain,
    /// Close everything and end.
    Stop,
    /// Panic: for a test of what happens then.
    #[cfg(debug_assertions)]
    Panic,
}

/// The sending side; clones lead to the same thread.
#[derive(Debug, Clone)]
pub(crate) struct Outbox {
    queue: SyncSender<Message>,
    bell: Arc<Waker>,
}

impl Outbox {
    /// `false` if the queue is full, or the thread has ended. Ring afterwards.
    pub(crate) fn put(&self, message: Message) -> bool {
        match self.queue.try_send(message) {
            Ok(()) => true,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => false,
        }
    }

    /// Waits for room instead of giving up. Never for a relay thread: two could wait for each other.
    pub(crate) fn put_surely(&self, message: Message) {
        // The only failure is a thread that has ended, which needs no telling.
        let _ = self.queue.send(message);
    }

    /// Wakes the thread up.
    pub(crate) fn ring(&self) {
        if let Err(error) = self.bell.wake() {
            tracing::warn!(%error, "a relay thread could not be woken");
        }
    }
}

/// A thread's queue, and how to reach it.
pub(crate) fn inbox(poll: &Poll) -> std::io::Result<(Outbox, Receiver<Message>)> {
    let (queue, receiver) = sync_channel(INBOX_MESSAGES);
    let bell = Arc::new(Waker::new(poll.registry(), Token::Inbox.into())?);
    Ok((Outbox { queue, bell }, receiver))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_inbox_refuses_instead_of_making_the_teller_wait() {
        let poll = Poll::new().unwrap();
        let (outbox, _receiver) = inbox(&poll).unwrap();
        for _ in 0..INBOX_MESSAGES {
            assert!(outbox.put(Message::Drain));
        }
        assert!(!outbox.put(Message::Drain));
    }
}
