//! A network without IPv4 that reaches it by NAT64.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use twocan_sim::packet::{Icmp, IcmpError, Payload, TcpFlags, Unreachable};
use twocan_sim::{
    Access, Drop, Hairpin, HostId, Kind, Link, NatConfig, Packet, RouterConfig, RouterId, kinds,
};
use world::{ONE, World, addr, ip, source};

struct Mobile {
    world: World,
    phone: HostId,
    one: HostId,
    router: RouterId,
    /// The phone's address and port 5000.
    from: String,
}

fn mobile() -> Mobile {
    let mut world = World::new(1);
    let one = world.public("80.80.1.1");
    let site = world.network.add_site(world.internet, Kind::Ipv6Only);
    let phone = world.network.add_host_at(&site);
    let address = world.network.host_addresses(phone).next().unwrap();
    assert_eq!(world.network.host_addresses(phone).count(), 1);
    Mobile { world, phone, one, router: site.routers[0], from: format!("[{address}]:5000") }
}

/// 80.80.1.1 as the phone sees it.
const ONE_64: &str = "[64:ff9b::5050:101]:1000";

#[test]
fn ipv4_is_reached_under_the_well_known_prefix_and_answers() {
    let mut mobile = mobile();
    let arrived = mobile.world.udp(mobile.phone, &mobile.from, addr(ONE_64));
    let external = source(&arrived);
    assert_eq!(Some(external.ip()), mobile.world.network.external_address(mobile.router));
    assert_eq!(world::destination(&arrived), addr(ONE));
    let answer = mobile.world.udp(mobile.one, ONE, external);
    assert_eq!((source(&answer), world::destination(&answer)), (addr(ONE_64), addr(&mobile.from)));
    assert_eq!(answer[0].host, mobile.phone);
    assert!(
        mobile.world.udp(mobile.one, "80.80.1.1:1001", external).is_empty(),
        "the firewall filters by port"
    );
}

#[test]
fn tcp_and_pings_pass_too() {
    let mut mobile = mobile();
    let arrived = mobile.world.tcp(mobile.phone, &mobile.from, addr(ONE_64), TcpFlags::SYN);
    let external = source(&arrived);
    assert_eq!(mobile.world.tcp(mobile.one, ONE, external, TcpFlags::SYN_ACK)[0].host, mobile.phone);
    let ping = Packet::ping(addr(&mobile.from).ip(), addr(ONE_64).ip(), 5, 6);
    let arrived = mobile.world.send(mobile.phone, ping);
    let mut bytes = Vec::new();
    arrived[0].packet.write(&mut bytes);
    assert_eq!((bytes[9], bytes[20]), (1, 8), "an echo request of IPv4");
    let Payload::Icmp(Icmp::Echo { identifier, sequence, data, .. }) = arrived[0].packet.payload.clone()
    else {
        panic!()
    };
    let reply = Icmp::Echo { is_request: false, identifier, sequence, data };
    let reply = Packet::new(addr(ONE).ip(), arrived[0].packet.source, Payload::Icmp(reply));
    let back = mobile.world.send(mobile.one, reply);
    let Payload::Icmp(Icmp::Echo { identifier: 5, sequence: 6, .. }) = back[0].packet.payload else {
        panic!()
    };
}

#[test]
fn errors_are_translated_with_the_packet_they_quote() {
    let mut mobile = mobile();
    let arrived = mobile.world.udp(mobile.phone, &mobile.from, addr(ONE_64));
    let about = &arrived[0].packet;
    for (error, seen) in [
        (IcmpError::Unreachable(Unreachable::Port), IcmpError::Unreachable(Unreachable::Port)),
        (IcmpError::TooBig { mtu: 1400 }, IcmpError::TooBig { mtu: 1420 }),
        (IcmpError::Unreachable(Unreachable::Other(9)), IcmpError::Unreachable(Unreachable::AdminProhibited)),
    ] {
        let back = mobile.world.send(mobile.one, about.error_from(addr(ONE).ip(), error).unwrap());
        let Payload::Icmp(Icmp::Error { error, quote }) = &back[0].packet.payload else { panic!("{back:?}") };
        assert_eq!(*error, seen);
        let flow = quote.flow().unwrap();
        assert_eq!((flow.source, flow.destination), (addr(&mobile.from), addr(ONE_64)));
        assert_eq!(back[0].packet.source, addr(ONE_64).ip());
        let mut bytes = Vec::new();
        back[0].packet.write(&mut bytes);
        let quoted = Packet::parse(&bytes[48..]).unwrap();
        assert_eq!(quoted.flow().unwrap(), flow, "its checksum holds in IPv6, too");
    }
}

#[test]
fn other_ipv6_is_routed_and_other_ipv4_is_nowhere() {
    let mut mobile = mobile();
    let server = mobile.world.public("2a05:80::77");
    let arrived = mobile.world.udp(mobile.phone, &mobile.from, addr("[2a05:80::77]:1"));
    assert_eq!((arrived[0].host, source(&arrived)), (server, addr(&mobile.from)));
    assert_eq!(mobile.world.udp(server, "[2a05:80::77]:1", addr(&mobile.from))[0].host, mobile.phone);
    assert!(mobile.world.udp(server, "[2a05:80::77]:2", addr(&mobile.from)).is_empty());
    assert!(mobile.world.udp(mobile.phone, "10.0.0.1:1", addr(ONE)).is_empty());
    assert_eq!(mobile.world.dropped(Drop::UnknownSource), 1);
}

#[test]
fn a_packet_that_is_short_enough_only_once_it_is_ipv4_passes() {
    let mut mobile = mobile();
    let outside = mobile.world.network.outside(mobile.router);
    let narrow = Access::both(Link { mtu: 1300, ..Link::default() });
    mobile.world.network.set_access(outside, narrow, mobile.world.now);
    let packet = |len: usize| Packet::udp(addr(&mobile.from), addr(ONE_64), vec![0; len - 48]);
    let (fits, too_long) = (packet(1320), packet(1321));
    assert_eq!(mobile.world.send(mobile.phone, fits)[0].host, mobile.one);
    let back = mobile.world.send(mobile.phone, too_long);
    let Payload::Icmp(Icmp::Error { error, .. }) = &back[0].packet.payload else { panic!("{back:?}") };
    assert_eq!(*error, IcmpError::TooBig { mtu: 1320 });
}

#[test]
fn two_hosts_of_one_nat64_meet_by_its_hairpin() {
    let mut world = World::new(1);
    world.public("80.80.1.1");
    let nat = NatConfig { hairpin: Hairpin::ExternalSource, ..kinds::full_cone().nat.unwrap() };
    let config = RouterConfig { nat: Some(nat), firewall: None, ..kinds::ipv6_only() };
    let lan = world.network.add_segment(twocan_sim::SegmentConfig::lan(&[world::prefix("2a05:99::/64")]));
    let attach = twocan_sim::Attachment::new;
    world.network.add_router(config, attach(world.internet).address(ip("80.80.2.1")), attach(lan));
    let [ada, bob] = ["2a05:99::a", "2a05:99::b"].map(|address| {
        let host = world.network.add_host();
        world.network.add_interface(host, attach(lan).address(ip(address)));
        host
    });
    let ada_seen = source(&world.udp(ada, "[2a05:99::a]:5000", addr(ONE_64)));
    let bob_seen = source(&world.udp(bob, "[2a05:99::b]:5000", addr(ONE_64)));
    let to = |port: u16| addr(&format!("[64:ff9b::5050:201]:{port}"));
    let arrived = world.udp(ada, "[2a05:99::a]:5000", to(bob_seen.port()));
    assert_eq!((arrived[0].host, source(&arrived)), (bob, to(ada_seen.port())));
}
