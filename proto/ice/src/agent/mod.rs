//! The agent: one data stream of one component.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twocan_stun::AttributeType;

use crate::{
    Candidate, Command, Config, Credentials, Discard, Event, LocalCandidate, Misuse, Report, Role, Selected,
    SocketId, State, Transmit, Verdict,
};

/// An ICE agent.
#[derive(Debug)]
pub struct Agent {
    local: Credentials,
    role: Role,
    transmits: VecDeque<Transmit>,
    events: VecDeque<Event>,
    commands: VecDeque<Command>,
}

#[allow(missing_docs, unused_variables, clippy::missing_errors_doc)]
impl Agent {
    pub fn new(config: Config, local: Credentials, role: Role, seed: [u8; 32], now: Instant) -> Agent {
        Agent { local, role, transmits: VecDeque::new(), events: VecDeque::new(), commands: VecDeque::new() }
    }
    pub fn set_rtt_hint(&mut self, rtt: Duration) {}
    pub fn add_local_candidate(&mut self, candidate: LocalCandidate, now: Instant) -> Result<(), Misuse> {
        Ok(())
    }
    pub fn remove_socket(&mut self, socket: SocketId, now: Instant) {}
    pub fn end_of_local_candidates(&mut self, now: Instant) {}
    pub fn set_remote_credentials(&mut self, remote: Credentials, now: Instant) {}
    pub fn add_remote_candidate(&mut self, candidate: Candidate, now: Instant) -> Result<(), Discard> {
        Ok(())
    }
    pub fn end_of_remote_candidates(&mut self, now: Instant) {}
    pub fn handle_packet(
        &mut self,
        socket: SocketId,
        from: SocketAddr,
        bytes: &[u8],
        now: Instant,
    ) -> Result<(), Discard> {
        Err(Discard::NotForUs)
    }
    pub fn handle_stream_open(&mut self, socket: SocketId, remote: SocketAddr, now: Instant) {}
    pub fn handle_stream_closed(&mut self, socket: SocketId, remote: SocketAddr, now: Instant) {}
    pub fn embed(&mut self, kind: AttributeType, value: Option<&[u8]>) -> Result<(), Misuse> {
        Ok(())
    }
    pub fn restart(&mut self, local: Credentials, now: Instant) {}
    pub fn close(&mut self, now: Instant) {}
    pub fn local_credentials(&self) -> &Credentials {
        &self.local
    }
    pub fn remote_credentials(&self) -> Option<&Credentials> {
        None
    }
    pub fn role(&self) -> Role {
        self.role
    }
    pub fn state(&self) -> State {
        State::New
    }
    pub fn is_validated(&self, socket: SocketId, remote: SocketAddr) -> bool {
        false
    }
    pub fn selected(&self) -> Option<Selected> {
        None
    }
    pub fn report(&self) -> Report {
        Report {
            role: self.role,
            state: self.state(),
            verdict: self.verdict(),
            pairs: Vec::new(),
            requests_sent: 0,
            discarded: 0,
            unauthenticated: 0,
        }
    }
    pub fn verdict(&self) -> Verdict {
        Verdict::Undecided
    }
    pub fn handle_timeout(&mut self, now: Instant) {}
    pub fn poll_transmit(&mut self) -> Option<Transmit> {
        self.transmits.pop_front()
    }
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }
    pub fn poll_command(&mut self) -> Option<Command> {
        self.commands.pop_front()
    }
    pub fn poll_timeout(&self) -> Option<Instant> {
        None
    }
}
