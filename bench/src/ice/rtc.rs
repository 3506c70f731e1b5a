//! `rtc-ice`, the ICE agent of webrtc-rs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use rtc_ice::Event;
use rtc_ice::agent::Agent as IceAgent;
use rtc_ice::agent::agent_config::AgentConfig;
use rtc_ice::candidate::candidate_host::CandidateHostConfig;
use rtc_ice::candidate::candidate_relay::CandidateRelayConfig;
use rtc_ice::candidate::candidate_server_reflexive::CandidateServerReflexiveConfig;
use rtc_ice::candidate::{Candidate, CandidateConfig, unmarshal_candidate};
use rtc_shared::{TransportContext, TransportMessage, TransportProtocol};
use sansio::Protocol;

use super::{Address, Agent, Credentials, Kind, Remote, Setup};

/// As it comes.
pub fn default(setup: &Setup) -> Box<dyn Agent> {
    Box::new(Rtc::new(setup, AgentConfig { is_controlling: setup.controlling, ..AgentConfig::default() }))
}

/// A check every 5 ms, and no waiting before nomination.
pub fn eager(setup: &Setup) -> Box<dyn Agent> {
    let config = AgentConfig {
        is_controlling: setup.controlling,
        check_interval: Duration::from_millis(5),
        host_acceptance_min_wait: Some(Duration::ZERO),
        srflx_acceptance_min_wait: Some(Duration::ZERO),
        prflx_acceptance_min_wait: Some(Duration::ZERO),
        relay_acceptance_min_wait: Some(Duration::ZERO),
        ..AgentConfig::default()
    };
    Box::new(Rtc::new(setup, config))
}

struct Rtc {
    agent: IceAgent,
    controlling: bool,
    usable: bool,
}

impl Rtc {
    fn new(setup: &Setup, config: AgentConfig) -> Self {
        let crypto = rtc_ice::crypto::default_provider().expect("ring is built in");
        let mut agent = IceAgent::new(setup.now, Arc::new(config), crypto).expect("a sound configuration");
        for address in setup.local {
            agent.add_local_candidate(candidate(address)).expect("the scenario's addresses are sound");
        }
        Self { agent, controlling: setup.controlling, usable: false }
    }
}

fn candidate(address: &Address) -> Candidate {
    // It gives every candidate of a kind the same priority: leave that as it is.
    let base_config = CandidateConfig {
        network: "udp".to_owned(),
        address: address.address.ip().to_string(),
        port: address.address.port(),
        component: 1,
        ..CandidateConfig::default()
    };
    let (rel_addr, rel_port) = (address.base.ip().to_string(), address.base.port());
    match address.kind {
        Kind::Host => {
            CandidateHostConfig { base_config, ..CandidateHostConfig::default() }.new_candidate_host()
        }
        Kind::ServerReflexive => {
            CandidateServerReflexiveConfig { base_config, rel_addr, rel_port, url: None }
                .new_candidate_server_reflexive()
        }
        Kind::Relayed => {
            CandidateRelayConfig { base_config, rel_addr, rel_port, url: None }.new_candidate_relay()
        }
    }
    .expect("the scenario's addresses are sound")
}

impl Agent for Rtc {
    fn credentials(&self) -> Credentials {
        let credentials = self.agent.get_local_credentials();
        Credentials { ufrag: credentials.ufrag.clone(), pwd: credentials.pwd.clone() }
    }

    fn begin(&mut self, remote: &Remote, now: Instant) {
        for address in &remote.candidates {
            let line = candidate(address).marshal();
            let parsed = unmarshal_candidate(&line).expect("its own line");
            self.agent.add_remote_candidate(parsed).expect("a sound candidate");
        }
        let Credentials { ufrag, pwd } = remote.credentials.clone();
        self.agent.start_connectivity_checks(now, self.controlling, ufrag, pwd).expect("sound credentials");
        let _ = self.agent.handle_timeout(now);
    }

    fn packet(&mut self, local: SocketAddr, from: SocketAddr, bytes: &[u8], now: Instant) {
        let transport = TransportContext {
            local_addr: local,
            peer_addr: from,
            ecn: None,
            transport_protocol: TransportProtocol::UDP,
        };
        let _ = self.agent.handle_read(TransportMessage { now, transport, message: BytesMut::from(bytes) });
    }

    fn timeout(&mut self, now: Instant) {
        let _ = self.agent.handle_timeout(now);
    }

    fn deadline(&mut self, _now: Instant) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    fn transmit(&mut self, _now: Instant) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        let message = self.agent.poll_write()?;
        Some((message.transport.local_addr, message.transport.peer_addr, message.message.to_vec()))
    }

    fn usable(&mut self) -> bool {
        while let Some(event) = self.agent.poll_event() {
            self.usable |= matches!(event.event, Event::SelectedCandidatePairChange(..));
        }
        self.usable
    }
}
