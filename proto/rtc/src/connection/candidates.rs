//! Candidates of either side: those gathered go to ICE and to the other side, those signaled to ICE, once it is known to which generation they belong.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use twocan_ice::{Candidate, Kind, Named, Parsed, SocketId, pasted};

use super::Connection;
use crate::event::{Command, Event, QueryId};
use crate::gather::{self, Gathered};
use crate::limits::{CANDIDATE_LEN_MAX, EARLY_CANDIDATES_MAX, QUERIES_MAX, WAITING_NAMES_MAX};
use crate::room::{Class, gives_way};
use crate::sdp::Session;
use crate::signal::{CandidateInit, Signal, SignalError};

/// What was gathered and is still of use.
#[derive(Default)]
pub(super) struct LocalCandidates {
    pub(super) list: Vec<Gathered>,
    /// Nothing more is to be expected.
    pub(super) is_gathered: bool,
    /// The other side has not heard of some: ICE is restarted for them as soon as it can.
    pub(super) is_unsaid: bool,
    /// A server has seen this side before.
    had_reflexive: bool,
}

impl LocalCandidates {
    pub(super) fn forget(&mut self, socket: SocketId) {
        self.list.retain(|gathered| gathered.local.socket != socket);
    }

    pub(super) fn has_relayed(&self) -> bool {
        self.of(Kind::Relayed).next().is_some()
    }

    /// Whether a relay of ours has its addresses here, and we do not.
    pub(super) fn is_on_relay(&self, ip: IpAddr) -> bool {
        let is_here = |kind| self.of(kind).any(|candidate| candidate.address.ip() == ip);
        is_here(Kind::Relayed) && !is_here(Kind::Host)
    }

    fn of(&self, kind: Kind) -> impl Iterator<Item = &Candidate> {
        self.list
            .iter()
            .map(|gathered| &gathered.local.candidate)
            .filter(move |candidate| candidate.kind == kind)
    }
}

/// A name that somebody waits for.
enum Query {
    /// A candidate of this generation of the other side.
    Candidate { named: Box<Named>, ufrag: String },
    /// A server's, by gathering's own number.
    Server(gather::QueryId),
}

/// What came from the other side.
#[derive(Default)]
pub(super) struct RemoteCandidates {
    /// Came before the description they belong to.
    early: VecDeque<CandidateInit>,
    queries: BTreeMap<QueryId, Query>,
    /// Candidates whose names are looked up when others are done.
    waiting: VecDeque<Named>,
    next_query: u32,
    /// Any was usable.
    pub(super) is_any: bool,
    /// No more of this generation follow.
    is_ended: bool,
}

impl Connection {
    /// One more candidate of ours.
    pub(super) fn gathered(&mut self, gathered: Gathered, now: Instant) {
        if let Some(agent) = &mut self.agent {
            // More than ICE takes: the other side would try it in vain.
            if agent.add_local_candidate(gathered.local.clone(), now).is_err() {
                return;
            }
        }
        if self.negotiation.is_described() && !self.local.is_unsaid && !self.is_kept_back(&gathered) {
            let init = self.candidate_init(&gathered.text);
            self.output.event(Event::Signal(Signal::Candidate(init)));
        }
        self.local.had_reflexive |= gathered.local.candidate.kind == Kind::ServerReflexive;
        self.local.list.push(gathered);
    }

    pub(super) fn candidate_init(&self, text: &str) -> CandidateInit {
        let session = self.negotiation.remote.as_ref().map(|remote| &remote.session);
        let (mid, place) = session.map_or((Some("0"), 0), Session::transport_section);
        CandidateInit {
            candidate: text.to_owned(),
            sdp_mid: mid.map(str::to_owned),
            sdp_m_line_index: u16::try_from(place).ok(),
            username_fragment: Some(self.negotiation.credentials.ufrag.clone()),
        }
    }

    /// Gathering came to its end.
    pub(super) fn all_gathered(&mut self, now: Instant) {
        self.local.is_gathered = true;
        self.end_local(now);
        if self.local.list.is_empty() {
            self.nothing_gathered(now);
        }
    }

    /// What is left leads nowhere, as loopback and bridges do when a network is gone: another one will come, and its candidates belong to the
    /// same offer. (One that is made within another that found no way is the end of a connection to Firefox.)
    pub(super) fn is_between_networks(&self) -> bool {
        self.lifecycle.is_mending()
            && self.local.had_reflexive
            && self.local.of(Kind::ServerReflexive).next().is_none()
    }

    /// Says that this generation has no more candidates, where that is so.
    pub(super) fn end_local(&mut self, now: Instant) {
        if !self.local.is_gathered
            || !self.negotiation.is_described()
            || self.keeps_any_back()
            || self.is_between_networks()
        {
            return;
        }
        if let Some(agent) = &mut self.agent {
            agent.end_of_local_candidates(now);
        }
        if !self.negotiation.is_ended {
            self.negotiation.is_ended = true;
            self.output.event(Event::Signal(Signal::EndOfCandidates));
        }
    }

    /// A candidate that was signaled.
    pub(super) fn remote_candidate(&mut self, init: CandidateInit, now: Instant) -> Result<(), SignalError> {
        if init.candidate.len() > CANDIDATE_LEN_MAX {
            return Err(SignalError::BadCandidate);
        }
        let Some(current) = self.negotiation.remote_ufrag() else { return self.keep_early(init) };
        // Of an offer that we passed over, or of a generation that is over.
        if ufrag_of(&init).is_some_and(|ufrag| ufrag != current) {
            return Err(SignalError::OtherGeneration);
        }
        self.take_candidate(&init.candidate, now)
    }

    fn keep_early(&mut self, init: CandidateInit) -> Result<(), SignalError> {
        if self.remote.early.len() >= EARLY_CANDIDATES_MAX {
            let known = self.remote.early.iter().map(|init| Class::of(&init.candidate));
            let index = gives_way(known, Class::of(&init.candidate)).ok_or(SignalError::TooMany)?;
            self.remote.early.remove(index);
        }
        self.remote.early.push_back(init);
        Ok(())
    }

    /// The other side's credentials are new: whatever was known of its candidates is not any more.
    pub(super) fn begin_remote_generation(&mut self) {
        self.remote.is_ended = false;
        self.remote.queries.retain(|_, query| matches!(query, Query::Server(_)));
        self.remote.waiting.clear();
    }

    /// The description is there: what came before it and belongs to it is taken, the rest forgotten.
    pub(super) fn take_early_candidates(&mut self, now: Instant) {
        for init in std::mem::take(&mut self.remote.early) {
            if ufrag_of(&init).is_none_or(|ufrag| Some(ufrag) == self.negotiation.remote_ufrag()) {
                // What cannot be used could not be refused either: whoever sent it has gone on.
                let _ = self.take_candidate(&init.candidate, now);
            }
        }
    }

    /// One candidate of the present generation; none: the end of them.
    pub(super) fn take_candidate(&mut self, text: &str, now: Instant) -> Result<(), SignalError> {
        if matches!(&*pasted::tidy(text), "" | "end-of-candidates" | "a=end-of-candidates") {
            self.end_remote(now);
            return Ok(());
        }
        match Candidate::parse(text).map_err(|_| SignalError::BadCandidate)? {
            Parsed::Candidate(candidate) => self.add_remote(candidate, now),
            Parsed::Named(named) => self.ask_name(named),
        }
    }

    fn add_remote(&mut self, candidate: Candidate, now: Instant) -> Result<(), SignalError> {
        // For the RTCP of media that has it on a port of its own: ours never does.
        let has_media =
            self.negotiation.remote.as_ref().is_some_and(|remote| remote.session.has_kept_media());
        if candidate.component == 2 && has_media {
            return Ok(());
        }
        let agent = self.agent.as_mut().ok_or(SignalError::WrongState)?;
        let (ip, is_host) = (candidate.address.ip(), candidate.kind == Kind::Host);
        agent.add_remote_candidate(candidate, now).map_err(|_| SignalError::Unusable)?;
        self.gatherer.permit(&[ip], now);
        self.remote.is_any = true;
        if !is_host {
            self.met_reflexive(now);
        }
        Ok(())
    }

    /// Names of the local network alone: no stranger makes us ask the world for others.
    fn ask_name(&mut self, named: Named) -> Result<(), SignalError> {
        if !named.is_mdns() {
            return Err(SignalError::Unusable);
        }
        if self.remote.queries.len() >= QUERIES_MAX {
            if self.remote.waiting.len() >= WAITING_NAMES_MAX {
                return Err(SignalError::TooMany);
            }
            self.remote.waiting.push_back(named);
            return Ok(());
        }
        let ufrag = self.negotiation.remote_ufrag().ok_or(SignalError::WrongState)?.to_owned();
        let name = named.name.clone();
        self.ask(Query::Candidate { named: Box::new(named), ufrag }, name);
        Ok(())
    }

    fn ask(&mut self, query: Query, name: String) {
        let id = QueryId(self.remote.next_query);
        self.remote.next_query += 1;
        self.remote.queries.insert(id, query);
        self.output.command(Command::Resolve { query: id, name });
    }

    /// Gathering wants to know a server's address.
    pub(super) fn ask_server(&mut self, query: gather::QueryId, name: String) {
        self.ask(Query::Server(query), name);
    }

    pub(super) fn resolved(&mut self, query: QueryId, addresses: &[IpAddr], now: Instant) {
        match self.remote.queries.remove(&query) {
            Some(Query::Candidate { named, ufrag }) => {
                if self.negotiation.remote_ufrag() == Some(&ufrag)
                    && let Some(address) = addresses.first()
                {
                    // Refused only where there are too many already.
                    let _ = self.add_remote(named.resolve(*address), now);
                }
                self.pass_end(now);
            }
            Some(Query::Server(query)) => self.gatherer.handle_resolved(query, addresses, now),
            None => {}
        }
        if let Some(named) = self.remote.waiting.pop_front() {
            // There is room for it.
            let _ = self.ask_name(named);
        }
    }

    /// The other side said that no more of this generation follow.
    pub(super) fn end_remote(&mut self, now: Instant) {
        if self.negotiation.remote.is_none() {
            // Kept in its place among the early ones; without room for it ICE only learns later that it has failed.
            let _ = self.keep_early(CandidateInit::default());
            return;
        }
        self.remote.is_ended = true;
        self.met_reflexive(now);
        self.pass_end(now);
    }

    /// ICE must not give up while a name is still being looked up.
    fn pass_end(&mut self, now: Instant) {
        let is_asking = !self.remote.waiting.is_empty()
            || self.remote.queries.values().any(|query| matches!(query, Query::Candidate { .. }));
        if let Some(agent) = &mut self.agent
            && self.remote.is_ended
            && !is_asking
        {
            agent.end_of_remote_candidates(now);
        }
    }
}

/// To which generation it says to belong.
fn ufrag_of(init: &CandidateInit) -> Option<&str> {
    init.username_fragment.as_deref().filter(|ufrag| !ufrag.is_empty()).or_else(|| {
        let mut words = init.candidate.split_ascii_whitespace().skip_while(|word| *word != "ufrag");
        words.nth(1)
    })
}
