//! ICE as a browser has it: libwebrtc's `P2PTransportChannel`, as far as what it does can be seen on the wire or by a page.
//!
//! ```text
//!  described ──► ports ──► candidates          their candidates ──► connections: each port with each of them
//!  every tick (48 ms, or 250 ms where the selected connection is well): look at each, ask one
//!  an answer, a question, a tick ──► sort ──► the best that can be sent by is selected, what it makes useless is pruned
//! ```
//!
//! Unlike `proto/ice` it asks one connection in each tick, keeps no schedule of repetitions, nominates with every check that might become the selected pair,
//! answers whoever knows its credentials, and takes five seconds of unanswered checks for a sign that nothing goes through. The figures are
//! those of libwebrtc's `p2p_constants.cc`; what was measured of Chromium is in [`crate::page`].

mod checks;
mod connection;
mod ports;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_ice::{Candidate, Credentials, Kind};
use twocan_rtc::Protocol;
use twocan_rtc::gather::IceServer;

use connection::{Asked, Connection, WriteState};
use ports::{Later, Port};

/// Between two checks while the selected connection is weak, or there is none.
const WEAK_PING: Duration = Duration::from_millis(48);
/// The same where it is well.
const STRONG_PING: Duration = Duration::from_millis(480);
/// Between two looks at all connections, at most.
const LOOK: Duration = Duration::from_millis(250);
/// Checks of each connection that are sent at the quick pace.
const QUICK_PINGS: u32 = 3;
/// How much longer a better connection must be heard, or the selected one be silent, before one leaves what is silent.
const SWITCH_DELAY: Duration = Duration::from_secs(1);
/// A connection that is as good is taken if it is so much quicker.
const QUICKER: Duration = Duration::from_millis(10);

/// Names a stream that a port asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamToken(u32);

/// Where the whole stands (W3C `RTCIceTransportState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// There is nothing to ask yet.
    New,
    /// Nothing has answered yet.
    Checking,
    /// Data can be sent.
    Connected,
    /// It could, and cannot for the moment.
    Disconnected,
    /// No connection is left that might.
    Failed,
}

/// What is to be done.
#[derive(Clone, Debug)]
pub enum Output {
    /// A datagram, from this port; its address is what the host has at the moment.
    Datagram { from: SocketAddr, to: SocketAddr, bytes: Vec<u8> },
    /// A stream is wanted.
    Connect { stream: StreamToken, is_v4: bool, to: SocketAddr },
    /// Bytes for a stream.
    Stream { stream: StreamToken, bytes: Vec<u8> },
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// A candidate: its text, its kind, and the credentials' name that it belongs to.
    Candidate { text: String, ufrag: String },
    /// No more candidates of this generation.
    Gathered,
    /// A server gave nothing: a STUN error code, or 701.
    CandidateError { is_turn: bool, code: u16 },
    /// A packet that is neither STUN nor a relay's.
    Packet(Vec<u8>),
}

/// The way of the selected connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Selected {
    /// What our end is.
    pub local: Kind,
    /// What the other is.
    pub remote: Kind,
    /// By what our relay is reached, if there is one.
    pub relay: Option<Protocol>,
    /// The round trip, once measured.
    pub rtt: Option<Duration>,
}

/// The selected pair, as the browser's statistics have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// Names it.
    pub id: u32,
    /// Its last check was answered (`state` is `succeeded`).
    pub is_answered: bool,
    /// Bytes of data that came by it.
    pub received: u64,
}

/// The agent: see the module.
pub struct Ice {
    controlling: bool,
    relay_only: bool,
    tie_breaker: u64,
    random: ChaCha20Rng,
    servers: Vec<IceServer>,
    /// What the browser believes the host's addresses to be: it looks every two seconds.
    networks: Vec<IpAddr>,
    local: Vec<Credentials>,
    remote: Vec<Credentials>,
    remote_candidates: Vec<(usize, Candidate)>,
    ports: Vec<Port>,
    next_id: u32,
    later: Vec<Later>,
    next_port: u16,
    next_stream: u32,
    names: Vec<(IpAddr, String)>,
    connections: Vec<Connection>,
    next_connection: u32,
    selected: Option<u32>,
    /// Candidates are looked for: until something is connected.
    is_gathering: bool,
    has_said_gathered: bool,
    has_had_connection: bool,
    has_been_writable: bool,
    tick_at: Option<Instant>,
    pinged_at: Option<Instant>,
    switch_at: Option<Instant>,
    /// Bytes of data that came, by all connections.
    pub received: u64,
    now: Instant,
    outputs: VecDeque<Output>,
    events: VecDeque<Event>,
}

impl Ice {
    /// It does nothing until it is described. UDP ports are taken from `first_port` on.
    pub fn new(
        servers: Vec<IceServer>,
        relay_only: bool,
        networks: Vec<IpAddr>,
        first_port: u16,
        seed: [u8; 32],
        now: Instant,
    ) -> Ice {
        let mut random = ChaCha20Rng::from_seed(seed);
        Ice {
            controlling: true,
            relay_only,
            tie_breaker: random.next_u64(),
            random,
            servers,
            networks,
            local: Vec::new(),
            remote: Vec::new(),
            remote_candidates: Vec::new(),
            ports: Vec::new(),
            next_id: 0,
            later: Vec::new(),
            next_port: first_port,
            next_stream: 0,
            names: Vec::new(),
            connections: Vec::new(),
            next_connection: 0,
            selected: None,
            is_gathering: false,
            has_said_gathered: false,
            has_had_connection: false,
            has_been_writable: false,
            tick_at: None,
            pinged_at: None,
            switch_at: None,
            received: 0,
            now,
            outputs: VecDeque::new(),
            events: VecDeque::new(),
        }
    }

    /// Who nominates: whoever described the session first.
    pub fn set_controlling(&mut self, controlling: bool) {
        self.controlling = controlling;
    }

    /// Words for a new generation; they are in use once [`Ice::gather`] is called with them.
    pub fn draw_credentials(&mut self) -> Credentials {
        let mut seed = [0; 32];
        self.random.fill_bytes(&mut seed);
        Credentials::generate(seed)
    }

    /// Our description is set: gathering begins, anew if these are other credentials.
    pub fn gather(&mut self, credentials: &Credentials, now: Instant) {
        self.now = now;
        if self.local.last() == Some(credentials) {
            return;
        }
        self.local.push(credentials.clone());
        self.is_gathering = true;
        self.has_said_gathered = false;
        for port in &mut self.ports {
            port.is_pruned = true;
        }
        let networks = self.networks.clone();
        self.open_ports(&networks, now);
        self.sort(now);
    }

    /// Their description is set.
    pub fn set_remote(&mut self, credentials: &Credentials, now: Instant) {
        self.now = now;
        if self.remote.last() != Some(credentials) {
            self.remote.push(credentials.clone());
        }
        let of = self.remote.len() - 1;
        for each in &mut self.connections {
            if each.generation.is_none() && each.theirs == credentials.ufrag {
                each.generation = Some(of);
            }
        }
        self.start_pinging(now);
    }

    /// A candidate of theirs, of the last generation.
    pub fn add_remote(&mut self, candidate: Candidate, now: Instant) {
        self.now = now;
        let Some(generation) = self.remote.len().checked_sub(1) else { return };
        let named = candidate.ufrag.as_deref();
        let generation = named
            .and_then(|ufrag| self.remote.iter().position(|known| known.ufrag == ufrag))
            .unwrap_or(generation);
        let is_udp = candidate.transport == twocan_ice::Transport::Udp;
        let known =
            |(of, known): &(usize, Candidate)| *of == generation && known.address == candidate.address;
        if !is_udp || generation + 1 < self.remote.len() || self.remote_candidates.iter().any(known) {
            return;
        }
        // What is new shows that the old ones are of no use.
        self.remote_candidates.retain(|(of, _)| *of >= generation);
        self.remote_candidates.push((generation, candidate.clone()));
        let theirs = self.remote[generation].ufrag.clone();
        // What their checks revealed has a name now (`MaybeUpdatePeerReflexiveCandidate`).
        for each in &mut self.connections {
            let is_it = each.remote == candidate.address && each.theirs == theirs;
            if is_it && each.remote_kind == Kind::PeerReflexive {
                each.remote_kind = candidate.kind;
                each.rank(self.controlling, each.own_priority, candidate.priority);
            }
        }
        for port in 0..self.ports.len() {
            if !self.ports[port].is_pruned {
                self.connect(port, &theirs, &candidate, now);
            }
        }
        self.sort(now);
        self.start_pinging(now);
    }

    /// Other servers, for what is gathered from now on.
    pub fn set_servers(&mut self, servers: Vec<IceServer>) {
        self.servers = servers;
    }

    /// The browser has looked at its networks. A family that is new is used while candidates are still looked for; addresses, from the next restart on.
    pub fn set_networks(&mut self, networks: &[IpAddr], now: Instant) {
        self.now = now;
        if self.networks == networks {
            return;
        }
        let had = |ip: &IpAddr| self.networks.iter().any(|known| known.is_ipv4() == ip.is_ipv4());
        let new: Vec<IpAddr> = networks.iter().copied().filter(|ip| !had(ip)).collect();
        self.networks = networks.to_vec();
        if self.is_gathering && !self.local.is_empty() {
            self.open_ports(&new, now);
        }
    }

    /// Where it stands.
    pub fn state(&self) -> State {
        let is_active = self.connections.iter().any(|each| each.write != WriteState::TimedOut);
        match () {
            () if self.has_had_connection && !is_active => State::Failed,
            () if self.is_writable() => State::Connected,
            () if self.has_been_writable => State::Disconnected,
            () if is_active => State::Checking,
            () => State::New,
        }
    }

    /// Whether data can be sent now.
    pub fn is_writable(&self) -> bool {
        self.selected().is_some_and(|selected| selected.write == WriteState::Writable)
    }

    /// By which way.
    pub fn path(&self) -> Option<Selected> {
        let selected = self.selected()?;
        let port = self.ports.iter().find(|port| port.id == selected.port)?;
        let relay = port.relay_protocol();
        let rtt = (selected.rtt_samples > 0).then_some(selected.rtt);
        Some(Selected { local: selected.local_kind, remote: selected.remote_kind, relay, rtt })
    }

    /// Which pair that is.
    pub fn way(&self) -> Option<Way> {
        let each = self.selected()?;
        let is_answered = each.answered.is_some() && each.asked.is_empty();
        Some(Way { id: each.id, is_answered, received: each.received })
    }

    /// Whether a way past the relays is still under check.
    pub fn is_trying(&self) -> bool {
        let is_relayed =
            |each: &Connection| each.local_kind == Kind::Relayed || each.remote_kind == Kind::Relayed;
        self.connections.iter().any(|each| {
            let is_asked = each.write == WriteState::Unreliable && !each.asked.is_empty();
            !is_relayed(each) && (is_asked || each.write == WriteState::Init)
        })
    }

    /// Candidates of theirs that came with their checks.
    pub fn peer_reflexive(&self) -> usize {
        let all = self.connections.iter().filter(|each| each.remote_kind == Kind::PeerReflexive);
        all.map(|each| each.remote).collect::<std::collections::BTreeSet<_>>().len()
    }

    /// How often it began anew.
    pub fn restarts(&self) -> u32 {
        u32::try_from(self.local.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    /// Its connections, for a person: the selected one is marked.
    pub fn report(&self) -> String {
        let line = |each: &Connection| {
            let mark = if Some(each.id) == self.selected { "→" } else { " " };
            format!("\n  {mark} {}", each.report())
        };
        self.connections.iter().map(line).collect()
    }

    /// The name that stands for an address of ours, and all others given out.
    pub fn names(&self) -> &[(IpAddr, String)] {
        &self.names
    }

    /// Sends data by the selected connection; while nothing can be sent it is lost.
    pub fn send(&mut self, bytes: &[u8], now: Instant) {
        if !self.is_writable() {
            return;
        }
        let Some((port, to)) = self.selected().map(|selected| (selected.port, selected.remote)) else {
            return;
        };
        self.send_from(port, to, bytes, now);
    }

    /// What is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.run_ports(now);
        if self.switch_at.is_some_and(|at| at <= now) {
            self.switch_at = None;
            self.sort(now);
        }
        if self.tick_at.is_some_and(|at| at <= now) {
            self.tick(now);
        }
    }

    /// When [`Ice::handle_timeout`] is due.
    pub fn poll_timeout(&self) -> Option<Instant> {
        [self.tick_at, self.switch_at, self.ports_timeout()].into_iter().flatten().min()
    }

    /// What is to be done next.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// What happened next.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn selected(&self) -> Option<&Connection> {
        let id = self.selected?;
        self.connections.iter().find(|each| each.id == id)
    }

    /// The first check goes out at once, later ones in ticks.
    fn start_pinging(&mut self, now: Instant) {
        if self.tick_at.is_none() && self.connections.iter().any(|each| self.can_ask(each, now)) {
            self.tick_at = Some(now);
            self.tick(now);
        }
    }

    /// The selected connection is not well, or there is none.
    fn is_weak(&self, now: Instant) -> bool {
        self.selected().is_none_or(|selected| selected.is_weak(now))
    }

    fn tick(&mut self, now: Instant) {
        let before: Vec<_> = self.connections.iter().map(|each| (each.id, each.write)).collect();
        for each in &mut self.connections {
            each.update(now);
        }
        self.connections.retain(|each| !each.is_dead(now));
        if self.selected().is_none() {
            self.selected = None;
        }
        let after = self.connections.iter().map(|each| (each.id, each.write));
        if !before.iter().copied().eq(after) || self.is_weak(now) {
            self.sort(now);
        }
        let is_weak = self.is_weak(now);
        let is_quick = is_weak || self.connections.iter().any(|each| each.pings < QUICK_PINGS);
        let pace = if is_quick { WEAK_PING } else { STRONG_PING };
        if self.pinged_at.is_none_or(|at| now >= at + pace)
            && let Some(id) = self.next_to_ask(now)
        {
            self.pinged_at = Some(now);
            self.ask(id, now);
        }
        self.tick_at = Some(now + pace.min(LOOK));
    }

    /// The next to be asked (`BasicIceController::FindNextPingableConnection`).
    fn next_to_ask(&mut self, now: Instant) -> Option<u32> {
        let is_weak = self.is_weak(now);
        if let Some(selected) = self.selected()
            && selected.write == WriteState::Writable
            && self.can_ask(selected, now)
            && selected.is_due(now, is_weak)
        {
            return Some(selected.id);
        }
        let can: Vec<u32> =
            self.connections.iter().filter(|each| self.can_ask(each, now)).map(|each| each.id).collect();
        let of = |id: &u32| self.connections.iter().find(|each| each.id == *id);
        let triggered = can.iter().filter_map(of).filter(|each| {
            each.write != WriteState::Writable && each.asked_us.is_some() && each.asked_us > each.pinged
        });
        if let Some(oldest) = triggered.min_by_key(|each| each.asked_us) {
            return Some(oldest.id);
        }
        // A round of all, in the order of their worth.
        if !can.iter().filter_map(of).any(|each| !each.was_in_round) {
            self.connections.iter_mut().for_each(|each| each.was_in_round = false);
        }
        let fresh = self.connections.iter().filter(|each| can.contains(&each.id) && !each.was_in_round);
        let next = fresh.min_by_key(|each| (each.pinged, std::cmp::Reverse(each.priority), each.id));
        let id = next.map(|each| each.id)?;
        self.connection_mut(id)?.was_in_round = true;
        Some(id)
    }

    /// Whether it may be asked at this moment (`IsPingable`).
    fn can_ask(&self, each: &Connection, now: Instant) -> bool {
        let is_known = each.generation.is_some();
        if !is_known {
            return false;
        }
        let is_weak = self.is_weak(now);
        if is_weak {
            return true;
        }
        if each.write == WriteState::TimedOut {
            return false;
        }
        let is_backup = self.is_complete() && Some(each.id) != self.selected;
        if is_backup {
            return each.is_due_as_backup(now);
        }
        each.write != WriteState::Writable || each.is_due(now, is_weak)
    }

    /// One connection is left, besides those that are given up.
    fn is_complete(&self) -> bool {
        let networks: Vec<IpAddr> = self
            .connections
            .iter()
            .filter(|each| each.write != WriteState::TimedOut)
            .map(|each| each.network)
            .collect();
        networks.iter().enumerate().all(|(index, ip)| !networks[..index].contains(ip))
    }

    fn connection_mut(&mut self, id: u32) -> Option<&mut Connection> {
        self.connections.iter_mut().find(|each| each.id == id)
    }

    /// A connection of this port with that candidate, where they can be one.
    fn connect(&mut self, index: usize, theirs: &str, candidate: &Candidate, now: Instant) {
        let port = &self.ports[index];
        let Some((kind, own, address)) = port.offers() else { return };
        let fits = address.is_ipv4() == candidate.address.is_ipv4();
        if !fits {
            return;
        }
        // Who asks with words that are not known yet is of the generation to come. One of an older generation is replaced.
        let generation = self.remote.iter().position(|known| known.ufrag == theirs);
        let age = generation.unwrap_or(self.remote.len());
        let is_there = |each: &Connection| each.port == port.id && each.remote == candidate.address;
        let there = self.connections.iter().position(is_there);
        match there {
            Some(there) if self.connections[there].age < age => {
                self.connections.remove(there);
            }
            Some(_) => return,
            None => {}
        }
        if self.selected().is_none() {
            self.selected = None;
        }
        let port = &self.ports[index];
        let id = self.next_connection;
        self.next_connection += 1;
        let port_id = port.id;
        let mut connection =
            Connection::new(id, port_id, port.generation, port.base.ip(), candidate.address, now);
        connection.theirs = theirs.to_owned();
        (connection.generation, connection.age) = (generation, age);
        (connection.local_kind, connection.remote_kind) = (kind, candidate.kind);
        connection.rank(self.controlling, own, candidate.priority);
        self.connections.push(connection);
        self.has_had_connection = true;
        self.permit(port_id, candidate.address.ip(), now);
    }

    /// Sorts, and sends by another one if that is better (`ShouldSwitchConnection`); prunes.
    fn sort(&mut self, now: Instant) {
        let controlled = !self.controlling;
        let best = self
            .connections
            .iter()
            .filter(|each| each.write == WriteState::Writable)
            .reduce(|one, two| if one.compare(two, controlled, None, now).0.is_lt() { two } else { one })
            .map(|each| each.id);
        if let Some(best) = best
            && self.should_switch(best, now)
        {
            self.selected = Some(best);
        }
        self.has_been_writable |= self.is_writable();
        let may_prune =
            self.controlling || self.selected().is_some_and(|selected| selected.nominated_by_them);
        if may_prune {
            self.prune(now);
        }
        if self.is_writable() {
            self.is_gathering = false;
        }
        self.start_pinging(now);
    }

    fn should_switch(&mut self, to: u32, now: Instant) -> bool {
        if self.selected == Some(to) {
            return false;
        }
        let Some(selected) = self.selected() else { return true };
        let Some(new) = self.connections.iter().find(|each| each.id == to) else { return false };
        let threshold = now.checked_sub(SWITCH_DELAY);
        let (order, was_too_soon) = selected.compare(new, !self.controlling, threshold, now);
        let is_quicker = order.is_eq() && new.rtt + QUICKER <= selected.rtt;
        if was_too_soon {
            self.switch_at.get_or_insert(now + SWITCH_DELAY);
        }
        order.is_lt() || is_quicker
    }

    /// What is worth less than a connection that is well, on the same network, is given up.
    fn prune(&mut self, now: Instant) {
        let Some(selected) = self.selected().filter(|selected| !selected.is_weak(now)) else { return };
        let (id, network, worth) = (selected.id, selected.network, selected.worth());
        for each in &mut self.connections {
            if each.id != id && each.network == network && each.worth() <= worth {
                each.prune();
            }
        }
    }
}
