//! A peer that sends its first DTLS datagrams in its checks (SPED, as Chromium does behind a flag) is no slower than one that does not.

#![allow(clippy::unwrap_used, reason = "a test")]

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use twocan_ice::{
    Agent, Candidate, Credentials, Foundations, LocalCandidate, LocalPreference, Parsed, Role, SocketId,
};
use twocan_rtc::sdp::{self, Description};
use twocan_rtc::transport::{
    Certificate, ChannelInit, DtlsRole, Event as Secured, Fingerprint, Payload, Remote, Transport,
};
use twocan_rtc::{Config, Connection, Discard, Event, Signal, transport};
use twocan_stun::AttributeType;

const DTLS_IN_STUN: AttributeType = AttributeType(0xc070);
const DELAY: Duration = Duration::from_millis(50);
const OURS: &str = "8.0.0.1:40001";
const THEIRS: &str = "9.0.0.1:40002";

/// How the other side begins DTLS.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// When ICE has found a way.
    Plain,
    /// At once, in its checks; in the clear only when its timer runs out.
    Embedded,
    /// The same, and the attribute holds this instead.
    Junk(&'static [u8]),
}

/// A native peer, which offers, and one made of parts, which answers.
struct Two {
    native: Connection,
    agent: Agent,
    transport: Transport,
    remote: Option<Remote>,
    way: Way,
    /// DTLS that waits for ICE.
    parked: Vec<Vec<u8>>,
    wire: BTreeMap<(Instant, u64), (bool, Vec<u8>)>,
    order: u64,
    start: Instant,
    now: Instant,
    socket: SocketId,
    events: Vec<Event>,
    is_connected: bool,
}

/// What stands behind `a=name:` in a description.
fn attribute<'a>(sdp: &'a str, name: &str) -> &'a str {
    let line = sdp.lines().find_map(|line| line.strip_prefix("a=")?.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap_or_else(|| panic!("no {name} in {sdp}"))
}

impl Two {
    fn new(way: Way) -> Self {
        #[expect(clippy::disallowed_methods, reason = "the beginning of arithmetic time")]
        let now = Instant::now();
        let mut native = Connection::new(Config::new(Certificate::generate()), [1; 32], now);
        let socket = native.add_socket(OURS.parse().unwrap(), now);
        let agent = Agent::new(
            twocan_ice::Config::default(),
            Credentials::generate([3; 32]),
            Role::Controlled,
            [4; 32],
            now,
        );
        let config = transport::Config::new(Certificate::generate());
        let fingerprint = config.certificate.fingerprint();
        let mut two = Self {
            native,
            agent,
            transport: Transport::new(config, [2; 32], now),
            remote: None,
            way,
            parked: Vec::new(),
            wire: BTreeMap::new(),
            order: 0,
            start: now,
            now,
            socket,
            events: Vec::new(),
            is_connected: false,
        };
        two.negotiate(&fingerprint);
        two
    }

    /// The native peer offers, the other answers as `active`.
    fn negotiate(&mut self, fingerprint: &Fingerprint) {
        let now = self.now;
        let channel = self.native.open_channel(ChannelInit::new("agreed").negotiated(0), now).unwrap();
        self.native.send(channel, Payload::Text, Bytes::from_static(b"hello"), now).unwrap();
        self.transport.open(ChannelInit::new("agreed").negotiated(0), now).unwrap();
        self.native.negotiate(now);
        let (mut offer, mut candidates) = (None, Vec::new());
        while let Some(event) = self.native.poll_event() {
            match event {
                Event::Signal(Signal::Description(description)) => offer = Some(description),
                Event::Signal(Signal::Candidate(candidate)) => candidates.push(candidate.candidate),
                _ => {}
            }
        }
        let sdp = offer.unwrap().sdp;
        let theirs: SocketAddr = THEIRS.parse().unwrap();
        let mut foundations = Foundations::default();
        let local = LocalCandidate::host(&mut foundations, SocketId(7), theirs, LocalPreference(65_535));
        let line = local.candidate.to_string();
        self.agent.add_local_candidate(local, now).unwrap();
        let credentials = Credentials::new(attribute(&sdp, "ice-ufrag"), attribute(&sdp, "ice-pwd")).unwrap();
        self.agent.set_remote_credentials(credentials, now);
        let plain = |text: &str| match Candidate::parse(text) {
            Ok(Parsed::Candidate(candidate)) => Some(candidate),
            _ => None,
        };
        let host = sdp.lines().chain(candidates.iter().map(String::as_str)).find_map(plain).unwrap();
        self.agent.add_remote_candidate(host, now).unwrap();
        self.remote = Some(Remote {
            role: DtlsRole::Client,
            fingerprints: vec![attribute(&sdp, "fingerprint").parse().unwrap()],
            sctp_port: 5_000,
            max_message_size: 262_144,
            sctp_init: None,
        });
        let ours = self.agent.local_credentials();
        let answer = format!(
            "v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\na=group:BUNDLE {mid}\r\n\
             m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na={line}\r\n\
             a=ice-ufrag:{}\r\na=ice-pwd:{}\r\na=fingerprint:{fingerprint}\r\na=setup:active\r\na=mid:{mid}\r\n\
             a=sctp-port:5000\r\na=max-message-size:262144\r\n",
            ours.ufrag,
            ours.pwd,
            mid = attribute(&sdp, "mid"),
        );
        let answer = Description { kind: sdp::Kind::Answer, sdp: answer, offer: None };
        self.native.handle_signal(Signal::Description(answer), now).unwrap();
        match self.way {
            Way::Plain => {}
            Way::Embedded => {
                self.begin();
                let hello = self.transport.poll_transmit().unwrap().bytes;
                self.agent.embed(DTLS_IN_STUN, Some(&hello)).unwrap();
            }
            Way::Junk(junk) => {
                self.begin();
                let _ = self.transport.poll_transmit();
                self.agent.embed(DTLS_IN_STUN, Some(junk)).unwrap();
            }
        }
    }

    fn begin(&mut self) {
        if let Some(remote) = self.remote.take() {
            self.transport.start(remote, None, self.now);
        }
    }

    fn put(&mut self, to_native: bool, bytes: Vec<u8>) {
        self.order += 1;
        self.wire.insert((self.now + DELAY, self.order), (to_native, bytes));
    }

    fn flush(&mut self) {
        while let Some(sent) = self.native.poll_transmit() {
            let size = sent.segment_size.unwrap_or(sent.bytes.len());
            sent.bytes.chunks(size).for_each(|datagram| self.put(false, datagram.to_vec()));
        }
        while let Some(event) = self.native.poll_event() {
            self.events.push(event);
        }
        while let Some(sent) = self.agent.poll_transmit() {
            self.put(true, sent.bytes);
        }
        while self.agent.poll_event().is_some() {}
        let is_writable = self.agent.selected().is_some();
        if is_writable {
            self.begin();
        }
        while let Some(sent) = self.transport.poll_transmit() {
            let size = sent.segment_size.unwrap_or(sent.bytes.len());
            self.parked.extend(sent.bytes.chunks(size).map(<[u8]>::to_vec));
        }
        if is_writable {
            for datagram in std::mem::take(&mut self.parked) {
                self.put(true, datagram);
            }
        }
        while let Some(event) = self.transport.poll_event() {
            self.is_connected |= event == Secured::Connected;
        }
    }

    fn run(&mut self) -> Duration {
        let (ours, theirs): (SocketAddr, SocketAddr) = (OURS.parse().unwrap(), THEIRS.parse().unwrap());
        loop {
            self.flush();
            let is_open = self.events.iter().any(|event| matches!(event, Event::ChannelOpen { .. }));
            if is_open && self.is_connected {
                return self.now - self.start;
            }
            let timers =
                [self.native.poll_timeout(), self.agent.poll_timeout(), self.transport.poll_timeout()];
            let arrival = self.wire.keys().next().map(|(at, _)| *at);
            self.now =
                self.now.max(timers.into_iter().flatten().chain(arrival).min().expect("something is due"));
            assert!(self.now - self.start < Duration::from_secs(10), "{:?}", self.events);
            let later = self.wire.split_off(&(self.now, u64::MAX));
            for (to_native, bytes) in std::mem::replace(&mut self.wire, later).into_values() {
                if to_native {
                    let _ = self.native.handle_datagram(self.socket, theirs, &bytes, self.now);
                } else if bytes[0] < 20 {
                    let _ = self.agent.handle_packet(SocketId(7), ours, &bytes, self.now);
                } else {
                    let _ = self.transport.handle_datagram(&bytes, self.now);
                }
            }
            self.native.handle_timeout(self.now);
            self.agent.handle_timeout(self.now);
            self.transport.handle_timeout(self.now);
        }
    }
}

#[test]
fn a_hello_in_the_checks_makes_the_link_no_slower() {
    let plain = Two::new(Way::Plain).run();
    let embedded = Two::new(Way::Embedded).run();
    assert!(embedded <= plain, "{embedded:?} with DTLS in STUN, {plain:?} without");
}

#[test]
fn what_is_no_dtls_in_a_check_is_counted_and_passed_over() {
    let mut two = Two::new(Way::Junk(b"no DTLS at all"));
    two.run();
    let discards = two.native.stats().discards;
    assert!(discards[&Discard::UnknownProtocol] > 0, "{discards:?}");
    // Empty says that the other side could: nothing to count.
    let mut two = Two::new(Way::Junk(b""));
    two.run();
    assert_eq!(two.native.stats().discards.get(&Discard::UnknownProtocol), None);
}
