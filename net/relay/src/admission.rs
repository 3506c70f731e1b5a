//! Counts the connections of all threads together, so that the limits on them are exact.
//! Asked when a connection opens and closes, never for a packet.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};

use crate::config::{StreamLimits, address_group};

/// The count; clones are the same one.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    open: Arc<Mutex<Open>>,
    connections: usize,
    connections_per_address: usize,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// One connection's place; dropping it frees the place.
#[derive(Debug)]
pub(crate) struct Seat {
    open: Arc<Mutex<Open>>,
    group: IpAddr,
}

impl Admission {
    pub(crate) fn new(limits: &StreamLimits) -> Admission {
        Admission {
            open: Arc::default(),
            connections: limits.connections,
            connections_per_address: limits.connections_per_address,
        }
    }

    /// A seat for a connection from `address`, unless a limit is reached.
    pub(crate) fn admit(&self, address: IpAddr) -> Option<Seat> {
        let group = address_group(address);
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.all >= self.connections {
            return None;
        }
        let here = open.by_address.get(&group).copied().unwrap_or(0);
        if here >= self.connections_per_address {
            return None;
        }
        open.by_address.insert(group, here + 1);
        open.all += 1;
        Some(Seat { open: self.open.clone(), group })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.all = open.all.saturating_sub(1);
        if let Some(here) = open.by_address.get_mut(&self.group) {
            *here -= 1;
            if *here == 0 {
                open.by_address.remove(&self.group);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admission(connections: usize, connections_per_address: usize) -> Admission {
        Admission::new(&StreamLimits { connections, connections_per_address, ..StreamLimits::default() })
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
        assert!(admission.admit("2001:db8:0:200::1".parse().unwrap()).is_some());
    }

    #[test]
    fn all_connections_together_are_limited_and_nothing_is_kept_of_those_that_ended() {
        let admission = admission(2, 2);
        let seats: Vec<_> = (1..=2).map(|n| admission.admit(IpAddr::from([192, 0, 2, n])).unwrap()).collect();
        assert!(admission.admit("192.0.2.3".parse().unwrap()).is_none());
        drop(seats);
        assert!(admission.open.lock().unwrap().by_address.is_empty());
    }
}
