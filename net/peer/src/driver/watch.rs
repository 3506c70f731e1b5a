//! One watcher of this machine's addresses for the whole process: a thread that looks every two seconds, or at once when a
//! socket met an error, and tells each connection when they have changed. It ends with the last connection.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::interfaces::{self, Found};

/// Between two looks. One takes some 50 µs.
const INTERVAL: Duration = Duration::from_secs(2);
/// Between a socket's error and the look that it causes, so that a storm of errors causes few.
const AFTER_ERROR: Duration = Duration::from_millis(250);

/// Bytes of the thread's stack.
const STACK: usize = 128 << 10;

/// Whom the watcher tells.
pub trait Watching: Send + Sync {
    /// The addresses are others than at the last call.
    fn addresses_changed(&self, found: &Arc<[Found]>);
}

struct Watcher {
    state: Mutex<State>,
    wake: Condvar,
}

struct State {
    is_running: bool,
    is_urgent: bool,
    found: Option<Arc<[Found]>>,
    watching: Vec<Weak<dyn Watching>>,
}

static WATCHER: Watcher = Watcher {
    state: Mutex::new(State { is_running: false, is_urgent: false, found: None, watching: Vec::new() }),
    wake: Condvar::new(),
};

/// The addresses as they are; from now on `watching` is told of changes.
pub fn watch(watching: Weak<dyn Watching>) -> io::Result<Arc<[Found]>> {
    let mut state = WATCHER.lock();
    if !state.is_running {
        state.found = Some(interfaces::find()?.into());
        let name = "twocan-addresses".to_owned();
        std::thread::Builder::new().name(name).stack_size(STACK).spawn(|| WATCHER.run())?;
        state.is_running = true;
    }
    state.watching.push(watching);
    Ok(state.found.clone().unwrap_or_default())
}

/// Something is wrong with an address: look now.
pub fn look_soon() {
    let mut state = WATCHER.lock();
    if !state.is_urgent {
        state.is_urgent = true;
        WATCHER.wake.notify_one();
    }
}

impl Watcher {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            state.watching.retain(|watching| watching.strong_count() > 0);
            if state.watching.is_empty() {
                state.watching = Vec::new();
                state.is_running = false;
                return;
            }
            let waited = self.wake.wait_timeout_while(state, INTERVAL, |state| !state.is_urgent);
            let is_urgent = waited.unwrap_or_else(PoisonError::into_inner).0.is_urgent;
            if is_urgent {
                std::thread::sleep(AFTER_ERROR);
            }
            let found = interfaces::find();
            state = self.lock();
            state.is_urgent = false;
            match found.map(Arc::<[Found]>::from) {
                Ok(found) if state.found.as_ref() != Some(&found) => {
                    state.found = Some(found.clone());
                    let watching: Vec<_> = state.watching.iter().filter_map(Weak::upgrade).collect();
                    drop(state);
                    watching.iter().for_each(|watching| watching.addresses_changed(&found));
                    drop(watching);
                    state = self.lock();
                }
                Ok(_) => {}
                Err(error) => tracing::debug!(%error, "the addresses of this machine cannot be read"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Count(AtomicUsize);

    impl Watching for Count {
        fn addresses_changed(&self, _: &Arc<[Found]>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn whoever_watches_learns_the_addresses_and_only_changes_after_that() {
        let count = Arc::new(Count(AtomicUsize::new(0)));
        let watching: Weak<Count> = Arc::downgrade(&count);
        let found = watch(watching).unwrap();
        assert!(found.iter().any(|each| each.ip.is_loopback()));
        look_soon();
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
    }
}
