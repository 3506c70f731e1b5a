//! Half-received messages: how many bytes of them one peer may have us keep, and all peers of a lobby together.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// Half-received messages of one peer, over all its channels, at most: so many times `max_message`, bytes.
pub const HALF_MESSAGES_PEER_MAX: usize = 2;
/// Half-received messages of all peers of a lobby: so many times `max_message`. Beyond, the peer with the most loses them.
pub const HALF_MESSAGES_LOBBY_MAX: usize = 8;

/// What the links of one lobby keep.
#[derive(Debug)]
pub struct Halves {
    /// The option `max_message`.
    max: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    next: u64,
    /// Bytes of each link, and how to tell it that they are taken from it.
    shares: BTreeMap<u64, (usize, Arc<Notify>)>,
}

impl Halves {
    pub fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max, kept: Mutex::default() })
    }

    /// The part of one more link.
    pub fn share(self: &Arc<Self>) -> Share {
        let mut kept = self.lock();
        kept.next += 1;
        let (id, overdrawn) = (kept.next, Arc::new(Notify::new()));
        kept.shares.insert(id, (0, overdrawn.clone()));
        Share { halves: self.clone(), id, overdrawn }
    }

    #[cfg(test)]
    pub fn kept(&self) -> usize {
        self.lock().shares.values().map(|(bytes, _)| bytes).sum()
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The part of one link; it ends with this.
#[derive(Debug)]
pub struct Share {
    halves: Arc<Halves>,
    id: u64,
    overdrawn: Arc<Notify>,
}

impl Share {
    /// Counts bytes that are kept; `false` where this link keeps too many. Where all do together, the one with the most must drop
    /// them: that may be this one.
    pub fn keep(&self, bytes: usize) -> bool {
        let mut kept = self.halves.lock();
        let Some((own, _)) = kept.shares.get_mut(&self.id) else { return false };
        *own += bytes;
        if *own > HALF_MESSAGES_PEER_MAX * self.halves.max {
            return false;
        }
        let all: usize = kept.shares.values().map(|(bytes, _)| bytes).sum();
        if all <= HALF_MESSAGES_LOBBY_MAX * self.halves.max {
            return true;
        }
        let most = kept.shares.iter_mut().max_by_key(|(_, (bytes, _))| *bytes);
        match most {
            Some((id, (bytes, overdrawn))) if *id != self.id => {
                // It drops them when it is told.
                *bytes = 0;
                overdrawn.notify_one();
                true
            }
            _ => false,
        }
    }

    /// Bytes are no longer kept.
    pub fn release(&self, bytes: usize) {
        if let Some((own, _)) = self.halves.lock().shares.get_mut(&self.id) {
            *own = own.saturating_sub(bytes);
        }
    }

    /// All that this link keeps is to be dropped.
    pub async fn overdrawn(&self) {
        self.overdrawn.notified().await;
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.halves.lock().shares.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX: usize = 1_000;

    #[test]
    fn one_peer_keeps_two_messages_at_most() {
        let halves = Halves::new(MAX);
        let share = halves.share();
        assert!(share.keep(HALF_MESSAGES_PEER_MAX * MAX));
        assert!(!share.keep(1));
        share.release(2);
        assert!(share.keep(1));
    }

    #[test]
    fn where_all_keep_too_much_the_one_with_the_most_loses_it() {
        let halves = Halves::new(MAX);
        let shares: Vec<Share> = (0..9).map(|_| halves.share()).collect();
        let (most, others) = shares.split_first().unwrap();
        assert!(most.keep(1_500));
        assert!(others.iter().take(7).all(|share| share.keep(900)));
        assert!(others[7].keep(900), "not who is the last");
        let mut idle = std::task::Context::from_waker(std::task::Waker::noop());
        assert!(std::pin::pin!(most.overdrawn()).poll(&mut idle).is_ready());
        most.release(1_500);
        assert!(!others[0].keep(1_000), "now it is this one");
        others[0].release(1_900);
        drop(shares);
        assert!(halves.lock().shares.is_empty());
    }
}
