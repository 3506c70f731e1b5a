//! What a gatherer is told once, and its limits.

use super::IceUrl;

/// Every limit of gathering, by name.
pub mod limits {
    use std::time::Duration;

    /// URLs of all servers together, the first of each scheme and transport before second ones; the rest is left out, and said with
    /// [`super::super::CandidateError`].
    pub const URLS_MAX: usize = 16;
    /// UDP sockets; more are not looked at.
    pub const SOCKETS_MAX: usize = 16;
    /// Addresses of one server's name, of each family.
    pub const ADDRESSES_MAX: usize = 2;
    /// Server-reflexive candidates of one socket.
    pub const REFLEXIVE_MAX: usize = 4;
    /// Pairs of a socket and a STUN server; more are not asked.
    pub const BINDINGS_MAX: usize = 128;
    /// Peers that are remembered for relays to come; older ones are asked for when something is sent to them.
    pub const PEERS_MAX: usize = 64;
    /// Ways to relays that are tried or stand at the same time.
    pub const RELAYS_MAX: usize = 32;
    /// Those of them by UDP.
    pub const DATAGRAM_RELAYS_MAX: usize = 24;
    /// How often one server may say that another shall be asked (300).
    pub const ALTERNATES_MAX: u8 = 3;
    /// How long a way by UDP to a relay is alone before streams are opened.
    pub const STREAM_DELAY: Duration = Duration::from_millis(100);
    /// How long a stream may take to open.
    pub const STREAM_OPENS_WITHIN: Duration = Duration::from_secs(9);
    /// When [`super::super::Event::Done`] is said though servers are silent.
    pub const DONE_AFTER: Duration = Duration::from_secs(10);
    /// How often reflexive addresses are asked for again while ICE runs: it keeps the NAT's mapping.
    pub const KEEPALIVE: Duration = Duration::from_secs(15);
    /// How long after a relay was lost for good it is tried again.
    pub const RETRY: Duration = Duration::from_secs(5);
}

/// Which candidates may be used (W3C `RTCIceTransportPolicy`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum TransportPolicy {
    /// All.
    #[default]
    All,
    /// Relayed ones only: the other side learns no address of this one.
    Relay,
}

/// A server and its credential (W3C `RTCIceServer`).
#[derive(Clone, PartialEq, Eq)]
pub struct IceServer {
    /// Ways to the same server.
    pub urls: Vec<IceUrl>,
    /// For TURN.
    pub username: String,
    /// For TURN: the password.
    pub credential: String,
}

impl std::fmt::Debug for IceServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("IceServer").field("urls", &self.urls).finish_non_exhaustive()
    }
}

/// Everything a [`super::Gatherer`] is told once.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The servers.
    pub servers: Vec<IceServer>,
    /// Which candidates may be used.
    pub policy: TransportPolicy,
    /// Whether host addresses are hidden behind mDNS names (`….local`), as browsers do.
    pub hide_host_addresses: bool,
}
