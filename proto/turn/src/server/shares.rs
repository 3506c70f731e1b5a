//! Who has how many relayed addresses, of each family: of all, and of this thread's part of the ports, so that neither all ports
//! nor one thread's can be had by a few households ([`twocan_base::Ledger`]).

use std::net::IpAddr;

use twocan_base::{Ledger, Quota};

use crate::address::Family;
use crate::config::Config;
use crate::limits::Limits;

/// One household may have this part of one thread's ports, while all are free: the kernel spreads its clients over the threads,
/// unless they choose.
const HOUSEHOLD_OF_THREAD: u64 = 8;
/// Up to so many ports, or half of a small range, are one household's whatever the part.
const HOUSEHOLD_AT_LEAST: u64 = 64;

/// Why there is no relayed address to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoShare {
    /// The household has what it may have.
    Household,
    /// There is none left for anybody.
    Total,
}

/// The books.
pub(super) struct Shares {
    v4: Books,
    v6: Books,
}

struct Books {
    all: Ledger,
    own: Ledger,
    total: u64,
    own_total: u64,
}

impl Shares {
    pub fn new(config: &Config) -> Shares {
        let count = |range: &std::ops::RangeInclusive<u16>| range.len() as u64;
        let (total, own_total) = (count(&config.relay_range), count(&config.relay_ports));
        let books = || Books {
            all: Ledger::new(quota(&config.limits, total)),
            own: Ledger::new(quota_of_thread(&config.limits, own_total)),
            total,
            own_total,
        };
        Shares { v4: books(), v6: books() }
    }

    /// Whether a client at this address may have `count` relayed addresses more of this family.
    pub fn check(&self, client: IpAddr, family: Family, count: u32) -> Result<(), NoShare> {
        let Books { all, own, total, own_total } = self.books(family);
        let count = u64::from(count);
        if all.total() + count > *total {
            return Err(NoShare::Total);
        }
        // Once this thread's are all had, and each household had its part of them, those of other threads are taken.
        let is_own_full = own.total() + count > *own_total;
        let fits = all.fits(client, count) && (is_own_full || own.fits(client, count));
        if fits { Ok(()) } else { Err(NoShare::Household) }
    }

    pub fn take(&mut self, client: IpAddr, family: Family, is_own: bool) {
        let books = self.books_mut(family);
        books.all.take_surely(client, 1);
        if is_own {
            books.own.take_surely(client, 1);
        }
    }

    pub fn give(&mut self, client: IpAddr, family: Family, is_own: bool) {
        let books = self.books_mut(family);
        books.all.give(client, 1);
        if is_own {
            books.own.give(client, 1);
        }
    }

    fn books(&self, family: Family) -> &Books {
        match family {
            Family::V4 => &self.v4,
            Family::V6 => &self.v6,
        }
    }

    fn books_mut(&mut self, family: Family) -> &mut Books {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }
}

/// Of `total` ports: the part that the limits' shares are of 16,384.
fn quota(limits: &Limits, total: u64) -> Quota {
    const ALL: u64 = 16_384;
    let of = |share: u32, at_least: u64| {
        let share = u64::from(share);
        share.min((share * total / ALL).max(at_least))
    };
    let at_least = HOUSEHOLD_AT_LEAST.min(total / 2);
    Quota {
        total,
        household: of(limits.allocations_per_household, at_least),
        site: of(limits.allocations_per_site, 2 * at_least),
        floor: u64::from(limits.allocations_floor),
    }
}

fn quota_of_thread(limits: &Limits, total: u64) -> Quota {
    let whole = quota(limits, total);
    let household = (total / HOUSEHOLD_OF_THREAD).max(HOUSEHOLD_AT_LEAST.min(total / 2));
    Quota { household, site: 2 * household, ..whole }
}
