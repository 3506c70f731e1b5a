//! What is known of all threads together: who has which relayed address, who is in which group, how many of each anybody has,
//! what is reserved. Every step is O(log n) in what is stored.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use twocan_base::{Ledger, Quota};

use super::groups::Groups;
use super::shares::Shares;
use crate::address::{Family, RelayAddr, RelayPort};
use crate::config::Config;
use crate::news::{GroupId, MemberId, ReservationToken};

/// Who has a relayed address.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub user: Arc<str>,
    pub group: Option<GroupId>,
    pub client: IpAddr,
    /// On this thread, and whose in the group.
    pub own: Option<Owner>,
}

/// Who has a relayed address of this thread.
#[derive(Clone, Debug)]
pub(super) struct Owner {
    /// `None`: an operator's user.
    pub member: Option<MemberId>,
}

/// A port that waits for its token.
#[derive(Clone, Debug)]
pub(super) struct Reservation {
    pub port: RelayPort,
    pub user: Arc<str>,
    pub expires: Instant,
    /// Who asked for it, on this thread; `None`: on another.
    pub client: Option<IpAddr>,
}

/// A household may reserve this part of all reservations, while there are some left.
const HOUSEHOLD_OF_RESERVATIONS: u32 = 16;

/// The tables.
pub(super) struct Directory {
    relayed: BTreeMap<RelayAddr, Holder>,
    own: u32,
    pub groups: Groups,
    /// Relayed addresses, by user.
    users: BTreeMap<Arc<str>, u32>,
    pub shares: Shares,
    reservations: BTreeMap<ReservationToken, Reservation>,
    /// Those asked for on this thread, by household.
    reserved: Ledger,
    /// In the order in which they run out; those already used are still here.
    reservation_order: VecDeque<(Instant, ReservationToken)>,
}

impl Directory {
    pub fn new(config: &Config) -> Directory {
        Directory {
            relayed: BTreeMap::new(),
            own: 0,
            groups: Groups::new(config.limits.members, config.limits.members_per_group),
            users: BTreeMap::new(),
            shares: Shares::new(config),
            reservations: BTreeMap::new(),
            reserved: Ledger::new(Quota::new(
                config.limits.reservations.into(),
                (config.limits.reservations / HOUSEHOLD_OF_RESERVATIONS).max(1).into(),
            )),
            reservation_order: VecDeque::new(),
        }
    }

    /// How many relayed addresses a user has, or is about to have.
    pub fn count_of_user(&self, user: &str) -> u32 {
        self.users.get(user).copied().unwrap_or(0)
    }

    /// One relayed address more for this user at this address. `is_own`: on this thread.
    pub fn count_up(&mut self, user: &Arc<str>, client: IpAddr, family: Family, is_own: bool) {
        *self.users.entry(user.clone()).or_default() += 1;
        self.shares.take(client, family, is_own);
    }

    /// One less.
    pub fn count_down(&mut self, user: &Arc<str>, client: IpAddr, family: Family, is_own: bool) {
        if let Some(count) = self.users.get_mut(user) {
            *count -= 1;
            if *count == 0 {
                self.users.remove(user);
            }
        }
        self.shares.give(client, family, is_own);
    }

    /// A relayed address is there. Quotas are counted apart.
    pub fn add(&mut self, relayed: RelayAddr, holder: Holder) {
        if let Some(group) = &holder.group {
            let own = holder.own.as_ref().and_then(|owner| owner.member.as_ref());
            self.groups.add_relayed(group, relayed, holder.client, own);
        }
        self.own += u32::from(holder.own.is_some());
        self.relayed.insert(relayed, holder);
    }

    /// A relayed address is gone.
    pub fn remove(&mut self, relayed: RelayAddr) -> Option<Holder> {
        let holder = self.relayed.remove(&relayed)?;
        self.own -= u32::from(holder.own.is_some());
        if let Some(group) = &holder.group {
            let own = holder.own.as_ref().and_then(|owner| owner.member.as_ref());
            self.groups.remove_relayed(group, relayed, holder.client, own);
        }
        Some(holder)
    }

    /// Whose a relayed address is.
    pub fn holder(&self, relayed: RelayAddr) -> Option<&Holder> {
        self.relayed.get(&relayed)
    }

    /// Whether `peer` is a relayed address of the group; with port 0, whether the group has one at that IP address.
    pub fn owns(&self, group: &GroupId, peer: SocketAddr) -> bool {
        if peer.port() == 0 {
            return self.groups.has_relayed_at(group, peer.ip());
        }
        self.relayed.get(&RelayAddr(peer)).is_some_and(|holder| holder.group.as_ref() == Some(group))
    }

    /// Relayed addresses of other threads.
    pub fn foreign(&self) -> u32 {
        u32::try_from(self.relayed.len()).unwrap_or(u32::MAX) - self.own
    }

    /// A port waits for its token.
    pub fn reserve(&mut self, token: ReservationToken, reservation: Reservation) {
        if let Entry::Vacant(vacant) = self.reservations.entry(token) {
            self.reservation_order.push_back((reservation.expires, token));
            if let Some(client) = reservation.client {
                self.reserved.take_surely(client, 1);
            }
            vacant.insert(reservation);
        }
    }

    /// What waits for this token, if it has not run out.
    pub fn reservation(&self, token: &ReservationToken, now: Instant) -> Option<&Reservation> {
        self.reservations.get(token).filter(|reservation| reservation.expires > now)
    }

    /// The token was used.
    pub fn redeem(&mut self, token: &ReservationToken) {
        self.take_reservation(token);
    }

    /// Whether a client at this address may reserve another port.
    pub fn may_reserve(&self, client: IpAddr, max: u32) -> bool {
        self.reservations() < max && self.reserved.fits(client, 1)
    }

    fn take_reservation(&mut self, token: &ReservationToken) -> Option<Reservation> {
        let reservation = self.reservations.remove(token)?;
        if let Some(client) = reservation.client {
            self.reserved.give(client, 1);
        }
        Some(reservation)
    }

    /// Ports reserved.
    pub fn reservations(&self) -> u32 {
        u32::try_from(self.reservations.len()).unwrap_or(u32::MAX)
    }

    /// When the next reservation runs out.
    pub fn next_reservation(&self) -> Option<Instant> {
        self.reservation_order.front().map(|(expires, _)| *expires)
    }

    /// The next port whose reservation ran out.
    pub fn expired_reservation(&mut self, now: Instant) -> Option<RelayPort> {
        while let Some((expires, token)) = self.reservation_order.front().copied()
            && expires <= now
        {
            self.reservation_order.pop_front();
            if let Some(reservation) = self.take_reservation(&token) {
                return Some(reservation.port);
            }
        }
        None
    }
}
