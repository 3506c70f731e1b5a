//! The server: its doors, and what stands behind them. Packets from clients go to `inbound_client` and on to the methods,
//! packets from peers to `inbound_peer`; `timers` is what ends by itself, `told` what others say, `answer` what goes back.

mod access;
mod allocate;
mod allocation;
mod answer;
mod channel;
mod clock;
mod control;
mod directory;
mod discovery;
mod gate;
mod groups;
mod inbound_client;
mod inbound_peer;
mod nonce;
pub(crate) mod output;
mod permission;
mod permit;
mod ports;
mod quiet;
mod quota;
mod refresh;
mod shares;
mod timers;
mod told;
mod trial;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use rand_chacha::ChaCha20Rng;
use rand_core::{RngCore as _, SeedableRng as _};
use twocan_base::Ledger;
use twocan_stun::alternate::Alternate;

use crate::address::{ClientAddr, Family, Icmp, PeerAddr, RelayPort};
use crate::config::{Config, ConfigError, External};
use crate::limits::Limits;
use crate::news::News;
use crate::policy::is_public_unicast;
use crate::stats::Stats;
use access::Access;
use allocation::{AllocationId, Allocations, Peers};
use clock::Clock;
use control::Control;
use directory::Directory;
use gate::Gate;
use output::{Command, EndReason, Event, Output, PortError, Transmit};
use ports::Ports;
use quiet::Quiet;
use quota::Meter;
use told::TakeBack;
use trial::Trial;

/// A TURN and STUN server, one to a thread.
///
/// Inputs: `handle_*`. Outputs: `poll_*`, to be drained after every batch of inputs: events, then commands, then packets.
pub struct Server {
    clock: Clock,
    limits: Limits,
    external: External,
    dont_fragment: bool,
    is_draining: bool,
    discovery: Vec<Alternate>,
    rng: ChaCha20Rng,
    access: Access,
    control: Option<Control>,
    gate: Gate,
    answers: Meter,
    answers_local: Meter,
    answers_loopback: Meter,
    trial: Trial,
    clients: BTreeMap<ClientAddr, AllocationId>,
    allocations: Allocations,
    deadlines: BTreeSet<(Instant, AllocationId)>,
    ports: Ports,
    quiet_v4: Quiet,
    quiet_v6: Quiet,
    /// Permissions and channels.
    peers: Ledger,
    directory: Directory,
    /// Allocations that end because the lobby took credentials back, and are still there.
    taking_back: VecDeque<TakeBack>,
    /// No timer runs before: the last turn had more to do than one turn may.
    turn_at: Option<Instant>,
    stats: Stats,
    output: Output,
}

impl Server {
    /// A server without allocations. `seed` draws ports and tokens, and must not be known to anybody.
    ///
    /// # Errors
    /// Says which part of `config` cannot be.
    pub fn new(config: Config, seed: [u8; 32], now: Instant) -> Result<Server, ConfigError> {
        config.check()?;
        let mut rng = ChaCha20Rng::from_seed(seed);
        let limits = config.limits;
        let trial = Trial::new(&config, || rng.next_u64(), now);
        let mut meter = |rate| Meter::new(rate, [rng.next_u64(), rng.next_u64()], now);
        let directory = Directory::new(&config);
        let is_public = config.external.addresses().any(is_public_unicast);
        let answers_local = if is_public { limits.answers_local } else { limits.answers };
        let [answers, answers_local, answers_loopback] =
            [limits.answers, answers_local, limits.answers_loopback]
                .map(|rate| meter(rate.share(config.threads)));
        Ok(Server {
            clock: Clock { start: now, unix_at_start: config.unix_now },
            access: Access::new(&config),
            control: Control::new(&config),
            gate: Gate::new(&config),
            external: config.external,
            dont_fragment: config.dont_fragment,
            is_draining: false,
            discovery: config.discovery,
            limits,
            rng,
            answers,
            answers_local,
            answers_loopback,
            trial,
            clients: BTreeMap::new(),
            allocations: Allocations::default(),
            deadlines: BTreeSet::new(),
            ports: Ports::new(config.relay_ports, config.relay_range),
            quiet_v4: Quiet::default(),
            quiet_v6: Quiet::default(),
            peers: Ledger::new(limits.peers.scaled(1, config.threads.max(1).into())),
            directory,
            taking_back: VecDeque::new(),
            turn_at: None,
            stats: Stats::default(),
            output: Output::default(),
        })
    }

    /// One STUN message or ChannelData from a client; a stream is cut by [`crate::wire::frame_len`].
    pub fn handle_client(&mut self, packet: &[u8], from: ClientAddr, now: Instant) {
        if let Err(why) = self.client_packet(packet, from, now) {
            self.stats.discard(why);
        }
    }

    /// The client's TCP or TLS connection ended: so does its allocation.
    pub fn handle_client_closed(&mut self, from: ClientAddr, now: Instant) {
        let _ = now;
        if let Some(id) = self.clients.get(&from).copied() {
            self.end(id, EndReason::ClientClosed);
        }
    }

    /// One datagram from a peer at a relayed port.
    pub fn handle_peer(&mut self, packet: &[u8], from: PeerAddr, to: RelayPort, now: Instant) {
        if let Err(why) = self.peer_packet(packet, from, to, now) {
            self.stats.discard(why);
        }
    }

    /// An ICMP error about a packet that `port` sent to `peer`.
    pub fn handle_icmp(&mut self, error: Icmp, peer: PeerAddr, port: RelayPort, now: Instant) {
        if let Err(why) = self.icmp_error(error, peer, port, now) {
            self.stats.discard(why);
        }
    }

    /// The answer to [`Command::OpenPort`]. None is wanted for a port that was to be closed meanwhile.
    pub fn handle_port_opened(&mut self, port: RelayPort, opened: Result<(), PortError>, now: Instant) {
        self.port_opened(port, opened, now);
    }

    /// What another thread's server, or the lobby, has told.
    pub fn handle_news(&mut self, news: &News, now: Instant) {
        self.told(news, now);
    }

    /// The host's interfaces have these addresses now: see [`Config::own_addresses`].
    pub fn handle_own_addresses(&mut self, addresses: &[IpAddr], now: Instant) {
        let _ = now;
        self.gate.set_own(addresses);
    }

    /// The external addresses are these from now on. An allocation that has been told another one ends: nobody reaches it there.
    pub fn handle_external(&mut self, external: External, now: Instant) {
        let _ = now;
        let is_gone = |family| self.external.of(family) != external.of(family);
        let has_one = |id: &AllocationId| {
            let allocation = self.allocations.get(*id);
            allocation.is_some_and(|each| each.relayed().any(|relayed| is_gone(relayed.port.family)))
        };
        let gone: Vec<AllocationId> = self.clients.values().copied().filter(has_one).collect();
        for id in gone {
            self.end(id, EndReason::Moved);
        }
        self.external = external;
        self.gate.set_external(external);
    }

    /// No new allocations from now on (508); those that are there live on.
    pub fn handle_drain(&mut self, now: Instant) {
        let _ = now;
        self.is_draining = true;
    }

    /// What the wall clock says at `now`, since 1970: to be told now and then, for it may be put right after the start, and stands still for
    /// nobody while a machine sleeps. Time-limited credentials are judged by it.
    pub fn handle_clock(&mut self, unix: Duration, now: Instant) {
        self.clock.set(unix, now);
    }

    /// Whatever is due at `now`: see [`Server::poll_timeout`].
    pub fn handle_timeout(&mut self, now: Instant) {
        self.run_timers(now);
    }

    /// The next packet to send.
    pub fn poll_transmit(&mut self) -> Option<Transmit<'_>> {
        self.output.poll_transmit()
    }

    /// The next thing to do.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.output.commands.pop_front()
    }

    /// The next thing that happened.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.output.events.pop_front()
    }

    /// When [`Server::handle_timeout`] is next wanted.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.next_timeout()
    }

    /// Counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    fn quiet(&mut self, family: Family) -> &mut Quiet {
        match family {
            Family::V4 => &mut self.quiet_v4,
            Family::V6 => &mut self.quiet_v6,
        }
    }

    /// So many permissions and channels of a client's allocation are there, where so many were.
    fn count_peers(&mut self, client: IpAddr, before: Peers, after: Peers) {
        if before == after {
            return;
        }
        let stored = &mut self.stats.stored;
        stored.permissions = stored.permissions - before.permissions + after.permissions;
        stored.channels = stored.channels - before.channels + after.channels;
        self.peers.give(client, before.all());
        self.peers.take_surely(client, after.all());
    }

    /// Brings the gauges up to date after something was stored or forgotten.
    fn count_stored(&mut self) {
        let stored = &mut self.stats.stored;
        stored.allocations = self.allocations.len();
        stored.ports = self.ports.in_use();
        stored.reservations = self.directory.reservations();
        stored.foreign = self.directory.foreign();
        stored.members = self.directory.groups.entries();
    }
}
