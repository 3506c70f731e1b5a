//! `rice-proto`, the ICE agent of librice.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rice_proto::agent::{Agent as IceAgent, AgentPoll};
use rice_proto::candidate::{Candidate, CandidateType, TransportType};
use rice_proto::component::ComponentConnectionState;
use rice_proto::stream::Credentials as IceCredentials;
use stun_proto::agent::Transmit;

use super::{Address, Agent, Credentials, Kind, Remote, Setup};

/// As it comes, told that candidates trickle.
pub fn default(setup: &Setup) -> Box<dyn Agent> {
    Box::new(Rice::new(setup, IceAgent::builder()))
}

/// The shortest timing advance that RFC 8445 allows, and a first retransmission after two round trips.
pub fn eager(setup: &Setup) -> Box<dyn Agent> {
    let rto = (setup.rtt * 2).max(Duration::from_millis(50));
    let builder = IceAgent::builder().timing_advance(Duration::from_millis(5)).set_request_retransmits(
        rto,
        Duration::from_secs(2),
        7,
        rto * 16,
    );
    Box::new(Rice::new(setup, builder))
}

struct Rice {
    agent: IceAgent,
    stream: usize,
    component: usize,
    local: Credentials,
    epoch: Instant,
    deadline: Option<Instant>,
    usable: bool,
}

impl Rice {
    fn new(setup: &Setup, builder: rice_proto::agent::AgentBuilder) -> Self {
        let mut agent = builder.trickle_ice(true).controlling(setup.controlling).build();
        let stream = agent.add_stream();
        let local = Credentials { ufrag: rice_proto::random_string(8), pwd: rice_proto::random_string(24) };
        let mut handle = agent.mut_stream(stream).expect("just made");
        handle.set_local_credentials(IceCredentials::new(local.ufrag.clone(), local.pwd.clone()));
        let component = handle.add_component().expect("the first");
        for address in setup.local {
            handle.add_local_candidate(candidate(address, component));
        }
        handle.end_of_local_candidates();
        Self { agent, stream, component, local, epoch: setup.now, deadline: None, usable: false }
    }

    /// Its own clock counts from an epoch of the caller's.
    fn clock(&self, now: Instant) -> stun_proto::Instant {
        stun_proto::Instant::from_nanos((now - self.epoch).as_nanos() as i64)
    }

    fn poll(&mut self, now: Instant) {
        let clock = self.clock(now);
        loop {
            match self.agent.poll(clock) {
                AgentPoll::WaitUntil(at) => {
                    self.deadline = Some(at.to_std(self.epoch));
                    return;
                }
                AgentPoll::SelectedPair(_) => self.usable = true,
                AgentPoll::Closed => return,
                AgentPoll::ComponentStateChange(change) => {
                    self.usable |= change.state == ComponentConnectionState::Connected;
                }
                _ => {}
            }
        }
    }
}

fn candidate(address: &Address, component: usize) -> Candidate {
    let (kind, letter) = match address.kind {
        Kind::Host => (CandidateType::Host, 'h'),
        Kind::ServerReflexive => (CandidateType::ServerReflexive, 's'),
        Kind::Relayed => (CandidateType::Relayed, 'r'),
    };
    let foundation = format!("{letter}{}", address.rank);
    let preference = 8_000 - address.rank as u32;
    let builder = Candidate::builder(component, kind, TransportType::Udp, &foundation, address.address)
        .priority(Candidate::calculate_priority(kind, TransportType::Udp, None, preference, component))
        .base_address(address.base);
    if address.kind == Kind::Host { builder } else { builder.related_address(address.base) }.build()
}

impl Agent for Rice {
    fn credentials(&self) -> Credentials {
        self.local.clone()
    }

    fn begin(&mut self, remote: &Remote, now: Instant) {
        let component = self.component;
        let mut stream = self.agent.mut_stream(self.stream).expect("kept");
        let Credentials { ufrag, pwd } = remote.credentials.clone();
        stream.set_remote_credentials(IceCredentials::new(ufrag, pwd));
        for address in &remote.candidates {
            let line = candidate(address, component).to_sdp_string();
            stream.add_remote_candidate(line.parse().expect("its own line"));
        }
        stream.end_of_remote_candidates();
        self.poll(now);
    }

    fn packet(&mut self, local: SocketAddr, from: SocketAddr, bytes: &[u8], now: Instant) {
        let transmit = Transmit::new(bytes.to_vec(), TransportType::Udp, from, local);
        let clock = self.clock(now);
        let mut stream = self.agent.mut_stream(self.stream).expect("kept");
        stream.handle_incoming_data(self.component, transmit, clock);
        self.poll(now);
    }

    fn timeout(&mut self, now: Instant) {
        self.poll(now);
    }

    fn deadline(&mut self, _now: Instant) -> Option<Instant> {
        self.deadline
    }

    fn transmit(&mut self, now: Instant) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        let clock = self.clock(now);
        let transmit = self.agent.poll_transmit(clock)?.transmit;
        Some((transmit.from, transmit.to, transmit.data.to_vec()))
    }

    fn usable(&mut self) -> bool {
        self.usable
    }
}
