//! Sockets that listen, and how many connections one address may have.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;
use tokio::net::TcpSocket;

use crate::config::Error;

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
        socket.bind(&address.into())?;
        TcpSocket::from_std_stream(socket.into()).listen(BACKLOG)
    };
    open().map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => Error::PortTaken { address },
        _ => Error::Listen { address, error },
    })
}

/// Counts connections, in all and per address (/56 for IPv6).
#[derive(Clone)]
pub(crate) struct Turnstile {
    counts: Arc<Mutex<(usize, HashMap<IpAddr, usize>)>>,
    per_address: usize,
    in_all: usize,
}

/// A connection that is counted until it is dropped.
pub(crate) struct Pass {
    turnstile: Turnstile,
    key: IpAddr,
}

impl Turnstile {
    pub fn new(per_address: usize, in_all: usize) -> Self {
        Self { counts: Arc::default(), per_address, in_all }
    }

    /// Lets one more in, unless that is too many. A proxy speaks for many: only the sum counts for it.
    pub fn enter(&self, address: IpAddr, is_proxy: bool) -> Option<Pass> {
        let per_address = if is_proxy { self.in_all } else { self.per_address };
        let key = match address {
            IpAddr::V6(v6) => Ipv6Addr::from(u128::from(v6) & (u128::MAX << 72)).into(),
            v4 @ IpAddr::V4(_) => v4,
        };
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_address) = &mut *counts;
        let here = by_address.entry(key).or_default();
        if *all >= self.in_all || *here >= per_address {
            if *here == 0 {
                by_address.remove(&key);
            }
            return None;
        }
        *here += 1;
        *all += 1;
        Some(Pass { turnstile: self.clone(), key })
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        let mut counts = self.turnstile.counts.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, by_address) = &mut *counts;
        *all -= 1;
        if let Some(here) = by_address.get_mut(&self.key) {
            *here -= 1;
            if *here == 0 {
                by_address.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_beyond_the_limit_is_refused_until_one_is_gone() {
        let turnstile = Turnstile::new(2, 3);
        let one = IpAddr::from([192, 0, 2, 1]);
        let first = turnstile.enter(one, false);
        let second = turnstile.enter(one, false);
        assert!(first.is_some() && second.is_some());
        assert!(turnstile.enter(one, false).is_none(), "two from one address");
        drop(turnstile.enter(one, true).expect("a proxy speaks for many"));
        let other = turnstile.enter(IpAddr::from([192, 0, 2, 2]), false);
        assert!(other.is_some());
        assert!(turnstile.enter(IpAddr::from([192, 0, 2, 3]), false).is_none(), "three in all");
        drop(first);
        assert!(turnstile.enter(one, false).is_some());
    }
}
