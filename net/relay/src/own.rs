//! The addresses of this host's interfaces, read at the start and every [`EVERY`]: no peer of an allocation may be at one.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::error::{Error, system};
use crate::inbox::Message;
use crate::relay::Handle;

/// How often they are read again. An interface that comes up is reached by a relayed packet for so long at most.
const EVERY: Duration = Duration::from_secs(10);

/// The thread that reads them; it ends when this is dropped.
pub(crate) struct Watch {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    /// Tells `handle` whenever they are no longer `known`.
    pub(crate) fn start(handle: Handle, mut known: Vec<IpAddr>) -> Result<Watch, Error> {
        let (stop, stopped) = channel();
        let watch = move || {
            while stopped.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let found = read();
                if !found.is_empty() && found != known {
                    handle.tell(&Message::OwnAddresses(Arc::from(found.as_slice())));
                    known = found;
                }
            }
        };
        let builder = std::thread::Builder::new().name("relay-addresses".to_owned());
        let thread = builder.spawn(watch).map_err(system("a thread"))?;
        Ok(Watch { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// The addresses of all interfaces of this machine, sorted; none where the system does not tell.
#[must_use]
pub fn read() -> Vec<IpAddr> {
    let found = if_addrs::get_if_addrs().unwrap_or_else(|error| {
        tracing::warn!(%error, "the addresses of this machine cannot be read");
        Vec::new()
    });
    let mut addresses: Vec<IpAddr> = found.into_iter().map(|interface| interface.ip()).collect();
    addresses.sort_unstable();
    addresses.dedup();
    addresses
}
