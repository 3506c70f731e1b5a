//! TURN: data through a relayed port, both ways, by every road.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use twocan_relay::Config;
use twocan_stun::attribute::{EvenPort, RequestedTransport, XorRelayedAddress};
use twocan_stun::{Message, Method};
use twocan_turn::{External, Policy, Transport};

use crate::kit::*;

/// The largest payload that fits into a Send indication of one datagram, and some that need padding.
const SIZES: [usize; 6] = [0, 1, 3, 160, 1_201, 60_000];

fn through(transport: Transport, client_ip: IpAddr, relayed_ip: IpAddr) {
    let relay = start(config());
    let mut client = Client::new(&relay, transport, client_ip);
    let peer = peer(relayed_ip);
    let peer_address = peer.local_addr().unwrap();

    let relayed = client.allocate(relayed_ip).unwrap();
    assert_eq!(relayed.ip(), relayed_ip);
    client.permit(peer_address).unwrap();
    for size in SIZES {
        let data: Vec<u8> = (0..size).map(|n| n as u8).collect();
        client.send_to(peer_address, &data, false);
        assert_eq!(receive_from(&peer), (data.clone(), relayed), "{size} bytes to the peer");
        peer.send_to(&data, relayed).unwrap();
        assert_eq!(client.came(), Came::Data(peer_address, data), "{size} bytes to the client");
    }
    client.bind(0x4001, peer_address).unwrap();
    for size in SIZES {
        let data: Vec<u8> = (0..size).map(|n| n as u8 ^ 0x55).collect();
        client.send_channel(0x4001, &data);
        assert_eq!(receive_from(&peer), (data.clone(), relayed), "{size} bytes on a channel to the peer");
        peer.send_to(&data, relayed).unwrap();
        assert_eq!(client.came(), Came::Channel(0x4001, data), "{size} bytes on a channel to the client");
    }
}

#[test]
fn data_goes_both_ways_over_udp() {
    through(Transport::Udp, LOCAL4, LOCAL4);
}

#[test]
fn data_goes_both_ways_over_tcp() {
    through(Transport::Tcp, LOCAL4, LOCAL4);
}

#[test]
fn data_goes_both_ways_over_tls() {
    through(Transport::Tls, LOCAL4, LOCAL4);
}

#[test]
fn data_goes_both_ways_on_ipv6() {
    through(Transport::Udp, LOCAL6, LOCAL6);
    through(Transport::Tcp, LOCAL6, LOCAL6);
    through(Transport::Tls, LOCAL6, LOCAL6);
}

#[test]
fn an_ipv4_client_reaches_an_ipv6_peer_and_the_other_way_round() {
    through(Transport::Udp, LOCAL4, LOCAL6);
    through(Transport::Tcp, LOCAL6, LOCAL4);
}

#[test]
fn the_relayed_port_is_closed_after_a_refresh_with_lifetime_zero() {
    let relay = start(config());
    let mut client = Client::new(&relay, Transport::Udp, LOCAL4);
    let relayed = client.allocate(LOCAL4).unwrap();
    assert!(UdpSocket::bind(relayed).is_err(), "the relay has the port");
    client.refresh(0).unwrap();
    // The answer to this one comes from after the port was closed.
    client.binding();
    assert!(UdpSocket::bind(relayed).is_ok(), "the port is free again");
}

#[test]
fn a_closed_connection_closes_its_relayed_port() {
    let relay = start(config());
    for transport in [Transport::Tcp, Transport::Tls] {
        let mut client = Client::new(&relay, transport, LOCAL4);
        let relayed = client.allocate(LOCAL4).unwrap();
        drop(client);
        eventually("the port is free again", || UdpSocket::bind(relayed).is_ok());
    }
}

#[test]
fn a_peer_that_has_no_permission_is_not_heard() {
    let relay = start(config());
    let mut client = Client::new(&relay, Transport::Udp, LOCAL4);
    let relayed = client.allocate(LOCAL4).unwrap();
    let stranger = UdpSocket::bind("127.0.0.9:0").unwrap();
    stranger.send_to(b"let me in", relayed).unwrap();
    let friend = peer(LOCAL4);
    client.permit(friend.local_addr().unwrap()).unwrap();
    friend.send_to(b"hello", relayed).unwrap();
    assert_eq!(client.came(), Came::Data(friend.local_addr().unwrap(), b"hello".to_vec()));
}

#[test]
fn a_port_that_nobody_listens_on_is_told_to_the_client_as_icmp() {
    let relay = start(config());
    let gone = peer(LOCAL4).local_addr().unwrap();
    let gone6 = peer(LOCAL6).local_addr().unwrap();
    for (gone, kind, code) in [(gone, 3, 3), (gone6, 1, 4)] {
        let mut client = Client::new(&relay, Transport::Udp, LOCAL4);
        client.allocate(gone.ip()).unwrap();
        client.permit(gone).unwrap();
        client.send_to(gone, b"anybody?", false);
        assert_eq!(client.came(), Came::Icmp(gone, kind, code));
        // The error was about that packet alone.
        let friend = peer(gone.ip());
        client.permit(friend.local_addr().unwrap()).unwrap();
        client.send_to(friend.local_addr().unwrap(), b"hello", false);
        assert_eq!(receive_from(&friend).0, b"hello");
    }
}

#[test]
fn dont_fragment_is_done_for_one_packet_and_undone_for_the_next() {
    let relay = start(config());
    let mut client = Client::new(&relay, Transport::Udp, LOCAL4);
    let relayed = client.allocate(LOCAL4).unwrap();
    let peer = peer(LOCAL4);
    client.permit(peer.local_addr().unwrap()).unwrap();
    for dont_fragment in [true, false, true] {
        client.send_to(peer.local_addr().unwrap(), b"whole", dont_fragment);
        assert_eq!(receive_from(&peer), (b"whole".to_vec(), relayed));
    }
}

#[test]
fn an_even_port_is_even_on_whichever_thread() {
    let relay = start(Config { threads: 3, ..config() });
    for _ in 0..12 {
        let mut client = Client::new(&relay, Transport::Udp, LOCAL4);
        let answer = client.request(Method::ALLOCATE, |builder| {
            builder.add(&RequestedTransport::UDP).unwrap();
            builder.add(&EvenPort { reserve_next: true }).unwrap();
        });
        let relayed =
            Message::parse(&answer.unwrap()).unwrap().get::<XorRelayedAddress>().unwrap().unwrap().0;
        assert_eq!(relayed.port() % 2, 0);
    }
}

#[test]
fn relayed_ports_reach_each_other_where_the_external_address_is_a_routers() {
    // No interface of this machine has it (TEST-NET-3), as behind a router that translates addresses.
    let external = External { v4: Some([203, 0, 113, 5].into()), v6: None };
    let cidr = "203.0.113.5/32".parse().unwrap();
    let relay = start(Config { external, policy: config().policy.allow(cidr), ..config() });
    let mut a = Client::new(&relay, Transport::Udp, LOCAL4);
    let mut b = Client::new(&relay, Transport::Udp, LOCAL4);
    let (at_a, at_b) = (a.allocate(LOCAL4).unwrap(), b.allocate(LOCAL4).unwrap());
    assert_eq!(at_a.ip(), IpAddr::from([203, 0, 113, 5]));
    a.permit(at_b).unwrap();
    b.permit(at_a).unwrap();
    a.send_to(at_b, b"ping", false);
    assert_eq!(b.came(), Came::Data(at_a, b"ping".to_vec()));
    b.send_to(at_a, b"pong", false);
    assert_eq!(a.came(), Came::Data(at_b, b"pong".to_vec()));
}

#[test]
fn our_own_listeners_are_no_peers_however_wide_the_policy() {
    let other = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let relay = start(Config { listeners_besides: vec![other], ..config() });
    let mut client = Client::new(&relay, Transport::Udp, LOCAL4);
    client.allocate(LOCAL4).unwrap();
    let own = address(&relay, Transport::Udp, LOCAL4);
    for address in [own, other] {
        assert_eq!(client.bind(0x4001, address), Err(Refused(403)), "{address}");
    }
    assert_eq!(client.bind(0x4002, SocketAddr::new(LOCAL4, 9)), Ok(()));
}

#[test]
fn no_address_of_this_machine_is_reached_but_where_a_port_is_relayed() {
    let everything = Policy::new().allow("0.0.0.0/0".parse().unwrap());
    let relay = start(Config { policy: everything, ..config() });
    let mut client = Client::new(&relay, Transport::Udp, LOCAL4);
    let relayed = client.allocate(LOCAL4).unwrap();
    let interfaces = if_addrs::get_if_addrs().unwrap().into_iter().map(|interface| interface.ip());
    for ip in interfaces.filter(IpAddr::is_ipv4) {
        let service = peer(ip);
        assert_eq!(client.permit(service.local_addr().unwrap()), Err(Refused(403)), "{ip}");
    }
    client.permit(relayed).unwrap();
}
