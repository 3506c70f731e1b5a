//! The sockets that the driver has, by name.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use twocan_ice::SocketId;

use super::Connection;
use super::lifecycle::Phase;
use crate::limits::SOCKETS_MAX;

/// UDP sockets of ours. Names are never given out twice.
#[derive(Default)]
pub(super) struct Sockets {
    next: u32,
    udp: BTreeMap<SocketId, SocketAddr>,
}

impl Sockets {
    fn add(&mut self, local: SocketAddr) -> SocketId {
        let socket = SocketId(self.next);
        self.next += 1;
        self.udp.insert(socket, local);
        socket
    }

    /// Whether this is a UDP socket of ours.
    pub(super) fn has(&self, socket: SocketId) -> bool {
        self.udp.contains_key(&socket)
    }

    /// Whether there is none.
    pub(super) fn is_empty(&self) -> bool {
        self.udp.is_empty()
    }
}

impl Connection {
    /// Beyond [`SOCKETS_MAX`] a socket has a name, and no use.
    pub(super) fn new_socket(&mut self, local: SocketAddr, now: Instant) -> SocketId {
        let is_full = self.sockets.udp.len() >= SOCKETS_MAX;
        let socket = self.sockets.add(local);
        if is_full {
            self.sockets.udp.remove(&socket);
            return socket;
        }
        self.local.is_gathered = false;
        self.gatherer.add_socket(socket, local, now);
        if self.lifecycle.phase != Phase::New {
            self.gatherer.end_of_sockets(now);
        }
        self.add_active(local, now);
        // What was said to be all of this generation is not.
        if std::mem::take(&mut self.lifecycle.waits_for_socket) {
            self.restart(now);
        } else if self.lifecycle.is_alone() && self.selected.is_none() {
            self.local.is_unsaid = true;
        } else if self.negotiation.is_ended {
            self.restart(now);
        }
        socket
    }

    pub(super) fn lose_socket(&mut self, socket: SocketId, now: Instant) {
        let Some(local) = self.sockets.udp.remove(&socket) else { return };
        self.lose_active(local, now);
        self.gatherer.remove_socket(socket, now);
        self.forget_socket(socket, now);
    }

    /// The candidates of this socket end, and with them its pairs.
    pub(super) fn forget_socket(&mut self, socket: SocketId, now: Instant) {
        self.local.forget(socket);
        if let Some(agent) = &mut self.agent {
            agent.remove_socket(socket, now);
        }
        // Where ICE has another pair it says so; where it has none the path is lost.
        let has_path = self.agent.as_ref().is_some_and(|agent| agent.selected().is_some());
        if self.selected.is_some() && !has_path {
            self.selected = None;
            self.path_lost(now);
        }
    }
}
