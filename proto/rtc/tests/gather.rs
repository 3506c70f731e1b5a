//! Gathering, through its own doors: which candidates come, when, and what stands in their way.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod gathering;

use gathering::{OTHER, PEER, SERVER, SERVER_V6, World, addr, server};
use twocan_ice::{Kind, SocketId};
use twocan_rtc::gather::{
    CandidateError, Command, Config, Event, Gatherer, SendError, TransportPolicy, limits,
};

const UDP: &str = "turn:192.0.2.5:3478?transport=udp";
const TCP: &str = "turn:192.0.2.5:3478?transport=tcp";
const TLS: &str = "turns:192.0.2.5:5349?transport=tcp";
const STUN: &str = "stun:192.0.2.5:3478";

#[test]
fn each_candidate_is_said_the_moment_it_is_known() {
    let mut world = World::of(&[server(&[STUN]), server(&[UDP])]);
    world.home();
    world.t(1_000);
    let kinds: Vec<_> = world.said().iter().map(|(at, found)| (*at, found.local.candidate.kind)).collect();
    assert_eq!(kinds, [(0, Kind::Host), (50, Kind::ServerReflexive), (100, Kind::Relayed)]);
    assert_eq!(world.done_at(), Some(100));
    assert!(world.errors().is_empty());
    let texts: Vec<_> = world.said().into_iter().map(|(_, found)| found.text).collect();
    assert!(texts[1].contains(" 198.51.100.7 61000 typ srflx raddr 10.0.0.2 rport 4000"), "{}", texts[1]);
    assert!(texts[2].contains(" typ relay raddr 198.51.100.7 rport 61000"), "{}", texts[2]);
}

#[test]
fn requests_go_out_in_the_call_that_adds_the_socket() {
    let mut world = World::of(&[server(&[STUN]), server(&[UDP])]);
    world.home();
    assert_eq!(world.sent.len(), 2);
    assert!(world.sent.iter().all(|(at, _)| *at == 0));
}

#[test]
fn without_a_nat_a_reflexive_candidate_is_redundant() {
    let mut world = World::of(&[server(&[STUN])]);
    world.add(1, "198.51.100.7:4000", None);
    world.gatherer.end_of_sockets(world.now);
    world.t(1_000);
    assert_eq!(world.said().len(), 1);
    assert_eq!(world.done_at(), Some(50));
}

#[test]
fn two_servers_that_see_the_same_give_one_candidate() {
    let mut world = World::of(&[server(&[STUN, "stun:192.0.2.6"])]).with_server(&[OTHER]);
    world.home();
    world.t(1_000);
    assert_eq!(world.said_of(Kind::ServerReflexive).len(), 1);
    assert!(world.errors().is_empty());
}

#[test]
fn both_families_are_asked() {
    let mut world = World::of(&[server(&["stun:stun.example", "turn:stun.example"])]);
    world.names.insert("stun.example".into(), vec![addr(SERVER).ip(), addr(SERVER_V6).ip()]);
    world.add(1, "10.0.0.2:4000", Some("198.51.100.7:61000"));
    world.add(2, "[fd00::2]:4000", Some("[2001:db8:7::1]:61000"));
    world.gatherer.end_of_sockets(world.now);
    world.t(1_000);
    let of =
        |kind| world.said_of(kind).iter().map(|(_, found)| found.local.candidate.address.is_ipv6()).collect();
    let mut reflexive: Vec<bool> = of(Kind::ServerReflexive);
    let mut relayed: Vec<bool> = of(Kind::Relayed);
    reflexive.sort_unstable();
    relayed.sort_unstable();
    assert_eq!(reflexive, [false, true]);
    assert_eq!(relayed, [false, true]);
}

#[test]
fn many_sockets_cost_the_relay_one_allocation() {
    let mut world = World::of(&[server(&[UDP])]);
    for n in 1..=6 {
        let mapped = format!("198.51.100.7:6100{n}");
        world.add(n, &format!("10.0.0.{n}:4000"), Some(&mapped));
    }
    world.dead.insert(SocketId(1));
    world.gatherer.end_of_sockets(world.now);
    world.t(20_000);
    assert_eq!(world.said_of(Kind::Relayed).len(), 1);
    assert_eq!(world.said_of(Kind::Relayed)[0].0, 100, "the dead one is not waited for");
    assert_eq!(world.allocations(), 1);
    assert_eq!(world.said_of(Kind::ServerReflexive).len(), 5);
}

#[test]
fn policy_relay_gives_relayed_candidates_alone_and_leaks_nothing() {
    let servers = vec![server(&[STUN]), server(&[UDP])];
    let mut world = World::new(Config { servers, policy: TransportPolicy::Relay, ..Config::default() });
    world.home();
    world.t(1_000);
    let said = world.said();
    assert_eq!(said.len(), 1);
    assert!(said[0].1.text.ends_with("typ relay raddr 0.0.0.0 rport 0"), "{}", said[0].1.text);
    assert!(world.done_at().is_some());
}

#[test]
fn hidden_host_addresses_have_names_and_reflexive_ones_no_base() {
    let servers = vec![server(&[STUN])];
    let mut world = World::new(Config { servers, hide_host_addresses: true, ..Config::default() });
    world.home();
    world.t(1_000);
    let Some(Command::Announce { name, address }) = world.commands.first() else { panic!("no name") };
    assert_eq!(*address, addr("10.0.0.2:0").ip());
    assert_eq!((name.len(), &name[36..], &name[14..15]), (42, ".local", "4"), "{name}");
    assert!(world.said()[0].1.text.contains(name.as_str()));
    for (_, said) in world.said() {
        assert!(!said.text.contains("10.0.0.2"), "{}", said.text);
    }
    assert_eq!(world.said()[0].1.local.candidate.address, addr("10.0.0.2:4000"), "ICE knows it");
}

#[test]
fn streams_are_not_opened_where_datagrams_work() {
    let mut world = World::of(&[server(&[UDP, TCP, TLS])]);
    world.home();
    world.t(5_000);
    assert_eq!(world.said_of(Kind::Relayed).len(), 1);
    assert!(!world.commands.iter().any(|command| matches!(command, Command::OpenStream { .. })));
    assert_eq!(world.done_at(), Some(100));
}

#[test]
fn a_way_that_is_about_to_be_allocated_does_not_end_the_streams_behind_it() {
    let mut world = World::of(&[server(&[UDP, TCP])]);
    world.home();
    // The 401 is on its way, and the second Allocate is lost with all that follows.
    world.t(49);
    world.udp_works = false;
    world.t(60_000);
    assert_eq!(world.said_of(Kind::Relayed).len(), 1, "by TCP");
}

#[test]
fn where_datagrams_do_not_pass_a_stream_relays() {
    for (url, name) in [(TCP, None), (TLS, Some("192.0.2.5".to_owned()))] {
        let mut world = World::of(&[server(&[UDP, url])]);
        world.udp_works = false;
        world.home();
        world.t(1_000);
        let opened = world.commands.iter().find_map(|command| match command {
            Command::OpenStream { tls, .. } => Some(tls.clone()),
            _ => None,
        });
        assert_eq!(opened, Some(name));
        let (relay, relayed) = world.relay();
        assert!(world.said_of(Kind::Relayed)[0].0 <= 300);
        world.gatherer.send_relayed(relay, addr(PEER), b"ping", None, world.now).unwrap();
        world.t(1_100);
        assert_eq!(world.at_peers, [(addr(PEER), b"ping".to_vec())]);
        world.peer_sends(relayed, b"pong");
        world.t(1_200);
        assert_eq!(world.received, [(relay, addr(PEER), b"pong".to_vec())]);
    }
}

/// Streams that were asked for.
fn opened(world: &World) -> usize {
    world.commands.iter().filter(|command| matches!(command, Command::OpenStream { .. })).count()
}

#[test]
fn an_allocation_that_is_probed_does_not_hold_streams_back() {
    let mut world = World::of(&[server(&[UDP, TCP, TLS])]);
    world.home();
    world.t(5_000);
    // It answers: nothing is opened.
    world.gatherer.restart(world.now);
    world.t(10_000);
    assert_eq!((opened(&world), world.said_of(Kind::Relayed).len()), (0, 1));
    // It does not: a stream relays a moment later, and is the only one that stays.
    world.udp_works = false;
    world.gatherer.restart(world.now);
    world.t(10_400);
    assert_eq!(world.said_of(Kind::Relayed).len(), 2, "a tenth of a second, and three round trips");
    assert!((1..=2).contains(&opened(&world)));
    world.t(60_000);
    assert_eq!(world.allocations(), 2, "the one by UDP is given up by the relay alone");
    // Back again, by UDP: the way by TCP was only a stand-in.
    world.udp_works = true;
    world.gatherer.restart(world.now);
    world.t(100_000);
    assert_eq!(world.said_of(Kind::Relayed).len(), 3);
}

#[test]
fn a_stream_that_is_silent_when_it_is_probed_has_another_beside_it() {
    for url in [TCP, TLS] {
        let mut world = World::of(&[server(&[url])]);
        world.home();
        world.t(5_000);
        // It answers: nothing is opened.
        world.gatherer.restart(world.now);
        world.t(10_000);
        assert_eq!((opened(&world), world.said_of(Kind::Relayed).len()), (1, 1));
        // Its network is gone, which no packet says: the next one relays, and takes its place.
        let (old, _) = world.relay();
        world.cut_streams();
        world.gatherer.restart(world.now);
        world.t(10_500);
        assert_eq!((opened(&world), world.said_of(Kind::Relayed).len()), (2, 2), "{url}");
        assert!(world.events.iter().any(|(_, event)| *event == Event::SocketLost(old)));
        // One is enough, however often ICE is restarted.
        for ms in [11_000, 12_000, 13_000] {
            world.gatherer.restart(world.now);
            world.t(ms);
        }
        assert_eq!((opened(&world), world.said_of(Kind::Relayed).len()), (2, 2));
    }
}

#[test]
fn a_relay_by_tcp_alone_is_asked_at_once() {
    let mut world = World::of(&[server(&[TCP])]);
    world.home();
    world.t(1_000);
    assert_eq!(world.said_of(Kind::Relayed)[0].0, 150, "three round trips");
}

#[test]
fn of_tcp_and_tls_one_is_enough() {
    let mut world = World::of(&[server(&[TCP, TLS])]);
    world.home();
    world.t(20_000);
    assert_eq!(world.said_of(Kind::Relayed).len(), 1);
    assert_eq!(world.allocations(), 1);
    let closed = world.commands.iter().filter(|command| matches!(command, Command::CloseStream(_)));
    assert_eq!(closed.count(), 1);
}

#[test]
fn data_through_a_relay_goes_both_ways_in_runs() {
    let mut world = World::of(&[server(&[UDP])]);
    world.home();
    world.t(200);
    let (relay, relayed) = world.relay();
    assert!(world.gatherer.is_relay(relay));
    world.gatherer.send_relayed(relay, addr(PEER), b"hello", None, world.now).unwrap();
    world.t(300);
    world.peer_sends(relayed, b"hello yourself");
    world.t(400);
    assert_eq!(world.received, [(relay, addr(PEER), b"hello yourself".to_vec())]);
    // A channel is bound by now: a run stays a run.
    world.at_peers.clear();
    let run = [vec![1; 100], vec![2; 100], vec![3; 7]].concat();
    world.gatherer.send_relayed(relay, addr(PEER), &run, Some(100), world.now).unwrap();
    world.drain();
    let (_, last) = world.sent.last().unwrap();
    assert_eq!((last.bytes.len(), last.segment_size), (219, Some(104)));
    world.t(500);
    let lengths: Vec<_> = world.at_peers.iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [100, 100, 7]);
}

#[test]
fn a_run_before_the_channel_is_bound_is_a_run_of_indications() {
    let mut world = World::of(&[server(&[UDP])]);
    world.home();
    world.t(200);
    let (relay, _) = world.relay();
    let run = [vec![1; 101], vec![2; 101], vec![3; 7]].concat();
    world.gatherer.send_relayed(relay, addr(PEER), &run, Some(101), world.now).unwrap();
    world.t(300);
    let lengths: Vec<_> = world.at_peers.iter().map(|(_, bytes)| bytes.len()).collect();
    assert_eq!(lengths, [101, 101, 7]);
}

#[test]
fn a_relay_that_does_not_exist_takes_nothing() {
    let mut world = World::of(&[]);
    let sent = world.gatherer.send_relayed(Gatherer::FIRST_OWN_SOCKET, addr(PEER), b"", None, world.now);
    assert_eq!(sent, Err(SendError::NotAllocated));
}

#[test]
fn a_silent_server_is_reported_once_and_does_not_hold_up_the_end() {
    let mut world = World::of(&[server(&["stun:203.0.113.1"]), server(&["turn:203.0.113.1"])]);
    world.add(1, "10.0.0.2:4000", None);
    world.add(2, "10.0.1.2:4000", None);
    world.gatherer.end_of_sockets(world.now);
    world.t(60_000);
    let errors: Vec<_> = world.errors().into_iter().map(|error| (error.url, error.code)).collect();
    let expected = [
        ("stun:203.0.113.1:3478".to_owned(), CandidateError::UNREACHABLE),
        ("turn:203.0.113.1:3478".to_owned(), CandidateError::UNREACHABLE),
    ];
    assert_eq!(errors, expected);
    assert!(world.done_at().unwrap() <= 10_000);
}

#[test]
fn a_wrong_password_is_reported_by_its_code() {
    let mut wrong = server(&[UDP]);
    wrong.credential = "byron".into();
    let mut world = World::of(&[wrong]);
    world.home();
    world.t(1_000);
    let error =
        CandidateError { url: UDP.into(), code: 401, text: "the relay does not accept the credential" };
    assert_eq!(world.errors(), [error]);
    assert_eq!(world.done_at(), Some(100));
}

#[test]
fn a_name_without_an_address_is_reported() {
    let mut world = World::of(&[server(&["stun:nowhere.example"])]);
    world.home();
    let error = CandidateError {
        url: "stun:nowhere.example:3478".into(),
        code: 701,
        text: "the server's name has no address",
    };
    assert_eq!(world.errors(), [error]);
    assert_eq!(world.done_at(), Some(0));
}

#[test]
fn a_relay_that_cannot_be_connected_to_is_reported() {
    let mut world = World::of(&[server(&[TCP])]);
    world.streams_work = false;
    world.home();
    world.t(1_000);
    assert_eq!(world.errors()[0].text, "the relay cannot be connected to");
    assert_eq!(world.done_at(), Some(50));
}

#[test]
fn a_relay_started_anew_is_a_new_candidate() {
    let mut world = World::of(&[server(&[UDP])]);
    world.home();
    world.t(1_000);
    let (first, _) = world.relay();
    world.restart_server();
    world.gatherer.restart(world.now);
    world.t(2_000);
    let (second, _) = world.relay();
    assert_ne!(first, second);
    assert!(world.events.iter().any(|(_, event)| *event == Event::SocketLost(first)));
    assert!(!world.gatherer.is_relay(first));
    let standing = world.gatherer.candidates().filter(|known| known.local.candidate.kind == Kind::Relayed);
    assert_eq!(standing.count(), 1);
}

#[test]
fn a_lost_socket_takes_its_relay_along_and_another_socket_finds_one() {
    let mut world = World::of(&[server(&[UDP])]);
    world.add(1, "10.0.0.2:4000", Some("198.51.100.7:61000"));
    world.add(2, "10.0.1.2:4000", Some("198.51.100.8:61000"));
    world.gatherer.end_of_sockets(world.now);
    world.t(1_000);
    let (first, _) = world.relay();
    world.remove(1);
    world.t(2_000);
    let (second, _) = world.relay();
    assert_ne!(first, second);
    assert!(world.events.iter().any(|(_, event)| *event == Event::SocketLost(first)));
    assert!(world.gatherer.candidates().all(|known| known.local.socket != SocketId(1)));
    assert_eq!(world.gatherer.candidates().count(), 3);
}

#[test]
fn a_stream_that_breaks_is_opened_again_after_a_while() {
    let mut world = World::of(&[server(&[TCP])]);
    world.home();
    world.t(1_000);
    let (first, _) = world.relay();
    let stream = world.commands.iter().find_map(|command| match command {
        Command::OpenStream { socket, .. } => Some(*socket),
        _ => None,
    });
    world.gatherer.handle_stream_closed(stream.unwrap(), world.now);
    world.t(1_100);
    assert!(world.events.iter().any(|(_, event)| *event == Event::SocketLost(first)));
    world.t(10_000);
    assert_ne!(world.relay().0, first);
    assert!(world.gatherer.is_relay(world.relay().0));
}

#[test]
fn a_reflexive_address_is_kept_alive_and_followed_while_ice_runs() {
    let mut world = World::of(&[server(&[STUN])]);
    world.home();
    world.t(1_000);
    world.mapped.insert(SocketId(1), addr("198.51.100.7:62000"));
    world.t(20_000);
    let found: Vec<_> =
        world.said_of(Kind::ServerReflexive).iter().map(|(_, found)| found.local.candidate.address).collect();
    assert_eq!(found, [addr("198.51.100.7:61000"), addr("198.51.100.7:62000")]);
    world.gatherer.set_active(false, world.now);
    let before = world.sent.len();
    world.t(120_000);
    assert_eq!(world.sent.len(), before);
}

#[test]
fn renewed_credentials_are_used_and_servers_that_failed_get_another_chance() {
    let mut wrong = server(&[UDP]);
    wrong.credential = "byron".into();
    let mut world = World::of(&[wrong]);
    world.home();
    world.t(1_000);
    world.gatherer.set_servers(vec![server(&[UDP])], world.now);
    world.t(2_000);
    assert_eq!(world.said_of(Kind::Relayed).len(), 1);
    assert_eq!(world.errors().len(), 1);
}

#[test]
fn closing_frees_what_was_allocated() {
    let mut world = World::of(&[server(&[UDP])]);
    world.home();
    world.t(1_000);
    assert_eq!(world.allocations(), 1);
    world.gatherer.close(world.now);
    world.t(1_100);
    assert_eq!(world.allocations(), 0);
    assert_eq!(world.events.last().unwrap().1, Event::Closed);
    assert_eq!(world.gatherer.poll_timeout(), None);
}

#[test]
fn servers_and_sockets_beyond_the_limits_are_left_out() {
    let urls: Vec<String> = (0..=limits::URLS_MAX).map(|n| format!("stun:203.0.113.{n}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let mut world = World::of(&[server(&urls)]);
    for n in 0..=u32::try_from(limits::SOCKETS_MAX).unwrap() {
        world.add(n, &format!("10.0.0.{n}:4000"), None);
    }
    world.drain();
    assert_eq!(world.errors().len(), 1);
    assert_eq!(world.errors()[0].text, "too many servers");
    assert_eq!(world.said().len(), limits::SOCKETS_MAX);
    assert_eq!(world.sent.len(), limits::BINDINGS_MAX);
}

#[test]
fn of_too_many_urls_the_first_of_each_way_are_asked() {
    let stun: Vec<String> = (0..30).map(|n| format!("stun:203.0.113.{n}")).collect();
    let mut urls: Vec<&str> = stun.iter().map(String::as_str).collect();
    urls.extend(["stuns:203.0.113.99", UDP, "turn:203.0.113.77?transport=tcp", "turns:203.0.113.78"]);
    let mut world = World::of(&[server(&urls)]);
    world.home();
    world.t(1_000);
    assert_eq!(world.allocations(), 1, "the relay is among them");
    let left_out: Vec<String> = world.errors().iter().map(|error| error.url.clone()).collect();
    assert!(left_out.contains(&"stuns:203.0.113.99:5349".to_owned()), "{left_out:?}");
    assert!(!left_out.iter().any(|url| url.starts_with("turn")), "{left_out:?}");
}

#[test]
fn ways_to_relays_by_datagrams_leave_room_for_streams() {
    let mut urls: Vec<String> = (0..8).map(|n| format!("turn:203.0.113.{n}")).collect();
    urls.push("turn:203.0.113.99?transport=tcp".into());
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let servers = vec![server(&urls)];
    let mut world = World::new(Config { servers, policy: TransportPolicy::Relay, ..Config::default() });
    for n in 0..8 {
        world.add(n, &format!("10.0.0.{n}:4000"), None);
    }
    world.t(1_000);
    assert!(!world.streams.is_empty());
}

#[test]
fn ways_to_relays_end_at_their_limit() {
    let urls: Vec<String> = (0..8).map(|n| format!("turn:203.0.113.{n}")).collect();
    let urls: Vec<&str> = urls.iter().map(String::as_str).collect();
    let servers = vec![server(&urls)];
    let mut world = World::new(Config { servers, policy: TransportPolicy::Relay, ..Config::default() });
    for n in 0..8 {
        world.add(n, &format!("10.0.0.{n}:4000"), None);
    }
    assert_eq!(world.sent.len(), limits::DATAGRAM_RELAYS_MAX);
}

#[test]
fn a_name_with_many_addresses_is_asked_at_some() {
    let mut world = World::of(&[server(&["stun:many.example"])]);
    let many = (0..100).map(|n| format!("203.0.113.{n}").parse().unwrap()).collect();
    world.names.insert("many.example".into(), many);
    world.home();
    assert_eq!(world.sent.len(), limits::ADDRESSES_MAX);
}

#[test]
fn packets_of_others_are_not_for_the_gatherer() {
    let mut world = World::of(&[server(&[STUN]), server(&[UDP])]);
    world.home();
    let now = world.now;
    let request = world.sent[0].1.bytes.clone();
    for (from, bytes) in [(PEER, request.as_slice()), (SERVER, b"\x16\xfe\xfd"), (PEER, b"")] {
        assert!(world.gatherer.handle_packet(SocketId(1), addr(from), bytes, now).is_err(), "{from}");
    }
}

#[test]
fn a_server_that_names_another_is_left_for_it() {
    for url in [UDP, TCP] {
        let mut world = World::of(&[server(&[url])]).with_server(&[OTHER]);
        world.alternates.insert(addr(SERVER), addr(OTHER));
        world.home();
        world.t(1_000);
        assert_eq!(world.relay().1.ip(), addr(OTHER).ip());
        assert!(world.errors().is_empty());
    }
}

#[test]
fn servers_that_name_each_other_are_given_up() {
    let mut world = World::of(&[server(&[UDP])]);
    for n in 0..20 {
        let from = if n == 0 { addr(SERVER) } else { addr(&format!("203.0.113.{n}:3478")) };
        world.alternates.insert(from, addr(&format!("203.0.113.{}:3478", n + 1)));
    }
    world.home();
    world.t(5_000);
    let error = CandidateError { url: UDP.into(), code: 300, text: "the server only names others" };
    assert_eq!(world.errors(), [error]);
    let asked = world.sent.iter().filter(|(_, sent)| sent.bytes[1] == 3);
    assert_eq!(asked.count(), 1 + usize::from(limits::ALTERNATES_MAX));
}

#[test]
fn a_server_that_names_an_address_of_ours_is_not_followed() {
    for other in ["127.0.0.1:3478", "0.0.0.0:1", "224.0.0.1:5", "203.0.113.1:0", "[2001:db8::1]:3478", SERVER]
    {
        let mut world = World::of(&[server(&[UDP])]);
        world.alternates.insert(addr(SERVER), addr(other));
        world.home();
        world.t(5_000);
        assert_eq!(world.errors().len(), 1, "{other}");
        assert!(world.sent.iter().all(|(_, sent)| sent.to == addr(SERVER)), "{other}");
    }
}

#[test]
fn a_nat_that_maps_anew_each_time_yields_so_many_candidates() {
    let mut world = World::of(&[server(&[STUN])]);
    world.home();
    for n in 1..20 {
        world.mapped.insert(SocketId(1), addr(&format!("198.51.100.7:{}", 62_000 + n)));
        world.t(20_000 * n);
    }
    assert_eq!(world.said_of(Kind::ServerReflexive).len(), limits::REFLEXIVE_MAX);
}

#[test]
fn a_hidden_public_address_is_said_as_reflexive() {
    let servers = vec![server(&[STUN])];
    let mut world = World::new(Config { servers, hide_host_addresses: true, ..Config::default() });
    world.add(1, "198.51.100.7:4000", None);
    world.t(1_000);
    let reflexive = world.said_of(Kind::ServerReflexive);
    assert!(reflexive[0].1.text.contains("198.51.100.7 4000 typ srflx raddr 0.0.0.0 rport 0"));
}

#[test]
fn a_socket_bound_to_all_addresses_has_no_host_candidate() {
    let mut world = World::of(&[server(&[STUN])]);
    world.add(1, "0.0.0.0:4000", Some("198.51.100.7:61000"));
    world.t(1_000);
    assert_eq!(world.said().len(), 1);
    assert_eq!(world.said_of(Kind::ServerReflexive).len(), 1);
}

#[test]
fn peers_are_let_in_by_relays_that_come_later() {
    let mut world = World::of(&[server(&[UDP])]);
    // More than are remembered: the latest count.
    for n in 0..limits::PEERS_MAX {
        world.gatherer.permit(&[addr(&format!("9.9.9.{n}:1")).ip()], world.now);
    }
    world.gatherer.permit(&[addr(PEER).ip()], world.now);
    world.home();
    world.t(1_000);
    let (relay, relayed) = world.relay();
    world.peer_sends(relayed, b"hello");
    world.t(1_100);
    assert_eq!(world.received, [(relay, addr(PEER), b"hello".to_vec())]);
    let permissions: u32 = world.servers.iter().map(|(_, server)| server.stats().stored.permissions).sum();
    assert_eq!(usize::try_from(permissions), Ok(limits::PEERS_MAX));
}

#[test]
fn a_way_that_dies_after_it_was_chosen_is_replaced_by_one_that_was_held() {
    let mut world = World::of(&[server(&[UDP])]);
    world.add(1, "10.0.0.2:4000", Some("198.51.100.7:61000"));
    world.add(2, "10.0.1.2:4000", Some("198.51.100.8:61000"));
    world.gatherer.end_of_sockets(world.now);
    world.t(55);
    world.dead.insert(SocketId(1));
    world.t(12_000);
    let related = world.said_of(Kind::Relayed)[0].1.local.candidate.related;
    assert_eq!(related, Some(addr("198.51.100.8:61000")));
}

#[test]
fn where_a_relay_is_lost_for_good_the_other_ways_are_tried_at_once() {
    let mut world = World::of(&[server(&[TCP, TLS])]);
    world.home();
    world.t(1_000);
    let (first, _) = world.relay();
    let stream = world.commands.iter().find_map(|command| match command {
        Command::OpenStream { socket, tls: None, .. } => Some(*socket),
        _ => None,
    });
    world.gatherer.handle_stream_closed(stream.unwrap(), world.now);
    world.t(1_300);
    assert_ne!(world.relay().0, first);
}

#[test]
fn a_resolver_that_never_answers_does_not_hold_up_the_end() {
    let mut world = World::of(&[server(&["turn:nowhere.example"])]);
    world.resolver_works = false;
    world.home();
    world.t(60_000);
    assert_eq!(world.done_at(), Some(10_000));
}

#[test]
fn a_relay_that_neither_takes_nor_refuses_a_connection_is_given_up() {
    let mut world = World::of(&[server(&[TCP])]);
    world.streams_hang = true;
    world.home();
    world.t(60_000);
    assert_eq!(world.errors()[0].text, "the relay cannot be connected to");
    assert_eq!(world.done_at(), Some(9_000));
    let closed = world.commands.iter().filter(|command| matches!(command, Command::CloseStream(_)));
    assert_eq!(closed.count(), 1);
}
