//! Who gives way when no port is left: an allocation that has no permission relays nothing. One that waits for somebody to come is
//! left alone as long as there are ports.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use twocan_base::Household;

use super::allocation::AllocationId;

/// Households that are looked at, the largest first, for somebody who gives way.
const HOUSEHOLDS: usize = 8;

/// The allocations of one family on this thread, each with the time since which, or until which, it has (no) permission.
#[derive(Default)]
pub(super) struct Quiet {
    households: BTreeMap<Household, BTreeSet<(Instant, AllocationId)>>,
    sizes: BTreeSet<(usize, Household)>,
}

impl Quiet {
    pub fn insert(&mut self, client: IpAddr, since: Instant, id: AllocationId) {
        let household = Household::from(client);
        let of_household = self.households.entry(household).or_default();
        self.sizes.remove(&(of_household.len(), household));
        of_household.insert((since, id));
        self.sizes.insert((of_household.len(), household));
    }

    pub fn remove(&mut self, client: IpAddr, since: Instant, id: AllocationId) {
        let household = Household::from(client);
        let Some(of_household) = self.households.get_mut(&household) else { return };
        self.sizes.remove(&(of_household.len(), household));
        of_household.remove(&(since, id));
        if of_household.is_empty() {
            self.households.remove(&household);
        } else {
            self.sizes.insert((of_household.len(), household));
        }
    }

    /// Of the household with the most allocations, the one that has had no permission for the longest, if since `before`.
    pub fn gives_way(&self, before: Instant) -> Option<AllocationId> {
        self.sizes.iter().rev().take(HOUSEHOLDS).find_map(|(_, household)| {
            let (since, id) = self.households.get(household)?.first()?;
            (*since <= before).then_some(*id)
        })
    }
}
