//! The agent: one data stream of one component. Inputs that come from signaling only mark what is to be done, so that the
//! first burst is chosen among all candidates of one message; [`Agent::poll_timeout`] is due at once then. A packet's
//! consequences leave at once.

mod choice;
mod explain;
mod inbound;
mod outbound;
mod remote;
mod timers;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_stun::AttributeType;

use crate::check::{self, EMBEDDED_LEN_MAX, Embedded, Keyed};
use crate::checklist::{Checklist, fits, plain};
use crate::consent::FOLLOW_UPS;
use crate::pacer::Pacer;
use crate::pair::{Base, Generation, Pair, PairId, Remote, Way};
use crate::priority::priority;
use crate::role::Claim;
use crate::{
    Command, Config, Credentials, Event, Failure, Kind, LocalCandidate, Misuse, PairState, Report, Role,
    Selected, SocketId, State, Transmit, Transport, Verdict,
};

use inbound::Early;
use remote::Signaled;

/// Triggered checks that may leave at once, besides the ordinary ones.
const TRIGGERED_BURST: u32 = 16;

/// Unauthenticated requests that are answered at once; then one each [`REFUSAL_INTERVAL`].
const REFUSAL_BURST: u32 = 10;

/// See [`REFUSAL_BURST`].
const REFUSAL_INTERVAL: Duration = Duration::from_millis(100);

/// TCP connections at a time.
const STREAMS_MAX: usize = 64;

/// An ICE agent.
///
/// - **Getters**: [`Agent::role`], [`Agent::state`], [`Agent::selected`], [`Agent::is_validated`], [`Agent::report`],
///   [`Agent::verdict`] and the credentials.
/// - **Commands**: [`Agent::add_local_candidate`], [`Agent::set_remote_credentials`], [`Agent::restart`] …
/// - **`handle_*`**: what happened; [`Agent::handle_timeout`] whenever [`Agent::poll_timeout`] says so.
/// - **`poll_*`**: until they return `None`, after each of the above.
#[derive(Debug)]
pub struct Agent {
    config: Config,
    rng: ChaCha20Rng,
    started: Instant,
    /// The latest `now` that was given.
    now: Instant,
    role: Role,
    tie_breaker: u64,
    state: State,

    generation: Generation,
    local: Keyed,
    remote: Option<Keyed>,
    previous: Option<Previous>,

    local_candidates: Vec<LocalCandidate>,
    bases: Vec<Base>,
    local_ended: bool,
    signaled: Vec<Signaled>,
    peer_reflexive: Vec<Remote>,
    remote_ended: bool,
    early: VecDeque<Early>,
    streams: Vec<Way>,

    checklist: Checklist,
    triggered: VecDeque<PairId>,
    rtt_hint: Option<Duration>,
    pacer: Pacer,
    triggered_pacer: Pacer,
    repeat_pacer: Pacer,
    refusal_pacer: Pacer,

    selected: Option<PairId>,
    selected_since: Option<Instant>,
    /// What [`Event::Selected`] said last.
    announced: Option<(PairId, bool, Kind)>,
    /// When the first pair of this generation became usable.
    first_valid: Option<Instant>,
    settled: bool,
    /// Since when a usable pair is looked for, if none is there.
    trying_since: Option<Instant>,
    lost: Option<Verdict>,

    embedded: Embedded,
    /// First checks open our NAT, and go no further.
    opens: bool,
    /// Nominations by way of a relay wait until direct pairs had their time.
    is_patient: bool,
    /// Until when they wait, once the first came.
    hasty_until: Option<Instant>,
    /// Attributes that are read and not sent.
    heard: Option<AttributeType>,
    counts: Counts,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    commands: VecDeque<Command>,
}

/// What a restart leaves behind: the pair in use goes on until another is found (RFC 8445 section 9).
#[derive(Debug)]
struct Previous {
    generation: Generation,
    local: Keyed,
    remote: Keyed,
    /// Where the other side was.
    remotes: Vec<Remote>,
    /// When it is forgotten; `None` as long as its pair is in use.
    until: Option<Instant>,
}

#[derive(Debug, Default)]
struct Counts {
    requests_sent: u64,
    discarded: u64,
    unauthenticated: u64,
    role_conflicts: u64,
}

impl Agent {
    /// A new agent with credentials of its own. `seed` decides on everything that is random.
    pub fn new(config: Config, local: Credentials, role: Role, seed: [u8; 32], now: Instant) -> Agent {
        let mut rng = ChaCha20Rng::from_seed(seed);
        let tie_breaker = rng.next_u64();
        let (pacer, repeat_pacer) =
            (Pacer::new(config.burst, config.ta, now), Pacer::new(config.burst, config.ta, now));
        Agent {
            pacer,
            repeat_pacer,
            triggered_pacer: Pacer::new(TRIGGERED_BURST, config.ta, now),
            refusal_pacer: Pacer::new(REFUSAL_BURST, REFUSAL_INTERVAL, now),
            config,
            rng,
            started: now,
            now,
            role,
            tie_breaker,
            state: State::New,
            generation: Generation(0),
            local: Keyed::new(local),
            remote: None,
            previous: None,
            local_candidates: Vec::new(),
            bases: Vec::new(),
            local_ended: false,
            signaled: Vec::new(),
            peer_reflexive: Vec::new(),
            remote_ended: false,
            early: VecDeque::new(),
            streams: Vec::new(),
            checklist: Checklist::default(),
            triggered: VecDeque::new(),
            rtt_hint: None,
            selected: None,
            selected_since: None,
            announced: None,
            first_valid: None,
            settled: false,
            trying_since: None,
            lost: None,
            embedded: Embedded::new(),
            opens: false,
            is_patient: false,
            hasty_until: None,
            heard: None,
            counts: Counts::default(),
            transmits: VecDeque::new(),
            events: VecDeque::new(),
            commands: VecDeque::new(),
        }
    }

    /// What the other side is to be told.
    pub fn local_credentials(&self) -> &Credentials {
        &self.local.credentials
    }

    /// What the other side told us.
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        self.remote.as_ref().map(|remote| &remote.credentials)
    }

    /// Our role; a conflict may change it.
    pub fn role(&self) -> Role {
        self.role
    }

    /// How far the agent is.
    pub fn state(&self) -> State {
        self.state
    }

    /// Whether application bytes may go there and come from there: our check was answered from there, and consent has not
    /// expired. This is the only gate: what is not validated is not to be sent to.
    pub fn is_validated(&self, socket: SocketId, remote: SocketAddr) -> bool {
        let way = Way { socket, remote: plain(remote) };
        let carries = |pair: &Pair| pair.way() == way && pair.is_valid();
        let selected = self.selected.and_then(|id| self.checklist.get(id));
        selected.is_some_and(carries) || self.checklist.iter().any(carries)
    }

    /// Whether a pair with this way is under check, or was, or an authentic request came this way before the other side's
    /// credentials: bytes that come from there early may be kept until it is validated.
    pub fn is_known(&self, socket: SocketId, remote: SocketAddr) -> bool {
        let way = Way { socket, remote: plain(remote) };
        self.checklist.iter().any(|pair| pair.way() == way) || self.early.iter().any(|early| early.way == way)
    }

    /// The caller has reason to think that the path is dead: usable pairs are asked for consent now, and if the one in use
    /// remains silent another takes its place. At most once a round trip.
    pub fn probe(&mut self, now: Instant) {
        self.now = now;
        self.checklist.iter_mut().filter(|pair| pair.is_valid()).for_each(|pair| pair.due = Some(now));
        self.advance(now);
    }

    /// The other side sends by another pair, and nothing comes by the one in use: that counts as silent until it answers.
    pub fn suspect(&mut self, now: Instant) {
        self.now = now;
        if let Some(pair) = self.selected.and_then(|id| self.checklist.get_mut(id)) {
            pair.unanswered = pair.unanswered.max(FOLLOW_UPS);
            pair.due = Some(now);
        }
        self.advance(now);
    }

    /// Bytes came this way that are for the caller: whoever sent them has found the pair usable. If it is under check still, it is asked
    /// again now, unless an answer may be on its way.
    pub fn hurry(&mut self, socket: SocketId, remote: SocketAddr, now: Instant) {
        self.now = now;
        let way = Way { socket, remote: plain(remote) };
        let Some(pair) = self.checklist.find(way, self.generation) else { return };
        let rto = check::rto(&self.config, pair.rtt.or(self.rtt_hint));
        if pair.state == PairState::InProgress && pair.last_sent.is_none_or(|sent| sent + rto <= now) {
            self.trigger(pair.id);
            self.advance(now);
        }
    }

    /// The pair in use.
    pub fn selected(&self) -> Option<Selected> {
        let pair = self.checklist.get(self.selected?).filter(|pair| pair.is_valid())?;
        Some(Selected {
            socket: pair.base.socket,
            remote: pair.remote.address,
            local_kind: pair.local_kind,
            remote_kind: pair.remote.kind,
            transport: pair.base.transport,
            rtt: pair.rtt,
            nominated: pair.nominated,
        })
    }

    /// When the pair in use was last answered: a restart that is not leaves it in use.
    pub fn confirmed(&self) -> Option<Instant> {
        self.checklist.get(self.selected?).filter(|pair| pair.is_valid())?.confirmed
    }

    /// All that was tried: each pair, when, how often, and why it failed.
    pub fn report(&self) -> Report {
        self.explain()
    }

    /// How things stand, or why they failed.
    pub fn verdict(&self) -> Verdict {
        self.judge()
    }

    /// A round trip that is like the one to come, such as that of signaling: the first wait for an answer follows it.
    pub fn set_rtt_hint(&mut self, rtt: Duration) {
        self.rtt_hint = Some(rtt);
    }

    /// Adds a candidate of ours, at any time. One that is there already changes nothing.
    ///
    /// # Errors
    /// `TooManyCandidates`, `OtherComponent`, `NotACandidate`, `Closed`.
    pub fn add_local_candidate(&mut self, local: LocalCandidate, now: Instant) -> Result<(), Misuse> {
        self.now = now;
        self.admit_local(&local)?;
        let known = |other: &LocalCandidate| {
            other.socket == local.socket
                && other.candidate.kind == local.candidate.kind
                && other.candidate.address == local.candidate.address
        };
        if self.local_candidates.iter().any(known) {
            return Ok(());
        }
        if self.local_candidates.len() >= self.config.local_candidates_max {
            return Err(Misuse::TooManyCandidates);
        }
        self.add_base(base_of(&local), local.candidate.kind);
        self.local_candidates.push(local);
        Ok(())
    }

    /// Ends a socket: its candidates and pairs with it. If the pair in use is among them, the others are tried again.
    pub fn remove_socket(&mut self, socket: SocketId, now: Instant) {
        self.now = now;
        self.local_candidates.retain(|local| local.socket != socket);
        self.bases.retain(|base| base.socket != socket);
        self.early.retain(|early| early.way.socket != socket);
        self.streams.retain(|way| way.socket != socket);
        self.transmits.retain(|transmit| transmit.socket != socket);
        self.checklist.fail_where(Failure::SocketRemoved, |pair| pair.base.socket == socket);
        self.advance(now);
    }

    /// No more candidates of ours will be gathered, for now.
    pub fn end_of_local_candidates(&mut self, now: Instant) {
        self.now = now;
        self.local_ended = true;
        self.advance(now);
    }

    /// Sends these bytes as an attribute of that kind in every request and answer from now on, until others replace them;
    /// `None` ends it. Meanwhile what the other side sends in such attributes comes as [`Event::Embedded`].
    ///
    /// # Errors
    /// `TooLong` if all that is embedded would pass 1,024 bytes, or for a kind that ends a message.
    pub fn embed(&mut self, kind: AttributeType, value: Option<&[u8]>) -> Result<(), Misuse> {
        let others = self.embedded.iter().filter(|(other, _)| *other != kind);
        let len: usize = others.map(|(_, value)| value.len() + 8).sum();
        if kind.ends_a_message() || len + value.map_or(0, <[u8]>::len) + 8 > EMBEDDED_LEN_MAX {
            return Err(Misuse::TooLong);
        }
        self.embedded.retain(|(other, _)| *other != kind);
        self.embedded.extend(value.map(|value| (kind, value.to_vec())));
        Ok(())
    }

    /// What the other side sends in attributes of that kind comes as [`Event::Embedded`], without anything being sent in such.
    pub fn hear(&mut self, kind: AttributeType) {
        self.heard = Some(kind);
    }

    /// Whether the first check from a host candidate to a reflexive one over IPv4 opens our own NAT and goes no further ([`Transmit::ttl`]),
    /// and the next follows 150 ms later, or upon a check of the other side: for one that may be slow to send its own first check, as a
    /// page is. Some NATs (Linux without a rule for what comes uninvited) give up the port of whoever is checked before he has checked.
    pub fn set_opening(&mut self, opens: bool) {
        self.opens = opens;
    }

    /// Whether the other side may keep the first pair that answers, for good (aggressive nomination, RFC 5245 section 8.1.1.2): for 700 ms
    /// after its first it gets no answer to nominations by way of a relay, so that a direct pair comes first where there is one.
    pub fn set_patient(&mut self, is_patient: bool) {
        self.is_patient = is_patient;
    }

    /// Begins anew with new credentials (RFC 8445 section 9): the sockets and their candidates stay, what the other side
    /// said is forgotten. The pair in use stays in use until another is found.
    pub fn restart(&mut self, local: Credentials, now: Instant) {
        self.now = now;
        if self.state == State::Closed {
            return;
        }
        self.hasty_until = None;
        let old = std::mem::replace(&mut self.local, Keyed::new(local));
        let in_use = self.selected.and_then(|id| self.checklist.get(id)).filter(|pair| pair.is_valid());
        let in_use = in_use.map(|pair| (pair.id, pair.generation));
        let remote = self.remote.take();
        let named = self.signaled.drain(..).map(|signaled| signaled.remote);
        let remotes = named.chain(self.peer_reflexive.drain(..)).collect();
        self.previous = match in_use {
            // Restarted again before anything new was found: what is in use is older still.
            Some((_, generation)) if generation != self.generation => self.previous.take(),
            Some((_, generation)) => {
                remote.map(|remote| Previous { generation, local: old, remote, remotes, until: None })
            }
            None => None,
        };
        // The other side may use another pair than we do, until both have found new ones.
        let in_force = in_use.map(|(_, generation)| generation);
        self.checklist.retain(|pair| pair.is_valid() && Some(pair.generation) == in_force);
        self.selected = in_use.map(|(id, _)| id);
        self.generation = Generation(self.generation.0.wrapping_add(1));
        self.early.clear();
        self.triggered.clear();
        (self.local_ended, self.remote_ended) = (false, false);
        (self.first_valid, self.settled, self.trying_since, self.lost) = (None, false, None, None);
        if self.state == State::Failed {
            self.set_state(State::New);
        }
        self.advance(now);
    }

    /// Ends everything. Nothing is said to the other side, whose consent will expire.
    pub fn close(&mut self, now: Instant) {
        self.now = now;
        for way in std::mem::take(&mut self.streams) {
            self.commands.push_back(Command::CloseStream { socket: way.socket, to: way.remote });
        }
        self.checklist.retain(|_| false);
        self.triggered.clear();
        self.early.clear();
        self.transmits.clear();
        self.selected = None;
        self.set_state(State::Closed);
    }

    /// A TCP connection stands: one that was asked for, or one that came in at a passive candidate.
    pub fn handle_stream_open(&mut self, socket: SocketId, remote: SocketAddr, now: Instant) {
        self.now = now;
        let way = Way { socket, remote: plain(remote) };
        if self.streams.len() >= STREAMS_MAX || !self.is_working() {
            self.commands.push_back(Command::CloseStream { socket, to: remote });
            return;
        }
        if !self.streams.contains(&way) {
            self.streams.push(way);
        }
        let opening = |pair: &&mut Pair| pair.way() == way && pair.state == PairState::Opening;
        let opened = self.checklist.iter_mut().find(opening).map(|pair| {
            pair.rewind();
            pair.id
        });
        if let Some(id) = opened {
            self.trigger(id);
        }
        self.advance(now);
    }

    /// A TCP connection ended, or could not be opened.
    pub fn handle_stream_closed(&mut self, socket: SocketId, remote: SocketAddr, now: Instant) {
        self.now = now;
        let way = Way { socket, remote: plain(remote) };
        self.streams.retain(|open| *open != way);
        self.checklist.fail_where(Failure::StreamClosed, |pair| pair.way() == way && pair.is_stream());
        self.advance(now);
    }

    /// A packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }

    /// News.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Something else to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }

    /// Neither closed nor failed.
    fn is_working(&self) -> bool {
        !matches!(self.state, State::Failed | State::Closed)
    }

    fn claim(&self) -> Claim {
        Claim { role: self.role, tie_breaker: self.tie_breaker }
    }

    /// Has a pair checked before all that wait.
    fn trigger(&mut self, id: PairId) {
        if let Some(pair) = self.checklist.get_mut(id).filter(|pair| !pair.triggered) {
            pair.triggered = true;
            self.triggered.push_back(id);
        }
    }

    fn set_state(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.events.push_back(Event::StateChanged(state));
        }
    }

    fn admit_local(&self, local: &LocalCandidate) -> Result<(), Misuse> {
        if self.state == State::Closed {
            return Err(Misuse::Closed);
        }
        if local.candidate.component != 1 {
            return Err(Misuse::OtherComponent);
        }
        if local.candidate.address.ip().is_unspecified() || local.candidate.kind == Kind::PeerReflexive {
            return Err(Misuse::NotACandidate);
        }
        Ok(())
    }

    /// A new socket is paired with all that is known of the other side; one that is known may turn out better.
    fn add_base(&mut self, base: Base, kind: Kind) {
        if let Some(known) = self.bases.iter_mut().find(|known| known.socket == base.socket) {
            if kind != Kind::ServerReflexive {
                *known = base;
                let pairs = self.checklist.iter_mut().filter(|pair| pair.base.socket == base.socket);
                pairs.for_each(|pair| pair.base = base);
            }
            return;
        }
        self.bases.push(base);
        let remotes: Vec<Remote> = self.signaled.iter().map(|signaled| signaled.remote).collect();
        for remote in remotes {
            self.form_pair(base, remote);
        }
    }

    fn form_pair(&mut self, base: Base, remote: Remote) {
        let way = Way { socket: base.socket, remote: remote.address };
        if fits(&base, &remote) && self.checklist.find(way, self.generation).is_none() {
            let _ = self.checklist.add(base, remote, self.generation, self.role, self.config.pairs_max);
        }
    }
}

/// The base of a candidate; that of a reflexive one is its host address, whether or not that is offered as well.
fn base_of(local: &LocalCandidate) -> Base {
    let LocalCandidate { socket, preference, candidate } = local;
    let (kind, address) = match candidate.kind {
        Kind::ServerReflexive => (Kind::Host, candidate.related.unwrap_or(candidate.address)),
        kind => (kind, candidate.address),
    };
    let priority = match candidate.kind {
        Kind::ServerReflexive => priority(Kind::Host, Transport::Udp, *preference, 1),
        _ => candidate.priority,
    };
    Base {
        socket: *socket,
        kind,
        transport: candidate.transport,
        address: plain(address),
        preference: *preference,
        priority,
    }
}
