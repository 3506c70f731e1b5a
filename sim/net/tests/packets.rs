//! Raw packets against bytes that were computed elsewhere (a few lines of Python), and round trips.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::*;
use twocan_sim::Packet;
use twocan_sim::packet::{Icmp, IcmpError, ParseError, Payload, Tcp, TcpFlags, Unreachable};
use world::{addr, ip};

const UDP_4: &str = "45000021000040004011b8b3c0a80001c0a800c713880d96000d18cb68656c6c6f";
const UDP_6: &str = "60000000000d11402a0500800000000000000000000000012a050080000000000000000000000002\
                     13880d96000d45d768656c6c6f";
const TCP_4: &str =
    "4500002c000040004006b8b3c0a80001c0a800c7c35001bb01020304000000006002ffff4cfc0000020405b4";
const TCP_6: &str = "60000000001806402a0500800000000000000000000000012a050080000000000000000000000002\
                     c35001bb00000001000000025018ffffbcea000064617461";
const PING_4: &str = "4500001f000040004001b8c5c0a80001c0a800c70800339500070001616263";
const PING_6: &str = "60000000000b3a402a0500800000000000000000000000012a050080000000000000000000000002\
                      8000664200070001616263";
const TOO_BIG_4: &str = "4500003d000040004001b8a7c0a80001c0a800c7030479bb00000578\
                         45000021000040000111f7b3c0a800c7c0a800010d961388000d18cb68656c6c6f";
const TOO_BIG_6: &str = "60000000003d3a402a0500800000000000000000000000012a050080000000000000000000000002\
                         0200321300000578\
                         60000000000d11012a0500800000000000000000000000022a050080000000000000000000000001\
                         0d961388000d45d768656c6c6f";

fn bytes(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex.chars().map(|c| c.to_digit(16).unwrap() as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn written(packet: &Packet) -> Vec<u8> {
    let mut out = Vec::new();
    packet.write(&mut out);
    assert_eq!(out.len(), packet.wire_len());
    out
}

/// The known bytes are read as this, and this is written as them.
fn same(hex: &str, packet: &Packet) {
    assert_eq!(Packet::parse(&bytes(hex)).as_ref(), Ok(packet));
    assert_eq!(written(packet), bytes(hex));
}

#[test]
fn known_datagrams() {
    same(UDP_4, &Packet::udp(addr("192.168.0.1:5000"), addr("192.168.0.199:3478"), "hello"));
    same(UDP_6, &Packet::udp(addr("[2a05:80::1]:5000"), addr("[2a05:80::2]:3478"), "hello"));
}

#[test]
fn known_segments() {
    let parsed = Packet::parse(&bytes(TCP_4)).unwrap();
    let Payload::Tcp(tcp) = &parsed.payload else { panic!() };
    assert_eq!((tcp.source, tcp.destination, tcp.flags()), (50_000, 443, TcpFlags::SYN));
    assert_eq!((tcp.sequence(), tcp.acknowledgment(), tcp.data().len()), (0x0102_0304, 0, 0));
    assert_eq!(written(&parsed), bytes(TCP_4), "its option is still there");
    let tcp = Tcp::new(50_000, 443, TcpFlags::PSH.with(TcpFlags::ACK), 1, 2, b"data");
    same(TCP_6, &Packet::new(ip("2a05:80::1"), ip("2a05:80::2"), Payload::Tcp(tcp)));
}

#[test]
fn known_pings() {
    let data = Bytes::from_static(b"abc");
    let echo = Icmp::Echo { is_request: true, identifier: 7, sequence: 1, data };
    same(PING_4, &Packet::new(ip("192.168.0.1"), ip("192.168.0.199"), Payload::Icmp(echo.clone())));
    same(PING_6, &Packet::new(ip("2a05:80::1"), ip("2a05:80::2"), Payload::Icmp(echo)));
}

#[test]
fn known_errors() {
    for (hex, from, to) in [
        (TOO_BIG_4, "192.168.0.199:3478", "192.168.0.1:5000"),
        (TOO_BIG_6, "[2a05:80::2]:3478", "[2a05:80::1]:5000"),
    ] {
        let mut about = Packet::udp(addr(from), addr(to), "hello");
        about.hop_limit = 1;
        same(hex, &about.error_from(addr(to).ip(), IcmpError::TooBig { mtu: 1400 }).unwrap());
    }
}

#[test]
fn each_error_survives_writing_and_reading() {
    let errors = [
        IcmpError::Unreachable(Unreachable::NoRoute),
        IcmpError::Unreachable(Unreachable::Host),
        IcmpError::Unreachable(Unreachable::Port),
        IcmpError::Unreachable(Unreachable::AdminProhibited),
        IcmpError::TooBig { mtu: 1280 },
        IcmpError::TimeExceeded { code: 0 },
        IcmpError::TimeExceeded { code: 1 },
    ];
    for (from, to) in [("1.2.3.4:5", "6.7.8.9:10"), ("[::5]:5", "[::6]:6")] {
        let about = Packet::tcp(addr(from), addr(to), TcpFlags::SYN, &[9; 1400]);
        for error in errors {
            let packet = about.error_from(addr(to).ip(), error).unwrap();
            assert!(packet.wire_len() <= if addr(to).is_ipv4() { 576 } else { 1280 });
            assert_eq!(Packet::parse(&written(&packet)), Ok(packet));
        }
    }
}

#[test]
fn nobody_is_told_about_an_error_or_by_one_to_many() {
    let error = IcmpError::TimeExceeded { code: 0 };
    let about =
        Packet::udp(addr("1.2.3.4:5"), addr("6.7.8.9:10"), "x").error_from(ip("6.7.8.9"), error).unwrap();
    assert_eq!(about.error_from(ip("1.2.3.4"), error), None);
    let many = Packet::udp(addr("1.2.3.4:5"), addr("224.0.0.251:5353"), "x");
    assert_eq!(many.error_from(ip("6.7.8.9"), error), None);
    let nobody = Packet::udp(addr("0.0.0.0:68"), addr("6.7.8.9:67"), "x");
    assert_eq!(nobody.error_from(ip("6.7.8.9"), error), None);
}

#[test]
fn what_is_wrong_has_a_name() {
    let with = |hex: &str, at: usize, byte: u8| {
        let mut bytes = bytes(hex);
        bytes[at] = byte;
        Packet::parse(&bytes)
    };
    assert_eq!(Packet::parse(&[]), Err(ParseError::Truncated));
    assert_eq!(with(UDP_4, 0, 0x55), Err(ParseError::Version));
    assert_eq!(with(UDP_4, 0, 0x44), Err(ParseError::Length), "a header of 16 bytes");
    assert_eq!(with(UDP_4, 8, 63), Err(ParseError::Checksum), "the header's");
    assert_eq!(with(UDP_4, 30, 0), Err(ParseError::Checksum), "UDP's");
    assert_eq!(with(UDP_6, 50, 0), Err(ParseError::Checksum));
    assert_eq!(with(TCP_4, 43, 0), Err(ParseError::Checksum));
    assert_eq!(with(PING_4, 30, 0), Err(ParseError::Checksum));
    assert_eq!(with(PING_6, 50, 0), Err(ParseError::Checksum));
    assert_eq!(with(UDP_6, 6, 44), Err(ParseError::Fragment));
    assert_eq!(with(UDP_6, 44, 0xff), Err(ParseError::Truncated), "UDP longer than its packet");
    assert_eq!(Packet::parse(&bytes(UDP_4)[..32]), Err(ParseError::Truncated));
    // More fragments; the header's checksum is as much less as the field is more.
    let mut fragment = bytes(UDP_4);
    (fragment[6], fragment[10]) = (0x60, 0x98);
    assert_eq!(Packet::parse(&fragment), Err(ParseError::Fragment));
}

#[test]
fn a_datagram_without_checksum_is_read_in_ipv4_only() {
    let mut v4 = bytes(UDP_4);
    v4[26..28].fill(0);
    assert!(Packet::parse(&v4).is_ok());
    let mut v6 = bytes(UDP_6);
    v6[46..48].fill(0);
    assert_eq!(Packet::parse(&v6), Err(ParseError::Checksum));
}

#[test]
fn bytes_after_the_end_and_options_of_ipv4_are_left_out() {
    let mut padded = bytes(UDP_4);
    padded.extend_from_slice(&[0; 13]);
    assert_eq!(Packet::parse(&padded), Packet::parse(&bytes(UDP_4)));
    // Four more bytes of header (no-operations): length, header length and checksum by hand.
    let mut optional = bytes(UDP_4);
    optional.splice(20..20, [1, 1, 1, 1]);
    (optional[0], optional[3]) = (0x46, 0x25);
    optional[10..12].copy_from_slice(&0xb5ad_u16.to_be_bytes());
    assert_eq!(Packet::parse(&optional), Packet::parse(&bytes(UDP_4)));
}

#[test]
fn a_checksum_that_would_be_zero_is_written_as_all_ones() {
    let zero = (0..=u16::MAX).find_map(|n| {
        let out = written(&Packet::udp(addr("1.2.3.4:5"), addr("6.7.8.9:10"), n.to_be_bytes().to_vec()));
        (out[26..28] == [0xff, 0xff]).then_some(out)
    });
    assert!(Packet::parse(&zero.unwrap()).is_ok());
}

proptest! {
    #[test]
    fn any_packet_survives_writing_and_reading(
        is_v4: bool, ports: (u16, u16), hop_limit: u8, data in vec(any::<u8>(), 0..1400), which in 0..4, flags: u8,
    ) {
        let (from, to) = if is_v4 { ("10.1.2.3", "80.80.9.9") } else { ("2a05::1", "2a05::2") };
        let tcp = Tcp::new(ports.0, ports.1, TcpFlags(flags), 77, 88, &data);
        let data = Bytes::from(data);
        let payload = match which {
            0 => Payload::Udp(twocan_sim::packet::Udp { source: ports.0, destination: ports.1, data }),
            1 => Payload::Tcp(tcp),
            2 => Payload::Icmp(Icmp::Echo { is_request: flags > 9, identifier: ports.0, sequence: ports.1, data }),
            _ => Payload::Other { protocol: 132, bytes: data },
        };
        let dont_fragment = !is_v4 || flags > 99;
        let packet = Packet { source: ip(from), destination: ip(to), hop_limit, dont_fragment, payload };
        prop_assert_eq!(Packet::parse(&written(&packet)), Ok(packet));
    }
}
