//! What the server is told, and what can go wrong at its start.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use twocan_base::Quota;
use twocan_lobby::Limits;

/// Says whether an address is a trusted proxy's.
pub type TrustedProxy = Arc<dyn Fn(IpAddr) -> bool + Send + Sync>;

/// How the signaling server is to run.
#[derive(Clone)]
pub struct Config {
    /// Addresses to listen on; port 0 takes a free one.
    pub listen: Vec<SocketAddr>,
    /// A path below which everything is served as well, such as `/twocan`: for a proxy that passes a part of a site on as it is.
    pub base_path: String,
    /// Origins whose pages may open the socket; `*` is any. Empty: the origin that serves the page.
    pub origins: Vec<String>,
    /// The operator's secret, from which tickets are signed; the same on every node.
    pub ticket_secret: Vec<u8>,
    /// Limits of the lobby machine.
    pub limits: Limits,
    /// TCP connections at once.
    pub connections: Quota,
    /// Whether `/metrics` is served beside the pages.
    pub metrics: bool,
    /// Addresses that serve `/metrics` and `/healthz` alone.
    pub metrics_listen: Vec<SocketAddr>,
    /// Between two WebSocket pings.
    pub ping_every: Duration,
    /// Silence after which a socket is given up.
    pub silence_max: Duration,
    /// Whether an address is a proxy's whose word counts: the client's is the last entry of its `X-Forwarded-For` (or
    /// `Forwarded`, RFC 7239) that is no such address itself.
    pub trusted_proxy: Option<TrustedProxy>,
    /// Text in Prometheus' format that `/metrics` appends: the relay's, for one.
    pub more_metrics: Option<Arc<dyn Fn() -> String + Send + Sync>>,
}

impl Config {
    /// TCP connections at once where nobody says how many.
    pub const CONNECTIONS: Quota = Quota::new(2_560, 512);

    /// A server on these addresses with the default limits.
    #[must_use]
    pub fn new(listen: Vec<SocketAddr>, ticket_secret: impl Into<Vec<u8>>) -> Self {
        Self {
            listen,
            base_path: String::new(),
            origins: Vec::new(),
            ticket_secret: ticket_secret.into(),
            limits: Limits::default(),
            connections: Self::CONNECTIONS,
            metrics: true,
            metrics_listen: Vec::new(),
            ping_every: Duration::from_secs(20),
            silence_max: Duration::from_secs(45),
            trusted_proxy: None,
            more_metrics: None,
        }
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { listen, origins, limits, .. } = self;
        f.debug_struct("Config")
            .field("listen", listen)
            .field("origins", origins)
            .field("limits", limits)
            .finish_non_exhaustive()
    }
}

/// Why the server cannot start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Somebody else listens there.
    #[error("cannot listen on {address}: the port is taken by another program")]
    PortTaken {
        /// Where.
        address: SocketAddr,
    },
    /// The system refuses the address.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system says.
        error: std::io::Error,
    },
    /// There is nothing to listen on.
    #[error("no address to listen on")]
    NoAddress,
    /// The system gives no thread.
    #[error("cannot start a thread: {0}")]
    Thread(std::io::Error),
    /// The system gives no randomness.
    #[error("the system gives no randomness")]
    NoRandomness,
}

/// A part of the server ended that must not: it panicked. What is left would look alive and serve nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a part of the signaling server has ended")]
pub struct Died;
