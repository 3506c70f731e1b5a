//! Packets through a NAT: their headers, and those that ICMP errors quote.

use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use super::{Hairpin, Nat};
use crate::nat64;
use crate::packet::{Flow, Icmp, IcmpError, Packet, Payload, Quote};
use crate::random::Random;
use crate::stats::Drop;

impl Nat {
    /// Whether this is one of its external addresses.
    pub(crate) fn is_external(&self, address: IpAddr) -> bool {
        self.pool.contains(&address)
    }

    /// Where an address that the inside sent to is outside; the same, but for NAT64.
    pub(crate) fn remote_of(&self, address: IpAddr) -> Option<IpAddr> {
        match (address, self.nat64) {
            (IpAddr::V4(_), _) => Some(address),
            (IpAddr::V6(address), Some(prefix)) => nat64::extract(prefix, address).map(IpAddr::V4),
            (IpAddr::V6(_), None) => None,
        }
    }

    /// As what `inside` sees this remote endpoint; the same, but for NAT64.
    fn seen_from(&self, inside: IpAddr, remote: SocketAddr) -> SocketAddr {
        match (inside, remote.ip(), self.nat64) {
            (IpAddr::V6(_), IpAddr::V4(address), Some(prefix)) => {
                SocketAddr::new(nat64::embed(prefix, address).into(), remote.port())
            }
            _ => remote,
        }
    }

    /// A packet from the inside becomes one from an external endpoint.
    pub(crate) fn translate_out(
        &mut self,
        packet: &mut Packet,
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        let remote = self.remote_of(packet.destination).ok_or(Drop::NotTranslatable)?;
        if let Some(flow) = packet.flow() {
            let destination = SocketAddr::new(remote, flow.destination.port());
            let outside = self.outbound(Flow { destination, ..flow }, now, random)?;
            packet.repoint(outside, destination);
            return Ok(());
        }
        let source_is_v6 = packet.source.is_ipv6();
        let (error, quote) = error_of(packet).ok_or(Drop::NotTranslatable)?;
        let outside = self.quote_out(quote, now)?;
        if source_is_v6 {
            *error = nat64::error_to_v4(*error);
        }
        (packet.source, packet.destination) = (outside.ip(), remote);
        Ok(())
    }

    /// A packet to an external endpoint becomes one to the inside.
    pub(crate) fn translate_in(&mut self, packet: &mut Packet, now: Instant) -> Result<(), Drop> {
        if let Some(flow) = packet.flow() {
            let inside = self.inbound(flow, now)?;
            packet.repoint(self.seen_from(inside.ip(), flow.source), inside);
            return Ok(());
        }
        let source = packet.source;
        let (error, quote) = error_of(packet).ok_or(Drop::NotTranslatable)?;
        let inside = self.quote_in(quote, now)?;
        if inside.is_ipv6() {
            *error = nat64::error_to_v6(*error);
        }
        packet.source = self.seen_from(inside.ip(), SocketAddr::new(source, 0)).ip();
        packet.destination = inside.ip();
        Ok(())
    }

    /// A packet from the inside to an external endpoint goes back to the inside.
    pub(crate) fn hairpin(
        &mut self,
        packet: &mut Packet,
        now: Instant,
        random: &mut Random,
    ) -> Result<(), Drop> {
        if self.config.hairpin == Hairpin::None {
            return Err(Drop::NoHairpin);
        }
        let sender = packet.flow().map(|flow| flow.source);
        self.translate_out(packet, now, random)?;
        self.translate_in(packet, now)?;
        if self.config.hairpin == Hairpin::InternalSource
            && let (Some(sender), Some(flow)) = (sender, packet.flow())
        {
            packet.repoint(sender, flow.destination);
        }
        Ok(())
    }

    /// The inside reports an error about a packet that it got: from a remote endpoint to an internal one.
    fn quote_out(&self, quote: &mut Quote, now: Instant) -> Result<SocketAddr, Drop> {
        let flow = quote.flow().ok_or(Drop::NotTranslatable)?;
        let remote = self.remote_of(flow.source.ip()).ok_or(Drop::NotTranslatable)?;
        let remote = SocketAddr::new(remote, flow.source.port());
        let sent = Flow { source: flow.destination, destination: remote, ..flow };
        let id = self.existing(sent, now).ok_or(Drop::NoMapping)?;
        let outside = self.table.get(id).ok_or(Drop::NoMapping)?.outside;
        quote.repoint(remote, outside);
        Ok(outside)
    }

    /// The outside reports an error about a packet that the inside sent: from an external endpoint to a remote one.
    fn quote_in(&self, quote: &mut Quote, now: Instant) -> Result<SocketAddr, Drop> {
        let flow = quote.flow().ok_or(Drop::NotTranslatable)?;
        let id = self.table.by_outside(flow.protocol, flow.source, now).ok_or(Drop::NoMapping)?;
        if !self.is_permitted(id, flow.destination, now) {
            return Err(Drop::Filtered);
        }
        let inside = self.table.get(id).ok_or(Drop::NoMapping)?.inside;
        quote.repoint(inside, self.seen_from(inside.ip(), flow.destination));
        Ok(inside)
    }
}

fn error_of(packet: &mut Packet) -> Option<(&mut IcmpError, &mut Quote)> {
    match &mut packet.payload {
        Payload::Icmp(Icmp::Error { error, quote }) => Some((error, quote)),
        _ => None,
    }
}
