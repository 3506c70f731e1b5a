//! TCP and TLS connections that behave badly, or are only unlucky in how they are cut.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use twocan_base::Quota;
use twocan_relay::{Config, Relay, StreamLimits};
use twocan_turn::Transport;

use crate::kit::*;

fn with_limits(limits: StreamLimits) -> Relay {
    start(Config { streams: limits, ..config() })
}

fn quota(total: u64, household: u64) -> Quota {
    Quota { total, household, site: household, floor: household }
}

fn connect(relay: &Relay, transport: Transport) -> TcpStream {
    let socket = TcpStream::connect(address(relay, transport, LOCAL4)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

/// Reads until the relay closes the connection, which it must.
fn wait_for_the_end(mut socket: TcpStream) {
    let mut buffer = [0; 4_096];
    // A reset is an end as well: it comes where bytes were left unread.
    while let Ok(1..) = socket.read(&mut buffer).map_err(|error| match error.kind() {
        std::io::ErrorKind::WouldBlock => panic!("still open after {PATIENCE:?}"),
        _ => error,
    }) {}
}

#[test]
fn frames_that_come_in_pieces_or_many_at_once_are_understood() {
    let relay = start(config());
    let socket = connect(&relay, Transport::Tcp);
    let mut client = Client::on_stream(socket, Transport::Tcp);
    let peer = peer(LOCAL4);
    let relayed = client.allocate(LOCAL4).unwrap();
    client.bind(0x4001, peer.local_addr().unwrap()).unwrap();

    let many: Vec<u8> = (0..100).flat_map(|n: u8| channel_data(0x4001, &[n; 37], true)).collect();
    client.send(&many);
    for n in 0..100 {
        assert_eq!(receive_from(&peer), (vec![n; 37], relayed));
    }
    let request = client.binding_request();
    for byte in [channel_data(0x4001, b"slowly", true), request.clone()].concat() {
        client.send(&[byte]);
    }
    assert_eq!(receive_from(&peer).0, b"slowly");
    client.answer_to(&request);
}

#[test]
fn each_frame_has_a_tls_record_of_its_own() {
    let relay = start(config());
    let mut client = Client::new(&relay, Transport::Tls, LOCAL4);
    let peer = peer(LOCAL4);
    let relayed = client.allocate(LOCAL4).unwrap();
    client.bind(0x4001, peer.local_addr().unwrap()).unwrap();
    for burst in 0..8 {
        // Not more than the relayed port's buffer holds, should the relay's thread not run just now.
        for n in 0..40 {
            peer.send_to(&vec![burst; 170 + n], relayed).unwrap();
        }
        for n in 0..40 {
            assert_eq!(client.receive_record(), channel_data(0x4001, &vec![burst; 170 + n], true));
        }
    }
    // A frame that is longer than a record may be takes several, and nothing behind it is lost.
    for n in 0..20 {
        peer.send_to(&[n; 30_000], relayed).unwrap();
        assert_eq!(client.came(), Came::Channel(0x4001, vec![n; 30_000]));
    }
}

#[test]
fn garbage_closes_the_connection() {
    let relay = start(config());
    let handle = relay.handle();
    for garbage in [&b"\x16\x03\x01\x02\x00\x01"[..], b"GET / HTTP/1.1\r\n\r\n", &[0x80; 20], &[0, 1, 0, 3]] {
        let mut socket = connect(&relay, Transport::Tcp);
        socket.write_all(garbage).unwrap();
        wait_for_the_end(socket);
    }
    eventually("four are counted", || handle.stats().sockets.ended_malformed == 4);
}

#[test]
fn garbage_instead_of_tls_closes_the_connection() {
    let relay = start(config());
    let handle = relay.handle();
    let mut socket = connect(&relay, Transport::Tls);
    socket.write_all(&[0x55; 100]).unwrap();
    wait_for_the_end(socket);
    eventually("it is counted", || handle.stats().sockets.ended_tls == 1);
}

#[test]
fn a_reader_who_is_too_slow_loses_data_but_never_half_a_frame() {
    let relay = start(config());
    let handle = relay.handle();
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&address(&relay, Transport::Tcp, LOCAL4).into()).unwrap();
    let mut client = Client::on_stream(socket.into(), Transport::Tcp);
    let relayed = client.allocate(LOCAL4).unwrap();
    let peer = peer(LOCAL4);
    client.bind(0x4001, peer.local_addr().unwrap()).unwrap();

    let mut sent = 0u32;
    eventually("data is dropped", || {
        for _ in 0..50 {
            sent += 1;
            let mut data = vec![0; 8_000];
            data[..4].copy_from_slice(&sent.to_be_bytes());
            peer.send_to(&data, relayed).unwrap();
        }
        handle.stats().sockets.dropped_slow_reader > 0
    });
    // Whoever reads again gets what was kept, whole and in order, and is served as before.
    let request = client.binding_request();
    client.send(&request);
    client.answer_to(&request);
    let (mut last, mut kept) = (0, 0);
    while let Some(Came::Channel(0x4001, data)) = client.came_already() {
        let number = u32::from_be_bytes(data[..4].try_into().unwrap());
        assert_eq!(data.len(), 8_000);
        assert!(number > last);
        (last, kept) = (number, kept + 1);
    }
    // What came when the client had begun to read again may have been kept, even the last of all.
    let dropped = handle.stats().sockets.dropped_slow_reader;
    assert!(kept > 0 && kept + dropped <= sent.into(), "{kept} kept, {dropped} dropped of {sent}");
}

#[test]
fn a_client_that_asks_and_never_reads_the_answers_is_closed() {
    let relay = start(config());
    let handle = relay.handle();
    let socket = connect(&relay, Transport::Tcp);
    socket.set_write_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client::on_stream(socket, Transport::Tcp);
    let requests = client.binding_request().repeat(1_000);
    eventually("the relay gives up", || client.try_send(&requests).is_err());
    eventually("it is counted", || handle.stats().sockets.ended_too_slow == 1);
}

#[test]
fn one_address_has_only_so_many_connections() {
    let relay = with_limits(StreamLimits { connections: quota(10, 3), ..StreamLimits::default() });
    let mut clients: Vec<Client> = (0..3).map(|_| Client::new(&relay, Transport::Tcp, LOCAL4)).collect();
    for client in &mut clients {
        client.binding();
    }
    wait_for_the_end(connect(&relay, Transport::Tcp));
    wait_for_the_end(connect(&relay, Transport::Tls));
    Client::new(&relay, Transport::Tcp, LOCAL6).binding();
    clients.pop();
    eventually("the place is free again", || {
        let mut client = Client::new(&relay, Transport::Tcp, LOCAL4);
        let request = client.binding_request();
        client.try_send(&request).is_ok() && client.try_receive().is_ok_and(|answer| answer.is_some())
    });
}

#[test]
fn all_addresses_together_have_only_so_many_connections() {
    let relay = start(Config {
        threads: 2,
        streams: StreamLimits { connections: quota(2, 2), ..StreamLimits::default() },
        ..config()
    });
    let mut first = Client::new(&relay, Transport::Tcp, LOCAL4);
    let mut second = Client::new(&relay, Transport::Tls, LOCAL6);
    first.binding();
    second.binding();
    wait_for_the_end(connect(&relay, Transport::Tcp));
    let handle = relay.handle();
    eventually("it is counted", || handle.stats().sockets.refused_limit == 1);
    first.binding();
}

#[test]
fn a_handshake_that_does_not_end_is_ended() {
    let relay = with_limits(StreamLimits { handshake: Duration::from_millis(50), ..StreamLimits::default() });
    wait_for_the_end(connect(&relay, Transport::Tls));
    let handle = relay.handle();
    eventually("it is counted", || handle.stats().sockets.ended_timed_out == 1);
    Client::new(&relay, Transport::Tls, LOCAL4).binding();
}

#[test]
fn a_frame_that_does_not_end_ends_the_connection() {
    let relay = with_limits(StreamLimits { frame: Duration::from_millis(50), ..StreamLimits::default() });
    let mut socket = connect(&relay, Transport::Tcp);
    socket.write_all(&[0, 1, 0, 0, 0x21]).unwrap();
    wait_for_the_end(socket);
}

#[test]
fn a_silent_client_is_closed_unless_it_has_proved_who_it_is() {
    let relay =
        with_limits(StreamLimits { idle_unproved: Duration::from_millis(200), ..StreamLimits::default() });
    let mut proved = Client::new(&relay, Transport::Tls, LOCAL4);
    proved.allocate(LOCAL4).unwrap();
    let mut unproved = Client::new(&relay, Transport::Tcp, LOCAL4);
    unproved.binding();
    wait_for_the_end(connect(&relay, Transport::Tcp));
    assert_eq!(unproved.try_receive().unwrap(), None);
    proved.binding();
}

#[test]
fn even_a_client_that_has_proved_who_it_is_is_closed_when_it_is_silent_for_too_long() {
    let short = Duration::from_millis(100);
    let relay = with_limits(StreamLimits { idle_proved: short, ..StreamLimits::default() });
    let mut client = Client::new(&relay, Transport::Tcp, LOCAL4);
    let relayed: SocketAddr = client.allocate(LOCAL4).unwrap();
    assert_eq!(client.try_receive().unwrap(), None);
    eventually("its port is free again", || std::net::UdpSocket::bind(relayed).is_ok());
}

#[test]
fn a_client_that_does_not_prove_itself_is_closed_whatever_it_asks() {
    let unproved = Duration::from_millis(300);
    let relay = with_limits(StreamLimits { unproved, ..StreamLimits::default() });
    let mut proved = Client::new(&relay, Transport::Tcp, LOCAL4);
    proved.allocate(LOCAL4).unwrap();
    let mut asking = Client::new(&relay, Transport::Tls, LOCAL4);
    let request = asking.binding_request();
    eventually("it is closed", || {
        asking.try_send(&request).is_err() || asking.try_receive().is_ok_and(|answer| answer.is_none())
    });
    proved.binding();
}

/// A client of `relay` with a small receive buffer, an allocation, and a channel to `peer`; it reads nothing from here on.
fn slow_reader(relay: &Relay, peer: &std::net::UdpSocket) -> (Client, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4_096).unwrap();
    socket.connect(&address(relay, Transport::Tcp, LOCAL4).into()).unwrap();
    let mut client = Client::on_stream(socket.into(), Transport::Tcp);
    let relayed = client.allocate(LOCAL4).unwrap();
    client.bind(0x4001, peer.local_addr().unwrap()).unwrap();
    (client, relayed)
}

#[test]
fn a_reader_that_takes_nothing_is_closed_after_a_while() {
    let relay = with_limits(StreamLimits { stalled: Duration::from_millis(500), ..StreamLimits::default() });
    let handle = relay.handle();
    let peer = peer(LOCAL4);
    let (_client, relayed) = slow_reader(&relay, &peer);
    for _ in 0..50 {
        peer.send_to(&[7; 8_000], relayed).unwrap();
    }
    eventually("its port is free again", || {
        let sockets = handle.stats().sockets;
        sockets.ended_timed_out + sockets.ended_by_client == 1 && std::net::UdpSocket::bind(relayed).is_ok()
    });
}

#[test]
fn what_waits_for_slow_readers_is_limited_for_all_of_a_household_together() {
    let mut dropped = Vec::new();
    for share in [0, 1 << 20] {
        let relay =
            with_limits(StreamLimits { buffer_bytes: quota(1 << 20, share), ..StreamLimits::default() });
        let handle = relay.handle();
        let peer = peer(LOCAL4);
        let (_client, relayed) = slow_reader(&relay, &peer);
        let mut other = Client::new(&relay, Transport::Udp, LOCAL6);
        for _ in 0..20 {
            peer.send_to(&[7; 8_000], relayed).unwrap();
            // Two turns of the thread: what was there before the first is handled.
            other.binding();
            other.binding();
        }
        eventually("all are counted", || handle.stats().turn.to_clients.packets == 20);
        dropped.push(handle.stats().sockets.dropped_slow_reader);
    }
    // 160,000 bytes wait: in the kernel's small buffer and 8 KiB beside it, or in the large one and as much as needed.
    assert!(dropped[0] > 5 && dropped[1] == 0, "{dropped:?}");
}

#[test]
fn what_the_kernel_keeps_for_a_connection_is_small_until_it_proves_itself() {
    // The options are the listener's; what is accepted inherits them, which `ss` shows of the relay's end.
    let relay = start(config());
    let mut client = Client::new(&relay, Transport::Tcp, LOCAL4);
    client.binding();
    let port = address(&relay, Transport::Tcp, LOCAL4).port();
    let Some(before) = send_buffer_of(port) else {
        return eprintln!("skipped: `ss` (iproute2) is not installed");
    };
    client.allocate(LOCAL4).unwrap();
    let after = send_buffer_of(port).unwrap();
    assert_eq!((before, after), (16 << 10, 128 << 10));
}

/// `tb` of the one connection that the relay has accepted at `port`, in bytes.
fn send_buffer_of(port: u16) -> Option<usize> {
    let filter = ["-tmnH", "state", "established", "sport", "=", &format!(":{port}")].map(str::to_owned);
    let out = std::process::Command::new("ss").args(filter).output().ok()?;
    let text = String::from_utf8(out.stdout).unwrap();
    let (_, rest) = text.split_once(",tb").expect("ss tells the memory of a socket");
    Some(rest.split(',').next().unwrap().parse().unwrap())
}
