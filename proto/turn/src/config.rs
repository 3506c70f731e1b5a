//! What a server is told once, when it is made, and why it may refuse.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::RangeInclusive;
use std::time::Duration;

use twocan_stun::alternate::Alternate;

use crate::address::{Family, RelayAddr, RelayPort};
use crate::credential::{self, NotTimeLimited};
use crate::limits::Limits;
use crate::policy::Policy;

/// Bytes in a realm. RFC 8489 14.9 allows 127 characters; but it is in each challenge, which goes to whoever asks.
const REALM_BYTES: usize = 32;

/// The addresses that relayed candidates advertise, one for each family that is to be relayed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct External {
    /// `None`: IPv4 is answered with 440 (Address Family not Supported).
    pub v4: Option<Ipv4Addr>,
    /// `None`: IPv6 is answered with 440 (Address Family not Supported).
    pub v6: Option<Ipv6Addr>,
}

impl External {
    /// Both, as far as they are there.
    pub fn addresses(self) -> impl Iterator<Item = IpAddr> {
        [self.v4.map(IpAddr::V4), self.v6.map(IpAddr::V6)].into_iter().flatten()
    }

    /// The one of this family.
    pub(crate) fn of(self, family: Family) -> Option<IpAddr> {
        match family {
            Family::V4 => self.v4.map(IpAddr::V4),
            Family::V6 => self.v6.map(IpAddr::V6),
        }
    }

    /// The address under which the world knows a port of ours; `None` if its family is not relayed.
    pub fn relay_addr(self, port: RelayPort) -> Option<RelayAddr> {
        Some(RelayAddr(SocketAddr::new(self.of(port.family)?, port.port)))
    }
}

/// Everything a [`crate::Server`] is told once. Threads that share listeners differ in `relay_ports` alone.
#[derive(Clone)]
pub struct Config {
    /// The realm of the long-term credentials, 1 to 32 bytes.
    pub realm: String,
    /// Addresses to advertise.
    pub external: External,
    /// The ports that this server asks for first with [`crate::Command::OpenPort`]; no two servers share one.
    pub relay_ports: RangeInclusive<u16>,
    /// The ports of all servers behind the same external addresses together: `relay_ports` where there is one server. Once its own
    /// are all had, a server asks for one that the others do not have.
    pub relay_range: RangeInclusive<u16>,
    /// How many servers there are behind the same listeners: rates that hold for all together are divided by it.
    pub threads: u32,
    /// Static users: name and password. They relay to any address that `policy` allows.
    pub users: Vec<(String, String)>,
    /// The operator's secret of time-limited credentials; `None`: there are none.
    pub secret: Option<Vec<u8>>,
    /// The key of credentials that the lobby grants: [`crate::credential::grant_key`], or random.
    pub grant_key: [u8; 32],
    /// The key by which a lobby of another process tells what it grants: [`crate::control::key`]. `None`: nobody does.
    pub control_key: Option<[u8; 32]>,
    /// Which peers may be relayed to.
    pub policy: Policy,
    /// Every limit.
    pub limits: Limits,
    /// The key of the nonces, the same for all threads; random for each run of the process.
    pub nonce_key: [u8; 32],
    /// Unix time at the `now` of [`crate::Server::new`].
    pub unix_now: Duration,
    /// Addresses that the process itself listens on (TURN, TURNS, HTTP): no peer may be one. An unspecified address stands for
    /// every address of this host with that port.
    pub listeners: Vec<SocketAddr>,
    /// The addresses of this host's interfaces, as known at the start: no peer may be at one, relayed addresses excepted.
    pub own_addresses: Vec<IpAddr>,
    /// Listeners for UDP in pairs that answer behaviour discovery (RFC 5780), at most one pair a family. Empty: CHANGE-REQUEST,
    /// RESPONSE-PORT and PADDING are answered with 420.
    pub discovery: Vec<Alternate>,
    /// Whether the sockets can send a single packet unfragmented, as DONT-FRAGMENT asks. `false`: it is answered with
    /// 420 (RFC 8656 7.2).
    pub dont_fragment: bool,
}

impl Config {
    pub(crate) fn check(&self) -> Result<(), ConfigError> {
        let External { v4, v6 } = self.external;
        if v4.is_none() && v6.is_none() {
            return Err(ConfigError::NoExternalAddress);
        }
        let is_bad = |ip: IpAddr| ip.is_unspecified() || ip.is_multicast() || ip.to_canonical() != ip;
        if v4.is_some_and(|ip| is_bad(ip.into())) || v6.is_some_and(|ip| is_bad(ip.into())) {
            return Err(ConfigError::BadExternalAddress);
        }
        if self.relay_ports.is_empty() || self.relay_ports.contains(&0) {
            return Err(ConfigError::BadPorts);
        }
        if !(1..=REALM_BYTES).contains(&self.realm.len()) {
            return Err(ConfigError::BadRealm);
        }
        for (name, _) in &self.users {
            if name.is_empty() || name.len() > self.limits.username_bytes {
                return Err(ConfigError::BadUser);
            }
            if credential::parse(name) != Err(NotTimeLimited::OtherForm) {
                return Err(ConfigError::AmbiguousUser);
            }
        }
        if self.secret.as_ref().is_some_and(Vec::is_empty) {
            return Err(ConfigError::EmptySecret);
        }
        Ok(())
    }
}

/// Why a [`Config`] was refused. Each is the operator's to mend.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// `external` names no address.
    #[error("a relay needs an external address to advertise")]
    NoExternalAddress,
    /// An external address is unspecified or multicast.
    #[error("an external address cannot be an unspecified or a multicast one")]
    BadExternalAddress,
    /// `relay_ports` is empty, or begins with 0.
    #[error("the range of relay ports is empty or begins with 0")]
    BadPorts,
    /// The realm is empty or has more than 32 bytes.
    #[error("a realm has 1 to 32 bytes")]
    BadRealm,
    /// A static user's name is empty or longer than [`Limits::username_bytes`].
    #[error("a user name is empty or too long")]
    BadUser,
    /// A static user's name has the form of a time-limited one, `digits:…`.
    #[error("a static user's name looks like a time-limited one (digits and a colon)")]
    AmbiguousUser,
    /// The operator's secret is empty.
    #[error("the secret of time-limited credentials is empty")]
    EmptySecret,
}
