//! A connection that cannot be says why, in the words of docs/protocol.md §1.7, and in time.

mod world;

use std::time::Duration;

use twocan_rtc::gather::TransportPolicy;
use twocan_rtc::{Alert, CloseReason, Config, ConnectionState, Event, FailReason, Signal};
use world::*;

const RELAY: &str = "5.0.0.1";

/// Two behind symmetric NATs.
fn symmetric(change: impl Fn(usize, &mut Config)) -> World {
    let mut world = World::new(1, Net::default());
    world.add_relay(RELAY);
    let rule = Rule::AddressAndPortDependent;
    let (a, b) = (world.add_nat("8.0.0.1", rule, rule), world.add_nat("9.0.0.1", rule, rule));
    let ada = [Interface::behind(a, "192.168.1.2", 1)];
    let bob = [Interface::behind(b, "192.168.2.2", 2)];
    world.two(&ada, &bob, change);
    world
}

/// Ada offers, and fails within `limit`: when, and why.
#[track_caller]
fn failure(world: &mut World, limit: Duration) -> (Duration, FailReason) {
    world.offer(ADA);
    assert!(world.run_until(limit, |world| world.peers[ADA].failure().is_some()), "{}", world.describe());
    assert!(world.peers[ADA].states().contains(&ConnectionState::Failed));
    (world.elapsed(), world.peers[ADA].failure().expect("it failed"))
}

#[test]
fn without_a_relay_two_symmetric_nats_fail_with_checks_failed() {
    let mut world = symmetric(|_, config| config.servers = vec![server(&["stun:5.0.0.1"])]);
    let (took, reason) = failure(&mut world, ms(20_001));
    assert!(matches!(reason, FailReason::ChecksFailed | FailReason::Timeout), "{reason:?}");
    assert!(took <= ms(20_000), "{took:?}");
    let verdict = world.peers[ADA]
        .events
        .iter()
        .find_map(|(_, event)| if let Event::Failed { verdict, .. } = event { *verdict } else { None });
    assert!(verdict.is_some());
}

#[test]
fn a_wrong_password_at_the_only_relay_is_said() {
    let mut world = symmetric(|_, config| {
        let mut wrong = server(&["turn:5.0.0.1"]);
        wrong.credential = "wrong".into();
        config.servers = vec![wrong];
    });
    let (_, reason) = failure(&mut world, ms(20_001));
    assert_eq!(reason, FailReason::TurnRejected);
    let codes: Vec<u16> = world.peers[ADA]
        .events
        .iter()
        .filter_map(
            |(_, event)| if let Event::CandidateError { code, .. } = event { Some(*code) } else { None },
        )
        .collect();
    assert!(codes.contains(&401), "{codes:?}");
}

#[test]
fn a_wrong_password_where_only_relays_are_wanted_fails_at_once() {
    let mut world = symmetric(|_, config| {
        let mut wrong = server(&["turn:5.0.0.1"]);
        wrong.credential = "wrong".into();
        config.servers = vec![wrong];
        config.policy = TransportPolicy::Relay;
    });
    let (took, reason) = failure(&mut world, ms(20_001));
    assert_eq!(reason, FailReason::TurnRejected);
    assert!(took < ms(1_000), "{took:?}");
}

#[test]
fn a_relay_out_of_reach_is_said() {
    let mut world = symmetric(|_, config| config.servers = vec![server(&["turn:5.0.0.1"])]);
    world.relays[0].is_dead = true;
    let (_, reason) = failure(&mut world, ms(20_001));
    assert_eq!(reason, FailReason::TurnUnreachable);
}

#[test]
fn a_stun_server_out_of_reach_costs_nothing_where_it_is_not_needed() {
    let mut world = World::new(1, Net::default());
    world.add_relay(RELAY);
    world.relays[0].is_dead = true;
    let servers = vec![server(&["stun:5.0.0.1"])];
    let ada = [Interface::public("8.0.0.1")];
    let channels =
        world.two(&ada, &[Interface::public("9.0.0.1")], |_, config| config.servers = servers.clone());
    let took = world.connect(ms(2_000));
    assert!(took < ms(400), "{took:?}");
    world.talk(channels);
    world.run_for(ms(60_000));
    assert!(world.is_up());
}

#[test]
fn a_device_without_an_address_says_so_at_once() {
    let mut world = World::new(1, Net::default());
    world.two(&[], &[Interface::public("9.0.0.1")], |_, _| ());
    let (took, reason) = failure(&mut world, ms(20_001));
    assert_eq!(reason, FailReason::NoCandidates);
    assert_eq!(took, ms(0));
}

#[test]
fn a_side_that_hears_nothing_says_that_the_other_sent_no_address() {
    let mut world = World::new(1, Net::default());
    world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |_, _| ());
    world.is_signaling_up = false;
    let (took, reason) = failure(&mut world, ms(20_001));
    assert_eq!(reason, FailReason::NoRemoteCandidates);
    assert_eq!(took, ms(20_000));
}

#[test]
fn a_side_that_knows_that_its_signals_do_not_arrive_says_that() {
    let mut world = World::new(1, Net::default());
    world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |_, _| ());
    world.is_signaling_up = false;
    world.with(ADA, |connection, _| connection.handle_signaling(false));
    assert_eq!(failure(&mut world, ms(20_001)).1, FailReason::SignalingLost);
}

#[test]
fn a_description_that_is_none_makes_the_two_incompatible() {
    let mut world = World::new(1, Net::default());
    world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |_, _| ());
    world.peers[BOB].tamper = Box::new(|signal| match signal {
        Signal::Description(description) => {
            let sdp = description.sdp.replace("webrtc-datachannel", "webrtc-telepathy");
            Some(Signal::Description(twocan_rtc::Description { sdp, ..description }))
        }
        other => Some(other),
    });
    let (took, reason) = failure(&mut world, ms(20_001));
    assert_eq!(reason, FailReason::Incompatible);
    assert_eq!(took, ms(50));
}

#[test]
fn a_certificate_with_another_fingerprint_ends_the_connection() {
    let mut world = World::new(1, Net::default());
    let channels = world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |_, _| ());
    let real = certificate(BOB).fingerprint().to_string();
    world.peers[BOB].tamper = Box::new(move |signal| match signal {
        Signal::Description(description) => {
            let other = certificate(ADA).fingerprint().to_string();
            let sdp = description.sdp.replace(&real, &other);
            Some(Signal::Description(twocan_rtc::Description { sdp, ..description }))
        }
        other => Some(other),
    });
    world.send(BOB, channels[BOB][0], b"for ada alone".to_vec());
    let (took, reason) = failure(&mut world, ms(20_001));
    assert_eq!(reason, FailReason::DtlsFailed);
    assert!(took < ms(1_000), "{took:?}");
    assert!(world.peers[ADA].is_closed());
    assert!(world.peers[ADA].messages.is_empty());
    // Both know why, and both at once.
    world.run_for(ms(1_000));
    assert_eq!(world.peers[BOB].failure(), Some(FailReason::DtlsFailed));
    let why = |world: &World, who: usize| world.peers[who].connection.close_reason();
    assert_eq!(why(&world, ADA), Some(CloseReason::FingerprintMismatch));
    assert_eq!(why(&world, BOB), Some(CloseReason::PeerRefused(Alert::BAD_CERTIFICATE)));
}

#[test]
fn an_alert_fails_the_connection_at_once_and_is_told_by_its_name() {
    let mut world = World::new(1, Net::default());
    world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |_, _| ());
    // Whatever the other side says in its handshake is the alert of one that has an RSA certificate alone.
    world.rewrite = Some(Box::new(|bytes| {
        let is_answer = matches!(bytes, [22, _, _, 0, 0, _, _, _, _, _, _, _, _, 2, ..]);
        is_answer.then(|| vec![21, 254, 253, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 2, 40])
    }));
    world.offer(ADA);
    let failed = |world: &World| [ADA, BOB].into_iter().find(|who| world.peers[*who].failure().is_some());
    assert!(world.run_until(ms(2_000), |world| failed(world).is_some()), "{}", world.describe());
    let who = failed(&world).expect("one failed");
    assert_eq!(world.peers[who].failure(), Some(FailReason::DtlsFailed));
    let why = world.peers[who].connection.close_reason().expect("it is over");
    assert_eq!(why, CloseReason::PeerRefused(Alert::HANDSHAKE_FAILURE));
    assert!(why.to_string().contains("handshake_failure"));
}

#[test]
fn a_handshake_that_gets_nowhere_is_said_in_time() {
    let mut world = World::new(1, Net::default());
    world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |_, _| ());
    // DTLS is lost, STUN is not.
    world.filter = Box::new(|_, _, bytes| bytes[0] < 20);
    let (took, reason) = failure(&mut world, ms(20_001));
    assert_eq!(reason, FailReason::DtlsFailed);
    assert_eq!(took, ms(20_000));
}

#[test]
fn the_words_are_those_of_the_protocol() {
    let text = include_str!("../../../docs/protocol.md");
    let words = text.split("Reasons a link fails:").nth(1).unwrap();
    for reason in [
        FailReason::NoCandidates,
        FailReason::NoRemoteCandidates,
        FailReason::TurnRejected,
        FailReason::TurnUnreachable,
        FailReason::ChecksFailed,
        FailReason::Timeout,
        FailReason::DtlsFailed,
        FailReason::PeerLeft,
        FailReason::SignalingLost,
        FailReason::Incompatible,
    ] {
        assert!(words.contains(&format!("`{}`", reason.word())), "{reason:?}");
    }
}
