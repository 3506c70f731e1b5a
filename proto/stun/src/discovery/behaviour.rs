//! What discovery finds, in the words of RFC 4787.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

/// Something found, or why it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding<T> {
    /// This is so.
    Known(T),
    /// This could not be found out.
    Unknown(Unknown),
}

impl<T> Finding<T> {
    /// What was found.
    pub fn known(self) -> Option<T> {
        match self {
            Finding::Known(value) => Some(value),
            Finding::Unknown(_) => None,
        }
    }
}

/// Why something could not be found out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unknown {
    /// No answer came, or too few.
    NoAnswer,
    /// The server has one address: it cannot tell.
    OneAddress,
    /// The server does not do what RFC 5780 asks of it.
    NotSupported,
    /// Nothing translates addresses here.
    NotTranslated,
    /// It was not tried, or there was no time to finish.
    NotTried,
}

impl Unknown {
    /// A word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Unknown::NoAnswer => "no-answer",
            Unknown::OneAddress => "one-address",
            Unknown::NotSupported => "not-supported",
            Unknown::NotTranslated => "not-translated",
            Unknown::NotTried => "not-tried",
        }
    }
}

/// On what the outer address and port of a socket depend (RFC 4787 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mapping {
    /// On nothing else: the one that a STUN server sees is good for all.
    EndpointIndependent,
    /// On the IP address that is talked to.
    AddressDependent,
    /// On the address and the port that is talked to.
    AddressAndPortDependent,
    /// On the IP address that is talked to; whether also on its port, nobody could say.
    Dependent,
}

impl Mapping {
    /// A word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Mapping::EndpointIndependent => "endpoint-independent",
            Mapping::AddressDependent => "address-dependent",
            Mapping::AddressAndPortDependent => "address-and-port-dependent",
            Mapping::Dependent => "dependent",
        }
    }
}

/// From whom packets come in (RFC 4787 section 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filtering {
    /// From anybody.
    EndpointIndependent,
    /// From IP addresses that were sent to.
    AddressDependent,
    /// From addresses and ports that were sent to.
    AddressAndPortDependent,
}

impl Filtering {
    /// A word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Filtering::EndpointIndependent => "endpoint-independent",
            Filtering::AddressDependent => "address-dependent",
            Filtering::AddressAndPortDependent => "address-and-port-dependent",
        }
    }
}

/// Which outer port a new mapping gets (RFC 4787 section 4.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// The inner one.
    Preserving,
    /// The last one and a step: the next can be foretold.
    Sequential {
        /// From one mapping to the next; negative if it counts down.
        step: i32,
    },
    /// Any.
    Random,
}

impl Allocation {
    /// A word for programs.
    pub fn word(self) -> &'static str {
        match self {
            Allocation::Preserving => "preserving",
            Allocation::Sequential { .. } => "sequential",
            Allocation::Random => "random",
        }
    }
}

/// How long a mapping lives while nothing goes through it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lifetime {
    /// It was alive after so long.
    pub at_least: Option<Duration>,
    /// It was gone after so long.
    pub less_than: Option<Duration>,
}

/// Everything that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Behaviour {
    /// The inner address of one socket.
    pub local: SocketAddr,
    /// Its outer address; `None`: no answer came at all.
    pub mapped: Option<SocketAddr>,
    /// From a request to its answer, where only one was sent.
    pub rtt: Option<Duration>,
    /// On what the outer address depends.
    pub mapping: Finding<Mapping>,
    /// From whom packets come in.
    pub filtering: Finding<Filtering>,
    /// Which outer port a new mapping gets.
    pub allocation: Finding<Allocation>,
    /// Whether two sockets behind the same NAT reach each other by their outer addresses.
    pub hairpin: Finding<bool>,
    /// How long a mapping lives.
    pub lifetime: Finding<Lifetime>,
}

impl Behaviour {
    /// Whether something translates addresses; `None`: nobody could say.
    pub fn is_translated(&self) -> Option<bool> {
        self.mapped.map(|mapped| mapped != self.local)
    }
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}
