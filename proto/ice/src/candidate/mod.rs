//! A transport address that a side may be reached at, and how it came by it (RFC 8445 section 5.1, RFC 6544).

mod local;
mod text;

use std::fmt;
use std::net::{IpAddr, SocketAddr};

pub use local::{Foundations, LocalCandidate, RelayProtocol};

/// A way out that the caller has: a UDP socket, a relayed allocation, a TCP listener, or the place that TCP connections
/// are opened from. A packet's way is always a socket and a remote address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketId(pub u32);

/// How a side came by a candidate. In the order of preference.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// An address of an interface.
    Host,
    /// What a peer sees us at, or we it, that nobody said before.
    PeerReflexive,
    /// What a STUN server sees a host candidate at.
    ServerReflexive,
    /// An address of a relay.
    Relayed,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Host => "host",
            Kind::ServerReflexive => "srflx",
            Kind::PeerReflexive => "prflx",
            Kind::Relayed => "relay",
        })
    }
}

/// Who opens a TCP connection (RFC 6544 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TcpType {
    /// This side opens; its port is not known before (9 is written).
    Active,
    /// This side listens.
    Passive,
    /// Both open at once. We read it, and never use it.
    SimultaneousOpen,
}

impl fmt::Display for TcpType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TcpType::Active => "active",
            TcpType::Passive => "passive",
            TcpType::SimultaneousOpen => "so",
        })
    }
}

/// What a candidate is reached by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams.
    Udp,
    /// A stream, framed as in RFC 4571 by the caller.
    Tcp(TcpType),
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Transport::Udp => "udp",
            Transport::Tcp(_) => "tcp",
        })
    }
}

/// A candidate, as it stands in SDP: [`fmt::Display`] writes `candidate:…` (RFC 8839 section 5.1), [`Candidate::parse`]
/// reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// How the side came by it.
    pub kind: Kind,
    /// What it is reached by.
    pub transport: Transport,
    /// Where packets are sent to.
    pub address: SocketAddr,
    /// The base of a reflexive candidate, or what the relay saw of the side; `None` if that is hidden.
    pub related: Option<SocketAddr>,
    /// The same for candidates of the same kind, base and server: 1 to 32 letters.
    pub foundation: String,
    /// The higher, the sooner it is tried.
    pub priority: u32,
    /// 1 to 256; data channels have only 1.
    pub component: u16,
    /// The generation it belongs to (RFC 8838 section 4.1), if it says so.
    pub ufrag: Option<String>,
}

/// What a candidate line was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Parsed {
    /// A candidate with an address.
    Candidate(Candidate),
    /// A candidate with a name in the place of its address.
    Named(Named),
}

/// A candidate whose address is hidden behind a name: by mDNS (`….local`), or a plain host name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Named {
    /// What is to be resolved.
    pub name: String,
    /// The port.
    pub port: u16,
    /// All but the address, which is unspecified.
    pub(crate) candidate: Candidate,
}

impl Named {
    /// The candidate, now that the address is known.
    pub fn resolve(&self, address: IpAddr) -> Candidate {
        Candidate { address: SocketAddr::new(address, self.port), ..self.candidate.clone() }
    }

    /// Whether the name is to be asked by mDNS (RFC 6762).
    pub fn is_mdns(&self) -> bool {
        self.name.len() > 6 && self.name.to_ascii_lowercase().ends_with(".local")
    }

    /// A candidate of ours whose address is to be hidden behind that name.
    pub fn hiding(candidate: &Candidate, name: &str) -> Named {
        let unspecified: IpAddr = match candidate.address {
            SocketAddr::V4(_) => std::net::Ipv4Addr::UNSPECIFIED.into(),
            SocketAddr::V6(_) => std::net::Ipv6Addr::UNSPECIFIED.into(),
        };
        let port = candidate.address.port();
        let hidden = Candidate { address: SocketAddr::new(unspecified, port), ..candidate.clone() };
        Named { name: name.to_owned(), port, candidate: hidden }
    }
}
