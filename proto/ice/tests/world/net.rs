//! Interfaces, NATs and relays: where a packet comes out, and what it says to come from.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use twocan_ice::SocketId;

/// RFC 4787's kinds, the simple ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NatKind {
    /// One port for all destinations, anybody may answer.
    EndpointIndependent,
    /// One port for all destinations, only who was asked may answer.
    PortRestricted,
    /// A port for each destination, only who was asked may answer.
    Symmetric,
}

#[derive(Clone, Debug)]
pub struct Nat {
    pub kind: NatKind,
    pub public: IpAddr,
    pub lan: u8,
    /// What is inside, where it is sent to if that matters, and the port outside.
    mappings: Vec<(SocketAddr, Option<SocketAddr>, u16)>,
    asked: BTreeSet<(u16, SocketAddr)>,
}

impl Nat {
    pub fn new(kind: NatKind, public: &str, lan: u8) -> Nat {
        Nat { kind, public: public.parse().unwrap(), lan, mappings: Vec::new(), asked: BTreeSet::new() }
    }

    fn out(&mut self, from: SocketAddr, to: SocketAddr) -> SocketAddr {
        let to_if_it_matters = (self.kind == NatKind::Symmetric).then_some(to);
        let known =
            self.mappings.iter().find(|(inside, dest, _)| *inside == from && *dest == to_if_it_matters);
        let port = match known {
            Some((_, _, port)) => *port,
            None => {
                let port = 40_000 + 7 * self.mappings.len() as u16;
                self.mappings.push((from, to_if_it_matters, port));
                port
            }
        };
        self.asked.insert((port, to));
        SocketAddr::new(self.public, port)
    }

    fn back_in(&self, port: u16, from: SocketAddr) -> Option<SocketAddr> {
        let (inside, _, _) = self.mappings.iter().find(|(_, _, outside)| *outside == port)?;
        let open = self.kind == NatKind::EndpointIndependent || self.asked.contains(&(port, from));
        open.then_some(*inside)
    }
}

/// A socket of a side.
#[derive(Clone, Debug)]
pub struct Port {
    pub side: usize,
    pub socket: SocketId,
    pub address: SocketAddr,
    pub lan: Option<u8>,
    pub up: bool,
    /// A relayed address, and how much longer the way through it is.
    pub relay: Option<Duration>,
}

/// Where a packet comes out.
pub struct WayIn {
    pub side: usize,
    pub socket: SocketId,
    pub from: SocketAddr,
    pub detour: Duration,
}

pub type End = (usize, SocketId, SocketAddr);

#[derive(Default)]
pub struct Net {
    pub ports: Vec<Port>,
    pub nats: Vec<Nat>,
    permissions: BTreeSet<(usize, SocketId, IpAddr)>,
    /// Each end, with what it sees the other at.
    pub streams: Vec<[End; 2]>,
    next_stream_port: u16,
}

impl Net {
    pub fn port(&self, side: usize, socket: SocketId) -> &Port {
        self.ports.iter().find(|port| port.side == side && port.socket == socket).unwrap()
    }

    /// What a packet says to come from, once it is out.
    pub fn leave(&mut self, port: &Port, to: SocketAddr) -> SocketAddr {
        match self.nats.iter_mut().find(|nat| Some(nat.lan) == port.lan) {
            Some(nat) => nat.out(port.address, to),
            None => port.address,
        }
    }

    pub fn route(&mut self, side: usize, socket: SocketId, to: SocketAddr) -> Option<WayIn> {
        let port = self.ports.iter().find(|port| port.side == side && port.socket == socket)?.clone();
        if !port.up {
            return None;
        }
        if port.relay.is_some() {
            self.permissions.insert((side, socket, to.ip()));
        }
        let same_lan = |other: &&Port| other.address == to && other.lan == port.lan && other.up;
        if let Some(other) = self.ports.iter().find(same_lan).filter(|other| other.relay.is_none()) {
            let detour = port.relay.unwrap_or_default();
            return Some(WayIn { side: other.side, socket: other.socket, from: port.address, detour });
        }
        let from = self.leave(&port, to);
        let inside = match self.nats.iter().find(|nat| nat.public == to.ip()) {
            Some(nat) => nat.back_in(to.port(), from)?,
            None => to,
        };
        let behind_nat = inside != to;
        let other = self
            .ports
            .iter()
            .find(|other| other.address == inside && other.up && (behind_nat || other.lan.is_none()))?;
        let permitted = self.permissions.contains(&(other.side, other.socket, from.ip()));
        if other.relay.is_some() && !permitted {
            return None;
        }
        let detour = port.relay.unwrap_or_default().max(other.relay.unwrap_or_default());
        Some(WayIn { side: other.side, socket: other.socket, from, detour })
    }

    /// Opens a stream to a listener; its end there, and what it sees.
    pub fn open_stream(&mut self, side: usize, socket: SocketId, to: SocketAddr) -> Option<End> {
        let listener = self.ports.iter().find(|port| port.address == to && port.up && port.side != side)?;
        self.next_stream_port += 1;
        let from = SocketAddr::new("198.51.100.77".parse().unwrap(), 50_000 + self.next_stream_port);
        let end = (listener.side, listener.socket, from);
        self.streams.push([(side, socket, to), end]);
        Some(end)
    }

    /// The other end of a stream.
    pub fn stream_end(&self, side: usize, socket: SocketId, remote: SocketAddr) -> Option<End> {
        let here = (side, socket, remote);
        self.streams.iter().find_map(|[one, other]| match () {
            () if *one == here => Some(*other),
            () if *other == here => Some(*one),
            () => None,
        })
    }
}
