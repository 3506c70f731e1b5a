//! Who holds how many connections, and how many bytes in them, over all threads: the limits are exact, and shares are fair
//! ([`twocan_base::Ledger`]). Asked when a connection opens, proves itself, closes, and when somebody reads too slowly: never for
//! a packet of one who keeps up.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use twocan_base::Ledger;

use crate::config::StreamLimits;

/// Bytes are taken and given back in pieces of so many.
const PIECE_BYTES: u64 = 16 << 10;

/// The books; clones are the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Admission(Arc<Mutex<Books>>);

#[derive(Debug)]
struct Books {
    connections: Ledger,
    buffers: Ledger,
}

/// One connection's place and what it holds; dropping it gives all of that back.
#[derive(Debug)]
pub(crate) struct Seat {
    books: Admission,
    address: IpAddr,
    /// For the kernel's larger buffer, kept to the end.
    kernel_bytes: u64,
    /// For what waits in the process.
    waiting_bytes: u64,
}

impl Admission {
    pub(crate) fn new(limits: &StreamLimits) -> Admission {
        let (connections, buffers) = (Ledger::new(limits.connections), Ledger::new(limits.buffer_bytes));
        Admission(Arc::new(Mutex::new(Books { connections, buffers })))
    }

    /// A seat for a connection from `address`, unless a limit is reached.
    pub(crate) fn admit(&self, address: IpAddr) -> Option<Seat> {
        let is_admitted = self.open().connections.take(address, 1);
        is_admitted.then(|| Seat { books: self.clone(), address, kernel_bytes: 0, waiting_bytes: 0 })
    }

    fn open(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// Whether the kernel may keep `bytes` more for this connection, until its end. All that a household's connections keep to
    /// their ends is about a half of its share: the other is for what only waits.
    pub(crate) fn take_kernel(&mut self, bytes: u64) -> bool {
        let buffers = &mut self.books.open().buffers;
        let twice = 2 * bytes + buffers.held_by(self.address);
        let is_taken = buffers.fits(self.address, twice) && buffers.take(self.address, bytes);
        self.kernel_bytes += if is_taken { bytes } else { 0 };
        is_taken
    }

    /// Whether `bytes` may wait in the process; fewer than before are given back.
    pub(crate) fn hold(&mut self, bytes: usize) -> bool {
        let wanted = u64::try_from(bytes).unwrap_or(u64::MAX).next_multiple_of(PIECE_BYTES);
        if wanted == self.waiting_bytes {
            return true;
        }
        let buffers = &mut self.books.open().buffers;
        let is_held = match wanted.checked_sub(self.waiting_bytes) {
            Some(more) => buffers.take(self.address, more),
            None => {
                buffers.give(self.address, self.waiting_bytes - wanted);
                true
            }
        };
        self.waiting_bytes = if is_held { wanted } else { self.waiting_bytes };
        is_held
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut books = self.books.open();
        books.connections.give(self.address, 1);
        books.buffers.give(self.address, self.kernel_bytes + self.waiting_bytes);
    }
}

#[cfg(test)]
mod tests {
    use twocan_base::Quota;

    use super::*;

    fn quota(total: u64, household: u64) -> Quota {
        Quota { total, household, site: household, floor: household }
    }

    fn admission(connections: u64, household: u64) -> Admission {
        Admission::new(&StreamLimits {
            connections: quota(connections, household),
            ..StreamLimits::default()
        })
    }

    #[test]
    fn an_address_gets_its_share_and_a_seat_given_back_is_free_again() {
        let admission = admission(10, 2);
        let a = "192.0.2.1".parse().unwrap();
        let first = admission.admit(a).unwrap();
        let _second = admission.admit(a).unwrap();
        assert!(admission.admit(a).is_none());
        assert!(admission.admit("192.0.2.2".parse().unwrap()).is_some());
        drop(first);
        assert!(admission.admit(a).is_some());
    }

    #[test]
    fn an_ipv6_network_of_a_household_counts_as_one_address() {
        let admission = admission(10, 1);
        let _seat = admission.admit("2001:db8:0:100::1".parse().unwrap()).unwrap();
        assert!(admission.admit("2001:db8:0:1ff:ffff::9".parse().unwrap()).is_none());
        assert!(admission.admit("2001:db8:1:200::1".parse().unwrap()).is_some());
    }

    #[test]
    fn all_connections_together_are_limited_and_nothing_is_kept_of_those_that_ended() {
        let admission = admission(2, 2);
        let seats: Vec<_> = (1..=2).map(|n| admission.admit(IpAddr::from([192, 0, 2, n])).unwrap()).collect();
        assert!(admission.admit("192.0.2.3".parse().unwrap()).is_none());
        drop(seats);
        assert!(admission.open().connections.is_empty());
    }

    #[test]
    fn bytes_are_taken_in_pieces_and_given_back() {
        let buffer_bytes = quota(80 << 10, 64 << 10);
        let admission = Admission::new(&StreamLimits { buffer_bytes, ..StreamLimits::default() });
        let mut first = admission.admit("192.0.2.1".parse().unwrap()).unwrap();
        let mut second = admission.admit("192.0.2.2".parse().unwrap()).unwrap();
        assert!(first.take_kernel(32 << 10) && !first.take_kernel(1), "a half is for what only waits");
        assert!(first.hold((16 << 10) + 1) && !first.hold((32 << 10) + 1), "its share is 64 KiB");
        assert!(second.hold(16 << 10) && !second.hold((16 << 10) + 1), "80 KiB in all");
        assert!(first.hold(0) && second.hold(32 << 10));
        drop((first, second));
        assert!(admission.open().buffers.is_empty());
    }
}
