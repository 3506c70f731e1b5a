//! What is asked for which purpose, what an answer is worth, and what all of them together say.

use std::net::SocketAddr;
use std::time::Instant;

use super::allocation::{Sample, classify};
use super::behaviour::{Behaviour, Filtering, Finding, Lifetime, Mapping, Unknown};
use super::{Asked, Config, Discard, Discovery, SocketId, mapped_in};
use crate::attribute::{ChangeRequest, ResponsePort};
use crate::client::Transaction;
use crate::{Class, Message};

/// Why something is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Purpose {
    /// What this socket's outer address is, seen by the server.
    Reach(SocketId),
    /// The same, seen from the server's other IP address.
    OtherIp,
    /// The same, seen from the server's other IP address and port.
    OtherIpAndPort,
    /// The same, seen by another server.
    OtherServer(usize),
    /// Whether an answer comes in from a port of the server that was not asked.
    FromOtherPort,
    /// Whether an answer comes in from an IP address that was not asked.
    FromOtherIpAndPort,
    /// Whether this socket reaches the other by its outer address.
    Hairpin(SocketId),
    /// Whether the mapping of a silent socket still lives.
    Alive(SocketId),
}

/// A request under way.
#[derive(Debug)]
pub(super) struct Ask {
    pub purpose: Purpose,
    pub socket: SocketId,
    pub to: SocketAddr,
    pub transaction: Transaction,
}

/// What came of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// An answer, at this time; `in_order`: to the first request.
    Mapped { address: SocketAddr, at: Instant, in_order: bool },
    /// Our own request came in.
    Heard,
    /// An answer that does not do what was asked.
    NotDone,
    /// None.
    Silence,
}

impl Outcome {
    pub fn in_order(self, is_in_order: bool) -> Outcome {
        match self {
            Outcome::Mapped { address, at, .. } => Outcome::Mapped { address, at, in_order: is_in_order },
            other => other,
        }
    }

    fn mapped(self) -> Option<SocketAddr> {
        match self {
            Outcome::Mapped { address, .. } => Some(address),
            Outcome::Heard | Outcome::NotDone | Outcome::Silence => None,
        }
    }
}

/// How an answer came in.
#[derive(Clone, Copy, Debug)]
pub(super) struct Arrival {
    pub from: SocketAddr,
    pub socket: SocketId,
    pub now: Instant,
}

/// What an answer is worth to the one who asked.
pub(super) fn read(
    ask: &Ask,
    config: &Config,
    other: Option<SocketAddr>,
    message: &Message<'_>,
    Arrival { from, socket, now }: Arrival,
) -> Result<Outcome, Discard> {
    let wanted_socket = match ask.purpose {
        Purpose::Alive(silent) => silent,
        _ => ask.socket,
    };
    let wanted_from = match (ask.purpose, other) {
        (Purpose::FromOtherIpAndPort, Some(other)) => other,
        (Purpose::FromOtherPort, Some(other)) => SocketAddr::new(config.server.ip(), other.port()),
        _ => ask.to,
    };
    if (from, socket) != (wanted_from, wanted_socket) {
        // The server itself says that it will not, or does not know what was asked.
        return if (from, socket) == (ask.to, ask.socket) {
            Ok(Outcome::NotDone)
        } else {
            Err(Discard::OtherAddress)
        };
    }
    if message.class() == Class::Error {
        return Ok(Outcome::NotDone);
    }
    let address = mapped_in(message).ok_or(Discard::NoAddress)?;
    Ok(Outcome::Mapped { address, at: now, in_order: false })
}

impl Discovery {
    fn outcome(&self, purpose: Purpose) -> Option<Outcome> {
        self.outcomes.get(&purpose).copied()
    }

    fn mapped(&self, purpose: Purpose) -> Option<SocketAddr> {
        self.outcome(purpose).and_then(Outcome::mapped)
    }

    fn local(&self, SocketId(index): SocketId) -> Option<SocketAddr> {
        self.config.local.get(usize::from(index)).copied()
    }

    fn is_translated(&self) -> bool {
        let mapped = self.mapped(Purpose::Reach(SocketId::MAPPING));
        mapped.is_some() && mapped != self.local(SocketId::MAPPING)
    }

    fn silent(&self) -> impl Iterator<Item = (SocketId, std::time::Duration)> + '_ {
        (SocketId::SILENT..).map(SocketId).zip(self.config.lifetimes.iter().copied())
    }

    /// From which socket, to whom and with what; `None`: it cannot be asked.
    pub(super) fn request(&self, purpose: Purpose) -> Option<(SocketId, SocketAddr, Asked)> {
        let server = self.config.server;
        let mapped = |socket| self.mapped(Purpose::Reach(socket));
        Some(match purpose {
            Purpose::Reach(socket) => (socket, server, Asked::Nothing),
            Purpose::OtherIp => {
                let to = SocketAddr::new(self.other?.ip(), server.port());
                (SocketId::MAPPING, to, Asked::Nothing)
            }
            Purpose::OtherIpAndPort => (SocketId::MAPPING, self.other?, Asked::Nothing),
            Purpose::OtherServer(index) => {
                (SocketId::MAPPING, *self.config.others.get(index)?, Asked::Nothing)
            }
            Purpose::FromOtherPort => {
                (SocketId::FILTERING, server, Asked::Change(ChangeRequest { ip: false, port: true }))
            }
            Purpose::FromOtherIpAndPort => {
                (SocketId::FILTERING, server, Asked::Change(ChangeRequest { ip: true, port: true }))
            }
            Purpose::Hairpin(SocketId::MAPPING) => {
                (SocketId::MAPPING, mapped(SocketId::PROBING)?, Asked::Nothing)
            }
            Purpose::Hairpin(socket) => (socket, mapped(SocketId::MAPPING)?, Asked::Nothing),
            Purpose::Alive(socket) => {
                let port = ResponsePort(mapped(socket)?.port());
                (SocketId::PROBING, server, Asked::AnswerTo(port))
            }
        })
    }

    /// What can be asked by now; what has been asked already is among it.
    pub(super) fn possible(&self, now: Instant) -> Vec<Purpose> {
        if self.mapped(Purpose::Reach(SocketId::MAPPING)).is_none() {
            return Vec::new();
        }
        let mut possible = Vec::new();
        if self.other.is_some() {
            possible.extend([Purpose::OtherIp, Purpose::OtherIpAndPort]);
            possible.extend([Purpose::FromOtherIpAndPort, Purpose::FromOtherPort]);
        } else {
            possible.extend((0..self.config.others.len()).map(Purpose::OtherServer));
        }
        // What one socket asks for the sake of its mappings must not be mixed with what it asks for another's.
        let is_mapping_known = possible
            .iter()
            .filter(|purpose| !matches!(purpose, Purpose::FromOtherIpAndPort | Purpose::FromOtherPort))
            .all(|&purpose| self.outcomes.contains_key(&purpose));
        if is_mapping_known
            && self.is_translated()
            && self.mapped(Purpose::Reach(SocketId::PROBING)).is_some()
        {
            possible.extend([SocketId::MAPPING, SocketId::PROBING].map(Purpose::Hairpin));
        }
        possible.extend(self.probes_due().filter(|(_, due)| *due <= now).map(|(purpose, _)| purpose));
        possible
    }

    /// When which mapping is to be looked at, of those that have not been.
    pub(super) fn probes_due(&self) -> impl Iterator<Item = (Purpose, Instant)> + '_ {
        let probing = self.mapped(Purpose::Reach(SocketId::PROBING));
        // The server answers to the IP address that asks: another outer one than the silent socket's is of no use.
        let is_of_use = move |mapped: SocketAddr| probing.is_some_and(|probing| probing.ip() == mapped.ip());
        let is_worth_it = self.other.is_some() && self.is_translated();
        self.silent().filter(move |_| is_worth_it).filter_map(move |(socket, lifetime)| {
            let reached = self.outcome(Purpose::Reach(socket))?;
            let Outcome::Mapped { address, at, .. } = reached else { return None };
            let purpose = Purpose::Alive(socket);
            (is_of_use(address) && !self.begun.contains(&purpose)).then_some((purpose, at + lifetime))
        })
    }

    /// What was gone after some time will not live longer: those that wait for that need not.
    pub(super) fn give_up_on_later_lifetimes(&mut self) {
        let is_silent =
            |(socket, _): &(SocketId, _)| self.outcome(Purpose::Alive(*socket)) == Some(Outcome::Silence);
        let Some(gone) = self.silent().filter(is_silent).map(|(_, lifetime)| lifetime).min() else { return };
        let later: Vec<SocketId> =
            self.silent().filter(|(_, lifetime)| *lifetime > gone).map(|(socket, _)| socket).collect();
        for purpose in later.into_iter().map(Purpose::Alive) {
            self.begun.insert(purpose);
            self.asks.retain(|ask| ask.purpose != purpose);
        }
    }

    /// What all outcomes together say.
    pub(super) fn behaviour(&self) -> Behaviour {
        let mapped = self.mapped(Purpose::Reach(SocketId::MAPPING));
        let local = self.local(SocketId::MAPPING).unwrap_or(self.config.server);
        let is_translated = self.is_translated();
        let of_a_nat = |unknown| if is_translated { unknown } else { Unknown::NotTranslated };
        let unreached = Finding::Unknown(Unknown::NoAnswer);
        let Some(mapped) = mapped else {
            return Behaviour {
                local,
                mapped: None,
                rtt: None,
                mapping: unreached,
                filtering: Finding::Unknown(Unknown::NoAnswer),
                allocation: Finding::Unknown(Unknown::NoAnswer),
                hairpin: Finding::Unknown(Unknown::NoAnswer),
                lifetime: Finding::Unknown(Unknown::NoAnswer),
            };
        };
        let allocation = classify(&self.samples()).filter(|_| is_translated);
        Behaviour {
            local,
            mapped: Some(mapped),
            rtt: self.rtt,
            mapping: if self.other.is_some() { self.mapping(mapped) } else { self.mapping_by_others(mapped) },
            filtering: self.filtering(),
            allocation: allocation.map_or(Finding::Unknown(of_a_nat(Unknown::NoAnswer)), Finding::Known),
            hairpin: self.hairpin().map_or(Finding::Unknown(of_a_nat(Unknown::NotTried)), Finding::Known),
            lifetime: if is_translated { self.lifetime() } else { Finding::Unknown(Unknown::NotTranslated) },
        }
    }

    /// RFC 5780 section 4.3.
    fn mapping(&self, first: SocketAddr) -> Finding<Mapping> {
        let (second, third) = (self.mapped(Purpose::OtherIp), self.mapped(Purpose::OtherIpAndPort));
        Finding::Known(match (second, third) {
            (Some(second), Some(third)) if second != third => Mapping::AddressAndPortDependent,
            (Some(other), _) | (None, Some(other)) if other == first => Mapping::EndpointIndependent,
            (Some(_), Some(_)) => Mapping::AddressDependent,
            (Some(_), None) | (None, Some(_)) => Mapping::Dependent,
            (None, None) => return Finding::Unknown(self.why_not(Purpose::OtherIp)),
        })
    }

    /// What other servers see, where the first has one address.
    fn mapping_by_others(&self, first: SocketAddr) -> Finding<Mapping> {
        let seen: Vec<(SocketAddr, SocketAddr)> = (0..)
            .zip(&self.config.others)
            .filter_map(|(index, server)| Some((*server, self.mapped(Purpose::OtherServer(index))?)))
            .collect();
        let is_elsewhere = |(server, _): &&(SocketAddr, SocketAddr)| server.ip() != self.config.server.ip();
        let differs = |(_, mapped): &(SocketAddr, SocketAddr)| *mapped != first;
        if seen.iter().any(|one| !is_elsewhere(&one) && differs(one)) {
            return Finding::Known(Mapping::AddressAndPortDependent);
        }
        match seen.iter().find(is_elsewhere) {
            None => Finding::Unknown(Unknown::OneAddress),
            Some(_) if seen.iter().any(differs) => Finding::Known(Mapping::Dependent),
            Some(_) => Finding::Known(Mapping::EndpointIndependent),
        }
    }

    /// RFC 5780 section 4.4.
    fn filtering(&self) -> Finding<Filtering> {
        if self.other.is_none() {
            return Finding::Unknown(Unknown::OneAddress);
        }
        let outcomes =
            [Purpose::FromOtherIpAndPort, Purpose::FromOtherPort].map(|purpose| self.outcome(purpose));
        match outcomes {
            [Some(Outcome::Mapped { .. }), _] => Finding::Known(Filtering::EndpointIndependent),
            [Some(Outcome::Silence), Some(Outcome::Mapped { .. })] => {
                Finding::Known(Filtering::AddressDependent)
            }
            // Silence says something where the same socket was answered otherwise.
            [Some(Outcome::Silence), Some(Outcome::Silence)]
                if self.mapped(Purpose::Reach(SocketId::FILTERING)).is_some() =>
            {
                Finding::Known(Filtering::AddressAndPortDependent)
            }
            [Some(Outcome::Silence), _] => Finding::Unknown(self.why_not(Purpose::FromOtherPort)),
            _ => Finding::Unknown(self.why_not(Purpose::FromOtherIpAndPort)),
        }
    }

    fn hairpin(&self) -> Option<bool> {
        let outcomes =
            [SocketId::MAPPING, SocketId::PROBING].map(|socket| self.outcome(Purpose::Hairpin(socket)));
        match outcomes {
            [Some(Outcome::Heard), _] | [_, Some(Outcome::Heard)] => Some(true),
            [Some(_), Some(_)] => Some(false),
            _ => None,
        }
    }

    /// RFC 5780 section 4.6.
    fn lifetime(&self) -> Finding<Lifetime> {
        if self.other.is_none() {
            return Finding::Unknown(Unknown::OneAddress);
        }
        let looked = |outcome: fn(Outcome) -> bool| {
            self.silent()
                .filter(move |(socket, _)| self.outcome(Purpose::Alive(*socket)).is_some_and(outcome))
                .map(|(_, lifetime)| lifetime)
        };
        let less_than = looked(|outcome| outcome == Outcome::Silence).min();
        let at_least = looked(|outcome| outcome.mapped().is_some())
            .filter(|&lived| less_than.is_none_or(|gone| lived < gone))
            .max();
        if at_least.is_none() && less_than.is_none() {
            let refused = looked(|outcome| outcome == Outcome::NotDone).next().is_some();
            return Finding::Unknown(if refused { Unknown::NotSupported } else { Unknown::NotTried });
        }
        Finding::Known(Lifetime { at_least, less_than })
    }

    fn why_not(&self, purpose: Purpose) -> Unknown {
        match self.outcome(purpose) {
            Some(Outcome::NotDone) => Unknown::NotSupported,
            Some(Outcome::Silence | Outcome::Heard | Outcome::Mapped { .. }) => Unknown::NoAnswer,
            None => Unknown::NotTried,
        }
    }

    /// New mappings in the order in which they were asked for.
    fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        let mut seen: Vec<SocketAddr> = Vec::new();
        let reached = (0..).map(SocketId).take(self.config.local.len());
        let asked = reached.map(|socket| (socket, Purpose::Reach(socket)));
        let besides = [Purpose::OtherIp, Purpose::OtherIpAndPort].map(|purpose| (SocketId::MAPPING, purpose));
        for (socket, purpose) in asked.chain(besides) {
            let Some(Outcome::Mapped { address, in_order, .. }) = self.outcome(purpose) else { continue };
            let Some(local) = self.local(socket) else { continue };
            let is_first = matches!(purpose, Purpose::Reach(_));
            if !seen.contains(&address) {
                seen.push(address);
                samples.push(Sample { local: local.port(), mapped: address.port(), in_order, is_first });
            }
        }
        samples
    }
}
