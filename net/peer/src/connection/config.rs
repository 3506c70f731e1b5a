//! What a connection is told once.

use std::net::IpAddr;
use std::time::Duration;

use twocan_rtc::gather::{IceServer, TransportPolicy};
use twocan_rtc::limits::{CONNECT_TIMEOUT, MEND_TIMEOUT};
use twocan_rtc::transport::Certificate;

use super::Roots;

/// What a connection is told once; the default is what is usual.
#[derive(Clone, Debug)]
pub struct ConnectionConfig {
    /// STUN and TURN servers. Later ones: [`Connection::set_servers`](super::Connection::set_servers).
    pub servers: Vec<IceServer>,
    /// Which candidates may be used. Default: all.
    pub policy: TransportPolicy,
    /// Of two offers that cross, ours yields (W3C, perfect negotiation). The other side must say the opposite; if it is of this crate and
    /// says the same, one of the two yields all the same.
    pub polite: bool,
    /// Of which addresses of this machine candidates are made.
    pub addresses: Addresses,
    /// Use loopback addresses as well. By itself that is so where there is no other address, or a server is on loopback.
    pub loopback: bool,
    /// Offer a name that the local network resolves (`….local`, mDNS) in place of this machine's addresses.
    pub hide_addresses: bool,
    /// TCP candidates besides UDP ones (RFC 6544), for networks that block UDP: a listener for each address. Default: no.
    pub tcp: bool,
    /// Where messages are received.
    pub receive: Receive,
    /// Whose certificates are believed, where a relay is reached over TLS.
    pub roots: Roots,
    /// Our own certificate. Default: a new one for each connection, so that nobody recognises us by it.
    pub certificate: Option<Certificate>,
    /// From the first signal to the first time that data can flow; then the connection has failed.
    pub connect_timeout: Duration,
    /// From the first sign of trouble to the end of mending.
    pub mend_timeout: Duration,
    /// How ICE goes about it.
    pub ice: twocan_ice::Config,
}

impl Default for ConnectionConfig {
    fn default() -> Self {
        Self {
            servers: Vec::new(),
            policy: TransportPolicy::All,
            polite: false,
            addresses: Addresses::All,
            loopback: false,
            hide_addresses: false,
            tcp: false,
            receive: Receive::Events,
            roots: Roots::system(),
            certificate: None,
            connect_timeout: CONNECT_TIMEOUT,
            mend_timeout: MEND_TIMEOUT,
            ice: twocan_ice::Config::default(),
        }
    }
}

/// Of which addresses of this machine candidates are made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Addresses {
    /// All that are of use, and those that come later: no loopback and no link-local address where there is another, temporary IPv6
    /// addresses in place of lasting ones. Of more than 8 those that lead furthest, and up to 16 with those from which the system sends
    /// to a server or to what the other side names.
    #[default]
    All,
    /// These alone, at most 16.
    Only(Vec<IpAddr>),
}

/// Where messages are received.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Receive {
    /// As [`ConnectionEvent::Message`](super::ConnectionEvent::Message), in one stream for all channels.
    #[default]
    Events,
    /// By [`Channel::recv`](super::Channel::recv), each channel for itself. All of them must be read: what waits counts for all
    /// together.
    Channels,
}
