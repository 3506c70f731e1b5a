//! Data through relays: what peers sent is taken out of what servers sent, what goes to peers is wrapped.

use std::net::SocketAddr;
use std::time::Instant;

use twocan_ice::SocketId;
use twocan_turn::client::SendError;
use twocan_turn::wire::{CHANNEL_HEADER_LEN, is_channel_data};

use super::{Discard, Gatherer, Input, Relayed, Transmit};

/// Room for what a wrapping adds at most to one datagram: a Send indication's header and attributes.
const WRAPPING: usize = 64;

impl Gatherer {
    /// The relay that a UDP socket and an address lead to.
    pub(super) fn relay_at(&self, socket: SocketId, from: SocketAddr) -> Option<usize> {
        self.relays.iter().position(|relay| {
            relay.to == from && relay.carrier == Some(socket) && !relay.transport.is_stream()
        })
    }

    pub(super) fn relay_packet<'a>(
        &mut self,
        index: usize,
        bytes: &'a [u8],
        now: Instant,
    ) -> Result<Input<'a>, Discard> {
        let relay = self.relays.get_mut(index).ok_or(Discard::NotForUs)?;
        let client = relay.client.as_mut().ok_or(Discard::NotForUs)?;
        let socket = relay.id;
        let input = client.handle_packet(bytes, now)?;
        if let Some(data) = &input
            && is_channel_data(bytes.first().copied().unwrap_or_default())
            && let Some(socket) = socket
        {
            return Ok(Input::Data { socket, from: data.peer, bytes: data.bytes });
        }
        self.drain(index, now);
        self.sweep();
        self.finish(now);
        Ok(match (input, socket) {
            (Some(data), Some(socket)) => Input::Data { socket, from: data.peer, bytes: data.bytes },
            _ => Input::Consumed,
        })
    }

    /// A datagram that came by a stream.
    pub(super) fn relay_frame(&mut self, index: usize, frame: &[u8], now: Instant) {
        if let Ok(Input::Data { socket, from, bytes }) = self.relay_packet(index, frame, now) {
            self.relayed.push_back(Relayed { socket, from, bytes: bytes.to_vec() });
        }
    }

    pub(super) fn send_through(
        &mut self,
        id: SocketId,
        peer: SocketAddr,
        bytes: &[u8],
        segment_size: Option<usize>,
        now: Instant,
    ) -> Result<(), SendError> {
        let index = self.relays.iter().position(|relay| relay.id == Some(id));
        let index = index.ok_or(SendError::NotAllocated)?;
        let relay = self.relays.get_mut(index).ok_or(SendError::NotAllocated)?;
        let (to, is_stream) = (relay.to, relay.transport.is_stream());
        let (Some(client), Some(socket)) = (&mut relay.client, relay.carrier) else {
            return Err(SendError::NotAllocated);
        };
        let segment = segment_size.unwrap_or(bytes.len()).max(1);
        let mut out = Vec::with_capacity(bytes.len() + bytes.len() / segment * CHANNEL_HEADER_LEN + WRAPPING);
        let mut first_len = None;
        if bytes.is_empty() {
            client.send(peer, bytes, &mut out, now)?;
        }
        for datagram in bytes.chunks(segment) {
            client.send(peer, datagram, &mut out, now)?;
            first_len.get_or_insert(out.len());
        }
        let segment_size = first_len.filter(|len| !is_stream && *len < out.len());
        self.drain(index, now);
        self.transmits.push_back(Transmit { socket, to, bytes: out, segment_size });
        Ok(())
    }
}
