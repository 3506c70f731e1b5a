//! The client, through its own doors, against our server: allocating, keeping, losing, relaying.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;
mod story;

use std::time::Duration;

use kit::{PEER, PEER_V6, World, addr};
use story::{Story, ada};
use twocan_stun::attribute::{AlternateServer, ErrorReply, Nonce, PasswordAlgorithm, Realm};
use twocan_stun::{Builder, Class, ErrorCode, Message, Method};
use twocan_turn::client::{Client, Config, Discard, Event, Failure, SendError, limits};
use twocan_turn::{Family, Transport, wire};

fn minutes(n: u64) -> u64 {
    n * 60_000
}

#[test]
fn two_round_trips_bring_an_allocation() {
    let mut story = Story::new(ada());
    let relayed = story.allocate();
    assert_eq!(relayed.ip(), addr("192.0.2.5:0").ip());
    let mapped = Some(addr(story::CLIENT));
    assert_eq!(story.events, [(50, Event::Challenged), (100, Event::Allocated { relayed, mapped })]);
}

#[test]
fn requests_are_signed_with_sha_256_where_the_server_offers_it() {
    let mut story = Story::new(ada());
    story.allocate();
    let signed = Message::parse(&story.sent[1]).unwrap();
    let chosen = signed.get::<PasswordAlgorithm<'_>>().unwrap().unwrap();
    assert_eq!(chosen.algorithm, twocan_stun::attribute::Algorithm::SHA256);
    assert!(signed.has(twocan_stun::AttributeType::MESSAGE_INTEGRITY_SHA256));
    assert!(!signed.has(twocan_stun::AttributeType::MESSAGE_INTEGRITY));
}

#[test]
fn a_server_before_rfc_8489_is_signed_for_with_md5_and_sha_1() {
    let mut story = Story::new(ada());
    story.drain();
    let request = Message::parse(&story.sent[0]).unwrap();
    let mut buffer = [0; 256];
    let reply = ErrorReply::bare(ErrorCode::UNAUTHENTICATED);
    let mut builder = Builder::error(&mut buffer, &request, reply).unwrap();
    builder.add(&Realm("old")).unwrap().add(&Nonce(b"an old nonce")).unwrap();
    let answer = builder.finish().to_vec();
    story.deliver(&answer);
    story.drain();
    let signed = Message::parse(&story.sent[1]).unwrap();
    let key = twocan_stun::IntegrityKey::long_term("ada", "old", "lovelace");
    assert_eq!(signed.verify_integrity(&key), Ok(()));
    assert!(!signed.has(twocan_stun::AttributeType::PASSWORD_ALGORITHM));
}

#[test]
fn an_offer_of_algorithms_that_was_taken_out_is_noticed() {
    let story = Story::new(ada());
    let request = Message::parse(&story.sent[0]).unwrap();
    let mut buffer = [0; 256];
    let reply = ErrorReply::bare(ErrorCode::UNAUTHENTICATED);
    let mut builder = Builder::error(&mut buffer, &request, reply).unwrap();
    builder.add(&Realm("twocan")).unwrap().add(&Nonce(b"obMatJos2gAAAabcdef")).unwrap();
    let answer = builder.finish().to_vec();
    let mut client = story.client;
    assert_eq!(client.handle_packet(&answer, story.world.now), Err(Discard::BidDown));
}

#[test]
fn a_client_that_holds_costs_the_server_nothing_until_it_may_proceed() {
    let mut story = Story::new(Config { hold: true, ..ada() });
    story.t(5_000);
    assert_eq!(story.kinds(), [Event::Challenged]);
    assert_eq!(story.ports_opened(), 0);
    story.client.proceed(story.world.now);
    story.t(5_050);
    assert!(story.client.relayed().is_some());
}

#[test]
fn an_ipv6_address_is_asked_for_by_family() {
    let mut story = Story::new(Config { family: Family::V6, ..ada() });
    assert!(story.allocate().is_ipv6());
    story.send(PEER_V6, b"six");
    story.t(200);
    assert_eq!(story.at_peers, [(addr(PEER_V6), b"six".to_vec())]);
    let mut out = vec![];
    let sent = story.client.send(addr(PEER), b"four", &mut out, story.world.now);
    assert_eq!(sent, Err(SendError::Unreachable));
    assert!(out.is_empty());
}

#[test]
fn the_first_data_follows_its_permission_at_once() {
    let mut story = Story::new(ada());
    story.allocate();
    story.send(PEER, b"first");
    story.t(125);
    assert_eq!(story.at_peers, [(addr(PEER), b"first".to_vec())], "half a round trip later");
}

#[test]
fn a_permission_asked_for_ahead_lets_the_peer_in() {
    let mut story = Story::new(ada());
    story.client.permit(&[addr(PEER).ip(), addr("8.8.4.4:0").ip()], story.world.now);
    story.allocate();
    story.t(200);
    story.peer_sends(PEER, b"hello");
    story.t(300);
    assert_eq!(story.received, [(addr(PEER), b"hello".to_vec())]);
}

#[test]
fn a_peer_that_has_sent_something_gets_a_channel() {
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        let mut story = Story::new(Config { transport, ..ada() });
        story.allocate();
        story.send(PEER, b"ping!");
        story.t(200);
        story.peer_sends(PEER, b"pong");
        story.t(300);
        story.send(PEER, b"ping!");
        let sent = story.sent.last().unwrap().clone();
        assert!(wire::is_channel_data(sent[0]));
        assert_eq!(sent.len(), if transport == Transport::Udp { 9 } else { 12 }, "padded in a stream");
        story.peer_sends(PEER, b"pong2");
        story.t(400);
        assert!(wire::is_channel_data(story.answers.last().unwrap()[0]));
        assert_eq!(story.received.last().unwrap(), &(addr(PEER), b"pong2".to_vec()));
        assert_eq!(story.at_peers.last().unwrap(), &(addr(PEER), b"ping!".to_vec()));
    }
}

#[test]
fn an_allocation_and_its_channel_outlive_their_lifetimes() {
    let mut story = Story::new(ada());
    let relayed = story.allocate();
    story.send(PEER, b"ping");
    story.t(200);
    story.peer_sends(PEER, b"pong");
    for minute in 1..60 {
        story.t(minutes(minute));
        story.send(PEER, b"ping");
        story.peer_sends(PEER, b"pong");
    }
    story.t(minutes(60));
    assert_eq!(story.client.relayed(), Some(relayed));
    assert_eq!(story.received.len(), 60);
    assert_eq!(story.at_peers.len(), 60);
    assert_eq!(story.ports_opened(), 1);
    assert_eq!(story.kinds().len(), 2, "nothing was lost: {:?}", story.events);
}

#[test]
fn what_is_no_longer_used_is_no_longer_asked_for() {
    let mut story = Story::new(ada());
    story.allocate();
    story.send(PEER, b"ping");
    story.t(minutes(4) + 1_000);
    let before = story.sent.iter().filter(|sent| method_of(sent) == Some(Method::CREATE_PERMISSION)).count();
    assert_eq!(before, 2, "used once, renewed once");
    story.t(minutes(30));
    let after = story.sent.iter().filter(|sent| method_of(sent) == Some(Method::CREATE_PERMISSION)).count();
    assert_eq!(after, before);
    story.send(PEER, b"again");
    story.t(minutes(30) + 100);
    assert_eq!(story.at_peers.last().unwrap().1, b"again");
}

#[test]
fn a_channel_that_rested_is_bound_again_when_the_peer_speaks() {
    let mut story = Story::new(ada());
    story.allocate();
    story.send(PEER, b"ping");
    story.t(200);
    story.peer_sends(PEER, b"pong");
    story.t(minutes(20));
    story.send(PEER, b"ping");
    assert!(!wire::is_channel_data(story.sent.last().unwrap()[0]), "it may have expired");
    story.t(minutes(20) + 100);
    story.peer_sends(PEER, b"pong");
    story.t(minutes(20) + 200);
    story.send(PEER, b"ping");
    assert_eq!(&story.sent.last().unwrap()[..2], [0x40, 0x00], "the number is the peer's");
}

#[test]
fn everything_comes_to_be_under_heavy_loss() {
    for seed in 0..40 {
        let mut story = Story::in_world(World::new(), ada(), seed);
        story.loss_percent = 20;
        story.t(10_000);
        // Seeds that lose six requests or answers in a row fail, and say so.
        if story.client.relayed().is_none() {
            assert!(story.kinds().contains(&Event::Failed(Failure::TimedOut)), "seed {seed}");
            continue;
        }
        for minute in 1..30 {
            story.t(minutes(minute));
            story.send(PEER, b"ping");
            story.t(minutes(minute) + 200);
            story.peer_sends(PEER, b"pong");
        }
        assert!(story.at_peers.len() > 12, "seed {seed}: {} of 29", story.at_peers.len());
        assert!(story.received.len() > 12, "seed {seed}: {} of 29", story.received.len());
        assert_eq!(story.ports_opened(), 1, "seed {seed}");
    }
}

#[test]
fn packets_out_of_order_and_twice_change_nothing() {
    for seed in 0..40 {
        let mut story = Story::in_world(World::new(), ada(), seed);
        story.jitter_ms = 400;
        story.twice_percent = 30;
        story.t(5_000);
        let relayed = story.client.relayed();
        assert!(relayed.is_some(), "seed {seed}");
        for minute in 1..60 {
            story.t(minutes(minute));
            story.send(PEER, b"ping");
            story.t(minutes(minute) + 3_000);
            story.peer_sends(PEER, b"pong");
        }
        story.t(minutes(60));
        // The first may overtake its permission.
        assert!(story.at_peers.len() >= 58, "seed {seed}: {}", story.at_peers.len());
        assert!(story.received.len() >= 59, "seed {seed}: {}", story.received.len());
        assert_eq!(story.client.relayed(), relayed, "seed {seed}");
        assert_eq!(story.kinds().len(), 2, "seed {seed}: {:?}", story.events);
    }
}

#[test]
fn a_stale_nonce_is_replaced() {
    let mut story = Story::new(ada());
    let relayed = story.allocate();
    // The server's nonces last an hour, and it is refreshed every nine minutes.
    story.t(minutes(180));
    assert_eq!(story.client.relayed(), Some(relayed));
    let stale = story.answers.iter().filter(|answer| code_of(answer) == Some(ErrorCode::STALE_NONCE));
    assert!(stale.count() >= 2);
}

#[test]
fn a_server_that_was_started_anew_gives_another_allocation() {
    let mut story = Story::new(ada());
    let first = story.allocate();
    story.send(PEER, b"before");
    story.t(200);
    story.peer_sends(PEER, b"before");
    story.t(minutes(1));
    assert_eq!(story.received.len(), 1);
    story.restart_server();
    story.client.refresh(story.world.now);
    story.t(minutes(1) + 1_000);
    let second = story.client.relayed().unwrap();
    assert_ne!(first, second);
    let kinds = story.kinds();
    assert_eq!(kinds[2], Event::Lost);
    assert!(matches!(kinds[3], Event::Reallocated { relayed, .. } if relayed == second));
    story.peer_sends(PEER, b"hello");
    story.t(minutes(1) + 2_000);
    assert_eq!(story.received.len(), 2, "permissions are asked for again");
    story.at_peers.clear();
    story.send(PEER, b"after");
    story.t(minutes(1) + 3_000);
    assert_eq!(
        story.at_peers,
        [(addr(PEER), b"after".to_vec())],
        "and channels are no longer what they were"
    );
}

#[test]
fn a_server_started_anew_is_noticed_without_being_told() {
    let mut story = Story::new(ada());
    story.allocate();
    story.restart_server();
    story.t(minutes(10));
    assert!(story.kinds().iter().any(|event| matches!(event, Event::Reallocated { .. })));
}

#[test]
fn a_server_that_is_away_for_a_while_is_waited_for() {
    let mut story = Story::new(ada());
    let relayed = story.allocate();
    story.t(minutes(9) - 1_000);
    story.is_cut = true;
    story.t(minutes(9) + 15_000);
    story.is_cut = false;
    story.t(minutes(10));
    assert_eq!(story.client.relayed(), Some(relayed));
    assert_eq!(story.kinds().len(), 2);
}

#[test]
fn a_server_that_is_gone_is_given_up() {
    let mut story = Story::new(ada());
    story.allocate();
    story.is_cut = true;
    story.t(minutes(12));
    let kinds = story.kinds();
    assert_eq!(kinds[2..], [Event::Lost, Event::Failed(Failure::TimedOut)]);
    assert!(story.client.is_ended());
    assert_eq!(story.client.poll_timeout(), None);
}

#[test]
fn a_silent_server_fails_after_ten_seconds() {
    let mut story = Story::new(ada());
    story.is_cut = true;
    story.t(9_999);
    assert!(story.events.is_empty());
    story.t(10_100);
    assert_eq!(story.kinds(), [Event::Failed(Failure::TimedOut)]);
    assert_eq!(story.sent.len(), 6);
}

#[test]
fn a_wrong_password_fails_at_once() {
    let mut story = Story::new(Config::new("ada", "byron"));
    story.t(100);
    assert_eq!(story.kinds(), [Event::Challenged, Event::Failed(Failure::WrongCredentials)]);
    assert_eq!(Failure::WrongCredentials.code(), Some(ErrorCode::UNAUTHENTICATED));
}

#[test]
fn a_full_server_says_so() {
    let world = World::with(|config| config.limits.allocations_per_user = 0);
    let mut story = Story::in_world(world, ada(), 1);
    story.t(100);
    let refused = Failure::Refused(ErrorCode::ALLOCATION_QUOTA_REACHED);
    assert_eq!(story.kinds()[1], Event::Failed(refused));
    let world = World::with(|config| config.limits.allocations = 0);
    let mut story = Story::in_world(world, ada(), 1);
    story.t(100);
    assert_eq!(story.kinds()[1], Event::Failed(Failure::Refused(ErrorCode::INSUFFICIENT_CAPACITY)));
}

#[test]
fn an_allocation_left_over_on_the_port_is_freed_first() {
    let mut story = Story::new(ada());
    let first = story.allocate();
    // The program was started anew, and got the same port.
    story.client = Client::new(ada(), [9; 32], story.world.now);
    story.t(400);
    let second = story.client.relayed().unwrap();
    assert_ne!(first, second);
    assert_eq!(story.world.open_ports().len(), 1);
}

#[test]
fn an_allocation_of_somebody_else_on_the_port_is_said() {
    let mut story = Story::new(ada());
    story.allocate();
    story.client = Client::new(Config::new("bob", "builder"), [9; 32], story.world.now);
    story.t(400);
    assert_eq!(*story.kinds().last().unwrap(), Event::Failed(Failure::FiveTupleTaken));
}

#[test]
fn a_peer_that_the_server_denies_is_refused_alone() {
    let mut story = Story::new(ada());
    story.allocate();
    let denied = addr("127.0.0.1:5000");
    story.client.permit(&[addr(PEER).ip(), denied.ip()], story.world.now);
    story.t(150);
    let refused = Event::PeerRefused { peer: denied.ip(), code: ErrorCode::FORBIDDEN };
    assert_eq!(story.kinds()[2..], [refused]);
    story.peer_sends(PEER, b"hello");
    story.t(400);
    assert_eq!(story.received.len(), 1, "the other was let in");
    let mut out = vec![];
    assert_eq!(story.client.send(denied, b"x", &mut out, story.world.now), Err(SendError::Refused));
    story.t(1_400);
    assert_eq!(
        story.client.send(denied, b"x", &mut out, story.world.now),
        Ok(()),
        "asked again after a second"
    );
}

#[test]
fn another_server_is_named_and_not_asked_by_this_client() {
    let mut story = Story::new(ada());
    let request = Message::parse(&story.sent[0]).unwrap();
    let mut buffer = [0; 256];
    let reply = ErrorReply::bare(ErrorCode::TRY_ALTERNATE);
    let mut builder = Builder::error(&mut buffer, &request, reply).unwrap();
    builder.add(&AlternateServer(addr("203.0.113.9:3478"))).unwrap();
    let answer = builder.finish().to_vec();
    story.deliver(&answer);
    story.drain();
    assert_eq!(story.kinds(), [Event::AlternateServer(addr("203.0.113.9:3478"))]);
    assert!(story.client.is_ended());
}

#[test]
fn a_renewed_credential_is_taken_over() {
    let mut story = Story::in_world(World::new(), timed(kit::UNIX + 600), 1);
    let relayed = story.allocate();
    let renewed = timed(kit::UNIX + 7_200);
    story.t(minutes(5));
    story.client.set_credentials(&renewed.username, &renewed.password, story.world.now);
    story.t(minutes(60));
    assert_eq!(story.client.relayed(), Some(relayed), "the first ran out after ten minutes");
}

#[test]
fn a_server_that_knows_the_allocation_by_another_name_goes_on_seeing_it() {
    let mut story = Story::new(ada());
    let relayed = story.allocate();
    story.client.set_credentials("bob", "builder", story.world.now);
    story.t(minutes(60));
    assert_eq!(story.client.relayed(), Some(relayed));
    let wrong = story.answers.iter().filter(|answer| code_of(answer) == Some(ErrorCode::WRONG_CREDENTIALS));
    assert_eq!(wrong.count(), 1);
}

#[test]
fn closing_frees_the_allocation() {
    let mut story = Story::new(ada());
    story.allocate();
    story.client.close(story.world.now);
    story.t(200);
    assert_eq!(*story.kinds().last().unwrap(), Event::Closed);
    assert!(story.world.open_ports().is_empty());
    let mut out = vec![];
    let sent = story.client.send(addr(PEER), b"x", &mut out, story.world.now);
    assert_eq!(sent, Err(SendError::NotAllocated));
}

#[test]
fn closing_does_not_wait_long_for_a_server_that_is_gone() {
    let mut story = Story::new(ada());
    story.allocate();
    story.is_cut = true;
    story.client.close(story.world.now);
    story.t(2_200);
    assert_eq!(*story.kinds().last().unwrap(), Event::Closed);
}

#[test]
fn a_silent_way_to_the_server_is_kept_open() {
    let mut story = Story::new(ada());
    story.allocate();
    let before = story.sent.len();
    story.t(minutes(1) + 1_000);
    assert_eq!(story.sent.len() - before, 3);
    let keepalive = Message::parse(story.sent.last().unwrap()).unwrap();
    assert_eq!((keepalive.class(), keepalive.method()), (Class::Indication, Method::BINDING));
}

#[test]
fn permissions_end_at_their_limit() {
    let mut story = Story::new(ada());
    story.allocate();
    let peer = |n: usize| format!("8.8.{}.{}:5", n / 256, n % 256);
    for n in 0..limits::PERMISSIONS_MAX {
        story.send(&peer(n), b"x");
    }
    let mut out = vec![];
    let sent = story.client.send(addr("9.9.9.9:5"), b"x", &mut out, story.world.now);
    assert_eq!(sent, Err(SendError::TooManyPeers));
}

#[test]
fn peers_beyond_the_limit_of_channels_are_sent_indications() {
    let mut story = Story::new(ada());
    story.allocate();
    story.send("8.8.8.8:1", b"x");
    story.t(200);
    let last = u16::try_from(limits::CHANNELS_MAX).unwrap() + 1;
    for port in 1..=last {
        story.peer_sends(&format!("8.8.8.8:{port}"), b"x");
    }
    story.t(300);
    story.send(&format!("8.8.8.8:{}", last - 1), b"x");
    assert!(wire::is_channel_data(story.sent.last().unwrap()[0]));
    story.send(&format!("8.8.8.8:{last}"), b"x");
    assert!(!wire::is_channel_data(story.sent.last().unwrap()[0]));
}

#[test]
fn data_longer_than_a_datagram_is_refused() {
    let mut story = Story::new(ada());
    story.allocate();
    let mut out = vec![];
    let long = vec![0; limits::DATA_LEN_MAX + 1];
    assert_eq!(story.client.send(addr(PEER), &long, &mut out, story.world.now), Err(SendError::TooLong));
    assert!(out.is_empty());
}

#[test]
fn a_server_that_finds_every_nonce_stale_is_given_up() {
    let mut story = Story::new(ada());
    story.t(50);
    for round in 0..=usize::from(limits::ATTEMPTS_MAX) {
        story.drain();
        let request = story.sent.last().unwrap().clone();
        let request = Message::parse(&request).unwrap();
        let mut buffer = [0; 256];
        let reply = ErrorReply::bare(ErrorCode::STALE_NONCE);
        let mut builder = Builder::error(&mut buffer, &request, reply).unwrap();
        let nonce = format!("nonce {round}");
        builder.add(&Realm("twocan")).unwrap().add(&Nonce(nonce.as_bytes())).unwrap();
        let answer = builder.finish().to_vec();
        story.deliver(&answer);
    }
    story.drain();
    assert_eq!(*story.kinds().last().unwrap(), Event::Failed(Failure::WrongCredentials));
}

#[test]
fn a_lifetime_of_a_moment_does_not_make_the_client_busy() {
    let world = World::with(|config| {
        config.limits.lifetime_default = Duration::from_secs(1);
        config.limits.lifetime_max = Duration::from_secs(1);
    });
    let mut story = Story::in_world(world, ada(), 1);
    story.t(minutes(1));
    let refreshes = story.sent.iter().filter(|sent| method_of(sent) == Some(Method::REFRESH)).count();
    assert!(refreshes <= 13, "{refreshes}");
}

fn timed(expires: u64) -> Config {
    let username = format!("{expires}:carol");
    let password = twocan_turn::credential::password(kit::SECRET, &username);
    Config::new(username, password)
}

fn method_of(bytes: &[u8]) -> Option<Method> {
    Some(Message::parse(bytes).ok()?.method())
}

fn code_of(bytes: &[u8]) -> Option<ErrorCode> {
    Some(Message::parse(bytes).ok()?.get::<ErrorReply<'_>>().ok()??.code)
}
