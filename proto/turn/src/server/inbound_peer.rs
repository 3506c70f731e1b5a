//! Packets and ICMP errors from peers: on to the client whose port it is, if there is a permission.

use std::net::SocketAddr;
use std::time::Instant;

use rand_core::RngCore as _;
use twocan_stun::attribute::{Data, Icmp as IcmpAttribute, XorPeerAddress};
use twocan_stun::{Attribute, Builder, Class, Method, TransactionId};

use super::Server;
use super::allocation::AllocationId;
use super::output::Via;
use crate::address::{Family, Icmp, PeerAddr, RelayPort};
use crate::stats::Discard;
use crate::wire::write_channel_data;

/// A Data indication without its data: header, XOR-PEER-ADDRESS, the head of DATA, padding, or ICMP.
const INDICATION_ROOM: usize = 64;

impl Server {
    pub(super) fn peer_packet(
        &mut self,
        packet: &[u8],
        PeerAddr(from): PeerAddr,
        to: RelayPort,
        now: Instant,
    ) -> Result<(), Discard> {
        if packet.len() > self.limits.message_bytes.min(usize::from(u16::MAX)) {
            return Err(Discard::Length);
        }
        let peer = SocketAddr::new(from.ip().to_canonical(), from.port());
        let id = self.ports.owner(to).ok_or(Discard::NoPort)?;
        let allocation = self.allocations.get_mut(id).ok_or(Discard::NoPort)?;
        allocation.hears(peer, to, &self.gate, &self.directory, now)?.answer(peer.port());
        allocation.charge(packet.len(), now)?;
        let client = allocation.client;
        let channel = allocation.channels.number(peer, now);
        if let Some(number) = channel {
            self.output.packet(Via::Client(client), false, |arena| {
                write_channel_data(arena, number, packet, client.transport.is_stream());
            });
        } else if !self.indicate(id, peer, &Data(packet), packet.len()) {
            return Err(Discard::Length);
        }
        self.stats.to_clients.packets += 1;
        self.stats.to_clients.bytes += packet.len() as u64;
        Ok(())
    }

    /// RFC 8656 11.5: unreachable, too big and time exceeded are passed on as a Data indication with ICMP.
    pub(super) fn icmp_error(
        &mut self,
        error: Icmp,
        PeerAddr(peer): PeerAddr,
        port: RelayPort,
        now: Instant,
    ) -> Result<(), Discard> {
        let (is_told, is_too_big) = match port.family {
            Family::V4 => (matches!(error.kind, 3 | 11), error.kind == 3 && error.code == 4),
            Family::V6 => (matches!(error.kind, 1..=3), error.kind == 2),
        };
        if !is_told {
            return Err(Discard::Icmp);
        }
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let id = self.ports.owner(port).ok_or(Discard::NoPort)?;
        let allocation = self.allocations.get_mut(id).ok_or(Discard::NoPort)?;
        allocation.hears(peer, port, &self.gate, &self.directory, now)?;
        allocation.charge(0, now)?;
        let data = if is_too_big { error.mtu } else { 0 };
        let icmp = IcmpAttribute { kind: error.kind, code: u16::from(error.code), data };
        self.indicate(id, peer, &icmp, 0);
        Ok(())
    }

    /// Sends the client a Data indication. `false`: no message is long enough for it.
    fn indicate<'a>(
        &mut self,
        id: AllocationId,
        peer: SocketAddr,
        what: &impl Attribute<'a>,
        len: usize,
    ) -> bool {
        let Some(allocation) = self.allocations.get(id) else { return true };
        let mut transaction = [0; 12];
        self.rng.fill_bytes(&mut transaction);
        self.output.message(Via::Client(allocation.client), INDICATION_ROOM + len, |buffer| {
            let mut builder =
                Builder::new(buffer, Class::Indication, Method::DATA, TransactionId(transaction))?;
            builder.add(&XorPeerAddress(peer))?.add(what)?;
            Ok(builder.finish().len())
        })
    }
}
