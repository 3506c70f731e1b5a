//! May this allocation talk to that peer? The one gate that CreatePermission, ChannelBind and Send go through.

use std::net::{IpAddr, SocketAddr};

use super::directory::Directory;
use crate::config::{Config, External};
use crate::news::GroupId;
use crate::policy::Policy;

/// What the operator allows, and which addresses are ours.
pub(super) struct Gate {
    policy: Policy,
    external: External,
    listeners: Vec<SocketAddr>,
}

impl Gate {
    pub fn new(config: &Config) -> Gate {
        Gate { policy: config.policy.clone(), external: config.external, listeners: config.listeners.clone() }
    }

    /// Whether `ip` is an address of this host, as far as it is known.
    pub fn is_own(&self, ip: IpAddr) -> bool {
        let external = match ip {
            IpAddr::V4(ip) => self.external.v4 == Some(ip),
            IpAddr::V6(ip) => self.external.v6 == Some(ip),
        };
        external || ip.is_loopback() || self.listeners.iter().any(|listener| listener.ip() == ip)
    }

    /// Whether `peer` may be talked to, and heard. `group` is the lobby's group that the credential is bound to. A port
    /// of 0 (a permission knows none) stands for any port at that address.
    pub fn admits(
        &self,
        directory: &Directory,
        group: Option<&GroupId>,
        peer: SocketAddr,
        unix_s: u64,
    ) -> bool {
        let Some(group) = group else {
            return self.policy.allows(peer.ip()) && !self.is_listener(peer);
        };
        if self.is_own(peer.ip()) {
            return directory.owns(group, peer);
        }
        self.policy.allows(peer.ip()) && directory.sees(group, peer.ip(), unix_s)
    }

    fn is_listener(&self, peer: SocketAddr) -> bool {
        self.listeners.iter().any(|listener| {
            let is_here =
                listener.ip() == peer.ip() || listener.ip().is_unspecified() && self.is_own(peer.ip());
            is_here && listener.port() == peer.port()
        })
    }
}
