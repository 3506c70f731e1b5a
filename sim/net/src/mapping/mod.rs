//! How programs ask their router for a port: NAT-PMP and PCP on UDP port 5351, and UPnP-IGD.
//!
//! ```text
//!  host ── UDP 5351 ──► version 0: nat_pmp.rs ─┐
//!                       version 2: pcp.rs ─────┴─► Router::map_port ─► the NAT's table, or the firewall's pinholes
//!  host ── M-SEARCH, UDP 1900 ──► ssdp.rs: LOCATION                     ▲
//!       ── HTTP and SOAP, TCP 5000 ──► upnp/ ───────────────────────────┘
//! ```

mod nat_pmp;
mod pcp;
mod ssdp;
pub(crate) mod upnp;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};

use crate::network::Router;
use crate::packet::Packet;
use crate::random::Random;
use crate::stats::Drop;

/// Where NAT-PMP and PCP servers listen.
pub(crate) const SERVER_PORT: u16 = 5351;
/// Where clients hear announcements.
const CLIENT_PORT: u16 = 5350;
/// Where SSDP is heard.
pub(crate) const SSDP_PORT: u16 = 1900;

/// No mapping is given for longer (RFC 6887 section 15 suggests 24 hours).
pub(crate) const LIFETIME_MAX: Duration = Duration::from_secs(86_400);
/// PCP gives none for less (RFC 6887 section 15).
const LIFETIME_MIN_SECS: u32 = 120;

/// What a router offers to its inside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Services {
    /// NAT-PMP (RFC 6886).
    pub nat_pmp: bool,
    /// PCP (RFC 6887): MAP and ANNOUNCE.
    pub pcp: bool,
    /// UPnP's Internet Gateway Device: SSDP, the descriptions, and the actions of WANIPConnection that map ports of IPv4.
    pub upnp: bool,
}

impl Services {
    /// All three.
    pub const ALL: Services = Services { nat_pmp: true, pcp: true, upnp: true };
}

/// Why a port is not mapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, thiserror::Error)]
pub enum MapError {
    /// There is neither a NAT nor a firewall for addresses of this family, or no external address.
    #[error("nothing to map at")]
    NoNat,
    /// Only what belongs to the inside can be mapped.
    #[error("not an address of the inside")]
    NotInside,
    /// No port or no room in the table is left.
    #[error("no port left: {0}")]
    NoResources(Drop),
}

/// Whether a router listens at this port of its inside.
pub(crate) fn is_served(services: &Services, port: u16) -> bool {
    match port {
        SERVER_PORT => services.nat_pmp || services.pcp,
        SSDP_PORT => services.upnp,
        _ => false,
    }
}

/// The answer of a router to a datagram at one of its own ports; `None`: it has nothing there, or nothing to say.
pub(crate) fn answer(
    router: &mut Router,
    client: SocketAddr,
    port: u16,
    data: &[u8],
    now: Instant,
    random: &mut Random,
) -> Option<Vec<u8>> {
    let services = router.services;
    match (port, data.first()?) {
        (SERVER_PORT, 0) if services.nat_pmp => nat_pmp::answer(router, client, data, now, random),
        (SERVER_PORT, _) if services.pcp => pcp::answer(router, client, data, now, random),
        (SERVER_PORT, _) if services.nat_pmp => Some(nat_pmp::unsupported_version(router, data, now)),
        _ => None,
    }
}

/// The answer of a router with UPnP, which has this address inside, to a search.
pub(crate) fn found(gateway: IpAddr, data: &[u8]) -> Option<Vec<u8>> {
    ssdp::answer(SocketAddr::new(gateway, upnp::PORT), data)
}

/// What a router says to its inside, from this address, when it has started or its external address has changed (RFC 6886
/// section 3.2.1, RFC 6887 section 14.1). Once, not several times.
pub(crate) fn announcements(router: &Router, from: IpAddr, now: Instant) -> Vec<Packet> {
    let everybody = match from {
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::new(224, 0, 0, 1)),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)),
    };
    let nat_pmp = (router.services.nat_pmp && from.is_ipv4()).then(|| nat_pmp::external_address(router, now));
    let pcp = router.services.pcp.then(|| pcp::announcement(router, now));
    let (from, to) = (SocketAddr::new(from, SERVER_PORT), SocketAddr::new(everybody, CLIENT_PORT));
    nat_pmp.into_iter().chain(pcp).map(|data| Packet::udp(from, to, data)).collect()
}
