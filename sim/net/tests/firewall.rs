//! Firewalls: what leaves, what comes in, what is said of the rest.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use std::net::SocketAddr;

use twocan_sim::packet::{Icmp, IcmpError, Payload, Protocol, TcpFlags, Unreachable};
use twocan_sim::{
    Attachment, Drop, FirewallConfig, HostId, Outbound, Packet, Refusal, RouterConfig, RouterId,
    SegmentConfig, Service, kinds,
};
use world::{ADA, Bench, ONE, World, addr, ip, prefix, secs};

/// A home with IPv6 only, behind a firewall, and two hosts of the internet.
struct Routed {
    world: World,
    router: RouterId,
    home: HostId,
    one: HostId,
    two: HostId,
}

const HOME: &str = "[2a05:99::10]:5000";
const V6_ONE: &str = "[2a05:80::1]:1000";
const V6_TWO: &str = "[2a05:80::2]:1000";

fn routed(firewall: FirewallConfig) -> Routed {
    let mut world = World::new(1);
    let (one, two) = (world.public("2a05:80::1"), world.public("2a05:80::2"));
    let lan = world.network.add_segment(SegmentConfig::lan(&[prefix("2a05:99::/64")]));
    let config = RouterConfig { firewall: Some(firewall), ..RouterConfig::default() };
    let outside = Attachment::new(world.internet).address(ip("2a05:80::9"));
    let router = world.network.add_router(config, outside, Attachment::new(lan));
    let home = world.network.add_host();
    world.network.add_interface(home, Attachment::new(lan).address(ip("2a05:99::10")));
    Routed { world, router, home, one, two }
}

fn at(text: &str) -> SocketAddr {
    addr(text)
}

#[test]
fn replies_come_in_and_nothing_else_does() {
    let mut routed = routed(FirewallConfig::default());
    assert!(routed.world.udp(routed.one, V6_ONE, at(HOME)).is_empty());
    let arrived = routed.world.udp(routed.home, HOME, at(V6_ONE));
    assert_eq!(world::source(&arrived), at(HOME), "nothing is translated");
    assert_eq!(routed.world.udp(routed.one, V6_ONE, at(HOME)).len(), 1);
    assert!(routed.world.udp(routed.one, "[2a05:80::1]:1001", at(HOME)).is_empty(), "another port");
    assert!(routed.world.udp(routed.two, V6_TWO, at(HOME)).is_empty());
    assert_eq!(routed.world.dropped(Drop::FirewallInbound), 3);
    routed.world.pass(secs(121));
    assert!(routed.world.udp(routed.one, V6_ONE, at(HOME)).is_empty(), "forgotten");
}

#[test]
fn errors_about_what_was_sent_come_in_and_forged_ones_do_not() {
    let mut routed = routed(FirewallConfig::default());
    let sent = routed.world.udp(routed.home, HOME, at(V6_ONE))[0].packet.clone();
    let port = IcmpError::Unreachable(Unreachable::Port);
    let real = sent.error_from(ip("2a05:80::1"), port).unwrap();
    assert_eq!(routed.world.send(routed.one, real).len(), 1);
    let forged = Packet::udp(at(HOME), at(V6_TWO), "x").error_from(ip("2a05:80::2"), port).unwrap();
    assert!(routed.world.send(routed.two, forged).is_empty());
}

#[test]
fn a_firewall_that_is_gone_guards_nothing() {
    let mut routed = routed(FirewallConfig::default());
    assert!(routed.world.udp(routed.one, V6_ONE, at(HOME)).is_empty());
    routed.world.network.set_firewall(routed.router, None, routed.world.now);
    assert_eq!(routed.world.udp(routed.one, V6_ONE, at(HOME)).len(), 1);
}

#[test]
fn a_refusal_is_an_rst_for_tcp_and_admin_prohibited_for_the_rest() {
    let outbound = Outbound::Only(vec![Service::at(Protocol::Tcp, 443)]);
    let config = FirewallConfig { outbound, refusal: Refusal::Answer, ..FirewallConfig::default() };
    let mut routed = routed(config);
    let prohibited = routed.world.udp(routed.home, HOME, at(V6_ONE));
    let Payload::Icmp(Icmp::Error { error, .. }) = &prohibited[0].packet.payload else {
        panic!("{prohibited:?}")
    };
    assert_eq!(*error, IcmpError::Unreachable(Unreachable::AdminProhibited));
    let reset = routed.world.tcp(routed.home, HOME, at(V6_ONE), TcpFlags::SYN);
    assert_eq!(world::source(&reset), at(V6_ONE), "as if the server had sent it");
    assert_eq!(reset[0].host, routed.home);
    let arrived = routed.world.tcp(routed.home, HOME, at("[2a05:80::1]:443"), TcpFlags::SYN);
    assert_eq!(arrived[0].host, routed.one);
    let answer = routed.world.tcp(routed.one, "[2a05:80::1]:443", at(HOME), TcpFlags::SYN_ACK);
    assert_eq!(answer[0].host, routed.home);
    let uninvited = routed.world.tcp(routed.two, V6_TWO, at(HOME), TcpFlags::SYN);
    assert_eq!(uninvited[0].host, routed.two, "refused, too");
}

#[test]
fn a_full_table_lets_no_new_flow_out() {
    let mut routed = routed(FirewallConfig { flows_max: 1, ..FirewallConfig::default() });
    assert_eq!(routed.world.udp(routed.home, HOME, at(V6_ONE)).len(), 1);
    assert!(routed.world.udp(routed.home, HOME, at(V6_TWO)).is_empty());
    assert_eq!(routed.world.dropped(Drop::TableFull), 1);
    routed.world.pass(secs(121));
    assert_eq!(routed.world.udp(routed.home, HOME, at(V6_TWO)).len(), 1);
}

#[test]
fn where_udp_is_blocked_tcp_leaves() {
    let mut bench = Bench::new(kinds::udp_blocked());
    assert!(bench.world.udp(bench.ada, ADA, addr(ONE)).is_empty());
    assert_eq!(bench.world.dropped(Drop::FirewallOutbound), 1);
    assert_eq!(bench.world.tcp(bench.ada, ADA, addr(ONE), TcpFlags::SYN).len(), 1);
}

#[test]
fn where_only_443_is_open_nothing_else_leaves() {
    let mut bench = Bench::new(kinds::only_443());
    let refused = bench.world.tcp(bench.ada, ADA, addr(ONE), TcpFlags::SYN);
    assert_eq!(refused[0].host, bench.ada);
    let refused = bench.world.udp(bench.ada, ADA, addr("80.80.1.1:443"));
    assert_eq!(refused[0].host, bench.ada);
    let arrived = bench.world.tcp(bench.ada, ADA, addr("80.80.1.1:443"), TcpFlags::SYN);
    assert_eq!(arrived[0].host, bench.one);
    let external = world::source(&arrived);
    assert_eq!(bench.world.tcp(bench.one, "80.80.1.1:443", external, TcpFlags::SYN_ACK)[0].host, bench.ada);
}
