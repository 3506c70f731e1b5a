//! May this allocation talk to that peer? The one gate that CreatePermission, ChannelBind and Send go through.

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
    relay_range: RangeInclusive<u16>,
}

impl Gate {
    pub fn new(config: &Config) -> Gate {
        Gate {
            policy: config.policy.clone(),
            external: config.external,
            listeners: config.listeners.clone(),
            relay_range: config.relay_range.clone(),
        }
    }

    /// Whether `ip` is an address of this host, as far as it is known.
    pub fn is_own(&self, ip: IpAddr) -> bool {
        self.is_external(ip) || ip.is_loopback() || self.listeners.iter().any(|listener| listener.ip() == ip)
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
        let Some(group) = group else {
            return self.policy.allows(peer.ip())
                && !self.is_listener(peer)
                && !self.is_unused(directory, peer);
        };
        if self.is_own(peer.ip()) {
            return directory.owns(group, peer);
        }
        self.policy.allows(peer.ip()) && directory.groups.sees(group, peer.ip())
    }

    /// Whether `peer` is a port of the relay's range that nobody has allocated. Behind a translating router, packets between
    /// relayed addresses stay on this host: such a port would lead to whatever else listens there.
    fn is_unused(&self, directory: &Directory, peer: SocketAddr) -> bool {
        self.is_external(peer.ip())
            && self.relay_range.contains(&peer.port())
            && directory.holder(RelayAddr(peer)).is_none()
    }

    fn is_listener(&self, peer: SocketAddr) -> bool {
        self.listeners.iter().any(|listener| {
            let is_here =
                listener.ip() == peer.ip() || listener.ip().is_unspecified() && self.is_own(peer.ip());
            is_here && listener.port() == peer.port()
        })
    }
}
