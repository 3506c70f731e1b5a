//! Streams: to relays (cut by the gatherer), and between candidates (RFC 6544), where two bytes of length stand before each packet (RFC 4571).
//!
//! ```text
//!  +--------+--------+--------------------+--------+--------+-- - -
//!  |  length (16 bit) |  STUN or DTLS      |  length          |
//!  +--------+--------+--------------------+--------+--------+-- - -
//! ```

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Instant;

use twocan_ice::{Foundations, LocalCandidate, LocalPreference, SocketId, TcpType};

use super::Connection;
use super::lifecycle::Phase;
use crate::event::{Command, Transmit};
use crate::gather::{Gathered, Relayed, TransportPolicy};
use crate::limits::{LISTENERS_MAX, STRANGER_TIMEOUT, STREAMS_MAX};
use crate::stats::Discard;
use crate::transport::Datagrams;

/// Bytes of the length before each packet.
const LENGTH_LEN: usize = 2;
/// What an active candidate has in the place of a port (RFC 6544 4.5).
const DISCARD_PORT: u16 = 9;

/// One stream between two candidates.
struct Stream {
    /// The socket of our candidate, as ICE knows it.
    candidate: SocketId,
    remote: SocketAddr,
    /// When it came in, if it is not ours.
    accepted: Option<Instant>,
    is_open: bool,
    /// A packet that has not all come yet.
    received: Vec<u8>,
}

/// Streams between candidates, and the candidates that they hang on.
pub(super) struct Streams {
    next: u32,
    streams: BTreeMap<SocketId, Stream>,
    foundations: Foundations,
    /// Where streams are opened from, and where they come in.
    actives: BTreeMap<SocketId, SocketAddr>,
    listeners: BTreeMap<SocketId, SocketAddr>,
}

impl Streams {
    /// Sockets of the driver's have names below, those of the gatherer's in between.
    const FIRST: u32 = 1 << 24;

    pub(super) fn new() -> Streams {
        Streams {
            next: Streams::FIRST,
            streams: BTreeMap::new(),
            foundations: Foundations::default(),
            actives: BTreeMap::new(),
            listeners: BTreeMap::new(),
        }
    }

    fn name(&mut self) -> SocketId {
        let socket = SocketId(self.next);
        self.next += 1;
        socket
    }

    fn add(&mut self, candidate: SocketId, remote: SocketAddr, accepted: Option<Instant>) -> SocketId {
        let socket = self.name();
        let (is_open, received) = (accepted.is_some(), Vec::new());
        self.streams.insert(socket, Stream { candidate, remote, accepted, is_open, received });
        socket
    }

    /// Whether there is no room for another one, of ours or come in.
    fn is_full(&self, is_ours: bool) -> bool {
        let alike = self.streams.values().filter(|stream| stream.accepted.is_none() == is_ours);
        alike.count() >= STREAMS_MAX
    }

    /// The stream of a pair.
    fn find(&self, candidate: SocketId, remote: SocketAddr) -> Option<SocketId> {
        let is_it = |stream: &Stream| stream.candidate == candidate && stream.remote == remote;
        self.streams.iter().find(|(_, stream)| is_it(stream)).map(|(socket, _)| *socket)
    }

    /// Those that came in at listeners.
    pub(super) fn accepted(&self) -> impl Iterator<Item = (SocketId, SocketAddr)> {
        let accepted = self.streams.values().filter(|stream| self.listeners.contains_key(&stream.candidate));
        accepted.map(|stream| (stream.candidate, stream.remote))
    }

    /// Whether a candidate's packets go by streams.
    pub(super) fn has_candidate(&self, socket: SocketId) -> bool {
        self.actives.contains_key(&socket) || self.listeners.contains_key(&socket)
    }

    fn candidate(&mut self, socket: SocketId, address: SocketAddr, tcp: TcpType) -> Gathered {
        let place = u16::try_from(self.actives.len() + self.listeners.len()).unwrap_or(u16::MAX);
        let preference = LocalPreference::of(address.ip(), place);
        let mut local = LocalCandidate::tcp(&mut self.foundations, socket, address, tcp, preference);
        // The gatherer numbers its own.
        local.candidate.foundation.insert(0, 't');
        let text = local.candidate.to_string();
        Gathered { local, text }
    }
}

impl Connection {
    /// A TCP listener of ours: a passive candidate (RFC 6544). Beyond [`LISTENERS_MAX`], and where only relays may be used, it is of no use.
    pub fn add_listener(&mut self, local: SocketAddr, now: Instant) -> SocketId {
        self.now = now;
        let socket = self.streams.name();
        if self.streams.listeners.len() < LISTENERS_MAX && self.may_have_streams() {
            self.streams.listeners.insert(socket, local);
            let gathered = self.streams.candidate(socket, local, TcpType::Passive);
            self.gathered(gathered, now);
            self.settle(now);
        }
        socket
    }

    /// Somebody connected to a listener: the name of the new stream, or `None`: close it.
    pub fn add_stream(&mut self, listener: SocketId, remote: SocketAddr, now: Instant) -> Option<SocketId> {
        self.now = now;
        if !self.streams.listeners.contains_key(&listener)
            || self.streams.is_full(false)
            || self.streams.find(listener, remote).is_some()
        {
            return None;
        }
        let socket = self.streams.add(listener, remote, Some(now));
        if let Some(agent) = &mut self.agent {
            agent.handle_stream_open(listener, remote, now);
        }
        self.settle(now);
        Some(socket)
    }

    fn may_have_streams(&self) -> bool {
        self.config.policy == TransportPolicy::All && !self.config.hide_host_addresses
    }

    /// An active candidate beside a UDP socket, where TCP is wanted.
    pub(super) fn add_active(&mut self, local: SocketAddr, now: Instant) {
        let is_known = self.streams.actives.values().any(|known| known.ip() == local.ip());
        if !self.config.is_tcp || is_known || !self.may_have_streams() {
            return;
        }
        let socket = self.streams.name();
        self.streams.actives.insert(socket, local);
        let gathered =
            self.streams.candidate(socket, SocketAddr::new(local.ip(), DISCARD_PORT), TcpType::Active);
        self.gathered(gathered, now);
    }

    /// The interface is gone.
    pub(super) fn lose_active(&mut self, local: SocketAddr, now: Instant) {
        let lost: Vec<SocketId> =
            self.streams.actives.iter().filter(|(_, at)| **at == local).map(|(socket, _)| *socket).collect();
        for socket in lost {
            self.streams.actives.remove(&socket);
            self.forget_socket(socket, now);
        }
    }

    pub(super) fn open_ice_stream(&mut self, candidate: SocketId, to: SocketAddr, now: Instant) {
        let from = self.streams.actives.get(&candidate).map(SocketAddr::ip);
        if from.is_none() || self.streams.is_full(true) {
            if let Some(agent) = &mut self.agent {
                agent.handle_stream_closed(candidate, to, now);
            }
            return;
        }
        let socket = self.streams.add(candidate, to, None);
        self.output.command(Command::OpenStream { socket, to, tls: None, from });
    }

    pub(super) fn close_ice_stream(&mut self, candidate: SocketId, to: SocketAddr) {
        if let Some(socket) = self.streams.find(candidate, to) {
            self.streams.streams.remove(&socket);
            self.output.command(Command::CloseSocket(socket));
        }
    }

    /// Those that came in and are nobody's: no check of the other side's came by them.
    fn strangers(&self) -> impl Iterator<Item = (SocketId, Instant)> {
        let is_known = |stream: &Stream| {
            self.agent.as_ref().is_some_and(|agent| agent.is_known(stream.candidate, stream.remote))
        };
        let streams = self.streams.streams.iter().filter(move |(_, stream)| !is_known(stream));
        streams.filter_map(|(socket, stream)| Some((*socket, stream.accepted? + STRANGER_TIMEOUT)))
    }

    /// When a stranger has been here for too long.
    pub(super) fn stranger_timeout(&self) -> Option<Instant> {
        self.strangers().map(|(_, due)| due).min()
    }

    pub(super) fn close_strangers(&mut self, now: Instant) {
        let late: Vec<SocketId> =
            self.strangers().filter(|(_, due)| *due <= now).map(|(socket, _)| socket).collect();
        for socket in late {
            self.stream_closed(socket, now);
            self.output.command(Command::CloseSocket(socket));
        }
    }

    pub(super) fn stream_open(&mut self, socket: SocketId, now: Instant) {
        let Some(stream) = self.streams.streams.get_mut(&socket) else {
            return self.gatherer.handle_stream_open(socket, now);
        };
        stream.is_open = true;
        if let Some(agent) = &mut self.agent {
            agent.handle_stream_open(stream.candidate, stream.remote, now);
        }
    }

    pub(super) fn stream_closed(&mut self, socket: SocketId, now: Instant) {
        let Some(stream) = self.streams.streams.remove(&socket) else {
            return self.gatherer.handle_stream_closed(socket, now);
        };
        if let Some(agent) = &mut self.agent {
            agent.handle_stream_closed(stream.candidate, stream.remote, now);
        }
    }

    pub(super) fn stream_bytes(
        &mut self,
        socket: SocketId,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        if self.streams.streams.contains_key(&socket) {
            return self.framed_bytes(socket, bytes, now);
        }
        self.gatherer.handle_stream(socket, bytes, now);
        let mut taken = Ok(());
        while let Some(Relayed { socket, from, bytes }) = self.gatherer.poll_relayed() {
            taken = taken.and(self.peer_packet(socket, from, &bytes, now));
        }
        taken
    }

    fn framed_bytes(&mut self, socket: SocketId, bytes: &[u8], now: Instant) -> Result<(), Discard> {
        let Some(stream) = self.streams.streams.get_mut(&socket) else { return Err(Discard::UnknownSocket) };
        let (candidate, remote) = (stream.candidate, stream.remote);
        let mut received = std::mem::take(&mut stream.received);
        received.extend_from_slice(bytes);
        let mut rest = received.as_slice();
        let mut taken = Ok(());
        while let Some((packet, after)) = next_frame(rest) {
            rest = after;
            taken = taken.and(self.peer_packet(candidate, remote, packet, now));
        }
        let begun = rest.len();
        received.drain(..received.len() - begun);
        // A packet may have been the last of this stream.
        if let Some(stream) = self.streams.streams.get_mut(&socket) {
            stream.received = received;
        }
        taken
    }

    /// Datagrams of one way, each with its length before it; `None` where there is no such stream.
    pub(super) fn framed(
        &self,
        candidate: SocketId,
        to: SocketAddr,
        datagrams: &Datagrams,
    ) -> Option<Transmit> {
        let socket = self.streams.find(candidate, to)?;
        if !self.streams.streams.get(&socket)?.is_open || self.lifecycle.phase == Phase::Closed {
            return None;
        }
        let size = datagrams.segment_size.unwrap_or(datagrams.bytes.len()).max(1);
        let count = datagrams.bytes.len().div_ceil(size);
        let mut bytes = Vec::with_capacity(datagrams.bytes.len() + LENGTH_LEN * count);
        for datagram in datagrams.bytes.chunks(size) {
            let length = u16::try_from(datagram.len()).expect("a datagram is shorter than 65,536 bytes");
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(datagram);
        }
        Some(Transmit { socket, to, bytes, segment_size: None, ttl: None })
    }
}

/// The first packet of a stream's bytes, if it has all come, and what follows it.
fn next_frame(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<LENGTH_LEN>()?;
    rest.split_at_checked(usize::from(u16::from_be_bytes(*length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_at_the_length_before_each_packet() {
        assert_eq!(next_frame(&[]), None);
        assert_eq!(next_frame(&[0]), None);
        assert_eq!(next_frame(&[0, 2, 7]), None);
        assert_eq!(next_frame(&[0, 0]), Some((&[][..], &[][..])));
        assert_eq!(next_frame(&[0, 2, 7, 8, 0]), Some((&[7, 8][..], &[0][..])));
    }
}
