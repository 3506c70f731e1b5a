//! Queues between a program and the task of its connection: closed from either end, one wake-up for many items.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_util::task::AtomicWaker;

/// Many producers, one consumer at a time. How much may wait is for the producers to know: see [`Budget`].
pub struct Queue<T>(Mutex<Inner<T>>);

struct Inner<T> {
    items: VecDeque<T>,
    is_closed: bool,
    consumer: Option<Waker>,
}

/// Capacity, in items, that an empty queue may keep.
const CAPACITY_KEPT: usize = 64;

impl<T> Queue<T> {
    /// An empty queue, which takes no memory of its own yet.
    pub fn new() -> Self {
        Self(Mutex::new(Inner { items: VecDeque::new(), is_closed: false, consumer: None }))
    }

    /// Appends an item; gives it back where the queue is closed.
    pub fn push(&self, item: T) -> Result<(), T> {
        let mut inner = self.lock();
        if inner.is_closed {
            return Err(item);
        }
        inner.items.push_back(item);
        let waker = inner.consumer.take();
        drop(inner);
        wake(waker);
        Ok(())
    }

    /// Appends all of `items` and empties it. What comes after the close is dropped.
    pub fn append(&self, items: &mut VecDeque<T>) {
        if items.is_empty() {
            return;
        }
        let mut inner = self.lock();
        if !inner.is_closed {
            inner.items.append(items);
        }
        let waker = inner.consumer.take();
        drop(inner);
        items.clear();
        wake(waker);
    }

    /// The oldest item, if there is one.
    pub fn try_pop(&self) -> Option<T> {
        let mut inner = self.lock();
        let item = inner.items.pop_front()?;
        if inner.items.is_empty() && inner.items.capacity() > CAPACITY_KEPT {
            inner.items = VecDeque::new();
        }
        Some(item)
    }

    /// The oldest item; `None` once the queue is closed and empty.
    pub fn poll_pop(&self, context: &Context<'_>) -> Poll<Option<T>> {
        let mut inner = self.lock();
        match inner.items.pop_front() {
            Some(item) => Poll::Ready(Some(item)),
            None if inner.is_closed => Poll::Ready(None),
            None => {
                remember(&mut inner.consumer, context);
                Poll::Pending
            }
        }
    }

    /// The oldest item of those that are `wanted`, past others. Pending as long as there is none, also in a closed queue.
    pub fn poll_pop_where(&self, wanted: fn(&T) -> bool, context: &Context<'_>) -> Poll<T> {
        let mut inner = self.lock();
        let found = inner.items.iter().position(wanted);
        match found.and_then(|at| inner.items.remove(at)) {
            Some(item) => Poll::Ready(item),
            None => {
                remember(&mut inner.consumer, context);
                Poll::Pending
            }
        }
    }

    /// Moves everything to `items`, which must be empty, and registers the consumer.
    pub fn take_all(&self, items: &mut VecDeque<T>, context: &Context<'_>) {
        debug_assert!(items.is_empty(), "what was taken before has been handled");
        let mut inner = self.lock();
        std::mem::swap(&mut inner.items, items);
        remember(&mut inner.consumer, context);
    }

    /// Nothing more can be pushed; what is there can still be popped.
    pub fn close(&self) {
        let mut inner = self.lock();
        inner.is_closed = true;
        let waker = inner.consumer.take();
        drop(inner);
        wake(waker);
    }

    /// Drops what is there, and says what it was.
    pub fn clear(&self) -> VecDeque<T> {
        std::mem::take(&mut self.lock().items)
    }

    fn lock(&self) -> MutexGuard<'_, Inner<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn remember(slot: &mut Option<Waker>, context: &Context<'_>) {
    match slot {
        Some(waker) if waker.will_wake(context.waker()) => {}
        _ => *slot = Some(context.waker().clone()),
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}

/// How many bytes may wait in several queues together. One more item than that may, so that the largest fits.
pub struct Budget {
    used: AtomicUsize,
    limit: usize,
    producer: AtomicWaker,
}

impl Budget {
    /// Of `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { used: AtomicUsize::new(0), limit, producer: AtomicWaker::new() }
    }

    /// Something of `bytes` waits.
    pub fn charge(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::AcqRel);
    }

    /// And no longer does.
    pub fn release(&self, bytes: usize) {
        let before = self.used.fetch_sub(bytes, Ordering::AcqRel);
        if before > self.limit && before - bytes <= self.limit {
            self.producer.wake();
        }
    }

    /// Bytes that wait.
    pub fn used(&self) -> usize {
        self.used.load(Ordering::Acquire)
    }

    /// Whether one more item may wait; if not, this task is woken once it may.
    pub fn has_room(&self, context: &Context<'_>) -> bool {
        if self.used() <= self.limit {
            return true;
        }
        self.producer.register(context.waker());
        self.used() <= self.limit
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    fn idle() -> Context<'static> {
        Context::from_waker(Waker::noop())
    }

    #[test]
    fn items_come_in_order_from_one_and_from_many() {
        let queue = Queue::new();
        queue.push(7).unwrap();
        queue.append(&mut VecDeque::from([8, 9]));
        assert_eq!(
            [queue.try_pop(), queue.try_pop(), queue.try_pop(), queue.try_pop()],
            [Some(7), Some(8), Some(9), None]
        );
    }

    #[test]
    fn what_is_wanted_comes_past_what_is_not() {
        let queue = Queue::new();
        queue.append(&mut VecDeque::from([1, 2, 3, 4]));
        let even = |item: &u8| item.is_multiple_of(2);
        let popped = [(); 3].map(|()| queue.poll_pop_where(even, &idle()));
        assert_eq!(popped, [Poll::Ready(2), Poll::Ready(4), Poll::Pending]);
        assert_eq!((queue.try_pop(), queue.try_pop()), (Some(1), Some(3)));
    }

    #[test]
    fn a_closed_queue_takes_nothing_and_gives_what_it_has() {
        let queue = Queue::new();
        queue.push(1).unwrap();
        queue.close();
        assert_eq!(queue.push(2), Err(2));
        assert_eq!(queue.poll_pop(&idle()), Poll::Ready(Some(1)));
        assert_eq!(queue.poll_pop(&idle()), Poll::Ready(None));
    }

    #[test]
    fn a_waiting_consumer_is_woken_by_an_item_and_by_the_close() {
        for act in [|queue: &Queue<u8>| queue.push(1).unwrap(), |queue: &Queue<u8>| queue.close()] {
            let (queue, woken) = (Queue::new(), Arc::<Woken>::default());
            let waker = Waker::from(woken.clone());
            assert_eq!(queue.poll_pop(&Context::from_waker(&waker)), Poll::Pending);
            act(&queue);
            assert!(woken.0.load(Ordering::Relaxed));
        }
    }

    #[test]
    fn a_budget_wakes_its_producer_once_there_is_room() {
        let (budget, woken) = (Budget::new(15), Arc::<Woken>::default());
        let waker = Waker::from(woken.clone());
        (0..3).for_each(|_| budget.charge(10));
        assert!(!budget.has_room(&Context::from_waker(&waker)));
        budget.release(10);
        assert!(!woken.0.load(Ordering::Relaxed));
        budget.release(10);
        assert!(woken.0.load(Ordering::Relaxed) && budget.has_room(&idle()));
    }
}
