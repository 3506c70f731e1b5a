//! One seed, one run: the trace is the same each time, and complete.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use std::time::{Duration, Instant};

use twocan_sim::{
    Access, Chance, Event, Kind, Link, Network, Packet, SegmentConfig, SiteConfig, Stats, Step,
};
use world::{addr, epoch, ms, seed};

/// Hosts of every kind send to a server by bad links; it answers.
fn run(n: u8, start: Instant, is_tracing: bool) -> (Vec<(Duration, Event)>, Stats) {
    let mut network = Network::new(seed(n), start);
    network.set_tracing(is_tracing);
    let internet = network.add_segment(SegmentConfig::internet());
    let server_site = network.add_site(internet, Kind::Public);
    let server = network.add_host_at(&server_site);
    let link = Link {
        delay: ms(10),
        jitter: ms(10),
        jitter_reorders: true,
        loss: Chance::percent(5.0),
        duplication: Chance::percent(5.0),
        corruption: Chance::percent(5.0),
        reordering: Chance::percent(5.0),
        rate_bps: Some(1_000_000),
        queue_len_max: 2_000,
        ..Link::default()
    };
    let server_address = network.host_addresses(server).next().unwrap();
    let hosts: Vec<_> = Kind::ALL
        .into_iter()
        .filter(|kind| *kind != Kind::Ipv6Only)
        .map(|kind| {
            let site = network.add_site(internet, SiteConfig { access: Access::both(link), ..kind.into() });
            network.add_host_at(&site)
        })
        .collect();
    let mut now = start;
    for round in 0..20_u64 {
        for host in &hosts {
            let from = network.host_addresses(*host).next().unwrap();
            let to = std::net::SocketAddr::new(server_address, 1000 + round as u16 % 3);
            let packet = Packet::udp(addr(&format!("{from}:5000")), to, vec![0; 300]);
            network.handle_packet(*host, packet, now);
        }
        now = start + ms((round + 1) * 7);
        network.handle_timeout(now);
        while let Some(delivery) = network.poll_delivery() {
            if let Some(flow) = delivery.packet.flow().filter(|_| delivery.host == server) {
                network.handle_packet(server, Packet::udp(flow.destination, flow.source, "answer"), now);
            }
        }
    }
    while let Some(at) = network.poll_timeout() {
        network.handle_timeout(at);
    }
    let events = std::iter::from_fn(|| network.poll_event()).map(|event| (event.at - start, event));
    (events.collect(), *network.stats())
}

#[test]
fn the_same_seed_gives_the_same_trace_and_another_seed_another() {
    let start = epoch();
    let (first, stats) = run(1, start, true);
    assert!(first.len() > 1_000);
    assert_eq!((&first, stats), (&run(1, start, true).0, run(1, start, true).1));
    assert_ne!(first, run(2, start, true).0);
}

#[test]
fn without_a_trace_the_same_happens() {
    let start = epoch();
    let (events, stats) = run(1, start, false);
    assert!(events.is_empty());
    assert_eq!(stats, run(1, start, true).1);
}

#[test]
fn each_packet_of_the_trace_has_an_end() {
    let (events, stats) = run(1, epoch(), true);
    let count = |is: fn(&Step) -> bool| events.iter().filter(|(_, event)| is(&event.step)).count() as u64;
    let sent = count(|step| matches!(step, Step::Sent { .. }));
    let delivered = count(|step| matches!(step, Step::Delivered { .. }));
    let dropped = count(|step| matches!(step, Step::Dropped { .. }));
    let translated = count(|step| matches!(step, Step::Translated { .. }));
    assert_eq!(sent, stats.sent + stats.originated);
    assert_eq!((delivered, dropped), (stats.delivered, stats.dropped_total()));
    assert_eq!(translated, stats.translated);
    assert_eq!(sent + stats.copied, delivered + dropped + stats.consumed);
    assert!(events.is_sorted_by_key(|(at, _)| *at), "in the order of time");
}
