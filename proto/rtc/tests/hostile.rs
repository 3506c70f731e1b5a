//! What strangers send, and what a hostile other side makes us send.

mod world;

use std::net::SocketAddr;

use twocan_rtc::{CandidateInit, Discard, Signal, SignalError};
use world::*;

fn two() -> World {
    let mut world = World::new(1, Net::default());
    world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |_, _| ());
    world
}

fn candidate(text: String) -> Signal {
    Signal::Candidate(CandidateInit { candidate: text, ..CandidateInit::default() })
}

#[test]
fn ten_thousand_candidates_of_a_victim_make_few_checks_and_no_application_byte() {
    let mut world = two();
    world.offer(ADA);
    world.run_for(ms(60));
    let victim = ip("7.0.0.1");
    let mut refused = 0;
    for port in 1_000..11_000 {
        let text = format!("candidate:{port} 1 udp 2130706431 7.0.0.1 {port} typ host");
        refused += usize::from(
            world.with(ADA, |connection, now| connection.handle_signal(candidate(text), now)).is_err(),
        );
    }
    assert!(refused > 9_800, "{refused}");
    let begin = world.elapsed();
    world.run_for(ms(30_000));
    let sent: Vec<_> = world.trace.iter().filter(|(_, _, to)| to.ip() == victim).collect();
    assert!(!sent.is_empty() && sent.len() <= 1_000, "{}", sent.len());
    // Paced: no second has more than Ta allows.
    let busiest = sent
        .iter()
        .map(|(at, _, _)| {
            sent.iter().filter(|(other, _, _)| *other >= *at && *other - *at < ms(1_000)).count()
        })
        .max();
    assert!(busiest.unwrap() <= 300, "{busiest:?}");
    assert!(world.is_up(), "{} {begin:?}", world.describe());
}

#[test]
fn ten_thousand_client_hellos_from_elsewhere_do_not_disturb_a_handshake() {
    let mut world = two();
    world.offer(ADA);
    let to: SocketAddr = *world.peers[BOB].sockets.values().next().unwrap();
    let mut hello = vec![0x16, 0xFE, 0xFD, 0, 0, 0, 0, 0, 0, 0, 0, 0, 200];
    hello.resize(213, 1);
    for round in 0..100_u16 {
        for stranger in 0..100_u16 {
            let from = SocketAddr::from(([6, 0, (stranger >> 8) as u8, stranger as u8], 1_000 + round));
            world.inject(from, to, &hello);
        }
        world.run_for(ms(2));
    }
    assert!(world.run_until(ms(500), World::is_up), "{}", world.describe());
    let discards = world.peers[BOB].connection.stats().discards;
    assert_eq!(discards.get(&Discard::NotValidated), Some(&10_000), "{discards:?}");
}

#[test]
fn dtls_from_an_address_that_answered_no_check_is_dropped() {
    let mut world = two();
    world.connect(ms(2_000));
    let (socket, _) = world.peers[ADA].sockets.iter().next().map(|(socket, at)| (*socket, *at)).unwrap();
    let now = world.now;
    let stranger = addr("6.6.6.6:666");
    let before = world.peers[ADA].connection.stats().packets_received;
    for first in 20..64 {
        let packet = [first, 0xFE, 0xFD, 0, 0];
        let taken = world.peers[ADA].connection.handle_datagram(socket, stranger, &packet, now);
        assert_eq!(taken, Err(Discard::NotValidated));
    }
    assert_eq!(world.peers[ADA].connection.stats().packets_received, before);
}

/// Somebody moved, and we have not checked the way that he sends by: what he says is heard all the same, once.
#[test]
fn an_authentic_record_is_taken_from_wherever_it_comes_and_a_forged_one_is_not() {
    let mut world = World::new(1, Net::default());
    let channels = world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |_, _| ());
    world.connect(ms(2_000));
    world.talk(channels);
    let now = world.now;
    let record = |world: &mut World, text: &[u8]| {
        assert!(world.peers[ADA].send(channels[ADA][0], text.to_vec(), now));
        let sent = std::iter::from_fn(|| world.peers[ADA].connection.poll_transmit());
        sent.last().expect("a record").bytes
    };
    let socket = *world.peers[BOB].sockets.keys().next().unwrap();
    let from = addr("6.6.6.6:666");
    let good = record(&mut world, b"from elsewhere");
    let mut bad = record(&mut world, b"forged");
    *bad.last_mut().unwrap() ^= 1;
    let bob = |world: &mut World, bytes: &[u8]| {
        world.with(BOB, |connection, now| connection.handle_datagram(socket, from, bytes, now))
    };
    assert_eq!(bob(&mut world, &good), Ok(()));
    assert_eq!(bob(&mut world, &good), Err(Discard::NotValidated), "said again");
    assert_eq!(bob(&mut world, &bad), Err(Discard::NotValidated));
    assert_eq!(bob(&mut world, &[good[0]; 60]), Err(Discard::NotValidated));
    // Nothing goes there.
    world.run_for(ms(2_000));
    assert!(world.is_up(), "{}", world.describe());
    let heard = |text: &[u8]| world.peers[BOB].messages.iter().filter(|(_, _, bytes)| bytes == text).count();
    assert_eq!((heard(b"from elsewhere"), heard(b"forged")), (1, 1), "the other one came by the usual way");
}

#[test]
fn what_is_no_protocol_of_ours_is_counted_by_name() {
    let mut world = two();
    world.connect(ms(2_000));
    let socket = *world.peers[ADA].sockets.keys().next().unwrap();
    let now = world.now;
    for first in [4, 16, 80, 128, 192, 255] {
        let taken = world.peers[ADA].connection.handle_datagram(socket, addr("6.6.6.6:6"), &[first], now);
        assert_eq!(taken, Err(Discard::UnknownProtocol));
    }
    let taken = world.peers[ADA].connection.handle_datagram(socket, addr("6.6.6.6:6"), &[], now);
    assert_eq!(taken, Err(Discard::UnknownProtocol));
    let taken =
        world.peers[ADA].connection.handle_datagram(twocan_rtc::SocketId(99), addr("6.6.6.6:6"), &[22], now);
    assert_eq!(taken, Err(Discard::UnknownSocket));
    let discards = world.peers[ADA].connection.stats().discards;
    assert_eq!((discards[&Discard::UnknownProtocol], discards[&Discard::UnknownSocket]), (7, 1));
}

#[test]
fn early_candidates_are_kept_up_to_their_limit() {
    let mut world = two();
    let take = |world: &mut World, port: usize| {
        let text = format!("candidate:1 1 udp 2130706431 7.0.0.1 {port} typ host");
        world.with(BOB, |connection, now| connection.handle_signal(candidate(text), now))
    };
    for port in 0..twocan_rtc::limits::EARLY_CANDIDATES_MAX {
        assert_eq!(take(&mut world, 1_000 + port), Ok(()));
    }
    assert_eq!(take(&mut world, 1), Err(SignalError::TooMany));
    // Of another kind: one of the many gives way.
    let relayed = "candidate:1 1 udp 9 7.0.0.9 9 typ relay raddr 0.0.0.0 rport 0".to_owned();
    assert_eq!(world.with(BOB, |connection, now| connection.handle_signal(candidate(relayed), now)), Ok(()));
}

#[test]
fn descriptions_are_taken_up_to_their_rate() {
    let mut world = two();
    world.offer(ADA);
    world.run_for(ms(1));
    let offer = world.peers[ADA].signals[0].1.clone();
    for _ in 0..twocan_rtc::limits::DESCRIPTIONS_MAX {
        let offer = offer.clone();
        assert_eq!(world.with(BOB, |connection, now| connection.handle_signal(offer, now)), Ok(()));
    }
    let late = offer.clone();
    let taken = world.with(BOB, |connection, now| connection.handle_signal(late, now));
    assert_eq!(taken, Err(SignalError::TooMany));
    world.run_for(twocan_rtc::limits::DESCRIPTIONS_WITHIN);
    assert_ne!(
        world.with(BOB, |connection, now| connection.handle_signal(offer, now)),
        Err(SignalError::TooMany)
    );
}

#[test]
fn names_are_looked_up_a_few_at_a_time_and_in_the_lan_alone() {
    let mut world = two();
    world.connect(ms(2_000));
    let take = |world: &mut World, name: &str| {
        let text = format!("candidate:1 1 udp 2130706431 {name} 5000 typ host");
        world.peers[BOB].connection.handle_signal(candidate(text), world.now)
    };
    let (at_once, waiting) = (twocan_rtc::limits::QUERIES_MAX, twocan_rtc::limits::WAITING_NAMES_MAX);
    for number in 0..at_once + waiting {
        assert_eq!(take(&mut world, &format!("name-{number}.local")), Ok(()));
    }
    assert_eq!(take(&mut world, "one-more.local"), Err(SignalError::TooMany));
    let asked = |world: &mut World| {
        let mut asked = Vec::new();
        while let Some(command) = world.peers[BOB].connection.poll_command() {
            if let twocan_rtc::Command::Resolve { query, .. } = command {
                asked.push(query);
            }
        }
        asked
    };
    // Each that is answered, or not, makes room for the next, until all had their turn.
    let mut under_way = asked(&mut world);
    assert_eq!(under_way.len(), at_once);
    let mut count = under_way.len();
    while let Some(query) = under_way.pop() {
        let now = world.now;
        world.peers[BOB].connection.handle_resolved(query, &[], now);
        let more = asked(&mut world);
        assert!(under_way.len() + more.len() <= at_once);
        count += more.len();
        under_way.extend(more);
    }
    assert_eq!(count, at_once + waiting);
    assert_eq!(take(&mut world, "internal.example"), Err(SignalError::Unusable));
}

#[test]
fn an_answer_to_nothing_and_an_old_offer_change_nothing() {
    let mut world = two();
    world.connect(ms(2_000));
    let offer = world.peers[ADA].signals[0].1.clone();
    let answer = world.peers[BOB]
        .signals
        .iter()
        .find(|(_, signal)| matches!(signal, Signal::Description(_)))
        .unwrap()
        .1
        .clone();
    let taken = world.with(ADA, |connection, now| connection.handle_signal(answer, now));
    assert_eq!(taken, Err(SignalError::WrongState));
    world.with(ADA, twocan_rtc::Connection::restart_ice);
    world.run_for(ms(1_000));
    let taken = world.with(BOB, |connection, now| connection.handle_signal(offer, now));
    assert_eq!(taken, Err(SignalError::WrongState));
    assert!(world.is_up());
}

#[test]
fn another_certificate_under_a_live_connection_is_refused() {
    let mut world = two();
    world.connect(ms(2_000));
    world.peers[ADA].tamper = Box::new(|signal| match signal {
        Signal::Description(description) => {
            let (ours, other) =
                (certificate(ADA).fingerprint().to_string(), certificate(BOB).fingerprint().to_string());
            let sdp = description.sdp.replace(&ours, &other);
            Some(Signal::Description(twocan_rtc::Description { sdp, ..description }))
        }
        other => Some(other),
    });
    world.with(ADA, twocan_rtc::Connection::restart_ice);
    world.run_for(ms(1_000));
    assert!(world.peers[BOB].refused.contains(&SignalError::OtherFingerprint));
    assert!(world.peers[BOB].is_connected());
}

#[test]
fn a_candidate_of_another_generation_is_passed_over() {
    let mut world = two();
    world.connect(ms(2_000));
    let text = "candidate:1 1 udp 2130706431 7.0.0.1 5000 typ host";
    let inits = [
        CandidateInit {
            candidate: text.into(),
            username_fragment: Some("other".into()),
            ..CandidateInit::default()
        },
        CandidateInit { candidate: format!("{text} ufrag other"), ..CandidateInit::default() },
    ];
    for init in inits {
        let taken = world.with(ADA, |connection, now| connection.handle_signal(Signal::Candidate(init), now));
        assert_eq!(taken, Err(SignalError::OtherGeneration));
    }
    world.run_for(ms(5_000));
    assert!(world.trace.iter().all(|(_, _, to)| to.ip() != ip("7.0.0.1")));
}
