//! Which peers a client may name: every special-purpose address, however it is written, by whichever method, is refused.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use kit::{Client, PEER, PEER_V6, World, addr};
use twocan_stun::attribute::{AdditionalAddressFamily, Family};
use twocan_turn::policy::{Cidr, SPECIAL_PURPOSE};
use twocan_turn::{Discard, Policy};

/// A client that may talk to both families, if to anyone.
fn client(world: &mut World) -> Client {
    let mut client = Client::ada("198.51.100.7:4000");
    let reply = client.allocate_with(world, |builder| {
        builder.add(&AdditionalAddressFamily(Family::V6)).unwrap();
    });
    assert_eq!(reply.relayed().len(), 2);
    client
}

/// Whether each of the methods lets this peer through. A Send is tried with a permission for the address, if there can
/// be one, and without.
fn allowed(world: &mut World, client: &mut Client, peer: SocketAddr) -> [bool; 3] {
    let permit = client.permit(world, &[peer]);
    let number = 0x4000 + u16::try_from(world.server.stats().stored.channels).unwrap();
    let bind = client.bind(world, number, peer);
    client.send(world, peer, b"x");
    let send = world.peer_got(peer).is_some();
    for code in [permit, bind] {
        assert!(matches!(code, 0 | 403), "{peer}: {code}");
    }
    [permit == 0, bind == 0, send]
}

/// Every way in which an IPv4 address can be written as a peer's address.
fn encodings(ip: Ipv4Addr) -> Vec<IpAddr> {
    let [a, b, c, d] = ip.octets();
    let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
    let v6 = |segments: [u16; 8]| IpAddr::V6(Ipv6Addr::from(segments));
    vec![
        ip.into(),
        v6([0, 0, 0, 0, 0, 0xFFFF, high, low]),
        v6([0, 0, 0, 0, 0, 0, high, low]),
        v6([0, 0, 0, 0, 0xFFFF, 0, high, low]),
        v6([0x2002, high, low, 0, 0, 0, 0, 1]),
        v6([0x64, 0xFF9B, 0, 0, 0, 0, high, low]),
        v6([0x64, 0xFF9B, 1, 0, 0, 0, high, low]),
        v6([0x64, 0xFF9B, 1, high, u16::from(c), u16::from(d) << 8, 0, 0]),
        v6([0x2001, 0, high, low, 0, 0, !0x0808, !0x0808]),
        v6([0x2001, 0, 0x0808, 0x0808, 0, 0, !high, !low]),
        v6([0x2A00, 0x1450, 0, 0, 0, 0x5EFE, high, low]),
        v6([0x2A00, 0x1450, 0, 0, 0x0200, 0x5EFE, high, low]),
    ]
}

/// First and last address of a range, in every encoding.
fn members(range: &Cidr) -> Vec<IpAddr> {
    [range.first(), range.last()]
        .into_iter()
        .flat_map(|ip| match ip {
            IpAddr::V4(ip) => encodings(ip),
            IpAddr::V6(_) => vec![ip],
        })
        .collect()
}

#[test]
fn every_special_purpose_address_in_every_encoding_is_refused_by_every_method() {
    let mut world = World::new();
    let mut client = client(&mut world);
    let more = ["224.0.0.0/4", "ff00::/8", "::/8", "fec0::/10", "4000::/3", "192.0.2.5/32"];
    let ranges: Vec<Cidr> =
        SPECIAL_PURPOSE.iter().copied().chain(more.iter().map(|range| range.parse().unwrap())).collect();
    let mut cases = 0;
    for range in &ranges {
        for ip in members(range) {
            let peer = SocketAddr::new(ip, 5_000);
            assert_eq!(allowed(&mut world, &mut client, peer), [false; 3], "{ip} of {range}");
            cases += 1;
        }
    }
    assert!(cases > 26 * 2 * 12, "{cases}");
    assert_eq!(world.server.stats().discarded(Discard::NoPermission), cases, "nor by Send");
    assert_eq!(world.server.stats().stored.permissions, 0);
}

#[test]
fn public_addresses_pass_by_every_method() {
    let mut world = World::with(|config| config.limits.new_peers.burst = 1_000);
    let mut client = client(&mut world);
    let neighbours = [
        "1.0.0.0",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "169.253.255.255",
        "169.255.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "191.255.255.255",
        "192.0.1.0",
        "192.0.3.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2001:200::",
        "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db9::",
        "2003::",
        "2a00::1",
        "3ffe:ffff::1",
        "3fff:1000::",
        "2a00:1450::5efe:808:808",
    ];
    for ip in neighbours {
        let peer = SocketAddr::new(ip.parse().unwrap(), 5_000);
        assert_eq!(allowed(&mut world, &mut client, peer), [true; 3], "{ip}");
    }
    for peer in [PEER, PEER_V6] {
        assert_eq!(allowed(&mut world, &mut client, addr(peer)), [true; 3]);
    }
}

#[test]
fn loopback_by_other_names_is_refused() {
    // CVE-2018-4058 and CVE-2020-26262 (0.0.0.0, ::1, ::), CVE-2026-27624 (IPv4-mapped).
    let mut world = World::new();
    let mut client = client(&mut world);
    for ip in [
        "127.0.0.1",
        "127.1.2.3",
        "0.0.0.0",
        "0.0.0.1",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:0.0.0.0",
        "::ffff:7f00:1",
        "::127.0.0.1",
        "::ffff:0:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ] {
        let peer = SocketAddr::new(ip.parse().unwrap(), 80);
        assert_eq!(allowed(&mut world, &mut client, peer), [false; 3], "{ip}");
    }
}

#[test]
fn the_servers_own_listeners_are_refused_even_where_their_address_is_allowed() {
    let everything = |config: &mut twocan_turn::Config| {
        let ranges = ["0.0.0.0/0", "::/0", "127.0.0.0/8", "::1/128", "8.8.4.4/32", "10.0.0.9/32"];
        let allow = |policy: Policy, range: &str| policy.allow(range.parse().unwrap());
        config.policy = ranges.into_iter().fold(Policy::new(), allow);
        config.external.v4 = Some("8.8.4.4".parse().unwrap());
        config.listeners =
            vec![addr("8.8.4.4:3478"), addr("0.0.0.0:8080"), addr("[::]:8080"), addr("10.0.0.9:5349")];
    };
    let mut world = World::with(everything);
    let mut client = client(&mut world);
    for peer in ["8.8.4.4:3478", "8.8.4.4:8080", "127.0.0.1:8080", "[::1]:8080", "10.0.0.9:5349"] {
        assert_eq!(allowed(&mut world, &mut client, addr(peer)), [false; 3], "{peer}");
    }
    for peer in ["8.8.4.4:49000", "10.0.0.9:80", "127.0.0.1:3479"] {
        assert_eq!(allowed(&mut world, &mut client, addr(peer)), [true; 3], "{peer}");
    }
    // The permission is by address alone; each packet is judged by its port.
    client.send(&mut world, addr("8.8.4.4:3478"), b"x");
    assert!(world.take_sent().is_empty());
    let relayed = SocketAddr::new("8.8.4.4".parse().unwrap(), world.open_ports()[0].port);
    world.peer_sends(addr("8.8.4.4:49000"), relayed, b"x");
    assert_eq!(world.take_sent().len(), 1);
    world.peer_sends(addr("8.8.4.4:3478"), relayed, b"x");
    assert!(world.take_sent().is_empty());
}

#[test]
fn nothing_on_the_servers_own_host_is_reached_by_any_of_its_addresses_but_relayed_ports() {
    let mut world = World::with(|config| {
        config.policy = Policy::new().allow("0.0.0.0/0".parse().unwrap()).allow("::/0".parse().unwrap());
        config.external.v4 = Some("8.8.4.4".parse().unwrap());
        config.own_addresses = vec!["8.8.4.5".parse().unwrap(), "2a00::7".parse().unwrap()];
    });
    let mut client = client(&mut world);
    let mut refused =
        ["8.8.4.4:22", "8.8.4.5:21777", "[2a00::7]:80", "127.0.0.1:80", "[::1]:80", "127.9.9.9:1"];
    for peer in refused {
        assert_eq!(allowed(&mut world, &mut client, addr(peer)), [false; 3], "{peer}");
    }
    let relayed = Client::ada("198.51.100.8:1").allocate(&mut world);
    assert_eq!(allowed(&mut world, &mut client, relayed), [true; 3]);
    assert_eq!(allowed(&mut world, &mut client, addr("8.8.4.6:80")), [true; 3]);
    // Addresses come and go.
    world.server.handle_own_addresses(&["8.8.4.6".parse().unwrap()], world.now);
    refused[1] = "8.8.4.6:81";
    assert_eq!(client.permit(&mut world, &[addr(refused[1])]), 403);
    assert_eq!(client.permit(&mut world, &[addr("8.8.4.5:1")]), 0);
}

#[test]
fn a_port_of_the_relays_range_that_nobody_allocated_cannot_be_reached_at_our_own_address() {
    let mut world = World::with(|config| config.external.v4 = Some("8.8.4.4".parse().unwrap()));
    let mut client = client(&mut world);
    let unused =
        (50_000..51_000).find(|port| world.open_ports().iter().all(|open| open.port != *port)).unwrap();
    client.send(&mut world, SocketAddr::new("8.8.4.4".parse().unwrap(), unused), b"x");
    assert!(
        world.take_sent().is_empty(),
        "behind a translating router it would lead to whatever listens there"
    );
    let before = world.open_ports();
    Client::ada("198.51.100.8:1").allocate(&mut world);
    let used = world.open_ports().into_iter().find(|port| !before.contains(port)).unwrap().port;
    let peer = SocketAddr::new("8.8.4.4".parse().unwrap(), used);
    assert_eq!(allowed(&mut world, &mut client, peer), [true; 3]);
}

#[test]
fn what_the_operator_allows_is_open_and_what_he_denies_is_closed() {
    let mut world = World::with(|config| {
        config.policy = Policy::new()
            .allow("10.0.0.0/8".parse().unwrap())
            .deny("10.9.0.0/16".parse().unwrap())
            .deny("8.8.0.0/16".parse().unwrap());
    });
    let mut client = client(&mut world);
    for (peer, expected) in [
        ("10.1.2.3:1", true),
        ("10.9.2.3:1", false),
        ("8.8.8.8:1", false),
        ("9.9.9.9:1", true),
        ("192.168.0.1:1", false),
        ("[::ffff:10.1.2.3]:1", false),
        ("[2002:808:808::]:1", false),
        ("[2a00::5efe:8.8.8.8]:1", false),
    ] {
        assert_eq!(allowed(&mut world, &mut client, addr(peer)), [expected; 3], "{peer}");
    }
}

#[test]
fn a_policy_judges_both_readings_of_an_address() {
    let policy = Policy::new().allow("64:ff9b::/96".parse().unwrap());
    assert!(policy.allows("64:ff9b::8.8.8.8".parse().unwrap()));
    assert!(!policy.allows("64:ff9b::127.0.0.1".parse().unwrap()));
    assert!(!Policy::new().allows("64:ff9b::8.8.8.8".parse().unwrap()));
}

#[test]
fn a_port_of_zero_cannot_be_sent_to() {
    let mut world = World::new();
    let mut client = client(&mut world);
    assert_eq!(client.permit(&mut world, &[addr("8.8.8.8:0")]), 0, "a permission knows no port");
    client.send(&mut world, addr("8.8.8.8:0"), b"x");
    assert!(world.take_sent().is_empty());
    client.send(&mut world, addr("8.8.8.8:9"), b"x");
    assert!(world.peer_got(addr("8.8.8.8:9")).is_some());
}
