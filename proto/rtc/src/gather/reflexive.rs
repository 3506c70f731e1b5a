//! Server-reflexive addresses: a Binding request from each socket to each server, repeated while ICE runs to keep what the NAT
//! maps and to see it change.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twocan_ice::SocketId;
use twocan_stun::attribute::{MappedAddress, XorMappedAddress};
use twocan_stun::client::{Event as Answered, Schedule, Transaction};
use twocan_stun::{Builder, Class, HEADER_LEN, Message, Method, TransactionId};

use super::servers::ServerId;
use super::{CandidateError, Gatherer, Input, Transmit, TransportPolicy, limits};

/// At 0, 250, 750, 1750, 3750, 7750 ms; given up at 9750 ms, as browsers do.
const SCHEDULE: Schedule =
    Schedule { first_wait: Duration::from_millis(250), requests_max: 6, last_wait_factor: 8 };

/// What one socket asks one server.
pub(super) struct Binding {
    pub socket: SocketId,
    pub server: ServerId,
    to: SocketAddr,
    state: State,
}

enum State {
    Asked(Transaction),
    /// Answered, or given up; asked again then.
    Rests {
        until: Instant,
    },
}

impl Binding {
    pub fn is_pending(&self) -> bool {
        matches!(self.state, State::Asked(_))
    }
}

impl Gatherer {
    pub(super) fn ask_bindings(&mut self, server: usize, now: Instant) {
        let Some(server) = self.servers.get(server) else { return };
        if self.policy == TransportPolicy::Relay || !server.is_stun() {
            return;
        }
        let id = server.id;
        let addresses: Vec<SocketAddr> = server.addresses().collect();
        for to in addresses {
            for index in 0..self.sockets.len() {
                let Some(socket) = self.sockets.get(index).copied() else { break };
                let is_asked = self.bindings.iter().any(|known| known.socket == socket.id && known.to == to);
                if socket.local.is_ipv4() == to.is_ipv4()
                    && !is_asked
                    && self.bindings.len() < limits::BINDINGS_MAX
                {
                    let state = self.binding_request(now);
                    self.bindings.push(Binding { socket: socket.id, server: id, to, state });
                }
            }
        }
        self.flush_bindings();
    }

    /// Asks all servers again that are not being asked.
    pub(super) fn ask_bindings_again(&mut self, now: Instant) {
        let mut bindings = std::mem::take(&mut self.bindings);
        for binding in bindings.iter_mut().filter(|binding| !binding.is_pending()) {
            binding.state = self.binding_request(now);
        }
        self.bindings = bindings;
        self.flush_bindings();
    }

    fn binding_request(&mut self, now: Instant) -> State {
        let id = TransactionId(self.random());
        let mut buffer = [0; HEADER_LEN];
        let transaction = Builder::new(&mut buffer, Class::Request, Method::BINDING, id)
            .ok()
            .and_then(|builder| Transaction::new(builder.finish(), SCHEDULE, now).ok());
        transaction.map_or(State::Rests { until: now + limits::KEEPALIVE }, State::Asked)
    }

    /// Whether this answers one of our Binding requests; if so it is done with.
    pub(super) fn binding_answer<'a>(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Option<Input<'a>> {
        let is_from = |binding: &&mut Binding| binding.socket == socket && binding.to == from;
        let binding = self.bindings.iter_mut().find(is_from)?;
        let State::Asked(transaction) = &mut binding.state else { return None };
        let answer = Message::parse(bytes).ok()?;
        transaction.handle_answer(&answer, now).ok()?;
        binding.state = State::Rests { until: now + limits::KEEPALIVE };
        let server = binding.server;
        match mapped_address(&answer) {
            Some(mapped) => {
                if let Some(server) = self.server(server) {
                    server.has_given |= !server.url.scheme.is_turn();
                }
                self.add_reflexive(socket, mapped, from.ip());
            }
            None => self.blame_stun(server, "the server does not say our address"),
        }
        self.finish(now);
        Some(Input::Consumed)
    }

    pub(super) fn run_bindings(&mut self, now: Instant) {
        let mut bindings = std::mem::take(&mut self.bindings);
        for binding in &mut bindings {
            match &mut binding.state {
                State::Asked(transaction) => {
                    transaction.handle_timeout(now);
                    if transaction.poll_event() == Some(Answered::TimedOut) {
                        binding.state = State::Rests { until: now + limits::KEEPALIVE };
                        self.blame_stun(binding.server, "the server does not answer");
                    }
                }
                State::Rests { until } if *until <= now && self.is_active => {
                    binding.state = self.binding_request(now);
                }
                State::Rests { .. } => {}
            }
        }
        self.bindings = bindings;
        self.flush_bindings();
    }

    pub(super) fn bindings_timeout(&self) -> Option<Instant> {
        let due = |binding: &Binding| match &binding.state {
            State::Asked(transaction) => transaction.poll_timeout(),
            State::Rests { until } => Some(*until).filter(|_| self.is_active),
        };
        self.bindings.iter().filter_map(due).min()
    }

    /// What a relay fails at, it says itself.
    fn blame_stun(&mut self, id: ServerId, text: &'static str) {
        if self.server(id).is_some_and(|server| !server.url.scheme.is_turn()) {
            self.blame(id, CandidateError::UNREACHABLE, text);
        }
    }

    fn flush_bindings(&mut self) {
        for binding in &mut self.bindings {
            let State::Asked(transaction) = &mut binding.state else { continue };
            while let Some(bytes) = transaction.poll_transmit() {
                self.transmits.push_back(Transmit {
                    socket: binding.socket,
                    to: binding.to,
                    bytes: bytes.to_vec(),
                    segment_size: None,
                });
            }
        }
    }
}

/// What the server sees us at; servers before RFC 5389 do not hide it.
fn mapped_address(answer: &Message<'_>) -> Option<SocketAddr> {
    if answer.class() != Class::Success {
        return None;
    }
    match answer.get::<XorMappedAddress>() {
        Ok(Some(XorMappedAddress(mapped))) => Some(mapped),
        _ => answer.get::<MappedAddress>().ok()?.map(|MappedAddress(mapped)| mapped),
    }
}
