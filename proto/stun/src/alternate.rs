//! A server with two addresses, which answers behaviour discovery (RFC 5780 section 6): its four sockets, what a request
//! asks of them, and the answer. Who sends it decides nothing: it is told from where and to whom.
//!
//! ```text
//!                   primary port   alternate port
//! primary IP         ask here           ·            CHANGE-REQUEST port: answered from the right
//! alternate IP          ·               ·            CHANGE-REQUEST ip: from below; both: crosswise
//! ```

use std::net::{IpAddr, SocketAddr};

use crate::attribute::{
    ChangeRequest, OtherAddress, Padding, ResponseOrigin, ResponsePort, XorMappedAddress,
};
use crate::{AttributeError, AttributeType, BuildError, Builder, HEADER_LEN, Message};

/// Which of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Which {
    /// Where everybody asks.
    Primary,
    /// Only there for discovery.
    Alternate,
}

impl Which {
    fn changed(self, change: bool) -> Which {
        match (self, change) {
            (Which::Primary, false) | (Which::Alternate, true) => Which::Primary,
            (Which::Primary, true) | (Which::Alternate, false) => Which::Alternate,
        }
    }
}

/// One of the four sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Origin {
    /// Its IP address.
    pub ip: Which,
    /// Its port.
    pub port: Which,
}

impl Origin {
    /// All four.
    pub const ALL: [Origin; 4] = [
        Origin { ip: Which::Primary, port: Which::Primary },
        Origin { ip: Which::Primary, port: Which::Alternate },
        Origin { ip: Which::Alternate, port: Which::Primary },
        Origin { ip: Which::Alternate, port: Which::Alternate },
    ];

    /// The socket that a CHANGE-REQUEST which came in here asks for.
    #[must_use]
    pub fn changed(self, change: ChangeRequest) -> Origin {
        Origin { ip: self.ip.changed(change.ip), port: self.port.changed(change.port) }
    }
}

/// The two addresses of a server: they differ in IP address and in port, and are of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alternate {
    primary: SocketAddr,
    alternate: SocketAddr,
}

/// Why two addresses are not a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAPair {
    /// One is IPv4, the other IPv6.
    #[error("the two addresses are of different families")]
    Family,
    /// They have the same IP address, or one of them stands for all.
    #[error("the two addresses need different IP addresses")]
    Ip,
    /// They have the same port, or one has none.
    #[error("the two addresses need different ports")]
    Port,
}

impl Alternate {
    /// A pair.
    ///
    /// # Errors
    /// It is none.
    pub fn new(primary: SocketAddr, alternate: SocketAddr) -> Result<Alternate, NotAPair> {
        let (ips, ports) = ([primary.ip(), alternate.ip()], [primary.port(), alternate.port()]);
        if primary.is_ipv4() != alternate.is_ipv4() {
            return Err(NotAPair::Family);
        }
        if ips[0] == ips[1] || ips.iter().any(IpAddr::is_unspecified) {
            return Err(NotAPair::Ip);
        }
        if ports[0] == ports[1] || ports.contains(&0) {
            return Err(NotAPair::Port);
        }
        Ok(Alternate { primary, alternate })
    }

    /// The address of one of the four sockets.
    pub fn address(&self, origin: Origin) -> SocketAddr {
        let of = |which| match which {
            Which::Primary => self.primary,
            Which::Alternate => self.alternate,
        };
        SocketAddr::new(of(origin.ip).ip(), of(origin.port).port())
    }

    /// Which of the four sockets has this address.
    pub fn origin(&self, local: SocketAddr) -> Option<Origin> {
        Origin::ALL.into_iter().find(|&origin| self.address(origin) == local)
    }

    /// How to answer a Binding request which came in at `at` from `client`.
    ///
    /// # Errors
    /// An attribute is malformed, or it asks for what cannot be together: 400.
    pub fn plan(
        &self,
        request: &Message<'_>,
        at: Origin,
        client: SocketAddr,
    ) -> Result<Answer, AttributeError> {
        let change: ChangeRequest = request.get()?.unwrap_or_default();
        let padding = request.get::<Padding<'_>>()?.map(|padding| padding.0.len());
        let to = match request.get()? {
            None => client,
            // To a port of somebody else's choice go short answers only (RFC 5780 section 6.1).
            Some(ResponsePort(0)) => return Err(AttributeError(AttributeType::RESPONSE_PORT)),
            Some(_) if padding.is_some() => return Err(AttributeError(AttributeType::PADDING)),
            Some(ResponsePort(port)) => SocketAddr::new(client.ip(), port),
        };
        let origin = at.changed(change);
        let other = at.changed(ChangeRequest { ip: true, port: true });
        Ok(Answer {
            from: self.address(origin),
            to,
            client,
            other: self.address(other),
            padding_len: padding.unwrap_or(0),
        })
    }
}

/// An answer: from where, to whom, and what it says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// One of the server's four addresses.
    pub from: SocketAddr,
    /// An address with the client's IP address.
    pub to: SocketAddr,
    client: SocketAddr,
    other: SocketAddr,
    padding_len: usize,
}

/// Bytes of an attribute that holds an IPv6 address.
const ADDRESS_LEN_MAX: usize = 24;
/// Bytes of zeros, for PADDING.
static ZEROS: [u8; Padding::MAX_LEN] = [0; Padding::MAX_LEN];

impl Answer {
    /// Room for the message, in bytes. Padding is as long as what came, where the RFC would have the MTU: nobody is sent more
    /// than 72 bytes beyond what they sent.
    pub fn room(&self) -> usize {
        HEADER_LEN + 3 * ADDRESS_LEN_MAX + self.padding_len.next_multiple_of(4) + 4
    }

    /// Writes the message; says how long it is.
    ///
    /// # Errors
    /// The buffer is shorter than [`Answer::room`].
    pub fn write(&self, request: &Message<'_>, buffer: &mut [u8]) -> Result<usize, BuildError> {
        let mut answer = Builder::success(buffer, request)?;
        answer.add(&XorMappedAddress(self.client))?;
        answer.add(&ResponseOrigin(self.from))?.add(&OtherAddress(self.other))?;
        if self.padding_len > 0 {
            answer.add(&Padding(ZEROS.get(..self.padding_len).unwrap_or(&ZEROS)))?;
        }
        Ok(answer.finish().len())
    }
}
