//! Kinds by name, and their traits measured from outside.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use twocan_sim::packet::TcpFlags;
use twocan_sim::{Behavior, HostId, Kind};
use world::{World, addr, source};

#[test]
fn each_kind_is_found_by_its_name() {
    for kind in Kind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        assert_eq!(kind.to_string(), kind.name());
    }
    assert!("dmz".parse::<Kind>().is_err());
}

const SERVERS: [&str; 3] = ["80.80.1.1:1000", "80.80.1.1:1001", "80.80.1.2:1000"];

/// A host in a site of this kind, its endpoint, and how it names servers of the IPv4 internet.
fn host_in(world: &mut World, kind: Kind) -> (HostId, String, fn(&str) -> String) {
    let site = world.network.add_site(world.internet, kind);
    let host = world.network.add_host_at(&site);
    match world.network.host_addresses(host).next().unwrap() {
        std::net::IpAddr::V4(ip) => (host, format!("{ip}:5000"), str::to_owned),
        std::net::IpAddr::V6(ip) => (host, format!("[{ip}]:5000"), |server| {
            let (ip, port) = server.split_once(':').unwrap();
            format!("[64:ff9b::{ip}]:{port}")
        }),
    }
}

#[test]
fn what_leaves_each_kind_is_what_its_traits_say() {
    for kind in Kind::ALL {
        let mut world = World::new(1);
        let one = world.public("80.80.1.1");
        let (host, from, name) = host_in(&mut world, kind);
        let traits = kind.traits();
        assert_eq!(traits.ipv4, !from.starts_with('['), "{kind}");
        let arrives =
            |arrived: Vec<twocan_sim::Delivery>| arrived.iter().any(|delivery| delivery.host == one);
        assert_eq!(arrives(world.udp(host, &from, addr(&name(SERVERS[0])))), traits.udp, "{kind}");
        let [http, https] = [80, 443].map(|port| {
            let server = addr(&name(&format!("80.80.1.1:{port}")));
            arrives(world.tcp(host, &from, server, TcpFlags::SYN))
        });
        assert_eq!((http, https), (traits.tcp, traits.tcp_443), "{kind}");
    }
}

#[test]
fn the_mapping_of_each_kind_is_what_the_internet_sees() {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.traits().udp) {
        let mut world = World::new(1);
        world.public("80.80.1.1");
        world.public("80.80.1.2");
        let (host, from, name) = host_in(&mut world, kind);
        let seen = SERVERS.map(|server| source(&world.udp(host, &from, addr(&name(server)))));
        let mapping = match (seen[1] == seen[0], seen[2] == seen[0]) {
            (true, true) => Behavior::EndpointIndependent,
            (true, false) => Behavior::AddressDependent,
            (false, _) => Behavior::AddressAndPortDependent,
        };
        assert_eq!(mapping, kind.traits().mapping, "{kind}");
    }
}

#[test]
fn the_filtering_of_each_kind_is_what_strangers_see() {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.traits().udp) {
        let mut world = World::new(1);
        let (one, two) = (world.public("80.80.1.1"), world.public("80.80.1.2"));
        let (host, from, name) = host_in(&mut world, kind);
        let external = source(&world.udp(host, &from, addr(&name(SERVERS[0]))));
        let mut gets_in = |stranger, from| {
            let arrived = world.udp(stranger, from, external);
            arrived.iter().any(|delivery| delivery.host == host)
        };
        assert!(gets_in(one, SERVERS[0]), "{kind}: the answer");
        let filtering = match (gets_in(one, SERVERS[1]), gets_in(two, SERVERS[2])) {
            (true, true) => Behavior::EndpointIndependent,
            (true, false) => Behavior::AddressDependent,
            (false, _) => Behavior::AddressAndPortDependent,
        };
        assert_eq!(filtering, kind.traits().filtering, "{kind}");
    }
}

#[test]
fn a_kind_races_where_an_early_stranger_moves_its_mapping() {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.traits().udp && kind.traits().ipv4) {
        let mut world = World::new(1);
        let (_, two) = (world.public("80.80.1.1"), world.public("80.80.1.2"));
        let (host, from, name) = host_in(&mut world, kind);
        let external = source(&world.udp(host, &from, addr(&name(SERVERS[0]))));
        world.udp(two, SERVERS[2], external);
        let is_moved = source(&world.udp(host, &from, addr(&name(SERVERS[2])))) != external;
        let independent = kind.traits().mapping == Behavior::EndpointIndependent;
        assert_eq!(is_moved, kind.traits().races || !independent, "{kind}");
    }
}

#[test]
fn two_hosts_of_a_site_meet_by_hairpin_where_its_kind_says_so() {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.traits().udp && kind.traits().ipv4) {
        let mut world = World::new(1);
        world.public("80.80.1.1");
        let site = world.network.add_site(world.internet, kind);
        let [ada, bob] = [(); 2].map(|()| world.network.add_host_at(&site));
        let at = |world: &World, host| format!("{}:5000", world.network.host_addresses(host).next().unwrap());
        let (ada_at, bob_at) = (at(&world, ada), at(&world, bob));
        let ada_seen = source(&world.udp(ada, &ada_at, addr(SERVERS[0])));
        let bob_seen = source(&world.udp(bob, &bob_at, addr(SERVERS[0])));
        world.udp(ada, &ada_at, bob_seen);
        let met = !world.udp(bob, &bob_at, ada_seen).is_empty();
        assert_eq!(met, kind.traits().hairpins, "{kind}");
    }
}
