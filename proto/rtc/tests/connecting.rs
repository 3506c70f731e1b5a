//! Two connections find each other, by every kind of way.

mod world;

use twocan_rtc::gather::TransportPolicy;
use twocan_rtc::{Event, Kind, Path, Protocol, Signal};
use world::*;

const RELAY: &str = "5.0.0.1";

fn public_world(seed: u64) -> (World, [[twocan_rtc::ChannelId; 2]; 2]) {
    let mut world = World::new(seed, Net::default());
    let channels = world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |_, _| ());
    (world, channels)
}

/// Each behind a NAT of its own, with servers.
fn behind_nats(mapping: Rule, filtering: Rule, urls: &[&str]) -> (World, [[twocan_rtc::ChannelId; 2]; 2]) {
    let mut world = World::new(1, Net::default());
    world.add_relay(RELAY);
    let a = world.add_nat("8.0.0.1", mapping, filtering);
    let b = world.add_nat("9.0.0.1", mapping, filtering);
    let servers = vec![server(urls)];
    let ada = [Interface::behind(a, "192.168.1.2", 1)];
    let bob = [Interface::behind(b, "192.168.2.2", 2)];
    let channels = world.two(&ada, &bob, |_, config| config.servers = servers.clone());
    (world, channels)
}

#[test]
fn two_in_one_lan_talk_directly() {
    let mut world = World::new(1, Net::default());
    let channels = world.two(&[Interface::lan("10.0.0.1", 7)], &[Interface::lan("10.0.0.2", 7)], |_, _| ());
    world.connect(ms(1_000));
    world.talk(channels);
    let path = world.peers[ADA].path();
    assert_eq!((path.path, path.local, path.remote), (Path::Direct, Kind::Host, Kind::Host));
    assert_eq!(path.protocol, Protocol::Udp);
    assert_eq!(path.relay_protocol, None);
}

#[test]
fn the_first_message_takes_two_and_a_half_round_trips_from_the_answer() {
    let (mut world, channels) = public_world(1);
    world.net.signal_delay = ms(0);
    world.offer(ADA);
    assert!(world.send(ADA, channels[ADA][0], b"first".to_vec()));
    assert!(
        world.run_until(ms(5_000), |world| !world.peers[BOB].messages.is_empty()),
        "{}",
        world.describe()
    );
    // A check and its answer, ClientHello, ServerHello to Finished, Finished and the message.
    assert_eq!(world.elapsed(), ms(125));
}

#[test]
fn two_behind_nats_that_keep_their_ports_talk_directly() {
    let (mut world, channels) =
        behind_nats(Rule::EndpointIndependent, Rule::AddressAndPortDependent, &["stun:5.0.0.1"]);
    world.connect(ms(3_000));
    world.talk(channels);
    assert_eq!(world.peers[ADA].path().path, Path::Direct);
    assert_eq!(world.peers[BOB].path().path, Path::Direct);
}

#[test]
fn two_behind_symmetric_nats_are_relayed_over_udp() {
    let rule = Rule::AddressAndPortDependent;
    let (mut world, channels) = behind_nats(rule, rule, &["turn:5.0.0.1"]);
    world.connect(ms(5_000));
    world.talk(channels);
    let paths = [ADA, BOB].map(|peer| world.peers[peer].path());
    assert!(paths.iter().all(|path| path.path == Path::Relayed), "{paths:?}");
    assert!(paths.iter().any(|path| path.relay_protocol == Some(Protocol::Udp)), "{paths:?}");
}

#[test]
fn two_behind_symmetric_nats_are_relayed_over_tcp() {
    let rule = Rule::AddressAndPortDependent;
    let (mut world, channels) = behind_nats(rule, rule, &["turn:5.0.0.1?transport=tcp"]);
    world.connect(ms(5_000));
    world.talk(channels);
    let paths = [ADA, BOB].map(|peer| world.peers[peer].path());
    assert!(paths.iter().any(|path| path.relay_protocol == Some(Protocol::Tcp)), "{paths:?}");
}

#[test]
fn two_behind_symmetric_nats_are_relayed_over_tls() {
    let rule = Rule::AddressAndPortDependent;
    let (mut world, channels) = behind_nats(rule, rule, &["turns:5.0.0.1"]);
    world.connect(ms(5_000));
    world.talk(channels);
    let paths = [ADA, BOB].map(|peer| world.peers[peer].path());
    assert!(paths.iter().any(|path| path.relay_protocol == Some(Protocol::Tls)), "{paths:?}");
}

/// Messages of 0 bytes to 256 KiB, each way.
#[track_caller]
fn talk_at_length(world: &mut World, channels: [[twocan_rtc::ChannelId; 2]; 2]) {
    let sizes = [0, 1, 1_200, 16_384, 65_536, 262_144];
    for (from, to) in [(ADA, BOB), (BOB, ADA)] {
        let before = world.peers[to].messages.len();
        for size in sizes {
            assert!(world.send(from, channels[from][0], vec![size as u8 ^ 0x5A; size]));
        }
        let is_there = |world: &World| world.peers[to].messages.len() == before + sizes.len();
        assert!(world.run_until(ms(30_000), is_there), "{}", world.describe());
        for (size, (_, _, bytes)) in sizes.into_iter().zip(&world.peers[to].messages[before..]) {
            assert_eq!(&bytes[..], vec![size as u8 ^ 0x5A; size]);
        }
    }
}

#[test]
fn messages_of_every_size_pass_every_kind_of_way_with_loss() {
    let rule = Rule::AddressAndPortDependent;
    for url in ["turn:5.0.0.1", "turn:5.0.0.1?transport=tcp", "turns:5.0.0.1"] {
        let (mut world, channels) = behind_nats(rule, rule, &[url]);
        world.connect(ms(5_000));
        world.net.loss = 2.0;
        talk_at_length(&mut world, channels);
        assert_eq!(world.peers[ADA].path().path, Path::Relayed);
    }
    let (mut world, channels) = public_world(1);
    world.connect(ms(5_000));
    world.net.loss = 2.0;
    talk_at_length(&mut world, channels);
}

#[test]
fn an_unreliable_channel_keeps_its_latency_under_loss() {
    let (mut world, channels) = public_world(1);
    world.connect(ms(5_000));
    world.net.loss = 10.0;
    let begin = world.elapsed();
    for number in 0..1_000_u32 {
        world.send(ADA, channels[ADA][1], number.to_be_bytes().to_vec());
        world.run_for(ms(10));
    }
    let messages = &world.peers[BOB].messages;
    let late = messages.iter().filter(|(at, _, bytes)| {
        let sent = begin + ms(10) * u32::from_be_bytes(bytes[..].try_into().unwrap());
        *at - sent > ms(26)
    });
    assert_eq!(late.count(), 0);
    assert!((850..950).contains(&messages.len()), "{}", messages.len());
}

#[test]
fn whoever_wants_relays_only_sends_nothing_past_them() {
    let mut world = World::new(1, Net::default());
    world.add_relay(RELAY);
    let ada = [Interface::public("8.0.0.1"), Interface::lan("10.0.0.1", 7)];
    let bob = [Interface::public("9.0.0.1"), Interface::lan("10.0.0.2", 7)];
    let channels = world.two(&ada, &bob, |peer, config| {
        config.servers = vec![server(&["stun:5.0.0.1", "turn:5.0.0.1"])];
        if peer == ADA {
            config.policy = TransportPolicy::Relay;
        }
    });
    world.connect(ms(5_000));
    world.talk(channels);
    world.run_for(ms(30_000));
    let is_of_ada = |from: &std::net::SocketAddr| ada.iter().any(|interface| interface.ip == from.ip());
    let sent: Vec<_> = world.trace.iter().filter(|(_, from, _)| is_of_ada(from)).collect();
    assert!(sent.len() > 10);
    assert!(sent.iter().all(|(_, _, to)| to.ip() == ip(RELAY)), "{sent:?}");
    assert!(sent.iter().all(|(_, _, to)| to.port() == 3_478), "{sent:?}");
    assert_eq!(world.peers[ADA].path().local, Kind::Relayed);
    // Nor does a check that comes past them get an answer.
    let (socket, now) = (*world.peers[ADA].sockets.keys().next().expect("a socket"), world.now);
    let binding = [&[0, 1, 0, 0, 0x21, 0x12, 0xA4, 0x42][..], &[0; 12]].concat();
    let taken = world.peers[ADA].connection.handle_datagram(socket, addr("9.0.0.1:40001"), &binding, now);
    assert_eq!(taken, Err(twocan_rtc::Discard::PastRelay));
    let told = |signal: &Signal| format!("{signal:?}");
    let said: String = world.peers[ADA].signals.iter().map(|(_, signal)| told(signal)).collect();
    assert!(!said.contains("8.0.0.1") && !said.contains("10.0.0.1"), "{said}");
}

#[test]
fn two_with_both_families_use_the_better_one() {
    let mut world = World::new(1, Net::default());
    let ada = [Interface::public("2a00::1"), Interface::public("8.0.0.1")];
    let bob = [Interface::public("2a00::2"), Interface::public("9.0.0.1")];
    let channels = world.two(&ada, &bob, |_, _| ());
    world.connect(ms(2_000));
    world.talk(channels);
    assert_eq!(world.peers[ADA].path().path, Path::Direct);
}

#[test]
fn one_with_ipv4_alone_meets_one_with_both() {
    let mut world = World::new(1, Net::default());
    let bob = [Interface::public("2a00::2"), Interface::public("9.0.0.1")];
    let channels = world.two(&[Interface::public("8.0.0.1")], &bob, |_, _| ());
    world.connect(ms(2_000));
    world.talk(channels);
}

#[test]
fn a_name_in_the_place_of_an_address_is_looked_up_in_the_lan() {
    let mut world = World::new(1, Net::default());
    let ada = [Interface::lan("10.0.0.1", 7)];
    let bob = [Interface::lan("10.0.0.2", 7)];
    let channels = world.two(&ada, &bob, |_, config| config.hide_host_addresses = true);
    world.connect(ms(2_000));
    world.talk(channels);
    let said: String = world.peers[ADA].signals.iter().map(|(_, signal)| format!("{signal:?}")).collect();
    assert!(said.contains(".local") && !said.contains("10.0.0.1"), "{said}");
}

#[test]
fn whoever_is_asked_first_answers_and_both_directions_work() {
    for offerer in [ADA, BOB] {
        let (mut world, channels) = public_world(3);
        world.offer(offerer);
        assert!(world.run_until(ms(2_000), World::is_up));
        world.talk(channels);
    }
}

#[test]
fn offers_that_cross_end_in_one_connection() {
    let (mut world, channels) = public_world(1);
    world.offer(ADA);
    world.offer(BOB);
    assert!(world.run_until(ms(2_000), World::is_up), "{}", world.describe());
    world.talk(channels);
    assert_eq!(world.peers[ADA].refused, [twocan_rtc::SignalError::WrongState]);
}

#[test]
fn candidates_that_come_before_their_description_are_kept() {
    let (mut world, channels) = public_world(1);
    // All that Ada says about candidates goes first, and the offer, without any, last.
    let held = std::rc::Rc::new(std::cell::RefCell::new(None));
    let keep = held.clone();
    world.peers[ADA].tamper = Box::new(move |signal| {
        if let Signal::Description(description) = signal {
            let lines = description.sdp.lines().filter(|line| !line.contains("candidate"));
            let sdp = lines.map(|line| format!("{line}\r\n")).collect();
            let candidate =
                description.sdp.lines().find_map(|line| line.strip_prefix("a=")).map(str::to_owned);
            let _ = candidate;
            *keep.borrow_mut() =
                Some((twocan_rtc::Description { sdp, ..description.clone() }, description.sdp));
            return None;
        }
        Some(signal)
    });
    world.offer(ADA);
    world.run_for(ms(100));
    let (offer, whole) = held.borrow_mut().take().unwrap();
    let now = world.now;
    for line in whole.lines().filter(|line| line.starts_with("a=candidate")) {
        let init = twocan_rtc::CandidateInit { candidate: line[2..].into(), ..Default::default() };
        world.peers[BOB].signal(Signal::Candidate(init), now);
    }
    world.peers[BOB].signal(Signal::Description(offer), now);
    world.run_until(ms(2_000), World::is_up);
    assert!(world.is_up(), "{}", world.describe());
    assert!(world.peers[BOB].refused.is_empty());
    world.talk(channels);
}

#[test]
fn where_udp_is_blocked_two_talk_over_tcp() {
    let mut world = World::new(1, Net::default());
    let ada = [Interface::public("8.0.0.1")];
    let channels = world.two(&ada, &[Interface::public("9.0.0.1")], |_, config| config.is_tcp = true);
    world.listen(BOB, "9.0.0.1:7000");
    world.filter = Box::new(|_, _, _| false);
    world.connect(ms(5_000));
    talk_at_length(&mut world, channels);
    for peer in &world.peers {
        assert_eq!((peer.path().path, peer.path().protocol), (Path::Direct, Protocol::Tcp));
    }
}

#[test]
fn an_attribute_of_ours_that_the_other_side_echoes_is_not_taken_for_its_own() {
    let (mut world, channels) = public_world(1);
    let ours = std::rc::Rc::new(std::cell::RefCell::new(String::new()));
    let line = |sdp: &str| sdp.lines().find(|line| line.starts_with("a=sctp-init")).unwrap().to_owned();
    let heard = ours.clone();
    world.peers[ADA].tamper = Box::new(move |signal| {
        let Signal::Description(mut description) = signal else { return Some(signal) };
        *heard.borrow_mut() = line(&description.sdp);
        description.sdp = description.sdp.replace(&format!("{}\r\n", heard.borrow()), "");
        Some(Signal::Description(description))
    });
    world.peers[BOB].tamper = Box::new(move |signal| {
        let Signal::Description(mut description) = signal else { return Some(signal) };
        description.sdp = description.sdp.replace(&line(&description.sdp), &ours.borrow());
        Some(Signal::Description(description))
    });
    world.connect(ms(2_000));
    world.talk(channels);
}

#[test]
fn an_application_hears_at_once_that_there_is_room_again() {
    let (mut world, channels) = public_world(1);
    world.connect(ms(2_000));
    world.run_for(ms(1_000));
    assert!(world.send(ADA, channels[ADA][0], vec![7; 100]));
    let last = world.peers[ADA].events.last();
    assert_eq!(last, Some(&(world.elapsed(), Event::BufferedAmountLow { id: channels[ADA][0] })));
}

/// Two homes with a STUN server; with `page` Bob's descriptions look as if a page had written them.
fn two_homes_with_stun(page: bool) -> World {
    let mut world = World::new(1, Net::default());
    world.add_relay("5.0.0.1");
    let rule = Rule::EndpointIndependent;
    let nats =
        ["8.0.0.1", "9.0.0.1"].map(|public| world.add_nat(public, rule, Rule::AddressAndPortDependent));
    let ada = [Interface::behind(nats[ADA], "192.168.1.2", 1)];
    let bob = [Interface::behind(nats[BOB], "192.168.2.2", 2)];
    world.two(&ada, &bob, |_, config| config.servers = vec![server(&["stun:5.0.0.1"])]);
    if page {
        world.peers[BOB].tamper = Box::new(|signal| match signal {
            Signal::Description(description) => {
                let sdp = description.sdp.replace("o=twocan", "o=-");
                Some(Signal::Description(twocan_rtc::Description { sdp, ..description }))
            }
            other => Some(other),
        });
    }
    world
}

#[test]
fn towards_a_page_private_hosts_are_said_behind_the_reflexive_ones() {
    for offers in [ADA, BOB] {
        let mut world = two_homes_with_stun(true);
        world.offer(offers);
        assert!(world.run_until(ms(5_000), World::is_up), "{}", world.describe());
        world.run_for(ms(2_000));
        let said: Vec<String> = world.peers[ADA]
            .signals
            .iter()
            .map(|(_, signal)| match signal {
                Signal::Description(description) => {
                    assert!(!description.sdp.contains("192.168."), "{}", description.sdp);
                    "description".to_owned()
                }
                Signal::Candidate(init) => init.candidate.split(' ').nth(7).unwrap_or_default().to_owned(),
                Signal::EndOfCandidates => "end".to_owned(),
            })
            .collect();
        assert_eq!(said, ["description", "srflx", "host", "end"], "{offers} offers");
    }
}

#[test]
fn between_two_of_ours_private_hosts_are_said_with_the_answer() {
    let mut world = two_homes_with_stun(false);
    world.connect(ms(5_000));
    let answer = world.peers[BOB].signals.iter().find_map(|(_, signal)| match signal {
        Signal::Description(description) => Some(description.sdp.clone()),
        _ => None,
    });
    assert!(answer.unwrap().contains("192.168.2.2"));
    let hosts = |end: usize| {
        let is_host = |signal: &Signal| matches!(signal, Signal::Candidate(init) if init.candidate.contains("192.168.1.2"));
        world.peers[end].signals.iter().filter(|(_, signal)| is_host(signal)).count()
    };
    assert_eq!(hosts(ADA), 1, "as soon as the answer says whose it is");
}
