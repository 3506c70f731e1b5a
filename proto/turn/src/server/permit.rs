//! CreatePermission and ChannelBind (RFC 8656 10, 12): whom a client may talk to, all of a request or nothing.

use std::net::SocketAddr;
use std::time::Instant;

use twocan_stun::ErrorCode;
use twocan_stun::attribute::{ChannelNumber as ChannelNumberAttribute, XorPeerAddress};

use super::Server;
use super::allocation::AllocationId;
use super::answer::Request;
use super::channel::Conflict;
use super::permission::Permission;
use crate::address::Family;
use crate::wire::ChannelNumber;

impl Server {
    pub(super) fn create_permission(&mut self, request: &Request<'_>, now: Instant) {
        match self.try_create_permission(request, now) {
            Ok(()) => self.accept(request, None),
            Err(code) => self.refuse(request, code),
        }
    }

    fn try_create_permission(&mut self, request: &Request<'_>, now: Instant) -> Result<(), ErrorCode> {
        let id = self.own_allocation(request)?;
        let max = self.limits.peers_per_request as usize;
        let peers: Vec<SocketAddr> = request
            .message
            .all::<XorPeerAddress>()
            .take(max + 1)
            .map(|peer| peer.map(|XorPeerAddress(peer)| peer))
            .collect::<Result<_, _>>()
            .map_err(|_| ErrorCode::BAD_REQUEST)?;
        if peers.is_empty() || peers.len() > max {
            return Err(ErrorCode::BAD_REQUEST);
        }
        self.permit(id, &peers, 0, now)
    }

    pub(super) fn channel_bind(&mut self, request: &Request<'_>, now: Instant) {
        match self.try_channel_bind(request, now) {
            Ok(()) => self.accept(request, None),
            Err(code) => self.refuse(request, code),
        }
    }

    fn try_channel_bind(&mut self, request: &Request<'_>, now: Instant) -> Result<(), ErrorCode> {
        let id = self.own_allocation(request)?;
        let bad = |_| ErrorCode::BAD_REQUEST;
        let number = request.message.get::<ChannelNumberAttribute>().map_err(bad)?;
        let peer = request.message.get::<XorPeerAddress>().map_err(bad)?;
        let (Some(ChannelNumberAttribute(number)), Some(XorPeerAddress(peer))) = (number, peer) else {
            return Err(ErrorCode::BAD_REQUEST);
        };
        let number = ChannelNumber::new(number)
            .filter(|number| number.number() <= self.limits.channel_number_max)
            .ok_or(ErrorCode::BAD_REQUEST)?;
        if peer.port() == 0 {
            return Err(ErrorCode::BAD_REQUEST);
        }
        let max = self.limits.channels_per_allocation;
        let allocation = self.allocations.get_mut(id).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        let (client, before) = (allocation.client.remote.ip(), allocation.peers());
        let checked = allocation.channels.check(number, peer, max, now);
        let is_new = allocation.channels.number(peer, now).is_none();
        let after = allocation.peers();
        self.count_peers(client, before, after);
        checked.map_err(|conflict| match conflict {
            Conflict::Taken => ErrorCode::BAD_REQUEST,
            Conflict::Full => ErrorCode::INSUFFICIENT_CAPACITY,
        })?;
        self.permit(id, &[peer], u32::from(is_new), now)?;
        if let Some(allocation) = self.allocations.get_mut(id) {
            let before = allocation.peers();
            allocation.channels.bind(number, peer, now + self.limits.channel_lifetime);
            let after = allocation.peers();
            self.count_peers(client, before, after);
        }
        Ok(())
    }

    /// The allocation has a permission until `since`.
    fn put_quiet_since(&mut self, id: AllocationId, since: Instant) {
        let Some(allocation) = self.allocations.get_mut(id) else { return };
        let (client, before) = (allocation.client.remote.ip(), allocation.quiet_since);
        allocation.quiet_since = since;
        for relayed in allocation.relayed() {
            let quiet = self.quiet(relayed.port.family);
            quiet.remove(client, before, id);
            quiet.insert(client, since, id);
        }
    }

    /// Installs or refreshes a permission for each of `peers`, or for none; as many `channels` are to be bound besides.
    fn permit(
        &mut self,
        id: AllocationId,
        peers: &[SocketAddr],
        channels: u32,
        now: Instant,
    ) -> Result<(), ErrorCode> {
        let allocation = self.allocations.get_mut(id).ok_or(ErrorCode::ALLOCATION_MISMATCH)?;
        if peers.iter().any(|peer| allocation.live_port(Family::of(peer.ip()), now).is_none()) {
            return Err(ErrorCode::PEER_ADDRESS_FAMILY_MISMATCH);
        }
        if !peers.iter().all(|peer| self.gate.admits(&self.directory, allocation.group(), *peer)) {
            return Err(ErrorCode::FORBIDDEN);
        }
        let (client, before) = (allocation.client.remote.ip(), allocation.peers());
        allocation.permissions.sweep(now);
        let mut new: Vec<_> = peers.iter().map(SocketAddr::ip).collect();
        new.sort_unstable();
        new.dedup();
        new.retain(|ip| allocation.permissions.live(*ip, now).is_none());
        let new = u32::try_from(new.len()).unwrap_or(u32::MAX);
        let after = allocation.peers();
        let may = allocation.permissions.len() + new <= self.limits.permissions_per_allocation
            && (new + channels == 0 || self.peers.fits(client, u64::from(new + channels)))
            && allocation.new_peers.take(self.limits.new_peers, new, now);
        self.count_peers(client, before, after);
        let allocation =
            self.allocations.get_mut(id).filter(|_| may).ok_or(ErrorCode::INSUFFICIENT_CAPACITY)?;
        let expires = now + self.limits.permission_lifetime;
        let epoch = allocation.epoch();
        for peer in peers {
            let permission = Permission::new(peer.ip(), self.gate.is_own(peer.ip()), epoch, expires);
            allocation.permissions.install(permission);
        }
        let installed = allocation.peers();
        self.count_peers(client, after, installed);
        self.put_quiet_since(id, expires);
        Ok(())
    }
}
