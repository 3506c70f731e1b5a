//! Candidates of this side: constructors that compute foundation and priority (RFC 8445 sections 5.1.1.3 and 5.1.2).

use std::net::{IpAddr, SocketAddr};

use super::{Candidate, Kind, SocketId, TcpType, Transport};
use crate::priority::{LocalPreference, priority};

/// A candidate of ours, and the socket that is its base.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalCandidate {
    /// What packets leave through.
    pub socket: SocketId,
    /// How much it is preferred among those of its kind: a peer-reflexive candidate of the same socket inherits it.
    pub preference: LocalPreference,
    /// What the other side is told.
    pub candidate: Candidate,
}

/// What a relay is reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RelayProtocol {
    /// Datagrams: the best.
    Udp,
    /// A stream.
    Tcp,
    /// A stream within TLS.
    Tls,
}

impl LocalCandidate {
    /// An address of an interface, with a UDP socket.
    pub fn host(
        foundations: &mut Foundations,
        socket: SocketId,
        address: SocketAddr,
        preference: LocalPreference,
    ) -> LocalCandidate {
        let foundation = foundations.of(Kind::Host, Transport::Udp, address.ip(), None);
        LocalCandidate::new(Kind::Host, Transport::Udp, socket, address, None, foundation, preference)
    }

    /// What the STUN server `server` sees the UDP socket at, whose host candidate is `base`.
    pub fn server_reflexive(
        foundations: &mut Foundations,
        socket: SocketId,
        mapped: SocketAddr,
        base: SocketAddr,
        server: IpAddr,
        preference: LocalPreference,
    ) -> LocalCandidate {
        let foundation = foundations.of(Kind::ServerReflexive, Transport::Udp, base.ip(), Some(server));
        let kind = Kind::ServerReflexive;
        LocalCandidate::new(kind, Transport::Udp, socket, mapped, Some(base), foundation, preference)
    }

    /// An address of the relay `server`, which sees us at `mapped`. `socket` names the allocation, not the socket that
    /// leads to the relay.
    pub fn relayed(
        foundations: &mut Foundations,
        socket: SocketId,
        relayed: SocketAddr,
        mapped: SocketAddr,
        (server, protocol): (IpAddr, RelayProtocol),
        preference: LocalPreference,
    ) -> LocalCandidate {
        let foundation = foundations.of(Kind::Relayed, Transport::Udp, relayed.ip(), Some(server));
        let preference = preference.lowered(match protocol {
            RelayProtocol::Udp => 0,
            RelayProtocol::Tcp => 1,
            RelayProtocol::Tls => 2,
        });
        let kind = Kind::Relayed;
        LocalCandidate::new(kind, Transport::Udp, socket, relayed, Some(mapped), foundation, preference)
    }

    /// An address of an interface that TCP connections are opened from (`Active`, port 9) or accepted at (`Passive`).
    pub fn tcp(
        foundations: &mut Foundations,
        socket: SocketId,
        address: SocketAddr,
        tcp: TcpType,
        preference: LocalPreference,
    ) -> LocalCandidate {
        let transport = Transport::Tcp(tcp);
        let foundation = foundations.of(Kind::Host, transport, address.ip(), None);
        LocalCandidate::new(Kind::Host, transport, socket, address, None, foundation, preference)
    }

    fn new(
        kind: Kind,
        transport: Transport,
        socket: SocketId,
        address: SocketAddr,
        related: Option<SocketAddr>,
        foundation: String,
        preference: LocalPreference,
    ) -> LocalCandidate {
        let component = 1;
        let priority = priority(kind, transport, preference, component);
        let candidate =
            Candidate { kind, transport, address, related, foundation, priority, component, ufrag: None };
        LocalCandidate { socket, preference, candidate }
    }
}

/// Gives each combination of kind, transport, base and server a foundation (RFC 8445 section 5.1.1.3): a number in the
/// order they appear, which says nothing of the address, as a hash of it would.
#[derive(Clone, Debug, Default)]
pub struct Foundations(Vec<(Kind, Transport, IpAddr, Option<IpAddr>)>);

impl Foundations {
    fn of(&mut self, kind: Kind, transport: Transport, base: IpAddr, server: Option<IpAddr>) -> String {
        let key = (kind, transport, base, server);
        let index = self.0.iter().position(|known| *known == key).unwrap_or_else(|| {
            self.0.push(key);
            self.0.len() - 1
        });
        (index + 1).to_string()
    }
}
