//! Streams: to relays (cut by the gatherer), and between candidates (RFC 6544, framed as in RFC 4571).

use std::net::SocketAddr;
use std::time::Instant;

use twocan_ice::SocketId;

use super::Connection;
use crate::gather::Relayed;
use crate::stats::Discard;

impl Connection {
    pub(super) fn stream_open(
        &mut self,
        socket: SocketId,
        local: SocketAddr,
        remote: SocketAddr,
        now: Instant,
    ) {
        let _ = (local, remote);
        self.gatherer.handle_stream_open(socket, now);
    }

    pub(super) fn stream_bytes(
        &mut self,
        socket: SocketId,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        self.gatherer.handle_stream(socket, bytes, now);
        let mut taken = Ok(());
        while let Some(Relayed { socket, from, bytes }) = self.gatherer.poll_relayed() {
            taken = taken.and(self.peer_packet(socket, from, &bytes, now));
        }
        taken
    }

    pub(super) fn stream_closed(&mut self, socket: SocketId, now: Instant) {
        self.gatherer.handle_stream_closed(socket, now);
    }
}
