//! What the network here allows, and whether a server is reachable from it: in ten seconds, every step at once where it
//! can be. `app` calls it and says in words what it found; nothing here is prose.
//!
//! ```text
//!  run ─┬─ server   WebSocket, a lobby of our own ──► STUN and TURN servers ─┬─ network  IPv4: twocan_stun::discovery
//!       └─ router   PCP, NAT-PMP, UPnP                                       ├─ network  IPv6
//!                                                                            └─ relay    one a TURN URL: two connections
//! ```
//!
//! It opens no lobby that others see, and leaves it. What it has a router open it has it close again.

mod network;
mod reach;
mod relay;
mod report;
mod router;
mod server;

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::{join, join_all};
use tokio::time::Instant;
use twocan::connection::{Roots, Scheme, UrlTransport};

pub use reach::{Direct, Reach};
pub use report::{
    Found, Lives, Nat, Network, Opens, Relay, Relaying, Report, Router, Server, Told, Transport,
};
pub use server::Signaling;
pub use twocan::connection::{IceServer, IceUrl, UrlError};
pub use twocan_stun::discovery::{Allocation, Filtering, Mapping, Unknown};

/// What is to be checked.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// A Twocan server, which names STUN and TURN servers itself.
    pub url: Option<String>,
    /// STUN and TURN servers besides.
    pub servers: Vec<IceServer>,
}

/// How to go about it.
#[derive(Clone, Debug)]
pub struct Options {
    /// After which silences to look whether a NAT still knows us.
    pub lifetimes: Vec<Duration>,
    /// How long all of it may take.
    pub limit: Duration,
    /// Whose certificates are believed.
    pub roots: Roots,
}

impl Default for Options {
    /// All that can be told within ten seconds.
    fn default() -> Self {
        Self {
            lifetimes: vec![Duration::from_secs(5)],
            limit: Duration::from_secs(10),
            roots: Roots::system(),
        }
    }
}

impl Options {
    /// As long as it takes to find how long a NAT remembers: up to three minutes.
    pub fn with_lifetime() -> Self {
        let seconds = [5, 10, 15, 20, 25, 30, 40, 50, 60, 75, 90, 105, 120, 150, 180];
        Self {
            lifetimes: seconds.map(Duration::from_secs).to_vec(),
            limit: Duration::from_secs(190),
            ..Self::default()
        }
    }
}

/// A step that is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The Twocan server has answered, or has not.
    Server,
    /// What the network does with IPv4 is known.
    Ipv4,
    /// What the network does with IPv6 is known.
    Ipv6,
    /// One relay was tried.
    Relay,
    /// The router was asked.
    Router,
}

/// Checks everything. `progress` hears of each step that is done.
pub async fn run(target: Target, options: Options, progress: impl Fn(Step)) -> Report {
    let begun = Instant::now();
    let deadline = begun + options.limit;
    let router = async {
        let router = router::ask(deadline).await;
        progress(Step::Router);
        router
    };
    let (router, (server, ipv4, ipv6, relays)) =
        join(router, behind_the_router(target, &options, deadline, &progress)).await;
    let reach = Reach::of([&ipv4, &ipv6], &relays);
    let is_usable = server.as_ref().is_none_or(|server| server.signaling.is_reached())
        && (ipv4.is_answered() || ipv6.is_answered() || reach.is_relayed);
    Report { is_usable, server, ipv4, ipv6, relays, router, reach, took: begun.elapsed() }
}

async fn behind_the_router(
    target: Target,
    options: &Options,
    deadline: Instant,
    progress: &impl Fn(Step),
) -> (Option<Server>, Network, Network, Vec<Relay>) {
    let mut servers = target.servers;
    let mut session = None;
    let mut server = None;
    if let Some(url) = target.url {
        let (signaling, entered) = server::enter(&url, options.roots.clone()).await;
        if let Some((entered, named)) = entered {
            servers.extend(named);
            session = Some(entered);
        }
        server = Some(Server { url, signaling });
        progress(Step::Server);
    }
    let addresses = addresses(&servers).await;
    let network = async |is_ipv4: bool, step| {
        let of_family: Vec<SocketAddr> =
            addresses.iter().copied().filter(|address| address.is_ipv4() == is_ipv4).collect();
        let network = network::look(is_ipv4, &of_family, &options.lifetimes, deadline).await;
        progress(step);
        network
    };
    let relays = turn_servers(&servers).into_iter().map(async |server| {
        let relay = relay::try_it(server, &options.roots, deadline).await;
        progress(Step::Relay);
        relay
    });
    let networks = join(network(true, Step::Ipv4), network(false, Step::Ipv6));
    let ((ipv4, ipv6), relays) = join(networks, join_all(relays)).await;
    if let Some(session) = session {
        session.leave().await;
    }
    (server, ipv4, ipv6, relays)
}

/// Where STUN is answered over UDP: STUN servers first, then TURN servers, which answer it too. Each address once.
async fn addresses(servers: &[IceServer]) -> Vec<SocketAddr> {
    let mut addresses = Vec::new();
    for scheme in [Scheme::Stun, Scheme::Turn] {
        let urls = servers.iter().flat_map(|server| &server.urls);
        for url in urls.filter(|url| url.scheme == scheme && url.transport == UrlTransport::Udp) {
            // A name that nobody knows has no address.
            let Ok(found) = tokio::net::lookup_host((url.host.as_str(), url.port)).await else { continue };
            for address in found {
                if !addresses.contains(&address) {
                    addresses.push(address);
                }
            }
        }
    }
    addresses
}

/// One for each way to a TURN server.
fn turn_servers(servers: &[IceServer]) -> Vec<IceServer> {
    let of = |server: &IceServer, url: &IceUrl| IceServer { urls: vec![url.clone()], ..server.clone() };
    let urls = servers.iter().flat_map(|server| server.urls.iter().map(move |url| (server, url)));
    let is_turn = |url: &IceUrl| matches!(url.scheme, Scheme::Turn | Scheme::Turns);
    urls.filter(|(_, url)| is_turn(url)).map(|(server, url)| of(server, url)).collect()
}
