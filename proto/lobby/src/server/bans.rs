//! Who was shown out. A kick bars the member, and the household it came from unless another member is there too, for as
//! long as the lobby lives; and the member from coming back by ticket, for as long as the lobby's tickets are good.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;

use twocan_base::Household;

use super::limits::{BANS_MAX, RETURNED_BANS_MAX};
use crate::wire::names::{GroupId, PeerId};

/// Those of one lobby; beyond [`BANS_MAX`] the oldest are forgotten.
#[derive(Default)]
pub(super) struct Banned(VecDeque<(PeerId, Option<Household>)>);

impl Banned {
    pub fn add(&mut self, peer: PeerId, address: Option<IpAddr>) {
        if self.0.len() >= BANS_MAX {
            self.0.pop_front();
        }
        self.0.push_back((peer, address.map(Household::from)));
    }

    pub fn is_barred(&self, peer: PeerId, address: IpAddr) -> bool {
        let household = Some(Household::from(address));
        self.0.iter().any(|(barred, from)| *barred == peer || (from.is_some() && *from == household))
    }
}

/// Those of lobbies that tickets lead to, also while nobody is there; beyond [`RETURNED_BANS_MAX`] the soonest to end are forgotten.
#[derive(Default)]
pub(super) struct Bans {
    by_group: BTreeMap<GroupId, (u64, Vec<PeerId>)>,
    /// By when the tickets end, in Unix seconds.
    order: BTreeMap<(u64, GroupId), ()>,
}

impl Bans {
    /// `expires`: when the last ticket of the group ends, in Unix seconds.
    pub fn add(&mut self, group: GroupId, peer: PeerId, expires: u64, unix: u64) {
        let (until, peers) = self.by_group.entry(group).or_insert_with(|| (expires, Vec::new()));
        self.order.insert((*until, group), ());
        if peers.len() < BANS_MAX && !peers.contains(&peer) {
            peers.push(peer);
        }
        while let Some((first @ (until, group), ())) =
            self.order.first_key_value().map(|(key, ())| (*key, ()))
            && (until <= unix || self.by_group.len() > RETURNED_BANS_MAX)
        {
            self.order.remove(&first);
            self.by_group.remove(&group);
        }
    }

    pub fn is_barred(&self, group: GroupId, peer: PeerId) -> bool {
        self.by_group.get(&group).is_some_and(|(_, peers)| peers.contains(&peer))
    }
}
