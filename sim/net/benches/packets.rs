//! Packets through two homes and a carrier, and worlds built anew: `cargo bench -p twocan-sim --bench packets`.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // a tool that prints figures

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use twocan_sim::{Access, HostId, Kind, Link, Network, Packet, SegmentConfig, SiteConfig};

/// Datagrams each way in one run.
const ROUNDS: u32 = 500_000;
const WORLDS: u32 = 20_000;
/// Datagrams each way in a world that is built anew.
const ROUNDS_A_WORLD: u32 = 50;

struct World {
    network: Network,
    now: Instant,
    ends: [(HostId, SocketAddr); 2],
}

fn build(seed: u8, now: Instant, hosts: u32) -> World {
    let mut network = Network::new([seed; 32], now);
    let internet = network.add_segment(SegmentConfig::internet());
    let access = Access::both(Link::delayed(Duration::from_millis(10)));
    for _ in 0..hosts {
        network.add_site(internet, Kind::Home);
    }
    let ends = [Kind::FullCone, Kind::DoubleNat].map(|kind| {
        let site = network.add_site(internet, SiteConfig { access, ..kind.into() });
        let host = network.add_host_at(&site);
        let address = network.host_addresses(host).next().unwrap();
        (host, SocketAddr::new(address, 5000))
    });
    World { network, now, ends }
}

/// The second end opens, then both send in turn; how many arrived.
fn talk(world: &mut World, router: u32, rounds: u32) -> u64 {
    let World { network, now, ends } = world;
    let [(ada, ada_at), (bob, bob_at)] = *ends;
    let data = Bytes::from_static(&[0; 1000]);
    // Ada's mapping: the port is preserved, the address the last but two that were given.
    network.handle_packet(ada, Packet::udp(ada_at, bob_at, data.clone()), *now);
    let external = SocketAddr::new(([80, 80, (router >> 8) as u8, router as u8]).into(), 5000);
    let mut to_bob = None;
    for _ in 0..rounds {
        network.handle_packet(bob, Packet::udp(bob_at, external, data.clone()), *now);
        if let Some(to) = to_bob {
            network.handle_packet(ada, Packet::udp(ada_at, to, data.clone()), *now);
        }
        *now += Duration::from_micros(100);
        network.handle_timeout(*now);
        while let Some(delivery) = network.poll_delivery() {
            if delivery.host == ada {
                to_bob = delivery.packet.flow().map(|flow| flow.source);
            }
        }
    }
    network.stats().delivered
}

fn main() {
    for hosts in [0, 1_000] {
        let mut world = build(1, Instant::now(), hosts);
        // A mapping of Ada's for Bob to find: to nobody, through her NAT.
        let (ada, ada_at) = world.ends[0];
        world.network.handle_packet(ada, Packet::udp(ada_at, "80.80.9.9:9".parse().unwrap(), "x"), world.now);
        let start = Instant::now();
        let delivered = talk(&mut world, hosts + 1, ROUNDS);
        let secs = start.elapsed().as_secs_f64();
        println!(
            "{hosts:>5} other homes: {:>10.0} datagrams/s, {delivered} arrived",
            delivered as f64 / secs
        );
    }
    let (start, mut delivered) = (Instant::now(), 0);
    for n in 0..WORLDS {
        let mut world = build(n as u8, start, 0);
        let (ada, ada_at) = world.ends[0];
        world.network.handle_packet(ada, Packet::udp(ada_at, "80.80.9.9:9".parse().unwrap(), "x"), world.now);
        delivered += talk(&mut world, 1, ROUNDS_A_WORLD * 4);
    }
    let secs = start.elapsed().as_secs_f64();
    println!("worlds: {:.0}/s, {} datagrams each", f64::from(WORLDS) / secs, delivered / u64::from(WORLDS));
}
