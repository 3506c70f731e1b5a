//! Packets in: from listeners, connections and relayed ports to the server.

use std::io;
use std::time::Instant;

use mio::net::TcpStream;
use rustls::ServerConnection;
use twocan_turn::{ClientAddr, Icmp, RelayPort, Transport};

use super::{ACCEPT_AGAIN, Thread};
use crate::stream::{Ended, Read, Stream};
use crate::token::{Place, Token};
use crate::turns::Work;
use crate::udp::Left;

/// Connections accepted before other sources get their turn.
const ACCEPTS_PER_TURN: usize = 16;
/// Reads from one connection in its turn, unless one fills the room, or does a step of a handshake.
const READS_PER_TURN: usize = 8;

impl Thread {
    /// Gives one source its turn; a connection waits for it in line.
    pub(super) fn handle_ready(&mut self, token: Token) {
        let now = Instant::now();
        let left = match token {
            Token::Inbox => Left::Nothing,
            Token::Udp(index) => self.read_listener(index, now),
            Token::Acceptor(index) => self.accept(index, now),
            Token::Relay(port) => self.read_relay(port, now),
            Token::Stream(place) => {
                self.line_up(place, now);
                Left::Nothing
            }
        };
        if left == Left::More {
            self.again.push_back(token);
        }
    }

    /// Gives connections their turns, as many as the pass that began at `begun` has time for.
    pub(super) fn serve_streams(&mut self, begun: Instant) {
        let mut now = Instant::now();
        self.turns.begin_pass(now - begun, now);
        while let Some(turn) = self.turns.pop(now) {
            // One that has ended meanwhile costs nothing.
            let Some(stream) = self.streams.at(turn.place) else { continue };
            stream.in_line = false;
            match self.read_stream(turn.place, now) {
                Ok(Left::Nothing) => {}
                Ok(Left::More) => self.line_up(turn.place, now),
                Err(why) => self.end_stream(turn.place, why, now),
            }
            let done = Instant::now();
            self.turns.took(turn, now, done);
            now = done;
        }
    }

    /// A connection has something for us, and waits for its turn unless it does so already.
    fn line_up(&mut self, place: Place, now: Instant) {
        let Some(stream) = self.streams.at(place) else { return };
        if !std::mem::replace(&mut stream.in_line, true) {
            let work = if stream.is_handshaking() { Work::Handshake } else { Work::Data };
            self.turns.push(place, stream.client.remote.ip().into(), work, now);
        }
    }

    fn read_listener(&mut self, index: u32, now: Instant) -> Left {
        let Some(socket) = self.udp.get(index as usize) else { return Left::Nothing };
        let left = self.batch.receive(socket);
        self.read_inbox(now);
        for packet in self.batch.packets() {
            let from = ClientAddr { remote: packet.from, local: packet.to, transport: Transport::Udp };
            self.server.handle_client(packet.bytes, from, now);
        }
        self.drain(now);
        left
    }

    fn read_relay(&mut self, port: RelayPort, now: Instant) -> Left {
        let Some(socket) = self.relays.at(port) else { return Left::Nothing };
        let left = self.batch.receive(socket);
        let errors = socket.icmp_errors();
        self.read_inbox(now);
        for packet in self.batch.packets() {
            self.server.handle_peer(packet.bytes, self.relays.inward(packet.from), port, now);
        }
        for error in &errors {
            self.sockets.icmp_errors += 1;
            let icmp = Icmp { kind: error.kind, code: error.code, mtu: error.mtu };
            self.server.handle_icmp(icmp, self.relays.inward(error.peer), port, now);
        }
        self.drain(now);
        if errors.is_empty() { left } else { Left::More }
    }

    fn read_stream(&mut self, place: Place, now: Instant) -> Result<Left, Ended> {
        for _ in 0..READS_PER_TURN {
            let Some(stream) = self.streams.at(place) else { return Ok(Left::Nothing) };
            let was_handshaking = stream.is_handshaking();
            let read = stream.read(&mut self.scratch)?;
            // A handshake's answer, or what waits since the socket was full.
            stream.flush(now)?;
            let Read::Bytes(length) = read else {
                self.streams.touch(place);
                match read {
                    Read::Inside if was_handshaking => break,
                    Read::Inside => continue,
                    _ => return Ok(Left::Nothing),
                }
            };
            self.read_inbox(now);
            let Some(stream) = self.streams.at(place) else { return Ok(Left::Nothing) };
            let client = stream.client;
            let bytes = self.scratch.get(..length).unwrap_or_default();
            let taken = stream.take(bytes, now, |frame| self.server.handle_client(frame, client, now));
            self.drain(now);
            self.streams.touch(place);
            taken?;
            if length == self.scratch.len() {
                break;
            }
        }
        Ok(Left::More)
    }

    fn accept(&mut self, index: u32, now: Instant) -> Left {
        for _ in 0..ACCEPTS_PER_TURN {
            let Some(acceptor) = self.acceptors.get(index as usize) else { return Left::Nothing };
            match acceptor.listener.accept() {
                Ok((socket, remote)) => {
                    let Some(seat) = self.admission.admit(remote.ip()) else {
                        self.sockets.refused_limit += 1;
                        continue;
                    };
                    let (transport, tls) = (acceptor.transport(), acceptor.tls.clone());
                    let open = || -> io::Result<Stream> {
                        let client = ClientAddr { remote, local: socket.local_addr()?, transport };
                        let tls = tls.map(ServerConnection::new).transpose().map_err(io::Error::other)?;
                        prepare(&socket)?;
                        Ok(Stream::new(socket, tls, client, seat, now))
                    };
                    match open().and_then(|stream| self.streams.insert(stream, self.poll.registry())) {
                        Ok(_) => self.sockets.accepted += 1,
                        Err(_) => self.sockets.accept_failed += 1,
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Left::Nothing,
                // It was gone again before we came to it.
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => {
                    if self.sockets.accept_failed == 0 {
                        tracing::warn!(%error, "a connection could not be accepted (said once, counted from now on)");
                    }
                    self.sockets.accept_failed += 1;
                    self.accept_at = Some(now + ACCEPT_AGAIN);
                    return Left::Nothing;
                }
            }
        }
        Left::More
    }
}

/// A relayed packet must not wait for the acknowledgement of the one before it.
fn prepare(socket: &TcpStream) -> io::Result<()> {
    socket.set_nodelay(true)
}
