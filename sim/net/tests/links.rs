//! Links: delay, order, loss and its like by seed, rate and queue, MTU; and the internet's hops.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use std::time::Duration;

use twocan_sim::packet::{Icmp, IcmpError, Payload};
use twocan_sim::{
    Access, Attachment, Chance, Delivery, Direction, Drop, HostId, Link, NatConfig, Packet, SegmentConfig,
};
use world::{ADA, Bench, ONE, World, addr, ip, ms};

const FROM: &str = "80.80.1.1:1";
const TO: &str = "80.80.1.2:2";

/// Two hosts of the internet, the first by this link.
fn pair(n: u8, up: Link) -> (World, HostId, HostId) {
    let mut world = World::new(n);
    let from = world.network.add_host();
    let attachment = Attachment::new(world.internet).address(ip("80.80.1.1"));
    world.network.add_interface(from, attachment.access(Access { up, down: Link::default() }));
    let to = world.public("80.80.1.2");
    (world, from, to)
}

/// `count` packets, `gap` apart, numbered; what arrived, and when.
fn run(world: &mut World, from: HostId, count: u32, gap: Duration) -> Vec<(u32, Duration)> {
    for n in 0..count {
        let data = n.to_be_bytes().to_vec();
        world.network.handle_packet(from, Packet::udp(addr(FROM), addr(TO), data), world.now);
        world.pass(gap);
    }
    let number = |d: &Delivery| u32::from_be_bytes(world::data(d).try_into().unwrap());
    let start = world.start;
    world.settle().iter().map(|d| (number(d), d.at - start)).collect()
}

#[test]
fn a_packet_takes_the_delay_of_each_link_on_its_way() {
    let mut bench = Bench::nat(NatConfig::default());
    let outside = bench.world.network.outside(bench.router);
    let (up, down) = (Link::delayed(ms(20)), Link::delayed(ms(5)));
    bench.world.network.set_access(outside, Access { up, down }, bench.world.now);
    let host = bench.world.network.interfaces(bench.ada)[0];
    bench.world.network.set_access(host, Access::both(Link::delayed(ms(1))), bench.world.now);
    let arrived = bench.world.udp(bench.ada, ADA, addr(ONE));
    assert_eq!(arrived[0].at - bench.world.start, ms(21));
    let external = world::source(&arrived);
    let arrived = bench.world.udp(bench.one, ONE, external);
    assert_eq!(arrived[0].at - bench.world.start, ms(21 + 6));
}

#[test]
fn jitter_stays_within_its_bounds_and_keeps_order_or_not() {
    for jitter_reorders in [false, true] {
        let link = Link { delay: ms(10), jitter: ms(20), jitter_reorders, ..Link::default() };
        let (mut world, from, _) = pair(1, link);
        let arrived = run(&mut world, from, 500, ms(1));
        let delays = arrived.iter().map(|(n, at)| *at - ms(u64::from(*n)));
        assert!(delays.clone().all(|delay| delay >= ms(10) && delay <= ms(30)));
        assert!(delays.clone().max() > Some(ms(28)));
        assert_eq!(
            delays.min() < Some(ms(12)),
            jitter_reorders,
            "who may not overtake waits for the slowest"
        );
        assert_eq!(arrived.is_sorted_by_key(|(n, _)| *n), !jitter_reorders);
    }
}

#[test]
fn loss_is_as_likely_as_it_is_said_to_be() {
    let (mut world, from, _) = pair(1, Link { loss: Chance::percent(10.0), ..Link::default() });
    let arrived = run(&mut world, from, 10_000, ms(1)).len() as u64;
    assert_eq!(world.dropped(Drop::Lost), 10_000 - arrived);
    assert!((8_850..9_150).contains(&arrived), "{arrived}");
}

#[test]
fn always_and_never_are_meant() {
    let (mut world, from, _) = pair(1, Link { loss: Chance::ALWAYS, ..Link::default() });
    assert_eq!(run(&mut world, from, 100, ms(1)).len(), 0);
    assert_eq!(Chance::percent(250.0), Chance::ALWAYS);
    assert_eq!(Chance::percent(-1.0), Chance::NEVER);
    assert_eq!(Chance::percent(f64::NAN), Chance::NEVER);
}

#[test]
fn duplicates_arrive_twice() {
    let (mut world, from, _) = pair(1, Link { duplication: Chance::percent(5.0), ..Link::default() });
    let arrived = run(&mut world, from, 10_000, ms(1)).len() as u64;
    assert!((10_400..10_600).contains(&arrived), "{arrived}");
    assert_eq!(world.network.stats().copied, arrived - 10_000);
}

#[test]
fn a_damaged_packet_ends_at_its_receiver() {
    let (mut world, from, _) = pair(1, Link { corruption: Chance::percent(20.0), ..Link::default() });
    let arrived = run(&mut world, from, 1_000, ms(1)).len() as u64;
    assert_eq!(world.dropped(Drop::Corrupted), 1_000 - arrived);
    assert!((760..840).contains(&arrived), "{arrived}");
}

#[test]
fn a_damaged_packet_is_not_answered_by_a_router() {
    let mut bench = Bench::nat(NatConfig::default());
    let host = bench.world.network.interfaces(bench.ada)[0];
    let bad = Link { corruption: Chance::ALWAYS, ..Link::default() };
    bench.world.network.set_access(host, Access { up: bad, down: Link::default() }, bench.world.now);
    let ping = Packet::ping(addr(ADA).ip(), ip("192.168.1.1"), 1, 1);
    assert!(bench.world.send(bench.ada, ping).is_empty());
    assert_eq!(bench.world.dropped(Drop::Corrupted), 1);
}

#[test]
fn reordering_holds_some_back() {
    let link = Link { reordering: Chance::percent(10.0), reordering_delay: ms(5), ..Link::default() };
    let (mut world, from, _) = pair(1, link);
    let arrived = run(&mut world, from, 1_000, ms(1));
    let late = arrived.iter().filter(|(n, at)| *at == ms(u64::from(*n) + 5)).count();
    assert!((70..130).contains(&late), "{late}");
    assert!(!arrived.is_sorted_by_key(|(n, _)| *n));
    assert_eq!(arrived.len(), 1_000);
}

#[test]
fn a_rate_sends_one_packet_after_another_and_a_full_queue_drops_the_last() {
    // 32 bytes of IP packet each; 32 bytes a millisecond; room for four besides the one that is being sent.
    let link = Link { rate_bps: Some(256_000), queue_len_max: 160, ..Link::default() };
    let (mut world, from, _) = pair(1, link);
    let arrived = run(&mut world, from, 10, Duration::ZERO);
    let expected: Vec<(u32, Duration)> = (0..5).map(|n| (n, ms(u64::from(n) + 1))).collect();
    assert_eq!(arrived, expected);
    assert_eq!(world.dropped(Drop::QueueFull), 5);
    world.pass(ms(1));
    assert_eq!(run(&mut world, from, 1, Duration::ZERO).len(), 1, "the queue is empty again");
}

fn too_big(deliveries: &[Delivery]) -> (IcmpError, std::net::IpAddr) {
    let Payload::Icmp(Icmp::Error { error, .. }) = &deliveries[0].packet.payload else {
        panic!("{deliveries:?}")
    };
    (*error, deliveries[0].packet.source)
}

fn long(from: &str, to: &str, len: usize) -> Packet {
    let header = if addr(to).is_ipv4() { 28 } else { 48 };
    Packet::udp(addr(from), addr(to), vec![0; len - header])
}

#[test]
fn whoever_cannot_pass_a_packet_on_whole_says_so() {
    let mut bench = Bench::nat(NatConfig::default());
    let network = &mut bench.world.network;
    let (now, narrow) = (bench.world.now, Link { mtu: 1280, ..Link::default() });
    let (host, outside) = (network.interfaces(bench.ada)[0], network.outside(bench.router));
    network.set_access(outside, Access::both(narrow), now);

    let by_router = bench.world.send(bench.ada, long(ADA, ONE, 1281));
    assert_eq!(too_big(&by_router), (IcmpError::TooBig { mtu: 1280 }, ip("192.168.1.1")));
    let Payload::Icmp(Icmp::Error { quote, .. }) = &by_router[0].packet.payload else { panic!() };
    assert_eq!(quote.flow().unwrap().source, addr(ADA), "as it was before translation");
    assert_eq!(bench.world.send(bench.ada, long(ADA, ONE, 1280))[0].host, bench.one);

    let external = bench.ada_to(ONE).to_string();
    let by_far_end = bench.world.send(bench.one, long(ONE, &external, 1400));
    assert_eq!(too_big(&by_far_end), (IcmpError::TooBig { mtu: 1280 }, ip("192.0.0.8")));

    bench.world.network.set_access(host, Access::both(narrow), now);
    let by_itself = bench.world.send(bench.ada, long(ADA, ONE, 1400));
    assert_eq!(too_big(&by_itself), (IcmpError::TooBig { mtu: 1280 }, addr(ADA).ip()));
    assert_eq!(bench.world.dropped(Drop::TooBig), 3);
}

#[test]
fn towards_the_inside_the_router_quotes_what_the_outside_sent() {
    let mut bench = Bench::nat(NatConfig::default());
    let inside = bench.world.network.inside(bench.router);
    let narrow = Access { up: Link { mtu: 1000, ..Link::default() }, down: Link::default() };
    bench.world.network.set_access(inside, narrow, bench.world.now);
    let external = bench.ada_to(ONE);
    let back = bench.world.send(bench.one, long(ONE, &external.to_string(), 1200));
    assert_eq!(too_big(&back), (IcmpError::TooBig { mtu: 1000 }, ip("80.80.2.1")));
    let Payload::Icmp(Icmp::Error { quote, .. }) = &back[0].packet.payload else { panic!() };
    assert_eq!(quote.flow().unwrap().destination, external);
}

#[test]
fn a_black_hole_says_nothing_and_a_packet_without_df_passes() {
    let link = Link { mtu: 1280, blackhole: true, ..Link::default() };
    let (mut world, from, _) = pair(1, link);
    assert!(world.send(from, long(FROM, TO, 1281)).is_empty());
    assert_eq!(world.dropped(Drop::Blackhole), 1);
    let (mut world, from, to) = pair(1, Link { mtu: 1280, ..Link::default() });
    let mut packet = long(FROM, TO, 1281);
    packet.dont_fragment = false;
    assert_eq!(world.send(from, packet)[0].host, to);
}

#[test]
fn the_internet_is_eight_hops_wide() {
    let mut world = World::new(1);
    let internet = world.network.add_segment(SegmentConfig::internet());
    let [ada, bob] = ["80.80.1.1", "80.80.1.2"].map(|address| {
        let host = world.network.add_host();
        world.network.add_interface(host, Attachment::new(internet).address(ip(address)));
        host
    });
    assert_eq!(world.udp(ada, FROM, addr(TO))[0].packet.hop_limit, 56);
    let mut short = Packet::udp(addr(FROM), addr(TO), "short");
    short.hop_limit = 8;
    let back = world.send(ada, short);
    assert_eq!((back[0].host, back[0].packet.source), (ada, ip("192.0.0.8")));
    let Payload::Icmp(Icmp::Error { error, .. }) = &back[0].packet.payload else { panic!() };
    assert_eq!(*error, IcmpError::TimeExceeded { code: 0 });
    let mut enough = Packet::udp(addr(FROM), addr(TO), "enough");
    enough.hop_limit = 9;
    assert_eq!(world.send(ada, enough)[0].host, bob);
}

#[test]
fn a_drop_says_where() {
    let (mut world, from, _) = pair(1, Link { loss: Chance::ALWAYS, ..Link::default() });
    world.network.set_tracing(true);
    world.udp(from, FROM, addr(TO));
    let interface = world.network.interfaces(from)[0];
    let events: Vec<_> = std::iter::from_fn(|| world.network.poll_event()).collect();
    let twocan_sim::Step::Dropped { at, why, .. } = events[1].step else { panic!("{events:?}") };
    assert_eq!((at, why), (twocan_sim::Place::Link(interface, Direction::Up), Drop::Lost));
}
