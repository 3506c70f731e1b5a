//! What hosts of one network find by mDNS (RFC 6762): the names that pages put in the place of their addresses.

use std::net::IpAddr;

/// Names that can be looked up here.
#[derive(Clone, Debug, Default)]
pub struct Neighbours(Vec<(String, IpAddr)>);

impl Neighbours {
    /// Somebody here answers for this name.
    pub fn announce(&mut self, name: &str, address: IpAddr) {
        if self.address_of(name).is_none() {
            self.0.push((name.to_owned(), address));
        }
    }

    /// What it stands for, if anybody here says so.
    pub fn address_of(&self, name: &str) -> Option<IpAddr> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, address)| *address)
    }
}
