//! Those who want more than there is, and whom they delay.

use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, TcpStream};

use twocan_relay::Relay;
use twocan_turn::Transport;

use crate::kit::*;

const CROWD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 2));
const OTHER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 3));
/// As many as one household may have while it is alone.
const CONNECTIONS: usize = 400;

/// `CONNECTIONS` of one household, on which `bytes` are sent.
fn crowd(relay: &Relay, transport: Transport, bytes: &[u8]) -> Vec<TcpStream> {
    let to = address(relay, transport, LOCAL4);
    let mut sockets: Vec<TcpStream> = (0..CONNECTIONS).map(|_| connect_from(CROWD, to)).collect();
    for socket in &mut sockets {
        socket.write_all(bytes).unwrap();
    }
    sockets
}

/// Of a flood of handshakes.
fn answered(flood: &[TcpStream]) -> usize {
    flood.iter().filter(|socket| unread(socket) > 0).count()
}

#[test]
fn a_flood_of_handshakes_is_behind_the_first_one_of_another_household() {
    let relay = start(config());
    let flood = crowd(&relay, Transport::Tls, &client_hello());
    Client::from(&relay, Transport::Tls, OTHER).binding();
    assert!(answered(&flood) < CONNECTIONS, "all were answered first");
    eventually("all are answered", || answered(&flood) == CONNECTIONS);
}

#[test]
fn a_flood_of_handshakes_is_behind_datagrams() {
    let relay = start(config());
    let mut client = Client::new(&relay, Transport::Udp, LOCAL4);
    let flood = crowd(&relay, Transport::Tls, &client_hello());
    for _ in 0..5 {
        client.binding();
    }
    assert!(answered(&flood) < CONNECTIONS, "all were answered first");
}

#[test]
fn connections_that_send_a_lot_are_behind_datagrams_and_who_sends_little() {
    let relay = start(config());
    let mut udp = Client::new(&relay, Transport::Udp, LOCAL4);
    let mut tcp = Client::from(&relay, Transport::Tcp, OTHER);
    let request = tcp.binding_request();
    // Their answers fit into what the kernel takes at once.
    let flood = crowd(&relay, Transport::Tcp, &request.repeat(200));
    udp.binding();
    tcp.send(&request);
    let answer = tcp.answer_to(&request).len();
    let answered = flood.iter().filter(|socket| unread(socket) >= 200 * answer).count();
    assert!(answered < CONNECTIONS, "all were answered first");
}
