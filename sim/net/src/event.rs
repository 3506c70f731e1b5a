//! What comes out of a network: packets for hosts, and the trace of every packet.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crate::packet::Packet;
use crate::stats::Drop;
use crate::{Direction, HostId, InterfaceId, PacketId, RouterId, SegmentId};

/// A packet that arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// When.
    pub at: Instant,
    /// At whom.
    pub host: HostId,
    /// By which of its interfaces.
    pub interface: InterfaceId,
    /// Which.
    pub packet: Packet,
}

/// A step on a packet's way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// When.
    pub at: Instant,
    /// Which packet.
    pub packet: PacketId,
    /// What happened to it.
    pub step: Step,
}

/// What happened to a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// It set out.
    Sent {
        /// From where.
        by: Place,
        /// What it is.
        summary: Summary,
    },
    /// A NAT translated it.
    Translated {
        /// Which.
        by: RouterId,
        /// From what.
        from: Summary,
        /// Into what.
        to: Summary,
    },
    /// It ended.
    Dropped {
        /// Where.
        at: Place,
        /// Why.
        why: Drop,
        /// What it was by then.
        summary: Summary,
    },
    /// It arrived.
    Delivered {
        /// At whom.
        to: HostId,
        /// By which of its interfaces.
        interface: InterfaceId,
        /// What it was by then.
        summary: Summary,
    },
}

/// Where something happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// In a host.
    Host(HostId),
    /// In a router.
    Router(RouterId),
    /// In a segment.
    Segment(SegmentId),
    /// In an interface's access link.
    Link(InterfaceId, Direction),
}

/// A packet in short: endpoints (port 0 where there are none), protocol by IANA's number, bytes on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Summary {
    /// From.
    pub source: SocketAddr,
    /// To.
    pub destination: SocketAddr,
    /// IANA's number.
    pub protocol: u8,
    /// Headers and all.
    pub len: usize,
}

impl Summary {
    /// Of this packet.
    pub fn of(packet: &Packet) -> Summary {
        let without_port = |address: IpAddr| SocketAddr::new(address, 0);
        let (source, destination) = packet.flow().map_or_else(
            || (without_port(packet.source), without_port(packet.destination)),
            |flow| (flow.source, flow.destination),
        );
        let protocol = packet.payload.protocol(packet.source);
        Summary { source, destination, protocol, len: packet.wire_len() }
    }
}
