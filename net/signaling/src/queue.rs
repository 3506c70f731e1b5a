//! Frames on their way to one socket, and closed in order behind what is in it. How much may wait, the machine decides: what is
//! written is told to it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use twocan_lobby::Close;

/// Written by the machine's task, read by the socket's.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Next>,
    close: Option<Close>,
}

/// What the socket does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Frame(Arc<str>),
    Ping(u64),
    Close(Close),
}

impl Queue {
    /// Adds a frame, unless the socket is to be closed.
    pub fn push(&self, frame: Arc<str>) {
        self.add(Next::Frame(frame));
    }

    /// Adds a ping with this number behind the frames that wait.
    pub fn ping(&self, seq: u64) {
        self.add(Next::Ping(seq));
    }

    fn add(&self, next: Next) {
        let mut waiting = self.lock();
        if waiting.close.is_none() {
            waiting.frames.push_back(next);
            self.wake.notify_one();
        }
    }

    /// Closes the socket behind the frames that wait; at once where it is too slow for them.
    pub fn close(&self, why: Close) {
        let mut waiting = self.lock();
        if why == Close::TooSlow {
            waiting.frames = VecDeque::new();
        }
        waiting.close.get_or_insert(why);
        self.wake.notify_one();
    }

    /// What is next, if anything.
    pub fn pop(&self) -> Option<Next> {
        let mut waiting = self.lock();
        let Some(next) = waiting.frames.pop_front() else { return waiting.close.map(Next::Close) };
        if waiting.frames.is_empty() {
            waiting.frames.shrink_to(4);
        }
        Some(next)
    }

    /// Waits for what is next.
    pub async fn next(&self) -> Next {
        loop {
            if let Some(next) = self.pop() {
                return next;
            }
            self.wake.notified().await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_comes_behind_the_frames_that_wait() {
        let queue = Queue::default();
        queue.push("a".into());
        queue.close(Close::Complete);
        queue.push("b".into());
        assert_eq!(queue.pop(), Some(Next::Frame("a".into())));
        assert_eq!(queue.pop(), Some(Next::Close(Close::Complete)));
    }

    #[test]
    fn what_a_slow_client_does_not_take_is_dropped() {
        let queue = Queue::default();
        queue.push("a".into());
        queue.close(Close::TooSlow);
        assert_eq!(queue.pop(), Some(Next::Close(Close::TooSlow)));
    }
}
