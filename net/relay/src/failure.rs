//! That a thread ended which nobody asked to: a future, for a process that must not live on without it.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

/// Done when a thread of the relay has panicked, or ended because the system failed it. Clones are the same one.
#[derive(Debug, Clone, Default)]
pub struct Failure(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    has_failed: bool,
    waiting: Vec<Waker>,
}

/// A thread has one while it runs. Dropping it, in a panic or not, is the failure.
pub(crate) struct Alive(Option<Failure>);

impl Failure {
    pub(crate) fn alive(&self) -> Alive {
        Alive(Some(self.clone()))
    }
}

impl Alive {
    /// The thread was asked to end.
    pub(crate) fn ends_as_asked(mut self) {
        self.0 = None;
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        let Some(Failure(state)) = self.0.take() else { return };
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        state.has_failed = true;
        for waker in state.waiting.drain(..) {
            waker.wake();
        }
    }
}

impl Future for Failure {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.has_failed {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(context.waker())) {
            state.waiting.push(context.waker().clone());
        }
        Poll::Pending
    }
}
