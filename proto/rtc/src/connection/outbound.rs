//! Packets out: as they are by a socket of ours, wrapped for a relay, or framed on a stream.
//!
//! ```text
//!  ICE ────────┐              ┌ UDP socket: as it is
//!  transport ──┴─► the way ───┼ relayed socket ─► gatherer wraps it ─► socket or stream to the relay
//!  gatherer ──────────────┐   └ TCP (RFC 6544): two bytes of length before it (RFC 4571)
//!                         └─► poll_transmit
//! ```

use std::net::SocketAddr;
use std::time::Instant;

use twocan_ice::{Agent, SocketId};

use super::Connection;
use crate::event::Transmit;
use crate::gather;
use crate::transport::Datagrams;

impl Connection {
    /// What ICE and gathering want sent; the transport's datagrams are fetched by [`Connection::next_transmit`].
    pub(super) fn queue_transmits(&mut self, now: Instant) {
        while let Some(packet) = self.agent.as_mut().and_then(Agent::poll_transmit) {
            let datagrams = Datagrams { bytes: packet.bytes, segment_size: None };
            let transmit = self.by_way(packet.socket, packet.to, datagrams, now);
            self.output.transmits.extend(transmit.map(|transmit| Transmit { ttl: packet.ttl, ..transmit }));
        }
        self.queue_gatherer();
    }

    fn queue_gatherer(&mut self) {
        while let Some(packet) = self.gatherer.poll_transmit() {
            let gather::Transmit { socket, to, bytes, segment_size } = packet;
            self.output.transmits.push_back(Transmit { socket, to, bytes, segment_size, ttl: None });
        }
    }

    /// What the transport says at its end.
    pub(super) fn queue_farewell(&mut self, now: Instant) {
        self.now = now;
        let Some(selected) = self.selected else { return };
        while let Some(datagrams) = self.transport.poll_transmit() {
            self.count_sent(&datagrams);
            let transmit = self.by_way(selected.socket, selected.remote, datagrams, now);
            self.output.transmits.extend(transmit);
        }
    }

    pub(super) fn next_transmit(&mut self) -> Option<Transmit> {
        if let Some(transmit) = self.output.transmits.pop_front() {
            return Some(transmit);
        }
        if !self.is_started {
            return None;
        }
        while let Some(datagrams) = self.transport.poll_transmit() {
            // Where there is no way at this moment they are lost, as packets are.
            let Some(selected) = self.selected else { continue };
            self.count_sent(&datagrams);
            let transmit = self.by_way(selected.socket, selected.remote, datagrams, self.now);
            if let Some(transmit) = transmit.or_else(|| self.output.transmits.pop_front()) {
                return Some(transmit);
            }
        }
        None
    }

    fn count_sent(&mut self, datagrams: &Datagrams) {
        let packets = datagrams.segment_size.map_or(1, |size| datagrams.bytes.len().div_ceil(size.max(1)));
        self.stats.packets_sent += packets as u64;
        self.stats.bytes_sent += datagrams.bytes.len() as u64;
    }

    /// Datagrams of one way, as they are to be written to a socket; `None`: they wait among the gatherer's, or are lost, as packets are.
    fn by_way(
        &mut self,
        socket: SocketId,
        to: SocketAddr,
        datagrams: Datagrams,
        now: Instant,
    ) -> Option<Transmit> {
        if self.streams.has_candidate(socket) {
            return self.framed(socket, to, &datagrams);
        }
        let Datagrams { bytes, segment_size } = datagrams;
        if self.gatherer.is_relay(socket) {
            // Refused where the allocation is gone.
            let _ = self.gatherer.send_relayed(socket, to, &bytes, segment_size, now);
            self.queue_gatherer();
            return None;
        }
        Some(Transmit { socket, to, bytes, segment_size, ttl: None })
    }
}
