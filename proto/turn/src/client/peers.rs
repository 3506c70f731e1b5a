//! Whom we talk to: permissions by IP address (RFC 8656 9), channels by address and port (RFC 8656 12).

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::config::limits;
use super::output::SendError;
use crate::Family;
use crate::wire::ChannelNumber;

/// How data goes to a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Route {
    /// As ChannelData.
    Channel(ChannelNumber),
    /// As a Send indication: the permission is there, or asked for.
    Permitted,
    /// As a Send indication, after the permission was asked for.
    Unasked,
}

struct Permission {
    state: Asked,
    /// Since the last renewal.
    is_used: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Asked {
    Yes,
    Refused { until: Instant },
}

struct Channel {
    peer: SocketAddr,
    state: Binding,
    is_used: bool,
}

/// A channel's number belongs to its peer as long as the allocation lives, so it can be bound again at any time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Binding {
    Asked,
    Bound,
    /// Out of use, and perhaps expired.
    Idle,
    /// The server did not take it: Send indications it is.
    Impossible,
}

/// All permissions and channels of one allocation. Channel `n` is at index `n - 0x4000`.
pub(super) struct Peers {
    family: Family,
    permissions: BTreeMap<IpAddr, Permission>,
    channels: Vec<Channel>,
    by_peer: BTreeMap<SocketAddr, ChannelNumber>,
}

impl Peers {
    /// For a relayed address of that family.
    pub fn of(family: Family) -> Peers {
        Peers { family, permissions: BTreeMap::new(), channels: Vec::new(), by_peer: BTreeMap::new() }
    }

    /// How data goes to `peer`, who is in use from now on.
    pub fn route(&mut self, peer: SocketAddr, now: Instant) -> Result<Route, SendError> {
        if let Some(&number) = self.by_peer.get(&peer)
            && let Some(channel) = self.channel(number)
            && channel.state == Binding::Bound
        {
            channel.is_used = true;
            return Ok(Route::Channel(number));
        }
        if self.family != Family::of(peer.ip()) || peer.port() == 0 {
            return Err(SendError::Unreachable);
        }
        let is_full = self.permissions.len() >= limits::PERMISSIONS_MAX;
        match self.permissions.get_mut(&peer.ip()) {
            Some(Permission { state: Asked::Refused { until }, .. }) if now < *until => {
                Err(SendError::Refused)
            }
            Some(permission @ Permission { state: Asked::Refused { .. }, .. }) => {
                *permission = Permission { state: Asked::Yes, is_used: true };
                Ok(Route::Unasked)
            }
            Some(permission) => {
                permission.is_used = true;
                Ok(Route::Permitted)
            }
            None if is_full => Err(SendError::TooManyPeers),
            None => {
                self.permissions.insert(peer.ip(), Permission { state: Asked::Yes, is_used: true });
                Ok(Route::Unasked)
            }
        }
    }

    /// Whether a permission for `peer` is to be asked for now.
    pub fn want(&mut self, peer: IpAddr, now: Instant) -> bool {
        if let Some(permission) = self.permissions.get_mut(&peer) {
            permission.is_used = true;
            if permission.state == Asked::Yes
                || matches!(permission.state, Asked::Refused { until } if now < until)
            {
                return false;
            }
        } else if self.permissions.len() >= limits::PERMISSIONS_MAX {
            return false;
        }
        self.permissions.insert(peer, Permission { state: Asked::Yes, is_used: true });
        true
    }

    /// The server does not relay to `peer`.
    pub fn refused(&mut self, peer: IpAddr, now: Instant) {
        if let Some(permission) = self.permissions.get_mut(&peer) {
            permission.state = Asked::Refused { until: now + limits::REFUSED };
        }
        for channel in self.channels.iter_mut().filter(|channel| channel.peer.ip() == peer) {
            channel.state = Binding::Idle;
        }
    }

    /// Whether data from there is expected.
    pub fn is_permitted(&self, peer: IpAddr) -> bool {
        self.permissions.get(&peer).is_some_and(|permission| permission.state == Asked::Yes)
    }

    /// The number to bind for a peer who has sent something; `None` if nothing is to be done.
    pub fn number_for(&mut self, peer: SocketAddr) -> Option<ChannelNumber> {
        if let Some(&number) = self.by_peer.get(&peer) {
            let channel = self.channel(number)?;
            if channel.state != Binding::Idle {
                return None;
            }
            *channel = Channel { peer, state: Binding::Asked, is_used: true };
            return Some(number);
        }
        if self.channels.len() >= limits::CHANNELS_MAX {
            return None;
        }
        let index = u16::try_from(self.channels.len()).ok()?;
        let number = ChannelNumber::new(ChannelNumber::MIN + index)?;
        self.channels.push(Channel { peer, state: Binding::Asked, is_used: true });
        self.by_peer.insert(peer, number);
        Some(number)
    }

    /// The server took the channel, or not.
    pub fn bound(&mut self, number: ChannelNumber, is_bound: bool) {
        if let Some(channel) = self.channel(number) {
            channel.state = if is_bound { Binding::Bound } else { Binding::Impossible };
        }
    }

    /// Who is behind a channel.
    pub fn peer_of(&self, number: ChannelNumber) -> Option<SocketAddr> {
        let channel = self.channels.get(usize::from(number.number() - ChannelNumber::MIN))?;
        Some(channel.peer)
    }

    /// What is to be asked for again: channels, and permissions of peers without one. What was not used since the last
    /// time is forgotten.
    pub fn renew(&mut self) -> (Vec<ChannelNumber>, Vec<IpAddr>) {
        let mut numbers = Vec::new();
        let mut covered = Vec::new();
        for (channel, number) in self.channels.iter_mut().zip(ChannelNumber::MIN..) {
            if channel.state == Binding::Bound && channel.is_used {
                channel.is_used = false;
                covered.push(channel.peer.ip());
                numbers.extend(ChannelNumber::new(number));
            } else if channel.state == Binding::Bound {
                channel.state = Binding::Idle;
            }
        }
        self.permissions.retain(|ip, permission| {
            let is_used = permission.is_used || covered.contains(ip);
            permission.is_used = false;
            is_used && permission.state == Asked::Yes
        });
        let ips = self.permissions.keys().copied().filter(|ip| !covered.contains(ip)).collect();
        (numbers, ips)
    }

    /// Those with a permission, for a new allocation, which has no channels yet.
    pub fn restart(&mut self) {
        self.channels.clear();
        self.by_peer.clear();
        self.permissions.retain(|_, permission| permission.state == Asked::Yes);
    }

    /// Everyone with a permission.
    pub fn permitted(&self) -> Vec<IpAddr> {
        self.permissions.keys().copied().collect()
    }

    pub fn is_empty(&self) -> bool {
        self.permissions.is_empty()
    }

    fn channel(&mut self, number: ChannelNumber) -> Option<&mut Channel> {
        self.channels.get_mut(usize::from(number.number() - ChannelNumber::MIN))
    }
}
