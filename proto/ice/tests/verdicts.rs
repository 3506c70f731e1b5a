//! Why it failed: the sentence fits the case, and each pair says what was tried.

mod world;

use twocan_ice::{Config, Event, Failure, PairState, Role, SocketId, State, TcpType, Verdict};
use twocan_stun::ErrorCode;
use world::forge::{Forged, refusal};
use world::{A, B, Nat, NatKind, World, addr, ms};

const A_HOST: &str = "198.51.100.10:5000";
const B_HOST: &str = "198.51.100.20:5000";

/// Runs until A has failed, and says why.
fn verdict(world: &mut World) -> Verdict {
    world.run_for(ms(60_000));
    assert_eq!(world.sides[A].agent.state(), State::Failed);
    let verdict = world.sides[A].agent.verdict();
    assert!(world.sides[A].has(&Event::Failed(verdict)));
    verdict
}

#[test]
fn nothing_is_decided_as_long_as_checks_go_on() {
    let mut world = World::new(1, ms(50));
    assert_eq!(world.sides[A].agent.verdict(), Verdict::NoLocalCandidates);
    world.host(A, A_HOST, None);
    assert_eq!(world.sides[A].agent.verdict(), Verdict::NoDescription);
    world.host(B, B_HOST, None);
    world.introduce(A);
    assert_eq!(world.sides[A].agent.verdict(), Verdict::Undecided);
    world.run_for(ms(1_000));
    assert_eq!(world.sides[A].agent.verdict(), Verdict::Connected);
}

#[test]
fn no_candidates_of_ours() {
    let mut world = World::new(1, ms(50));
    world.host(B, B_HOST, None);
    world.introduce(A);
    assert_eq!(verdict(&mut world), Verdict::NoLocalCandidates);
}

#[test]
fn no_candidates_of_theirs() {
    let mut world = World::new(1, ms(50));
    world.host(A, A_HOST, None);
    world.introduce(A);
    assert_eq!(verdict(&mut world), Verdict::NoRemoteCandidates);
}

#[test]
fn no_two_candidates_that_fit() {
    let mut world = World::new(1, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, "[2001:db8::1]:5000", None);
    world.tcp(B, "198.51.100.77:9", TcpType::Active);
    world.meet();
    assert_eq!(verdict(&mut world), Verdict::NoPair);
}

#[test]
fn both_symmetric_and_no_relay() {
    let mut world = World::new(1, ms(50));
    for side in [A, B] {
        let lan = side as u8 + 1;
        world.net.nats.push(Nat::new(NatKind::Symmetric, &format!("203.0.113.{lan}"), lan));
        let socket = world.host(side, &format!("192.168.{lan}.2:5000"), Some(lan));
        world.reflexive_at(side, socket, "198.51.100.1:3478");
        world.reflexive_at(side, socket, "198.51.100.2:3478");
    }
    world.meet();
    assert_eq!(verdict(&mut world), Verdict::BothSymmetric);
    let report = world.sides[A].agent.report();
    assert_eq!(report.pairs.len(), 3);
    for pair in &report.pairs {
        assert_eq!(pair.state, PairState::Failed(Failure::NoAnswer));
        assert_eq!((pair.requests_sent, pair.answers), (10, 0));
        assert_eq!(pair.first_sent, Some(ms(0)));
    }
    let text = report.to_string();
    assert!(text.contains("no relay was offered") && text.contains("failed: no answer"), "{text}");
}

#[test]
fn one_symmetric_is_not_both() {
    let mut world = World::new(1, ms(50));
    for (side, kind) in [(A, NatKind::Symmetric), (B, NatKind::PortRestricted)] {
        let lan = side as u8 + 1;
        world.net.nats.push(Nat::new(kind, &format!("203.0.113.{lan}"), lan));
        let socket = world.host(side, &format!("192.168.{lan}.2:5000"), Some(lan));
        world.reflexive_at(side, socket, "198.51.100.1:3478");
        world.reflexive_at(side, socket, "198.51.100.2:3478");
    }
    world.meet();
    assert_eq!(verdict(&mut world), Verdict::NoAnswerNoRelay);
}

#[test]
fn a_relay_that_did_not_help() {
    let mut world = World::new(1, ms(50));
    world.relayed(A, "198.51.100.9:50000", ms(5));
    world.host(B, B_HOST, None);
    world.cut = true;
    world.meet();
    assert_eq!(verdict(&mut world), Verdict::NoAnswerDespiteRelay);
}

#[test]
fn one_way() {
    let mut world = World::new(1, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world
        .net
        .ports
        .iter_mut()
        .filter(|port| port.side == A)
        .for_each(|port| port.address = addr("198.51.100.11:1"));
    world.introduce(A);
    let ours = world.sides[A].agent.local_credentials().clone();
    let theirs = world.sides[B].agent.local_credentials().ufrag.clone();
    world.cut = true;
    let request = Forged { controlling: None, controlled: Some(1), ..Forged::request(&ours, &theirs, 1) };
    world.inject(A, SocketId(1), addr(B_HOST), &request.bytes()).unwrap();
    assert_eq!(verdict(&mut world), Verdict::OneWay);
}

#[test]
fn credentials_of_another_session() {
    let mut world = World::new(1, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world.introduce(A);
    let (credentials, now) = (world.new_credentials(), world.instant());
    world.sides[B].agent.restart(credentials, now);
    assert_eq!(verdict(&mut world), Verdict::WrongCredentials);
}

#[test]
fn refused_for_another_reason() {
    let mut world = World::new(1, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world.net.ports.retain(|port| port.side == A);
    world.introduce(A);
    world.run_for(ms(1));
    let pwd = world.sides[B].agent.local_credentials().pwd.clone();
    let bytes = refusal(&world.sides[A].sent[0].3, ErrorCode::SERVER_ERROR, Some(&pwd));
    let _ = world.inject(A, SocketId(1), addr(B_HOST), &bytes);
    assert_eq!(verdict(&mut world), Verdict::Refused);
    let report = world.sides[A].agent.report();
    assert_eq!(report.pairs[0].state, PairState::Failed(Failure::Refused(ErrorCode::SERVER_ERROR)));
}

#[test]
fn failing_takes_no_longer_than_patience_and_no_less_than_its_least() {
    for (ended, from, to) in [(true, 10_000, 15_000), (false, 30_000, 30_001)] {
        let mut world = World::with(1, ms(50), [Role::Controlling, Role::Controlled], &Config::default());
        world.host(A, A_HOST, None);
        world.host(B, B_HOST, None);
        world.cut = true;
        world.tell_credentials(A);
        let candidate = world.sides[B].candidates[0].clone();
        world.tell(A, candidate).unwrap();
        if ended {
            world.end(A);
        }
        world.run_for(ms(60_000));
        let failed = Event::StateChanged(State::Failed);
        let at = world.sides[A].events.iter().find(|(_, event)| *event == failed).unwrap().0;
        assert!((ms(from)..=ms(to)).contains(&at), "ended {ended}: after {at:?}");
    }
}

#[test]
fn every_verdict_is_one_sentence() {
    let all = [
        Verdict::Connected,
        Verdict::Undecided,
        Verdict::NoDescription,
        Verdict::NoLocalCandidates,
        Verdict::NoRemoteCandidates,
        Verdict::NoPair,
        Verdict::WrongCredentials,
        Verdict::Refused,
        Verdict::RoleConflict,
        Verdict::BothSymmetric,
        Verdict::OneWay,
        Verdict::NoAnswerNoRelay,
        Verdict::NoAnswerDespiteRelay,
        Verdict::ConsentLost,
        Verdict::SocketLost,
        Verdict::Closed,
    ];
    let sentences: std::collections::BTreeSet<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!(sentences.len(), all.len());
    assert!(sentences.iter().all(|sentence| sentence.len() > 10 && !sentence.contains(". ")));
}
