//! What is known of all threads together: who has which relayed address, who is in which group, what is reserved.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crate::address::{RelayAddr, RelayPort};
use crate::news::{GroupId, MemberId, ReservationToken};

/// Who has a relayed address.
#[derive(Clone, Debug)]
pub(super) struct Holder {
    pub user: Arc<str>,
    pub group: Option<GroupId>,
    pub client: IpAddr,
    /// On this thread.
    pub is_own: bool,
}

/// A member of a group, as the lobby told.
#[derive(Clone, Debug)]
struct Member {
    address: Option<IpAddr>,
    expires: u64,
    is_revoked: bool,
}

#[derive(Debug, Default)]
struct Group {
    members: BTreeMap<MemberId, Member>,
    relayed: BTreeSet<RelayAddr>,
    /// The lobby closed it; remembered until all of its credentials have run out.
    closed_until: Option<u64>,
}

impl Group {
    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.relayed.is_empty() && self.closed_until.is_none()
    }

    fn entries(&self) -> u32 {
        u32::try_from(self.members.len()).unwrap_or(u32::MAX) + u32::from(self.closed_until.is_some())
    }
}

/// A port that waits for its token.
#[derive(Clone, Debug)]
pub(super) struct Reservation {
    pub port: RelayPort,
    pub user: Arc<str>,
    pub expires: Instant,
}

/// The tables.
#[derive(Default)]
pub(super) struct Directory {
    relayed: BTreeMap<RelayAddr, Holder>,
    own: u32,
    groups: BTreeMap<GroupId, Group>,
    members: u32,
    users: BTreeMap<Arc<str>, u32>,
    addresses: BTreeMap<IpAddr, u32>,
    reservations: BTreeMap<ReservationToken, Reservation>,
    /// In the order in which they run out; those already used are still here.
    reservation_order: VecDeque<(Instant, ReservationToken)>,
}

impl Directory {
    /// How many relayed addresses a user has, or is about to have.
    pub fn count_of_user(&self, user: &str) -> u32 {
        self.users.get(user).copied().unwrap_or(0)
    }

    /// The same of a client's address.
    pub fn count_of_address(&self, client: IpAddr) -> u32 {
        self.addresses.get(&quota_address(client)).copied().unwrap_or(0)
    }

    /// One relayed address more for this user at this address.
    pub fn count_up(&mut self, user: &Arc<str>, client: IpAddr) {
        *self.users.entry(user.clone()).or_default() += 1;
        *self.addresses.entry(quota_address(client)).or_default() += 1;
    }

    /// One less.
    pub fn count_down(&mut self, user: &Arc<str>, client: IpAddr) {
        decrement(&mut self.users, user);
        decrement(&mut self.addresses, &quota_address(client));
    }

    /// A relayed address is there. Quotas are counted apart.
    pub fn add(&mut self, relayed: RelayAddr, holder: Holder) {
        if let Some(group) = &holder.group {
            self.groups.entry(group.clone()).or_default().relayed.insert(relayed);
        }
        self.own += u32::from(holder.is_own);
        self.relayed.insert(relayed, holder);
    }

    /// A relayed address is gone.
    pub fn remove(&mut self, relayed: RelayAddr) -> Option<Holder> {
        let holder = self.relayed.remove(&relayed)?;
        self.own -= u32::from(holder.is_own);
        if let Some(id) = &holder.group
            && let Some(group) = self.groups.get_mut(id)
        {
            group.relayed.remove(&relayed);
            if group.is_empty() {
                self.groups.remove(id);
            }
        }
        Some(holder)
    }

    /// Whose a relayed address is.
    pub fn holder(&self, relayed: RelayAddr) -> Option<&Holder> {
        self.relayed.get(&relayed)
    }

    /// Whether `peer` is a relayed address of the group; with port 0, whether the group has one at that IP address.
    pub fn owns(&self, group: &GroupId, peer: SocketAddr) -> bool {
        if peer.port() != 0 {
            return self
                .relayed
                .get(&RelayAddr(peer))
                .is_some_and(|holder| holder.group.as_ref() == Some(group));
        }
        let Some(group) = self.groups.get(group) else { return false };
        group.relayed.range(RelayAddr(peer)..).next().is_some_and(|relayed| relayed.0.ip() == peer.ip())
    }

    /// Whether a member of the group is seen at `ip`: at the lobby, or as a client of this relay.
    pub fn sees(&self, group: &GroupId, ip: IpAddr, unix_s: u64) -> bool {
        let Some(group) = self.groups.get(group) else { return false };
        let is_member =
            |member: &Member| member.address == Some(ip) && !member.is_revoked && member.expires > unix_s;
        let is_client =
            |relayed: &RelayAddr| self.relayed.get(relayed).is_some_and(|holder| holder.client == ip);
        group.members.values().any(is_member) || group.relayed.iter().any(is_client)
    }

    /// Whether the lobby took this member's credential back.
    pub fn is_revoked(&self, group: &GroupId, member: &MemberId) -> bool {
        self.groups.get(group).is_some_and(|group| {
            group.closed_until.is_some() || group.members.get(member).is_some_and(|member| member.is_revoked)
        })
    }

    /// The group's relayed addresses of this thread.
    pub fn own_of_group(&self, group: &GroupId) -> Vec<RelayAddr> {
        let is_own = |relayed: &&RelayAddr| self.relayed.get(relayed).is_some_and(|holder| holder.is_own);
        self.groups
            .get(group)
            .map(|group| group.relayed.iter().filter(is_own).copied().collect())
            .unwrap_or_default()
    }

    /// The lobby granted a credential; a closed group lives again. `false`: there is no room to remember it.
    pub fn granted(
        &mut self,
        group: &GroupId,
        member: &MemberId,
        address: IpAddr,
        expires: u64,
        max: u32,
    ) -> bool {
        if let Some(group) = self.groups.get_mut(group)
            && group.closed_until.take().is_some()
        {
            self.members -= 1;
        }
        self.remember(group, member, max, |member| {
            member.address = Some(address.to_canonical());
            member.expires = member.expires.max(expires);
            member.is_revoked = false;
        })
    }

    /// The lobby took one back. `until` is how long that is remembered if the credential's end is unknown.
    pub fn revoked(&mut self, group: &GroupId, member: &MemberId, until: u64, max: u32) -> bool {
        self.remember(group, member, max, |member| {
            member.is_revoked = true;
            if member.expires == 0 {
                member.expires = until;
            }
        })
    }

    fn remember(
        &mut self,
        group: &GroupId,
        member: &MemberId,
        max: u32,
        change: impl FnOnce(&mut Member),
    ) -> bool {
        let is_known = self.groups.get(group).is_some_and(|group| group.members.contains_key(member));
        if !is_known && self.members >= max {
            return false;
        }
        self.members += u32::from(!is_known);
        let members = &mut self.groups.entry(group.clone()).or_default().members;
        let unknown = Member { address: None, expires: 0, is_revoked: false };
        change(members.entry(member.clone()).or_insert(unknown));
        true
    }

    /// The lobby closed a group. `until` as in [`Directory::revoked`].
    pub fn closed(&mut self, id: &GroupId, until: u64, max: u32) -> bool {
        let is_known = self.groups.get(id).is_some_and(|group| group.entries() > 0);
        if !is_known && self.members >= max {
            return false;
        }
        let group = self.groups.entry(id.clone()).or_default();
        let before = group.entries();
        // The end of the group stands for the end of each of its members.
        group.closed_until = Some(group.members.values().map(|member| member.expires).max().unwrap_or(until));
        group.members.clear();
        let after = group.entries();
        self.members = self.members - before + after;
        true
    }

    /// Forgets what has run out.
    pub fn sweep(&mut self, unix_s: u64) {
        for group in self.groups.values_mut() {
            let before = group.entries();
            group.members.retain(|_, member| member.expires > unix_s);
            group.closed_until = group.closed_until.filter(|until| *until > unix_s);
            self.members -= before - group.entries();
        }
        self.groups.retain(|_, group| !group.is_empty());
    }

    /// Members remembered.
    pub fn members(&self) -> u32 {
        self.members
    }

    /// Relayed addresses of other threads.
    pub fn foreign(&self) -> u32 {
        u32::try_from(self.relayed.len()).unwrap_or(u32::MAX) - self.own
    }

    /// A port waits for its token.
    pub fn reserve(&mut self, token: ReservationToken, reservation: Reservation) {
        if let Entry::Vacant(vacant) = self.reservations.entry(token) {
            self.reservation_order.push_back((reservation.expires, token));
            vacant.insert(reservation);
        }
    }

    /// What waits for this token, if it has not run out.
    pub fn reservation(&self, token: &ReservationToken, now: Instant) -> Option<&Reservation> {
        self.reservations.get(token).filter(|reservation| reservation.expires > now)
    }

    /// The token was used.
    pub fn redeem(&mut self, token: &ReservationToken) {
        self.reservations.remove(token);
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
            if let Some(reservation) = self.reservations.remove(&token) {
                return Some(reservation.port);
            }
        }
        None
    }
}

/// What an address is counted under: an IPv4 address, or the /64 of an IPv6 one.
fn quota_address(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.into(),
        IpAddr::V6(ip) => std::net::Ipv6Addr::from_bits(ip.to_bits() >> 64 << 64).into(),
    }
}

fn decrement<K: Ord>(counts: &mut BTreeMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}
