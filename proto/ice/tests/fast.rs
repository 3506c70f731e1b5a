//! How soon a pair is usable, to the millisecond: the rows of the first table of the measurements, at four round trips.

mod world;

use std::time::Duration;

use twocan_ice::Kind;
use world::{A, B, Nat, NatKind, World, ms};

/// What the last pairs may wait for Ta.
const TA: Duration = Duration::from_millis(5);

const ROUND_TRIPS: [u64; 4] = [10, 50, 150, 300];

fn lan(world: &mut World) {
    for (side, last) in [(A, 2), (B, 3)] {
        for dead in 0..2 {
            world.dead_host(side, &format!("172.{}.{dead}.1:5000", 16 + side));
        }
        world.host(side, &format!("10.0.0.{last}:5000"), Some(9));
    }
}

/// Each side behind a router of its own, with so many interfaces of which one works, a reflexive and a relayed address.
fn nat(world: &mut World, kind: NatKind, hosts: u16) {
    for side in [A, B] {
        let lan = side as u8 + 1;
        world.net.nats.push(Nat::new(kind, &format!("203.0.113.{lan}"), lan));
        for dead in 1..hosts {
            world.dead_host(side, &format!("172.{}.{dead}.1:5000", 16 + side));
        }
        let socket = world.host(side, &format!("192.168.{lan}.2:5000"), Some(lan));
        world.reflexive(side, socket);
        world.relayed(side, &format!("198.51.100.9:{}", 50_000 + side), ms(5));
    }
}

/// Controlled knows the other's candidates half a round trip before controlling does: it answered an offer. Counted from
/// when controlling knows.
fn times(rtt: Duration, build: impl Fn(&mut World)) -> (Duration, Duration, World) {
    let mut world = World::new(1, rtt);
    build(&mut world);
    world.introduce(B);
    world.run_for(rtt / 2);
    world.introduce(A);
    let start = world.now;
    world.run_for(rtt * 4);
    let at = |side: usize| world.sides[side].usable_at().expect("usable").saturating_sub(start);
    (at(A), at(B), world)
}

fn hold(name: &str, path: impl Fn(Duration) -> Duration, build: impl Fn(&mut World)) {
    for rtt in ROUND_TRIPS.map(ms) {
        let (controlling, controlled, _) = times(rtt, &build);
        let rtt = path(rtt);
        assert!(controlling <= rtt + TA, "{name}, RTT {rtt:?}: controlling after {controlling:?}");
        assert!(controlled <= rtt * 3 / 2 + TA, "{name}, RTT {rtt:?}: controlled after {controlled:?}");
    }
}

#[test]
fn on_a_lan_two_dead_interfaces_cost_nothing() {
    hold("LAN", |rtt| rtt, lan);
}

#[test]
fn behind_routers_three_interfaces_cost_nothing() {
    hold("NAT, 3 hosts", |rtt| rtt, |world| nat(world, NatKind::PortRestricted, 3));
}

#[test]
fn behind_routers_six_interfaces_cost_nothing() {
    hold("NAT, 6 hosts", |rtt| rtt, |world| nat(world, NatKind::PortRestricted, 6));
}

#[test]
fn behind_symmetric_routers_the_relay_is_found_at_once() {
    hold("both symmetric", |rtt| rtt + ms(10), |world| nat(world, NatKind::Symmetric, 1));
}

#[test]
fn controlled_may_learn_last() {
    for rtt in ROUND_TRIPS.map(ms) {
        let mut world = World::new(2, rtt);
        nat(&mut world, NatKind::EndpointIndependent, 6);
        world.introduce(A);
        world.run_for(rtt / 2);
        world.introduce(B);
        world.run_for(rtt * 4);
        let at = |side: usize| world.sides[side].usable_at().unwrap();
        assert!(at(A) <= rtt + TA, "controlling after {:?} of {rtt:?}", at(A));
        assert!(at(B) <= rtt * 3 / 2 + TA, "controlled after {:?} of {rtt:?}", at(B));
    }
}

#[test]
fn in_the_plainest_case_not_a_millisecond_is_lost() {
    let (controlling, controlled, world) = times(ms(50), |world| nat(world, NatKind::PortRestricted, 1));
    assert_eq!((controlling, controlled), (ms(50), ms(75)));
    let selected = world.sides[A].agent.selected().unwrap();
    assert_eq!((selected.local_kind, selected.remote_kind), (Kind::ServerReflexive, Kind::ServerReflexive));
    assert!(selected.nominated);
    assert_eq!(selected.rtt, Some(ms(50)));
}
