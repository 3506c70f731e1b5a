//! UPnP and those who mean no good: each limit, and requests that are none.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use proptest::prelude::*;
use twocan_sim::packet::{Payload, Tcp, TcpFlags};
use twocan_sim::{Drop, Packet, RouterConfig, Services, kinds};
use world::control_point::{ControlPoint, GATEWAY, SERVICE, body, mapping, post};
use world::{Bench, addr, ip, ms, secs};

/// The router's limits, as mapping/upnp says them.
const CONNECTIONS_MAX: usize = 8;
const HEAD_LEN_MAX: usize = 4 * 1024;
const BODY_LEN_MAX: usize = 8 * 1024;
const LIFETIME_SECS: u64 = 10;

fn bench() -> (Bench, ControlPoint) {
    let upnp = Services { upnp: true, ..Services::default() };
    let bench = Bench::new(RouterConfig { services: upnp, ..kinds::home() });
    let ada = ControlPoint::ada(&bench);
    (bench, ada)
}

/// The status of an answer.
fn status(answer: &str) -> u16 {
    answer.strip_prefix("HTTP/1.1 ").unwrap_or_else(|| panic!("no answer: {answer:?}"))[..3].parse().unwrap()
}

fn is_alive(bench: &mut Bench, ada: &mut ControlPoint) -> bool {
    ada.call(bench, "GetExternalIPAddress", &[]).is_ok()
}

#[test]
fn a_request_that_is_none_has_its_status() {
    let (mut bench, mut ada) = bench();
    let many: String = (0..33).map(|n| format!("X-{n}: 1\r\n")).collect();
    for (request, expected) in [
        ("\0\x01\x02\x03\r\n\r\n", 400),
        ("GET\r\n\r\n", 400),
        ("GET / HTTP/9.9\r\n\r\n", 400),
        ("GET /rootDesc.xml HTTP/1.1\r\nno colon\r\n\r\n", 400),
        ("GET /nothing HTTP/1.1\r\n\r\n", 404),
        ("GET /../../etc/passwd HTTP/1.1\r\n\r\n", 404),
        ("SUBSCRIBE /ctl/IPConn HTTP/1.1\r\n\r\n", 405),
        ("GET /ctl/IPConn HTTP/1.1\r\n\r\n", 405),
        ("POST /rootDesc.xml HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 405),
        ("POST /ctl/IPConn HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400),
        ("POST /ctl/IPConn HTTP/1.1\r\nSOAPAction: nothing\r\n\r\n", 400),
        ("POST /ctl/IPConn HTTP/1.1\r\nContent-Length: five\r\n\r\n", 400),
        ("POST /ctl/IPConn HTTP/1.1\r\nContent-Length:\r\n\r\n", 400),
        ("POST /ctl/IPConn HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400),
        ("POST /ctl/IPConn HTTP/1.1\r\nContent-Length: +1\r\n\r\n", 400),
        ("POST /ctl/IPConn HTTP/1.1\r\nContent-Length: 99999999999999999999999\r\n\r\n", 400),
        ("POST /ctl/IPConn HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400),
        ("POST /ctl/IPConn HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501),
        (&format!("GET / HTTP/1.1\r\n{many}\r\n"), 431),
    ] {
        assert_eq!(status(&ada.ask(&mut bench, request.as_bytes())), expected, "{request}");
    }
    assert!(is_alive(&mut bench, &mut ada));
}

#[test]
fn a_call_that_is_none_is_a_bad_request() {
    let (mut bench, mut ada) = bench();
    let good = body(SERVICE, "GetStatusInfo", &[]);
    let declared = format!("<!DOCTYPE a [<!ENTITY b \"bb\">]>{}", good.split_once("\r\n").unwrap().1);
    let twice = body(SERVICE, "DeletePortMapping", &[("NewProtocol", "UDP"), ("NewProtocol", "TCP")]);
    let deep = format!("{}{}", "<a>".repeat(2_000), "</a>".repeat(500));
    let nested = body(SERVICE, "DeletePortMapping", &[("NewProtocol", "<b>UDP</b>")]);
    let two = good.replace("</s:Body>", "<u:GetStatusInfo xmlns:u=\"urn:x\"/></s:Body>");
    for call in [
        "",
        "no XML",
        "<a/>",
        &good[..good.len() - 10],
        &good.replace("http://schemas.xmlsoap.org/soap/envelope/", "urn:other"),
        &good.replace("s:Body", "s:Soul"),
        &good.replace("xmlns:u=", "xmlns:v="),
        &good.replace("<s:Body>", "<s:Body>&unknown;"),
        &good.replace("<s:Body>", "<s:Body>text"),
        &declared,
        &twice,
        &deep,
        &nested,
        &two,
    ] {
        let answer = ada.ask(&mut bench, &post(SERVICE, "GetStatusInfo", call));
        assert_eq!(status(&answer), 400, "{call}");
    }
    let mut torn = post(SERVICE, "GetStatusInfo", &good);
    *torn.last_mut().unwrap() = 0xff;
    assert_eq!(status(&ada.ask(&mut bench, &torn)), 400, "not UTF-8");
    assert!(is_alive(&mut bench, &mut ada));
}

#[test]
fn a_head_is_so_long_and_no_longer() {
    let (mut bench, mut ada) = bench();
    let of_len = |len: usize| {
        let (start, end) = ("GET /nothing HTTP/1.1\r\nX: ", "\r\n\r\n");
        format!("{start}{}{end}", "x".repeat(len - start.len() - end.len()))
    };
    assert_eq!(status(&ada.ask(&mut bench, of_len(HEAD_LEN_MAX).as_bytes())), 404);
    assert_eq!(status(&ada.ask(&mut bench, of_len(HEAD_LEN_MAX + 1).as_bytes())), 431);
    assert_eq!(status(&ada.ask(&mut bench, "x".repeat(100_000).as_bytes())), 431, "one without an end");
}

#[test]
fn a_body_is_so_long_and_no_longer() {
    let (mut bench, mut ada) = bench();
    let good = body(SERVICE, "GetStatusInfo", &[]);
    let of_len =
        |len: usize| post(SERVICE, "GetStatusInfo", &format!("{good}{}", " ".repeat(len - good.len())));
    assert_eq!(status(&ada.ask(&mut bench, &of_len(BODY_LEN_MAX))), 200);
    assert_eq!(status(&ada.ask(&mut bench, &of_len(BODY_LEN_MAX + 1))), 413);
}

#[test]
fn a_request_may_come_byte_by_byte_and_what_follows_it_is_not_heard() {
    let (mut bench, mut ada) = bench();
    let whole = post(
        SERVICE,
        "AddPortMapping",
        &body(SERVICE, "AddPortMapping", &mapping("6000", "5000", "192.168.1.10", "600")),
    );
    let stream = ada.open(&mut bench.world, &[]);
    for byte in &whole {
        ada.tcp.send(stream, &[*byte], bench.world.now);
        ada.run(&mut bench.world, ms(1), |_| false);
    }
    ada.tcp.send(stream, &whole, bench.world.now);
    ada.run(&mut bench.world, secs(1), |_| false);
    assert_eq!(ada.got(stream).matches("HTTP/1.1").count(), 1);
    assert_eq!(status(&ada.got(stream)), 200);
    let twice = [&whole[..], &whole[..]].concat();
    assert_eq!(ada.ask(&mut bench, &twice).matches("HTTP/1.1").count(), 1);
}

#[test]
fn who_says_nothing_keeps_a_connection_for_a_while_and_others_out_only_so_long() {
    let (mut bench, mut ada) = bench();
    let mut bob = ControlPoint::bob(&bench);
    let silent: Vec<_> = (0..CONNECTIONS_MAX).map(|_| ada.open(&mut bench.world, b"GET ")).collect();
    ada.run(&mut bench.world, ms(100), |_| false);
    let start = bench.world.now;
    let late = bob.open(&mut bench.world, b"GET /rootDesc.xml HTTP/1.1\r\n\r\n");
    bob.run(&mut bench.world, secs(LIFETIME_SECS - 1), |_| false);
    assert_eq!(bob.got(late), "");
    assert!(bench.world.dropped(Drop::TableFull) > 1, "asked more than once");
    bob.run(&mut bench.world, secs(20), |_| false);
    assert_eq!(status(&bob.got(late)), 200);
    assert!(bench.world.now - start < secs(30));
    ada.run(&mut bench.world, secs(60), |_| false);
    assert!(silent.iter().all(|stream| ada.is_over(*stream)));
    assert_eq!(bench.world.network.poll_timeout(), None, "and nothing is left to be done");
}

#[test]
fn who_drips_is_cut_off_after_the_same_while() {
    let (mut bench, mut ada) = bench();
    let stream = ada.open(&mut bench.world, b"GET /");
    for _ in 0..=LIFETIME_SECS {
        ada.tcp.send(stream, b"x", bench.world.now);
        ada.run(&mut bench.world, secs(1), |_| false);
    }
    assert!(ada.is_over(stream));
    assert_eq!(ada.got(stream), "");
}

#[test]
fn connections_that_never_stand_do_not_keep_others_out_for_ever() {
    let (mut bench, mut ada) = bench();
    let send = |bench: &mut Bench, port: u16, flags, sequence| {
        let segment = Tcp::new(port, addr(GATEWAY).port(), flags, sequence, 0, &[]);
        let packet = Packet::new(ip("192.168.1.11"), addr(GATEWAY).ip(), Payload::Tcp(segment));
        bench.world.network.handle_packet(bench.bob, packet, bench.world.now);
    };
    for _ in 0..3 {
        let ports = || (1000..).take(CONNECTIONS_MAX);
        ports().for_each(|port| send(&mut bench, port, TcpFlags::SYN, 0));
        // Resets with an acknowledgment: smoltcp lets listeners swallow the others.
        ports().for_each(|port| send(&mut bench, port, TcpFlags::RST.with(TcpFlags::ACK), 1));
    }
    assert_eq!(bench.world.dropped(Drop::TableFull), 0);
    assert!(is_alive(&mut bench, &mut ada), "reset before they stood");
    for port in 2000..2040 {
        send(&mut bench, port, TcpFlags::SYN, 0);
    }
    assert!(bench.world.dropped(Drop::TableFull) >= 32);
    ada.run(&mut bench.world, secs(60), |_| false);
    assert!(is_alive(&mut bench, &mut ada), "given up");
    assert_eq!(bench.world.network.poll_timeout(), None);
}

#[test]
fn a_segment_of_no_connection_is_reset() {
    let (mut bench, _) = bench();
    for flags in [TcpFlags::ACK, TcpFlags::SYN_ACK, TcpFlags::FIN.with(TcpFlags::ACK)] {
        let heard = bench.world.tcp(bench.ada, "192.168.1.10:1000", addr(GATEWAY), flags);
        assert!(heard[0].packet.flow().unwrap().flags.contains(TcpFlags::RST), "{flags:?}");
    }
    assert!(bench.world.tcp(bench.ada, "192.168.1.10:1000", addr(GATEWAY), TcpFlags(0xff)).len() <= 1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_get_an_answer_or_none_and_the_router_lives_on(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..6)
    ) {
        let (mut bench, mut ada) = bench();
        for part in parts {
            let answer = ada.ask(&mut bench, &part);
            prop_assert!(answer.is_empty() || status(&answer) >= 400);
        }
        prop_assert!(is_alive(&mut bench, &mut ada));
    }

    #[test]
    fn a_call_with_wrong_bytes_in_it_opens_no_other_port(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)
    ) {
        let (mut bench, mut ada) = bench();
        let arguments = mapping("6000", "5000", "192.168.1.10", "600");
        let mut request = post(SERVICE, "AddPortMapping", &body(SERVICE, "AddPortMapping", &arguments));
        for (at, byte) in changes {
            let len = request.len();
            request[at.index(len)] = byte;
        }
        let answer = ada.ask(&mut bench, &request);
        prop_assert!(answer.is_empty() || status(&answer) >= 200);
        prop_assert!(is_alive(&mut bench, &mut ada));
    }
}
