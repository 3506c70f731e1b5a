//! What a packet costs in the machine alone, at empty tables: `cargo bench -p twocan-turn --bench packets`. Each line is the
//! median of ten rounds and their spread.

#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::disallowed_methods)] // a tool that measures and prints

#[path = "../tests/kit/mod.rs"]
mod kit;

use std::time::Instant;

use kit::{Client, PEER, World, addr, port_of};
use twocan_stun::attribute::{Data, XorPeerAddress};
use twocan_stun::{Class, Method};
use twocan_turn::PeerAddr;

const ROUNDS: usize = 10;
const PACKETS: u32 = 200_000;

fn main() {
    println!("{:<44} {:>9} {:>9} {:>9}", "ns a packet, empty tables", "median", "least", "most");
    for (who, is_member) in [("operator's user", false), ("lobby member", true)] {
        data(who, is_member);
    }
    let mut world = World::new();
    let mut client = Client::ada("127.0.0.1:4000");
    let binding = client.bare(Class::Request, Method::BINDING, |_| ());
    measure("Binding", &mut world, |world| world.server.handle_client(&binding, client.addr, world.now));
}

fn data(who: &str, is_member: bool) {
    let mut world = World::with(|config| {
        let fast = twocan_turn::Rate { per_second: u32::MAX, burst: u32::MAX };
        config.limits.bytes = fast;
        config.limits.packets = fast;
        config.limits.bytes_of_member = fast;
        config.limits.packets_of_member = fast;
    });
    let mut client = Client::ada("198.51.100.7:4000");
    if is_member {
        world.granted("group", "ADA", "198.51.100.7");
        world.granted("group", "BOB", "8.8.8.8");
        client = Client::member("198.51.100.7:4000", "group", "ADA");
    }
    let relayed = client.allocate(&mut world);
    assert_eq!(client.bind(&mut world, 0x4000, addr(PEER)), 0);
    world.peer_sends(addr(PEER), relayed, b"answer");
    world.take_sent();
    let channel_data = [&[0x40, 0, 0, 160][..], &[7; 160]].concat();
    let send = client.bare(Class::Indication, Method::SEND, |builder| {
        builder.add(&XorPeerAddress(addr(PEER))).unwrap().add(&Data(&[7; 160])).unwrap();
    });
    let from = client.addr;
    measure(&format!("ChannelData, 160 B, {who}"), &mut world, |world| {
        world.server.handle_client(&channel_data, from, world.now);
    });
    measure(&format!("Send, 160 B, {who}"), &mut world, |world| {
        world.server.handle_client(&send, from, world.now);
    });
    measure(&format!("from a peer, 1,200 B, {who}"), &mut world, |world| {
        world.server.handle_peer(&[7; 1_200], PeerAddr(addr(PEER)), port_of(relayed), world.now);
    });
}

fn measure(name: &str, world: &mut World, packet: impl Fn(&mut World)) {
    let mut rounds: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            for _ in 0..PACKETS {
                world.now = Instant::now();
                packet(world);
                while world.server.poll_transmit().is_some() {}
            }
            begun.elapsed().as_secs_f64() * 1e9 / f64::from(PACKETS)
        })
        .collect();
    rounds.sort_by(f64::total_cmp);
    println!("{name:<44} {:>9.1} {:>9.1} {:>9.1}", rounds[ROUNDS / 2], rounds[0], rounds[ROUNDS - 1]);
}
