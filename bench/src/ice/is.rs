//! `is`, the ICE agent of str0m.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use is::stun::{StunMessage, StunPacket};
use is::{Candidate, IceAgent, IceAgentEvent, IceCreds};
use str0m_proto::Protocol;

use super::{Address, Agent, Credentials, Kind, Remote, Setup};

/// As it comes.
pub fn default(setup: &Setup) -> Box<dyn Agent> {
    Box::new(Is::new(setup))
}

/// Without pacing: its timing advance at zero.
pub fn eager(setup: &Setup) -> Box<dyn Agent> {
    let mut is = Is::new(setup);
    is.agent.set_timing_advance(Duration::ZERO);
    Box::new(is)
}

struct Is {
    agent: IceAgent,
    usable: bool,
}

impl Is {
    fn new(setup: &Setup) -> Self {
        let mut agent = IceAgent::new(IceCreds::new());
        agent.set_controlling(setup.controlling);
        agent.handle_timeout(setup.now);
        for address in setup.local {
            agent.add_local_candidate(candidate(address));
        }
        Self { agent, usable: false }
    }
}

fn candidate(address: &Address) -> Candidate {
    match address.kind {
        Kind::Host => Candidate::host(address.address, "udp"),
        Kind::ServerReflexive => Candidate::server_reflexive(address.address, address.base, "udp"),
        Kind::Relayed => Candidate::relayed(address.address, address.base, "udp"),
    }
    .expect("the scenario's addresses are sound")
}

impl Agent for Is {
    fn credentials(&self) -> Credentials {
        let creds = self.agent.local_credentials();
        Credentials { ufrag: creds.ufrag.clone(), pwd: creds.pass.clone() }
    }

    fn begin(&mut self, remote: &Remote, now: Instant) {
        let Credentials { ufrag, pwd: pass } = remote.credentials.clone();
        let creds = IceCreds { ufrag, pass };
        self.agent.set_remote_credentials(creds.clone());
        let mut ranked = IceAgent::new(creds);
        for address in &remote.candidates {
            // Through an agent and SDP, as on the wire: this is where the priority is computed.
            if let Some(ranked) = ranked.add_local_candidate(candidate(address)) {
                let line = ranked.to_sdp_string();
                self.agent.add_remote_candidate(Candidate::from_sdp_string(&line).expect("its own line"));
            }
        }
        self.agent.handle_timeout(now);
    }

    fn packet(&mut self, local: SocketAddr, from: SocketAddr, bytes: &[u8], now: Instant) {
        let Ok(message) = StunMessage::parse(bytes) else { return };
        let packet = StunPacket { proto: Protocol::Udp, source: from, destination: local, message };
        self.agent.handle_packet(now, packet);
        // str0m calls this after every input.
        self.agent.handle_timeout(now);
    }

    fn timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn deadline(&mut self, _now: Instant) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    fn transmit(&mut self, _now: Instant) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        let transmit = self.agent.poll_transmit()?;
        Some((transmit.source, transmit.destination, transmit.contents.into()))
    }

    fn usable(&mut self) -> bool {
        while let Some(event) = self.agent.poll_event() {
            self.usable |= matches!(event, IceAgentEvent::NominatedSend { .. });
        }
        self.usable
    }
}
