//! A TURN client, and a server whose every answer the fuzzer writes: rightly signed, wrongly, or not at all. What the client sends,
//! believes and passes on is judged after each step.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use twocan_stun::attribute::{
    AlternateServer, ChannelNumber, Data, ErrorReply, Lifetime, Nonce, Realm, XorMappedAddress,
    XorPeerAddress, XorRelayedAddress,
};
use twocan_stun::{Builder, Class, ErrorCode, IntegrityKey, Message, Method, TransactionId};
use twocan_turn::client::{Client, Config, Event};
use twocan_turn::{Family, Transport, wire};

use crate::input::Input;

/// Steps of one story; the rest of the bytes is ignored.
const STEPS_MAX: usize = 200;
/// How long a story may last: a day.
const TIME_MAX: Duration = Duration::from_secs(24 * 3_600);
/// What one input may make a client send: all permissions and channels asked for again.
const SENT_PER_STEP_MAX: usize = 1_024;
const PEERS: [&str; 6] =
    ["192.0.2.1:1", "192.0.2.1:2", "192.0.2.2:1", "192.0.2.3:0", "[2001:db8::1]:1", "[2001:db8::2]:9"];
const NONCES: [&[u8]; 3] = [b"first", b"second", b"obMatJos2gAAAthird"];

struct World {
    client: Client,
    now: Instant,
    end: Instant,
    is_stream: bool,
    /// Requests that were sent, newest last.
    requests: Vec<Vec<u8>>,
    /// Whom the caller named.
    named: BTreeSet<SocketAddr>,
    /// Whether a success was delivered that the client may believe in.
    may_be_allocated: bool,
    /// Channels that the client may believe to be bound.
    bound: BTreeSet<u16>,
    is_over: bool,
}

/// Tells the story in these bytes. Panics where the client does what it must not.
pub fn run(bytes: &[u8]) {
    static START: OnceLock<Instant> = OnceLock::new();
    let now = *START.get_or_init(Instant::now);
    let mut input = Input::new(bytes);
    let Some(flags) = input.byte() else { return };
    let config = Config {
        transport: if flags & 1 == 0 { Transport::Udp } else { Transport::Tcp },
        family: if flags & 2 == 0 { Family::V4 } else { Family::V6 },
        hold: flags & 4 != 0,
        ..Config::new("ada", "lovelace")
    };
    let mut world = World {
        is_stream: config.transport.is_stream(),
        client: Client::new(config, [7; 32], now),
        now,
        end: now + TIME_MAX,
        requests: vec![],
        named: BTreeSet::new(),
        may_be_allocated: false,
        bound: BTreeSet::new(),
        is_over: false,
    };
    world.judge();
    for _ in 0..STEPS_MAX {
        if world.step(&mut input).is_none() {
            break;
        }
        world.judge();
    }
}

fn peer(input: &mut Input<'_>) -> Option<SocketAddr> {
    Some(input.pick(&PEERS)?.parse().expect("they are addresses"))
}

impl World {
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        match input.byte()? % 10 {
            0 => self.time(input)?,
            1 => self.send(input)?,
            2 => {
                let peer = peer(input)?;
                self.named.insert(peer);
                self.client.permit(&[peer.ip()], self.now);
            }
            3 => self.client.refresh(self.now),
            4 => self.client.proceed(self.now),
            5 => match input.byte()? % 16 {
                0 => self.client.close(self.now),
                n => self.client.set_credentials(
                    "ada",
                    if n & 1 == 0 { "lovelace" } else { "byron" },
                    self.now,
                ),
            },
            6 => self.data(input)?,
            7 => {
                let chunk = input.chunk()?.to_vec();
                self.deliver(&chunk);
            }
            _ => self.answer(input)?,
        }
        Some(())
    }

    fn time(&mut self, input: &mut Input<'_>) -> Option<()> {
        let wait = input.pick(&[1_u64, 100, 1_000, 30_000, 240_000])? * u64::from(input.byte()?);
        let then = Some(self.now + Duration::from_millis(wait)).filter(|then| *then <= self.end)?;
        let mut turns = 0;
        while let Some(due) = self.client.poll_timeout().filter(|due| *due <= then) {
            self.now = self.now.max(due);
            self.client.handle_timeout(self.now);
            self.judge();
            let next = self.client.poll_timeout();
            assert!(next.is_none_or(|next| next > self.now), "a timeout that does not pass");
            turns += 1;
            assert!(turns < 100_000, "too busy");
        }
        self.now = then;
        Some(())
    }

    fn send(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (peer, data) = (peer(input)?, input.chunk()?);
        let mut out = vec![0xEE];
        let sent = self.client.send(peer, data, &mut out, self.now);
        self.named.insert(peer);
        let packet = &out[1..];
        assert_eq!(out[0], 0xEE, "what was there stays");
        assert_eq!(sent.is_err(), packet.is_empty());
        if sent.is_ok() {
            assert!(self.client.relayed().is_some());
            self.judge_packet(packet);
        }
        Some(())
    }

    /// A Data indication or ChannelData.
    fn data(&mut self, input: &mut Input<'_>) -> Option<()> {
        let channel = input.byte()?;
        let data = input.chunk()?;
        if channel & 1 == 0 {
            let number = 0x4000 | u16::from(channel >> 1);
            let mut packet = number.to_be_bytes().to_vec();
            packet.extend_from_slice(&u16::try_from(data.len()).expect("a chunk is short").to_be_bytes());
            packet.extend_from_slice(data);
            self.deliver(&packet);
        } else {
            let peer = peer(input)?;
            let mut buffer = [0; 512];
            let id = TransactionId([channel; 12]);
            let mut builder =
                Builder::new(&mut buffer, Class::Indication, Method::DATA, id).expect("there is room");
            builder.add(&XorPeerAddress(peer)).expect("there is room");
            builder.add(&Data(data)).expect("there is room");
            let packet = builder.finish().to_vec();
            self.deliver(&packet);
        }
        Some(())
    }

    fn answer(&mut self, input: &mut Input<'_>) -> Option<()> {
        let back = usize::from(input.byte()? % 4);
        let index = self.requests.len().checked_sub(back + 1)?;
        let request = self.requests[index].clone();
        let request = Message::parse(&request).expect("it was judged");
        let flags = input.byte()?;
        let mut buffer = [0; 1_024];
        let class = if flags & 1 == 0 { Class::Success } else { Class::Error };
        let mut builder = Builder::new(&mut buffer, class, request.method(), request.transaction_id())
            .expect("there is room");
        let add = |builder: &mut Builder<'_>, input: &mut Input<'_>| {
            if class == Class::Error {
                let code =
                    input.pick(&[300_u16, 400, 401, 403, 420, 437, 438, 441, 442, 443, 486, 500, 508])?;
                let code = ErrorCode::new(code).expect("it is a code");
                builder.add(&ErrorReply::bare(code)).expect("there is room");
                builder.add(&Realm("twocan")).expect("there is room");
                builder.add(&Nonce(input.pick(&NONCES)?)).expect("there is room");
                builder.add(&AlternateServer(peer(input)?)).expect("there is room");
            } else {
                builder.add(&XorRelayedAddress(peer(input)?)).expect("there is room");
                builder.add(&XorMappedAddress(peer(input)?)).expect("there is room");
                builder.add(&Lifetime(u32::from(input.short()?))).expect("there is room");
            }
            Some(())
        };
        add(&mut builder, input)?;
        // The server's key, or that of somebody else.
        let password = input.pick(&["lovelace", "lovelace", "lovelace", "byron", "forger"])?;
        let key = IntegrityKey::long_term("ada", "twocan", password);
        let is_signed = flags & 2 == 0;
        let packet = if is_signed {
            builder.integrity(&key).expect("there is room").finish()
        } else {
            builder.finish()
        };
        let is_believable = match request.has_integrity() {
            true => is_signed && request.verify_integrity(&key).is_ok(),
            false => true,
        };
        if class == Class::Success && is_believable {
            self.may_be_allocated |= request.method() == Method::ALLOCATE;
            if let Ok(Some(ChannelNumber(number))) = request.get() {
                self.bound.insert(number);
            }
        }
        let packet = packet.to_vec();
        self.deliver(&packet);
        Some(())
    }

    fn deliver(&mut self, packet: &[u8]) {
        let was_allocated = self.client.relayed().is_some();
        if let Ok(Some(data)) = self.client.handle_packet(packet, self.now) {
            assert!(data.bytes.len() <= packet.len());
            let is_named = self.named.iter().any(|named| named.ip() == data.peer.ip());
            assert!(is_named, "data of a peer that was not asked for");
        }
        if !was_allocated && self.client.relayed().is_some() {
            assert!(self.may_be_allocated, "somebody forged an allocation");
        }
    }

    /// What the client wants sent, and says.
    fn judge(&mut self) {
        let mut sent = 0;
        while let Some(packet) = self.client.poll_transmit() {
            assert!(!self.is_over, "an ended client sends");
            self.judge_packet(&packet);
            let message = Message::parse(&packet).expect("polled packets are STUN");
            if message.class() == Class::Request {
                self.requests.push(packet);
            }
            sent += 1;
            assert!(sent <= SENT_PER_STEP_MAX, "too much at once");
        }
        while let Some(event) = self.client.poll_event() {
            assert!(!self.is_over, "an ended client speaks");
            match event {
                Event::Allocated { relayed, .. } | Event::Reallocated { relayed, .. } => {
                    assert_ne!(relayed.port(), 0);
                }
                // Channels go with their allocation.
                Event::Lost => self.bound.clear(),
                Event::AlternateServer(_) | Event::Failed(_) | Event::Closed => {
                    assert!(self.client.is_ended());
                    self.is_over = true;
                }
                Event::Challenged | Event::PeerRefused { .. } => {}
            }
        }
        if self.client.is_ended() {
            assert_eq!(self.client.poll_timeout(), None);
        }
        self.requests.drain(..self.requests.len().saturating_sub(64));
    }

    fn judge_packet(&self, packet: &[u8]) {
        let wire::Frame::Len(len) = wire::frame_len(packet) else { panic!("not a frame: {packet:?}") };
        if wire::is_channel_data(packet[0]) {
            let data = wire::ChannelData::parse(packet).expect("our ChannelData is whole");
            assert!(self.bound.contains(&data.channel.number()), "a channel that nobody bound");
            let expected = if self.is_stream { len } else { wire::CHANNEL_HEADER_LEN + data.data.len() };
            assert_eq!(packet.len(), expected);
            return;
        }
        assert_eq!(packet.len(), len);
        let message = Message::parse(packet).expect("our messages are whole");
        match message.class() {
            Class::Request => assert_ne!(message.method(), Method::BINDING),
            Class::Indication => {
                assert!([Method::SEND, Method::BINDING].contains(&message.method()));
                if let Ok(Some(XorPeerAddress(peer))) = message.get() {
                    assert!(self.named.contains(&peer) && peer.port() != 0);
                }
            }
            Class::Success | Class::Error => panic!("a client does not answer"),
        }
    }
}
