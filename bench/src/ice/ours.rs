//! `twocan-ice`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use twocan_ice::{
    Agent as IceAgent, Candidate, Config, Credentials as IceCredentials, Event, Foundations, LocalCandidate,
    LocalPreference, Parsed, RelayProtocol, Role, SocketId,
};

use super::{Address, Agent, Credentials, Kind, Remote, Setup};

/// As both peers use it, told the round trip of signaling.
pub fn make(setup: &Setup) -> Box<dyn Agent> {
    let seed = |purpose: u8| {
        let mut seed = [purpose; 32];
        seed[..8].copy_from_slice(&setup.seed.to_le_bytes());
        seed
    };
    let role = if setup.controlling { Role::Controlling } else { Role::Controlled };
    let credentials = IceCredentials::generate(seed(1));
    let mut agent = IceAgent::new(Config::default(), credentials, role, seed(2), setup.now);
    agent.set_rtt_hint(setup.rtt);
    let mut ours = Ours { agent, sockets: Vec::new(), usable: false };
    for candidate in local_candidates(setup.local) {
        let base = setup.local[candidate.socket.0 as usize].address;
        ours.sockets.push((candidate.socket, base));
        ours.agent.add_local_candidate(candidate, setup.now).expect("few candidates");
    }
    ours.agent.end_of_local_candidates(setup.now);
    Box::new(ours)
}

struct Ours {
    agent: IceAgent,
    sockets: Vec<(SocketId, SocketAddr)>,
    usable: bool,
}

/// The socket of a candidate is the place of its base among the addresses.
fn local_candidates(addresses: &[Address]) -> Vec<LocalCandidate> {
    let mut foundations = Foundations::default();
    let server = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 200));
    let candidate = |address: &Address| {
        let base = addresses.iter().position(|other| other.address == address.base).expect("a base");
        let socket = SocketId(base as u32);
        let preference = LocalPreference::of(address.base.ip(), address.rank as u16);
        match address.kind {
            Kind::Host => LocalCandidate::host(&mut foundations, socket, address.address, preference),
            Kind::ServerReflexive => LocalCandidate::server_reflexive(
                &mut foundations,
                socket,
                address.address,
                address.base,
                server,
                preference,
            ),
            Kind::Relayed => LocalCandidate::relayed(
                &mut foundations,
                socket,
                address.address,
                address.base,
                (server, RelayProtocol::Udp),
                preference,
            ),
        }
    };
    addresses.iter().map(candidate).collect()
}

impl Agent for Ours {
    fn credentials(&self) -> Credentials {
        let credentials = self.agent.local_credentials();
        Credentials { ufrag: credentials.ufrag.clone(), pwd: credentials.pwd.clone() }
    }

    fn begin(&mut self, remote: &Remote, now: Instant) {
        let Credentials { ufrag, pwd } = &remote.credentials;
        let credentials = IceCredentials::new(ufrag, pwd).expect("sound credentials");
        self.agent.set_remote_credentials(credentials, now);
        for local in local_candidates(&remote.candidates) {
            let Ok(Parsed::Candidate(candidate)) = Candidate::parse(&local.candidate.to_string()) else {
                panic!("its own line");
            };
            self.agent.add_remote_candidate(candidate, now).expect("few candidates");
        }
        self.agent.end_of_remote_candidates(now);
    }

    fn packet(&mut self, local: SocketAddr, from: SocketAddr, bytes: &[u8], now: Instant) {
        let socket = self.sockets.iter().find(|(_, address)| *address == local).expect("a local address").0;
        let _ = self.agent.handle_packet(socket, from, bytes, now);
    }

    fn timeout(&mut self, now: Instant) {
        self.agent.handle_timeout(now);
    }

    fn deadline(&mut self, _now: Instant) -> Option<Instant> {
        self.agent.poll_timeout()
    }

    fn transmit(&mut self, _now: Instant) -> Option<(SocketAddr, SocketAddr, Vec<u8>)> {
        let transmit = self.agent.poll_transmit()?;
        let from = self.sockets.iter().find(|(socket, _)| *socket == transmit.socket).expect("a socket").1;
        Some((from, transmit.to, transmit.bytes))
    }

    fn usable(&mut self) -> bool {
        while let Some(event) = self.agent.poll_event() {
            self.usable |= matches!(event, Event::Selected(_));
        }
        self.usable
    }
}
