//! The network: the machine and its doors.
//!
//! ```text
//!  build.rs    segments, hosts, routers         change.rs   what changes while it runs
//!  transit.rs  host ─► link ─► segment ─► link ─► node      forward.rs  what a router does with it
//! ```

mod block;
mod build;
mod change;
mod forward;
mod queue;
mod router;
mod segment;
mod site;
mod transit;
mod upnp;

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::time::Instant;

use crate::arena::Arena;
use crate::event::{Delivery, Event, Place, Step, Summary};
use crate::link::LinkState;
use crate::packet::{Packet, ParseError};
use crate::prefix::Prefix;
use crate::random::Random;
use crate::stats::{Drop, Stats};
use crate::{BlockId, HostId, InterfaceId, PacketId, RouterId, SegmentId};

pub use block::Block;
pub use build::Attachment;
use queue::{Flight, Queue};
pub(crate) use router::Router;
pub use router::RouterConfig;
use router::Side;
use segment::Segment;
pub use segment::SegmentConfig;
pub use site::{Site, SiteConfig};

#[derive(Debug)]
struct Host {
    interfaces: Vec<InterfaceId>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Owner {
    Host(HostId),
    Router(RouterId),
}

#[derive(Debug)]
struct Interface {
    owner: Owner,
    segment: Option<SegmentId>,
    addresses: Vec<IpAddr>,
    is_up: bool,
    up: LinkState,
    down: LinkState,
}

/// A pretend internet. Ids are of this network: one of another is the caller's mistake, and may panic.
///
/// - **Builders**: [`Network::add_segment`], [`Network::add_host`], [`Network::add_interface`], [`Network::add_router`], and
///   [`Network::add_site`] for one of the [`crate::Kind`]s as a whole.
/// - **Changes**: [`Network::set_up`], [`Network::set_addresses`], [`Network::move_interface`], [`Network::set_access`],
///   [`Network::rebind`], [`Network::set_firewall`], [`Network::block`] …
/// - **Getters**: [`Network::addresses`], [`Network::stats`] …
/// - **`handle_*`**: a packet leaves a host; [`Network::handle_timeout`] whenever [`Network::poll_timeout`] says so.
/// - **`poll_*`**: until they return `None`, after each of the above.
#[derive(Debug)]
pub struct Network {
    /// The latest `now` that was given.
    now: Instant,
    random: Random,
    segments: Arena<SegmentId, Segment>,
    hosts: Arena<HostId, Host>,
    routers: Arena<RouterId, Router>,
    interfaces: Arena<InterfaceId, Interface>,
    blocks: Vec<(BlockId, Block)>,
    blocks_made: u32,
    /// IPv6 prefixes that were given to sites.
    delegated: u32,
    queue: Queue,
    /// When which router's server wants to be asked again.
    wakes: BTreeSet<(Instant, RouterId)>,
    /// What happens at this moment.
    ready: VecDeque<Flight>,
    packets: u64,
    deliveries: VecDeque<Delivery>,
    events: VecDeque<Event>,
    is_tracing: bool,
    stats: Stats,
}

impl Network {
    /// An empty one. `seed` decides on everything that is random.
    pub fn new(seed: [u8; 32], now: Instant) -> Network {
        Network {
            now,
            random: Random::new(seed),
            segments: Arena::new(),
            hosts: Arena::new(),
            routers: Arena::new(),
            interfaces: Arena::new(),
            blocks: Vec::new(),
            blocks_made: 0,
            delegated: 0,
            queue: Queue::default(),
            wakes: BTreeSet::new(),
            ready: VecDeque::new(),
            packets: 0,
            deliveries: VecDeque::new(),
            events: VecDeque::new(),
            is_tracing: false,
            stats: Stats::default(),
        }
    }

    /// A packet leaves a host, by the interface that has its source address. What was due before `now` happens first.
    pub fn handle_packet(&mut self, host: HostId, packet: Packet, now: Instant) {
        self.handle_timeout(now);
        self.send(host, packet, self.now);
        self.settle(self.now);
    }

    /// As [`Network::handle_packet`], for a raw packet.
    ///
    /// # Errors
    /// [`ParseError`]; it is counted as dropped, too.
    pub fn handle_bytes(&mut self, host: HostId, bytes: &[u8], now: Instant) -> Result<(), ParseError> {
        match Packet::parse(bytes) {
            Ok(packet) => self.handle_packet(host, packet, now),
            Err(error) => {
                self.stats.sent += 1;
                self.stats.count(error.into());
                return Err(error);
            }
        }
        Ok(())
    }

    /// Lets happen what is due by `now`, each at its own time.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(at) = self.poll_timeout().filter(|at| *at <= now) {
            self.now = self.now.max(at);
            match self.queue.pop(at) {
                Some((_, flight)) => self.ready.push_back(flight),
                None => self.wake(self.now),
            }
            self.settle(self.now);
        }
        self.now = self.now.max(now);
    }

    /// When something happens next.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.queue.next_at().into_iter().chain(self.wake_at()).min()
    }

    /// A packet that arrived at a host.
    pub fn poll_delivery(&mut self) -> Option<Delivery> {
        self.deliveries.pop_front()
    }

    /// A step of the trace, if [`Network::set_tracing`] asked for it.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Whether each step of each packet becomes an event. At first, none does; who asks must poll them.
    pub fn set_tracing(&mut self, is_tracing: bool) {
        self.is_tracing = is_tracing;
    }

    /// What was counted so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Packets in links.
    pub fn in_flight(&self) -> usize {
        self.queue.len()
    }

    /// The addresses of an interface.
    pub fn addresses(&self, interface: InterfaceId) -> &[IpAddr] {
        &self.interfaces[interface].addresses
    }

    /// The interfaces of a host.
    pub fn interfaces(&self, host: HostId) -> &[InterfaceId] {
        &self.hosts[host].interfaces
    }

    /// All addresses of a host.
    pub fn host_addresses(&self, host: HostId) -> impl Iterator<Item = IpAddr> {
        let interfaces = self.hosts[host].interfaces.iter();
        interfaces.flat_map(|interface| self.interfaces[*interface].addresses.iter().copied())
    }

    /// Where a segment's own addresses are from.
    pub fn prefixes(&self, segment: SegmentId) -> &[Prefix] {
        &self.segments[segment].config.prefixes
    }

    /// A router's interface on its inside.
    pub fn inside(&self, router: RouterId) -> InterfaceId {
        self.routers[router].inside
    }

    /// A router's interface on its outside.
    pub fn outside(&self, router: RouterId) -> InterfaceId {
        self.routers[router].outside
    }

    /// The first address of a family that is not link-local.
    fn address_of(&self, interface: InterfaceId, is_v4: bool) -> Option<IpAddr> {
        let addresses = self.interfaces[interface].addresses.iter().copied();
        addresses.into_iter().find(|address| address.is_ipv4() == is_v4 && !segment::is_link_local(*address))
    }

    fn next_packet(&mut self) -> PacketId {
        self.packets += 1;
        PacketId(self.packets)
    }

    fn trace(&mut self, packet: PacketId, at: Instant, step: impl FnOnce() -> Step) {
        if self.is_tracing {
            self.events.push_back(Event { at, packet, step: step() });
        }
    }

    fn drop_packet(&mut self, flight: &Flight, at: Place, why: Drop, now: Instant) {
        self.stats.count(why);
        let summary = || Summary::of(&flight.packet);
        self.trace(flight.id, now, || Step::Dropped { at, why, summary: summary() });
    }
}
