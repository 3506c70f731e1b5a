//! Two servers, each on a thread of its own, that tell each other the news.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use kit::{Client, UNIX, World, addr};
use std::net::SocketAddr;
use twocan_stun::attribute::{EvenPort, ReservationToken};
use twocan_turn::{Discard, GroupId, News, PortError, RelayAddr};

/// Two servers with a slice of the range each.
struct Pair {
    one: World,
    two: World,
}

impl Pair {
    fn new() -> Pair {
        let start = kit::start();
        let one = World::at(start, 1, |config| config.relay_ports = 50_000..=50_099);
        let two = World::at(start, 2, |config| config.relay_ports = 50_100..=50_199);
        Pair { one, two }
    }

    /// Passes the news on, as `net/relay` does after each batch.
    fn tell(&mut self) {
        for news in self.one.take_news() {
            self.two.news(&news);
        }
        for news in self.two.take_news() {
            self.one.news(&news);
        }
    }

    fn t(&mut self, ms: u64) {
        self.one.t(ms);
        self.two.t(ms);
        self.tell();
    }
}

/// Allocates a pair of ports in `one`: the even port and the token of the odd one.
fn reserve(pair: &mut Pair, from: &str) -> (SocketAddr, [u8; 8]) {
    let reply = Client::ada(from).allocate_with(&mut pair.one, |builder| {
        builder.add(&EvenPort { reserve_next: true }).unwrap();
    });
    let token = reply.message().get::<ReservationToken>().unwrap().unwrap().0;
    (reply.relayed()[0], token)
}

fn redeem(world: &mut World, from: &str, token: [u8; 8]) -> kit::Reply {
    Client::ada(from).allocate_with(world, |builder| {
        builder.add(&ReservationToken(token)).unwrap();
    })
}

#[test]
fn a_group_is_one_over_all_threads() {
    let mut pair = Pair::new();
    let mut ada = Client::member("198.51.100.7:1", "g", "ADA");
    let mut bob = Client::member("8.8.8.8:1", "g", "BOB");
    ada.allocate(&mut pair.one);
    let relayed_bob = bob.allocate(&mut pair.two);
    assert_eq!(ada.permit(&mut pair.one, &[relayed_bob]), 403, "not told yet");
    pair.tell();
    assert_eq!(pair.one.server.stats().stored.foreign, 1);
    assert_eq!(ada.bind(&mut pair.one, 0x4000, relayed_bob), 0);
    assert_eq!(ada.permit(&mut pair.one, &[addr("8.8.8.8:77")]), 0, "where BOB is seen");
    bob.refresh(&mut pair.two, 0);
    pair.tell();
    ada.send_channel(&mut pair.one, 0x4000, b"x");
    assert!(pair.one.take_sent().is_empty(), "BOB is gone, and the port may be another's");
    assert_eq!(pair.one.server.stats().stored.foreign, 0);
}

#[test]
fn quotas_count_what_other_threads_allocated() {
    let start = kit::start();
    let quota = |config: &mut twocan_turn::Config| {
        config.limits.allocations_per_user = 2;
        (config.limits.allocations_per_household, config.limits.allocations_floor) = (3, 3);
    };
    let mut pair = Pair { one: World::at(start, 1, quota), two: World::at(start, 2, quota) };
    Client::ada("1.1.1.1:1").allocate(&mut pair.one);
    Client::ada("1.1.1.1:2").allocate(&mut pair.two);
    pair.tell();
    assert_eq!(Client::ada("1.1.1.2:3").allocate_with(&mut pair.one, |_| ()).code(), 486);
    Client::new("1.1.1.1:4", "bob", "builder").allocate(&mut pair.two);
    pair.tell();
    let mut bob = Client::new("1.1.1.1:5", "bob", "builder");
    assert_eq!(bob.allocate_with(&mut pair.one, |_| ()).code(), 486, "of the address");
    Client::ada("1.1.1.1:2").refresh(&mut pair.two, 0);
    pair.tell();
    assert_eq!(bob.allocate_with(&mut pair.one, |_| ()).code(), 0);
}

#[test]
fn a_port_reserved_on_one_thread_is_had_on_another() {
    let mut pair = Pair::new();
    let (even, token) = reserve(&mut pair, "198.51.100.7:1");
    pair.tell();
    let relayed = redeem(&mut pair.two, "198.51.100.7:2", token).relayed()[0];
    pair.tell();
    assert_eq!(relayed.port(), even.port() + 1);
    assert_eq!(redeem(&mut pair.one, "198.51.100.7:3", token).code(), 508, "used");
    let mut owner = Client::ada("198.51.100.7:2");
    owner.permit(&mut pair.two, &[addr(kit::PEER)]);
    pair.two.peer_sends(addr(kit::PEER), relayed, b"x");
    assert_eq!(pair.two.take_sent().len(), 1);
    pair.t(60_000);
    assert_eq!(pair.two.open_ports().len(), 1);
}

#[test]
fn a_port_lent_to_another_thread_is_not_drawn_until_it_is_free_again() {
    let start = kit::start();
    let one = World::at(start, 1, |config| {
        (config.relay_ports, config.relay_range) = (50_000..=50_001, 50_000..=50_001);
    });
    let two = World::at(start, 2, |config| config.relay_ports = 50_100..=50_199);
    let mut pair = Pair { one, two };
    let (_, token) = reserve(&mut pair, "198.51.100.7:1");
    pair.tell();
    assert_eq!(redeem(&mut pair.two, "198.51.100.7:2", token).code(), 0);
    pair.tell();
    pair.t(31_000);
    let mut late = Client::ada("198.51.100.7:3");
    assert_eq!(late.allocate_with(&mut pair.one, |_| ()).code(), 508);
    Client::ada("198.51.100.7:2").refresh(&mut pair.two, 0);
    pair.tell();
    assert_eq!(late.allocate_with(&mut pair.one, |_| ()).relayed()[0].port(), 50_001);
}

#[test]
fn no_port_is_left_over_because_it_is_another_threads() {
    let start = kit::start();
    let of = |seed, ports: std::ops::RangeInclusive<u16>| {
        World::at(start, seed, move |config| {
            (config.relay_ports, config.relay_range) = (ports, 50_000..=50_007);
        })
    };
    let mut pair = Pair { one: of(1, 50_000..=50_003), two: of(2, 50_004..=50_007) };
    // Two of them are had by clients that the kernel gave to the other thread.
    let mut had = std::collections::BTreeSet::new();
    for n in 1..=2 {
        let mut client = Client::ada(&format!("198.51.100.{n}:1"));
        had.insert(client.allocate_with(&mut pair.two, |_| ()).relayed()[0].port());
        pair.tell();
    }
    let mut clients: Vec<Client> = (3..=9).map(|n| Client::ada(&format!("198.51.100.{n}:1"))).collect();
    for client in &mut clients[..6] {
        had.insert(client.allocate_with(&mut pair.one, |_| ()).relayed()[0].port());
        pair.tell();
    }
    assert_eq!(had, (50_000..=50_007).collect());
    assert_eq!(clients[6].allocate_with(&mut pair.one, |_| ()).code(), 508);
    let mut late = Client::ada("198.51.100.10:1");
    assert_eq!(late.allocate_with(&mut pair.two, |_| ()).code(), 508);
    // One that was borrowed is its own thread's again.
    clients[5].refresh(&mut pair.one, 0);
    pair.tell();
    let again = late.allocate_with(&mut pair.two, |_| ()).relayed()[0].port();
    assert!((50_004..=50_007).contains(&again), "{again}");
}

#[test]
fn a_lent_port_that_cannot_be_opened_comes_back() {
    let start = kit::start();
    let one = World::at(start, 1, |config| {
        (config.relay_ports, config.relay_range) = (50_000..=50_001, 50_000..=50_001);
    });
    let two = World::at(start, 2, |config| config.relay_ports = 50_100..=50_199);
    let mut pair = Pair { one, two };
    let (_, token) = reserve(&mut pair, "198.51.100.7:1");
    pair.tell();
    pair.two.ports = kit::Ports::Fail(PortError::InUse);
    assert_eq!(redeem(&mut pair.two, "198.51.100.7:2", token).code(), 508);
    assert_eq!(pair.two.server.stats().stored.ports, 0);
    pair.tell();
    let mut late = Client::ada("198.51.100.7:3");
    assert_eq!(late.allocate_with(&mut pair.one, |_| ()).relayed()[0].port(), 50_001);
}

#[test]
fn a_reservation_told_by_another_thread_runs_out_here_too() {
    let mut pair = Pair::new();
    let (_, token) = reserve(&mut pair, "198.51.100.7:1");
    pair.tell();
    assert_eq!(pair.two.server.stats().stored.reservations, 1);
    pair.t(30_000);
    assert_eq!(redeem(&mut pair.two, "198.51.100.7:2", token).code(), 508);
    assert_eq!(pair.two.server.stats().stored.reservations, 0);
}

#[test]
fn news_about_our_own_port_changes_nothing() {
    let mut pair = Pair::new();
    let mut ada = Client::member("198.51.100.7:1", "g", "ADA");
    let relayed = ada.allocate(&mut pair.one);
    for news in pair.one.take_news() {
        pair.one.news(&news);
    }
    pair.one.news(&News::Freed { relayed: RelayAddr(relayed) });
    assert_eq!(ada.permit(&mut pair.one, &[relayed]), 0);
    ada.refresh(&mut pair.one, 0);
    assert_eq!(pair.one.server.stats().stored.entries(), 0);
}

#[test]
fn a_revocation_reaches_the_thread_that_has_the_allocation() {
    let mut pair = Pair::new();
    Client::member("198.51.100.7:1", "g", "ADA").allocate(&mut pair.one);
    pair.tell();
    let news = News::GroupClosed { group: GroupId::new("g") };
    pair.one.news(&news);
    pair.two.news(&news);
    assert_eq!(pair.one.open_ports(), []);
    pair.tell();
    assert_eq!(pair.two.server.stats().stored.foreign, 0);
}

#[test]
fn a_nonce_of_one_thread_is_good_on_another() {
    let mut pair = Pair::new();
    let mut client = Client::timed("198.51.100.7:1", UNIX + 60, "alice");
    client.challenge(&mut pair.one);
    assert_eq!(client.allocate_with(&mut pair.two, |_| ()).code(), 0);
    assert_eq!(pair.two.server.stats().error(438), 0);
    assert_eq!(pair.one.server.stats().discarded(Discard::Pending), 0);
}
