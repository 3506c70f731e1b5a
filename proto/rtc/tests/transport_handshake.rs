//! DTLS and SCTP come up: over every path, in both versions, with the peer that was signaled and no other.

#![allow(clippy::unwrap_used, reason = "a test")]

mod transport;

use std::time::Duration;

use bytes::Bytes;
use transport::{Pair, Path, certificates, remote};
use twocan_rtc::transport::{
    ChannelInit, CloseReason, Config, DtlsRole, DtlsVersions, Event, Fingerprint, Payload, Protected, limits,
};

const ANY: DtlsVersions = DtlsVersions::Any;
const ONLY_12: DtlsVersions = DtlsVersions::Only12;
const ONLY_13: DtlsVersions = DtlsVersions::Only13;

fn with_messages(path: Path, seed: u64, versions: [DtlsVersions; 2]) -> Pair {
    let mut pair = Pair::new(path, seed, versions);
    for end in 0..2 {
        let channel = pair.ends[end].open(ChannelInit::new("agreed").negotiated(0), pair.now).unwrap();
        pair.ends[end].send(channel, Payload::Text, Bytes::from_static(b"hello"), pair.now).unwrap();
    }
    pair.start();
    pair
}

#[test]
fn the_first_message_arrives_after_two_and_a_half_round_trips() {
    let mut pair = with_messages(Path::perfect(50), 1, [ANY; 2]);
    pair.run_until("messages", |pair| !pair.messages(0).is_empty() && !pair.messages(1).is_empty());
    assert_eq!(pair.messages(1)[0].0, Duration::from_millis(125));
    assert!(pair.messages(0)[0].0 <= Duration::from_millis(150), "{:?}", pair.messages(0));
}

#[test]
fn every_mix_of_versions_connects() {
    for (client, server) in
        [(ANY, ANY), (ANY, ONLY_12), (ANY, ONLY_13), (ONLY_12, ANY), (ONLY_13, ANY), (ONLY_12, ONLY_12)]
    {
        let mut pair = with_messages(Path::perfect(20), 2, [client, server]);
        pair.run_until("messages", |pair| !pair.messages(0).is_empty() && !pair.messages(1).is_empty());
    }
}

#[test]
fn with_both_inits_signaled_the_first_message_arrives_after_one_and_a_half() {
    let mut pair = Pair::new(Path::perfect(50), 3, [ANY; 2]);
    let [client, server] = certificates();
    let inits = [0, 1].map(|end| pair.ends[end].sctp_init());
    for end in 0..2 {
        let channel = pair.ends[end].open(ChannelInit::new("agreed").negotiated(0), pair.now).unwrap();
        pair.ends[end].send(channel, Payload::Text, Bytes::from_static(b"hello"), pair.now).unwrap();
    }
    let of_server = remote(DtlsRole::Client, &server);
    let of_client = remote(DtlsRole::Server, &client);
    let [of_it, of_us] = inits;
    let rtt = Some(pair.path.rtt);
    pair.ends[0].start(twocan_rtc::transport::Remote { sctp_init: of_us, ..of_server }, rtt, pair.now);
    pair.ends[1].start(twocan_rtc::transport::Remote { sctp_init: of_it, ..of_client }, rtt, pair.now);
    pair.run_until("messages", |pair| !pair.messages(0).is_empty() && !pair.messages(1).is_empty());
    assert_eq!(pair.messages(1)[0].0, Duration::from_millis(75));
}

#[test]
fn a_wrong_certificate_ends_it_before_any_application_byte() {
    for wrong_end in 0..2 {
        let mut pair = Pair::new(Path::perfect(20), 4, [ANY; 2]);
        let certificates = certificates();
        for end in 0..2 {
            let role = if end == 0 { DtlsRole::Client } else { DtlsRole::Server };
            let peer = if end == wrong_end { end } else { 1 - end };
            pair.ends[end].start(remote(role, &certificates[peer]), None, pair.now);
        }
        pair.run_for(Duration::from_secs(1));
        assert_eq!(pair.closed(wrong_end), Some(CloseReason::FingerprintMismatch));
        assert!(!pair.is_connected(0) && !pair.is_connected(1));
        pair.run_for(Duration::from_secs(100));
        assert!(pair.closed(1 - wrong_end).is_some());
    }
}

#[test]
fn a_thousand_bad_paths_connect() {
    for seed in 0..1_000 {
        let path = Path { rtt: Duration::from_millis(50), loss: 200, duplicated: 50, late: 200 };
        let versions = if seed % 4 == 3 { [ONLY_12; 2] } else { [ANY; 2] };
        let mut pair = with_messages(path, seed, versions);
        pair.run_until("messages", |pair| {
            assert!(pair.closed(0).is_none() && pair.closed(1).is_none(), "seed {seed}: {:?}", pair.events);
            !pair.messages(0).is_empty() && !pair.messages(1).is_empty()
        });
        assert!(pair.elapsed() < Duration::from_secs(60), "seed {seed}: {:?}", pair.elapsed());
    }
}

#[test]
fn a_peer_that_never_answers_is_dead_after_a_minute() {
    let mut pair = Pair::started(Path::lossy(50, 1_000), 5);
    pair.run_for(Duration::from_secs(59));
    assert_eq!((pair.closed(0), pair.closed(1)), (None, None));
    pair.run_for(Duration::from_secs(2));
    assert_eq!((pair.closed(0), pair.closed(1)), (Some(CloseReason::Timeout), Some(CloseReason::Timeout)));
    assert!(matches!(pair.events[0].last(), Some((_, Event::Closed { .. }))));
}

/// A repetition takes some clients, werift 0.25 among them, for new keys.
#[test]
fn a_server_leaves_a_slow_client_time_to_work_out_its_keys() {
    for versions in [ANY, ONLY_12] {
        let mut pair = Pair::new(Path::perfect(20), 8, [versions; 2]);
        pair.start();
        pair.records = true;
        pair.run_for(Duration::from_millis(5));
        // The hello is on its way. Whatever comes behind it is lost.
        pair.path.loss = 1_000;
        pair.run_for(Duration::from_millis(10));
        let from_server = |pair: &Pair| pair.sent.iter().filter(|(from, _)| *from == 1).count();
        let flight = from_server(&pair);
        assert!(flight > 0, "no answer to the hello");
        pair.run_for(limits::SERVER_FLIGHT_PAUSE_MIN - Duration::from_millis(100));
        assert_eq!(from_server(&pair), flight, "{versions:?}");
        pair.run_for(Duration::from_millis(250));
        assert!(from_server(&pair) > flight, "{versions:?}");
    }
}

#[test]
fn a_hello_in_pieces_connects_in_whatever_order_they_come() {
    for seed in 0..50 {
        let path = Path { late: 500, ..Path::perfect(50) };
        let mut pair = Pair::with_mtu(path, seed, [ONLY_13, ANY], 100);
        pair.start();
        pair.records = true;
        pair.flush();
        let hellos = pair.sent.iter().filter(|(_, datagram)| datagram[0] == 22 && datagram[13] == 1).count();
        assert!(hellos > 1, "a ClientHello in one piece");
        pair.run_until("connected", |pair| pair.is_connected(0) && pair.is_connected(1));
    }
}

#[test]
fn a_fingerprint_of_an_unknown_hash_is_passed_over() {
    let mut pair = Pair::new(Path::perfect(20), 6, [ANY; 2]);
    let unknown: Fingerprint = "sha-3000 00:11:22".parse().unwrap();
    for (end, role) in [DtlsRole::Client, DtlsRole::Server].into_iter().enumerate() {
        let mut remote = remote(role, &certificates()[1 - end]);
        remote.fingerprints.insert(0, unknown.clone());
        pair.ends[end].start(remote, None, pair.now);
    }
    pair.run_until("connected", |pair| pair.is_connected(0) && pair.is_connected(1));
}

/// The packets of two ends behind DTLS that begin, talk and close.
fn packets(number: u8) -> Vec<Vec<u8>> {
    let Pair { now, .. } = Pair::new(Path::perfect(1), 0, [ANY; 2]);
    let mut ends = [DtlsRole::Client, DtlsRole::Server].map(|role| {
        let mut end = Protected::new(&Config::new(certificates()[0].clone()), [number + role as u8; 32]);
        end.start(role, 5_000, 0, None, now);
        end.associate(None, now);
        end
    });
    let channel = ends[0].open(ChannelInit::new("talk"), now).unwrap();
    ends[0].send(channel, Payload::Binary, vec![1; 100_000].into(), now).unwrap();
    let mut packets = Vec::new();
    let mut packet = Vec::new();
    for round in 0..100 {
        if round == 50 {
            ends[0].close_channel(channel, now);
        }
        for end in 0..2 {
            while ends[end].poll_transmit(&mut packet, now) {
                let _ = ends[1 - end].handle_packet(&packet, now);
                packets.push(packet.clone());
            }
        }
    }
    packets
}

#[test]
fn behind_dtls_one_seed_replays_every_packet() {
    assert_eq!(packets(1), packets(1));
    assert_ne!(packets(1), packets(3));
}
