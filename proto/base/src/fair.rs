//! A queue that serves in turns: whoever has a thousand things waiting delays nobody who has one.

use std::collections::{BTreeMap, VecDeque};

/// Items by whose they are. Each `K` has one turn in a round, in the order of their first arrival; within a `K` first come,
/// first served. `push` and `pop` cost the logarithm of the number of `K` that wait.
#[derive(Clone, Debug)]
pub struct FairQueue<K, T> {
    waiting: BTreeMap<K, VecDeque<T>>,
    turns: VecDeque<K>,
    len: usize,
}

impl<K, T> Default for FairQueue<K, T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), turns: VecDeque::new(), len: 0 }
    }
}

impl<K: Copy + Ord, T> FairQueue<K, T> {
    /// Adds an item of `whose`.
    pub fn push(&mut self, whose: K, item: T) {
        let queue = self.waiting.entry(whose).or_default();
        if queue.is_empty() {
            self.turns.push_back(whose);
        }
        queue.push_back(item);
        self.len += 1;
    }

    /// The next item.
    pub fn pop(&mut self) -> Option<T> {
        let whose = self.turns.pop_front()?;
        let queue = self.waiting.get_mut(&whose)?;
        let item = queue.pop_front()?;
        if queue.is_empty() {
            self.waiting.remove(&whose);
        } else {
            self.turns.push_back(whose);
        }
        self.len -= 1;
        Some(item)
    }

    /// Items that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_has_much_waiting_delays_another_by_one_item() {
        let mut queue = FairQueue::default();
        for n in 0..1_000 {
            queue.push('a', n);
        }
        queue.push('b', 7_000);
        queue.push('b', 7_001);
        let first: Vec<i32> = (0..5).filter_map(|_| queue.pop()).collect();
        assert_eq!(first, [0, 7_000, 1, 7_001, 2]);
        assert_eq!(queue.len(), 997);
        while queue.pop().is_some() {}
        assert!(queue.is_empty() && queue.waiting.is_empty() && queue.turns.is_empty());
    }
}
