//! What a connection is told once.

use std::time::Duration;

use crate::gather::{IceServer, TransportPolicy};
use crate::limits;
use crate::transport::{Certificate, DtlsVersions};

/// What a connection is told once. [`Config::new`] has what is usual.
#[derive(Clone, Debug)]
pub struct Config {
    /// Ours; the same one may serve many connections.
    pub certificate: Certificate,
    /// STUN and TURN servers. Later ones: [`set_servers`](crate::Connection::set_servers).
    pub servers: Vec<IceServer>,
    /// Which candidates may be used.
    pub policy: TransportPolicy,
    /// Of two offers that cross, ours yields (W3C, perfect negotiation). The other side must say the opposite; if it is of this crate and
    /// says the same, one of the two yields all the same.
    pub polite: bool,
    /// Offer a name (`….local`) in place of the addresses of our interfaces (mDNS); the driver must answer for it.
    pub hide_host_addresses: bool,
    /// How ICE goes about it.
    pub ice: twocan_ice::Config,
    /// Which versions of DTLS may be spoken.
    pub versions: DtlsVersions,
    /// Passive and active TCP candidates (RFC 6544), with the streams that the driver offers.
    pub is_tcp: bool,
    /// From the first signal to the first time that data can flow. Default: [`limits::CONNECT_TIMEOUT`].
    pub connect_timeout: Duration,
    /// From the first sign of trouble to the end of mending. Default: [`limits::MEND_TIMEOUT`].
    pub mend_timeout: Duration,
}

impl Config {
    /// No servers, every kind of candidate, impolite, usual times.
    pub fn new(certificate: Certificate) -> Config {
        Config {
            certificate,
            servers: Vec::new(),
            policy: TransportPolicy::All,
            polite: false,
            hide_host_addresses: false,
            ice: twocan_ice::Config::default(),
            versions: DtlsVersions::Any,
            is_tcp: false,
            connect_timeout: limits::CONNECT_TIMEOUT,
            mend_timeout: limits::MEND_TIMEOUT,
        }
    }
}
