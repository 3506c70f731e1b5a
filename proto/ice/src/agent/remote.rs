//! What signaling says of the other side (RFC 8838 sections 8 to 13).

use std::time::Instant;

use super::Agent;
use crate::check::Keyed;
use crate::checklist::{is_reachable, plain};
use crate::pair::Remote;
use crate::{Candidate, Credentials, Discard, Kind, State, TcpType, Transport};

/// A candidate that the other side named.
#[derive(Debug)]
pub(super) struct Signaled {
    pub remote: Remote,
    pub ufrag: Option<String>,
    pub related: Option<std::net::SocketAddr>,
}

/// What makes candidates alike.
type Class = (Kind, bool, bool);

fn class_of(remote: &Remote) -> Class {
    (remote.kind, remote.address.is_ipv4(), matches!(remote.transport, Transport::Tcp(_)))
}

impl Agent {
    /// What the other side's messages are made with. Candidates and requests that came before are looked at now.
    pub fn set_remote_credentials(&mut self, remote: Credentials, now: Instant) {
        self.now = now;
        if self.state == State::Closed || self.remote_credentials() == Some(&remote) {
            return;
        }
        let belongs = |ufrag: Option<&String>| ufrag.is_none_or(|ufrag| *ufrag == remote.ufrag);
        let strangers: Vec<_> =
            self.signaled.iter().filter(|s| !belongs(s.ufrag.as_ref())).map(|s| s.remote.address).collect();
        self.signaled.retain(|signaled| belongs(signaled.ufrag.as_ref()));
        let generation = self.generation;
        self.checklist.retain(|pair| {
            pair.generation != generation
                || !strangers.contains(&pair.remote.address)
                || pair.requests_sent > 0
                || pair.requests_heard > 0
        });
        self.remote = Some(Keyed::new(remote));
        self.trying_since = Some(now);
        self.replay_early(now);
    }

    /// Whether the other side named this address as its own, and not as a relay's.
    pub fn is_named(&self, ip: std::net::IpAddr) -> bool {
        let own = |signaled: &&Signaled| signaled.remote.kind != Kind::Relayed;
        self.signaled.iter().filter(own).any(|signaled| signaled.remote.address.ip() == ip)
    }

    /// A candidate of the other side, at any time; before the credentials too. One that is known changes nothing, unless a
    /// check had revealed it: then its true kind and priority are known now. Where there are as many as are taken, it takes the place of one
    /// of which there are more alike (kind, family, transport): fifty interfaces leave room for a relay.
    ///
    /// # Errors
    /// `OtherComponent`, `OtherGeneration`, `Unreachable`, `TooManyCandidates`, `Closed`.
    pub fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant) -> Result<(), Discard> {
        self.now = now;
        let result = self.take_remote_candidate(candidate);
        if result.is_err() {
            self.counts.discarded += 1;
        }
        result
    }

    fn take_remote_candidate(&mut self, candidate: Candidate) -> Result<(), Discard> {
        if !self.is_working() {
            return Err(Discard::Closed);
        }
        if candidate.component != 1 {
            return Err(Discard::OtherComponent);
        }
        let current = self.remote_credentials().map(|remote| &remote.ufrag);
        if candidate.ufrag.is_some() && current.is_some() && candidate.ufrag.as_ref() != current {
            return Err(Discard::OtherGeneration);
        }
        let is_active = candidate.transport == Transport::Tcp(TcpType::Active);
        if !is_active && !is_reachable(candidate.address) {
            return Err(Discard::Unreachable);
        }
        let remote = Remote {
            kind: candidate.kind,
            transport: candidate.transport,
            address: plain(candidate.address),
            priority: candidate.priority,
        };
        let same = |other: &Remote| other.address == remote.address && other.transport == remote.transport;
        if self.signaled.iter().any(|signaled| same(&signaled.remote)) {
            return Ok(());
        }
        if self.signaled.len() >= self.config.remote_candidates_max && !self.make_room(&remote) {
            return Err(Discard::TooManyCandidates);
        }
        self.peer_reflexive.retain(|known| !same(known));
        let related = candidate.related.map(plain);
        self.signaled.push(Signaled { remote, ufrag: candidate.ufrag, related });
        for pair in self.checklist.iter_mut().filter(|pair| same(&pair.remote)) {
            pair.remote = remote;
        }
        for base in self.bases.clone() {
            self.form_pair(base, remote);
        }
        // The pair in use may be known better now.
        self.select(self.now);
        Ok(())
    }

    /// Ends the least of those that are most alike, if this one is rarer by two, and nothing was heard of it: with every change they are
    /// more even, so there is an end to them.
    fn make_room(&mut self, newcomer: &Remote) -> bool {
        let alike = |class: Class| self.signaled.iter().filter(move |known| class_of(&known.remote) == class);
        let wanted = alike(class_of(newcomer)).count() + 2;
        let heard: Vec<_> = self
            .checklist
            .iter()
            .filter(|pair| pair.is_valid() || pair.requests_heard > 0)
            .map(|pair| pair.remote.address)
            .collect();
        let key = |(_, known): &(usize, &Signaled)| {
            let remote = &known.remote;
            let is_tried = self
                .checklist
                .iter()
                .any(|pair| pair.remote.address == remote.address && pair.requests_sent > 0);
            (alike(class_of(remote)).count(), !is_tried, std::cmp::Reverse(remote.priority))
        };
        let unheard =
            self.signaled.iter().enumerate().filter(|(_, known)| !heard.contains(&known.remote.address));
        let worst =
            unheard.max_by_key(key).filter(|(_, known)| alike(class_of(&known.remote)).count() >= wanted);
        let Some((index, _)) = worst else { return false };
        let gone = self.signaled.remove(index).remote;
        let is_gone = |other: &Remote| other.address == gone.address && other.transport == gone.transport;
        self.checklist.retain(|pair| !is_gone(&pair.remote));
        true
    }

    /// The other side has named all its candidates.
    pub fn end_of_remote_candidates(&mut self, now: Instant) {
        self.now = now;
        self.remote_ended = true;
        self.advance(now);
    }
}
