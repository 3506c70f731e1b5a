//! Why a relay did not start: each a sentence for whoever runs the server.

use std::io;
use std::net::SocketAddr;

use twocan_turn::Transport;

use crate::alternate::AlternateError;

/// Why `Relay::start` gave up. Nothing is left open or running.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another program (or another relay) has the port.
    #[error("port {} is already taken: {} cannot listen on {address}", address.port(), name(*transport))]
    PortTaken {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// For what.
        transport: Transport,
    },
    /// The system does not let us have the port.
    #[error("no permission to listen on {address} ({}): ports below 1024 often need a privilege", name(*transport))]
    Permission {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// For what.
        transport: Transport,
    },
    /// No interface has the address.
    #[error("this machine has no address {}: {} cannot listen on {address}", address.ip(), name(*transport))]
    NoSuchAddress {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// For what.
        transport: Transport,
    },
    /// Anything else that went wrong with a listener.
    #[error("{} cannot listen on {address}: {source}", name(*transport))]
    Listen {
        /// Where we wanted to listen.
        address: SocketAddr,
        /// For what.
        transport: Transport,
        /// What the system says.
        source: io::Error,
    },
    /// `Config::turn` and `Config::turns` are both empty.
    #[error("the relay has no address to listen on")]
    NothingToDo,
    /// `Config::turns` has an address, but `Config::tls` nothing.
    #[error("TURN over TLS on {0} needs a certificate and its key")]
    NoCertificate(SocketAddr),
    /// `Config::alternate` has an address that cannot be one.
    #[error("{address} cannot be the second address for behaviour discovery: {why}")]
    Alternate {
        /// The address.
        address: SocketAddr,
        /// What stands in its way.
        why: AlternateError,
    },
    /// `Config::threads` is 0, or there are not two relay ports for each.
    #[error("{threads} relay threads cannot share {ports} relay ports: each needs at least two")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// How many ports there are.
        ports: usize,
    },
    /// `Config::relay_bind_v4` or `_v6` is not an address of this machine.
    #[error("relayed ports cannot be opened on {address}: {source}")]
    RelayAddress {
        /// The address.
        address: std::net::IpAddr,
        /// What the system says.
        source: io::Error,
    },
    /// The TURN server refuses its configuration.
    #[error("the relay's configuration is wrong: {0}")]
    Config(#[from] twocan_turn::ConfigError),
    /// The system did not give what every relay needs.
    #[error("the system refused {what}: {source}")]
    System {
        /// What was asked for.
        what: &'static str,
        /// What the system says.
        source: io::Error,
    },
}

impl Error {
    /// The variant that fits a failed `bind`.
    pub(crate) fn listen(address: SocketAddr, transport: Transport, source: io::Error) -> Error {
        match source.kind() {
            io::ErrorKind::AddrInUse => Error::PortTaken { address, transport },
            io::ErrorKind::PermissionDenied => Error::Permission { address, transport },
            io::ErrorKind::AddrNotAvailable => Error::NoSuchAddress { address, transport },
            _ => Error::Listen { address, transport, source },
        }
    }
}

/// For `map_err`.
pub(crate) fn system(what: &'static str) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::System { what, source }
}

fn name(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "UDP",
        Transport::Tcp => "TCP",
        Transport::Tls => "TLS",
    }
}
