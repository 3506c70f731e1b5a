//! Sockets that listen, and how many connections one address may have.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::net::TcpSocket;
use twocan_base::{Ledger, Quota};

use crate::config::Error;

/// What the kernel may hold of what we send on one connection, bytes (it takes twice as much for its own bookkeeping).
const SEND_BYTES: usize = 65_536;
/// What it may hold of what a client sends and we have not read: half of the longest frame. A client that sends and does not read pins
/// no more than this.
const RECEIVE_BYTES: usize = 8_192;
/// Bytes that may wait in the kernel before they are sent; beyond, we are told to wait. A client that does not read costs this and
/// not the whole buffer (tcp(7), TCP_NOTSENT_LOWAT).
const UNSENT_BYTES: u32 = 8_192;
/// For what was sent to be acknowledged (tcp(7), TCP_USER_TIMEOUT; RFC 5482).
const ACKNOWLEDGED_WITHIN: Duration = Duration::from_secs(30);
/// Connections that the system holds before they are accepted.
const BACKLOG: u32 = 1024;

/// Listens on one address.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener, Error> {
    let open = || -> io::Result<TcpListener> {
        let socket =
            socket2::Socket::new(socket2::Domain::for_address(address), socket2::Type::STREAM, None)?;
        if address.is_ipv6() {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        // So that a restarted server finds its port; another live listener still makes `bind` fail.
        socket.set_reuse_address(true)?;
        // Accepted sockets inherit these.
        socket.set_send_buffer_size(SEND_BYTES)?;
        socket.set_recv_buffer_size(RECEIVE_BYTES)?;
        socket.set_tcp_notsent_lowat(UNSENT_BYTES)?;
        socket.set_tcp_user_timeout(Some(ACKNOWLEDGED_WITHIN))?;
        socket.bind(&address.into())?;
        TcpSocket::from_std_stream(socket.into()).listen(BACKLOG)
    };
    open().map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Error::PortTaken { address },
        _ => Error::Listen { address, error },
    })
}

/// Counts connections, in all and per household.
#[derive(Clone)]
pub(crate) struct Turnstile {
    ledger: Arc<Mutex<Ledger>>,
    in_all: u64,
}

/// A connection that is counted until it is dropped.
pub(crate) struct Pass {
    ledger: Arc<Mutex<Ledger>>,
    address: IpAddr,
}

impl Turnstile {
    pub fn new(connections: Quota) -> Self {
        Self { ledger: Arc::new(Mutex::new(Ledger::new(connections))), in_all: connections.total }
    }

    /// Lets one more in, unless that is too many. A proxy speaks for many: only the sum counts for it.
    pub fn enter(&self, address: IpAddr, is_proxy: bool) -> Option<Pass> {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let is_in = match is_proxy {
            true => ledger.total() < self.in_all,
            false => ledger.fits(address, 1),
        };
        is_in.then(|| {
            ledger.take_surely(address, 1);
            Pass { ledger: Arc::clone(&self.ledger), address }
        })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner).give(self.address, 1);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_and_all_together_are_limited_and_what_ends_is_given_back() {
        let turnstile = Turnstile::new(Quota { total: 5, household: 2, site: 5, floor: 2 });
        let address = |n| IpAddr::from([192, 0, 2, n]);
        let passes: Vec<Pass> = (0..4).filter_map(|_| turnstile.enter(address(1), false)).collect();
        assert_eq!(passes.len(), 2);
        let proxied: Vec<Pass> = (0..4).filter_map(|_| turnstile.enter(address(2), true)).collect();
        assert_eq!(proxied.len(), 3, "of a proxy only the sum counts");
        drop((passes, proxied));
        assert!(turnstile.enter(address(1), false).is_some());
        assert!(turnstile.ledger.lock().unwrap().is_empty());
    }
}
