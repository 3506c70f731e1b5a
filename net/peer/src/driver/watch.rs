//! One watcher of this machine's addresses for the whole process: a thread that looks every two seconds, or at once when the kernel
//! says that something changed (Linux, rtnetlink(7)) or a socket met an error, and tells each connection when they have changed. It
//! ends with the last connection.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::interfaces::{self, Found};

/// Between two looks. One takes less than half a millisecond.
const INTERVAL: Duration = Duration::from_secs(2);
/// Between a socket's error and the look that it causes, so that a storm of errors causes few.
const AFTER_ERROR: Duration = Duration::from_millis(250);
/// The same after the kernel's word: an address goes and another comes in one breath.
const AFTER_WORD: Duration = Duration::from_millis(20);

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
    /// How often it began.
    begun: u32,
    /// It is to look so soon.
    urgent: Option<Duration>,
    found: Option<Arc<[Found]>>,
    watching: Vec<Weak<dyn Watching>>,
}

static WATCHER: Watcher = Watcher {
    state: Mutex::new(State { is_running: false, begun: 0, urgent: None, found: None, watching: Vec::new() }),
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
        state.begun += 1;
        #[cfg(target_os = "linux")]
        kernel::listen(state.begun);
    }
    state.watching.push(watching);
    Ok(state.found.clone().unwrap_or_default())
}

/// Something is wrong with an address: look now.
pub fn look_soon() {
    look_within(AFTER_ERROR);
}

fn look_within(pause: Duration) {
    let mut state = WATCHER.lock();
    if state.urgent.is_none_or(|known| pause < known) {
        state.urgent = Some(pause);
        WATCHER.wake.notify_one();
    }
}

/// The kernel's word: links, addresses and routes that come and go.
#[cfg(target_os = "linux")]
mod kernel {
    use std::time::Duration;

    use rustix::fd::OwnedFd;
    use rustix::io::Errno;
    use rustix::net::netlink::SocketAddrNetlink;
    use rustix::net::sockopt::{Timeout, set_socket_timeout};
    use rustix::net::{AddressFamily, RecvFlags, SocketType, bind, recv, socket};

    use super::{AFTER_WORD, INTERVAL, STACK, WATCHER, look_within};

    /// RTMGRP_LINK, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE.
    const GROUPS: u32 = 0x1 | 0x10 | 0x40 | 0x100 | 0x400;

    /// A thread that hears the kernel, as long as somebody watches.
    pub(super) fn listen(begun: u32) {
        let listening = open().and_then(|socket| {
            let name = "twocan-netlink".to_owned();
            let thread = std::thread::Builder::new().name(name).stack_size(STACK);
            thread.spawn(move || run(&socket, begun)).map(drop)
        });
        if let Err(error) = listening {
            tracing::debug!(%error, "the kernel does not tell of addresses: they are looked at every two seconds");
        }
    }

    fn open() -> std::io::Result<OwnedFd> {
        let socket = socket(AddressFamily::NETLINK, SocketType::DGRAM, None)?;
        bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
        set_socket_timeout(&socket, Timeout::Recv, Some(INTERVAL))?;
        Ok(socket)
    }

    fn run(socket: &OwnedFd, begun: u32) {
        let mut word = [0; 4_096];
        loop {
            match recv(socket, &mut word, RecvFlags::empty()) {
                // What it says is not read: the watcher looks for itself. Too much at once is said by an error.
                Ok(_) | Err(Errno::NOBUFS) => look_within(AFTER_WORD),
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => {
                    tracing::debug!(%error, "the kernel tells of addresses no more");
                    return;
                }
            }
            let state = WATCHER.lock();
            if !state.is_running || state.begun != begun {
                return;
            }
            drop(state);
            // A storm of words causes few looks.
            std::thread::sleep(Duration::from_millis(5));
        }
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
            let waited = self.wake.wait_timeout_while(state, INTERVAL, |state| state.urgent.is_none());
            let urgent = waited.unwrap_or_else(PoisonError::into_inner).0.urgent.take();
            std::thread::sleep(urgent.unwrap_or_default());
            let found = interfaces::find();
            state = self.lock();
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
