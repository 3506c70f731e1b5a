//! Behaviour discovery (RFC 5780) through real sockets: four of them, on loopback addresses.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::sync::atomic::{AtomicU16, Ordering};

use twocan_relay::{AlternateError, Config, Error, Relay};
use twocan_stun::attribute::{ChangeRequest, OtherAddress, ResponseOrigin, ResponsePort, XorMappedAddress};
use twocan_stun::{Builder, Class, Message, Method, TransactionId};
use twocan_turn::{External, Transport};

use crate::kit::*;

/// An address of its own for each test, so that they can run side by side.
fn host(last: u8) -> IpAddr {
    IpAddr::from([127, 80, 0, last])
}

/// A port that is free on every address, for UDP and for TCP. The kernel gives it to nobody meanwhile: its own choices
/// begin at 32768.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(10_000);
    loop {
        let address = (Ipv4Addr::UNSPECIFIED, NEXT.fetch_add(1, Ordering::Relaxed));
        if UdpSocket::bind(address).is_ok() && TcpListener::bind(address).is_ok() {
            return address.1;
        }
    }
}

/// Sends a Binding request, and gives the answer and where it came from.
fn ask(socket: &UdpSocket, server: SocketAddr, fill: impl FnOnce(&mut Builder<'_>)) {
    let mut buffer = [0; 100];
    let id = TransactionId([3; 12]);
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, id).unwrap();
    fill(&mut builder);
    socket.send_to(builder.finish(), server).unwrap();
}

fn all_four_answer(primary: SocketAddr, alternate: SocketAddr) {
    for (ip, port) in [(false, false), (false, true), (true, false), (true, true)] {
        let socket = peer(LOCAL4);
        ask(&socket, primary, |builder| _ = builder.add(&ChangeRequest { ip, port }).unwrap());
        let (answer, from) = receive_from(&socket);
        let of = |change, changed: SocketAddr, same: SocketAddr| if change { changed } else { same };
        let expected = SocketAddr::new(of(ip, alternate, primary).ip(), of(port, alternate, primary).port());
        assert_eq!(from, expected);
        let message = Message::parse(&answer).unwrap();
        assert_eq!(message.get(), Ok(Some(ResponseOrigin(from))));
        assert_eq!(message.get(), Ok(Some(OtherAddress(alternate))));
    }
}

#[test]
fn the_answer_comes_from_the_socket_that_was_asked_for() {
    for threads in [1, 2] {
        let (primary, alternate) =
            (SocketAddr::new(host(1), free_port()), SocketAddr::new(host(2), free_port()));
        let config =
            Config { turn: vec![primary], turns: Vec::new(), alternate: vec![alternate], ..config() };
        let relay = start(Config { threads, ..config });
        all_four_answer(primary, alternate);
        assert_eq!(
            relay.local_addrs(Transport::Udp).collect::<Vec<_>>(),
            [primary],
            "nobody else is told of them"
        );
    }
}

#[test]
fn a_wildcard_listener_answers_from_two_addresses_of_this_machine() {
    let (port, alternate) = (free_port(), SocketAddr::new(host(4), free_port()));
    let external = External { v4: Some("127.80.0.3".parse().unwrap()), v6: None };
    let turn = vec![SocketAddr::from(([0, 0, 0, 0], port))];
    let _relay = start(Config { turn, turns: Vec::new(), alternate: vec![alternate], external, ..config() });
    all_four_answer(SocketAddr::new(host(3), port), alternate);
    // A third address of the same machine is no part of it, and answers as a server with one address does.
    let socket = peer(LOCAL4);
    ask(&socket, SocketAddr::new(host(9), port), |_| ());
    let (answer, _) = receive_from(&socket);
    assert_eq!(answer.len(), 32);
}

#[test]
fn an_answer_goes_to_the_port_that_was_named() {
    let (primary, alternate) = (SocketAddr::new(host(5), free_port()), SocketAddr::new(host(6), free_port()));
    let _relay =
        start(Config { turn: vec![primary], turns: Vec::new(), alternate: vec![alternate], ..config() });
    let (asking, other) = (peer(LOCAL4), peer(LOCAL4));
    let port = other.local_addr().unwrap().port();
    ask(&asking, primary, |builder| _ = builder.add(&ResponsePort(port)).unwrap());
    let (answer, from) = receive_from(&other);
    assert_eq!(from, primary);
    let mapped = XorMappedAddress(asking.local_addr().unwrap());
    assert_eq!(Message::parse(&answer).unwrap().get(), Ok(Some(mapped)));
}

#[track_caller]
fn refuses(config: Config, expected: AlternateError) {
    match Relay::start(config) {
        Err(Error::Alternate { why, .. }) => assert_eq!(why, expected),
        Err(other) => panic!("{other:?}"),
        Ok(_) => panic!("it started"),
    }
}

#[test]
fn an_alternate_address_that_cannot_be_one_is_refused() {
    let primary = SocketAddr::new(host(7), free_port());
    let with = |alternate: &[SocketAddr]| Config {
        turn: vec![primary],
        turns: Vec::new(),
        alternate: alternate.to_vec(),
        ..config()
    };
    let other = SocketAddr::new(host(8), primary.port() ^ 1);
    refuses(with(&[SocketAddr::new(host(7), other.port())]), AlternateError::SameIp);
    refuses(with(&[SocketAddr::new(host(8), primary.port())]), AlternateError::SamePort);
    refuses(with(&[SocketAddr::new(LOCAL6, other.port())]), AlternateError::NoListener);
    refuses(with(&[other, other]), AlternateError::SecondOfFamily);
    let external = External { v4: Some("203.0.113.5".parse().unwrap()), v6: None };
    let turn = vec![SocketAddr::from(([0, 0, 0, 0], primary.port()))];
    refuses(Config { turn, external, ..with(&[other]) }, AlternateError::Translated);
}

#[test]
fn an_alternate_address_of_another_machine_is_said_to_be_missing() {
    for listener in [host(10), IpAddr::from([0, 0, 0, 0])] {
        let turn = vec![SocketAddr::new(listener, free_port())];
        let alternate = vec!["203.0.113.5:1".parse().unwrap()];
        match Relay::start(Config { turn, turns: Vec::new(), alternate, ..config() }) {
            Err(error) => assert!(matches!(error, Error::NoSuchAddress { .. }), "{error:?}"),
            Ok(_) => panic!("it started"),
        }
    }
}
