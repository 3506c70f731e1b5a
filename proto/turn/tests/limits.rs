//! Every field of `Limits`, reached.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use std::net::SocketAddr;
use std::time::Duration;

use twocan_base::Quota;

use kit::{Client, PEER, Ports, UNIX, World, addr};
use twocan_stun::attribute::{EvenPort, Lifetime};
use twocan_stun::{Class, Method};
use twocan_turn::{Discard, Limits, PortError, Rate};

const FROM: &str = "198.51.100.7:4000";

fn world(change: impl FnOnce(&mut Limits)) -> World {
    World::with(|config| change(&mut config.limits))
}

fn peer(n: usize) -> SocketAddr {
    SocketAddr::new(std::net::Ipv4Addr::new(8, 8, 8, u8::try_from(n).unwrap()).into(), 5_000)
}

/// A client with an allocation and a channel to `PEER`.
fn talking(world: &mut World) -> (Client, SocketAddr) {
    let mut client = Client::ada(FROM);
    let relayed = client.allocate(world);
    assert_eq!(client.bind(world, 0x4000, addr(PEER)), 0);
    (client, relayed)
}

fn codes(world: &mut World, clients: impl Iterator<Item = Client>) -> Vec<u16> {
    clients.map(|mut client| client.allocate_with(world, |_| ()).code()).collect()
}

#[test]
fn allocations() {
    let mut world = world(|limits| limits.allocations = 2);
    let clients = ["1.1.1.1:1", "1.1.1.1:2", "1.1.1.1:3"].into_iter().map(Client::ada);
    assert_eq!(codes(&mut world, clients), [0, 0, 508]);
    Client::ada("1.1.1.1:1").refresh(&mut world, 0);
    assert_eq!(codes(&mut world, [Client::ada("1.1.1.1:3")].into_iter()), [0]);
}

#[test]
fn allocations_per_user() {
    let mut world = world(|limits| limits.allocations_per_user = 2);
    let clients = ["1.1.1.1:1", "1.1.1.2:1", "1.1.1.3:1"].into_iter().map(Client::ada);
    assert_eq!(codes(&mut world, clients), [0, 0, 486]);
    let bob = Client::new("1.1.1.3:1", "bob", "builder");
    assert_eq!(codes(&mut world, [bob].into_iter()), [0]);
    Client::ada("1.1.1.1:1").refresh(&mut world, 0);
    assert_eq!(codes(&mut world, [Client::ada("1.1.1.4:1")].into_iter()), [0]);
}

#[test]
fn a_renewed_credential_has_no_quota_of_its_own() {
    let mut world = world(|limits| limits.allocations_per_user = 2);
    let clients =
        (0..3_u16).map(|n| Client::timed(&format!("1.1.1.{n}:1"), UNIX + 60 + u64::from(n), "alice"));
    assert_eq!(codes(&mut world, clients), [0, 0, 486]);
}

#[test]
fn three_hundred_allocations_of_one_user_are_too_many_by_default() {
    let mut world = World::new();
    let clients = (1..=300).map(|n| Client::ada(&format!("1.1.{}.1:{n}", n % 10)));
    let granted = codes(&mut world, clients).into_iter().filter(|code| *code == 0).count();
    assert_eq!(granted, 128);
}

#[test]
fn allocations_per_member() {
    let mut world = world(|limits| limits.allocations_per_member = 2);
    let clients = (1..=3).map(|n| Client::member(&format!("1.1.1.{n}:1"), "g", "ADA"));
    assert_eq!(codes(&mut world, clients), [0, 0, 486]);
    assert_eq!(codes(&mut world, (4..=6).map(|n| Client::ada(&format!("1.1.1.{n}:1")))), [0; 3]);
}

#[test]
fn allocations_per_household() {
    let mut world = world(|limits| (limits.allocations_per_household, limits.allocations_floor) = (2, 2));
    let clients = ["1.1.1.1:1", "[::ffff:1.1.1.1]:1", "1.1.1.1:3", "1.1.1.2:1"].into_iter().map(Client::ada);
    assert_eq!(codes(&mut world, clients), [0, 0, 486, 0]);
    let clients = ["[2a00::1]:1", "[2a00::ffff:0:0:2]:1", "[2a00:0:0:ff::3]:1", "[2a00:0:0:100::1]:1"];
    assert_eq!(codes(&mut world, clients.into_iter().map(Client::ada)), [0, 0, 486, 0], "a /56 is one");
}

#[test]
fn allocations_per_site() {
    let mut world = world(|limits| {
        (limits.allocations_per_household, limits.allocations_per_site, limits.allocations_floor) = (9, 4, 3);
    });
    let clients = (0..5).map(|n| Client::ada(&format!("[2a00:0:0:{:x}::1]:1", n << 8)));
    assert_eq!(codes(&mut world, clients), [0, 0, 0, 0, 486]);
    assert_eq!(codes(&mut world, [Client::ada("[2a00:0:1::1]:1")].into_iter()), [0]);
}

/// A client at the `n`th address, with a name of its own.
fn stranger(n: u32, port: u16) -> Client {
    let ip = std::net::Ipv4Addr::from_bits(0x0B00_0000 + n);
    Client::timed(&format!("{ip}:{port}"), UNIX + 3_600, &format!("{ip}:{port}"))
}

/// How many relayed addresses the `n`th address gets.
fn taken_by(world: &mut World, n: u32) -> usize {
    (1..).take_while(|port| stranger(n, *port).allocate_with(world, |_| ()).code() == 0).count()
}

#[test]
fn allocations_floor() {
    let mut world = World::with(|config| {
        config.limits.allocations_per_household = 50;
        config.limits.allocations_floor = 7;
    });
    let takers = (1..=1_000).map(|n| taken_by(&mut world, n)).collect::<Vec<_>>();
    // Of the last quarter each gets seven, of the last eighth half of that, then one; 1,000 ports are there.
    let least = |most: usize| takers.iter().filter(|taken| **taken == most).count();
    assert!(takers[0] > 40 && least(7) > 10 && least(3) > 10 && least(1) > 50, "{takers:?}");
    assert_eq!(takers.iter().sum::<usize>(), 1_000);
    let mut late = stranger(2_000, 1);
    assert_eq!(late.allocate_with(&mut world, |_| ()).code(), 508);
}

#[test]
fn one_household_that_takes_all_it_can_get_leaves_all_others_theirs() {
    let mut world = World::with(|config| {
        config.relay_ports = 49_152..=65_535;
        config.relay_range = 49_152..=65_535;
    });
    let taken = taken_by(&mut world, 0);
    assert!((600..768).contains(&taken), "{taken}: more than a school of 200 needs, less than a twentieth");
    let school = taken_by(&mut world, 1);
    assert!(school >= 600, "{school}");
}

#[test]
fn a_household_cannot_take_all_ports_of_one_thread_either() {
    let mut world = World::with(|config| {
        config.relay_ports = 50_000..=50_499;
        config.relay_range = 49_152..=65_535;
    });
    let takers: Vec<usize> = (0..30).map(|n| taken_by(&mut world, n)).collect();
    assert!((50..=64).contains(&takers[0]) && takers[29] >= 2, "{takers:?}");
}

#[test]
fn unused() {
    let mut world = World::with(|config| {
        (config.relay_ports, config.relay_range) = (50_000..=50_003, 50_000..=50_003);
        config.limits.allocations_floor = 3;
    });
    let mut first = stranger(1, 1);
    first.allocate(&mut world);
    assert_eq!(first.permit(&mut world, &[addr(PEER)]), 0);
    world.t(1_000);
    for port in 2..=3 {
        stranger(1, port).allocate(&mut world);
    }
    world.t(2_000);
    stranger(2, 1).allocate(&mut world);
    let mut late = stranger(3, 1);
    world.t(60_999);
    assert_eq!(late.allocate_with(&mut world, |_| ()).code(), 508);
    world.t(61_000);
    assert_eq!(late.allocate_with(&mut world, |_| ()).code(), 0, "of whom has the most, the oldest gave way");
    assert_eq!(stranger(1, 2).refresh(&mut world, 600).code(), 437);
    assert_eq!(stranger(4, 1).allocate_with(&mut world, |_| ()).code(), 0);
    assert_eq!(first.refresh(&mut world, 600).code(), 0, "what is used is kept");
    world.t(62_000);
    assert_eq!(
        stranger(5, 1).allocate_with(&mut world, |_| ()).code(),
        0,
        "the next is of a household of one"
    );
    assert_eq!(stranger(6, 1).allocate_with(&mut world, |_| ()).code(), 508);
    // Whose permission ran out is not used any more.
    world.t(360_000);
    assert_eq!(stranger(6, 1).allocate_with(&mut world, |_| ()).code(), 0);
}

#[test]
fn permissions_per_allocation() {
    let mut world = world(|limits| limits.permissions_per_allocation = 3);
    let mut client = Client::ada(FROM);
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, &[peer(1), peer(2)]), 0);
    assert_eq!(client.permit(&mut world, &[peer(3), peer(4)]), 508);
    assert_eq!(client.permit(&mut world, &[peer(3), peer(3), peer(1)]), 0);
    assert_eq!(client.permit(&mut world, &[peer(4)]), 508);
    assert_eq!(client.bind(&mut world, 0x4000, peer(4)), 508);
    world.t(300_000);
    assert_eq!(client.permit(&mut world, &[peer(4)]), 0, "those that ran out make room");
}

#[test]
fn channels_per_allocation() {
    let mut world = world(|limits| limits.channels_per_allocation = 2);
    let mut client = Client::ada(FROM);
    client.allocate(&mut world);
    let bound = [0x4000, 0x4001, 0x4002].map(|n| client.bind(&mut world, n, peer(usize::from(n - 0x3FFF))));
    assert_eq!(bound, [0, 0, 508]);
    assert_eq!(client.bind(&mut world, 0x4000, peer(1)), 0, "a refresh needs no room");
    client.refresh(&mut world, 3_600);
    world.t(601_000);
    assert_eq!(client.bind(&mut world, 0x4002, peer(3)), 0, "those that ran out make room");
    assert_eq!(world.server.stats().stored.channels, 1);
}

/// Permissions and channels of all allocations of a household together: strangers fill no memory with what each allocation may have.
#[test]
fn peers() {
    let quota = Quota { total: 64, household: 12, site: 24, floor: 4 };
    let mut world = world(|limits| limits.peers = quota);
    let [mut one, mut two, mut other] =
        ["192.0.2.33:4000", "192.0.2.33:4001", "192.0.2.34:4000"].map(Client::ada);
    for client in [&mut one, &mut two, &mut other] {
        client.allocate(&mut world);
    }
    let mut bind =
        |client: &mut Client, n: u16| client.bind(&mut world, 0x4000 + n, peer(usize::from(n) + 1));
    // A permission and a channel each; the second allocation has what the first one left.
    let first: Vec<u16> = (0..4).map(|n| bind(&mut one, n)).collect();
    let second: Vec<u16> = (0..3).map(|n| bind(&mut two, n)).collect();
    assert_eq!((first, second), (vec![0; 4], vec![0, 508, 508]));
    assert_eq!(bind(&mut one, 0), 0, "a refresh needs no room");
    assert_eq!(bind(&mut other, 0), 0, "other people's");
    one.refresh(&mut world, 0);
    assert_eq!(two.bind(&mut world, 0x4005, peer(6)), 0, "those that ended make room");
    two.refresh(&mut world, 0);
    other.refresh(&mut world, 0);
    let stored = world.server.stats().stored;
    assert_eq!((stored.permissions, stored.channels), (0, 0));
}

#[test]
fn channel_number_max() {
    for (max, allowed, refused) in [(0x7FFF, 0x7FFF, 0x8000), (0x4FFF, 0x4FFF, 0x5000)] {
        let mut world = world(|limits| limits.channel_number_max = max);
        let mut client = Client::ada(FROM);
        let relayed = client.allocate(&mut world);
        assert_eq!(client.bind(&mut world, refused, addr(PEER)), 400, "{refused:#x}");
        assert_eq!(client.bind(&mut world, allowed, addr(PEER)), 0, "{allowed:#x}");
        client.send_channel(&mut world, allowed, b"x");
        assert_eq!(world.peer_got(addr(PEER)).unwrap(), b"x");
        world.peer_sends(addr(PEER), relayed, b"y");
        assert_eq!(world.take_sent()[0].bytes[..2], allowed.to_be_bytes());
    }
    assert_eq!(Limits::default().channel_number_max, 0x7FFF);
}

#[test]
fn peers_per_request() {
    let mut world = world(|limits| limits.peers_per_request = 2);
    let mut client = Client::ada(FROM);
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, &[peer(1), peer(2), peer(3)]), 400);
    assert_eq!(client.permit(&mut world, &[peer(1), peer(2)]), 0);
}

#[test]
fn reservations() {
    let mut world = world(|limits| limits.reservations = 1);
    let pair = |world: &mut World, from: &str| {
        let reply = Client::ada(from).allocate_with(world, |builder| {
            builder.add(&EvenPort { reserve_next: true }).unwrap();
        });
        reply.code()
    };
    assert_eq!(pair(&mut world, "1.1.1.1:1"), 0);
    assert_eq!(pair(&mut world, "1.1.1.1:2"), 508);
    world.t(30_000);
    assert_eq!(pair(&mut world, "1.1.1.1:2"), 0);
}

#[test]
fn reservations_of_one_household() {
    let mut world = world(|limits| limits.reservations = 64);
    let pair = |world: &mut World, n: u32, port: u16| {
        let reply = stranger(n, port).allocate_with(world, |builder| {
            builder.add(&EvenPort { reserve_next: true }).unwrap();
        });
        reply.code()
    };
    let taken = (1..=20).filter(|port| pair(&mut world, 1, *port) == 0).count();
    assert!((3..=4).contains(&taken), "{taken}");
    assert_eq!(pair(&mut world, 2, 1), 0);
    world.t(30_000);
    assert_eq!(pair(&mut world, 1, 21), 0, "those that ran out are given back");
}

#[test]
fn port_attempts() {
    let mut world = world(|limits| limits.port_attempts = 5);
    world.ports = Ports::Fail(PortError::InUse);
    assert_eq!(Client::ada(FROM).allocate_with(&mut world, |_| ()).code(), 508);
    assert_eq!(world.commands.len(), 5);
    assert_eq!(world.server.stats().stored.entries(), 0);
}

#[test]
fn ports_of_the_range() {
    let mut world = World::with(|config| {
        (config.relay_ports, config.relay_range) = (50_000..=50_001, 50_000..=50_001);
    });
    let clients = ["1.1.1.1:1", "1.1.1.1:2", "1.1.1.1:3"].into_iter().map(Client::ada);
    assert_eq!(codes(&mut world, clients), [0, 0, 508]);
}

#[test]
fn bytes() {
    let mut world = world(|limits| limits.bytes = Rate { per_second: 1_000, burst: 3_000 });
    let (mut client, relayed) = talking(&mut world);
    let data = [7; 1_000];
    client.send_channel(&mut world, 0x4000, &data);
    client.send(&mut world, addr(PEER), &data);
    world.peer_sends(addr(PEER), relayed, &data);
    assert_eq!(world.server.stats().discarded(Discard::ByteRate), 0);
    world.take_sent();
    world.peer_sends(addr(PEER), relayed, &data);
    client.send_channel(&mut world, 0x4000, &data);
    assert!(world.take_sent().is_empty());
    assert_eq!(world.server.stats().discarded(Discard::ByteRate), 2);
    world.t(1_000);
    client.send_channel(&mut world, 0x4000, &data);
    assert!(world.peer_got(addr(PEER)).is_some());
}

#[test]
fn packets() {
    let mut world = world(|limits| limits.packets = Rate { per_second: 10, burst: 20 });
    let (mut client, relayed) = talking(&mut world);
    for _ in 0..15 {
        client.send_channel(&mut world, 0x4000, b"x");
        world.peer_sends(addr(PEER), relayed, b"x");
    }
    assert_eq!(world.server.stats().discarded(Discard::PacketRate), 10);
    let flows = (world.server.stats().to_peers.packets, world.server.stats().to_clients.packets);
    assert_eq!(flows, (10, 10));
}

/// How many of so many packets of 1,000 bytes get to `peer`, by channel.
fn passed(world: &mut World, client: &mut Client, channel: u16, count: usize) -> usize {
    let before = world.server.stats().to_peers.packets;
    for _ in 0..count {
        client.send_channel(world, channel, &[7; 1_000]);
    }
    usize::try_from(world.server.stats().to_peers.packets - before).unwrap()
}

#[test]
fn bytes_and_packets_of_a_member() {
    let mut world = world(|limits| {
        limits.bytes_of_member = Rate { per_second: 5_000, burst: 5_000 };
        limits.packets_of_member = Rate { per_second: 7, burst: 7 };
    });
    world.granted("g", "ADA", "198.51.100.7");
    world.granted("g", "BOB", "8.8.8.8");
    let mut ada = Client::member(FROM, "g", "ADA");
    ada.allocate(&mut world);
    ada.bind(&mut world, 0x4000, addr(PEER));
    assert_eq!(passed(&mut world, &mut ada, 0x4000, 6), 5);
    assert_eq!(world.server.stats().discarded(Discard::ByteRate), 1);
    ada.send_channel(&mut world, 0x4000, b"x");
    ada.send_channel(&mut world, 0x4000, b"x");
    assert_eq!(world.server.stats().discarded(Discard::PacketRate), 1);
    let (mut operator, _) = talking_from(&mut world, "198.51.100.8:1");
    assert_eq!(passed(&mut world, &mut operator, 0x4000, 6), 6);
}

fn talking_from(world: &mut World, from: &str) -> (Client, SocketAddr) {
    let mut client = Client::ada(from);
    let relayed = client.allocate(world);
    assert_eq!(client.bind(world, 0x4000, addr(PEER)), 0);
    (client, relayed)
}

#[test]
fn unanswered_per_user() {
    let mut world = world(|limits| limits.unanswered_per_user = Rate { per_second: 10_000, burst: 20_000 });
    let (mut client, relayed) = talking(&mut world);
    assert_eq!(client.bind(&mut world, 0x4001, addr("8.8.8.8:53")), 0);
    assert_eq!(passed(&mut world, &mut client, 0x4000, 50), 20);
    assert_eq!(passed(&mut world, &mut client, 0x4001, 50), 0, "another port of the same address");
    let (mut other, _) = talking_from(&mut world, "198.51.100.7:4001");
    assert_eq!(passed(&mut world, &mut other, 0x4000, 50), 0, "another allocation of the same user");
    world.t(1_000);
    assert_eq!(passed(&mut world, &mut client, 0x4001, 50), 10);
    let bob = &mut Client::new("198.51.100.7:4002", "bob", "builder");
    bob.allocate(&mut world);
    bob.bind(&mut world, 0x4000, addr(PEER));
    assert_eq!(passed(&mut world, bob, 0x4000, 50), 20, "another user");
    assert_eq!(client.bind(&mut world, 0x4002, addr("9.9.9.9:53")), 0);
    assert_eq!(passed(&mut world, &mut client, 0x4002, 50), 20, "another peer");
    // Something comes back: what goes to that port is limited no more, what goes to others is.
    world.peer_sends(addr(PEER), relayed, b"x");
    assert_eq!(passed(&mut world, &mut client, 0x4000, 500), 500);
    assert_eq!(passed(&mut world, &mut client, 0x4001, 50), 0);
    assert_eq!(client.bind(&mut world, 0x4000, addr(PEER)), 0);
    assert_eq!(passed(&mut world, &mut client, 0x4000, 500), 500, "nor after a refresh");
}

#[test]
fn small_packets_to_who_has_not_answered_have_a_rate_as_well() {
    let mut world = World::new();
    let (mut client, _) = talking(&mut world);
    let before = world.server.stats().to_peers.packets;
    for _ in 0..2_000 {
        client.send_channel(&mut world, 0x4000, b"x");
    }
    assert_eq!(world.server.stats().to_peers.packets - before, 512, "64 KiB by 128");
}

#[test]
fn unanswered_per_peer() {
    for (threads, expected) in [(1, 30), (2, 14)] {
        let mut world = World::with(|config| {
            config.threads = threads;
            config.limits.unanswered_per_peer = Rate { per_second: 30_000, burst: 30_000 };
        });
        let sum: usize = (0..10)
            .map(|n| {
                let mut client = Client::timed(&format!("1.1.1.{n}:1"), UNIX + 60, &n.to_string());
                client.allocate(&mut world);
                client.bind(&mut world, 0x4000, addr(PEER));
                passed(&mut world, &mut client, 0x4000, 20)
            })
            .sum();
        // Two rows of half the rate each, and whole packets.
        assert_eq!(sum, expected, "of {threads}");
    }
}

#[test]
fn relayed_addresses_of_our_own_need_no_answer() {
    let mut world = world(|limits| limits.unanswered_per_user = Rate { per_second: 1, burst: 1 });
    let [mut ada, mut bob] = [("198.51.100.7:1", "ADA"), ("198.51.100.8:1", "BOB")]
        .map(|(from, peer)| Client::member(from, "g", peer));
    ada.allocate(&mut world);
    let relayed = bob.allocate(&mut world);
    assert_eq!(ada.bind(&mut world, 0x4000, relayed), 0);
    assert_eq!(passed(&mut world, &mut ada, 0x4000, 100), 100);
}

#[test]
fn a_stranger_cannot_use_up_a_clients_packets() {
    let mut world = world(|limits| limits.packets = Rate { per_second: 10, burst: 20 });
    let (mut client, relayed) = talking(&mut world);
    for _ in 0..100 {
        world.peer_sends(addr("9.9.9.9:1"), relayed, b"x");
    }
    client.send_channel(&mut world, 0x4000, b"x");
    assert!(world.peer_got(addr(PEER)).is_some());
}

#[test]
fn new_peers() {
    let mut world = world(|limits| limits.new_peers = Rate { per_second: 1, burst: 2 });
    let mut client = Client::ada(FROM);
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, &[peer(1), peer(2)]), 0);
    assert_eq!(client.permit(&mut world, &[peer(3)]), 508);
    assert_eq!(client.permit(&mut world, &[peer(1), peer(2)]), 0, "a refresh is not new");
    world.t(1_000);
    assert_eq!(client.permit(&mut world, &[peer(3)]), 0);
}

fn bindings(world: &mut World, from: &str, count: usize) -> usize {
    let mut client = Client::ada(from);
    let packet = client.bare(Class::Request, Method::BINDING, |_| ());
    (0..count).filter(|_| client.send_raw(world, &packet).is_some()).count()
}

#[test]
fn answers() {
    let mut world = world(|limits| limits.answers = Rate { per_second: 10, burst: 20 });
    assert_eq!(bindings(&mut world, "8.8.8.8:1", 100), 20);
    assert_eq!(bindings(&mut world, "8.8.8.9:1", 100), 0, "the same /24");
    assert_eq!(bindings(&mut world, "8.8.9.9:1", 100), 20);
    assert_eq!(bindings(&mut world, "[2a00::1]:1", 100), 20);
    assert_eq!(bindings(&mut world, "[2a00:0:0:ff::1]:1", 100), 0, "the same /56");
    assert_eq!(bindings(&mut world, "127.0.0.1:1", 100), 100, "no victim of a reflection");
    assert_eq!(world.server.stats().discarded(Discard::AnswerRate), 440);
    world.t(1_000);
    assert_eq!(bindings(&mut world, "8.8.8.8:1", 100), 10);
    let mut client = Client::ada("8.8.8.10:1");
    let packet = client.bare(Class::Request, Method::ALLOCATE, |_| ());
    assert!(client.send_raw(&mut world, &packet).is_none(), "challenges are metered like bindings");
}

#[test]
fn answers_to_those_who_proved_themselves_are_not_metered() {
    let mut world = world(|limits| limits.answers = Rate { per_second: 1, burst: 2 });
    let mut client = Client::ada("8.8.8.8:1");
    client.allocate(&mut world);
    for _ in 0..100 {
        assert_eq!(client.refresh(&mut world, 600).code(), 0);
    }
}

#[test]
fn answers_local() {
    let limits = |limits: &mut Limits| limits.answers_local = Rate { per_second: 10, burst: 20 };
    let mut world = World::with(|config| {
        limits(&mut config.limits);
        config.external.v4 = Some("8.8.4.4".parse().unwrap());
    });
    assert_eq!(bindings(&mut world, "10.0.0.1:1", 100), 20);
    assert_eq!(bindings(&mut world, "[fd00::1]:1", 100), 20);
    assert_eq!(bindings(&mut world, "127.0.0.1:1", 100), 100);
    assert_eq!(bindings(&mut world, "8.8.8.8:1", 100), 100);
    let mut world = World::with(|config| limits(&mut config.limits));
    assert_eq!(bindings(&mut world, "10.0.0.1:1", 100), 100, "a relay of a private network");
}

#[test]
fn answers_loopback() {
    let mut world = world(|limits| limits.answers_loopback = Rate { per_second: 10, burst: 20 });
    assert_eq!(bindings(&mut world, "127.0.0.1:1", 100), 20);
    assert_eq!(bindings(&mut world, "[::1]:1", 100), 20);
    assert_eq!(bindings(&mut world, "10.0.0.1:1", 100), 100);
}

#[test]
fn answers_of_all_threads_together() {
    let mut world = World::with(|config| {
        config.threads = 4;
        config.limits.answers = Rate { per_second: 10, burst: 40 };
    });
    assert_eq!(bindings(&mut world, "8.8.8.8:1", 100), 10, "a quarter of forty");
}

#[test]
fn lifetimes() {
    let mut world = world(|limits| {
        limits.lifetime_default = Duration::from_secs(100);
        limits.lifetime_max = Duration::from_secs(200);
        limits.permission_lifetime = Duration::from_secs(10);
        limits.channel_lifetime = Duration::from_secs(20);
    });
    let mut client = Client::ada(FROM);
    let reply = client.allocate_with(&mut world, |_| ());
    assert_eq!(reply.lifetime_s(), 100);
    assert_eq!(client.refresh(&mut world, 1_000).lifetime_s(), 200);
    client.bind(&mut world, 0x4000, addr(PEER));
    world.t(10_000);
    client.send_channel(&mut world, 0x4000, b"x");
    assert_eq!(world.server.stats().discarded(Discard::NoPermission), 1);
    world.t(20_000);
    client.send_channel(&mut world, 0x4000, b"x");
    assert_eq!(world.server.stats().discarded(Discard::NoChannel), 1);
}

#[test]
fn reservation_lifetime() {
    let mut world = world(|limits| limits.reservation_lifetime = Duration::from_secs(5));
    Client::ada(FROM).allocate_with(&mut world, |builder| {
        builder.add(&EvenPort { reserve_next: true }).unwrap().add(&Lifetime(3_600)).unwrap();
    });
    world.t(4_999);
    assert_eq!(world.server.stats().stored.reservations, 1);
    world.t(5_000);
    assert_eq!(world.server.stats().stored.reservations, 0);
}

#[test]
fn nonce_lifetime() {
    let mut world = world(|limits| limits.nonce_lifetime = Duration::from_secs(10));
    let mut client = Client::ada(FROM);
    client.allocate(&mut world);
    world.t(9_000);
    assert_eq!(client.refresh(&mut world, 600).code(), 0);
    world.t(11_000);
    assert_eq!(client.refresh(&mut world, 600).code(), 438);
}

#[test]
fn credential_lifetime_max() {
    let mut world = world(|limits| limits.credential_lifetime_max = Duration::from_secs(100));
    let clients = [100, 101].into_iter().map(|s| Client::timed(&format!("1.1.1.1:{s}"), UNIX + s, "alice"));
    assert_eq!(codes(&mut world, clients), [0, 401]);
}

#[test]
fn members() {
    let mut world = world(|limits| limits.members = Quota { total: 4, household: 4, site: 4, floor: 4 });
    world.granted("g", "ADA", "8.8.8.8");
    world.granted("g", "BOB", "8.8.8.8");
    world.granted("g", "CYD", "9.9.9.9");
    world.granted("g", "DAN", "7.7.7.7");
    world.granted("g", "ADA", "8.8.4.4");
    world.granted("h", "EVE", "7.7.7.7");
    let stats = world.server.stats();
    assert_eq!((stats.stored.members, stats.discarded(Discard::DirectoryFull)), (4, 2));
    let codes_of = |world: &mut World, members: [(&str, &str); 5]| {
        let clients =
            (1..).zip(members).map(|(n, (group, peer))| Client::member(&format!("1.1.1.{n}:1"), group, peer));
        codes(world, clients)
    };
    let all = [("g", "ADA"), ("g", "BOB"), ("g", "CYD"), ("g", "DAN"), ("h", "EVE")];
    assert_eq!(codes_of(&mut world, all), [0, 0, 0, 401, 0], "of h, the relay has not heard");
    world.revoked("g", "BOB");
    world.granted("g", "DAN", "7.7.7.7");
    assert_eq!(world.server.stats().discarded(Discard::DirectoryFull), 2, "there is room again");
}

#[test]
fn strangers_who_come_and_go_leave_nothing_and_hinder_nobody() {
    let mut world = World::new();
    world.granted("g", "ADA", "198.51.100.7");
    for n in 0..20_000 {
        let peer = format!("V{n}");
        world.granted("g", &peer, "8.8.8.8");
        world.revoked("g", &peer);
    }
    assert_eq!(world.server.stats().stored.members, 2, "the group, and ADA");
    assert_eq!(Client::member("8.8.8.8:1", "g", "V7").allocate_with(&mut world, |_| ()).code(), 401);
    // Lobbies of their own, never left: their household has its share, and others have theirs.
    for n in 0..20_000 {
        world.granted(&format!("h{n}"), "EVE", "8.8.8.8");
    }
    let stats = world.server.stats();
    assert!(stats.stored.members <= 4_096, "{}", stats.stored.members);
    let refused = stats.discarded(Discard::DirectoryFull);
    world.granted("i", "BOB", "9.9.9.9");
    assert_eq!(world.server.stats().discarded(Discard::DirectoryFull), refused);
}

#[test]
fn members_per_group() {
    let mut world = world(|limits| limits.members_per_group = 3);
    world.granted("g", "ADA", "198.51.100.7");
    world.granted("g", "BOB", "198.51.100.8");
    // Of the household with the most, somebody gives way: never ADA or BOB.
    for n in 0..10 {
        world.granted("g", &format!("V{n}"), "8.8.8.8");
    }
    for (peer, code) in [("ADA", 0), ("BOB", 0), ("V9", 0), ("V8", 401)] {
        assert_eq!(codes(&mut world, [Client::member("1.1.1.1:1", "g", peer)].into_iter()), [code], "{peer}");
        Client::member("1.1.1.1:1", "g", peer).refresh(&mut world, 0);
    }
    world.granted("g", "CYD", "9.9.9.9");
    assert_eq!(world.server.stats().discarded(Discard::DirectoryFull), 1, "each household has one");
}

#[test]
fn username_bytes() {
    let long = "a".repeat(400);
    let mut world = World::with(|config| config.users = vec![(long.clone(), "p".into())]);
    assert_eq!(Client::new(FROM, &long, "p").allocate_with(&mut world, |_| ()).code(), 0);
    let mut world = world_of_short_names();
    let id = "b".repeat(200);
    assert_eq!(Client::timed(FROM, UNIX + 60, &id).allocate_with(&mut world, |_| ()).code(), 401);
    assert_eq!(Client::timed(FROM, UNIX + 60, "b").allocate_with(&mut world, |_| ()).code(), 0);
}

fn world_of_short_names() -> World {
    world(|limits| limits.username_bytes = 100)
}

#[test]
fn message_bytes() {
    let mut world = world(|limits| limits.message_bytes = 500);
    let (mut client, relayed) = talking(&mut world);
    client.send_channel(&mut world, 0x4000, &[0; 497]);
    world.peer_sends(addr(PEER), relayed, &[0; 501]);
    assert!(world.take_sent().is_empty());
    assert_eq!(world.server.stats().discarded(Discard::Length), 2);
    client.send_channel(&mut world, 0x4000, &[0; 496]);
    assert!(world.peer_got(addr(PEER)).is_some());
}

#[test]
fn the_largest_datagram_is_relayed_and_a_larger_one_is_dropped() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let relayed = client.allocate(&mut world);
    client.permit(&mut world, &[addr(PEER)]);
    world.peer_sends(addr(PEER), relayed, &[0; 65_500]);
    assert_eq!(world.take_sent().len(), 1);
    world.peer_sends(addr(PEER), relayed, &[0; 65_530]);
    assert!(world.take_sent().is_empty(), "no Data indication is long enough");
    world.peer_sends(addr(PEER), relayed, &[0; 65_536]);
    assert!(world.take_sent().is_empty());
    assert_eq!(world.server.stats().discarded(Discard::Length), 2);
}
