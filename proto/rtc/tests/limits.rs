//! Every limit of the connection is reached. Those of signals are in `hostile.rs`.

mod world;

use twocan_rtc::limits::{
    CANDIDATE_LEN_MAX, EARLY_BYTES_MAX, EARLY_DATAGRAMS_MAX, LISTENERS_MAX, SOCKETS_MAX, STRANGER_TIMEOUT,
    STREAMS_MAX,
};
use twocan_rtc::{CandidateInit, ChannelId, Connection, Discard, Signal, SignalError};
use world::*;

fn two() -> (World, [[ChannelId; 2]; 2]) {
    let mut world = World::new(1, Net::default());
    let channels = world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |_, _| ());
    (world, channels)
}

/// Bob never learns that his checks are answered: his pairs stay under check.
fn bob_unanswered() -> World {
    let (mut world, _) = two();
    world.filter = Box::new(|_, to, bytes| to.ip() != ip("9.0.0.1") || bytes[..2] != [1, 1]);
    world.offer(ADA);
    world.run_for(ms(120));
    world
}

#[test]
fn early_datagrams_from_a_pair_under_check_are_held_up_to_their_limit() {
    let mut world = bob_unanswered();
    let ada = *world.peers[ADA].sockets.values().next().unwrap();
    let (socket, now) = (*world.peers[BOB].sockets.keys().next().unwrap(), world.now);
    let bob = &mut world.peers[BOB].connection;
    // Ada's own ClientHello may be there already.
    let taken: Vec<_> =
        (0..EARLY_DATAGRAMS_MAX + 1).map(|_| bob.handle_datagram(socket, ada, &[22; 100], now)).collect();
    assert_eq!(taken.first(), Some(&Ok(())));
    assert_eq!(taken.last(), Some(&Err(Discard::TooEarly)));
}

#[test]
fn an_early_datagram_hastens_the_check_of_its_pair() {
    let mut world = bob_unanswered();
    let [ada, bob] = [ADA, BOB].map(|peer| *world.peers[peer].sockets.values().next().unwrap());
    // Bob's next attempt is a long way off.
    let asked = |world: &World| world.trace.iter().filter(|(_, from, to)| (*from, *to) == (bob, ada)).count();
    world.run_for(ms(1_600));
    let before = asked(&world);
    world.inject(ada, bob, &[22; 100]);
    assert_eq!(asked(&world), before + 1);
    // An answer may be on its way: once is enough.
    world.inject(ada, bob, &[22; 100]);
    assert_eq!(asked(&world), before + 1);
}

#[test]
fn early_datagrams_are_held_up_to_so_many_bytes() {
    let mut world = bob_unanswered();
    let ada = *world.peers[ADA].sockets.values().next().unwrap();
    let (socket, now) = (*world.peers[BOB].sockets.keys().next().unwrap(), world.now);
    let bob = &mut world.peers[BOB].connection;
    let large = vec![22; EARLY_BYTES_MAX / 2 + 1];
    assert_eq!(bob.handle_datagram(socket, ada, &large, now), Ok(()));
    assert_eq!(bob.handle_datagram(socket, ada, &large, now), Err(Discard::TooEarly));
}

#[test]
fn a_client_hello_that_came_early_is_not_lost() {
    let (mut world, channels) = two();
    let held = std::rc::Rc::new(std::cell::Cell::new(true));
    let is_held = held.clone();
    world.filter =
        Box::new(move |_, to, bytes| !is_held.get() || to.ip() != ip("9.0.0.1") || bytes[..2] != [1, 1]);
    // Ada is validated after 100 ms, and her hello is there after 125.
    world.offer(ADA);
    world.run_for(ms(130));
    held.set(false);
    // She does not say it again.
    let mut hellos = 0;
    world.filter = Box::new(move |from, _, bytes| {
        hellos += usize::from(from.ip() == ip("8.0.0.1") && bytes[0] == 22);
        !(hellos > 0 && from.ip() == ip("8.0.0.1") && bytes[0] == 22 && bytes[13] == 1)
    });
    assert!(world.run_until(ms(2_000), World::is_up), "{}", world.describe());
    world.talk(channels);
}

#[test]
fn a_candidate_longer_than_its_limit_is_refused() {
    let (mut world, _) = two();
    let candidate = format!("candidate:1 1 udp 1 7.0.0.1 1 typ host x {}", "y".repeat(CANDIDATE_LEN_MAX));
    let signal = Signal::Candidate(CandidateInit { candidate, ..CandidateInit::default() });
    let taken = world.with(ADA, |connection, now| connection.handle_signal(signal, now));
    assert_eq!(taken, Err(SignalError::BadCandidate));
}

#[test]
fn a_socket_beyond_the_limit_is_of_no_use() {
    let (mut world, _) = two();
    let now = world.now;
    let ada = &mut world.peers[ADA].connection;
    let sockets: Vec<_> =
        (1..=SOCKETS_MAX as u16).map(|port| ada.add_socket(addr(&format!("8.0.0.2:{port}")), now)).collect();
    let take = |socket: usize| ada.handle_datagram(sockets[socket], addr("6.6.6.6:6"), &[99], now);
    let taken = [SOCKETS_MAX - 2, SOCKETS_MAX - 1].map(take);
    assert_eq!(taken, [Err(Discard::UnknownProtocol), Err(Discard::UnknownSocket)]);
}

#[test]
fn listeners_and_streams_are_taken_up_to_their_limits() {
    let (mut world, _) = two();
    let now = world.now;
    let ada = &mut world.peers[ADA].connection;
    let listeners: Vec<_> = (1..=LISTENERS_MAX as u16 + 1)
        .map(|port| ada.add_listener(addr(&format!("8.0.0.1:{port}")), now))
        .collect();
    assert_eq!(ada.add_stream(listeners[LISTENERS_MAX], addr("6.6.6.6:6"), now), None);
    for port in 1..=STREAMS_MAX as u16 {
        let from = addr(&format!("6.6.6.6:{port}"));
        assert!(ada.add_stream(listeners[0], from, now).is_some(), "{port}");
        assert!(ada.add_stream(listeners[0], from, now).is_none(), "{port} again");
    }
    assert_eq!(ada.add_stream(listeners[0], addr("6.6.6.7:1"), now), None);
    // Strangers do not hold their places for long.
    world.run_for(STRANGER_TIMEOUT - ms(1));
    let stream =
        |world: &mut World| world.with(ADA, |ada, now| ada.add_stream(listeners[0], addr("6.6.6.7:1"), now));
    assert_eq!(stream(&mut world), None);
    world.run_for(ms(1));
    assert!(stream(&mut world).is_some());
}

#[test]
fn messages_that_nobody_reads_hold_the_sender_back_and_none_is_lost() {
    let (mut world, channels) = two();
    world.connect(ms(2_000));
    world.peers[BOB].is_reading = false;
    let (mut taken, mut refusals) = (0_u32, 0);
    while refusals < 20 {
        assert!(taken < 4_000, "64 MB without being read");
        if world.send(ADA, channels[ADA][0], vec![7; 16_000]) {
            taken += 1;
        } else {
            refusals += 1;
            world.run_for(ms(500));
        }
    }
    // Mending does not wait for whoever reads.
    let answered = world.peers[BOB].descriptions();
    world.with(ADA, Connection::restart_ice);
    assert!(world.run_until(ms(2_000), |world| world.peers[BOB].descriptions() > answered));
    world.peers[BOB].is_reading = true;
    let is_all_there = |world: &World| world.peers[BOB].messages.len() == taken as usize;
    world.with(BOB, |_, _| ());
    assert!(world.run_until(ms(60_000), is_all_there), "{taken} {}", world.describe());
}
