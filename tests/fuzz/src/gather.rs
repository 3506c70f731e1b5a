//! A gatherer among servers that say what the fuzzer likes, by datagrams and streams, while sockets come and go. What it sends, asks
//! for and says is judged after each step.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use twocan_ice::SocketId;
use twocan_rtc::gather::{
    Command, Config, Event, Gatherer, IceServer, IceUrl, Input as Taken, QueryId, TransportPolicy, limits,
};
use twocan_stun::attribute::{
    AlternateServer, ErrorReply, Lifetime, Nonce, Realm, XorMappedAddress, XorRelayedAddress,
};
use twocan_stun::{Builder, Class, ErrorCode, IntegrityKey, Message, Method};

use crate::input::Input;

/// Steps of one story; the rest of the bytes is ignored.
const STEPS_MAX: usize = 200;
/// How long a story may last: two hours.
const TIME_MAX: Duration = Duration::from_secs(2 * 3_600);
const LOCALS: [&str; 4] = ["10.0.0.2:1", "10.0.0.3:1", "[fd00::2]:1", "0.0.0.0:1"];
const ADDRESSES: [&str; 6] =
    ["192.0.2.5:3478", "192.0.2.6:3478", "[2001:db8::5]:3478", "127.0.0.1:1", "198.51.100.7:9", "0.0.0.0:0"];
const URLS: [&str; 6] = [
    "stun:192.0.2.5",
    "turn:192.0.2.5",
    "turn:192.0.2.5?transport=tcp",
    "turns:name.example:443",
    "turn:name.example",
    "turn:[2001:db8::5]",
];

struct World {
    gatherer: Gatherer,
    now: Instant,
    end: Instant,
    sockets: BTreeMap<SocketId, SocketAddr>,
    /// Streams that were asked for and not closed.
    streams: BTreeMap<SocketId, SocketAddr>,
    queries: Vec<QueryId>,
    relays: BTreeSet<SocketId>,
    /// Every id that was ever given to a stream or a relay.
    ids: BTreeSet<SocketId>,
    sent: Vec<(SocketId, SocketAddr, Vec<u8>)>,
    is_closed: bool,
}

/// Tells the story in these bytes. Panics where the gatherer does what it must not.
pub fn run(bytes: &[u8]) {
    static START: OnceLock<Instant> = OnceLock::new();
    let now = *START.get_or_init(Instant::now);
    let mut input = Input::new(bytes);
    let Some(flags) = input.byte() else { return };
    let config = Config {
        servers: servers(flags),
        policy: if flags & 64 == 0 { TransportPolicy::All } else { TransportPolicy::Relay },
        hide_host_addresses: flags & 128 != 0,
    };
    let mut world = World {
        gatherer: Gatherer::new(config, [7; 32], now),
        now,
        end: now + TIME_MAX,
        sockets: BTreeMap::new(),
        streams: BTreeMap::new(),
        queries: vec![],
        relays: BTreeSet::new(),
        ids: BTreeSet::new(),
        sent: vec![],
        is_closed: false,
    };
    world.judge();
    for _ in 0..STEPS_MAX {
        if world.step(&mut input).is_none() {
            break;
        }
        world.judge();
    }
}

/// One server for each bit.
fn servers(bits: u8) -> Vec<IceServer> {
    let chosen = URLS.iter().enumerate().filter(|(index, _)| bits >> index & 1 == 1);
    let url = |(_, text): (usize, &&str)| IceServer {
        urls: vec![IceUrl::parse(text).expect("it is a URL")],
        username: "ada".into(),
        credential: "lovelace".into(),
    };
    chosen.map(url).collect()
}

fn address(input: &mut Input<'_>) -> Option<SocketAddr> {
    Some(input.pick(&ADDRESSES)?.parse().expect("they are addresses"))
}

impl World {
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let now = self.now;
        match input.byte()? % 14 {
            0 => self.time(input)?,
            1 => {
                let id = SocketId(u32::from(input.byte()? % 8));
                let local: SocketAddr = input.pick(&LOCALS)?.parse().expect("they are addresses");
                if self.sockets.len() < limits::SOCKETS_MAX && !self.sockets.contains_key(&id) {
                    self.sockets.insert(id, local);
                    self.gatherer.add_socket(id, local, now);
                }
            }
            2 => {
                let id = SocketId(u32::from(input.byte()? % 8));
                self.sockets.remove(&id);
                self.gatherer.remove_socket(id, now);
            }
            3 => self.gatherer.end_of_sockets(now),
            4 => {
                let addresses = [address(input)?.ip(), address(input)?.ip()];
                let count = usize::from(input.byte()? % 3);
                let query = self.queries.pop()?;
                self.gatherer.handle_resolved(query, &addresses[..count], now);
            }
            5 => match input.byte()? % 8 {
                0 => self.gatherer.close(now),
                1 => self.gatherer.restart(now),
                n => self.gatherer.set_active(n & 1 == 0, now),
            },
            6 => self.gatherer.set_servers(servers(input.byte()?), now),
            7 => self.gatherer.permit(&[address(input)?.ip()], now),
            8 => {
                let (to, data) = (address(input)?, input.chunk()?);
                let relay = self.relays.first().copied().unwrap_or(Gatherer::FIRST_OWN_SOCKET);
                let size = Some(usize::from(input.byte()?)).filter(|size| *size > 0);
                let _ = self.gatherer.send_relayed(relay, to, data, size, now);
            }
            9 => {
                let stream = self.stream(input)?;
                self.gatherer.handle_stream_open(stream, now);
            }
            10 => {
                let stream = self.stream(input)?;
                self.streams.remove(&stream);
                self.gatherer.handle_stream_closed(stream, now);
            }
            11 => {
                let bytes = input.chunk()?.to_vec();
                let back = usize::from(input.byte()? % 4);
                let (socket, from, _) = self.sent.get(self.sent.len().checked_sub(back + 1)?)?.clone();
                self.deliver(socket, from, &bytes);
            }
            _ => self.answer(input)?,
        }
        Some(())
    }

    fn stream(&self, input: &mut Input<'_>) -> Option<SocketId> {
        let index = usize::from(input.byte()?) % self.streams.len().max(1);
        self.streams.keys().nth(index).copied()
    }

    fn time(&mut self, input: &mut Input<'_>) -> Option<()> {
        let wait = input.pick(&[1_u64, 100, 1_000, 30_000])? * u64::from(input.byte()?);
        let then = Some(self.now + Duration::from_millis(wait)).filter(|then| *then <= self.end)?;
        let mut turns = 0;
        while let Some(due) = self.gatherer.poll_timeout().filter(|due| *due <= then) {
            self.now = self.now.max(due);
            self.gatherer.handle_timeout(self.now);
            self.judge();
            let next = self.gatherer.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timeout that does not pass");
            turns += 1;
            assert!(turns < 100_000, "too busy");
        }
        self.now = then;
        Some(())
    }

    /// An answer to one of the last requests, signed by the server or not.
    fn answer(&mut self, input: &mut Input<'_>) -> Option<()> {
        let back = usize::from(input.byte()? % 8);
        let (socket, from, request) = self.sent.get(self.sent.len().checked_sub(back + 1)?)?.clone();
        let request = Message::parse(&request).ok()?;
        let flags = input.byte()?;
        let mut buffer = [0; 1_024];
        let class = if flags & 1 == 0 { Class::Success } else { Class::Error };
        let mut builder = Builder::new(&mut buffer, class, request.method(), request.transaction_id())
            .expect("there is room");
        if class == Class::Error {
            let code = input.pick(&[401_u16, 300, 403, 437, 438, 441, 486, 508])?;
            let code = ErrorCode::new(code).expect("it is a code");
            builder.add(&ErrorReply::bare(code)).expect("there is room");
            builder.add(&Realm("twocan")).expect("there is room");
            builder.add(&Nonce(&[flags])).expect("there is room");
            builder.add(&AlternateServer(address(input)?)).expect("there is room");
        } else {
            builder.add(&XorMappedAddress(address(input)?)).expect("there is room");
            if request.method() == Method::ALLOCATE {
                builder.add(&XorRelayedAddress(address(input)?)).expect("there is room");
            }
            builder.add(&Lifetime(u32::from(input.byte()?) * 8)).expect("there is room");
        }
        let key = IntegrityKey::long_term("ada", "twocan", "lovelace");
        let packet = if flags & 2 == 0 {
            builder.integrity(&key).expect("there is room").finish()
        } else {
            builder.finish()
        };
        let packet = packet.to_vec();
        self.deliver(socket, from, &packet);
        Some(())
    }

    fn deliver(&mut self, socket: SocketId, from: SocketAddr, bytes: &[u8]) {
        if self.streams.contains_key(&socket) {
            self.gatherer.handle_stream(socket, bytes, self.now);
        } else if let Ok(Taken::Data { socket, .. }) =
            self.gatherer.handle_packet(socket, from, bytes, self.now)
        {
            assert!(self.relays.contains(&socket), "data through what is no relay");
        }
    }

    fn judge(&mut self) {
        while let Some(command) = self.gatherer.poll_command() {
            match command {
                Command::Resolve { query, .. } => self.queries.push(query),
                Command::OpenStream { socket, to, .. } => {
                    assert!(self.ids.insert(socket), "an id given twice");
                    self.streams.insert(socket, to);
                }
                Command::CloseStream(socket) => {
                    assert!(self.streams.remove(&socket).is_some(), "a stream closed that is not open");
                }
                Command::Announce { name, .. } => assert!(name.ends_with(".local")),
            }
        }
        while let Some(sent) = self.gatherer.poll_transmit() {
            match (self.sockets.get(&sent.socket), self.streams.get(&sent.socket)) {
                (Some(local), _) => assert_eq!(local.is_ipv4(), sent.to.is_ipv4()),
                (None, Some(to)) => assert_eq!(sent.to, *to),
                // What was sent by a socket that went in the same step.
                (None, None) => continue,
            }
            self.sent.push((sent.socket, sent.to, sent.bytes));
        }
        self.sent.drain(..self.sent.len().saturating_sub(32));
        while let Some(event) = self.gatherer.poll_event() {
            assert!(!self.is_closed, "a closed gatherer speaks");
            match event {
                Event::Candidate(gathered) if gathered.local.socket >= Gatherer::FIRST_OWN_SOCKET => {
                    assert!(self.ids.insert(gathered.local.socket), "an id given twice");
                    self.relays.insert(gathered.local.socket);
                }
                Event::SocketLost(socket) => assert!(self.relays.remove(&socket), "lost what was not there"),
                Event::Closed => self.is_closed = true,
                Event::Candidate(_) | Event::CandidateError(_) | Event::Done => {}
            }
        }
        for relay in &self.relays {
            assert!(self.gatherer.is_relay(*relay));
        }
        assert!(self.relays.len() <= limits::RELAYS_MAX);
        let candidates = self.gatherer.candidates().count();
        assert!(candidates <= limits::SOCKETS_MAX * (1 + limits::REFLEXIVE_MAX) + limits::RELAYS_MAX);
    }
}
