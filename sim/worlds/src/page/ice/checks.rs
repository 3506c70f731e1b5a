//! Checks on the wire: what is asked, who is answered, and what an answer means.

use std::net::SocketAddr;
use std::time::Instant;

use rand_core::RngCore as _;
use twocan_ice::{Candidate, Kind, LocalPreference, Transport, priority};
use twocan_stun::attribute::{
    ErrorReply, IceControlled, IceControlling, Priority, UseCandidate, Username, XorMappedAddress,
};
use twocan_stun::{BuildError, Builder, Class, ErrorCode, IntegrityKey, Message, Method, TransactionId};

use super::{Asked, Connection, Event, Ice};

/// Room for any message of ours.
const MESSAGE_LEN_MAX: usize = 600;

/// What a request of theirs says.
struct Request {
    priority: u32,
    nominates: bool,
    /// They nominate, or think so.
    controls: bool,
    tie_breaker: u64,
}

impl Ice {
    /// What came to a port from some address, as if there were no relay between.
    pub(super) fn take(&mut self, port: u32, from: SocketAddr, bytes: &[u8], now: Instant) {
        let known = self.connections.iter().position(|each| each.port == port && each.remote == from);
        match Message::parse(bytes).ok().filter(|message| message.method() == Method::BINDING) {
            Some(message) if message.class() == Class::Request => self.asked(port, from, &message, now),
            Some(message) => {
                if let Some(index) = known {
                    self.answered(index, &message, now);
                }
            }
            // Data by a connection, whatever is known of it. Whoever is not one is not listened to.
            None if bytes.first().is_some_and(|first| *first >= 20) => {
                let Some(connection) = known.and_then(|index| self.connections.get_mut(index)) else {
                    return;
                };
                connection.hear(now);
                connection.data_at = Some(now);
                connection.received += bytes.len() as u64;
                let id = connection.id;
                self.received += bytes.len() as u64;
                self.events.push_back(Event::Packet(bytes.to_vec()));
                // The controlled side goes where data comes from.
                if !self.controlling && self.selected != Some(id) {
                    self.sort(now);
                }
            }
            None => {}
        }
    }

    fn asked(&mut self, port: u32, from: SocketAddr, message: &Message<'_>, now: Instant) {
        let Some(of) = self.ports.iter().find(|each| each.id == port).map(|each| each.generation) else {
            return;
        };
        let Ok(Some(Username(username))) = message.get::<Username<'_>>() else { return };
        let (ours, theirs) = username.split_once(':').unwrap_or((username, ""));
        let theirs = theirs.to_owned();
        let credentials = &self.local[of];
        let key = IntegrityKey::short_term(&credentials.pwd);
        if credentials.ufrag != ours || message.verify_integrity(&key).is_err() {
            return;
        }
        let controlling = message.get::<IceControlling>().ok().flatten();
        let controlled = message.get::<IceControlled>().ok().flatten();
        let request = Request {
            priority: message.get::<Priority>().ok().flatten().map_or(0, |Priority(value)| value),
            nominates: matches!(message.get::<UseCandidate>(), Ok(Some(_))),
            controls: controlling.is_some(),
            tie_breaker: controlling
                .map(|IceControlling(value)| value)
                .or(controlled.map(|IceControlled(value)| value))
                .unwrap_or_default(),
        };
        if request.controls == self.controlling {
            let is_ours = self.tie_breaker >= request.tie_breaker;
            if is_ours == self.controlling {
                let reply = refusal(message, ErrorCode::ROLE_CONFLICT, &key).unwrap_or_default();
                return self.send_from(port, from, &reply, now);
            }
            self.controlling = !self.controlling;
        }
        let is_other = |each: &Connection| each.port == port && each.remote == from && each.theirs != theirs;
        if self.connections.iter().any(is_other) {
            // The right words of ours, but not theirs: libwebrtc takes that for somebody else.
            let reply = refusal(message, ErrorCode::UNAUTHENTICATED, &key).unwrap_or_default();
            return self.send_from(port, from, &reply, now);
        }
        let reply = success(message, from, &key).unwrap_or_default();
        self.send_from(port, from, &reply, now);
        self.heard_of(port, from, &theirs, &request, now);
    }

    /// A check of theirs is answered: a connection is there, or made.
    fn heard_of(&mut self, port: u32, from: SocketAddr, ufrag: &str, request: &Request, now: Instant) {
        let is_it = |each: &Connection| each.port == port && each.remote == from;
        if !self.connections.iter().any(is_it) {
            self.discover(port, from, ufrag, request, now);
        }
        let controlled = !self.controlling;
        let Some(connection) = self.connections.iter_mut().find(|each| is_it(each)) else { return };
        connection.asked_us = Some(now);
        connection.hear(now);
        if controlled && request.nominates {
            connection.nominated_by_them = true;
        }
        self.sort(now);
        self.start_pinging(now);
    }

    /// A peer-reflexive candidate (RFC 8445 section 7.3.1.3).
    fn discover(&mut self, port: u32, from: SocketAddr, ufrag: &str, request: &Request, now: Instant) {
        let Some(index) = self.ports.iter().position(|each| each.id == port) else { return };
        let known = self.remote_candidates.iter().find(|(_, candidate)| candidate.address == from);
        let (kind, worth) =
            known.map_or((Kind::PeerReflexive, request.priority), |(_, c)| (c.kind, c.priority));
        let candidate = Candidate {
            kind,
            transport: Transport::Udp,
            address: from,
            related: None,
            foundation: "p".into(),
            priority: worth,
            component: 1,
            ufrag: None,
        };
        self.connect(index, ufrag, &candidate, now);
    }

    fn answered(&mut self, index: usize, message: &Message<'_>, now: Instant) {
        let Some(connection) = self.connections.get_mut(index) else { return };
        let Some(asked) = connection.asked.iter().find(|asked| asked.id == message.transaction_id()).copied()
        else {
            return;
        };
        let Some(credentials) = connection.generation.and_then(|of| self.remote.get(of)) else { return };
        if message.verify_integrity(&IntegrityKey::short_term(&credentials.pwd)).is_err() {
            return;
        }
        if message.class() == Class::Error {
            let code = message.get::<ErrorReply<'_>>().ok().flatten().map(|reply| reply.code);
            if code == Some(ErrorCode::ROLE_CONFLICT) {
                self.controlling = !self.controlling;
            }
            return;
        }
        connection.answer(asked, now);
        if let Ok(Some(XorMappedAddress(seen))) = message.get::<XorMappedAddress>() {
            let (id, port) = (connection.id, connection.port);
            self.seen_at(id, port, seen);
        }
        self.sort(now);
    }

    /// Which of our candidates they see: one of the port's, or a new one.
    fn seen_at(&mut self, id: u32, port: u32, seen: SocketAddr) {
        let Some(port) = self.ports.iter().find(|each| each.id == port) else { return };
        let kind = match () {
            () if port.relay_protocol().is_some() => Kind::Relayed,
            () if port.is_host_at(seen) => Kind::Host,
            () if port.reflexive.contains(&seen) => Kind::ServerReflexive,
            () => Kind::PeerReflexive,
        };
        let controlling = self.controlling;
        if let Some(connection) = self.connection_mut(id) {
            connection.become_seen(controlling, kind);
        }
    }

    /// Asks one.
    pub(super) fn ask(&mut self, id: u32, now: Instant) {
        let mut transaction = [0; 12];
        self.random.fill_bytes(&mut transaction);
        let transaction = TransactionId(transaction);
        let Some(connection) = self.connections.iter().find(|each| each.id == id) else { return };
        let Some(remote) = connection.generation.and_then(|of| self.remote.get(of)) else { return };
        // Nominated is what is selected, or would be if it answered.
        let is_better = self.selected().is_none_or(|selected| {
            selected.id == id || selected.compare(connection, false, None, now).0.is_lt()
        });
        let nominates = self.controlling && is_better;
        let local = &self.local[connection.local_generation];
        let username = format!("{}:{}", remote.ufrag, local.ufrag);
        let key = IntegrityKey::short_term(&remote.pwd);
        let preference = LocalPreference::of(connection.network, 0);
        let worth = priority(Kind::PeerReflexive, Transport::Udp, preference, 1);
        let role = (self.controlling, self.tie_breaker);
        let bytes = request(transaction, &username, worth, role, nominates, &key).unwrap_or_default();
        let (port, to) = (connection.port, connection.remote);
        if let Some(connection) = self.connection_mut(id) {
            connection.asked.push(Asked { id: transaction, at: now });
            connection.pings += 1;
            connection.pinged = Some(now);
        }
        self.send_from(port, to, &bytes, now);
    }
}

fn request(
    id: TransactionId,
    username: &str,
    worth: u32,
    (controlling, tie_breaker): (bool, u64),
    nominates: bool,
    key: &IntegrityKey,
) -> Result<Vec<u8>, BuildError> {
    let mut buffer = [0; MESSAGE_LEN_MAX];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, id)?;
    builder.add(&Username(username))?.add(&Priority(worth))?;
    if controlling {
        builder.add(&IceControlling(tie_breaker))?;
    } else {
        builder.add(&IceControlled(tie_breaker))?;
    }
    builder.add_optional(nominates.then_some(&UseCandidate))?;
    Ok(builder.integrity(key)?.fingerprint()?.finish().to_vec())
}

fn success(message: &Message<'_>, from: SocketAddr, key: &IntegrityKey) -> Result<Vec<u8>, BuildError> {
    let mut buffer = [0; MESSAGE_LEN_MAX];
    let mut builder = Builder::success(&mut buffer, message)?;
    builder.add(&XorMappedAddress(from))?;
    Ok(builder.integrity(key)?.fingerprint()?.finish().to_vec())
}

fn refusal(message: &Message<'_>, code: ErrorCode, key: &IntegrityKey) -> Result<Vec<u8>, BuildError> {
    let mut buffer = [0; MESSAGE_LEN_MAX];
    let builder = Builder::error(&mut buffer, message, ErrorReply::with_reason(code))?;
    Ok(builder.integrity(key)?.fingerprint()?.finish().to_vec())
}
