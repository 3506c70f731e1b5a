//! From the inside to the own outside, and NATs behind NATs.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use twocan_sim::{Behavior, Drop, Hairpin, HostId, Kind, NatConfig, SegmentId};
use world::{ADA, BOB, Bench, ONE, World, addr, ip, source};

fn bench(hairpin: Hairpin, filtering: Behavior) -> Bench {
    Bench::nat(NatConfig { hairpin, filtering, ..NatConfig::default() })
}

#[test]
fn without_hairpinning_packets_to_the_own_outside_are_dropped() {
    let mut bench = bench(Hairpin::None, Behavior::EndpointIndependent);
    let bob = bench.bob_to(ONE);
    assert!(bench.world.udp(bench.ada, ADA, bob).is_empty());
    assert_eq!(bench.world.dropped(Drop::NoHairpin), 1);
}

#[test]
fn a_hairpin_shows_the_external_source_or_the_internal_one() {
    for (hairpin, seen) in [(Hairpin::ExternalSource, None), (Hairpin::InternalSource, Some(addr(ADA)))] {
        let mut bench = bench(hairpin, Behavior::EndpointIndependent);
        let (ada, bob) = (bench.ada_to(ONE), bench.bob_to(ONE));
        let arrived = bench.world.udp(bench.ada, ADA, bob);
        assert_eq!(arrived[0].host, bench.bob);
        assert_eq!(world::destination(&arrived), addr(BOB));
        assert_eq!(source(&arrived), seen.unwrap_or(ada));
    }
}

#[test]
fn hairpinning_filters_as_if_it_came_from_outside() {
    let mut bench = bench(Hairpin::ExternalSource, Behavior::AddressAndPortDependent);
    let (ada, bob) = (bench.ada_to(ONE), bench.bob_to(ONE));
    assert!(bench.world.udp(bench.ada, ADA, bob).is_empty());
    assert_eq!(bench.world.dropped(Drop::Filtered), 1);
    assert_eq!(bench.world.udp(bench.bob, BOB, ada).len(), 1, "Ada has sent to Bob");
    assert_eq!(bench.world.udp(bench.ada, ADA, bob).len(), 1, "and now Bob to Ada");
}

#[test]
fn a_hairpin_to_a_port_without_a_mapping_is_dropped() {
    let mut bench = bench(Hairpin::ExternalSource, Behavior::EndpointIndependent);
    assert!(bench.world.udp(bench.ada, ADA, addr("80.80.2.1:9")).is_empty());
    assert_eq!(bench.world.dropped(Drop::NoMapping), 1);
}

fn home_behind(world: &mut World, segment: SegmentId) -> (HostId, String) {
    let site = world.network.add_site(segment, Kind::Home);
    let host = world.network.add_host_at(&site);
    let address = world.network.host_addresses(host).next().unwrap();
    (host, format!("{address}:5000"))
}

#[test]
fn two_homes_behind_one_carrier_reach_each_other_by_its_hairpin() {
    let mut world = World::new(1);
    let server = world.public("80.80.1.1");
    let carrier = world.network.add_site(world.internet, Kind::Cgnat);
    let (ada, ada_at) = home_behind(&mut world, carrier.segment);
    let (bob, bob_at) = home_behind(&mut world, carrier.segment);
    assert_eq!(ada_at, bob_at, "all homes have the same private addresses");
    let ada_seen = source(&world.udp(ada, &ada_at, addr(ONE)));
    let bob_seen = source(&world.udp(bob, &bob_at, addr(ONE)));
    assert_eq!(ada_seen.ip(), bob_seen.ip(), "one external address");
    assert_ne!(ada_seen.port() / 512, bob_seen.port() / 512, "two subscribers");
    assert!(world.udp(ada, &ada_at, bob_seen).is_empty(), "Bob's home has not sent to Ada");
    assert_eq!(source(&world.udp(bob, &bob_at, ada_seen)), bob_seen);
    assert_eq!(source(&world.udp(ada, &ada_at, bob_seen)), ada_seen);
    assert_eq!(world.udp(server, ONE, bob_seen).len(), 1);
}

#[test]
fn behind_two_nats_the_stricter_filter_counts() {
    let mut world = World::new(1);
    let (one, two) = (world.public("80.80.1.1"), world.public("80.80.1.2"));
    let site = world.network.add_site(world.internet, Kind::DoubleNat);
    assert_eq!(site.routers.len(), 2);
    let host = world.network.add_host_at(&site);
    let from = format!("{}:5000", world.network.host_addresses(host).next().unwrap());
    let seen = source(&world.udp(host, &from, addr(ONE)));
    assert_eq!(Some(seen.ip()), world.network.external_address(site.routers[0]));
    assert!(
        world
            .network
            .external_address(site.routers[1])
            .is_some_and(|ip| ip.to_string().starts_with("100.64."))
    );
    assert_eq!(world.udp(one, ONE, seen).len(), 1);
    assert!(world.udp(two, "80.80.1.2:1000", seen).is_empty(), "through the carrier, not through the home");
    assert_eq!(world.dropped(Drop::Filtered), 1);
}

#[test]
fn neighbours_need_no_router() {
    let mut bench = Bench::nat(NatConfig::default());
    let arrived = bench.world.udp(bench.ada, ADA, addr(BOB));
    assert_eq!(source(&arrived), addr(ADA));
    assert_eq!(arrived[0].packet.hop_limit, 64);
    assert!(bench.world.udp(bench.ada, ADA, addr("192.168.1.77:1")).is_empty());
    assert_eq!(bench.world.dropped(Drop::NoNeighbour), 1);
    assert!(bench.world.udp(bench.ada, ADA, addr("10.1.1.1:1")).is_empty());
    assert_eq!(bench.world.dropped(Drop::NoRoute), 1);
    assert_eq!(ip("80.80.2.1"), bench.world.network.external_address(bench.router).unwrap());
}
