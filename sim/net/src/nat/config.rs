//! How a NAT behaves, in the words of RFC 4787, RFC 5382 and RFC 5508.

use std::net::{IpAddr, SocketAddr};

use crate::session::Timeouts;

/// What of a remote endpoint something depends on: which mapping is used, or who is let in by it (RFC 4787 sections 4.1
/// and 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Behavior {
    /// On nothing.
    EndpointIndependent,
    /// On its address.
    AddressDependent,
    /// On its address and port.
    AddressAndPortDependent,
}

/// The part of a remote endpoint that counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    Any,
    Address(IpAddr),
    Endpoint(SocketAddr),
}

impl Behavior {
    pub(crate) fn part(self, remote: SocketAddr) -> Part {
        match self {
            Behavior::EndpointIndependent => Part::Any,
            Behavior::AddressDependent => Part::Address(remote.ip()),
            Behavior::AddressAndPortDependent => Part::Endpoint(remote),
        }
    }
}

/// Which external port a new mapping gets (RFC 4787 section 4.2.1). Two mappings never share one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Allocation {
    /// The internal one, if it is free.
    Preserving {
        /// If it is not.
        on_clash: OnClash,
    },
    /// So many above the last one.
    Sequential {
        /// How many.
        step: u16,
    },
    /// Any.
    Random,
    /// Any of the subscriber's block (RFC 6888 section 2, RFC 7422): an internal address is a subscriber.
    Blocks {
        /// Ports in a block.
        size: u16,
        /// Blocks that one subscriber may have.
        per_subscriber: u16,
    },
}

/// Where a NAT that preserves ports looks on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum OnClash {
    /// The next free port.
    Next,
    /// Any free port.
    Random,
}

/// What happens to packets from the inside to an external endpoint (RFC 4787 section 6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Hairpin {
    /// They are dropped.
    None,
    /// They arrive from the sender's internal endpoint, which the receiver does not know.
    InternalSource,
    /// They arrive from the sender's external endpoint (RFC 4787 REQ-9).
    ExternalSource,
}

/// Which external address a new mapping gets where there are several (RFC 4787 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Pooling {
    /// Always the same one for an internal address (RFC 4787 REQ-2).
    Paired,
    /// Any.
    Arbitrary,
}

/// What happens to packets from the outside that no mapping lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Uninvited {
    /// They vanish.
    Drop,
    /// TCP is answered with RST, UDP with ICMP port unreachable, a ping with its answer.
    Refuse,
    /// As [`Uninvited::Refuse`], and the port is taken for that sender: if the inside later sends there from this port, it
    /// is moved to another. So does Linux's `masquerade` where nothing drops such packets first: connection tracking knows
    /// them as connections to the router itself.
    Claim,
}

/// How a NAT behaves. Its external addresses are the IPv4 addresses of its router's outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NatConfig {
    /// Which mapping is used.
    pub mapping: Behavior,
    /// Who is let in by it.
    pub filtering: Behavior,
    /// Which port a new mapping gets.
    pub allocation: Allocation,
    /// The lowest port that is allocated; a preserved one may be lower.
    pub port_min: u16,
    /// The highest.
    pub port_max: u16,
    /// From the inside to the own outside.
    pub hairpin: Hairpin,
    /// Which address a new mapping gets.
    pub pooling: Pooling,
    /// What no mapping lets in.
    pub uninvited: Uninvited,
    /// How long a silent mapping lives.
    pub timeouts: Timeouts,
    /// Whether packets from the outside count as life; those from the inside always do (RFC 4787 REQ-6).
    pub inbound_refreshes: bool,
    /// Mappings at a time.
    pub mappings_max: usize,
    /// Pairs of a mapping and a remote endpoint at a time.
    pub sessions_max: usize,
}

impl Default for NatConfig {
    /// Most homes: endpoint-independent mapping, address- and port-dependent filtering, ports preserved, no hairpinning.
    fn default() -> NatConfig {
        NatConfig {
            mapping: Behavior::EndpointIndependent,
            filtering: Behavior::AddressAndPortDependent,
            allocation: Allocation::Preserving { on_clash: OnClash::Random },
            port_min: 1024,
            port_max: u16::MAX,
            hairpin: Hairpin::None,
            pooling: Pooling::Paired,
            uninvited: Uninvited::Drop,
            timeouts: Timeouts::default(),
            inbound_refreshes: true,
            mappings_max: 65_536,
            sessions_max: 262_144,
        }
    }
}
