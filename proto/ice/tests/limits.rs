//! Every limit by its name, reached.

mod world;

use std::net::SocketAddr;

use twocan_ice::{
    Candidate, Command, Config, Discard, Foundations, LocalCandidate, LocalPreference, Misuse, ParseError,
    Parsed, Role, SocketId, TcpType,
};
use twocan_stun::AttributeType;
use world::forge::Forged;
use world::{A, B, World, addr, ms};

fn world(config: &Config) -> World {
    World::with(1, ms(50), [Role::Controlling, Role::Controlled], config)
}

fn remote(address: &str) -> Candidate {
    let (ip, port) = address.rsplit_once(':').expect("an address and a port");
    match Candidate::parse(&format!("candidate:1 1 udp 99 {ip} {port} typ host")) {
        Ok(Parsed::Candidate(candidate)) => candidate,
        other => panic!("{other:?}"),
    }
}

#[test]
fn pairs_max_leaves_out_the_least_promising() {
    let config = Config { pairs_max: 10, ..Config::default() };
    let mut world = world(&config);
    for interface in 0..4 {
        world.host(A, &format!("198.51.100.{interface}:5000"), None);
    }
    world.tell_credentials(A);
    for port in 1..=20 {
        world.tell(A, remote(&format!("192.0.2.1:{port}"))).unwrap();
    }
    let report = world.sides[A].agent.report();
    assert_eq!(report.pairs.len(), 10);
    let sockets = report.pairs.iter().map(|pair| pair.socket).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(sockets.len(), 4, "no socket went without");
}

#[test]
fn pairs_max_makes_room_for_who_was_heard() {
    let config = Config { pairs_max: 3, ..Config::default() };
    let mut world = world(&config);
    world.host(A, "198.51.100.1:5000", None);
    world.tell_credentials(A);
    for port in 1..=3 {
        world.tell(A, remote(&format!("192.0.2.1:{port}"))).unwrap();
    }
    let (ours, theirs) = credentials(&world);
    let heard = |n: u64| {
        Forged { controlling: None, controlled: Some(n), ..Forged::request(&ours, &theirs, n) }.bytes()
    };
    world.inject(A, SocketId(1), addr("192.0.2.9:9"), &heard(1)).unwrap();
    let report = world.sides[A].agent.report();
    assert_eq!(report.pairs.len(), 3);
    assert!(report.pairs.iter().any(|pair| pair.remote == addr("192.0.2.9:9")));
    // All three are being checked now: there is no room for another.
    world.run_for(ms(20));
    let result = world.inject(A, SocketId(1), addr("192.0.2.10:9"), &heard(2));
    assert_eq!(result, Err(Discard::Full));
    assert_eq!(world.sides[A].agent.report().pairs.len(), 3);
}

fn credentials(world: &World) -> (twocan_ice::Credentials, String) {
    let theirs = world.sides[B].agent.local_credentials().ufrag.clone();
    (world.sides[A].agent.local_credentials().clone(), theirs)
}

#[test]
fn remote_candidates_max() {
    let mut world = world(&Config { remote_candidates_max: 2, ..Config::default() });
    assert_eq!(world.tell(A, remote("192.0.2.1:1")), Ok(()));
    assert_eq!(world.tell(A, remote("192.0.2.1:2")), Ok(()));
    assert_eq!(world.tell(A, remote("192.0.2.1:2")), Ok(()), "it is known");
    assert_eq!(world.tell(A, remote("192.0.2.1:3")), Err(Discard::TooManyCandidates));
}

fn of_kind(address: &str, kind: &str) -> Candidate {
    match Candidate::parse(&remote(address).to_string().replace("host", kind)) {
        Ok(Parsed::Candidate(candidate)) => candidate,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_candidate_of_another_kind_or_family_takes_the_place_of_one_of_many() {
    let mut world = world(&Config::default());
    world.host(A, "198.51.100.1:5000", None);
    world.host(A, "[2001:db8::1]:5000", None);
    world.tell_credentials(A);
    for host in 0..200 {
        let _ = world.tell(A, remote(&format!("192.0.2.{host}:9")));
        // They are tried meanwhile.
        world.run_for(ms(10));
    }
    assert_eq!(world.tell(A, remote("203.0.113.1:9")), Err(Discard::TooManyCandidates));
    let rare = [("203.0.113.2:9", "srflx"), ("203.0.113.3:9", "relay"), ("2001:db8::2:9", "host")];
    for (address, kind) in rare {
        assert_eq!(world.tell(A, of_kind(address, kind)), Ok(()), "{kind}");
        assert_eq!(world.tell(A, of_kind(address, kind)), Ok(()), "it is known");
    }
    world.run_for(ms(50));
    for (address, _) in rare {
        let (ip, port) = address.rsplit_once(':').unwrap();
        let to = SocketAddr::new(ip.parse().unwrap(), port.parse().unwrap());
        assert!(world.sides[A].sent.iter().any(|(_, _, sent, _)| *sent == to), "{address} is checked");
    }
    assert!(world.sides[A].agent.report().pairs.len() <= Config::default().pairs_max);
}

#[test]
fn candidates_that_give_way_to_each_other_come_to_an_end() {
    let mut world = world(&Config { remote_candidates_max: 12, ..Config::default() });
    let mut taken = 0;
    for round in 0..50 {
        for (place, kind) in ["host", "srflx", "relay"].into_iter().enumerate() {
            let address = format!("192.0.2.{round}:{}", place + 1);
            taken += usize::from(world.tell(A, of_kind(&address, kind)).is_ok());
        }
    }
    assert_eq!(taken, 12, "as many of each are there, and none gives way to another");
}

#[test]
fn a_pair_that_is_the_first_of_its_kind_is_tried_however_many_are_under_check() {
    let mut world = world(&Config { pairs_max: 20, ..Config::default() });
    world.host(A, "198.51.100.1:5000", None);
    world.tell_credentials(A);
    for host in 0..40 {
        let _ = world.tell(A, remote(&format!("192.0.2.{host}:9")));
        world.run_for(ms(5));
    }
    assert_eq!(world.tell(A, of_kind("203.0.113.3:9", "relay")), Ok(()));
    world.run_for(ms(50));
    let to = addr("203.0.113.3:9");
    assert!(world.sides[A].sent.iter().any(|(_, _, sent, _)| *sent == to));
    assert_eq!(world.sides[A].agent.report().pairs.len(), 20);
}

#[test]
fn local_candidates_max() {
    let mut world = world(&Config { local_candidates_max: 2, ..Config::default() });
    world.host(A, "198.51.100.1:5000", None);
    world.host(A, "198.51.100.2:5000", None);
    let now = world.instant();
    let add = |world: &mut World, address: &str, component| {
        let mut foundations = Foundations::default();
        let preference = LocalPreference(1);
        let mut local = LocalCandidate::host(&mut foundations, SocketId(9), addr(address), preference);
        local.candidate.component = component;
        world.sides[A].agent.add_local_candidate(local, now)
    };
    assert_eq!(add(&mut world, "198.51.100.3:5000", 1), Err(Misuse::TooManyCandidates));
    assert_eq!(add(&mut world, "198.51.100.3:5000", 2), Err(Misuse::OtherComponent));
    assert_eq!(add(&mut world, "0.0.0.0:5000", 1), Err(Misuse::NotACandidate));
    world.sides[A].agent.close(now);
    assert_eq!(add(&mut world, "198.51.100.3:5000", 1), Err(Misuse::Closed));
}

#[test]
fn peer_reflexive_max() {
    let mut world = world(&Config { peer_reflexive_max: 2, ..Config::default() });
    world.host(A, "198.51.100.1:5000", None);
    world.tell_credentials(A);
    let (ours, theirs) = credentials(&world);
    let results: Vec<_> = (1..=3)
        .map(|n| {
            let forged =
                Forged { controlling: None, controlled: Some(n), ..Forged::request(&ours, &theirs, n) };
            world.inject(A, SocketId(1), SocketAddr::new([192, 0, 2, 1].into(), n as u16), &forged.bytes())
        })
        .collect();
    assert_eq!(results, [Ok(()), Ok(()), Err(Discard::Full)]);
}

#[test]
fn thirty_two_early_requests_are_kept() {
    let mut world = world(&Config::default());
    world.host(A, "198.51.100.1:5000", None);
    let (ours, theirs) = credentials(&world);
    let results: Vec<_> = (1..=33)
        .map(|n| {
            let forged =
                Forged { controlling: None, controlled: Some(n), ..Forged::request(&ours, &theirs, n) };
            world.inject(A, SocketId(1), SocketAddr::new([192, 0, 2, 1].into(), n as u16), &forged.bytes())
        })
        .collect();
    assert!(results[..32].iter().all(Result::is_ok));
    assert_eq!(results[32], Err(Discard::Full));
    world.tell_credentials(A);
    assert_eq!(world.sides[A].agent.report().pairs.len(), 32);
}

#[test]
fn sixty_four_streams_are_open_at_a_time() {
    let mut world = world(&Config::default());
    let socket = world.tcp(A, "198.51.100.1:443", TcpType::Passive);
    let now = world.instant();
    let agent = &mut world.sides[A].agent;
    for port in 1..=64 {
        agent.handle_stream_open(socket, SocketAddr::new([192, 0, 2, 1].into(), port), now);
        assert_eq!(agent.poll_command(), None);
    }
    agent.handle_stream_open(socket, addr("192.0.2.1:65"), now);
    assert_eq!(agent.poll_command(), Some(Command::CloseStream { socket, to: addr("192.0.2.1:65") }));
}

#[test]
fn a_kilobyte_is_embedded_at_most() {
    let mut world = world(&Config::default());
    let agent = &mut world.sides[A].agent;
    let (one, other) = (AttributeType(0xC070), AttributeType(0xC071));
    assert_eq!(agent.embed(one, Some(&[0; 1016])), Ok(()));
    assert_eq!(agent.embed(one, Some(&[0; 1017])), Err(Misuse::TooLong));
    assert_eq!(agent.embed(other, Some(&[])), Err(Misuse::TooLong));
    assert_eq!(agent.embed(one, Some(&[0; 900])), Ok(()));
    assert_eq!(agent.embed(other, Some(&[0; 16])), Ok(()));
    assert_eq!(agent.embed(AttributeType::FINGERPRINT, None), Err(Misuse::TooLong));
}

#[test]
fn a_pair_is_asked_requests_max_times() {
    let mut world = world(&Config { requests_max: 4, ..Config::default() });
    world.host(A, "198.51.100.1:5000", None);
    world.tell_credentials(A);
    world.tell(A, remote("192.0.2.1:1")).unwrap();
    world.run_for(ms(25_000));
    let at: Vec<u128> = world.sides[A].sent.iter().map(|(at, ..)| at.as_millis()).collect();
    assert_eq!(at, [0, 75, 150, 300], "1.5 round trips, the same again, then doubled");
}

#[test]
fn a_burst_goes_at_once_and_the_rest_in_steps_of_ta() {
    let mut world = world(&Config { burst: 4, requests_max: 1, ..Config::default() });
    world.host(A, "198.51.100.1:5000", None);
    world.tell_credentials(A);
    for port in 1..=8 {
        world.tell(A, remote(&format!("192.0.2.1:{port}"))).unwrap();
    }
    world.run_for(ms(1_000));
    let at: Vec<u128> = world.sides[A].sent.iter().map(|(at, ..)| at.as_millis()).collect();
    assert_eq!(at, [0, 0, 0, 0, 5, 10, 15, 20]);
}

#[test]
fn a_candidate_line_has_a_kilobyte_at_most() {
    let line = format!("candidate:1 1 udp 99 192.0.2.1 1 typ host x {}", "y".repeat(1024 - 44));
    assert_eq!(line.len(), Candidate::TEXT_LEN_MAX);
    assert!(Candidate::parse(&line).is_ok());
    assert_eq!(Candidate::parse(&format!("{line}y")), Err(ParseError::TooLong));
}
