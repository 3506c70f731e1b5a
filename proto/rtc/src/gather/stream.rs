//! Streams to relays: bytes are cut into frames, whole ones are handled at once.

use std::time::Instant;

use twocan_ice::SocketId;
use twocan_turn::wire::{Frame, frame_len};

use super::relay::{CANNOT_CONNECT, Stage};
use super::{CandidateError, Gatherer};

impl Gatherer {
    pub(super) fn stream_open(&mut self, socket: SocketId, now: Instant) {
        let opening = |relay: &super::Relay| {
            relay.carrier == Some(socket) && matches!(relay.stage, Stage::Opening { .. })
        };
        if let Some(index) = self.relays.iter().position(opening) {
            self.start_client(index, now);
            self.sweep();
            self.finish(now);
        }
    }

    pub(super) fn stream_closed(&mut self, socket: SocketId, now: Instant) {
        let Some(index) = self.stream(socket) else { return };
        let Some(relay) = self.relays.get_mut(index) else { return };
        // There is nothing left to close.
        relay.carrier = None;
        let text = match relay.stage {
            Stage::Opening { .. } => CANNOT_CONNECT,
            _ => "the connection to the relay was lost",
        };
        self.fail(index, (CandidateError::UNREACHABLE, text), true, now);
        self.sweep();
        self.finish(now);
    }

    pub(super) fn stream_bytes(&mut self, socket: SocketId, bytes: &[u8], now: Instant) {
        let Some(index) = self.stream(socket) else { return };
        let Some(relay) = self.relays.get_mut(index) else { return };
        // What waits is less than one frame, which has at most `twocan_turn::wire::FRAME_LEN_MAX` bytes.
        let mut buffer = std::mem::take(&mut relay.buffer);
        buffer.extend_from_slice(bytes);
        let mut rest = buffer.as_slice();
        loop {
            let frame = match frame_len(rest) {
                Frame::Short => break,
                Frame::Len(len) => rest.split_at_checked(len),
                Frame::Garbage => {
                    let error = (CandidateError::UNREACHABLE, "the relay does not speak TURN");
                    self.fail(index, error, false, now);
                    self.sweep();
                    return self.finish(now);
                }
            };
            let Some((frame, after)) = frame else { break };
            rest = after;
            // The relay may be gone after a frame, and another stand in its place.
            match self.stream(socket) {
                Some(index) => self.relay_frame(index, frame, now),
                None => return,
            }
        }
        let used = buffer.len() - rest.len();
        buffer.drain(..used);
        if let Some(relay) = self.stream(socket).and_then(|index| self.relays.get_mut(index)) {
            relay.buffer = buffer;
        }
    }

    fn stream(&self, socket: SocketId) -> Option<usize> {
        self.relays.iter().position(|relay| relay.carrier == Some(socket) && relay.transport.is_stream())
    }
}
