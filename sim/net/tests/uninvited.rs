//! Packets that nobody asked for: silence, refusals, and the race of Linux's `masquerade`.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use twocan_sim::packet::{Icmp, IcmpError, Payload, TcpFlags, Unreachable};
use twocan_sim::{Drop, NatConfig, Packet, Uninvited};
use world::{ADA, BOB, Bench, EXTERNAL, ONE, TWO, addr, ip, secs};

fn bench(uninvited: Uninvited) -> Bench {
    Bench::nat(NatConfig { uninvited, ..NatConfig::default() })
}

#[test]
fn an_uninvited_packet_is_dropped_in_silence() {
    let mut bench = bench(Uninvited::Drop);
    let to = addr("80.80.2.1:5000");
    assert!(bench.world.udp(bench.one, ONE, to).is_empty());
    assert!(bench.world.tcp(bench.one, ONE, to, TcpFlags::SYN).is_empty());
    assert!(bench.world.send(bench.one, Packet::ping(addr(ONE).ip(), to.ip(), 1, 1)).is_empty());
    assert_eq!(bench.world.dropped(Drop::NoMapping), 3);
}

#[test]
fn an_uninvited_packet_is_refused_where_the_router_answers() {
    let mut bench = bench(Uninvited::Refuse);
    let to = addr("80.80.2.1:5000");
    let refusal = bench.world.udp(bench.one, ONE, to);
    let Payload::Icmp(Icmp::Error { error, quote }) = &refusal[0].packet.payload else {
        panic!("{refusal:?}")
    };
    assert_eq!(*error, IcmpError::Unreachable(Unreachable::Port));
    assert_eq!((quote.flow().unwrap().source, quote.flow().unwrap().destination), (addr(ONE), to));
    assert_eq!(refusal[0].packet.source, ip(EXTERNAL));

    let refusal = bench.world.tcp(bench.one, ONE, to, TcpFlags::SYN);
    let Payload::Tcp(segment) = &refusal[0].packet.payload else { panic!("{refusal:?}") };
    assert!(segment.flags().contains(TcpFlags::RST.with(TcpFlags::ACK)));
    assert_eq!(segment.acknowledgment(), 1, "a SYN counts as one");

    let pong = bench.world.send(bench.one, Packet::ping(addr(ONE).ip(), to.ip(), 1, 1));
    assert!(matches!(pong[0].packet.payload, Payload::Icmp(Icmp::Echo { is_request: false, .. })));
}

#[test]
fn who_comes_too_early_moves_the_mapping_but_only_for_itself() {
    let mut bench = bench(Uninvited::Claim);
    assert!(!bench.gets_in(ONE, addr("80.80.2.1:5000")));
    let moved = bench.ada_to(ONE);
    assert_ne!(moved.port(), 5000, "the port is taken for this sender");
    assert_eq!(bench.ada_to(TWO).port(), 5000, "and for nobody else");
    assert_eq!(bench.ada_to(ONE), moved, "it stays where it was moved");
    assert!(bench.gets_in(ONE, moved));
    assert!(!bench.gets_in(ONE, addr("80.80.2.1:5000")), "the peer's checks go on to arrive nowhere");
}

#[test]
fn an_early_packet_moves_also_an_existing_mapping_for_its_sender() {
    let mut bench = bench(Uninvited::Claim);
    let external = bench.ada_to(TWO);
    assert!(!bench.gets_in(ONE, external));
    assert_ne!(bench.ada_to(ONE), external);
    assert_eq!(bench.ada_to(TWO), external);
}

#[test]
fn whoever_sends_first_keeps_the_port() {
    let mut bench = bench(Uninvited::Claim);
    let external = bench.ada_to(ONE);
    assert_eq!(external.port(), 5000);
    assert!(bench.gets_in(ONE, external));
    assert_eq!(bench.ada_to(ONE), external);
}

#[test]
fn a_claim_is_forgotten_after_half_a_minute_of_silence() {
    let mut bench = bench(Uninvited::Claim);
    assert!(!bench.gets_in(ONE, addr("80.80.2.1:5000")));
    bench.world.pass(secs(30));
    assert_eq!(bench.ada_to(ONE).port(), 5000);
}

#[test]
fn without_the_race_an_early_packet_changes_nothing() {
    for uninvited in [Uninvited::Drop, Uninvited::Refuse] {
        let mut bench = bench(uninvited);
        assert!(!bench.gets_in(ONE, addr("80.80.2.1:5000")));
        assert_eq!(bench.ada_to(ONE).port(), 5000);
    }
}

#[test]
fn a_packet_that_dies_on_the_way_opens_the_nat_and_claims_nothing() {
    let mut bench = bench(Uninvited::Claim);
    let mut opener = Packet::udp(addr(ADA), addr(ONE), "open");
    opener.hop_limit = 2;
    // One hop is left behind the router: a host that is there gets it, another router would not pass it on.
    assert_eq!(bench.world.send(bench.ada, opener)[0].packet.hop_limit, 1);
    assert!(bench.gets_in(ONE, addr("80.80.2.1:5000")));
    let mut short = Packet::udp(addr(BOB), addr(ONE), "short");
    short.hop_limit = 1;
    let back = bench.world.send(bench.bob, short);
    let Payload::Icmp(Icmp::Error { error, .. }) = &back[0].packet.payload else { panic!("{back:?}") };
    assert_eq!(*error, IcmpError::TimeExceeded { code: 0 });
    assert_eq!(back[0].packet.source, ip("192.168.1.1"));
    assert_eq!(bench.world.dropped(Drop::HopLimit), 1);
}

#[test]
fn an_outside_packet_that_runs_out_of_hops_is_reported_as_it_came() {
    let mut bench = bench(Uninvited::Drop);
    let external = bench.ada_to(ONE);
    let mut short = Packet::udp(addr(ONE), external, "short");
    short.hop_limit = 1;
    let back = bench.world.send(bench.one, short);
    let Payload::Icmp(Icmp::Error { error, quote }) = &back[0].packet.payload else { panic!("{back:?}") };
    assert_eq!(*error, IcmpError::TimeExceeded { code: 0 });
    assert_eq!(quote.flow().unwrap().destination, external, "not the internal endpoint");
    assert_eq!(back[0].packet.source, ip(EXTERNAL));
}
