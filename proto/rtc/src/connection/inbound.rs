//! Packets in: taken apart by their first byte (RFC 7983), and handed to whom they concern.
//!
//! ```text
//!  datagram ─┬ STUN, ChannelData ─► gatherer ─┬ an answer of a server: consumed
//!            │                                ├ data through a relay: once more, with the relayed socket
//!            │                                └ not of a server ─► ICE
//!            └ DTLS ─► is the pair validated? ─┬ yes ─► transport
//!                                              ├ no, but the record is authentic ─► transport
//!                                              ├ under check: held until it is
//!                                              └ no: dropped
//! ```

use std::net::SocketAddr;
use std::time::Instant;

use twocan_ice::{Agent, SocketId};
use twocan_stun::AttributeType;
use twocan_stun::demux::{Protocol, protocol};

use super::Connection;
use super::lifecycle::Phase;
use crate::gather::{self, Input, TransportPolicy};
use crate::stats::Discard;

/// A DTLS datagram in a check, as Chromium sends it (SPED; not in IANA's registry yet).
pub(super) const DTLS_IN_STUN: AttributeType = AttributeType(0xc070);

impl Connection {
    pub(super) fn datagram(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        if !self.sockets.has(socket) {
            return Err(Discard::UnknownSocket);
        }
        match protocol(bytes) {
            Some(Protocol::Dtls) => self.dtls(socket, from, bytes, now),
            Some(Protocol::Stun | Protocol::ChannelData) => {
                match self.gatherer.handle_packet(socket, from, bytes, now) {
                    Ok(input) => self.gathered_input(input, now),
                    Err(gather::Discard::NotForUs) => self.peer_packet(socket, from, bytes, now),
                    Err(why) => Err(why.into()),
                }
            }
            Some(Protocol::Zrtp | Protocol::Rtp) | None => Err(Discard::UnknownProtocol),
        }
    }

    /// What a packet from a server was.
    pub(super) fn gathered_input(&mut self, input: Input<'_>, now: Instant) -> Result<(), Discard> {
        match input {
            Input::Consumed => {
                self.settle(now);
                Ok(())
            }
            Input::Data { socket, from, bytes } => self.peer_packet(socket, from, bytes, now),
        }
    }

    /// A packet of a peer, who is nobody yet.
    pub(super) fn peer_packet(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        match protocol(bytes) {
            Some(Protocol::Dtls) => self.dtls(socket, from, bytes, now),
            Some(Protocol::Stun) => self.stun(socket, from, bytes, now),
            Some(Protocol::ChannelData | Protocol::Zrtp | Protocol::Rtp) | None => {
                Err(Discard::UnknownProtocol)
            }
        }
    }

    fn stun(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        self.may_use(socket)?;
        let agent = self.agent.as_mut().ok_or(Discard::NotValidated)?;
        let taken = agent.handle_packet(socket, from, bytes, now);
        self.settle(now);
        Ok(taken?)
    }

    fn dtls(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        let is_selected =
            self.selected.is_some_and(|selected| selected.socket == socket && selected.remote == from);
        if self.is_started && (is_selected || self.is_validated(socket, from)) {
            let taken = self.secured(bytes, now);
            self.take_transport_events(now);
            if self.lifecycle.unheard.is_some() {
                self.maybe_up(now);
            }
            if is_selected {
                self.lifecycle.heard = Some(now);
            } else if taken.is_ok() {
                self.heard_elsewhere(now);
                self.settle(now);
            }
            return taken;
        }
        self.may_use(socket)?;
        // Consent is asked for before anything is sent (RFC 7675 section 5.1): what is received is the peer's, or it is not.
        let is_taken = self.lifecycle.is_secured && self.transport.handle_stray(bytes, now).is_ok();
        if is_taken {
            self.count_received(bytes);
            self.take_transport_events(now);
        } else if !self.agent.as_ref().is_some_and(|agent| agent.is_known(socket, from)) {
            return Err(Discard::NotValidated);
        }
        let is_held = is_taken || self.early.hold(Some((socket, from)), bytes);
        if let Some(agent) = &mut self.agent {
            agent.hurry(socket, from, now);
        }
        self.settle(now);
        if is_held { Ok(()) } else { Err(Discard::TooEarly) }
    }

    /// A DTLS datagram that came in an authentic check, so that the handshake need not wait for ICE (SPED: DTLS in STUN). We read
    /// such and send none, so that who does hears by our checks to go on in the clear, and has our answer meanwhile. What is
    /// repeated is known.
    pub(super) fn embedded(&mut self, bytes: &[u8], now: Instant) {
        // An empty one says that the other side could.
        if bytes.is_empty() {
            return;
        }
        let taken = match protocol(bytes) {
            Some(Protocol::Dtls) if !self.early.is_new(bytes) => return,
            Some(Protocol::Dtls) if self.is_started => self.secured(bytes, now),
            Some(Protocol::Dtls) if self.early.hold(None, bytes) => Ok(()),
            Some(Protocol::Dtls) => Err(Discard::TooEarly),
            _ => Err(Discard::UnknownProtocol),
        };
        // Counted: the check was good.
        let _ = self.counted(taken);
    }

    fn is_validated(&self, socket: SocketId, from: SocketAddr) -> bool {
        self.agent.as_ref().is_some_and(|agent: &Agent| agent.is_validated(socket, from))
    }

    /// A datagram for the transport.
    pub(super) fn secured(&mut self, bytes: &[u8], now: Instant) -> Result<(), Discard> {
        self.transport.handle_datagram(bytes, now)?;
        self.count_received(bytes);
        Ok(())
    }

    fn count_received(&mut self, bytes: &[u8]) {
        self.stats.packets_received += 1;
        self.stats.bytes_received += bytes.len() as u64;
    }

    /// Whether packets of peers may come and go by this socket.
    fn may_use(&self, socket: SocketId) -> Result<(), Discard> {
        if self.lifecycle.phase == Phase::Closed {
            return Err(Discard::Closed);
        }
        if self.config.policy == TransportPolicy::Relay && !self.gatherer.is_relay(socket) {
            return Err(Discard::PastRelay);
        }
        Ok(())
    }
}
