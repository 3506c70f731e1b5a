//! What a router does with a packet.
//!
//! ```text
//!  inside  ─► for itself? ─► hop limit ─► firewall ─► MTU ─► NAT, NAT64 ──────────► outside
//!            └ for its own outside: hairpin ─► inside
//!  outside ─► NAT, NAT64 ─► hop limit ─► firewall ─► MTU ─────────────────────────► inside
//!            └ uninvited: dropped, refused, remembered        for itself? ─► answered
//! ```

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::queue::{Flight, Stage};
use super::router::Refused;
use super::segment::is_link_local;
use super::transit::Oversize;
use super::{Network, Side};
use crate::event::{Place, Step, Summary};
use crate::firewall::Refusal;
use crate::link::Direction;
use crate::mapping;
use crate::nat::Uninvited;
use crate::nat64::HEADER_DIFFERENCE;
use crate::packet::{Icmp, IcmpError, Packet, Payload, Tcp, Unreachable};
use crate::stats::Drop;
use crate::{InterfaceId, RouterId};

/// What is done with a packet from the inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Local,
    Hairpin,
    Translate,
    Route,
}

impl Network {
    pub(super) fn at_router(&mut self, id: RouterId, at: InterfaceId, flight: Flight, now: Instant) {
        let side = if at == self.routers[id].inside { Side::Inside } else { Side::Outside };
        let segment = self.interfaces[at].segment.map(|segment| &self.segments[segment]);
        if segment.is_some_and(|segment| segment.is_for_all(flight.packet.destination)) {
            return self.multicast(id, side, flight, now);
        }
        match side {
            Side::Inside => self.outward(id, flight, now),
            Side::Outside => self.inward(id, flight, now),
        }
    }

    fn plan(&self, id: RouterId, destination: IpAddr) -> Plan {
        let router = &self.routers[id];
        if self.interfaces[router.inside].addresses.contains(&destination) {
            return Plan::Local;
        }
        let is_own = self.interfaces[router.outside].addresses.contains(&destination);
        match router.nat.as_ref().and_then(|nat| nat.remote_of(destination).map(|remote| (nat, remote))) {
            Some((nat, remote)) if nat.is_external(remote) => Plan::Hairpin,
            _ if is_own => Plan::Local,
            Some(_) => Plan::Translate,
            None => Plan::Route,
        }
    }

    fn outward(&mut self, id: RouterId, mut flight: Flight, now: Instant) {
        let plan = self.plan(id, flight.packet.destination);
        if plan == Plan::Local {
            return self.for_itself(id, Side::Inside, flight, now);
        }
        if is_link_local(flight.packet.source) || is_link_local(flight.packet.destination) {
            return self.drop_packet(&flight, Place::Router(id), Drop::LinkLocal, now);
        }
        if let Err(refused) = self.take_hop(&mut flight.packet) {
            return self.refuse(id, Side::Inside, &flight, None, refused, now);
        }
        let before = flight.packet.clone();
        let random = &mut self.random;
        let router = &mut self.routers[id];
        if plan == Plan::Hairpin {
            let done = router.nat.as_mut().map(|nat| nat.hairpin(&mut flight.packet, now, random));
            return match done.unwrap_or(Err(Drop::NoHairpin)) {
                Ok(()) => {
                    self.translated(id, &flight, &before, now);
                    self.transmit(self.routers[id].inside, flight, now);
                }
                Err(why) => self.drop_packet(&flight, Place::Router(id), why, now),
            };
        }
        if let Some(firewall) = &mut router.firewall
            && let Err(why) = firewall.outbound(&flight.packet, now)
        {
            let is_answered = firewall.config.refusal == Refusal::Answer;
            return self.refuse(id, Side::Inside, &flight, None, Refused { why, is_answered }, now);
        }
        let outside = router.outside;
        let is_nat64 = plan == Plan::Translate && before.source.is_ipv6();
        let growth = if is_nat64 { -i32::from(HEADER_DIFFERENCE) } else { 0 };
        if let Err(oversize) = self.fits(outside, Direction::Up, &flight.packet, growth) {
            return self.too_big(id, Side::Inside, &flight, &before, oversize, now);
        }
        if plan == Plan::Translate {
            let random = &mut self.random;
            let nat = self.routers[id].nat.as_mut();
            if let Err(why) = nat.map_or(Ok(()), |nat| nat.translate_out(&mut flight.packet, now, random)) {
                return self.drop_packet(&flight, Place::Router(id), why, now);
            }
            self.translated(id, &flight, &before, now);
        }
        self.transmit(outside, flight, now);
    }

    fn inward(&mut self, id: RouterId, mut flight: Flight, now: Instant) {
        let destination = flight.packet.destination;
        let before = flight.packet.clone();
        let router = &mut self.routers[id];
        if let Some(nat) = router.nat.as_mut().filter(|nat| nat.is_external(destination)) {
            match nat.translate_in(&mut flight.packet, now) {
                Ok(()) => self.translated(id, &flight, &before, now),
                Err(why) => return self.uninvited(id, flight, why, now),
            }
        } else if self.is_own(id, destination) {
            return self.for_itself(id, Side::Outside, flight, now);
        } else if is_link_local(destination) || is_link_local(flight.packet.source) {
            return self.drop_packet(&flight, Place::Router(id), Drop::LinkLocal, now);
        }
        if let Err(refused) = self.take_hop(&mut flight.packet) {
            return self.refuse(id, Side::Outside, &flight, Some(&before), refused, now);
        }
        let router = &mut self.routers[id];
        if let Some(firewall) = &mut router.firewall
            && let Err(why) = firewall.inbound(&flight.packet, now)
        {
            let is_answered = firewall.config.refusal == Refusal::Answer;
            return self.refuse(id, Side::Outside, &flight, Some(&before), Refused { why, is_answered }, now);
        }
        let inside = router.inside;
        if let Err(oversize) = self.fits(inside, Direction::Up, &flight.packet, 0) {
            return self.too_big(id, Side::Outside, &flight, &before, oversize, now);
        }
        self.transmit(inside, flight, now);
    }

    fn is_own(&self, id: RouterId, address: IpAddr) -> bool {
        let router = &self.routers[id];
        [router.inside, router.outside].iter().any(|at| self.interfaces[*at].addresses.contains(&address))
    }

    fn take_hop(&self, packet: &mut Packet) -> Result<(), Refused> {
        if packet.hop_limit <= 1 {
            return Err(Refused { why: Drop::HopLimit, is_answered: true });
        }
        packet.hop_limit -= 1;
        Ok(())
    }

    fn translated(&mut self, by: RouterId, flight: &Flight, before: &Packet, now: Instant) {
        self.stats.translated += 1;
        let (from, to) = (|| Summary::of(before), || Summary::of(&flight.packet));
        self.trace(flight.id, now, || Step::Translated { by, from: from(), to: to() });
    }

    /// Drops a packet that came from `side`, and tells its sender if that is due. `before`: as it came.
    fn refuse(
        &mut self,
        id: RouterId,
        side: Side,
        flight: &Flight,
        before: Option<&Packet>,
        refused: Refused,
        now: Instant,
    ) {
        self.drop_packet(flight, Place::Router(id), refused.why, now);
        if !refused.is_answered || flight.is_corrupted {
            return;
        }
        let about = before.unwrap_or(&flight.packet);
        let answer = match refused.why {
            Drop::HopLimit => self.error(id, side, about, IcmpError::TimeExceeded { code: 0 }),
            _ => Tcp::refusal_of(about).or_else(|| {
                self.error(id, side, about, IcmpError::Unreachable(Unreachable::AdminProhibited))
            }),
        };
        self.originate(id, side, answer, now);
    }

    fn too_big(
        &mut self,
        id: RouterId,
        side: Side,
        flight: &Flight,
        before: &Packet,
        oversize: Oversize,
        now: Instant,
    ) {
        let Oversize { why, error } = oversize;
        self.drop_packet(flight, Place::Router(id), why, now);
        let answer = error.and_then(|error| self.error(id, side, before, error));
        self.originate(id, side, answer, now);
    }

    /// An error from the address that a router has at this side.
    fn error(&self, id: RouterId, side: Side, about: &Packet, error: IcmpError) -> Option<Packet> {
        let from = self.address_of(self.routers[id].interface(side), about.source.is_ipv4())?;
        about.error_from(from, error)
    }

    /// Sends a packet of the router's own.
    pub(super) fn originate(&mut self, id: RouterId, side: Side, packet: Option<Packet>, now: Instant) {
        let Some(packet) = packet else { return };
        let interface = self.routers[id].interface(side);
        let number = self.originated(Place::Router(id), &packet, now);
        let stage = Stage::Interface(interface);
        self.transmit(interface, Flight { id: number, packet, stage, is_corrupted: false }, now);
    }

    /// A packet from the outside that no mapping lets in.
    fn uninvited(&mut self, id: RouterId, flight: Flight, why: Drop, now: Instant) {
        self.drop_packet(&flight, Place::Router(id), why, now);
        let Some(nat) = &mut self.routers[id].nat else { return };
        if nat.config.uninvited == Uninvited::Drop || flight.is_corrupted {
            return;
        }
        if let Some(flow) = flight.packet.flow().filter(|_| nat.config.uninvited == Uninvited::Claim) {
            nat.claim(flow, now);
        }
        let answer = self.refusal(id, Side::Outside, &flight.packet);
        self.originate(id, Side::Outside, answer, now);
    }

    /// What a host without any service would answer.
    fn refusal(&self, id: RouterId, side: Side, packet: &Packet) -> Option<Packet> {
        match &packet.payload {
            Payload::Tcp(_) => Tcp::refusal_of(packet),
            Payload::Udp(_) => self.error(id, side, packet, IcmpError::Unreachable(Unreachable::Port)),
            Payload::Icmp(Icmp::Echo { is_request: true, identifier, sequence, data }) => {
                let data = data.clone();
                let (identifier, sequence) = (*identifier, *sequence);
                let reply = Icmp::Echo { is_request: false, identifier, sequence, data };
                Some(Packet::new(packet.destination, packet.source, Payload::Icmp(reply)))
            }
            Payload::Icmp(_) | Payload::Other { .. } => None,
        }
    }

    /// A packet to one of the router's own addresses.
    fn for_itself(&mut self, id: RouterId, side: Side, flight: Flight, now: Instant) {
        let place = Place::Router(id);
        if flight.is_corrupted {
            return self.drop_packet(&flight, place, Drop::Corrupted, now);
        }
        let firewall = self.routers[id].firewall.as_ref();
        let is_guarded = firewall.is_some_and(|firewall| firewall.guards(flight.packet.destination));
        if side == Side::Outside && is_guarded {
            return self.drop_packet(&flight, place, Drop::FirewallInbound, now);
        }
        let flight = match side {
            Side::Inside => self.serve_upnp(id, flight, now),
            Side::Outside => Some(flight),
        };
        let Some(flight) = flight else { return };
        if side == Side::Inside && self.serve(id, &flight.packet, flight.packet.destination, now) {
            self.stats.consumed += 1;
            return;
        }
        let answer = self.refusal(id, side, &flight.packet);
        match flight.packet.payload {
            Payload::Udp(_) | Payload::Tcp(_) => self.drop_packet(&flight, place, Drop::NoService, now),
            Payload::Icmp(_) | Payload::Other { .. } => self.stats.consumed += 1,
        }
        self.originate(id, side, answer, now);
    }

    /// Whether a datagram from the inside was for one of the router's services, which answers it from `own`.
    fn serve(&mut self, id: RouterId, packet: &Packet, own: IpAddr, now: Instant) -> bool {
        let Payload::Udp(udp) = &packet.payload else { return false };
        let gateway = self.address_of(self.routers[id].inside, true);
        let router = &mut self.routers[id];
        if !mapping::is_served(&router.services, udp.destination) {
            return false;
        }
        let client = SocketAddr::new(packet.source, udp.source);
        let answer = match udp.destination {
            mapping::SSDP_PORT => gateway.and_then(|gateway| mapping::found(gateway, &udp.data)),
            port => mapping::answer(router, client, port, &udp.data, now, &mut self.random),
        };
        let from = SocketAddr::new(own, udp.destination);
        self.originate(id, Side::Inside, answer.map(|data| Packet::udp(from, client, data)), now);
        true
    }

    /// Multicast is not routed; searches for a router are answered.
    fn multicast(&mut self, id: RouterId, side: Side, flight: Flight, now: Instant) {
        let own = self.address_of(self.routers[id].inside, flight.packet.source.is_ipv4());
        if let Some(own) = own.filter(|_| side == Side::Inside && !flight.is_corrupted) {
            self.serve(id, &flight.packet, own, now);
        }
        self.stats.consumed += 1;
    }

    /// Tells the inside that the router has started, or has another address.
    pub(super) fn announce_restart(&mut self, id: RouterId, now: Instant) {
        for is_v4 in [true, false] {
            let Some(own) = self.address_of(self.routers[id].inside, is_v4) else { continue };
            for packet in mapping::announcements(&self.routers[id], own, now) {
                self.originate(id, Side::Inside, Some(packet), now);
            }
        }
    }
}
