//! How much a candidate and a pair are worth before anything is known of them (RFC 8445 sections 5.1.2 and 6.1.2.3,
//! RFC 6544 section 4.2).
//!
//! ```text
//!  31      24 23                8 7       0
//! +----------+-------------------+---------+
//! |   kind   |  local preference | 256 - c |     c: component
//! +----------+-------------------+---------+
//! ```

use std::net::IpAddr;

use crate::{Kind, Role, TcpType, Transport};

/// Which of several candidates of one kind is preferred, 0 to 65,535.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalPreference(pub u16);

/// What a class of preferences leaves for interfaces.
const CLASS_BITS: u16 = 12;

impl LocalPreference {
    /// The preference of an address on the so-manieth interface, 0 being the best one: IPv6 before IPv4 on each, and the
    /// families interleaved over interfaces, so that neither starves (RFC 8421 section 4).
    pub fn of(address: IpAddr, interface: u16) -> LocalPreference {
        let steps = interface.min(0x07FF) * 2 + u16::from(address.is_ipv4());
        LocalPreference(0xFFFF - steps)
    }

    /// The same, a class lower: `classes` is 0 to 7, as for relays that are reached by TCP (1) or TLS (2).
    pub fn lowered(self, classes: u16) -> LocalPreference {
        LocalPreference(self.0.saturating_sub(classes.min(7) << CLASS_BITS))
    }

    /// How many classes it was lowered by.
    pub(crate) fn class(self) -> u16 {
        (0xFFFF - self.0) >> CLASS_BITS
    }
}

/// What the kind of a candidate is worth (RFC 8445 section 5.1.2.2): TCP less than UDP of the same kind (RFC 6544).
fn kind_preference(kind: Kind, transport: Transport) -> u32 {
    match (kind, transport) {
        (Kind::Host, Transport::Udp) => 126,
        (Kind::PeerReflexive, Transport::Udp) => 110,
        (Kind::ServerReflexive, Transport::Udp) => 100,
        (Kind::Host, Transport::Tcp(_)) => 90,
        (Kind::PeerReflexive, Transport::Tcp(_)) => 80,
        (Kind::ServerReflexive, Transport::Tcp(_)) => 70,
        (Kind::Relayed, _) => 0,
    }
}

/// The priority of a candidate, 1 to 2,147,483,647.
pub fn priority(kind: Kind, transport: Transport, preference: LocalPreference, component: u16) -> u32 {
    let local = match transport {
        Transport::Udp => u32::from(preference.0),
        Transport::Tcp(tcp) => direction_preference(kind, tcp) << 13 | u32::from(preference.0 >> 3),
    };
    (kind_preference(kind, transport) << 24 | local << 8 | (256 - u32::from(component.min(256)))).max(1)
}

/// RFC 6544 section 4.2.
fn direction_preference(kind: Kind, tcp: TcpType) -> u32 {
    match (kind, tcp) {
        (Kind::Host | Kind::Relayed, TcpType::Active) => 6,
        (Kind::Host | Kind::Relayed, TcpType::Passive) => 4,
        (Kind::Host | Kind::Relayed, TcpType::SimultaneousOpen) => 2,
        (_, TcpType::SimultaneousOpen) => 6,
        (_, TcpType::Active) => 4,
        (_, TcpType::Passive) => 2,
    }
}

/// The priority of a pair (RFC 8445 section 6.1.2.3): both sides compute the same.
pub(crate) fn pair_priority(role: Role, local: u32, remote: u32) -> u64 {
    let (controlling, controlled) = match role {
        Role::Controlling => (u64::from(local), u64::from(remote)),
        Role::Controlled => (u64::from(remote), u64::from(local)),
    };
    (controlling.min(controlled) << 32)
        + 2 * controlling.max(controlled)
        + u64::from(controlling > controlled)
}
