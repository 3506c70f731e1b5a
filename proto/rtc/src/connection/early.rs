//! DTLS datagrams that came before the transport could take them: from a pair under check, for the other side may have validated it first,
//! or in the checks themselves, which are authentic.

use std::collections::VecDeque;
use std::net::SocketAddr;

use twocan_ice::SocketId;

use crate::limits::{EARLY_BYTES_MAX, EARLY_DATAGRAMS_MAX, EMBEDDED_KNOWN_MAX};

struct EarlyDatagram {
    /// `None`: it is the peer's, by whichever way it came.
    way: Option<(SocketId, SocketAddr)>,
    bytes: Vec<u8>,
}

/// At most [`EARLY_DATAGRAMS_MAX`] of them with [`EARLY_BYTES_MAX`] bytes; later ones are refused, since a handshake begins with its
/// first datagram.
#[derive(Default)]
pub(super) struct EarlyDatagrams {
    held: VecDeque<EarlyDatagram>,
    bytes: usize,
    /// The last ones that came in checks: each check repeats them.
    embedded: VecDeque<Vec<u8>>,
}

impl EarlyDatagrams {
    /// Whether there was room.
    pub(super) fn hold(&mut self, way: Option<(SocketId, SocketAddr)>, bytes: &[u8]) -> bool {
        if self.held.len() >= EARLY_DATAGRAMS_MAX || self.bytes + bytes.len() > EARLY_BYTES_MAX {
            return false;
        }
        self.bytes += bytes.len();
        self.held.push_back(EarlyDatagram { way, bytes: bytes.to_vec() });
        true
    }

    /// Those whose pair is validated by now, in the order in which they came.
    pub(super) fn release(&mut self, is_validated: impl Fn(SocketId, SocketAddr) -> bool) -> Vec<Vec<u8>> {
        let mut released = Vec::new();
        self.held.retain_mut(|early| {
            let is_ready = early.way.is_none_or(|(socket, from)| is_validated(socket, from));
            if is_ready {
                self.bytes -= early.bytes.len();
                released.push(std::mem::take(&mut early.bytes));
            }
            !is_ready
        });
        released
    }

    /// Whether a datagram that came in a check is another than those before.
    pub(super) fn is_new(&mut self, bytes: &[u8]) -> bool {
        if self.embedded.iter().any(|known| known == bytes) {
            return false;
        }
        if self.embedded.len() >= EMBEDDED_KNOWN_MAX {
            self.embedded.pop_front();
        }
        self.embedded.push_back(bytes.to_vec());
        true
    }

    pub(super) fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    pub(super) fn clear(&mut self) {
        *self = EarlyDatagrams::default();
    }
}
