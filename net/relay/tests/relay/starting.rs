//! Starting, refusing to start, and stopping.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};

use twocan_relay::{Config, Error, Relay};
use twocan_turn::Transport;

use crate::kit::*;

fn only(turn: SocketAddr) -> Config {
    Config { turn: vec![turn], turns: Vec::new(), ..config() }
}

fn refusal(config: Config) -> Error {
    match Relay::start(config) {
        Ok(_) => panic!("it started"),
        Err(error) => error,
    }
}

#[test]
fn a_udp_port_that_another_program_has_is_said_to_be_taken() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    let error = refusal(only(address));
    assert!(matches!(error, Error::PortTaken { transport: Transport::Udp, .. }), "{error:?}");
    let sentence = format!("port {} is already taken: UDP cannot listen on {address}", address.port());
    assert_eq!(error.to_string(), sentence);
}

#[test]
fn a_tcp_port_that_another_program_has_is_said_to_be_taken() {
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let error = refusal(only(other.local_addr().unwrap()));
    assert!(matches!(error, Error::PortTaken { transport: Transport::Tcp, .. }), "{error:?}");
}

#[test]
fn another_relay_does_not_share_our_port_although_our_threads_do() {
    let first = start(Config { threads: 2, ..only(SocketAddr::new(LOCAL4, 0)) });
    let address = address(&first, Transport::Udp, LOCAL4);
    let error = refusal(Config { threads: 2, ..only(address) });
    assert!(matches!(error, Error::PortTaken { .. }), "{error:?}");
}

#[test]
fn tcp_and_tls_cannot_have_the_same_port_although_threads_share_theirs() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let error = refusal(Config { threads: 2, turn: vec![free], turns: vec![free], ..config() });
    assert!(matches!(error, Error::PortTaken { transport: Transport::Tls, .. }), "{error:?}");
}

#[test]
fn udp_and_tcp_have_one_port() {
    let relay = start(config());
    for ip in [LOCAL4, LOCAL6] {
        assert_eq!(address(&relay, Transport::Udp, ip), address(&relay, Transport::Tcp, ip));
    }
}

#[test]
fn an_address_of_another_machine_is_said_to_be_missing() {
    let error = refusal(only("203.0.113.5:3478".parse().unwrap()));
    assert!(matches!(error, Error::NoSuchAddress { .. }), "{error:?}");
    let sentence = "this machine has no address 203.0.113.5: UDP cannot listen on 203.0.113.5:3478";
    assert_eq!(error.to_string(), sentence);
}

#[test]
fn turns_needs_a_certificate() {
    let error = refusal(Config { tls: None, ..config() });
    assert!(matches!(error, Error::NoCertificate(_)), "{error:?}");
}

#[test]
fn a_relay_needs_somewhere_to_listen() {
    let error = refusal(Config { turn: Vec::new(), turns: Vec::new(), ..config() });
    assert!(matches!(error, Error::NothingToDo), "{error:?}");
}

#[test]
fn every_thread_needs_two_relay_ports() {
    let error = refusal(Config { threads: 3, relay_ports: 20_000..=20_004, ..config() });
    assert!(matches!(error, Error::Threads { threads: 3, ports: 5 }), "{error:?}");
    assert!(matches!(refusal(Config { threads: 0, ..config() }), Error::Threads { .. }));
    let Ok(_) = Relay::start(Config { threads: 3, relay_ports: 20_000..=20_005, ..config() }) else {
        panic!("six are enough");
    };
}

#[test]
fn relayed_ports_on_an_address_of_another_machine_are_refused() {
    let error = refusal(Config { relay_bind_v4: Some(Ipv4Addr::new(203, 0, 113, 5)), ..config() });
    assert!(matches!(error, Error::RelayAddress { .. }), "{error:?}");
}

#[test]
fn a_realm_that_turn_refuses_is_refused() {
    let error = refusal(Config { realm: String::new(), ..config() });
    assert!(matches!(error, Error::Config(_)), "{error:?}");
}

#[test]
fn stopping_closes_every_port_and_connection() {
    let relay = start(Config { threads: 2, ..config() });
    let mut client = Client::new(&relay, Transport::Tcp, LOCAL4);
    let relayed = client.allocate(LOCAL4).unwrap();
    let listeners = relay.listeners().to_vec();
    relay.stop();
    assert_eq!(client.try_receive().unwrap(), None);
    assert!(UdpSocket::bind(relayed).is_ok());
    for listener in listeners {
        match listener.transport {
            Transport::Udp => drop(UdpSocket::bind(listener.address).unwrap()),
            Transport::Tcp | Transport::Tls => drop(TcpListener::bind(listener.address).unwrap()),
        }
    }
}

#[test]
fn a_relay_that_is_dropped_stops_and_its_port_can_be_had_again_at_once() {
    let first = start(only(SocketAddr::new(LOCAL4, 0)));
    let address = address(&first, Transport::Udp, LOCAL4);
    let mut client = Client::new(&first, Transport::Tcp, LOCAL4);
    client.binding();
    let handle = first.handle();
    drop(first);
    handle.drain();
    let second = start(only(address));
    assert_eq!(Client::new(&second, Transport::Udp, LOCAL4).binding().ip(), LOCAL4);
}
