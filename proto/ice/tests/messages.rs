//! Each message of an agent, and each it is given: who is answered, with what, and who is not.

mod world;

use twocan_ice::{Discard, Event, SocketId, State};
use twocan_stun::attribute::{UnknownAttributes, Username, XorMappedAddress};
use twocan_stun::{AttributeType, ErrorCode, IntegrityKey, Message};
use world::forge::{Forged, answer, code_of, is_request, refusal};
use world::{A, B, World, addr, ms};

const A_HOST: &str = "198.51.100.10:5000";
const B_HOST: &str = "198.51.100.20:5000";
const SOCKET: SocketId = SocketId(1);

/// A is controlling and was introduced to B, which never answers.
fn alone() -> World {
    let mut world = World::new(1, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world.net.ports.retain(|port| port.side == A);
    world.introduce(A);
    world.run_for(ms(1));
    world
}

/// What A answered last.
fn last(world: &World) -> &[u8] {
    &world.sides[A].sent.last().expect("A sent something").3
}

fn local(world: &World) -> twocan_ice::Credentials {
    world.sides[A].agent.local_credentials().clone()
}

fn ufrag_of_b(world: &World) -> String {
    world.sides[B].agent.local_credentials().ufrag.clone()
}

fn give(world: &mut World, forged: &Forged<'_>) -> Result<(), Discard> {
    world.inject(A, SOCKET, addr(B_HOST), &forged.bytes())
}

/// One that nobody knows.
const KIND: AttributeType = AttributeType(0xC070);

#[test]
fn a_request_says_all_that_rfc_8445_asks_for() {
    let world = alone();
    let request = Message::parse(last(&world)).unwrap();
    let theirs = world.sides[B].agent.local_credentials();
    let expected = format!("{}:{}", theirs.ufrag, local(&world).ufrag);
    assert_eq!(request.get::<Username>(), Ok(Some(Username(&expected))));
    assert!(request.has(AttributeType::PRIORITY) && request.has(AttributeType::ICE_CONTROLLING));
    assert!(!request.has(AttributeType::USE_CANDIDATE), "nothing is nominated before it is known to work");
    assert_eq!(request.verify_integrity(&IntegrityKey::short_term(&theirs.pwd)), Ok(()));
    assert_eq!(request.verify_fingerprint(), Ok(()));
}

#[test]
fn an_authentic_request_is_answered_with_the_address_it_came_from() {
    let mut world = alone();
    let (ours, theirs) = (local(&world), ufrag_of_b(&world));
    let mut request = Forged::request(&ours, &theirs, 1);
    (request.controlling, request.controlled) = (None, Some(1));
    let before = world.sides[A].sent.len();
    assert_eq!(give(&mut world, &request), Ok(()));
    let sent = &world.sides[A].sent[before..];
    let response = Message::parse(&sent[0].3).unwrap();
    assert_eq!(response.get::<XorMappedAddress>(), Ok(Some(XorMappedAddress(addr(B_HOST)))));
    assert_eq!(response.verify_integrity(&IntegrityKey::short_term(&ours.pwd)), Ok(()));
    assert_eq!(response.verify_fingerprint(), Ok(()));
    assert!(is_request(&sent[1].3), "and a check follows in the same instant");
    assert_eq!(sent.len(), 2);
}

#[test]
fn what_is_not_authentic_is_refused_and_leads_to_nothing() {
    let mut world = alone();
    let (ours, theirs) = (local(&world), ufrag_of_b(&world));
    let good = || {
        let mut request = Forged::request(&ours, &theirs, 1);
        (request.controlling, request.controlled) = (None, Some(1));
        request
    };
    let cases = [
        (Forged { username: None, ..good() }, Discard::Incomplete, ErrorCode::BAD_REQUEST),
        (Forged { pwd: None, ..good() }, Discard::Incomplete, ErrorCode::BAD_REQUEST),
        (Forged { pwd: Some("wrong"), ..good() }, Discard::Unauthenticated, ErrorCode::UNAUTHENTICATED),
        (
            Forged { username: Some(format!("x{}:{theirs}", ours.ufrag)), ..good() },
            Discard::Unauthenticated,
            ErrorCode::UNAUTHENTICATED,
        ),
        (Forged { priority: None, ..good() }, Discard::Incomplete, ErrorCode::BAD_REQUEST),
        (
            Forged { unknown: Some(0x7F01), ..good() },
            Discard::UnknownAttributes,
            ErrorCode::UNKNOWN_ATTRIBUTE,
        ),
    ];
    for (request, discard, code) in cases {
        let before = world.sides[A].sent.len();
        assert_eq!(give(&mut world, &request), Err(discard), "{request:?}");
        assert_eq!(world.sides[A].sent.len(), before + 1, "one answer, no check: {request:?}");
        assert_eq!(code_of(last(&world)), Some(code), "{request:?}");
        assert!(last(&world).len() <= request.bytes().len(), "never longer than what was sent: {request:?}");
    }
    let unknown = Message::parse(last(&world)).unwrap().get::<UnknownAttributes<'_>>().unwrap().unwrap();
    assert_eq!(unknown.iter().collect::<Vec<_>>(), [AttributeType(0x7F01)]);
    let pair = &world.sides[A].agent.report().pairs[0];
    assert_eq!((pair.requests_heard, pair.requests_sent), (0, 1));
}

#[test]
fn a_wrong_fingerprint_is_not_answered() {
    let mut world = alone();
    let (ours, theirs) = (local(&world), ufrag_of_b(&world));
    let request = Forged { fingerprint: false, ..Forged::request(&ours, &theirs, 1) };
    let before = world.sides[A].sent.len();
    assert_eq!(give(&mut world, &request), Err(Discard::Fingerprint));
    let mut bytes = Forged::request(&ours, &theirs, 1).bytes();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(world.inject(A, SOCKET, addr(B_HOST), &bytes), Err(Discard::Fingerprint));
    assert_eq!(world.sides[A].sent.len(), before);
}

#[test]
fn refusals_of_what_is_not_authentic_are_metered() {
    let mut world = alone();
    let (ours, theirs) = (local(&world), ufrag_of_b(&world));
    let request = Forged { pwd: Some("wrong"), ..Forged::request(&ours, &theirs, 1) };
    let before = world.sides[A].sent.len();
    for _ in 0..1_000 {
        assert_eq!(give(&mut world, &request), Err(Discard::Unauthenticated));
    }
    assert_eq!(world.sides[A].sent.len(), before + 10);
}

#[test]
fn what_nobody_asked_for_is_left_to_gathering() {
    let mut world = alone();
    let request = Forged { id: 77, ..Forged::request(&local(&world), "x", 1) }.bytes();
    let stray = answer(&request, addr(A_HOST), None);
    assert_eq!(world.inject(A, SOCKET, addr(B_HOST), &stray), Err(Discard::NotForUs));
    assert_eq!(world.inject(A, SOCKET, addr(B_HOST), b"\x16\xfe\xfd"), Err(Discard::Malformed));
    let unknown_socket = world.inject(A, SocketId(99), addr(B_HOST), &request);
    assert_eq!(unknown_socket, Err(Discard::UnknownSocket));
}

#[test]
fn an_answer_counts_only_if_authentic_and_from_where_it_was_asked() {
    let mut world = alone();
    let second = world.host(A, "198.51.100.11:5000", None);
    let request = world.sides[A].sent[0].3.clone();
    let pwd = world.sides[B].agent.local_credentials().pwd.clone();
    let b = addr(B_HOST);
    let good = answer(&request, addr(A_HOST), Some(&pwd));
    let forged = answer(&request, addr(A_HOST), Some("guessed, and wrong as it is"));
    let bare = answer(&request, addr(A_HOST), None);
    assert_eq!(world.inject(A, SOCKET, b, &forged), Err(Discard::Unauthenticated));
    assert_eq!(world.inject(A, SOCKET, b, &bare), Err(Discard::Unauthenticated));
    assert_eq!(world.inject(A, SOCKET, addr("198.51.100.66:5000"), &good), Err(Discard::Asymmetric));
    assert_eq!(world.inject(A, second, b, &good), Err(Discard::Asymmetric));
    assert!(!world.sides[A].agent.is_validated(SOCKET, b));
    assert!(!world.sides[A].agent.is_validated(SOCKET, addr("198.51.100.66:5000")));
    assert_eq!(world.inject(A, SOCKET, b, &good), Ok(()));
    assert!(world.sides[A].agent.is_validated(SOCKET, b));
    assert_eq!(world.inject(A, SOCKET, b, &good), Err(Discard::NotForUs), "a replay answers nothing");
}

#[test]
fn a_refusal_is_believed_only_if_authentic_or_if_it_cannot_be() {
    for (code, pwd, believed) in [
        (ErrorCode::UNAUTHENTICATED, false, true),
        (ErrorCode::BAD_REQUEST, false, true),
        (ErrorCode::ROLE_CONFLICT, false, false),
        (ErrorCode::ROLE_CONFLICT, true, true),
        (ErrorCode::SERVER_ERROR, false, false),
    ] {
        let mut world = alone();
        let request = world.sides[A].sent[0].3.clone();
        let theirs = world.sides[B].agent.local_credentials().pwd.clone();
        let bytes = refusal(&request, code, pwd.then_some(&theirs));
        let expected = if believed { Discard::Refused(code) } else { Discard::Unauthenticated };
        assert_eq!(world.inject(A, SOCKET, addr(B_HOST), &bytes), Err(expected));
        let switched = world.sides[A].events.iter().any(|(_, event)| matches!(event, Event::RoleChanged(_)));
        assert_eq!(switched, believed && code == ErrorCode::ROLE_CONFLICT);
    }
}

#[test]
fn bytes_ride_in_requests_and_answers() {
    let mut world = World::new(2, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world.sides[A].agent.embed(KIND, Some(b"client hello")).unwrap();
    world.sides[B].agent.embed(KIND, Some(b"server hello")).unwrap();
    world.meet();
    world.run_for(ms(50));
    let got = |side: usize, bytes: &[u8]| {
        world.sides[side].has(&Event::Embedded { kind: KIND, bytes: bytes.to_vec() })
    };
    assert!(got(A, b"server hello") && got(B, b"client hello"));
    world.sides[A].agent.embed(KIND, None).unwrap();
    let before = world.sides[A].events.len();
    world.run_for(ms(20_000));
    let later = &world.sides[A].events[before..];
    assert!(!later.iter().any(|(_, event)| matches!(event, Event::Embedded { .. })), "closed again");
    assert_eq!(world.states(), [State::Completed; 2]);
}

#[test]
fn what_is_heard_is_read_and_nothing_is_sent_in_it() {
    let mut world = World::new(2, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world.sides[A].agent.embed(KIND, Some(b"client hello")).unwrap();
    world.sides[B].agent.hear(KIND);
    world.meet();
    world.run_for(ms(500));
    let bytes = b"client hello".to_vec();
    assert!(world.sides[B].has(&Event::Embedded { kind: KIND, bytes }));
    let embedded = |(_, event): &(_, Event)| matches!(event, Event::Embedded { .. });
    assert!(!world.sides[A].events.iter().any(embedded), "nothing was sent");
}

#[test]
fn a_peer_that_nominates_whatever_it_checks_is_followed_to_the_direct_pair() {
    let mut world = World::new(3, ms(50));
    world.host(A, A_HOST, None);
    let ours = local(&world);
    world.sides[B].candidates.clear();
    world.host(B, B_HOST, None);
    let relay = world.relayed(B, "198.51.100.9:5000", ms(5));
    let _ = relay;
    world.net.ports.retain(|port| port.side == A);
    world.introduce(A);
    world.run_for(ms(1));
    let theirs = world.sides[B].agent.local_credentials().clone();
    // The direct pair works and is nominated first, the relayed one half a second later.
    for (from, id) in [(B_HOST, 1), ("198.51.100.9:5000", 2)] {
        let request = Forged {
            nominate: true,
            controlling: Some(u64::MAX),
            ..Forged::request(&ours, &theirs.ufrag, id)
        };
        world.inject(A, SOCKET, addr(from), &request.bytes()).unwrap();
        let asked =
            world.sides[A].sent.iter().rev().find(|(_, _, to, bytes)| *to == addr(from) && is_request(bytes));
        let response = answer(&asked.unwrap().3.clone(), addr(A_HOST), Some(&theirs.pwd));
        world.inject(A, SOCKET, addr(from), &response).unwrap();
        world.run_for(ms(100));
    }
    assert_eq!(world.sides[A].agent.selected().unwrap().remote, addr(B_HOST));
    // Later it is meant, also where the direct pair's nomination was repeated by a consent check a moment before.
    world.run_for(ms(3_000));
    for (from, id) in [(B_HOST, 3), ("198.51.100.9:5000", 4), (B_HOST, 5), ("198.51.100.9:5000", 6)] {
        let request = Forged {
            nominate: true,
            controlling: Some(u64::MAX),
            ..Forged::request(&ours, &theirs.ufrag, id)
        };
        world.inject(A, SOCKET, addr(from), &request.bytes()).unwrap();
        world.run_for(ms(200));
        let followed = world.sides[A].agent.selected().unwrap().remote;
        match id {
            4 => assert_eq!(followed, addr("198.51.100.9:5000")),
            // And back again, at once: of nominations so near to each other the direct way is followed.
            5 | 6 => assert_eq!(followed, addr(B_HOST)),
            _ => {}
        }
    }
    world.run_for(ms(2_500));
    let request =
        Forged { nominate: true, controlling: Some(u64::MAX), ..Forged::request(&ours, &theirs.ufrag, 7) };
    world.inject(A, SOCKET, addr("198.51.100.9:5000"), &request.bytes()).unwrap();
    assert_eq!(world.sides[A].agent.selected().unwrap().remote, addr("198.51.100.9:5000"));
}

/// A controlled B, with the direct address of A and that of A's relay.
fn hurried(is_patient: bool) -> (World, twocan_ice::Credentials, String) {
    let mut world = World::new(4, ms(50));
    world.host(A, A_HOST, None);
    world.relayed(A, RELAY, ms(5));
    world.host(B, B_HOST, None);
    world.net.ports.retain(|port| port.side == B);
    world.sides[B].agent.set_patient(is_patient);
    world.introduce(B);
    world.run_for(ms(1));
    let ours = world.sides[B].agent.local_credentials().clone();
    let theirs = world.sides[A].agent.local_credentials().ufrag.clone();
    (world, ours, theirs)
}

const RELAY: &str = "198.51.100.9:5000";

#[test]
fn who_keeps_the_first_pair_that_answers_gets_no_answer_by_a_relay_before_direct_pairs_had_their_time() {
    let ask =
        |world: &mut World, from: &str, nominate: bool, ours: &twocan_ice::Credentials, theirs: &str, id| {
            let forged =
                Forged { nominate, controlling: Some(u64::MAX), ..Forged::request(ours, theirs, id) };
            world.inject(B, SOCKET, addr(from), &forged.bytes())
        };
    let (mut world, ours, theirs) = hurried(true);
    assert_eq!(ask(&mut world, RELAY, true, &ours, &theirs, 1), Err(Discard::Hasty));
    world.run_for(ms(500));
    // The direct one is answered at once, and so is who asks before he nominates.
    assert_eq!(ask(&mut world, A_HOST, true, &ours, &theirs, 2), Ok(()));
    assert_eq!(ask(&mut world, RELAY, true, &ours, &theirs, 1), Err(Discard::Hasty));
    world.run_for(ms(200));
    assert_eq!(ask(&mut world, RELAY, true, &ours, &theirs, 1), Ok(()));

    let (mut world, ours, theirs) = hurried(true);
    assert_eq!(ask(&mut world, RELAY, false, &ours, &theirs, 1), Ok(()));
    assert_eq!(ask(&mut world, RELAY, true, &ours, &theirs, 2), Ok(()));

    let (mut world, ours, theirs) = hurried(false);
    assert_eq!(ask(&mut world, RELAY, true, &ours, &theirs, 1), Ok(()));
}
