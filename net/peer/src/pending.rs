//! Something asked for that has no answer yet: to be awaited, looked at, or waited for.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::sync::oneshot;

use crate::error::Error;

/// An answer that will come. What it answers was asked already: nobody needs to look for it to happen.
///
/// - In `async` code: `.await` it, on any executor.
/// - In a game loop: [`poll`](Self::poll) it once a frame.
/// - Elsewhere: [`wait`](Self::wait) for it.
#[derive(Debug)]
#[must_use = "the answer says whether it could be done"]
pub struct Pending<T> {
    answer: oneshot::Receiver<Result<T, Error>>,
}

/// The other end of a [`Pending`].
pub(crate) type Answer<T> = oneshot::Sender<Result<T, Error>>;

impl<T> Pending<T> {
    pub(crate) fn new() -> (Answer<T>, Self) {
        let (sender, answer) = oneshot::channel();
        (sender, Self { answer })
    }

    pub(crate) fn failed(error: Error) -> Self {
        let (sender, pending) = Self::new();
        let _ = sender.send(Err(error));
        pending
    }

    /// The answer, once it is there; it can be taken once.
    pub fn poll(&mut self) -> Option<Result<T, Error>> {
        match self.answer.try_recv() {
            Ok(answer) => Some(answer),
            Err(oneshot::error::TryRecvError::Empty) => None,
            Err(oneshot::error::TryRecvError::Closed) => Some(Err(Error::Closed)),
        }
    }

    /// Waits for the answer. Not within `async` code: that would block its thread, and panics where tokio notices.
    ///
    /// # Errors
    /// What the answer says.
    pub fn wait(self) -> Result<T, Error> {
        self.answer.blocking_recv().unwrap_or(Err(Error::Closed))
    }
}

impl<T> Future for Pending<T> {
    type Output = Result<T, Error>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.answer).poll(context).map(|answer| answer.unwrap_or(Err(Error::Closed)))
    }
}

/// Something that can be asked for: `.await` it, or [`begin`](Self::begin) and look at the answer later.
pub trait Request: IntoFuture<IntoFuture = Pending<Self::Answer>> + Sized {
    /// What it brings.
    type Answer;

    /// Asks for it now.
    fn begin(self) -> Pending<Self::Answer> {
        self.into_future()
    }

    /// Asks for it, and waits for the answer. Not within `async` code.
    ///
    /// # Errors
    /// What the answer says.
    fn wait(self) -> Result<Self::Answer, Error> {
        self.into_future().wait()
    }
}

/// Makes a builder a [`Request`], by its method `ask`.
macro_rules! request {
    ($builder:ident => $answer:ty) => {
        impl IntoFuture for $builder {
            type Output = Result<$answer, Error>;
            type IntoFuture = Pending<$answer>;

            fn into_future(self) -> Pending<$answer> {
                self.ask()
            }
        }

        impl Request for $builder {
            type Answer = $answer;
        }
    };
}
pub(crate) use request;
