//! DTLS datagrams that came from a pair under check before the check was answered: the other side may have validated the pair first.

use std::collections::VecDeque;
use std::net::SocketAddr;

use twocan_ice::SocketId;

use crate::limits::{EARLY_BYTES_MAX, EARLY_DATAGRAMS_MAX};

struct EarlyDatagram {
    socket: SocketId,
    from: SocketAddr,
    bytes: Vec<u8>,
}

/// At most [`EARLY_DATAGRAMS_MAX`] of them with [`EARLY_BYTES_MAX`] bytes; later ones are refused, since a handshake begins with its
/// first datagram.
#[derive(Default)]
pub(super) struct EarlyDatagrams {
    held: VecDeque<EarlyDatagram>,
    bytes: usize,
}

impl EarlyDatagrams {
    /// Whether there was room.
    pub(super) fn hold(&mut self, socket: SocketId, from: SocketAddr, bytes: &[u8]) -> bool {
        if self.held.len() >= EARLY_DATAGRAMS_MAX || self.bytes + bytes.len() > EARLY_BYTES_MAX {
            return false;
        }
        self.bytes += bytes.len();
        self.held.push_back(EarlyDatagram { socket, from, bytes: bytes.to_vec() });
        true
    }

    /// Those whose pair is validated by now, in the order in which they came.
    pub(super) fn release(&mut self, is_validated: impl Fn(SocketId, SocketAddr) -> bool) -> Vec<Vec<u8>> {
        let mut released = Vec::new();
        self.held.retain_mut(|early| {
            let is_ready = is_validated(early.socket, early.from);
            if is_ready {
                self.bytes -= early.bytes.len();
                released.push(std::mem::take(&mut early.bytes));
            }
            !is_ready
        });
        released
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = EarlyDatagrams::default();
    }
}
