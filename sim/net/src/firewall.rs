//! A stateful firewall: what may leave, and that only replies come in. It sees internal endpoints: it stands inside of the
//! NAT, if there is one.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::packet::{Flow, Icmp, Packet, Payload, Protocol};
use crate::session::{Session, Timeouts, Way};
use crate::stats::Drop;

/// A protocol, and a port if only that one is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Service {
    /// By which protocol.
    pub protocol: Protocol,
    /// At which port of the destination; `None`: at any.
    pub port: Option<u16>,
}

impl Service {
    /// All of a protocol.
    pub fn all(protocol: Protocol) -> Service {
        Service { protocol, port: None }
    }

    /// One port of a protocol.
    pub fn at(protocol: Protocol, port: u16) -> Service {
        Service { protocol, port: Some(port) }
    }

    pub(crate) fn matches(self, flow: &Flow) -> bool {
        self.protocol == flow.protocol && self.port.is_none_or(|port| port == flow.destination.port())
    }
}

/// What may leave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// All.
    All,
    /// These services, and replies to what was let in.
    Only(Vec<Service>),
    /// All but these services.
    Except(Vec<Service>),
}

/// What may come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Inbound {
    /// All.
    All,
    /// Only from endpoints that the inside has sent to (address and port-dependent filtering).
    Replies,
}

/// What the sender is told of a packet that may not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Refusal {
    /// Nothing.
    Silent,
    /// RST for TCP, else ICMP administratively prohibited.
    Answer,
}

/// How a firewall behaves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirewallConfig {
    /// What may leave.
    pub outbound: Outbound,
    /// What may come in.
    pub inbound: Inbound,
    /// What is said of what may not.
    pub refusal: Refusal,
    /// Whether it looks at IPv4.
    pub ipv4: bool,
    /// Whether it looks at IPv6.
    pub ipv6: bool,
    /// How long it remembers.
    pub timeouts: Timeouts,
    /// Flows that it remembers; more are dropped.
    pub flows_max: usize,
}

impl Default for FirewallConfig {
    /// All may leave, only replies come in, without a word.
    fn default() -> FirewallConfig {
        FirewallConfig {
            outbound: Outbound::All,
            inbound: Inbound::Replies,
            refusal: Refusal::Silent,
            ipv4: true,
            ipv6: true,
            timeouts: Timeouts::default(),
            flows_max: 65_536,
        }
    }
}

/// A flow by its protocol, internal and remote endpoint.
type Key = (Protocol, SocketAddr, SocketAddr);

#[derive(Debug)]
pub(crate) struct Firewall {
    pub(crate) config: FirewallConfig,
    flows: BTreeMap<Key, Session>,
    /// Internal endpoints that all may send to, until when.
    pinholes: BTreeMap<(Protocol, SocketAddr), Instant>,
    /// The number of flows at which the dead are swept out.
    sweep_at: usize,
}

impl Firewall {
    pub(crate) fn new(config: FirewallConfig) -> Firewall {
        Firewall { config, flows: BTreeMap::new(), pinholes: BTreeMap::new(), sweep_at: 64 }
    }

    pub(crate) fn forget(&mut self) {
        self.flows.clear();
        self.pinholes.clear();
    }

    /// Whether it looks at packets of this address's family.
    pub(crate) fn looks_at(&self, address: IpAddr) -> bool {
        if address.is_ipv4() { self.config.ipv4 } else { self.config.ipv6 }
    }

    /// Whether strangers may not send to this address.
    pub(crate) fn guards(&self, address: IpAddr) -> bool {
        self.looks_at(address) && self.config.inbound == Inbound::Replies
    }

    /// May this leave?
    pub(crate) fn outbound(&mut self, packet: &Packet, now: Instant) -> Result<(), Drop> {
        if !self.looks_at(packet.source) {
            return Ok(());
        }
        let Some(flow) = packet.flow() else {
            let is_open = self.config.outbound == Outbound::All;
            let is_about_known = self.quotes_known(packet, Way::Out, now);
            return if is_open || is_about_known { Ok(()) } else { Err(Drop::FirewallOutbound) };
        };
        let key = (flow.protocol, flow.source, flow.destination);
        if self.see(key, flow, Way::Out, now) {
            return Ok(());
        }
        let is_allowed = match &self.config.outbound {
            Outbound::All => true,
            Outbound::Only(services) => services.iter().any(|service| service.matches(&flow)),
            Outbound::Except(services) => !services.iter().any(|service| service.matches(&flow)),
        };
        if !is_allowed {
            return Err(Drop::FirewallOutbound);
        }
        self.insert(key, Session::new(flow.protocol, Way::Out, flow.flags, &self.config.timeouts, now), now)
    }

    /// May this come in?
    pub(crate) fn inbound(&mut self, packet: &Packet, now: Instant) -> Result<(), Drop> {
        if !self.looks_at(packet.source) {
            return Ok(());
        }
        let is_open = self.config.inbound == Inbound::All;
        let Some(flow) = packet.flow() else {
            let is_about_known = self.quotes_known(packet, Way::In, now);
            return if is_open || is_about_known { Ok(()) } else { Err(Drop::FirewallInbound) };
        };
        let key = (flow.protocol, flow.destination, flow.source);
        if self.see(key, flow, Way::In, now) {
            return Ok(());
        }
        let pinhole = self.pinholes.get(&(flow.protocol, flow.destination));
        if !is_open && pinhole.is_none_or(|until| *until <= now) {
            return Err(Drop::FirewallInbound);
        }
        self.insert(key, Session::new(flow.protocol, Way::In, flow.flags, &self.config.timeouts, now), now)
    }

    /// A packet of a flow that is known.
    fn see(&mut self, key: Key, flow: Flow, way: Way, now: Instant) -> bool {
        let Some(session) = self.flows.get_mut(&key).filter(|session| session.is_alive(now)) else {
            return false;
        };
        session.see(flow.protocol, way, flow.flags, &self.config.timeouts, now);
        true
    }

    fn insert(&mut self, key: Key, session: Session, now: Instant) -> Result<(), Drop> {
        if self.flows.len() >= self.sweep_at.min(self.config.flows_max) {
            self.flows.retain(|_, session| session.is_alive(now));
            self.pinholes.retain(|_, until| now < *until);
            self.sweep_at = (self.flows.len() * 2).max(64);
        }
        if self.flows.len() >= self.config.flows_max {
            return Err(Drop::TableFull);
        }
        self.flows.insert(key, session);
        Ok(())
    }

    /// Whether it is an ICMP error about a packet of a flow that is known.
    fn quotes_known(&self, packet: &Packet, way: Way, now: Instant) -> bool {
        let Payload::Icmp(Icmp::Error { quote, .. }) = &packet.payload else { return false };
        let Some(flow) = quote.flow() else { return false };
        // The quote went the other way than the error.
        let key = match way {
            Way::In => (flow.protocol, flow.source, flow.destination),
            Way::Out => (flow.protocol, flow.destination, flow.source),
        };
        self.flows.get(&key).is_some_and(|session| session.is_alive(now))
    }

    /// Everybody may send to this internal endpoint; `None`: no longer. Port 0 is all ports.
    pub(crate) fn open(&mut self, protocol: Protocol, inside: SocketAddr, until: Option<Instant>) {
        match until {
            Some(until) => self.pinholes.insert((protocol, inside), until),
            None if inside.port() == 0 => {
                self.pinholes.retain(|(of, at), _| *of != protocol || at.ip() != inside.ip());
                None
            }
            None => self.pinholes.remove(&(protocol, inside)),
        };
    }
}
