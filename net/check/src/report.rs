//! What was found, for programs: words and figures. Durations are milliseconds in JSON.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use serde::{Serialize, Serializer};
use twocan::FailReason;
use twocan_stun::discovery::{Allocation, Behaviour, Filtering, Finding, Lifetime, Mapping, Unknown};

use crate::reach::Reach;
use crate::server::Signaling;

/// Everything.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// The server is there, and there is a way to others: directly or by a relay.
    #[serde(rename = "usable")]
    pub is_usable: bool,
    /// Who can be reached from here.
    pub reach: Reach,
    /// The Twocan server, if one was to be checked.
    pub server: Option<Server>,
    /// What the network does with IPv4.
    pub ipv4: Network,
    /// The same for IPv6.
    pub ipv6: Network,
    /// One for each way to a TURN server.
    pub relays: Vec<Relay>,
    /// Whether the router opens ports.
    pub router: Router,
    /// How long it all took.
    #[serde(rename = "took_ms", serialize_with = "ms")]
    pub took: Duration,
}

/// A Twocan server.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    /// As given.
    pub url: String,
    /// Whether it answers.
    #[serde(flatten)]
    pub signaling: Signaling,
}

/// What a network does with one family of addresses.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Network {
    /// This machine has no address of the family that leads anywhere.
    NoAddress,
    /// There is no STUN server of the family to ask.
    NotAsked,
    /// No answer came: UDP is blocked, or nobody is there.
    Silent {
        /// Who was asked.
        server: SocketAddr,
    },
    /// An answer came.
    Answered(Box<Nat>),
}

impl Network {
    /// Whether a STUN server has answered over UDP.
    pub fn is_answered(&self) -> bool {
        matches!(self, Network::Answered(_))
    }
}

/// Something found, or a word for why it was not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Told<T> {
    /// So it is.
    Is(T),
    /// Why nobody knows.
    Unknown(#[serde(serialize_with = "unknown_word")] Unknown),
}

impl<T> Told<T> {
    fn of<F>(finding: Finding<F>, word: impl FnOnce(F) -> T) -> Told<T> {
        match finding {
            Finding::Known(found) => Told::Is(word(found)),
            Finding::Unknown(why) => Told::Unknown(why),
        }
    }

    /// What was found.
    pub fn is(&self) -> Option<&T> {
        match self {
            Told::Is(found) => Some(found),
            Told::Unknown(_) => None,
        }
    }
}

/// One of the words of RFC 4787, in JSON by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found<T>(pub T);

macro_rules! by_word {
    ($($kind:ty),*) => {$(
        impl Serialize for Found<$kind> {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.0.word())
            }
        }
    )*};
}
by_word!(Mapping, Filtering, Allocation);

/// What stands between us and a STUN server that has answered.
#[derive(Clone, Debug, Serialize)]
pub struct Nat {
    /// Who was asked.
    pub server: SocketAddr,
    /// Our own address.
    pub local: SocketAddr,
    /// The address that the server sees.
    pub mapped: SocketAddr,
    /// Whether they differ.
    #[serde(rename = "translated")]
    pub is_translated: bool,
    /// From a request to its answer, if that could be measured.
    #[serde(rename = "rtt_ms", serialize_with = "optional_ms")]
    pub rtt: Option<Duration>,
    /// On what the outer address depends.
    pub mapping: Told<Found<Mapping>>,
    /// From whom packets come in.
    pub filtering: Told<Found<Filtering>>,
    /// Which outer port a new mapping gets.
    pub allocation: Told<Found<Allocation>>,
    /// From one mapping to the next, where ports are given in sequence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub allocation_step: Option<i32>,
    /// Whether two devices in here reach each other by their outer addresses.
    pub hairpin: Told<bool>,
    /// How long a mapping lives.
    pub lifetime: Told<Lives>,
}

/// How long a mapping lives while nothing goes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Lives {
    /// It was alive after so long.
    #[serde(rename = "at_least_ms", serialize_with = "optional_ms")]
    pub at_least: Option<Duration>,
    /// It was gone after so long.
    #[serde(rename = "less_than_ms", serialize_with = "optional_ms")]
    pub less_than: Option<Duration>,
}

impl Nat {
    pub(crate) fn of(server: SocketAddr, mapped: SocketAddr, behaviour: &Behaviour) -> Nat {
        let allocation = behaviour.allocation;
        Nat {
            server,
            local: behaviour.local,
            mapped,
            is_translated: mapped != behaviour.local,
            rtt: behaviour.rtt,
            mapping: Told::of(behaviour.mapping, Found),
            filtering: Told::of(behaviour.filtering, Found),
            allocation: Told::of(allocation, Found),
            allocation_step: match allocation {
                Finding::Known(Allocation::Sequential { step }) => Some(step),
                _ => None,
            },
            hairpin: Told::of(behaviour.hairpin, |hairpin| hairpin),
            lifetime: Told::of(behaviour.lifetime, |Lifetime { at_least, less_than }| Lives {
                at_least,
                less_than,
            }),
        }
    }
}

/// How a TURN server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// `turn:…?transport=udp`
    Udp,
    /// `turn:…?transport=tcp`
    Tcp,
    /// `turns:`
    Tls,
}

/// One way to a TURN server.
#[derive(Clone, Debug, Serialize)]
pub struct Relay {
    /// Its URL.
    pub url: String,
    /// How it is reached.
    pub transport: Transport,
    /// Whether it relays.
    #[serde(flatten)]
    pub relaying: Relaying,
}

/// Whether a TURN server relays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Relaying {
    /// A message went through it, and came back.
    Relays {
        /// From nothing to an open data channel, with a relay on both sides.
        #[serde(rename = "setup_ms", serialize_with = "ms")]
        setup: Duration,
        /// Of a message, by way of two relays: about twice the way to the server and back.
        #[serde(rename = "rtt_ms", serialize_with = "ms")]
        rtt: Duration,
    },
    /// It gave us an address, and nothing came through.
    Idle {
        /// Why.
        #[serde(serialize_with = "reason_word")]
        reason: FailReason,
    },
    /// It answered with this STUN error code.
    Refuses {
        /// 401, 486, …
        code: u16,
    },
    /// No answer.
    Unreachable,
    /// This machine has no address of the server's family that leads anywhere.
    NoAddress,
}

/// Whether a router opens ports, by each of three protocols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Router {
    /// Who was asked; `None`: nobody knows where the way out leads.
    pub gateway: Option<IpAddr>,
    /// RFC 6887.
    pub pcp: Opens,
    /// RFC 6886.
    pub nat_pmp: Opens,
    /// UPnP IGD.
    pub upnp: Opens,
}

impl Router {
    /// Any of the three.
    pub fn opens(&self) -> bool {
        [self.pcp, self.nat_pmp, self.upnp].iter().any(|one| matches!(one, Opens::Opened { .. }))
    }
}

/// Whether a router opens ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Opens {
    /// It does; the port was closed again.
    Opened {
        /// The outer port; `None`: it opens them for good only, so that none was asked for.
        port: Option<u16>,
    },
    /// It speaks the protocol, and refuses.
    Refused,
    /// It does not speak the protocol.
    NoAnswer,
    /// There is nobody to ask.
    NotAsked,
}

fn to_ms(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 10_000.0).round() / 10.0
}

pub(crate) fn ms<S: Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(to_ms(*duration))
}

fn optional_ms<S: Serializer>(duration: &Option<Duration>, serializer: S) -> Result<S::Ok, S::Error> {
    duration.map(to_ms).serialize(serializer)
}

fn unknown_word<S: Serializer>(unknown: &Unknown, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(unknown.word())
}

fn reason_word<S: Serializer>(reason: &FailReason, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(reason.word())
}
