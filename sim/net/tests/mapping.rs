//! How a NAT maps and filters, in the words of RFC 4787: each behaviour by what a host inside and hosts outside see.

mod world;

use std::collections::BTreeSet;

use twocan_sim::{Allocation, Behavior, Drop, NatConfig, OnClash, Pooling, RouterConfig};
use world::{ADA, BOB, Bench, ONE, ONE_OTHER_PORT, TWO, addr, ip, secs, source};

const BEHAVIORS: [Behavior; 3] =
    [Behavior::EndpointIndependent, Behavior::AddressDependent, Behavior::AddressAndPortDependent];

fn config(mapping: Behavior, filtering: Behavior) -> NatConfig {
    NatConfig { mapping, filtering, allocation: Allocation::Random, ..NatConfig::default() }
}

#[test]
fn a_mapping_depends_on_as_much_of_the_destination_as_its_behavior_says() {
    for mapping in BEHAVIORS {
        for filtering in BEHAVIORS {
            let mut bench = Bench::nat(config(mapping, filtering));
            let first = bench.ada_to(ONE);
            assert_eq!(first.ip(), ip(world::EXTERNAL));
            assert_eq!(bench.ada_to(ONE), first, "the same destination, the same mapping");
            let by_port = bench.ada_to(ONE_OTHER_PORT) != first;
            let by_address = bench.ada_to(TWO) != first;
            let expected = match mapping {
                Behavior::EndpointIndependent => (false, false),
                Behavior::AddressDependent => (false, true),
                Behavior::AddressAndPortDependent => (true, true),
            };
            assert_eq!((by_port, by_address), expected, "{mapping:?} {filtering:?}");
        }
    }
}

#[test]
fn a_filter_lets_in_as_many_strangers_as_its_behavior_says() {
    for mapping in BEHAVIORS {
        for filtering in BEHAVIORS {
            let mut bench = Bench::nat(config(mapping, filtering));
            let external = bench.ada_to(ONE);
            assert!(bench.gets_in(ONE, external), "the answer always gets in");
            let (port, address) = (bench.gets_in(ONE_OTHER_PORT, external), bench.gets_in(TWO, external));
            let expected = match filtering {
                Behavior::EndpointIndependent => (true, true),
                Behavior::AddressDependent => (true, false),
                Behavior::AddressAndPortDependent => (false, false),
            };
            assert_eq!((port, address), expected, "{mapping:?} {filtering:?}");
            assert!(!bench.gets_in(ONE, addr("80.80.2.1:7")), "no mapping, no way in");
        }
    }
}

#[test]
fn what_is_let_in_arrives_at_the_internal_endpoint() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = bench.ada_to(ONE);
    let arrived = bench.world.udp(bench.one, ONE, external);
    assert_eq!(world::destination(&arrived), addr(ADA));
    assert_eq!(source(&arrived), addr(ONE));
    assert_eq!(arrived[0].host, bench.ada);
}

#[test]
fn an_endpoint_independent_mapping_is_opened_to_whoever_is_sent_to() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = bench.ada_to(ONE);
    assert!(!bench.gets_in(TWO, external));
    assert_eq!(bench.world.dropped(Drop::Filtered), 1);
    bench.ada_to(TWO);
    assert!(bench.gets_in(TWO, external));
}

#[test]
fn a_stranger_who_was_let_in_by_an_open_filter_does_not_open_a_stricter_one() {
    let mut bench = Bench::nat(config(Behavior::EndpointIndependent, Behavior::AddressAndPortDependent));
    let external = bench.ada_to(ONE);
    for _ in 0..2 {
        assert!(!bench.gets_in(TWO, external));
    }
}

#[test]
fn ports_are_preserved_and_a_clash_takes_the_next_free_or_any() {
    let preserving =
        |on_clash| NatConfig { allocation: Allocation::Preserving { on_clash }, ..NatConfig::default() };
    let mut bench = Bench::nat(preserving(OnClash::Next));
    assert_eq!(bench.ada_to(ONE).port(), 5000);
    assert_eq!(bench.bob_to(ONE).port(), 5001);
    let mut bench = Bench::nat(preserving(OnClash::Random));
    assert_eq!(bench.ada_to(ONE).port(), 5000);
    let other = bench.bob_to(ONE).port();
    assert!(other >= 1024 && other != 5000 && other != 5001, "{other}");
}

#[test]
fn a_symmetric_nat_that_preserves_keeps_the_port_of_the_first_destination_only() {
    let mapping = Behavior::AddressAndPortDependent;
    let mut bench = Bench::nat(NatConfig { mapping, ..NatConfig::default() });
    assert_eq!(bench.ada_to(ONE).port(), 5000);
    assert_ne!(bench.ada_to(TWO).port(), 5000);
}

#[test]
fn sequential_ports_follow_each_other_by_the_step_and_pass_what_is_taken() {
    let allocation = Allocation::Sequential { step: 2 };
    let mapping = Behavior::AddressAndPortDependent;
    let config = NatConfig { allocation, mapping, port_min: 2000, port_max: 2007, ..NatConfig::default() };
    let mut bench = Bench::nat(config);
    let ports: Vec<u16> = (0..8).map(|n| bench.ada_to(&format!("80.80.1.1:{}", 1000 + n)).port()).collect();
    let next = |port: u16| 2000 + (port - 2000 + 2) % 8;
    assert!(ports[..4].windows(2).all(|pair| pair[1] == next(pair[0])), "{ports:?}");
    assert_eq!(ports.iter().collect::<BTreeSet<_>>().len(), 8, "the others too are used: {ports:?}");
    assert!(bench.world.udp(bench.ada, ADA, addr("80.80.1.1:2000")).is_empty());
    assert_eq!(bench.world.dropped(Drop::PortsExhausted), 1);
}

#[test]
fn random_ports_are_in_the_range_and_differ_by_seed() {
    let ports = |n| {
        let config = config(Behavior::AddressAndPortDependent, Behavior::AddressAndPortDependent);
        let config = RouterConfig { nat: Some(config), ..RouterConfig::default() };
        let mut bench = Bench::with_pool(config, &[world::EXTERNAL], n);
        (0..100).map(|n| bench.ada_to(&format!("80.80.1.1:{}", 1000 + n)).port()).collect::<Vec<_>>()
    };
    let (first, second) = (ports(1), ports(2));
    assert_ne!(first, second);
    assert_eq!(first, ports(1));
    assert!(first.iter().all(|port| *port >= 1024));
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 100, "no port is given twice");
    let mean = first.iter().map(|port| u32::from(*port)).sum::<u32>() / 100;
    assert!((25_000..42_000).contains(&mean), "spread over the range, not {mean}");
}

#[test]
fn a_subscriber_keeps_to_its_block_until_its_blocks_are_full() {
    let allocation = Allocation::Blocks { size: 8, per_subscriber: 2 };
    let mapping = Behavior::AddressAndPortDependent;
    let mut bench = Bench::nat(NatConfig { allocation, mapping, port_min: 1024, ..NatConfig::default() });
    let block = |port: u16| (port - 1024) / 8;
    let ada: Vec<u16> =
        (0..16).map(|n| block(bench.ada_to(&format!("80.80.1.1:{}", 1000 + n)).port())).collect();
    assert_eq!(ada[..8].iter().collect::<BTreeSet<_>>().len(), 1, "{ada:?}");
    assert_eq!(ada[8..].iter().collect::<BTreeSet<_>>().len(), 1, "{ada:?}");
    assert_ne!(ada[0], ada[8]);
    assert!(bench.world.udp(bench.ada, ADA, addr("80.80.1.1:2000")).is_empty());
    assert_eq!(bench.world.dropped(Drop::PortsExhausted), 1);
    assert!(!ada.contains(&block(bench.bob_to(ONE).port())), "nobody else's port is in it");
}

#[test]
fn a_block_without_mappings_is_given_back_when_blocks_run_out() {
    let allocation = Allocation::Blocks { size: 4, per_subscriber: 1 };
    let config = NatConfig { allocation, port_min: 2000, port_max: 2003, ..NatConfig::default() };
    let mut bench = Bench::nat(config);
    bench.ada_to(ONE);
    assert!(bench.world.udp(bench.bob, BOB, addr(ONE)).is_empty(), "there is only one block");
    bench.world.pass(secs(121));
    assert!((2000..2004).contains(&bench.bob_to(ONE).port()));
}

#[test]
fn pooling_is_paired_or_arbitrary() {
    let pool = ["80.80.2.1", "80.80.2.2", "80.80.2.3", "80.80.2.4"];
    let addresses = |pooling| {
        let mapping = Behavior::AddressAndPortDependent;
        let nat = NatConfig { pooling, mapping, ..NatConfig::default() };
        let mut bench =
            Bench::with_pool(RouterConfig { nat: Some(nat), ..RouterConfig::default() }, &pool, 3);
        let of = (0..32).map(|n| bench.ada_to(&format!("80.80.1.1:{}", 1000 + n)).ip());
        of.collect::<BTreeSet<_>>()
    };
    assert_eq!(addresses(Pooling::Paired).len(), 1);
    assert_eq!(addresses(Pooling::Arbitrary).len(), 4);
}

#[test]
fn paired_pooling_spreads_subscribers_over_the_pool() {
    let pool = ["80.80.2.1", "80.80.2.2"];
    let nat = Some(NatConfig::default());
    let mut bench = Bench::with_pool(RouterConfig { nat, ..RouterConfig::default() }, &pool, 1);
    let mut seen = BTreeSet::new();
    for n in 20..40 {
        let host = bench.inner(&format!("192.168.1.{n}"));
        seen.insert(source(&bench.world.udp(host, &format!("192.168.1.{n}:5000"), addr(ONE))).ip());
    }
    assert_eq!(seen.len(), 2);
}

#[test]
fn a_silent_mapping_ends_and_a_packet_from_the_inside_refreshes_it() {
    let mut bench = Bench::nat(config(Behavior::EndpointIndependent, Behavior::EndpointIndependent));
    let external = bench.ada_to(ONE);
    bench.world.pass(secs(119));
    assert_eq!(bench.ada_to(ONE), external);
    bench.world.pass(secs(119));
    assert_eq!(bench.ada_to(ONE), external, "refreshed");
    bench.world.pass(secs(120));
    assert!(!bench.gets_in(ONE, external));
    assert_eq!(bench.world.dropped(Drop::NoMapping), 1);
    assert_ne!(bench.ada_to(ONE), external, "a new one");
}

#[test]
fn a_packet_from_the_outside_refreshes_only_where_it_is_said_to() {
    for inbound_refreshes in [true, false] {
        for filtering in BEHAVIORS {
            let config = NatConfig { inbound_refreshes, filtering, ..NatConfig::default() };
            let mut bench = Bench::nat(config);
            let external = bench.ada_to(ONE);
            bench.world.pass(secs(100));
            assert!(bench.gets_in(ONE, external));
            bench.world.pass(secs(100));
            assert_eq!(bench.gets_in(ONE, external), inbound_refreshes, "{filtering:?}");
        }
    }
}

#[test]
fn each_permission_of_a_mapping_ends_by_itself() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = bench.ada_to(ONE);
    bench.world.pass(secs(100));
    assert_eq!(bench.ada_to(TWO), external);
    bench.world.pass(secs(30));
    assert!(!bench.gets_in(ONE, external), "sent to 130 s ago");
    assert!(bench.gets_in(TWO, external), "sent to 30 s ago");
}

#[test]
fn a_full_table_takes_nobody_until_a_mapping_ends() {
    let mut bench = Bench::nat(NatConfig { mappings_max: 1, ..NatConfig::default() });
    let external = bench.ada_to(ONE);
    assert!(bench.world.udp(bench.bob, BOB, addr(ONE)).is_empty());
    assert_eq!(bench.world.dropped(Drop::TableFull), 1);
    assert_eq!(bench.ada_to(TWO), external, "who has one keeps it");
    bench.world.pass(secs(121));
    assert_eq!(bench.bob_to(ONE).ip(), ip(world::EXTERNAL));
}

#[test]
fn a_table_full_of_sessions_takes_no_new_remote() {
    let mut bench = Bench::nat(NatConfig { sessions_max: 2, ..NatConfig::default() });
    bench.ada_to(ONE);
    bench.ada_to(TWO);
    assert!(bench.world.udp(bench.ada, ADA, addr(ONE_OTHER_PORT)).is_empty());
    assert_eq!(bench.world.dropped(Drop::TableFull), 1);
    bench.world.pass(secs(121));
    bench.ada_to(ONE_OTHER_PORT);
}

#[test]
fn a_rebound_nat_has_forgotten_all_and_may_have_another_address() {
    let mut bench = Bench::nat(config(Behavior::EndpointIndependent, Behavior::EndpointIndependent));
    let external = bench.ada_to(ONE);
    bench.world.network.rebind(bench.router, &[], bench.world.now);
    assert!(!bench.gets_in(ONE, external));
    let second = bench.ada_to(ONE);
    assert_eq!(second.ip(), external.ip());
    assert_ne!(second, external);
    bench.world.network.rebind(bench.router, &[ip("80.80.2.9")], bench.world.now);
    assert!(!bench.gets_in(ONE, second));
    assert_eq!(bench.ada_to(ONE).ip(), ip("80.80.2.9"));
    assert_eq!(bench.world.network.external_address(bench.router), Some(ip("80.80.2.9")));
}

#[test]
fn an_outside_with_other_addresses_keeps_no_mapping_at_those_that_are_gone() {
    let nat = Some(NatConfig::default());
    let config = RouterConfig { nat, ..RouterConfig::default() };
    let mut bench = Bench::with_pool(config, &["80.80.2.1", "80.80.2.2"], 1);
    let first = bench.ada_to(ONE);
    let outside = bench.world.network.outside(bench.router);
    bench.world.network.set_addresses(outside, &[ip("80.80.2.8"), ip("80.80.2.9")], bench.world.now);
    assert!(!bench.gets_in(ONE, first));
    let second = bench.ada_to(ONE);
    assert!([ip("80.80.2.8"), ip("80.80.2.9")].contains(&second.ip()), "{second}");
    let other = if second.ip() == ip("80.80.2.8") { "80.80.2.9" } else { "80.80.2.8" };
    bench.world.network.set_addresses(outside, &[ip(other), second.ip()], bench.world.now);
    assert_eq!(bench.ada_to(ONE), second, "it stayed, and so did the mapping");
}
