//! May this allocation talk to that peer? The one gate that CreatePermission, ChannelBind and Send go through.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;

use super::directory::Directory;
use crate::address::RelayAddr;
use crate::config::{Config, External};
use crate::news::GroupId;
use crate::policy::Policy;

/// What the operator allows, and which addresses are ours.
pub(super) struct Gate {
    policy: Policy,
    external: External,
    listeners: Vec<SocketAddr>,
    /// Addresses of this host's interfaces.
    own: BTreeSet<IpAddr>,
    relay_range: RangeInclusive<u16>,
}

impl Gate {
    pub fn new(config: &Config) -> Gate {
        let mut gate = Gate {
            policy: config.policy.clone(),
            external: config.external,
            listeners: config.listeners.clone(),
            own: BTreeSet::new(),
            relay_range: config.relay_range.clone(),
        };
        gate.set_own(&config.own_addresses);
        gate
    }

    /// From now on, the host's interfaces have these addresses.
    pub fn set_own(&mut self, addresses: &[IpAddr]) {
        let of_listeners = self.listeners.iter().map(SocketAddr::ip).filter(|ip| !ip.is_unspecified());
        self.own = addresses.iter().copied().chain(of_listeners).map(|ip| ip.to_canonical()).collect();
    }

    pub fn set_external(&mut self, external: External) {
        self.external = external;
    }

    /// Whether `ip` is an address of this host, as far as it is known.
    pub fn is_own(&self, ip: IpAddr) -> bool {
        self.is_external(ip) || ip.is_loopback() || self.own.contains(&ip)
    }

    fn is_external(&self, ip: IpAddr) -> bool {
        match ip {
            IpAddr::V4(ip) => self.external.v4 == Some(ip),
            IpAddr::V6(ip) => self.external.v6 == Some(ip),
        }
    }

    /// Whether `peer` may be talked to, and heard. `group` is the lobby's group that the credential is bound to. A port
    /// of 0 (a permission knows none) stands for any port at that address.
    pub fn admits(&self, directory: &Directory, group: Option<&GroupId>, peer: SocketAddr) -> bool {
        match (group, self.is_own(peer.ip())) {
            (Some(group), true) => directory.owns(group, peer),
            (Some(group), false) => self.policy.allows(peer.ip()) && directory.groups.sees(group, peer.ip()),
            (None, true) => self.policy.allows(peer.ip()) && self.is_open_here(directory, peer),
            (None, false) => self.policy.allows(peer.ip()),
        }
    }

    /// Whether an operator's user reaches `peer` on this host: a relayed address, or where the operator names this host, whatever
    /// is neither a listener of ours nor in the relay's range. (Behind a translating router, packets between relayed addresses
    /// stay on this host: an unused port would lead to whatever else listens there.)
    fn is_open_here(&self, directory: &Directory, peer: SocketAddr) -> bool {
        let is_relayed = directory.holder(RelayAddr(peer)).is_some();
        let is_any_port = peer.port() == 0 && self.is_external(peer.ip());
        let is_in_range = self.is_external(peer.ip()) && self.relay_range.contains(&peer.port());
        is_relayed
            || is_any_port
            || self.policy.names_host(peer.ip()) && !self.is_listener(peer) && !is_in_range
    }

    fn is_listener(&self, peer: SocketAddr) -> bool {
        self.listeners.iter().any(|listener| {
            let is_here =
                listener.ip() == peer.ip() || listener.ip().is_unspecified() && self.is_own(peer.ip());
            is_here && listener.port() == peer.port()
        })
    }
}
