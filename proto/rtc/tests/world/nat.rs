//! NATs in RFC 4787's words: how they map, and what they let in.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};

use rand_chacha::ChaCha8Rng;
use rand_core::RngCore as _;

/// What a mapping, or the right to send to it, depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    EndpointIndependent,
    AddressDependent,
    AddressAndPortDependent,
}

impl Rule {
    /// The part of a remote address that counts.
    fn part(self, remote: SocketAddr) -> Option<SocketAddr> {
        match self {
            Rule::EndpointIndependent => None,
            Rule::AddressDependent => Some(SocketAddr::new(remote.ip(), 0)),
            Rule::AddressAndPortDependent => Some(remote),
        }
    }
}

/// One NAT with one public address, without hairpin.
pub struct Nat {
    pub public: IpAddr,
    mapping: Rule,
    filtering: Rule,
    ports: BTreeMap<(SocketAddr, Option<SocketAddr>), u16>,
    insides: BTreeMap<u16, SocketAddr>,
    allowed: BTreeSet<(u16, Option<SocketAddr>)>,
}

impl Nat {
    pub fn new(public: IpAddr, mapping: Rule, filtering: Rule) -> Nat {
        let (ports, insides, allowed) = (BTreeMap::new(), BTreeMap::new(), BTreeSet::new());
        Nat { public, mapping, filtering, ports, insides, allowed }
    }

    /// What the world sees as the source.
    pub fn outbound(&mut self, inside: SocketAddr, to: SocketAddr, rng: &mut ChaCha8Rng) -> SocketAddr {
        let key = (inside, self.mapping.part(to));
        let port = *self.ports.entry(key).or_insert_with(|| {
            loop {
                let port = 20_000 + (rng.next_u32() % 40_000) as u16;
                if !self.insides.contains_key(&port) {
                    break port;
                }
            }
        });
        self.insides.insert(port, inside);
        self.allowed.insert((port, self.filtering.part(to)));
        SocketAddr::new(self.public, port)
    }

    /// It was switched off and on.
    pub fn forget(&mut self) {
        self.ports.clear();
        self.insides.clear();
        self.allowed.clear();
    }

    /// Who inside gets it, if it is let in.
    pub fn inbound(&self, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        let inside = self.insides.get(&to.port())?;
        self.allowed.contains(&(to.port(), self.filtering.part(from))).then_some(*inside)
    }
}
