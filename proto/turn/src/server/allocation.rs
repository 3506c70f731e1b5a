//! What one client has, and where all of that is kept.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use twocan_stun::{ErrorCode, IntegrityKey, TransactionId};

use super::channel::Channels;
use super::directory::Directory;
use super::gate::Gate;
use super::groups::Epoch;
use super::permission::{Permission, Permissions};
use super::ports::Wanted;
use super::quota::{Bucket, DataBuckets};
use crate::address::{ClientAddr, Family, RelayPort};
use crate::news::{GroupId, MemberId, ReservationToken};
use crate::stats::Discard;

/// Where an allocation is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct AllocationId(pub u32);

/// To whom the lobby granted a credential.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Grant {
    pub group: GroupId,
    pub member: MemberId,
    /// Unix seconds.
    pub expires: u64,
}

/// Which key answers are sealed with, and how.
#[derive(Clone, Debug)]
pub(super) struct Seal {
    pub key: IntegrityKey,
    pub is_sha256: bool,
}

/// One relayed address.
#[derive(Clone, Copy, Debug)]
pub(super) struct Relayed {
    pub port: RelayPort,
    pub expires: Instant,
    pub is_open: bool,
}

/// An Allocate whose ports are not open yet.
#[derive(Debug)]
pub(super) struct Opening {
    pub seal: Seal,
    pub wanted: Wanted,
    /// How many more ports may be tried.
    pub attempts: u32,
    /// The port was reserved before: no other one will do.
    pub is_redeemed: bool,
}

/// The state of one 5-tuple (RFC 8656 2.2).
#[derive(Debug)]
pub(super) struct Allocation {
    pub client: ClientAddr,
    pub user: Arc<str>,
    /// The user's place in meters.
    pub user_place: u64,
    pub grant: Option<Grant>,
    pub credential_expires: Option<Instant>,
    /// Of the Allocate, to know it again.
    pub transaction: TransactionId,
    /// What the Allocate was answered, to answer it again.
    pub lifetime_s: u32,
    pub token: Option<ReservationToken>,
    pub failed: Option<(Family, ErrorCode)>,
    pub opening: Option<Box<Opening>>,
    pub v4: Option<Relayed>,
    pub v6: Option<Relayed>,
    pub permissions: Permissions,
    pub channels: Channels,
    pub data: DataBuckets,
    pub new_peers: Bucket,
    /// Of the group, once there is a relayed address.
    pub epoch: Option<Epoch>,
    /// Since when it has had no permission, or until when it has one: where it stands in [`super::quiet::Quiet`].
    pub quiet_since: Instant,
    /// Where it stands in the table of deadlines.
    pub deadline: Instant,
}

/// How many permissions and channels there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Peers {
    pub permissions: u32,
    pub channels: u32,
}

impl Peers {
    pub fn all(self) -> u64 {
        u64::from(self.permissions) + u64::from(self.channels)
    }
}

impl Allocation {
    pub fn peers(&self) -> Peers {
        Peers { permissions: self.permissions.len(), channels: self.channels.len() }
    }

    pub fn slot(&mut self, family: Family) -> &mut Option<Relayed> {
        match family {
            Family::V4 => &mut self.v4,
            Family::V6 => &mut self.v6,
        }
    }

    /// The open port of a family, unless it ran out.
    pub fn live_port(&self, family: Family, now: Instant) -> Option<RelayPort> {
        let relayed = match family {
            Family::V4 => self.v4,
            Family::V6 => self.v6,
        };
        relayed.filter(|relayed| relayed.is_open && relayed.expires > now).map(|relayed| relayed.port)
    }

    pub fn relayed(&self) -> impl Iterator<Item = Relayed> + use<> {
        [self.v4, self.v6].into_iter().flatten()
    }

    /// When something about it ends.
    pub fn next_deadline(&self) -> Option<Instant> {
        let relayed = self.relayed().map(|relayed| relayed.expires).min()?;
        Some(self.credential_expires.map_or(relayed, |credential| credential.min(relayed)))
    }

    /// What its permissions must have been judged at to be good.
    pub fn epoch(&self) -> u32 {
        self.epoch.as_ref().map_or(0, Epoch::now)
    }

    pub fn group(&self) -> Option<&GroupId> {
        self.grant.as_ref().map(|grant| &grant.group)
    }

    /// The permission by which `peer` may be sent to and heard. It is judged anew where the address is one of our own, and where
    /// addresses were taken from the group since: whoever is gone is not reached, whatever was permitted.
    pub fn permitted(
        &mut self,
        peer: SocketAddr,
        gate: &Gate,
        directory: &Directory,
        now: Instant,
    ) -> Result<&mut Permission, Discard> {
        let epoch = self.epoch();
        let permission = self.permissions.live(peer.ip(), now).ok_or(Discard::NoPermission)?;
        if permission.is_own || permission.epoch != epoch {
            let group = self.grant.as_ref().map(|grant| &grant.group);
            if !gate.admits(directory, group, peer) {
                return Err(Discard::PeerDenied);
            }
            permission.epoch = epoch;
        }
        Ok(permission)
    }

    /// The permission by which `peer` is heard at `port`.
    pub fn hears(
        &mut self,
        peer: SocketAddr,
        port: RelayPort,
        gate: &Gate,
        directory: &Directory,
        now: Instant,
    ) -> Result<&mut Permission, Discard> {
        if self.live_port(port.family, now) != Some(port) {
            return Err(Discard::NoPort);
        }
        self.permitted(peer, gate, directory, now)
    }

    /// Charges one packet of `bytes` payload, in either direction.
    pub fn charge(&mut self, bytes: usize, now: Instant) -> Result<(), Discard> {
        self.data.take(u32::try_from(bytes).unwrap_or(u32::MAX), now)
    }
}

/// All allocations, found by number in one step.
#[derive(Default)]
pub(super) struct Allocations {
    slots: Vec<Option<Allocation>>,
    free: Vec<AllocationId>,
    len: u32,
}

impl Allocations {
    pub fn len(&self) -> u32 {
        self.len
    }

    pub fn get(&self, id: AllocationId) -> Option<&Allocation> {
        self.slots.get(id.0 as usize)?.as_ref()
    }

    pub fn get_mut(&mut self, id: AllocationId) -> Option<&mut Allocation> {
        self.slots.get_mut(id.0 as usize)?.as_mut()
    }

    pub fn insert(&mut self, allocation: Allocation) -> AllocationId {
        self.len += 1;
        if let Some(id) = self.free.pop() {
            if let Some(slot) = self.slots.get_mut(id.0 as usize) {
                *slot = Some(allocation);
            }
            return id;
        }
        let id = AllocationId(u32::try_from(self.slots.len()).expect("limited by Limits::allocations"));
        self.slots.push(Some(allocation));
        id
    }

    pub fn remove(&mut self, id: AllocationId) -> Option<Allocation> {
        let allocation = self.slots.get_mut(id.0 as usize)?.take()?;
        self.free.push(id);
        self.len -= 1;
        Some(allocation)
    }
}
