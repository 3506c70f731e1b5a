//! STUN: which address am I seen from?

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

use twocan_relay::Config;
use twocan_stun::Method;
use twocan_stun::attribute::XorMappedAddress;
use twocan_stun::{Class, Message};
use twocan_turn::Transport;

use crate::kit::*;

#[test]
fn binding_is_answered_over_udp_tcp_and_tls_on_both_families() {
    let relay = start(config());
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        for ip in [LOCAL4, LOCAL6] {
            assert_eq!(Client::new(&relay, transport, ip).binding().ip(), ip, "{transport:?}");
        }
    }
}

#[test]
fn binding_tells_each_client_its_own_port() {
    let relay = start(config());
    let server = address(&relay, Transport::Udp, LOCAL4);
    let socket = peer(LOCAL4);
    let request = Client::new(&relay, Transport::Udp, LOCAL4).binding_request();
    socket.send_to(&request, server).unwrap();
    let (answer, from) = receive_from(&socket);
    let message = Message::parse(&answer).unwrap();
    assert_eq!((message.class(), message.method(), from), (Class::Success, Method::BINDING, server));
    assert_eq!(message.get::<XorMappedAddress>().unwrap().unwrap().0, socket.local_addr().unwrap());
}

#[test]
fn a_wildcard_listener_answers_from_the_address_that_was_asked() {
    let any = |ip: IpAddr| SocketAddr::new(ip, 0);
    let turn = vec![any(Ipv4Addr::UNSPECIFIED.into()), any(Ipv6Addr::UNSPECIFIED.into())];
    let relay = start(Config { turn, ..config() });
    let port = address(&relay, Transport::Udp, Ipv4Addr::UNSPECIFIED.into()).port();
    for host in [1, 5, 77] {
        let server = SocketAddr::from(([127, 0, 0, host], port));
        assert_eq!(Client::at(server, Transport::Udp, LOCAL4).binding().ip(), LOCAL4);
    }
    let port = address(&relay, Transport::Udp, Ipv6Addr::UNSPECIFIED.into()).port();
    assert_eq!(Client::at(SocketAddr::new(LOCAL6, port), Transport::Udp, LOCAL6).binding().ip(), LOCAL6);
}

#[test]
fn ten_thousand_sources_that_prove_nothing_leave_nothing_behind() {
    let relay = start(config());
    let server = address(&relay, Transport::Udp, LOCAL4);
    for source in 0..10_000u32 {
        let [.., high, low] = (source / 100 + 2).to_be_bytes();
        let mut client = Client::at(server, Transport::Udp, IpAddr::from([127, 0, high, low]));
        assert_eq!(client.request_bare(Method::ALLOCATE), Err(Refused(401)));
    }
    let handle = relay.handle();
    eventually("10,000 refusals are counted", || handle.stats().turn.error(401) == 10_000);
    assert_eq!(handle.stats().turn.stored.entries(), 0);
    assert_eq!(handle.stats().sockets.relay_ports, 0);
}

#[test]
fn noise_is_not_answered_and_breaks_nothing() {
    let relay = start(config());
    let server = address(&relay, Transport::Udp, LOCAL4);
    let socket = UdpSocket::bind(SocketAddr::new(LOCAL4, 0)).unwrap();
    for length in 0..200 {
        let noise: Vec<u8> = (0..length).map(|n: usize| (n * 37 + length) as u8).collect();
        socket.send_to(&noise, server).unwrap();
    }
    assert_eq!(Client::new(&relay, Transport::Udp, LOCAL4).binding().ip(), LOCAL4);
    socket.set_nonblocking(true).unwrap();
    assert!(socket.recv_from(&mut [0; 100]).is_err());
}
