//! How an association begins and ends (RFC 9260 5.1, 5.2, 9.2), and how it begins without a round trip
//! (draft-hancke-tsvwg-snap: both INIT chunks travel in the session description).

use std::time::Instant;

use rand_chacha::ChaCha12Rng;
use rand_core::SeedableRng;

use super::inbound::Inbound;
use super::wire::{self, Chunks, Init, kind};
use super::{Association, Discard, End, Event, State, limits, local_init};

/// The INIT chunk that an association made from `seed` would send: what `a=sctp-init` carries.
pub fn init_chunk(seed: [u8; 32]) -> Vec<u8> {
    let mut out = Vec::new();
    local_init(&mut ChaCha12Rng::from_seed(seed)).put(&mut out, None);
    out
}

impl Association {
    /// Sends INIT.
    pub fn connect(&mut self, now: Instant) {
        if self.state == State::Idle {
            self.state = State::CookieWait;
            self.deadline = Some(now + limits::PEER_SILENCE_MAX);
            self.send_init(now);
        }
    }

    /// The peer's INIT chunk is known already, and it knows ours. `false`: it is none.
    pub fn connect_with(&mut self, chunk: &[u8]) -> bool {
        let init = Chunks(chunk)
            .next()
            .filter(|&(kind, ..)| kind == kind::INIT)
            .and_then(|(.., value)| Init::parse(value));
        let Some((init, _)) = init.filter(|_| self.state == State::Idle) else { return false };
        self.learn(init);
        self.establish();
        true
    }

    fn send_init(&mut self, now: Instant) {
        let init = self.init;
        self.put_alone(0, |out| init.put(out, None));
        self.timer = Some(now + self.outbound.rto().now());
    }

    fn learn(&mut self, peer: Init) {
        self.peer = Some(peer);
        self.inbound = Inbound::new(peer.tsn);
        self.reset.begin(self.init.tsn, peer.tsn);
        self.outbound.peer_is(peer.window, peer.forward_tsn);
    }

    pub(super) fn establish(&mut self) {
        self.state = State::Established;
        (self.timer, self.deadline) = (None, None);
        self.outbound.rto().progress();
        self.events.push_back(Event::Connected);
    }

    pub(super) fn handle_handshake(&mut self, kind: u8, value: &[u8]) -> Result<(), Discard> {
        match kind {
            kind::INIT => self.handle_init(value),
            kind::INIT_ACK => self.handle_init_ack(value),
            kind::COOKIE_ECHO => self.handle_cookie_echo(value),
            _ => self.handle_cookie_ack(),
        }
    }

    /// Answered in every state, with the same numbers each time: so INITs may cross and be repeated (RFC 9260 5.2.1). A peer
    /// that starts anew does so with DTLS, so other numbers than before are refused.
    fn handle_init(&mut self, value: &[u8]) -> Result<(), Discard> {
        let (peer, _) = Init::parse(value).ok_or(Discard::Malformed)?;
        match &self.peer {
            Some(known) if (known.tag, known.tsn) != (peer.tag, peer.tsn) => return Err(Discard::Unexpected),
            Some(_) => {}
            None => self.learn(peer),
        }
        let (init, cookie) = (self.init, self.cookie);
        self.put_alone(peer.tag, |out| init.put(out, Some(&cookie)));
        Ok(())
    }

    fn handle_init_ack(&mut self, value: &[u8]) -> Result<(), Discard> {
        if self.state != State::CookieWait {
            return Err(Discard::Unexpected);
        }
        let (peer, cookie) = Init::parse(value).ok_or(Discard::Malformed)?;
        let cookie =
            cookie.filter(|cookie| cookie.len() <= limits::COOKIE_LEN_MAX).ok_or(Discard::Malformed)?;
        match &self.peer {
            Some(known) if (known.tag, known.tsn) != (peer.tag, peer.tsn) => return Err(Discard::Unexpected),
            Some(_) => {}
            None => self.learn(peer),
        }
        self.state = State::CookieEchoed { cookie: cookie.to_vec(), due: true };
        // It runs from when the cookie is sent.
        self.timer = None;
        Ok(())
    }

    fn handle_cookie_echo(&mut self, value: &[u8]) -> Result<(), Discard> {
        if value != self.cookie || self.peer.is_none() {
            return Err(Discard::Unexpected);
        }
        if matches!(self.state, State::Idle | State::CookieWait | State::CookieEchoed { .. }) {
            self.establish();
        }
        if self.control.len() < limits::CONTROL_MAX {
            // First in its packet, as DATA may follow (RFC 9260 5.1 E).
            let mut control = Vec::new();
            wire::put(&mut control, kind::COOKIE_ACK, 0, |_| {});
            control.append(&mut self.control);
            self.control = control;
        }
        Ok(())
    }

    fn handle_cookie_ack(&mut self) -> Result<(), Discard> {
        if !matches!(self.state, State::CookieEchoed { .. }) {
            return Err(Discard::Unexpected);
        }
        self.establish();
        Ok(())
    }

    /// T1 and T2: what was sent last is sent again.
    pub(super) fn timer_expired(&mut self, now: Instant) {
        self.timer = None;
        self.outbound.rto().back_off();
        match &mut self.state {
            State::CookieWait => self.send_init(now),
            State::CookieEchoed { due, .. } => {
                *due = true;
                self.outbound.lose_all(now);
            }
            State::ShutdownSent => self.send_shutdown(kind::SHUTDOWN, now),
            State::ShutdownAckSent => self.send_shutdown(kind::SHUTDOWN_ACK, now),
            _ => {}
        }
    }

    /// Ends the association when all that was sent has arrived.
    pub fn shut_down(&mut self, now: Instant) {
        match self.state {
            State::Established | State::CookieEchoed { .. } => {
                self.state = State::ShutdownPending;
                self.timer = None;
                self.deadline = Some(now + limits::CLOSE_WITHIN);
                self.shut_down_further(now);
            }
            State::Idle | State::CookieWait => self.end(End::Shutdown(true)),
            _ => {}
        }
    }

    /// RFC 9260 9.2: when nothing is underway any more.
    pub(super) fn shut_down_further(&mut self, now: Instant) {
        if !self.outbound.is_idle() {
            return;
        }
        match self.state {
            State::ShutdownPending => {
                self.state = State::ShutdownSent;
                self.send_shutdown(kind::SHUTDOWN, now);
            }
            State::ShutdownReceived => {
                self.state = State::ShutdownAckSent;
                self.send_shutdown(kind::SHUTDOWN_ACK, now);
            }
            _ => {}
        }
    }

    fn send_shutdown(&mut self, kind: u8, now: Instant) {
        let cumulative = (self.inbound.cumulative() as u32).to_be_bytes();
        let value: &[u8] = if kind == kind::SHUTDOWN { &cumulative } else { &[] };
        wire::put(&mut self.control, kind, 0, |out| out.extend_from_slice(value));
        self.timer = Some(now + self.outbound.rto().now());
    }

    pub(super) fn handle_shutdown(&mut self, kind: u8, now: Instant) -> Result<(), Discard> {
        match (kind, &self.state) {
            (kind::SHUTDOWN, State::Established | State::ShutdownPending) => {
                self.state = State::ShutdownReceived;
                self.deadline.get_or_insert(now + limits::CLOSE_WITHIN);
                self.shut_down_further(now);
                Ok(())
            }
            // Both at once (RFC 9260 9.2), or again.
            (kind::SHUTDOWN, State::ShutdownSent | State::ShutdownAckSent) => {
                self.state = State::ShutdownAckSent;
                self.send_shutdown(kind::SHUTDOWN_ACK, now);
                Ok(())
            }
            (kind::SHUTDOWN_ACK, State::ShutdownSent | State::ShutdownAckSent) => {
                if let Some(peer) = self.peer {
                    self.put_alone(peer.tag, |out| wire::put(out, kind::SHUTDOWN_COMPLETE, 0, |_| {}));
                }
                self.end(End::Shutdown(true));
                Ok(())
            }
            (kind::SHUTDOWN_COMPLETE, State::ShutdownAckSent) => {
                self.end(End::Shutdown(false));
                Ok(())
            }
            _ => Err(Discard::Unexpected),
        }
    }
}
