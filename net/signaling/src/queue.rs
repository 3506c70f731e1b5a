//! Frames on their way to one socket: bounded, and closed in order behind what is in it.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use twocan_lobby::Close;

/// Frames that may wait for one socket.
pub(crate) const FRAMES_MAX: usize = 512;
/// Bytes that may wait for one socket.
pub(crate) const BYTES_MAX: usize = 524_288;

/// Written by the machine's task, read by the socket's.
#[derive(Default)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    wake: Notify,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<Arc<str>>,
    bytes: usize,
    close: Option<Close>,
}

/// What the socket does next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Frame(Arc<str>),
    Close(Close),
}

/// The client does not read fast enough.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Overflow;

impl Queue {
    /// Adds a frame. On overflow what waits is dropped, and the socket is closed with 4002.
    pub fn push(&self, frame: Arc<str>) -> Result<(), Overflow> {
        let mut waiting = self.lock();
        if waiting.close.is_some() {
            return Ok(());
        }
        if waiting.frames.len() >= FRAMES_MAX || waiting.bytes + frame.len() > BYTES_MAX {
            *waiting = Waiting { close: Some(Close::TooSlow), ..Waiting::default() };
            self.wake.notify_one();
            return Err(Overflow);
        }
        waiting.bytes += frame.len();
        waiting.frames.push_back(frame);
        self.wake.notify_one();
        Ok(())
    }

    /// Closes the socket behind the frames that wait.
    pub fn close(&self, why: Close) {
        self.lock().close.get_or_insert(why);
        self.wake.notify_one();
    }

    /// What is next, if anything.
    pub fn pop(&self) -> Option<Next> {
        let mut waiting = self.lock();
        let Some(frame) = waiting.frames.pop_front() else { return waiting.close.map(Next::Close) };
        waiting.bytes -= frame.len();
        if waiting.frames.is_empty() {
            waiting.frames.shrink_to(4);
        }
        Some(Next::Frame(frame))
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
        queue.push("a".into()).unwrap();
        queue.close(Close::Complete);
        assert_eq!(queue.pop(), Some(Next::Frame("a".into())));
        assert_eq!(queue.pop(), Some(Next::Close(Close::Complete)));
    }

    #[test]
    fn too_many_frames_overflow_and_are_dropped() {
        let queue = Queue::default();
        for _ in 0..FRAMES_MAX {
            queue.push("x".into()).unwrap();
        }
        assert_eq!(queue.push("x".into()), Err(Overflow));
        assert_eq!(queue.pop(), Some(Next::Close(Close::TooSlow)));
    }

    #[test]
    fn too_many_bytes_overflow() {
        let queue = Queue::default();
        let half: Arc<str> = "x".repeat(BYTES_MAX / 2).into();
        queue.push(Arc::clone(&half)).unwrap();
        queue.push(half).unwrap();
        assert_eq!(queue.push("x".into()), Err(Overflow));
    }
}
