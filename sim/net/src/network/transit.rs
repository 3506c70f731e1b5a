//! A packet's way: out of a host, through its access link, over the segment, through the next one's access link.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Instant;

use super::queue::{Flight, Stage};
use super::segment::is_for_many;
use super::{Network, Owner};
use crate::event::{Delivery, Place, Step, Summary};
use crate::link::{Direction, Passage};
use crate::packet::{IcmpError, Packet};
use crate::stats::Drop;
use crate::{HostId, InterfaceId, SegmentId};

/// What is wrong in a link with a packet of this length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Oversize {
    pub(super) why: Drop,
    /// `None`: nobody is told.
    pub(super) error: Option<IcmpError>,
}

impl Network {
    pub(super) fn send(&mut self, host: HostId, packet: Packet, now: Instant) {
        let id = self.next_packet();
        self.stats.sent += 1;
        let place = Place::Host(host);
        self.trace(id, now, || Step::Sent { by: place, summary: Summary::of(&packet) });
        let source = packet.source;
        let has_source = |interface: &&InterfaceId| self.interfaces[**interface].addresses.contains(&source);
        let interface = self.hosts[host].interfaces.iter().find(has_source).copied();
        let stage = Stage::Interface(interface.unwrap_or(InterfaceId(0)));
        let flight = Flight { id, packet, stage, is_corrupted: false };
        if !flight.packet.is_sound() {
            return self.drop_packet(&flight, place, Drop::Malformed, now);
        }
        let Some(interface) = interface else {
            return self.drop_packet(&flight, place, Drop::UnknownSource, now);
        };
        if flight.packet.hop_limit == 0 {
            return self.drop_packet(&flight, place, Drop::HopLimit, now);
        }
        let destination = flight.packet.destination;
        if self.host_addresses(host).any(|address| address == destination) {
            return self.deliver(host, interface, flight, now);
        }
        if let Err(Oversize { why, error }) = self.fits(interface, Direction::Up, &flight.packet, 0) {
            let answer = error.and_then(|error| flight.packet.error_from(source, error));
            self.drop_packet(&flight, place, why, now);
            // The host's own stack says so.
            if let Some(packet) = answer {
                let id = self.originated(place, &packet, now);
                self.deliver(host, interface, Flight { id, packet, stage, is_corrupted: false }, now);
            }
            return;
        }
        self.transmit(interface, flight, now);
    }

    /// A packet that the network made itself.
    pub(super) fn originated(&mut self, by: Place, packet: &Packet, now: Instant) -> crate::PacketId {
        let id = self.next_packet();
        self.stats.originated += 1;
        self.trace(id, now, || Step::Sent { by, summary: Summary::of(packet) });
        id
    }

    /// Whether a packet, once it is `growth` bytes longer, is short enough for a link.
    pub(super) fn fits(
        &self,
        interface: InterfaceId,
        direction: Direction,
        packet: &Packet,
        growth: i32,
    ) -> Result<(), Oversize> {
        let interface = &self.interfaces[interface];
        let link = match direction {
            Direction::Up => &interface.up.conditions,
            Direction::Down => &interface.down.conditions,
        };
        let mtu = i64::from(link.mtu) - i64::from(growth);
        if packet.wire_len() as i64 <= mtu || (!packet.dont_fragment && !link.blackhole) {
            return Ok(());
        }
        if link.blackhole {
            return Err(Oversize { why: Drop::Blackhole, error: None });
        }
        let error = IcmpError::TooBig { mtu: u32::try_from(mtu).unwrap_or_default() };
        Err(Oversize { why: Drop::TooBig, error: Some(error) })
    }

    /// Out of a host or a router, into its link.
    pub(super) fn transmit(&mut self, from: InterfaceId, mut flight: Flight, now: Instant) {
        let interface = &self.interfaces[from];
        match interface.segment.filter(|_| interface.is_up) {
            Some(segment) => {
                flight.stage = Stage::Segment(segment, Some(from));
                self.carry(from, Direction::Up, flight, now);
            }
            None => self.drop_packet(&flight, Place::Link(from, Direction::Up), Drop::InterfaceDown, now),
        }
    }

    fn carry(&mut self, through: InterfaceId, direction: Direction, mut flight: Flight, now: Instant) {
        let len = flight.packet.wire_len();
        let interface = &mut self.interfaces[through];
        let link = match direction {
            Direction::Up => &mut interface.up,
            Direction::Down => &mut interface.down,
        };
        let place = Place::Link(through, direction);
        match link.carry(len, now, &mut self.random) {
            Passage::QueueFull => self.drop_packet(&flight, place, Drop::QueueFull, now),
            Passage::Lost => self.drop_packet(&flight, place, Drop::Lost, now),
            Passage::Out { at, is_corrupted, is_doubled } => {
                flight.is_corrupted |= is_corrupted;
                if is_doubled {
                    self.stats.copied += 1;
                    self.schedule(at, flight.clone(), now);
                }
                self.schedule(at, flight, now);
            }
        }
    }

    fn schedule(&mut self, at: Instant, flight: Flight, now: Instant) {
        if at <= now {
            self.ready.push_back(flight);
        } else {
            self.queue.push(at, flight);
        }
    }

    /// All that happens at this moment.
    pub(super) fn settle(&mut self, now: Instant) {
        while let Some(flight) = self.ready.pop_front() {
            match flight.stage {
                Stage::Segment(segment, from) => self.cross(segment, from, flight, now),
                Stage::Interface(interface) => self.arrive(interface, flight, now),
            }
        }
    }

    /// Over a segment, to whoever is next.
    fn cross(&mut self, id: SegmentId, from: Option<InterfaceId>, mut flight: Flight, now: Instant) {
        let place = Place::Segment(id);
        if !self.blocks.is_empty() && self.is_blocked(&flight.packet) {
            return self.drop_packet(&flight, place, Drop::Blocked, now);
        }
        let segment = &self.segments[id];
        let destination = flight.packet.destination;
        if segment.is_for_all(destination) {
            return self.spread(id, from, flight, now);
        }
        let hops = segment.config.hops;
        let next = segment.next_hop(destination, from);
        if flight.packet.hop_limit <= hops {
            self.drop_packet(&flight, place, Drop::HopLimit, now);
            let error = IcmpError::TimeExceeded { code: 0 };
            return self.report_from_segment(id, None, &flight.packet, error, now);
        }
        flight.packet.hop_limit -= hops;
        let next = match next {
            Ok(next) => next,
            Err(why) => return self.drop_packet(&flight, place, why, now),
        };
        match self.fits(next, Direction::Down, &flight.packet, 0) {
            Ok(()) => {
                flight.stage = Stage::Interface(next);
                self.carry(next, Direction::Down, flight, now);
            }
            Err(Oversize { why, error }) => {
                self.drop_packet(&flight, Place::Link(next, Direction::Down), why, now);
                if let Some(error) = error {
                    self.report_from_segment(id, Some(next), &flight.packet, error, now);
                }
            }
        }
    }

    /// To all of a LAN but the sender who have an address of the family.
    fn spread(&mut self, id: SegmentId, from: Option<InterfaceId>, mut flight: Flight, now: Instant) {
        if self.segments[id].config.is_internet {
            return self.drop_packet(&flight, Place::Segment(id), Drop::NoRoute, now);
        }
        let is_v4 = flight.packet.source.is_ipv4();
        for n in 0.. {
            let Some(member) = self.segments[id].members.get(n).copied() else { break };
            let has_family = self.interfaces[member].addresses.iter().any(|a| a.is_ipv4() == is_v4);
            if Some(member) != from && has_family {
                self.stats.copied += 1;
                flight.stage = Stage::Interface(member);
                self.carry(member, Direction::Down, flight.clone(), now);
            }
        }
        // The one that was sent ends here, its copies go on.
        self.stats.consumed += 1;
    }

    /// A router in the middle of the internet, or at the far end of an access link, tells the sender what is wrong.
    fn report_from_segment(
        &mut self,
        segment: SegmentId,
        next: Option<InterfaceId>,
        about: &Packet,
        error: IcmpError,
        now: Instant,
    ) {
        let Some(packet) = about.error_from(reporter(about.source), error) else { return };
        let id = self.originated(Place::Segment(segment), &packet, now);
        let stage = Stage::Segment(segment, next);
        self.ready.push_back(Flight { id, packet, stage, is_corrupted: false });
    }

    /// At a host or a router.
    fn arrive(&mut self, at: InterfaceId, flight: Flight, now: Instant) {
        let interface = &self.interfaces[at];
        if !interface.is_up || interface.segment.is_none() {
            return self.drop_packet(&flight, Place::Link(at, Direction::Down), Drop::InterfaceDown, now);
        }
        let host = match interface.owner {
            Owner::Router(router) => return self.at_router(router, at, flight, now),
            Owner::Host(host) => host,
        };
        let destination = flight.packet.destination;
        let segment = interface.segment.map(|segment| &self.segments[segment]);
        let is_for_all = segment.is_some_and(|segment| segment.is_for_all(destination));
        if !is_for_all && !interface.addresses.contains(&destination) {
            // It had moved on before the packet came.
            return self.drop_packet(&flight, Place::Host(host), Drop::NoNeighbour, now);
        }
        self.deliver(host, at, flight, now);
    }

    fn deliver(&mut self, host: HostId, interface: InterfaceId, flight: Flight, now: Instant) {
        if flight.is_corrupted {
            return self.drop_packet(&flight, Place::Host(host), Drop::Corrupted, now);
        }
        self.stats.delivered += 1;
        let summary = || Summary::of(&flight.packet);
        self.trace(flight.id, now, || Step::Delivered { to: host, interface, summary: summary() });
        self.deliveries.push_back(Delivery { at: now, host, interface, packet: flight.packet });
    }
}

/// The address of routers that are not modelled: IPv4's dummy address (RFC 7600 section 4.8), and one of IPv6's
/// discard-only prefix (RFC 6666).
fn reporter(to: IpAddr) -> IpAddr {
    debug_assert!(!is_for_many(to), "nobody reports to several");
    match to {
        IpAddr::V4(_) => Ipv4Addr::new(192, 0, 0, 8).into(),
        IpAddr::V6(_) => Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 8).into(),
    }
}
