//! Which peers may reach a client, by IP address (RFC 8656 9).

use std::net::IpAddr;
use std::time::Instant;

/// Ports of one address that are known to have answered. An allocation of ICE has one in use; of more, each is known again with
/// its next packet.
const ANSWERED: usize = 8;

/// One address that may send and be sent to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Permission {
    ip: IpAddr,
    pub expires: Instant,
    /// The address is one of the server's own, where some ports are allowed and others are not: each packet is judged.
    pub is_own: bool,
    /// When the address was last judged: see [`super::groups::Epoch`].
    pub epoch: u32,
    /// Ports from which something has come back, the latest of them; 0 is none.
    answered: [u16; ANSWERED],
    oldest: u8,
}

impl Permission {
    pub fn new(ip: IpAddr, is_own: bool, epoch: u32, expires: Instant) -> Permission {
        Permission { ip, expires, is_own, epoch, answered: [0; ANSWERED], oldest: 0 }
    }

    /// Whether something has come back from this port.
    pub fn has_answered(&self, port: u16) -> bool {
        self.answered.contains(&port)
    }

    /// Something has come back from this port.
    pub fn answer(&mut self, port: u16) {
        if !self.has_answered(port)
            && let Some(slot) = self.answered.get_mut(usize::from(self.oldest))
        {
            *slot = port;
            self.oldest = (self.oldest + 1) % ANSWERED as u8;
        }
    }
}

/// The permissions of one allocation, sorted by address.
#[derive(Debug, Default)]
pub(super) struct Permissions(Vec<Permission>);

impl Permissions {
    /// The permission for `ip`, unless it ran out.
    pub fn live(&mut self, ip: IpAddr, now: Instant) -> Option<&mut Permission> {
        let index = self.0.binary_search_by_key(&ip, |permission| permission.ip).ok()?;
        self.0.get_mut(index).filter(|permission| permission.expires > now)
    }

    /// Installs or refreshes.
    pub fn install(&mut self, permission: Permission) {
        match self.0.binary_search_by_key(&permission.ip, |known| known.ip) {
            Ok(index) => {
                if let Some(known) = self.0.get_mut(index) {
                    let Permission { answered, oldest, .. } = *known;
                    *known = Permission { answered, oldest, ..permission };
                }
            }
            Err(index) => self.0.insert(index, permission),
        }
    }

    /// Forgets those that ran out.
    pub fn sweep(&mut self, now: Instant) {
        self.0.retain(|permission| permission.expires > now);
    }

    pub fn len(&self) -> u32 {
        u32::try_from(self.0.len()).unwrap_or(u32::MAX)
    }
}
