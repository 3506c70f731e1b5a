//! A pretend internet in virtual time: hosts with several addresses, some of them dead; NATs; relays.
//!
//! ```text
//! host ── NAT ──────────── RTT / 2 ──────────── NAT ── host
//!   └─ RTT / 10 ─ relay ── RTT / 2 ── (the other side, or its relay)
//! ```
//! A NAT opens when a packet leaves, and looks at what comes in when it arrives. A relay lets anyone in whom its
//! owner could have permitted: permissions are in place `permitted_at`, as if asked for when the owner learned of the peer.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

/// Which of the two.
pub const CONTROLLING: usize = 0;
pub const CONTROLLED: usize = 1;

/// The type of a candidate, in RFC 8445's words.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Host,
    ServerReflexive,
    Relayed,
}

/// A candidate: what the agent is told of an address. `rank` counts within its kind, the preferred first.
#[derive(Clone, Copy, Debug)]
pub struct Address {
    pub kind: Kind,
    pub address: SocketAddr,
    pub base: SocketAddr,
    pub rank: usize,
}

/// How a NAT maps, in RFC 4787's words. All of them filter by address and port.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    EndpointIndependent,
    AddressAndPortDependent,
}

/// One row of the table: what both hosts look like.
#[derive(Clone, Copy)]
pub struct Scenario {
    pub name: &'static str,
    /// Interfaces of each host. Only the last of them leads anywhere.
    pub interfaces: usize,
    pub nat: Option<Mapping>,
    pub relay: bool,
    /// A relay answers strangers until its owner, having learned of the peer, has asked for a permission.
    pub late_permissions: bool,
}

struct Nat {
    address: Ipv4Addr,
    mapping: Mapping,
    next_port: u16,
    outside: BTreeMap<(SocketAddr, Option<SocketAddr>), SocketAddr>,
    inside: BTreeMap<SocketAddr, SocketAddr>,
    open: BTreeSet<(SocketAddr, SocketAddr)>,
}

impl Nat {
    fn out(&mut self, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let key = (from, (self.mapping == Mapping::AddressAndPortDependent).then_some(to));
        let outside = *self.outside.entry(key).or_insert_with(|| {
            self.next_port += 7;
            SocketAddr::new(IpAddr::V4(self.address), self.next_port)
        });
        self.inside.insert(outside, from);
        self.open.insert((outside, to));
        outside
    }

    fn inward(&self, from: SocketAddr, to: SocketAddr) -> Option<SocketAddr> {
        self.open.contains(&(to, from)).then(|| self.inside.get(&to).copied()).flatten()
    }
}

struct Host {
    interfaces: Vec<SocketAddr>,
    nat: Option<Nat>,
    reflexive: Option<SocketAddr>,
    relayed: Option<SocketAddr>,
    permitted_at: Duration,
}

/// A packet handed to a host: on which of its addresses, from whom.
pub struct Delivery {
    pub host: usize,
    pub local: SocketAddr,
    pub from: SocketAddr,
    pub bytes: Vec<u8>,
}

enum Leg {
    /// To an address of the internet: a NAT, a relay, or a host on the same LAN.
    Arriving { to: SocketAddr },
    /// From its relay to the host.
    Relayed { host: usize },
}

struct InFlight {
    at: Duration,
    order: u64,
    from: SocketAddr,
    leg: Leg,
    bytes: Vec<u8>,
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for InFlight {}
impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// The internet between two hosts, and its clock.
pub struct World {
    epoch: Instant,
    now: Duration,
    one_way: Duration,
    to_relay: Duration,
    hosts: [Host; 2],
    queue: BinaryHeap<InFlight>,
    order: u64,
    pub sent: [u64; 2],
}

impl World {
    pub fn new(scenario: &Scenario, rtt: Duration) -> Self {
        let to_relay = rtt / 10;
        let mut hosts = [0, 1].map(|side| Host::new(scenario, side));
        if scenario.late_permissions {
            hosts[CONTROLLED].permitted_at = to_relay;
            hosts[CONTROLLING].permitted_at = rtt / 2 + to_relay;
        }
        Self {
            epoch: Instant::now(),
            now: Duration::ZERO,
            one_way: rtt / 2,
            to_relay,
            hosts,
            queue: BinaryHeap::new(),
            order: 0,
            sent: [0; 2],
        }
    }

    pub fn now(&self) -> Instant {
        self.epoch + self.now
    }

    pub fn elapsed(&self) -> Duration {
        self.now
    }

    /// The candidates that gathering has found for this side.
    pub fn candidates(&self, side: usize) -> Vec<Address> {
        let host = &self.hosts[side];
        let base = host.live();
        let hosts = host.interfaces.iter().enumerate().map(|(rank, &address)| Address {
            kind: Kind::Host,
            address,
            base: address,
            rank,
        });
        let reflexive =
            host.reflexive.map(|address| Address { kind: Kind::ServerReflexive, address, base, rank: 0 });
        let relayed =
            host.relayed.map(|address| Address { kind: Kind::Relayed, address, base: address, rank: 0 });
        hosts.chain(reflexive).chain(relayed).collect()
    }

    /// Sends from a local address (a reflexive one stands for its base).
    pub fn send(&mut self, side: usize, from: SocketAddr, to: SocketAddr, bytes: Vec<u8>) {
        self.sent[side] += 1;
        let host = &mut self.hosts[side];
        let (from, delay) = if host.relayed == Some(from) {
            (from, self.to_relay + self.one_way)
        } else if from == host.live() || host.reflexive == Some(from) {
            let live = host.live();
            (host.nat.as_mut().map_or(live, |nat| nat.out(live, to)), self.one_way)
        } else {
            return;
        };
        self.push(delay, from, Leg::Arriving { to }, bytes);
    }

    fn push(&mut self, delay: Duration, from: SocketAddr, leg: Leg, bytes: Vec<u8>) {
        self.order += 1;
        self.queue.push(InFlight { at: self.now + delay, order: self.order, from, leg, bytes });
    }

    /// When the next packet arrives somewhere.
    pub fn next_at(&self) -> Option<Duration> {
        self.queue.peek().map(|packet| packet.at)
    }

    /// Lets time pass, up to the next packet at most.
    pub fn advance(&mut self, to: Duration) {
        self.now = self.now.max(to);
    }

    /// What has arrived by now: `None` when nothing more has.
    pub fn arrive(&mut self) -> Option<Delivery> {
        while self.next_at()? <= self.now {
            let packet = self.queue.pop()?;
            match packet.leg {
                Leg::Relayed { host } => {
                    let local = self.hosts[host].relayed?;
                    return Some(Delivery { host, local, from: packet.from, bytes: packet.bytes });
                }
                Leg::Arriving { to } => {
                    let Some((host, local)) = self.route(packet.from, to) else { continue };
                    if self.hosts[host].relayed == Some(local) {
                        let delay = self.to_relay;
                        self.push(delay, packet.from, Leg::Relayed { host }, packet.bytes);
                    } else {
                        return Some(Delivery { host, local, from: packet.from, bytes: packet.bytes });
                    }
                }
            }
        }
        None
    }

    /// Who has this address, and on which of its own it hears.
    fn route(&self, from: SocketAddr, to: SocketAddr) -> Option<(usize, SocketAddr)> {
        self.hosts.iter().enumerate().find_map(|(index, host)| {
            if host.relayed == Some(to) {
                return (self.now >= host.permitted_at).then_some((index, to));
            }
            match &host.nat {
                Some(nat) => Some((index, nat.inward(from, to)?)),
                None => (host.live() == to).then_some((index, to)),
            }
        })
    }
}

impl Host {
    fn new(scenario: &Scenario, side: usize) -> Self {
        let side = side as u8 + 1;
        let port = 40_000 + u16::from(side);
        let interfaces: Vec<SocketAddr> = (0..scenario.interfaces as u8)
            .map(|n| SocketAddr::new(Ipv4Addr::new(10, side, n, 2).into(), port))
            .collect();
        let address = Ipv4Addr::new(198, 51, side, 1);
        let mut nat = scenario.nat.map(|mapping| Nat {
            address,
            mapping,
            next_port: 50_000 + 100 * u16::from(side),
            outside: BTreeMap::new(),
            inside: BTreeMap::new(),
            open: BTreeSet::new(),
        });
        let stun = SocketAddr::new(Ipv4Addr::new(192, 0, 2, 200).into(), 3478);
        let live = interfaces[interfaces.len() - 1];
        let reflexive = nat.as_mut().map(|nat| nat.out(live, stun));
        let relayed = scenario
            .relay
            .then(|| SocketAddr::new(Ipv4Addr::new(203, 1, 113, side).into(), 49_200 + u16::from(side)));
        Self { interfaces, nat, reflexive, relayed, permitted_at: Duration::ZERO }
    }

    fn live(&self) -> SocketAddr {
        self.interfaces[self.interfaces.len() - 1]
    }
}
