//! Bytes that mean harm: nothing panics, and all that is sent is accounted for.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use proptest::collection::vec;
use proptest::prelude::*;
use twocan_sim::{Drop, Kind, Packet, SiteConfig};
use world::{World, addr};

/// Mended so that its checksum does not end it early.
fn with_v4_checksum(bytes: &mut [u8]) {
    let Some(header) = bytes.get_mut(..20) else { return };
    header[10..12].fill(0);
    let mut sum: u32 = header.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    header[10..12].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

fn send_all(kind: Kind, packets: &[Vec<u8>]) {
    let mut world = World::new(1);
    world.public("80.80.1.1");
    let site = world.network.add_site(world.internet, SiteConfig { ipv6: true, ..kind.into() });
    let host = world.network.add_host_at(&site);
    for bytes in packets {
        let _ = world.network.handle_bytes(host, bytes, world.now);
        for delivery in world.settle() {
            let mut out = Vec::new();
            delivery.packet.write(&mut out);
            assert_eq!(Packet::parse(&out).as_ref(), Ok(&delivery.packet));
        }
    }
    let stats = world.network.stats();
    let begun = stats.sent + stats.originated + stats.copied;
    assert_eq!(begun, stats.delivered + stats.consumed + stats.dropped_total(), "{stats:?}");
}

proptest! {
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Packet::parse(&bytes);
    }

    #[test]
    fn any_payload_of_an_ipv4_packet(protocol in prop_oneof![Just(1_u8), Just(6), Just(17), any::<u8>()],
                                     to in prop_oneof![Just([80, 80, 1, 1]), Just([192, 168, 1, 1]), Just([239, 255, 255, 250]), any::<[u8; 4]>()],
                                     payload in vec(any::<u8>(), 0..80), kind in 0..Kind::ALL.len()) {
        let mut bytes = vec![0x45, 0, 0, 20 + payload.len() as u8, 0, 0, 0, 0, 9, protocol, 0, 0, 192, 168, 1, 2];
        bytes.extend_from_slice(&to);
        bytes.extend_from_slice(&payload);
        with_v4_checksum(&mut bytes);
        send_all(Kind::ALL[kind], &[bytes]);
    }

    #[test]
    fn any_datagram_to_the_routers_services(data in vec(any::<u8>(), 0..80), start in 0_u8..3, opcode in 0_u8..3, port in prop_oneof![Just(5351_u16), Just(1900)]) {
        let mut data = data;
        data.splice(0..0, [start, opcode]);
        let mut bytes = Vec::new();
        Packet::udp(addr("192.168.1.2:4"), addr(&format!("192.168.1.1:{port}")), data).write(&mut bytes);
        send_all(Kind::HomePcp, &[bytes]);
    }

    #[test]
    fn one_byte_of_an_icmp_error_is_wrong(at in 28_usize..80, byte: u8, kind in 0..Kind::ALL.len()) {
        let about = Packet::udp(addr("80.80.1.1:7"), addr("192.168.1.2:9"), "quoted datagram");
        let error = twocan_sim::packet::IcmpError::TooBig { mtu: 1000 };
        let mut bytes = Vec::new();
        about.error_from(addr("192.168.1.2:9").ip(), error).unwrap().write(&mut bytes);
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        // ICMP's checksum is mended: only the quote is wrong.
        bytes[22..24].fill(0);
        let mut sum: u32 = bytes[20..].chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0))).sum();
        while sum > 0xffff {
            sum = (sum & 0xffff) + (sum >> 16);
        }
        bytes[22..24].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        let mut opener = Vec::new();
        Packet::udp(addr("192.168.1.2:9"), addr("80.80.1.1:7"), "open").write(&mut opener);
        send_all(Kind::ALL[kind], &[opener, bytes]);
    }
}

#[test]
fn what_cannot_be_read_is_counted() {
    let mut world = World::new(1);
    let host = world.public("80.80.1.1");
    assert!(world.network.handle_bytes(host, &[1, 2, 3], world.now).is_err());
    assert_eq!((world.network.stats().sent, world.dropped(Drop::Malformed)), (1, 1));
    let mut bytes = Vec::new();
    Packet::udp(addr("80.80.1.1:1"), addr("80.80.1.1:2"), "x").write(&mut bytes);
    assert_eq!(world.network.handle_bytes(host, &bytes, world.now), Ok(()));
    assert_eq!(world.settle().len(), 1);
    // More fragments follow.
    bytes[6] = 0x20;
    with_v4_checksum(&mut bytes);
    assert!(world.network.handle_bytes(host, &bytes, world.now).is_err());
    assert_eq!(world.dropped(Drop::Fragment), 1);
}
