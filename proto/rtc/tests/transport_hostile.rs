//! Those who mean harm: strangers who inject packets into a handshake or a connection, and a peer that completes the
//! handshake and then misbehaves. Nothing stops, nothing grows, and what is refused is counted by name.

#![allow(clippy::unwrap_used, reason = "a test")]

mod transport;

use std::time::{Duration, Instant};

use transport::{Pair, Path, seed};
use twocan_rtc::transport::{
    Certificate, ChannelInit, CloseReason, Config, Discard, DtlsRole, DtlsVersions, Event, Payload,
    Protected, limits,
};

/// The datagrams that a stranger's handshakes consist of.
fn strangers(versions: DtlsVersions) -> Vec<Vec<u8>> {
    let mut datagrams = Vec::new();
    for number in 100..105 {
        let mut pair = Pair::new(Path::perfect(20), number, [versions; 2]);
        pair.records = true;
        pair.start();
        pair.run_until("connected", |pair| pair.is_connected(0) && pair.is_connected(1));
        datagrams.extend(pair.sent.into_iter().map(|(_, datagram)| datagram));
    }
    datagrams
}

fn inject(pair: &mut Pair, datagrams: &[Vec<u8>], count: usize) {
    for index in 0..count {
        let datagram = &datagrams[index * 7 % datagrams.len()];
        let at = pair.now + Duration::from_micros(30 * index as u64);
        pair.deliver_at(index % 2, datagram, at);
    }
}

#[test]
fn ten_thousand_client_hellos_disturb_neither_a_handshake_nor_a_connection() {
    for versions in [DtlsVersions::Any, DtlsVersions::Only12] {
        let hellos: Vec<Vec<u8>> = strangers(versions)
            .into_iter()
            .filter(|datagram| datagram[0] == 22 && datagram[13] == 1)
            .collect();
        assert!(!hellos.is_empty());
        let mut pair = Pair::new(Path::perfect(50), 1, [versions; 2]);
        let channels = [0, 1]
            .map(|end| pair.ends[end].open(ChannelInit::new("agreed").negotiated(0), pair.now).unwrap());
        pair.start();
        // The first flight goes first: whose ClientHello comes first decides, as a stranger's certificate does not match.
        pair.flush();
        pair.run_for(Duration::from_millis(25));
        inject(&mut pair, &hellos, 10_000);
        pair.run_until("connected", |pair| {
            assert_eq!((pair.closed(0), pair.closed(1)), (None, None));
            pair.is_connected(0) && pair.is_connected(1)
        });
        inject(&mut pair, &hellos, 10_000);
        for (end, channel) in channels.into_iter().enumerate() {
            pair.ends[end].send(channel, Payload::Text, "hello".into(), pair.now).unwrap();
        }
        pair.run_until("messages", |pair| !pair.messages(0).is_empty() && !pair.messages(1).is_empty());
        pair.run_for(Duration::from_secs(5));
        assert_eq!((pair.closed(0), pair.closed(1)), (None, None));
    }
}

#[test]
fn a_stranger_that_comes_first_delays_a_handshake_and_does_not_end_it() {
    let hellos: Vec<Vec<u8>> = strangers(DtlsVersions::Any)
        .into_iter()
        .filter(|datagram| datagram[0] != 22 || datagram[13] != 1)
        .collect();
    let mut pair = Pair::started(Path::perfect(50), 2);
    inject(&mut pair, &hellos, 1_000);
    pair.run_until("connected", |pair| {
        assert_eq!((pair.closed(0), pair.closed(1)), (None, None));
        pair.is_connected(0) && pair.is_connected(1)
    });
}

#[test]
fn records_of_strangers_and_garbage_do_not_disturb_a_connection() {
    for versions in [DtlsVersions::Any, DtlsVersions::Only12] {
        let mut datagrams = strangers(versions);
        for first in 0..=255 {
            datagrams.extend([vec![first], vec![first; 100], vec![first; 2_000]]);
        }
        let mut pair = Pair::new(Path::perfect(50), 3, [versions; 2]);
        let channel = pair.ends[0].open(ChannelInit::new("agreed").negotiated(0), pair.now).unwrap();
        pair.ends[1].open(ChannelInit::new("agreed").negotiated(0), pair.now).unwrap();
        pair.start();
        pair.run_until("connected", |pair| pair.is_connected(0) && pair.is_connected(1));
        inject(&mut pair, &datagrams, 10_000);
        pair.run_for(Duration::from_secs(1));
        pair.ends[0].send(channel, Payload::Text, "hello".into(), pair.now).unwrap();
        pair.run_until("message", |pair| {
            assert_eq!((pair.closed(0), pair.closed(1)), (None, None));
            !pair.messages(1).is_empty()
        });
        assert!(pair.discards[0].contains(&Discard::NotDtls));
    }
}

/// A peer that writes its packets by hand, and the one that suffers it, which is the DTLS server.
struct Attack {
    victim: Protected,
    now: Instant,
    tag: u32,
    tsn: u32,
    answers: Vec<Vec<u8>>,
}

fn chunk(kind: u8, flags: u8, value: &[u8]) -> Vec<u8> {
    let mut bytes = vec![kind, flags];
    bytes.extend_from_slice(&(value.len() as u16 + 4).to_be_bytes());
    bytes.extend_from_slice(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

const BEGIN: u8 = 2;
const END: u8 = 1;
const INIT: u8 = 1;
const SACK: u8 = 3;
const HEARTBEAT: u8 = 4;
const ABORT: u8 = 6;
const COOKIE_ECHO: u8 = 10;
const RE_CONFIG: u8 = 130;
const FORWARD_TSN: u8 = 192;
const DCEP: u32 = 50;
const BINARY: u32 = 53;

impl Attack {
    fn new() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the beginning of arithmetic time")]
        let now = Instant::now();
        let mut victim = Protected::new(&Config::new(Certificate::generate()), seed(1));
        victim.start(DtlsRole::Server, 5_000, 0, None, now);
        victim.associate(None, now);
        let mut attack = Self { victim, now, tag: 0, tsn: 1, answers: Vec::new() };
        attack.packet(&[attack.init()]).unwrap();
        let answer = attack.answers.pop().expect("INIT ACK");
        attack.tag = u32::from_be_bytes(answer[16..20].try_into().unwrap());
        let cookie = &answer[36..52];
        attack.packet(&[chunk(COOKIE_ECHO, 0, cookie)]).unwrap();
        assert_eq!(attack.victim.poll_event(), Some(Event::Connected));
        attack
    }

    fn init(&self) -> Vec<u8> {
        let mut value = Vec::new();
        value.extend_from_slice(&7_u32.to_be_bytes());
        value.extend_from_slice(&1_000_000_u32.to_be_bytes());
        value.extend_from_slice(&[255, 255, 255, 255, 0, 0, 0, 1]);
        value.extend_from_slice(&[0xc0, 0, 0, 4, 0x80, 8, 0, 6, RE_CONFIG, 192]);
        chunk(INIT, 0, &value)
    }

    /// Checksum zero, as is allowed.
    fn packet(&mut self, chunks: &[Vec<u8>]) -> Result<(), Discard> {
        let mut packet = vec![19, 136, 19, 136];
        let tag = if chunks[0][0] == INIT { 0 } else { self.tag };
        packet.extend_from_slice(&tag.to_be_bytes());
        packet.extend_from_slice(&[0; 4]);
        chunks.iter().for_each(|chunk| packet.extend_from_slice(chunk));
        let result = self.victim.handle_packet(&packet, self.now);
        self.poll();
        result
    }

    fn poll(&mut self) {
        let mut packet = Vec::new();
        while self.victim.poll_transmit(&mut packet, self.now) {
            self.answers.push(packet.clone());
        }
    }

    fn data(&mut self, flags: u8, stream: u16, ssn: u16, ppid: u32, payload: &[u8]) -> Result<(), Discard> {
        let tsn = self.tsn;
        self.tsn = tsn.wrapping_add(1);
        self.data_at(tsn, flags, stream, ssn, ppid, payload)
    }

    fn data_at(
        &mut self,
        tsn: u32,
        flags: u8,
        stream: u16,
        ssn: u16,
        ppid: u32,
        payload: &[u8],
    ) -> Result<(), Discard> {
        let mut value = tsn.to_be_bytes().to_vec();
        value.extend_from_slice(&stream.to_be_bytes());
        value.extend_from_slice(&ssn.to_be_bytes());
        value.extend_from_slice(&ppid.to_be_bytes());
        value.extend_from_slice(payload);
        self.packet(&[chunk(0, flags, &value)])
    }

    fn open(&mut self, stream: u16, label: &str) -> Result<(), Discard> {
        self.open_as(stream, 0, label)
    }

    fn open_as(&mut self, stream: u16, ssn: u16, label: &str) -> Result<(), Discard> {
        let mut open = vec![3, 0, 0, 0, 0, 0, 0, 0];
        open.extend_from_slice(&(label.len() as u16).to_be_bytes());
        open.extend_from_slice(&[0, 0]);
        open.extend_from_slice(label.as_bytes());
        self.data(BEGIN | END, stream, ssn, DCEP, &open)
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.victim.poll_event()).collect()
    }

    /// Gives up all that was numbered so far, and on stream 0 the messages up to `ssn`.
    fn skip(&mut self, ssn: u16) {
        let mut value = self.tsn.wrapping_sub(1).to_be_bytes().to_vec();
        value.extend_from_slice(&[0, 0]);
        value.extend_from_slice(&ssn.to_be_bytes());
        self.packet(&[chunk(FORWARD_TSN, 0, &value)]).unwrap();
    }

    /// A message of one byte on stream 0, or its loss.
    fn message(&mut self, ssn: u16, byte: u8) {
        self.data(BEGIN | END, 0, ssn, BINARY, &[byte]).unwrap();
    }

    fn lose(&mut self) {
        self.tsn = self.tsn.wrapping_add(1);
    }

    /// The first bytes of what was delivered since.
    fn delivered(&mut self) -> Vec<u8> {
        let bytes = |event| if let Event::Message { bytes, .. } = event { Some(bytes[0]) } else { None };
        self.events().into_iter().filter_map(bytes).collect()
    }
}

#[test]
fn channels_on_streams_that_are_not_free_are_refused() {
    let mut attack = Attack::new();
    assert_eq!(attack.open(0, "even is the client's"), Ok(()));
    assert_eq!(attack.open_as(0, 1, "again"), Err(Discard::StreamTaken));
    // Odd ones are ours to choose, but some stacks do not know their role in time.
    assert_eq!(attack.open(1, "odd is the server's"), Ok(()));
    assert_eq!(attack.open_as(1, 1, "and again"), Err(Discard::StreamTaken));
    assert_eq!(attack.open(u16::MAX, "no stream at all"), Err(Discard::StreamTaken));
    assert_eq!(attack.open(2, &"x".repeat(limits::LABEL_LEN_MAX + 1)), Err(Discard::ChannelRefused));
    assert_eq!(attack.events().len(), 2);
}

#[test]
fn a_flood_of_channels_stops_at_the_limit() {
    let mut attack = Attack::new();
    let results: Vec<_> = (0..10_000).map(|index| attack.open(index * 2, "x")).collect();
    assert_eq!(results.iter().filter(|result| result.is_ok()).count(), limits::CHANNELS_MAX);
    assert!(results[limits::CHANNELS_MAX..].iter().all(|result| *result == Err(Discard::ChannelRefused)));
    assert_eq!(attack.events().len(), limits::CHANNELS_MAX);
}

#[test]
fn messages_on_no_channel_are_dropped_and_counted() {
    let mut attack = Attack::new();
    assert_eq!(attack.data(BEGIN | END, 9, 0, BINARY, b"x"), Err(Discard::NoChannel));
    assert_eq!(attack.data(BEGIN | END, 9, 1, DCEP, b"x"), Err(Discard::NotAMessage));
    assert_eq!(attack.data(BEGIN | END, 9, 2, DCEP, &[2]), Err(Discard::NoChannel));
    attack.open(0, "x").unwrap();
    assert_eq!(attack.data(BEGIN | END, 0, 1, 99, b"x"), Err(Discard::NotAMessage));
    assert_eq!(attack.data(BEGIN | END, 0, 2, 51, &[0xff]), Err(Discard::NotAMessage));
}

#[test]
fn a_message_without_end_ends_the_association() {
    let mut attack = Attack::new();
    attack.open(0, "x").unwrap();
    let piece = [0; 1_024];
    let mut sent = 0;
    let mut flags = BEGIN;
    while attack.victim.ended().is_none() {
        let _ = attack.data(flags, 0, 1, BINARY, &piece);
        flags = 0;
        sent += piece.len();
        assert!(sent <= limits::MESSAGE_LEN_MAX + piece.len());
    }
    assert_eq!(attack.victim.ended(), Some(CloseReason::ProtocolViolation));
}

#[test]
fn beginnings_without_ends_fill_the_window_and_no_more() {
    let mut attack = Attack::new();
    let piece = [0; 1_024];
    let mut taken = 0;
    for index in 0..100_000_u32 {
        let tsn = 2 + index;
        match attack.data_at(tsn, BEGIN, (index % 30_000) as u16, 0, BINARY, &piece) {
            Ok(()) => taken += piece.len(),
            Err(discard) => assert_eq!(discard, Discard::BeyondWindow),
        }
    }
    assert!((limits::RECEIVE_WINDOW / 2..=limits::RECEIVE_WINDOW).contains(&taken), "{taken}");
    assert_eq!(attack.victim.ended(), None);
}

#[test]
fn numbers_with_gaps_are_kept_up_to_a_limit() {
    let mut attack = Attack::new();
    let taken =
        (0..20_000).filter(|index| attack.data_at(3 + 2 * index, BEGIN | END, 0, 9, BINARY, b"x").is_ok());
    let taken = taken.count();
    assert_eq!(taken, limits::GAPS_MAX);
    let far = attack.data_at(2 + limits::TSN_AHEAD_MAX as u32, BEGIN | END, 0, 9, BINARY, b"x");
    assert_eq!(far, Err(Discard::BeyondWindow));
    assert!(attack.answers.iter().all(|packet| packet.len() <= limits::MTU));
}

#[test]
fn pieces_that_do_not_fit_together_end_the_association() {
    let mut attack = Attack::new();
    attack.data(BEGIN, 0, 0, BINARY, b"a").unwrap();
    let _ = attack.data(END, 2, 0, BINARY, b"b");
    assert_eq!(attack.victim.ended(), Some(CloseReason::ProtocolViolation));
}

#[test]
fn what_is_whole_among_the_skipped_arrives_and_what_follows_goes_on() {
    let mut attack = Attack::new();
    attack.open(0, "x").unwrap();
    attack.lose();
    attack.message(2, 2);
    attack.message(3, 3);
    attack.message(20, 20);
    assert_eq!(attack.delivered(), []);
    // The skip knows less than has arrived: 3 was not acknowledged yet.
    attack.skip(2);
    assert_eq!(attack.delivered(), [2, 3]);
    attack.message(4, 4);
    assert_eq!(attack.delivered(), [4], "20 waits for its turn");
    attack.lose();
    attack.skip(19);
    assert_eq!(attack.delivered(), [20]);
}

#[test]
fn skips_go_on_where_message_numbers_wrap() {
    let mut attack = Attack::new();
    attack.open(0, "x").unwrap();
    for ssn in [32_000, 64_000, 65_533] {
        attack.lose();
        attack.skip(ssn);
    }
    attack.lose();
    attack.message(u16::MAX, 1);
    attack.lose();
    attack.message(1, 2);
    attack.message(3, 9);
    attack.skip(1);
    assert_eq!(attack.delivered(), [1, 2]);
    attack.message(2, 3);
    assert_eq!(attack.delivered(), [3, 9]);
}

#[test]
fn beginnings_in_the_old_way_fill_the_window_and_no_more() {
    const PARTIAL: u32 = 52;
    let mut attack = Attack::new();
    let piece = [7; 1_024];
    let mut taken = 0;
    'channels: for stream in 0..40 {
        attack.open(2 * stream, "x").unwrap();
        for ssn in 1..=240 {
            match attack.data(BEGIN | END, 2 * stream, ssn, PARTIAL, &piece) {
                Ok(()) => taken += piece.len(),
                Err(why) => {
                    assert_eq!(why, Discard::BeyondWindow);
                    break 'channels;
                }
            }
        }
    }
    assert!((limits::RECEIVE_WINDOW / 2..=limits::RECEIVE_WINDOW).contains(&taken), "{taken} bytes");
    // What is longer than a message may be is dropped whole, and the next one is as good as any.
    let mut attack = Attack::new();
    attack.open(0, "x").unwrap();
    let results: Vec<_> = (1..=257).map(|ssn| attack.data(BEGIN | END, 0, ssn, PARTIAL, &piece)).collect();
    assert_eq!(results.iter().position(Result::is_err), Some(256));
    attack.message(258, 8);
    assert_eq!(attack.delivered(), [8]);
}

#[test]
fn acknowledgements_of_what_was_never_sent_do_nothing() {
    let mut attack = Attack::new();
    for cumulative in [0_u32, 1, 0x7fff_ffff, 0x8000_0000, 0xffff_ffff] {
        let mut value = cumulative.to_be_bytes().to_vec();
        value.extend_from_slice(&[0, 15, 0, 0, 0, 1, 0, 0, 0, 1, 255, 255]);
        let _ = attack.packet(&[chunk(SACK, 0, &value)]);
    }
    assert_eq!(attack.victim.ended(), None);
}

#[test]
fn floods_of_requests_are_answered_within_bounds() {
    let mut attack = Attack::new();
    for sequence in 0..10_000_u32 {
        let mut parameter = vec![0, 13, 0, 18];
        parameter.extend_from_slice(&(1 + sequence).to_be_bytes());
        parameter.extend_from_slice(&[0; 8]);
        parameter.extend_from_slice(&[0, 4]);
        let init = attack.init();
        let _ = attack.packet(&[chunk(RE_CONFIG, 0, &parameter)]);
        let _ = attack.packet(&[chunk(HEARTBEAT, 0, &[0; 600])]);
        let _ = attack.packet(&[init]);
    }
    assert!(attack.answers.len() <= 30_010, "{}", attack.answers.len());
    assert!(attack.answers.iter().all(|packet| packet.len() <= limits::MTU));
    // Without anybody who polls, nothing piles up.
    let mut packet = vec![19, 136, 19, 136];
    packet.extend_from_slice(&attack.tag.to_be_bytes());
    packet.extend_from_slice(&[0; 4]);
    packet.extend_from_slice(&chunk(HEARTBEAT, 0, &[0; 600]));
    for _ in 0..10_000 {
        let _ = attack.victim.handle_packet(&packet, attack.now);
    }
    attack.answers.clear();
    attack.poll();
    assert_eq!(attack.answers.len(), 1);
}

#[test]
fn an_abort_says_who_wanted_it() {
    for (cause, why) in [(&[0, 12, 0, 4][..], CloseReason::PeerClosed), (&[], CloseReason::Aborted)] {
        let mut attack = Attack::new();
        attack.packet(&[chunk(ABORT, 0, cause)]).unwrap();
        assert_eq!(attack.victim.ended(), Some(why));
    }
}

#[test]
fn packets_of_another_association_do_nothing() {
    let mut attack = Attack::new();
    attack.tag ^= 1;
    assert_eq!(attack.packet(&[chunk(ABORT, 0, &[])]), Err(Discard::Foreign));
    assert_eq!(attack.victim.ended(), None);
    assert_eq!(attack.victim.handle_packet(&[], attack.now), Err(Discard::Malformed));
    assert_eq!(attack.victim.handle_packet(&[0xff; 40], attack.now), Err(Discard::Malformed));
}
