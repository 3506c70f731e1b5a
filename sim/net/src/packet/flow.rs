//! What a NAT and a firewall see of a packet: who sends to whom, by which protocol.

use std::net::SocketAddr;

use super::{Icmp, Packet, Payload, TcpFlags};

/// Protocols with something like a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// By ports.
    Udp,
    /// By ports.
    Tcp,
    /// Echo, by its identifier.
    Icmp,
}

/// From which endpoint to which. An echo's identifier is the port of whoever pings; the other's port is 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// By which protocol.
    pub protocol: Protocol,
    /// Who it is from.
    pub source: SocketAddr,
    /// Who it is for.
    pub destination: SocketAddr,
    /// TCP's, else none.
    pub flags: TcpFlags,
}

impl Flow {
    /// The other way round.
    pub fn reversed(self) -> Flow {
        Flow { source: self.destination, destination: self.source, ..self }
    }
}

impl Packet {
    /// Who sends to whom; `None` where there are no ports: ICMP errors, other protocols.
    pub fn flow(&self) -> Option<Flow> {
        let (protocol, source, destination, flags) = match &self.payload {
            Payload::Udp(udp) => (Protocol::Udp, udp.source, udp.destination, TcpFlags::default()),
            Payload::Tcp(tcp) => (Protocol::Tcp, tcp.source, tcp.destination, tcp.flags()),
            Payload::Icmp(Icmp::Echo { is_request, identifier, .. }) => {
                let (source, destination) = if *is_request { (*identifier, 0) } else { (0, *identifier) };
                (Protocol::Icmp, source, destination, TcpFlags::default())
            }
            Payload::Icmp(_) | Payload::Other { .. } => return None,
        };
        Some(Flow {
            protocol,
            source: SocketAddr::new(self.source, source),
            destination: SocketAddr::new(self.destination, destination),
            flags,
        })
    }

    /// Changes who sends to whom, from one family to the other if need be. What has no ports keeps none.
    pub(crate) fn repoint(&mut self, source: SocketAddr, destination: SocketAddr) {
        (self.source, self.destination) = (source.ip(), destination.ip());
        match &mut self.payload {
            Payload::Udp(udp) => (udp.source, udp.destination) = (source.port(), destination.port()),
            Payload::Tcp(tcp) => (tcp.source, tcp.destination) = (source.port(), destination.port()),
            Payload::Icmp(Icmp::Echo { is_request, identifier, .. }) => {
                *identifier = if *is_request { source.port() } else { destination.port() };
            }
            Payload::Icmp(_) | Payload::Other { .. } => {}
        }
    }
}
