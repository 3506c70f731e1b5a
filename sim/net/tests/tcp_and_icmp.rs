//! TCP by its flags (RFC 5382) and ICMP (RFC 5508) through a NAT.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use twocan_sim::packet::{Icmp, IcmpError, Payload, Tcp, TcpFlags, Unreachable};
use twocan_sim::{Behavior, Drop, NatConfig, Packet};
use world::{ADA, BOB, Bench, ONE, TWO, addr, ip, secs, source};

const FIN: TcpFlags = TcpFlags(0x11);

fn open(bench: &mut Bench) -> std::net::SocketAddr {
    let external = source(&bench.world.tcp(bench.ada, ADA, addr(ONE), TcpFlags::SYN));
    assert_eq!(bench.world.tcp(bench.one, ONE, external, TcpFlags::SYN_ACK).len(), 1);
    bench.world.tcp(bench.ada, ADA, addr(ONE), TcpFlags::ACK);
    external
}

#[test]
fn an_open_connection_lives_for_hours() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = open(&mut bench);
    bench.world.pass(secs(7_400));
    assert_eq!(bench.world.tcp(bench.one, ONE, external, TcpFlags::ACK).len(), 1);
}

#[test]
fn one_that_was_never_answered_is_forgotten_after_minutes() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = source(&bench.world.tcp(bench.ada, ADA, addr(ONE), TcpFlags::SYN));
    bench.world.pass(secs(241));
    assert!(bench.world.tcp(bench.one, ONE, external, TcpFlags::SYN_ACK).is_empty());
    assert_eq!(bench.world.dropped(Drop::NoMapping), 1);
}

#[test]
fn two_fins_or_one_reset_end_a_connection_within_minutes() {
    for (flags, by_both) in [(FIN, true), (TcpFlags::RST, false), (FIN, false)] {
        let mut bench = Bench::nat(NatConfig::default());
        let external = open(&mut bench);
        bench.world.tcp(bench.ada, ADA, addr(ONE), flags);
        if by_both {
            bench.world.tcp(bench.one, ONE, external, flags);
        }
        bench.world.pass(secs(241));
        let is_open = !bench.world.tcp(bench.one, ONE, external, TcpFlags::ACK).is_empty();
        assert_eq!(is_open, flags == FIN && !by_both, "half closed is not closed");
    }
}

#[test]
fn a_closed_connection_does_not_end_another_of_the_same_mapping() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = open(&mut bench);
    bench.world.tcp(bench.ada, ADA, addr(TWO), TcpFlags::SYN);
    bench.world.tcp(bench.two, TWO, external, TcpFlags::RST);
    bench.world.pass(secs(1_000));
    assert_eq!(bench.world.tcp(bench.one, ONE, external, TcpFlags::ACK).len(), 1);
    assert!(bench.world.tcp(bench.two, TWO, external, TcpFlags::ACK).is_empty());
}

#[test]
fn both_may_open_at_the_same_time() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = source(&bench.world.tcp(bench.ada, ADA, addr(ONE), TcpFlags::SYN));
    assert_eq!(bench.world.tcp(bench.one, ONE, external, TcpFlags::SYN).len(), 1);
    bench.world.pass(secs(1_000));
    assert_eq!(bench.world.tcp(bench.one, ONE, external, TcpFlags::ACK).len(), 1, "established");
}

#[test]
fn a_port_of_tcp_is_not_a_port_of_udp() {
    let mut bench =
        Bench::nat(NatConfig { filtering: Behavior::EndpointIndependent, ..NatConfig::default() });
    let external = open(&mut bench);
    assert!(!bench.gets_in(ONE, external), "UDP");
}

#[test]
fn a_segment_is_translated_and_otherwise_left_alone() {
    let mut bench = Bench::nat(NatConfig::default());
    let tcp = Tcp::new(5000, 1000, TcpFlags::SYN, 0xdead_beef, 0, b"early data");
    let packet = Packet::new(addr(ADA).ip(), addr(ONE).ip(), Payload::Tcp(tcp));
    let arrived = bench.world.send(bench.ada, packet);
    let Payload::Tcp(tcp) = &arrived[0].packet.payload else { panic!() };
    assert_eq!((tcp.sequence(), tcp.data(), tcp.flags()), (0xdead_beef, &b"early data"[..], TcpFlags::SYN));
}

#[test]
fn pings_are_told_apart_by_their_identifier() {
    let mut bench = Bench::nat(NatConfig::default());
    let to = addr(ONE).ip();
    let at_one = |bench: &mut Bench, host, from: &str| {
        let arrived = bench.world.send(host, Packet::ping(addr(from).ip(), to, 77, 3));
        let Payload::Icmp(Icmp::Echo { identifier, sequence: 3, .. }) = arrived[0].packet.payload else {
            panic!()
        };
        identifier
    };
    let hosts = (bench.ada, bench.bob);
    let (ada, bob) = (at_one(&mut bench, hosts.0, ADA), at_one(&mut bench, hosts.1, BOB));
    assert_ne!(ada, bob);
    for (identifier, host) in [(ada, bench.ada), (bob, bench.bob)] {
        let data = bytes::Bytes::new();
        let echo = Icmp::Echo { is_request: false, identifier, sequence: 3, data };
        let back = bench.world.send(bench.one, Packet::new(to, ip("80.80.2.1"), Payload::Icmp(echo)));
        assert_eq!(back[0].host, host);
        let Payload::Icmp(Icmp::Echo { identifier, .. }) = back[0].packet.payload else { panic!() };
        assert_eq!(identifier, 77);
    }
    bench.world.pass(secs(60));
    let echo = Icmp::Echo { is_request: false, identifier: ada, sequence: 3, data: bytes::Bytes::new() };
    assert!(bench.world.send(bench.one, Packet::new(to, ip("80.80.2.1"), Payload::Icmp(echo))).is_empty());
}

/// Sends a datagram to `one`, which says by ICMP that nobody listens.
fn refused(bench: &mut Bench) -> Packet {
    let arrived = bench.world.udp(bench.ada, ADA, addr(ONE));
    let error = IcmpError::Unreachable(Unreachable::Port);
    arrived[0].packet.error_from(addr(ONE).ip(), error).unwrap()
}

#[test]
fn an_error_from_outside_reaches_the_inside_with_its_quote_translated_back() {
    let mut bench = Bench::nat(NatConfig::default());
    let error = refused(&mut bench);
    let arrived = bench.world.send(bench.one, error);
    assert_eq!((arrived[0].host, arrived[0].packet.destination), (bench.ada, addr(ADA).ip()));
    let Payload::Icmp(Icmp::Error { quote, .. }) = &arrived[0].packet.payload else { panic!() };
    let flow = quote.flow().unwrap();
    assert_eq!((flow.source, flow.destination), (addr(ADA), addr(ONE)));

    // The quoted datagram's checksum is right again: it can be parsed, and is what was sent.
    let mut bytes = Vec::new();
    arrived[0].packet.write(&mut bytes);
    let quoted = Packet::parse(&bytes[28..]).unwrap();
    let Payload::Udp(udp) = quoted.payload else { panic!() };
    assert_eq!(&udp.data[..], b"datagram");
}

#[test]
fn an_error_about_a_packet_that_nobody_sent_is_dropped() {
    let mut bench = Bench::nat(NatConfig::default());
    bench.ada_to(ONE);
    for from in ["80.80.2.1:4", "80.80.2.1:5000"] {
        let forged =
            Packet::udp(addr(from), addr(TWO), "x").error_from(addr(TWO).ip(), IcmpError::TooBig { mtu: 9 });
        assert!(bench.world.send(bench.two, forged.unwrap()).is_empty());
    }
    assert_eq!((bench.world.dropped(Drop::NoMapping), bench.world.dropped(Drop::Filtered)), (1, 1));
}

#[test]
fn an_error_from_inside_shows_the_outside_only_external_endpoints() {
    let mut bench = Bench::nat(NatConfig::default());
    let external = bench.ada_to(ONE);
    let arrived = bench.world.udp(bench.one, ONE, external);
    let error = arrived[0].packet.error_from(addr(ADA).ip(), IcmpError::Unreachable(Unreachable::Port));
    let arrived = bench.world.send(bench.ada, error.unwrap());
    assert_eq!((arrived[0].host, arrived[0].packet.source), (bench.one, external.ip()));
    let Payload::Icmp(Icmp::Error { quote, .. }) = &arrived[0].packet.payload else { panic!() };
    assert_eq!(quote.flow().unwrap().destination, external);
    let mut bytes = Vec::new();
    arrived[0].packet.write(&mut bytes);
    assert!(Packet::parse(&bytes[28..]).is_ok(), "checksums and all");
}

#[test]
fn other_protocols_are_not_translated() {
    let mut bench = Bench::nat(NatConfig::default());
    let payload = Payload::Other { protocol: 47, bytes: bytes::Bytes::from_static(b"gre") };
    let packet = Packet::new(addr(ADA).ip(), addr(ONE).ip(), payload);
    assert!(bench.world.send(bench.ada, packet).is_empty());
    assert_eq!(bench.world.dropped(Drop::NotTranslatable), 1);
}
