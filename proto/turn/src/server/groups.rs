//! Groups: whom the lobby has let in, and at which addresses its members and clients are seen. Of a group that the lobby has
//! spoken of, only who is in is remembered: whoever is not, is out, and costs nothing. Every step is O(log n) in all tables,
//! and O([`Limits::members_per_group`]) in one group.
//!
//! [`Limits::members_per_group`]: crate::Limits::members_per_group

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::ops::Bound;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use twocan_base::{Household, Ledger, Quota};

use super::allocation::Grant;
use crate::address::RelayAddr;
use crate::news::{GroupId, MemberId};

/// Changes whenever an address is no longer a group's: what was judged before is to be judged again.
#[derive(Clone, Debug, Default)]
pub(super) struct Epoch(Arc<AtomicU32>);

impl Epoch {
    pub fn now(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }

    fn next(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A member that the lobby has let in.
#[derive(Clone, Copy, Debug)]
struct Member {
    address: IpAddr,
    /// Unix seconds.
    expires: u64,
}

/// How many are seen at one address.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    members: u32,
    clients: u32,
}

/// What a group has while anybody is in it.
#[derive(Debug, Default)]
struct Live {
    members: BTreeMap<MemberId, Member>,
    seen: BTreeMap<IpAddr, Seen>,
    /// Of all threads.
    relayed: BTreeSet<RelayAddr>,
    /// Of this thread, by whose.
    own: BTreeSet<(MemberId, RelayAddr)>,
    epoch: Epoch,
}

#[derive(Debug, Default)]
struct Group {
    heard: Option<Heard>,
    live: Option<Box<Live>>,
}

/// That the lobby has spoken of a group.
#[derive(Clone, Copy, Debug)]
struct Heard {
    /// When the last credential that was granted in it has run out, in Unix seconds.
    until: u64,
    /// When somebody in it, or all of it, is next to be forgotten.
    due: u64,
    /// Who pays for the entry: the first who was let in.
    founder: IpAddr,
}

/// The table.
pub(super) struct Groups {
    groups: BTreeMap<GroupId, Group>,
    /// One entry for each group that was heard of.
    due: BTreeSet<(u64, GroupId)>,
    /// Groups heard of, and members, by household.
    entries: Ledger,
    members_per_group: usize,
}

impl Live {
    fn see(&mut self, address: IpAddr, members: u32, clients: u32) {
        let seen = self.seen.entry(address).or_default();
        seen.members += members;
        seen.clients += clients;
    }

    fn unsee(&mut self, address: IpAddr, members: u32, clients: u32) {
        let Some(seen) = self.seen.get_mut(&address) else { return };
        seen.members = seen.members.saturating_sub(members);
        seen.clients = seen.clients.saturating_sub(clients);
        if seen.members + seen.clients == 0 {
            self.seen.remove(&address);
            self.epoch.next();
        }
    }

    fn remove_member(&mut self, member: &MemberId, entries: &mut Ledger) {
        if let Some(Member { address, .. }) = self.members.remove(member) {
            entries.give(address, 1);
            self.unsee(address, 1, 0);
        }
    }

    /// Who makes room for one more from `address` in a full group: of the household with the most members, whose credential
    /// ends first. `None`: each has one, and the newcomer would be the next.
    fn gives_way(&self, address: IpAddr) -> Option<MemberId> {
        let mut counts = BTreeMap::<Household, usize>::new();
        for member in self.members.values() {
            *counts.entry(member.address.into()).or_default() += 1;
        }
        let own = Household::from(address);
        let own_count = counts.get(&own).copied().unwrap_or(0);
        let (largest, count) = counts.into_iter().max_by_key(|(_, count)| *count)?;
        let household = if count > own_count + 1 { largest } else { own };
        let of_household = self.members.iter().filter(|(_, member)| household == member.address.into());
        of_household.min_by_key(|(_, member)| member.expires).map(|(id, _)| id.clone())
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.relayed.is_empty()
    }
}

impl Groups {
    pub fn new(members: Quota, members_per_group: u32) -> Groups {
        Groups {
            groups: BTreeMap::new(),
            due: BTreeSet::new(),
            entries: Ledger::new(members),
            members_per_group: usize::try_from(members_per_group).unwrap_or(usize::MAX),
        }
    }

    /// Groups heard of and members, together.
    pub fn entries(&self) -> u32 {
        u32::try_from(self.entries.total()).unwrap_or(u32::MAX)
    }

    /// Whether a credential may be good: the lobby has let its member in, or was never heard to speak of the group (it may do so
    /// elsewhere, or have done so before this process began), or the credential is newer than the last that was heard of: the
    /// news of it is on its way, from another process.
    pub fn admits(&self, Grant { group, member, expires }: &Grant) -> bool {
        let Some(group) = self.groups.get(group) else { return true };
        group.heard.is_none_or(|heard| *expires > heard.until)
            || group.live.as_ref().is_some_and(|live| live.members.contains_key(member))
    }

    /// Whether the lobby has let this member in, and has not taken that back.
    pub fn has_member(&self, group: &GroupId, member: &MemberId) -> bool {
        self.live(group).is_some_and(|live| live.members.contains_key(member))
    }

    /// Whether a member of the group is seen at `ip`: at the lobby, or as a client of this relay.
    pub fn sees(&self, group: &GroupId, ip: IpAddr) -> bool {
        self.live(group).is_some_and(|live| live.seen.contains_key(&ip))
    }

    /// Whether the group has a relayed address at this IP address.
    pub fn has_relayed_at(&self, group: &GroupId, ip: IpAddr) -> bool {
        let from = RelayAddr(SocketAddr::new(ip, 0));
        let next = self.live(group).and_then(|live| live.relayed.range(from..).next());
        next.is_some_and(|relayed| relayed.0.ip() == ip)
    }

    /// A relayed address of the group is there. `own`: whose, if it is this thread's.
    pub fn add_relayed(
        &mut self,
        group: &GroupId,
        relayed: RelayAddr,
        client: IpAddr,
        own: Option<&MemberId>,
    ) {
        let live = self.groups.entry(group.clone()).or_default().live.get_or_insert_default();
        live.relayed.insert(relayed);
        live.see(client, 0, 1);
        if let Some(member) = own {
            live.own.insert((member.clone(), relayed));
        }
    }

    /// It is gone.
    pub fn remove_relayed(
        &mut self,
        group: &GroupId,
        relayed: RelayAddr,
        client: IpAddr,
        own: Option<&MemberId>,
    ) {
        if let Some(live) = self.live_mut(group) {
            live.relayed.remove(&relayed);
            live.unsee(client, 0, 1);
            if let Some(member) = own {
                live.own.remove(&(member.clone(), relayed));
            }
            self.tidy(group);
        }
    }

    /// What tells when the addresses of a group that has a relayed address become fewer.
    pub fn epoch(&self, group: &GroupId) -> Option<Epoch> {
        self.live(group).map(|live| live.epoch.clone())
    }

    /// At most `max` relayed addresses of this thread, and whose, after `after`.
    pub fn own(
        &self,
        group: &GroupId,
        after: &(MemberId, RelayAddr),
        max: usize,
    ) -> Vec<(MemberId, RelayAddr)> {
        let Some(live) = self.live(group) else { return Vec::new() };
        live.own.range((Bound::Excluded(after), Bound::Unbounded)).take(max).cloned().collect()
    }

    /// The lobby has let a member in, who is seen at `address`. `false`: there is no room to remember it, and in a group that was
    /// heard of, its credential is not good.
    pub fn granted(&mut self, group: &GroupId, member: &MemberId, address: IpAddr, expires: u64) -> bool {
        let address = address.to_canonical();
        let known = self.groups.get(group).and_then(|group| group.heard);
        let Some(mut heard) = known.or_else(|| {
            self.entries.fits(address, 2).then(|| {
                self.entries.take_surely(address, 1);
                Heard { until: 0, due: u64::MAX, founder: address }
            })
        }) else {
            return false;
        };
        self.due.remove(&(heard.due, group.clone()));
        heard.until = heard.until.max(expires);
        heard.due = heard.due.min(expires);
        self.due.insert((heard.due, group.clone()));
        let Groups { groups, entries, members_per_group, .. } = self;
        let entry = groups.entry(group.clone()).or_default();
        entry.heard = Some(heard);
        let live = entry.live.get_or_insert_default();
        let is_admitted = admit(live, entries, *members_per_group, member, Member { address, expires });
        self.tidy(group);
        is_admitted
    }

    /// The lobby has taken a member's credential back.
    pub fn revoked(&mut self, group: &GroupId, member: &MemberId) {
        let Groups { groups, entries, .. } = self;
        if let Some(live) = groups.get_mut(group).and_then(|group| group.live.as_mut()) {
            live.remove_member(member, entries);
            self.tidy(group);
        }
    }

    /// The lobby closed: none of its members is in any more. Whoever is let in later is.
    pub fn closed(&mut self, group: &GroupId) {
        let Groups { groups, entries, .. } = self;
        let Some(live) = groups.get_mut(group).and_then(|group| group.live.as_mut()) else { return };
        for Member { address, .. } in std::mem::take(&mut live.members).into_values() {
            entries.give(address, 1);
            live.unsee(address, 1, 0);
        }
        self.tidy(group);
    }

    /// When [`Groups::sweep`] next has something to forget, in Unix seconds.
    pub fn next_due(&self) -> Option<u64> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Forgets what has run out in one group, and says how much that was at most; 0: nothing has.
    pub fn sweep(&mut self, unix_s: u64) -> usize {
        if self.next_due().is_none_or(|due| due > unix_s) {
            return 0;
        }
        let Some((_, id)) = self.due.pop_first() else { return 0 };
        let Groups { groups, entries, due, .. } = self;
        let Some(group) = groups.get_mut(&id) else { return 1 };
        let Some(heard) = &mut group.heard else { return 1 };
        let mut looked_at = 1;
        heard.due = heard.until;
        if let Some(live) = &mut group.live {
            looked_at += live.members.len();
            let over = |(id, member): (&MemberId, &Member)| (member.expires <= unix_s).then(|| id.clone());
            let gone: Vec<MemberId> = live.members.iter().filter_map(over).collect();
            for member in gone {
                live.remove_member(&member, entries);
            }
            let next = live.members.values().map(|member| member.expires).min();
            heard.due = next.map_or(heard.until, |next| next.min(heard.until));
        }
        if heard.due > unix_s {
            due.insert((heard.due, id.clone()));
        } else {
            entries.give(heard.founder, 1);
            group.heard = None;
        }
        self.tidy(&id);
        looked_at
    }

    fn live(&self, group: &GroupId) -> Option<&Live> {
        self.groups.get(group)?.live.as_deref()
    }

    fn live_mut(&mut self, group: &GroupId) -> Option<&mut Live> {
        self.groups.get_mut(group)?.live.as_deref_mut()
    }

    /// Keeps nothing of a group that is empty but that it was heard of.
    fn tidy(&mut self, id: &GroupId) {
        let Some(group) = self.groups.get_mut(id) else { return };
        group.live.take_if(|live| live.is_empty());
        if group.live.is_none() && group.heard.is_none() {
            self.groups.remove(id);
        }
    }
}

/// Lets a member in, anew or again, if there is room.
fn admit(
    live: &mut Live,
    entries: &mut Ledger,
    members_per_group: usize,
    id: &MemberId,
    mut member: Member,
) -> bool {
    if let Some(known) = live.members.get_mut(id) {
        member.expires = member.expires.max(known.expires);
        if known.address == member.address {
            *known = member;
            return true;
        }
        live.remove_member(id, entries);
    } else if live.members.len() >= members_per_group {
        let Some(other) = live.gives_way(member.address) else { return false };
        live.remove_member(&other, entries);
    }
    let is_taken = entries.take(member.address, 1);
    if is_taken {
        live.see(member.address, 1, 0);
        live.members.insert(id.clone(), member);
    }
    is_taken
}
