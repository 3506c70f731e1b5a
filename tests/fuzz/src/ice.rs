//! A story of one ICE agent: signaling, sockets, streams and time, a peer that knows both passwords and does as it likes,
//! and a stranger. Whatever happens: a way is validated only after an authentic answer came that way to a request that went
//! that way; packets go only where someone was named or heard; one packet causes one answer; time comes to rest.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twocan_ice::{
    Agent, Candidate, Config, Credentials, Event, Foundations, LocalCandidate, LocalPreference, Parsed,
    RelayProtocol, Role, SocketId, State, TcpType,
};
use twocan_stun::attribute::{
    ErrorReply, IceControlled, IceControlling, Priority, UseCandidate, Username, XorMappedAddress,
};
use twocan_stun::{AttributeType, Builder, Class, ErrorCode, IntegrityKey, Message, Method, TransactionId};

use crate::input::Input;

/// More packets than one input may cause.
const PACKETS_MAX: usize = 128;

const EMBEDDED: AttributeType = AttributeType(0xC070);

type Way = (SocketId, SocketAddr);

/// Plays the story that the bytes tell.
pub fn run(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let Some(mut story) = Story::begin(&mut input) else { return };
    while story.turn(&mut input).is_some() {
        story.check();
    }
    story.end();
}

struct Story {
    agent: Agent,
    config: Config,
    now: Instant,
    foundations: Foundations,
    /// The credentials of the other side, those of before a restart included.
    theirs: Vec<Credentials>,
    ours: Vec<Credentials>,
    /// Requests that the agent sent, and with which password they were made.
    asked: Vec<(Way, Vec<u8>)>,
    proven: BTreeSet<Way>,
    known: BTreeSet<SocketAddr>,
    restarts: u8,
    closed: bool,
}

impl Story {
    fn begin(input: &mut Input<'_>) -> Option<Story> {
        let role = input.pick(&[Role::Controlling, Role::Controlled])?;
        let now = Instant::now();
        let config =
            Config { pairs_max: 12, remote_candidates_max: 8, peer_reflexive_max: 4, ..Config::default() };
        let ours = Credentials::generate([1; 32]);
        Some(Story {
            agent: Agent::new(config.clone(), ours.clone(), role, [3; 32], now),
            config,
            now,
            foundations: Foundations::default(),
            theirs: vec![Credentials::generate([2; 32])],
            ours: vec![ours],
            asked: Vec::new(),
            proven: BTreeSet::new(),
            known: BTreeSet::new(),
            restarts: 0,
            closed: false,
        })
    }

    fn turn(&mut self, input: &mut Input<'_>) -> Option<()> {
        let now = self.now;
        match input.byte()? % 20 {
            0 => self.pass(Duration::from_millis(u64::from(input.short()?))),
            1 => self.pass(Duration::from_millis(u64::from(input.byte()?) % 8)),
            2 | 3 => self.add_local(input)?,
            4 | 5 => self.add_remote(input)?,
            6 => self.agent.set_remote_credentials(self.theirs.last()?.clone(), now),
            7 => {
                let (socket, from) = way(input)?;
                let _ = self.agent.handle_packet(socket, from, input.chunk()?, now);
            }
            8..=11 => self.request(input)?,
            12..=15 => self.answer(input)?,
            16 => self.agent.remove_socket(SocketId(u32::from(input.byte()? % 6)), now),
            17 => self.stream(input)?,
            18 => self.rarely(input)?,
            _ => match input.byte()? % 2 {
                0 => self.agent.end_of_local_candidates(now),
                _ => self.agent.end_of_remote_candidates(now),
            },
        }
        Some(())
    }

    fn rarely(&mut self, input: &mut Input<'_>) -> Option<()> {
        match input.byte()? % 5 {
            0 => {
                self.restarts = self.restarts.wrapping_add(1);
                let local = Credentials::generate([100_u8.wrapping_add(self.restarts); 32]);
                self.ours.push(local.clone());
                self.theirs.push(Credentials::generate([200_u8.wrapping_sub(self.restarts); 32]));
                self.agent.restart(local, self.now);
            }
            1 => {
                let _ = self.agent.embed(EMBEDDED, Some(input.chunk()?));
            }
            2 => {
                let _ = self.agent.embed(EMBEDDED, None);
            }
            3 => self.agent.set_rtt_hint(Duration::from_millis(u64::from(input.short()?))),
            _ => {
                self.agent.close(self.now);
                self.drain();
                self.closed = true;
            }
        }
        Some(())
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        for _ in 0..200 {
            let next = self.agent.poll_timeout().filter(|at| *at <= until);
            let Some(next) = next else { break };
            self.now = self.now.max(next);
            self.agent.handle_timeout(self.now);
            self.drain();
            let rests = self.agent.poll_timeout().is_none_or(|at| at > self.now);
            assert!(rests, "due again in the same instant");
        }
        self.now = until;
    }

    fn add_local(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (socket, address) = way(input)?;
        let preference = LocalPreference::of(address.ip(), u16::from(input.byte()?));
        let foundations = &mut self.foundations;
        let candidate = match input.byte()? % 5 {
            0 | 1 => LocalCandidate::host(foundations, socket, address, preference),
            2 => {
                let (_, base) = way(input)?;
                LocalCandidate::server_reflexive(foundations, socket, address, base, address.ip(), preference)
            }
            3 => {
                let server = (address.ip(), RelayProtocol::Tls);
                LocalCandidate::relayed(foundations, socket, address, address, server, preference)
            }
            _ => {
                let tcp = input.pick(&[TcpType::Active, TcpType::Passive, TcpType::SimultaneousOpen])?;
                LocalCandidate::tcp(foundations, socket, address, tcp, preference)
            }
        };
        let _ = self.agent.add_local_candidate(candidate, self.now);
        Some(())
    }

    fn add_remote(&mut self, input: &mut Input<'_>) -> Option<()> {
        let address = way(input)?.1;
        let (ip, port) = (address.ip(), address.port());
        let transport =
            input.pick(&["udp 1 {} typ host", "tcp 1 {} typ host tcptype passive", "udp 5 {} typ relay"])?;
        let text = format!("candidate:1 1 {}", transport.replace("{}", &format!("{ip} {port}")));
        let Ok(Parsed::Candidate(mut candidate)) = Candidate::parse(&text) else { panic!("{text}") };
        if input.byte()? % 4 == 0 {
            candidate.ufrag = self.theirs.last().map(|theirs| theirs.ufrag.clone());
        }
        if self.agent.add_remote_candidate(candidate, self.now).is_ok() {
            self.known.insert(address);
        }
        Some(())
    }

    /// The other side asks, with the right password or a wrong one.
    fn request(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (socket, from) = way(input)?;
        let flags = input.byte()?;
        let ours = if flags & 1 == 0 { self.ours.last()? } else { self.ours.first()? };
        let theirs = if flags & 2 == 0 { self.theirs.last()? } else { self.theirs.first()? };
        let pwd = if flags & 4 == 0 { ours.pwd.as_str() } else { "what a stranger would guess" };
        let mut buffer = [0; 1024];
        let id = TransactionId([input.byte()?; 12]);
        let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, id).ok()?;
        builder.add(&Username(&format!("{}:{}", ours.ufrag, theirs.ufrag))).ok()?;
        builder.add(&Priority(u32::from(input.byte()?))).ok()?;
        let tie_breaker = u64::from(input.byte()?) << 56;
        match flags & 24 {
            0 => builder.add(&IceControlling(tie_breaker)).ok()?,
            8 => builder.add(&IceControlled(tie_breaker)).ok()?,
            _ => &mut builder,
        };
        builder.add_optional((flags & 32 == 0).then_some(&UseCandidate)).ok()?;
        if flags & 64 != 0 {
            builder.add_raw(EMBEDDED, b"hello").ok()?;
        }
        let key = IntegrityKey::short_term(pwd);
        let bytes = builder.integrity(&key).ok()?.fingerprint().ok()?.finish().to_vec();
        if self.agent.handle_packet(socket, from, &bytes, self.now).is_ok() {
            self.known.insert(from);
        } else {
            // It may have been answered with an error.
            self.known.insert(from);
        }
        Some(())
    }

    /// Something asked is answered: truly, or wrongly in one of several ways.
    fn answer(&mut self, input: &mut Input<'_>) -> Option<()> {
        let back = usize::from(input.byte()? % 16);
        let (way_asked, request) = self.asked.iter().rev().nth(back)?.clone();
        let kind = input.byte()?;
        let request = Message::parse(&request).ok()?;
        let mut buffer = [0; 256];
        let builder = match kind % 8 {
            0..=5 => {
                let mut builder = Builder::success(&mut buffer, &request).ok()?;
                builder.add(&XorMappedAddress(way(input)?.1)).ok()?;
                builder
            }
            _ => {
                let code = input.pick(&[
                    ErrorCode::ROLE_CONFLICT,
                    ErrorCode::UNAUTHENTICATED,
                    ErrorCode::BAD_REQUEST,
                ])?;
                Builder::error(&mut buffer, &request, ErrorReply::bare(code)).ok()?
            }
        };
        // The user name begins with the side that is asked: its password signs the answer.
        let Username(username) = request.get::<Username<'_>>().ok()??;
        let asked = self.theirs.iter().find(|theirs| username.starts_with(&format!("{}:", theirs.ufrag)))?;
        let is_authentic = kind & 0x30 != 0x30;
        let key =
            IntegrityKey::short_term(if is_authentic { &asked.pwd } else { "what a stranger would guess" });
        let bytes = builder.integrity(&key).ok()?.fingerprint().ok()?.finish().to_vec();
        let (socket, from) = if kind & 0xC0 == 0xC0 { way(input)? } else { way_asked };
        if is_authentic && kind % 8 <= 5 && (socket, from) == way_asked {
            self.proven.insert((socket, from));
        }
        let _ = self.agent.handle_packet(socket, from, &bytes, self.now);
        Some(())
    }

    fn stream(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (socket, remote) = way(input)?;
        match input.byte()? % 2 {
            0 => self.agent.handle_stream_open(socket, remote, self.now),
            _ => self.agent.handle_stream_closed(socket, remote, self.now),
        }
        Some(())
    }

    fn drain(&mut self) {
        let mut packets = 0;
        while let Some(transmit) = self.agent.poll_transmit() {
            packets += 1;
            assert!(!self.closed, "a packet after the end");
            let message = Message::parse(&transmit.bytes).expect("a message of ours can be read");
            assert!(message.verify_fingerprint().is_ok());
            assert!(transmit.bytes.len() <= 1280, "{} bytes", transmit.bytes.len());
            if message.class() == Class::Request {
                assert!(
                    self.known.contains(&transmit.to),
                    "a check to {}, of whom nobody spoke",
                    transmit.to
                );
                self.asked.push(((transmit.socket, transmit.to), transmit.bytes));
            }
        }
        assert!(packets <= PACKETS_MAX, "{packets} packets at once");
        while let Some(event) = self.agent.poll_event() {
            if let Event::Selected(selected) = event {
                assert!(
                    self.proven.contains(&(selected.socket, selected.remote)),
                    "selected, and never proven"
                );
            }
        }
        let commands = std::iter::from_fn(|| self.agent.poll_command()).count();
        assert!(commands <= PACKETS_MAX, "{commands} commands at once");
    }

    fn check(&mut self) {
        self.drain();
        for socket in 0..6 {
            for address in ADDRESSES {
                let (socket, address) = (SocketId(socket), address.parse().expect("an address"));
                if self.agent.is_validated(socket, address) {
                    assert!(self.proven.contains(&(socket, address)), "validated, and never proven");
                }
            }
        }
        let report = self.agent.report();
        assert!(report.pairs.len() <= self.config.pairs_max + 1, "{} pairs", report.pairs.len());
        if let Some(selected) = self.agent.selected() {
            assert!(self.agent.is_validated(selected.socket, selected.remote));
        }
        assert!(!self.agent.verdict().to_string().is_empty());
    }

    /// Left alone, it ends: consent expires, or nothing was ever found.
    fn end(&mut self) {
        for _ in 0..60 {
            self.pass(Duration::from_secs(2));
        }
        self.check();
        let waits = self.agent.remote_credentials().is_none();
        let over = matches!(self.agent.state(), State::Failed | State::Closed);
        assert!(over || waits, "{}", self.agent.report());
    }
}

const ADDRESSES: [&str; 8] = [
    "192.0.2.1:1000",
    "192.0.2.1:1001",
    "192.0.2.2:1000",
    "198.51.100.1:9",
    "[2001:db8::1]:1000",
    "[2001:db8::2]:1000",
    "127.0.0.1:1000",
    "[fe80::1]:1000",
];

fn way(input: &mut Input<'_>) -> Option<Way> {
    let byte = input.byte()?;
    let address = ADDRESSES[usize::from(byte & 7)].parse().expect("an address");
    Some((SocketId(u32::from(byte >> 3) % 6), address))
}
