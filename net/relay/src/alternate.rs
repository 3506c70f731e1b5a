//! The second address that behaviour discovery needs (RFC 5780), and the listeners it adds.
//!
//! ```text
//! listener 192.0.2.1:3478, alternate 192.0.2.2:3479     adds 192.0.2.1:3479, 192.0.2.2:3478, 192.0.2.2:3479
//! listener   0.0.0.0:3478, alternate 192.0.2.2:3479     adds   0.0.0.0:3479
//! ```

use std::net::{IpAddr, SocketAddr};

use twocan_stun::alternate::{Alternate, NotAPair, Origin};
use twocan_turn::{External, Transport};

use crate::bind::{self, Probe};
use crate::error::Error;

/// Why an address cannot be an alternate one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AlternateError {
    /// No UDP listener is of its family.
    #[error("the relay does not listen on UDP in that address family")]
    NoListener,
    /// Another alternate address is of its family.
    #[error("there is one already of that address family")]
    SecondOfFamily,
    /// It has the listener's IP address, or stands for all.
    #[error("it needs another IP address than the listener has")]
    SameIp,
    /// It has the listener's port, or none.
    #[error("it needs another port than the listener has")]
    SamePort,
    /// The listener is on all addresses, and which of them everybody knows is not one of this machine's.
    #[error("behind a translated address the listener needs an address of its own, not a wildcard")]
    Translated,
}

/// What the alternate addresses of a configuration come to.
#[derive(Debug, Default)]
pub(crate) struct Alternates {
    pub pairs: Vec<Alternate>,
    /// UDP listeners besides those of `Config::turn`.
    pub listeners: Vec<SocketAddr>,
}

impl Alternates {
    /// `udp`: the listeners that are there anyway, with their real ports.
    pub(crate) fn settle(
        alternate: &[SocketAddr],
        udp: &[SocketAddr],
        external: External,
        probe: &mut Probe,
    ) -> Result<Alternates, Error> {
        let mut settled = Alternates::default();
        for &address in alternate {
            let refused = |why| Error::Alternate { address, why };
            if alternate.iter().filter(|other| other.is_ipv4() == address.is_ipv4()).count() > 1 {
                return Err(refused(AlternateError::SecondOfFamily));
            }
            let listener = udp.iter().find(|listener| listener.is_ipv4() == address.is_ipv4());
            let listener = *listener.ok_or(refused(AlternateError::NoListener))?;
            let primary = primary(listener, external).ok_or(refused(AlternateError::Translated))?;
            let pair = Alternate::new(primary, address).map_err(|why| {
                refused(match why {
                    NotAPair::Family => AlternateError::NoListener,
                    NotAPair::Ip => AlternateError::SameIp,
                    NotAPair::Port => AlternateError::SamePort,
                })
            })?;
            let wanted: Vec<SocketAddr> = if listener.ip().is_unspecified() {
                // It takes in what comes to any address, also to one that this machine does not have.
                Probe::default().settle(address, &[Transport::Udp])?;
                vec![SocketAddr::new(listener.ip(), address.port())]
            } else {
                Origin::ALL.map(|origin| pair.address(origin)).to_vec()
            };
            for listener in wanted.into_iter().filter(|wanted| !udp.contains(wanted)) {
                settled.listeners.push(probe.settle(listener, &[Transport::Udp])?);
            }
            settled.pairs.push(pair);
        }
        Ok(settled)
    }
}

/// The address by which clients know a listener, if this machine has it.
fn primary(listener: SocketAddr, external: External) -> Option<SocketAddr> {
    if !listener.ip().is_unspecified() {
        return Some(listener);
    }
    let known = if listener.is_ipv4() { external.v4.map(IpAddr::V4) } else { external.v6.map(IpAddr::V6) }?;
    (bind::relay_address(known) == known).then(|| SocketAddr::new(known, listener.port()))
}
