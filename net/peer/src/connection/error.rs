//! What a caller can do nothing about, or did wrong.

use std::io;

/// A connection could not be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectionError {
    /// It needs a task, sockets and timers.
    #[error("this must be called within a tokio runtime with its drivers enabled")]
    NoRuntime,
    /// This machine's addresses cannot be read.
    #[error("the addresses of this machine cannot be read")]
    Addresses(#[source] io::Error),
}

/// The connection is closed, and takes nothing any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is closed")]
pub struct Closed;

/// A message was not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The channel or its connection is closed.
    #[error("the channel is closed")]
    Closed,
    /// It is larger than the other side takes. Send it in pieces.
    #[error("a message has at most {max} bytes")]
    TooLarge {
        /// Bytes.
        max: usize,
    },
    /// As much waits as may ([`WATERMARK`](super::WATERMARK)). Only [`try_send`](super::Channel::try_send) says this;
    /// [`send`](super::Channel::send) waits.
    #[error("too much waits to be sent")]
    Full,
}
