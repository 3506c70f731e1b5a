//! Packets from clients: ChannelData and Send go straight to the peer, requests to the method that they name.

use std::net::SocketAddr;
use std::time::Instant;

use twocan_stun::attribute::{Data, XorPeerAddress};
use twocan_stun::{AttributeType, Class, IntegrityError, Message, Method};

use super::Server;
use super::allocation::AllocationId;
use super::answer::Request;
use super::output::Via;
use crate::address::{ClientAddr, Family, PeerAddr};
use crate::stats::Discard;
use crate::wire::{ChannelData, SHORT_MESSAGE_BYTES, is_channel_data, is_stun};

/// The first two bytes of a Send indication (RFC 8656 17).
const SEND_INDICATION: [u8; 2] = [0x00, 0x16];
/// Attributes in a message longer than [`SHORT_MESSAGE_BYTES`]; each costs time. A Send has two or three.
const LONG_MESSAGE_ATTRIBUTES: usize = 16;

impl Server {
    pub(super) fn client_packet(
        &mut self,
        packet: &[u8],
        from: ClientAddr,
        now: Instant,
    ) -> Result<(), Discard> {
        let &first = packet.first().ok_or(Discard::Length)?;
        if packet.len() > self.limits.message_bytes {
            return Err(Discard::Length);
        }
        if is_channel_data(first) {
            return self.channel_data(packet, from, now);
        }
        if !is_stun(first) {
            return Err(Discard::NotStun);
        }
        if packet.len() > SHORT_MESSAGE_BYTES {
            // Only a Send indication has anything long to say, and only with an allocation.
            if !self.clients.contains_key(&from) || packet.get(..2) != Some(&SEND_INDICATION) {
                return Err(Discard::Length);
            }
            if !has_few_attributes(packet) {
                return Err(Discard::BadIndication);
            }
        }
        let message = Message::parse(packet).map_err(|_| Discard::Malformed)?;
        if message.verify_fingerprint() == Err(IntegrityError::Mismatch) {
            return Err(Discard::Fingerprint);
        }
        match (message.class(), message.method()) {
            (Class::Request, Method::BINDING) => self.answer_binding(&message, from, now),
            (
                Class::Request,
                Method::ALLOCATE | Method::REFRESH | Method::CREATE_PERMISSION | Method::CHANNEL_BIND,
            ) => self.request(message, from, now)?,
            (Class::Indication, Method::SEND) => self.send(&message, from, now)?,
            (Class::Request, method) if method == crate::control::method() => {
                self.control(&message, from, now)?;
            }
            // A keep-alive (RFC 8489 7.1): nothing is answered.
            (Class::Indication, Method::BINDING) => {}
            (Class::Request | Class::Indication, _) => return Err(Discard::UnknownMethod),
            (Class::Success | Class::Error, _) => return Err(Discard::NotARequest),
        }
        Ok(())
    }

    fn channel_data(&mut self, packet: &[u8], from: ClientAddr, now: Instant) -> Result<(), Discard> {
        let ChannelData { channel, data } = ChannelData::parse(packet).ok_or(Discard::ChannelDataLength)?;
        let id = self.clients.get(&from).copied().ok_or(Discard::NoAllocation)?;
        let allocation = self.allocations.get(id).ok_or(Discard::NoAllocation)?;
        let peer = allocation.channels.peer(channel, now).ok_or(Discard::NoChannel)?;
        self.forward(id, peer, data, false, now)
    }

    /// A Send indication (RFC 8656 11.2). It carries no proof; the permission is the proof.
    fn send(&mut self, message: &Message<'_>, from: ClientAddr, now: Instant) -> Result<(), Discard> {
        let id = self.clients.get(&from).copied().ok_or(Discard::NoAllocation)?;
        let dont_fragment = message.has(AttributeType::DONT_FRAGMENT);
        if dont_fragment && !self.dont_fragment {
            return Err(Discard::DontFragment);
        }
        if !self.unknown_in(message).is_empty() {
            return Err(Discard::BadIndication);
        }
        let bad = |_| Discard::BadIndication;
        let XorPeerAddress(peer) = message.get().map_err(bad)?.ok_or(Discard::BadIndication)?;
        let Data(data) = message.get().map_err(bad)?.ok_or(Discard::BadIndication)?;
        if peer.port() == 0 {
            return Err(Discard::PeerDenied);
        }
        self.forward(id, peer, data, dont_fragment, now)
    }

    /// Passes `data` on, if the allocation may talk to `peer`.
    fn forward(
        &mut self,
        id: AllocationId,
        peer: SocketAddr,
        data: &[u8],
        dont_fragment: bool,
        now: Instant,
    ) -> Result<(), Discard> {
        let allocation = self.allocations.get_mut(id).ok_or(Discard::NoAllocation)?;
        let port = allocation.live_port(Family::of(peer.ip()), now).ok_or(Discard::PeerFamily)?;
        let permission = allocation.permitted(peer, &self.gate, &self.directory, now)?;
        let is_trial = !permission.is_own && !permission.has_answered(peer.port());
        if is_trial && !self.trial.admits(allocation.user_place, peer.ip(), data.len(), now) {
            return Err(Discard::Unanswered);
        }
        allocation.charge(data.len(), now)?;
        self.stats.to_peers.packets += 1;
        self.stats.to_peers.bytes += data.len() as u64;
        self.output
            .packet(Via::Relay(port, PeerAddr(peer)), dont_fragment, |arena| arena.extend_from_slice(data));
        Ok(())
    }

    /// A request that must be proved before anything else is looked at.
    fn request(&mut self, message: Message<'_>, from: ClientAddr, now: Instant) -> Result<(), Discard> {
        let identified = self.access.identify(&message, &from, &self.directory, self.clock.unix_s(now));
        let identity = match identified {
            Ok(identity) => identity,
            Err(code) => {
                self.refuse_unproved(&message, from, code, &[], now);
                return Ok(());
            }
        };
        let request = Request { message, from, identity };
        let unknown = self.unknown_in(&request.message);
        if !unknown.is_empty() {
            self.refuse_unknown(&request, &unknown);
            return Ok(());
        }
        match request.message.method() {
            Method::ALLOCATE => self.allocate(request, now)?,
            Method::REFRESH => self.refresh(&request, now),
            Method::CREATE_PERMISSION => self.create_permission(&request, now),
            _ => self.channel_bind(&request, now),
        }
        self.count_stored();
        Ok(())
    }
}

/// Whether a STUN message ends after a few attributes.
fn has_few_attributes(packet: &[u8]) -> bool {
    let mut rest = packet.get(20..).unwrap_or_default();
    for _ in 0..LONG_MESSAGE_ATTRIBUTES {
        let &[_, _, high, low, ..] = rest else { return true };
        let length = usize::from(u16::from_be_bytes([high, low])).next_multiple_of(4);
        rest = rest.get(4 + length..).unwrap_or_default();
    }
    rest.is_empty()
}
