//! What changes while a network runs: interfaces, addresses, places, rules; and what a LAN does.

mod world;

use twocan_sim::packet::Protocol;
use twocan_sim::{Attachment, Block, Drop, Kind, NatConfig, Packet, Service, SiteConfig};
use world::{ADA, BOB, Bench, ONE, TWO, World, addr, ip, ms, prefix, source};

#[test]
fn a_host_that_goes_from_one_network_to_another_is_seen_from_elsewhere() {
    let mut world = World::new(1);
    world.public("80.80.1.1");
    let (wifi, mobile) = (
        world.network.add_site(world.internet, Kind::Home),
        world.network.add_site(world.internet, Kind::Cgnat),
    );
    let host = world.network.add_host_at(&wifi);
    let interface = world.network.interfaces(host)[0];
    let at = |world: &World| format!("{}:5000", world.network.addresses(interface)[0]);
    let from = at(&world);
    let first = source(&world.udp(host, &from, addr(ONE)));
    world.network.move_interface(interface, Some(mobile.segment), &[], world.now);
    assert!(world.udp(host, &from, addr(ONE)).is_empty(), "the old address is gone");
    assert_eq!(world.dropped(Drop::UnknownSource), 1);
    let second_from = at(&world);
    let second = source(&world.udp(host, &second_from, addr(ONE)));
    assert_ne!(first.ip(), second.ip());
    assert_eq!(Some(second.ip()), world.network.external_address(mobile.routers[0]));
}

#[test]
fn a_host_that_moves_between_homes_does_not_hear_what_goes_to_its_old_one() {
    let mut world = World::new(1);
    let one = world.public("80.80.1.1");
    let homes = [(); 2].map(|()| world.network.add_site(world.internet, Kind::Home));
    let host = world.network.add_host_at(&homes[0]);
    let interface = world.network.interfaces(host)[0];
    let address = world.network.addresses(interface)[0];
    let from = format!("{address}:5000");
    let first = source(&world.udp(host, &from, addr(ONE)));
    world.network.move_interface(interface, Some(homes[1].segment), &[address], world.now);
    assert!(world.udp(one, ONE, first).is_empty(), "although its address is the same");
    let second = source(&world.udp(host, &from, addr(ONE)));
    assert_ne!(first.ip(), second.ip());
    assert_eq!(world.udp(one, ONE, second)[0].host, host);
}

#[test]
fn a_host_in_two_networks_sends_by_the_interface_that_has_the_source() {
    let mut world = World::new(1);
    world.public("80.80.1.1");
    let (wifi, mobile) = (
        world.network.add_site(world.internet, Kind::Home),
        world.network.add_site(world.internet, Kind::Cgnat),
    );
    let host = world.network.add_host_at(&wifi);
    world.network.join(host, &mobile);
    let addresses: Vec<_> = world.network.host_addresses(host).collect();
    for (address, site) in addresses.iter().zip([&wifi, &mobile]) {
        let seen = source(&world.udp(host, &format!("{address}:5000"), addr(ONE)));
        assert_eq!(Some(seen.ip()), world.network.external_address(site.routers[0]));
    }
}

#[test]
fn an_interface_that_is_down_neither_sends_nor_receives_not_even_what_is_on_its_way() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = bench.ada_to(ONE);
    let interface = bench.world.network.interfaces(bench.ada)[0];
    let slow = twocan_sim::Access::both(twocan_sim::Link::delayed(ms(10)));
    bench.world.network.set_access(interface, slow, bench.world.now);
    bench.world.network.handle_packet(bench.one, Packet::udp(addr(ONE), external, "x"), bench.world.now);
    assert_eq!(bench.world.network.in_flight(), 1);
    bench.world.network.set_up(interface, false, bench.world.now);
    assert!(bench.world.settle().is_empty());
    assert!(bench.world.udp(bench.ada, ADA, addr(ONE)).is_empty());
    assert_eq!(bench.world.dropped(Drop::InterfaceDown), 2);
    bench.world.network.set_up(interface, true, bench.world.now);
    assert_eq!(bench.ada_to(ONE), external, "the NAT did not notice");
}

#[test]
fn another_address_is_another_subscriber() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = bench.ada_to(ONE);
    let interface = bench.world.network.interfaces(bench.ada)[0];
    bench.world.network.set_addresses(interface, &[ip("192.168.1.99")], bench.world.now);
    assert!(!bench.gets_in(ONE, external));
    assert_eq!(bench.world.dropped(Drop::NoNeighbour), 1);
    assert_ne!(source(&bench.world.udp(bench.ada, "192.168.1.99:5000", addr(ONE))), external);
}

#[test]
fn a_block_holds_until_it_is_taken_back_and_sees_both_sides_of_a_nat() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = bench.ada_to(ONE);
    let by_external = Block { source: Some(prefix("80.80.2.1/32")), ..Block::default() };
    let by_service = Block { service: Some(Service::at(Protocol::Udp, 1000)), ..Block::default() };
    let by_destination = Block { destination: Some(prefix("80.80.1.0/24")), ..Block::default() };
    for (n, block) in [by_external, by_service, by_destination].into_iter().enumerate() {
        let id = bench.world.network.block(block);
        assert!(bench.world.udp(bench.ada, ADA, addr(ONE)).is_empty(), "{block:?}");
        assert_eq!(bench.world.dropped(Drop::Blocked), n as u64 + 1);
        assert!(bench.gets_in(ONE, external), "the other way is open");
        bench.world.network.unblock(id);
        assert_eq!(bench.ada_to(ONE), external);
    }
}

#[test]
fn multicast_and_broadcast_reach_the_lan_and_nobody_else() {
    let mut bench = Bench::nat(NatConfig::default());
    for group in ["224.0.0.251:5353", "255.255.255.255:9", "192.168.1.255:9"] {
        let heard = bench.world.udp(bench.ada, ADA, addr(group));
        assert_eq!((heard.len(), heard[0].host, source(&heard)), (1, bench.bob, addr(ADA)), "{group}");
    }
    assert!(bench.world.udp(bench.one, ONE, addr("224.0.0.251:5353")).is_empty());
    assert_eq!(bench.world.dropped(Drop::NoRoute), 1);
}

#[test]
fn multicast_reaches_hosts_with_an_address_of_its_family() {
    let mut bench = Bench::nat(NatConfig::default());
    let host = bench.world.network.add_host();
    let attachment = Attachment::new(bench.lan).address(ip("fe80::1")).address(ip("192.168.1.30"));
    bench.world.network.add_interface(host, attachment);
    let other = bench.world.network.add_host();
    bench.world.network.add_interface(other, Attachment::new(bench.lan).address(ip("fe80::2")));
    let heard = bench.world.udp(host, "[fe80::1]:5353", addr("[ff02::fb]:5353"));
    assert_eq!((heard.len(), heard[0].host), (1, other));
    assert_eq!(bench.world.udp(host, "[fe80::1]:1", addr("[fe80::2]:2"))[0].host, other);
}

#[test]
fn link_local_addresses_do_not_leave_their_segment() {
    let mut bench = Bench::nat(NatConfig::default());
    assert!(bench.world.udp(bench.ada, ADA, addr("169.254.9.9:1")).is_empty());
    assert_eq!(bench.world.dropped(Drop::LinkLocal), 1);
}

#[test]
fn a_host_reaches_itself_without_a_network() {
    let mut bench = Bench::nat(NatConfig::default());
    let arrived = bench.world.udp(bench.ada, ADA, addr("192.168.1.10:7"));
    assert_eq!((arrived[0].host, source(&arrived)), (bench.ada, addr(ADA)));
}

#[test]
fn unsound_packets_are_counted() {
    let mut bench = Bench::nat(NatConfig::default());
    assert!(bench.world.udp(bench.ada, ADA, addr("[2a05:80::1]:1")).is_empty());
    assert!(bench.world.send(bench.ada, Packet::udp(addr(ADA), addr(ONE), vec![0; 65_535])).is_empty());
    assert_eq!(bench.world.dropped(Drop::Malformed), 2);
    let mut dead = Packet::udp(addr(ADA), addr(ONE), "x");
    dead.hop_limit = 0;
    assert!(bench.world.send(bench.ada, dead).is_empty());
    assert_eq!(bench.world.dropped(Drop::HopLimit), 1);
}

#[test]
fn a_site_with_both_families_has_a_nat_for_one_and_a_firewall_for_the_other() {
    let mut world = World::new(1);
    let server = world.network.add_host();
    let attachment = Attachment::new(world.internet).address(ip("80.80.1.1")).address(ip("2a05:80::1"));
    world.network.add_interface(server, attachment);
    let site = world.network.add_site(world.internet, SiteConfig { ipv6: true, ..Kind::DoubleNat.into() });
    let host = world.network.add_host_at(&site);
    let addresses: Vec<_> = world.network.host_addresses(host).collect();
    assert_eq!((addresses.len(), addresses[0].is_ipv4(), addresses[1].is_ipv6()), (2, true, true));
    let v6 = format!("[{}]:5000", addresses[1]);
    assert!(world.udp(server, "[2a05:80::1]:1", addr(&v6)).is_empty());
    assert_eq!(world.dropped(Drop::FirewallInbound), 1);
    assert_eq!(source(&world.udp(host, &v6, addr("[2a05:80::1]:1"))), addr(&v6));
    let answer = world.udp(server, "[2a05:80::1]:1", addr(&v6));
    assert_eq!(answer[0].host, host, "two routers deep, by their routes");
    let v4 = source(&world.udp(host, &format!("{}:5000", addresses[0]), addr(ONE)));
    assert_eq!(Some(v4.ip()), world.network.external_address(site.routers[0]));
}

#[test]
fn neighbours_of_one_site_are_told_apart() {
    let mut bench = Bench::nat(NatConfig::default());
    let (ada, bob) = (bench.ada_to(ONE), bench.bob_to(ONE));
    assert_ne!(ada, bob);
    assert_eq!(bench.world.udp(bench.one, ONE, bob)[0].host, bench.bob);
    assert_eq!(world::destination(&bench.world.udp(bench.one, ONE, bob)), addr(BOB));
    assert!(!bench.gets_in(TWO, ada));
}
