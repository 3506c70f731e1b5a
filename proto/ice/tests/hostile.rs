//! A peer that means harm, and a stranger who does: what they can make us send is bounded and paced, and never bytes of the
//! application.

mod world;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use twocan_ice::{Candidate, Config, Discard, Failure, PairState, Parsed, SocketId, State};
use world::forge::{Forged, answer, is_request};
use world::{A, B, World, addr, ms};

const A_HOST: &str = "198.51.100.10:5000";
const B_HOST: &str = "198.51.100.20:5000";
const VICTIM: &str = "192.0.2.1";

fn candidate(text: &str) -> Candidate {
    match Candidate::parse(text) {
        Ok(Parsed::Candidate(candidate)) => candidate,
        other => panic!("{text}: {other:?}"),
    }
}

fn victim(port: u16) -> Candidate {
    candidate(&format!("candidate:1 1 udp 2130706431 {VICTIM} {port} typ host"))
}

#[test]
fn ten_thousand_candidates_of_a_victim_cost_it_a_bounded_and_paced_number_of_checks() {
    let mut world = World::new(1, ms(50));
    world.host(A, A_HOST, None);
    world.relayed(A, "198.51.100.9:5000", ms(5));
    world.tell_credentials(A);
    let mut refused = 0;
    for port in 1..=10_000 {
        refused += u32::from(world.tell(A, victim(port)) == Err(Discard::TooManyCandidates));
    }
    assert_eq!(refused, 10_000 - Config::default().remote_candidates_max as u32);
    world.run_for(ms(120_000));
    let config = Config::default();
    let sent = &world.sides[A].sent;
    assert!(sent.iter().all(|(_, _, to, bytes)| to.ip().to_string() == VICTIM && is_request(bytes)));
    assert!(sent.len() <= config.pairs_max * config.requests_max as usize, "{}", sent.len());
    assert!(sent.len() <= 1_000, "{}", sent.len());
    // First tries and repetitions are paced apart from each other, each with its burst.
    for (at, ..) in sent {
        let within = sent.iter().filter(|(other, ..)| (*at..*at + ms(1_000)).contains(other)).count();
        assert!(within <= 2 * (32 + 200), "{within} packets in a second");
        let at_once = sent.iter().filter(|(other, ..)| (*at..*at + ms(5)).contains(other)).count();
        assert!(at_once <= 2 * 33, "{at_once} packets in 5 ms");
    }
    assert_eq!(world.sides[A].agent.state(), State::Failed);
    let no_byte = |port| {
        !world.sides[A].agent.is_validated(SocketId(1), SocketAddr::new(VICTIM.parse().unwrap(), port))
    };
    assert!((1..=10_000).all(no_byte));
}

#[test]
fn an_authentic_flood_from_ten_thousand_addresses_is_bounded() {
    let mut world = World::new(2, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world.net.ports.retain(|port| port.side == A);
    world.tell_credentials(A);
    let ours = world.sides[A].agent.local_credentials().clone();
    let theirs = world.sides[B].agent.local_credentials().ufrag.clone();
    let mut requests = 0;
    for n in 0..10_000_u64 {
        let from = SocketAddr::new(VICTIM.parse().unwrap(), 1 + n as u16);
        let forged = Forged { controlling: None, controlled: Some(n), ..Forged::request(&ours, &theirs, n) };
        let before = world.sides[A].sent.len();
        let _ = world.inject(A, SocketId(1), from, &forged.bytes());
        let caused = &world.sides[A].sent[before..];
        assert!(caused.iter().filter(|(_, _, _, bytes)| !is_request(bytes)).count() <= 1);
        requests += caused.iter().filter(|(_, _, _, bytes)| is_request(bytes)).count();
        if n % 100 == 0 {
            world.run_for(ms(10));
        }
    }
    world.run_for(ms(60_000));
    let pairs = world.sides[A].agent.report().pairs.len();
    assert!(pairs <= Config::default().peer_reflexive_max, "{pairs} pairs");
    assert!(requests <= 32 * 12, "{requests}");
    assert_eq!(world.sides[A].agent.selected(), None);
}

#[test]
fn requests_on_one_pair_do_not_make_us_send_checks() {
    let mut world = World::new(3, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world.net.ports.retain(|port| port.side == A);
    world.introduce(A);
    world.run_for(ms(1));
    let ours = world.sides[A].agent.local_credentials().clone();
    let theirs = world.sides[B].agent.local_credentials().ufrag.clone();
    for n in 0..10_000_u64 {
        let forged = Forged { controlling: None, controlled: Some(n), ..Forged::request(&ours, &theirs, n) };
        world.inject(A, SocketId(1), addr(B_HOST), &forged.bytes()).unwrap();
    }
    let checks = world.sides[A].sent.iter().filter(|(_, _, _, bytes)| is_request(bytes)).count();
    assert_eq!(checks, 2, "the ordinary one, and one that was triggered");
}

#[test]
fn a_stranger_who_sees_nothing_can_do_nothing() {
    let mut world = World::new(4, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world.meet();
    world.run_for(ms(5_000));
    let before = world.sides[A].agent.report();
    let ours = world.sides[A].agent.local_credentials().clone();
    for n in 0..5_000_u64 {
        let from = SocketAddr::new(VICTIM.parse().unwrap(), n as u16);
        let guess = Forged { pwd: Some("guess"), ..Forged::request(&ours, "x", n) };
        assert_eq!(world.inject(A, SocketId(1), from, &guess.bytes()), Err(Discard::Unauthenticated));
        let answer = answer(&guess.bytes(), addr(A_HOST), Some("guess"));
        assert_eq!(world.inject(A, SocketId(1), addr(B_HOST), &answer), Err(Discard::NotForUs));
    }
    let after = world.sides[A].agent.report();
    assert_eq!(before.pairs, after.pairs);
    assert_eq!(after.unauthenticated, 5_000);
    world.run_for(ms(60_000));
    assert_eq!(world.states(), [State::Completed; 2]);
}

#[test]
fn a_replay_of_everything_changes_nothing() {
    let mut world = World::new(5, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world.meet();
    world.run_for(ms(60_000));
    let recorded: Vec<Vec<u8>> = world.sides[B].sent.iter().map(|(_, _, _, bytes)| bytes.clone()).collect();
    let selected = world.sides[A].agent.selected();
    let elsewhere: BTreeSet<SocketAddr> =
        (1..50).map(|port| SocketAddr::new(VICTIM.parse().unwrap(), port)).collect();
    for bytes in &recorded {
        for from in &elsewhere {
            let _ = world.inject(A, SocketId(1), *from, bytes);
        }
        let _ = world.inject(A, SocketId(1), addr(B_HOST), bytes);
    }
    for from in &elsewhere {
        assert!(!world.sides[A].agent.is_validated(SocketId(1), *from));
    }
    let now = world.sides[A].agent.selected();
    assert_eq!(selected.map(|s| (s.socket, s.remote)), now.map(|s| (s.socket, s.remote)));
    world.run_for(ms(120_000));
    assert!(matches!(world.states()[A], State::Connected | State::Completed));
}

#[test]
fn addresses_that_nobody_should_be_sent_to_are_refused() {
    let mut world = World::new(6, ms(50));
    world.host(A, A_HOST, None);
    world.host(A, "[2001:db8::1]:5000", None);
    world.tell_credentials(A);
    for unreachable in ["0.0.0.0 5", "255.255.255.255 5", "224.0.0.1 5", "ff02::1 5", ":: 5", "192.0.2.1 0"] {
        let line = format!("candidate:1 1 udp 1 {unreachable} typ host");
        assert_eq!(world.tell(A, candidate(&line)), Err(Discard::Unreachable), "{line}");
    }
    // Our own machine, a link of ours, another family's disguise: named, and never sent to.
    for local in ["127.0.0.1 22", "::1 22", "::ffff:127.0.0.1 22", "fe80::1 22"] {
        let line = format!("candidate:1 1 udp 1 {local} typ host");
        assert_eq!(world.tell(A, candidate(&line)), Ok(()), "{line}");
    }
    world.run_for(ms(20_000));
    assert_eq!(world.sides[A].sent, []);
}

#[test]
fn consent_that_was_given_is_not_given_for_another_address() {
    let mut world = World::new(7, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world.meet();
    world.run_for(ms(5_000));
    let agent = &world.sides[A].agent;
    assert!(agent.is_validated(SocketId(1), addr(B_HOST)));
    assert!(!agent.is_validated(SocketId(2), addr(B_HOST)));
    assert!(!agent.is_validated(SocketId(1), addr("198.51.100.20:5001")));
    assert!(!agent.is_validated(SocketId(1), addr("198.51.100.21:5000")));
}

#[test]
fn a_peer_that_refuses_is_not_asked_again() {
    let mut world = World::new(8, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    // B has begun anew, A does not know.
    world.introduce(A);
    let (credentials, now) = (world.new_credentials(), world.instant());
    world.sides[B].agent.restart(credentials, now);
    world.run_for(Duration::from_secs(60));
    let report = world.sides[A].agent.report();
    assert_eq!(report.pairs[0].requests_sent, 1);
    assert!(matches!(report.pairs[0].state, PairState::Failed(Failure::Refused(_))));
}
