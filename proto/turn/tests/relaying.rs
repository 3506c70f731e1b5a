//! Data between a client and its peers, in every way that RFC 8656 knows.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use kit::{Client, EXTERNAL, PEER, PEER_V6, Ports, World, addr, port_of};
use twocan_stun::attribute::{
    Data, DontFragment, Family, Icmp as IcmpAttribute, RequestedAddressFamily, XorPeerAddress,
};
use twocan_stun::{AttributeType, Class, Message, Method};
use twocan_turn::{Discard, Icmp, PeerAddr, RelayAddr, Transport, Via};

/// A client with an allocation.
fn allocated(world: &mut World) -> (Client, std::net::SocketAddr) {
    let mut client = Client::ada("198.51.100.7:4000");
    let relayed = client.allocate(world);
    (client, relayed)
}

#[test]
fn a_send_indication_reaches_a_permitted_peer_from_the_relayed_port() {
    let mut world = World::new();
    let (mut client, relayed) = allocated(&mut world);
    assert_eq!(client.permit(&mut world, &[addr(PEER)]), 0);
    client.send(&mut world, addr(PEER), b"hello");
    let sent = world.take_sent();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].via, Via::Relay(port_of(relayed), PeerAddr(addr(PEER))));
    assert_eq!(sent[0].bytes, b"hello");
}

#[test]
fn a_send_indication_without_a_permission_goes_nowhere() {
    let mut world = World::new();
    let (mut client, _) = allocated(&mut world);
    client.send(&mut world, addr(PEER), b"hello");
    assert!(world.take_sent().is_empty());
    assert_eq!(world.server.stats().discarded(Discard::NoPermission), 1);
}

#[test]
fn a_permitted_peer_reaches_the_client_as_a_data_indication() {
    let mut world = World::new();
    let (mut client, relayed) = allocated(&mut world);
    client.permit(&mut world, &[addr("8.8.8.8:1")]);
    world.peer_sends(addr(PEER), relayed, b"hello back");
    let sent = world.take_sent();
    let message = Message::parse(&sent[0].bytes).unwrap();
    assert_eq!(sent[0].via, Via::Client(client.addr));
    assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
    assert_eq!(message.get::<XorPeerAddress>().unwrap().unwrap().0, addr(PEER));
    assert_eq!(message.get::<Data<'_>>().unwrap().unwrap().0, b"hello back");
}

#[test]
fn a_stranger_does_not_reach_the_client() {
    let mut world = World::new();
    let (mut client, relayed) = allocated(&mut world);
    client.permit(&mut world, &[addr(PEER)]);
    world.peer_sends(addr("8.8.4.4:5000"), relayed, b"psst");
    assert!(world.take_sent().is_empty());
    assert_eq!(world.server.stats().discarded(Discard::NoPermission), 1);
}

#[test]
fn channel_data_flows_both_ways() {
    let mut world = World::new();
    let (mut client, relayed) = allocated(&mut world);
    assert_eq!(client.bind(&mut world, 0x4001, addr(PEER)), 0);
    client.send_channel(&mut world, 0x4001, b"ping");
    assert_eq!(world.peer_got(addr(PEER)).unwrap(), b"ping");
    world.peer_sends(addr(PEER), relayed, b"pong!");
    assert_eq!(world.take_sent()[0].bytes, [&[0x40, 0x01, 0, 5], &b"pong!"[..]].concat());
}

#[test]
fn channel_data_in_a_stream_is_padded_with_zeros() {
    let mut world = World::new();
    for (port, transport) in [(1, Transport::Tcp), (2, Transport::Tls)] {
        let mut client = Client::ada(&format!("198.51.100.7:{port}")).over(transport);
        let relayed = client.allocate(&mut world);
        client.bind(&mut world, 0x4001, addr(PEER));
        client.send_channel(&mut world, 0x4001, b"hello");
        assert_eq!(world.peer_got(addr(PEER)).unwrap(), b"hello");
        world.peer_sends(addr(PEER), relayed, b"hello");
        assert_eq!(world.take_sent()[0].bytes, [0x40, 0x01, 0, 5, b'h', b'e', b'l', b'l', b'o', 0, 0, 0]);
    }
}

#[test]
fn empty_data_is_relayed_like_any_other() {
    let mut world = World::new();
    let (mut client, relayed) = allocated(&mut world);
    client.bind(&mut world, 0x4001, addr(PEER));
    client.send_channel(&mut world, 0x4001, b"");
    assert_eq!(world.peer_got(addr(PEER)).unwrap(), b"");
    client.send(&mut world, addr(PEER), b"");
    assert_eq!(world.peer_got(addr(PEER)).unwrap(), b"");
    world.peer_sends(addr(PEER), relayed, b"");
    assert_eq!(world.take_sent()[0].bytes, [0x40, 0x01, 0, 0]);
}

#[test]
fn a_peer_without_a_channel_is_heard_as_an_indication_even_beside_one() {
    let mut world = World::new();
    let (mut client, relayed) = allocated(&mut world);
    client.bind(&mut world, 0x4001, addr(PEER));
    world.peer_sends(addr("8.8.8.8:6000"), relayed, b"other port");
    let sent = world.take_sent();
    assert_eq!(Message::parse(&sent[0].bytes).unwrap().method(), Method::DATA);
}

#[test]
fn data_on_an_unbound_channel_goes_nowhere() {
    let mut world = World::new();
    let (mut client, _) = allocated(&mut world);
    client.bind(&mut world, 0x4001, addr(PEER));
    client.send_channel(&mut world, 0x4002, b"x");
    assert!(world.take_sent().is_empty());
    assert_eq!(world.server.stats().discarded(Discard::NoChannel), 1);
}

#[test]
fn channel_data_that_says_more_than_it_has_is_dropped() {
    let mut world = World::new();
    let (mut client, _) = allocated(&mut world);
    client.bind(&mut world, 0x4001, addr(PEER));
    world.client_sends(&client, &[0x40, 0x01, 0, 5, 1, 2]);
    assert_eq!(world.server.stats().discarded(Discard::ChannelDataLength), 1);
    world.client_sends(&client, &[0x40, 0x01, 0, 2, 1, 2, 0, 0]);
    assert_eq!(world.peer_got(addr(PEER)).unwrap(), [1, 2], "padding is allowed over UDP as well");
}

#[test]
fn a_permission_ends_after_five_minutes_and_a_channel_after_ten() {
    let mut world = World::new();
    let (mut client, relayed) = allocated(&mut world);
    client.bind(&mut world, 0x4001, addr(PEER));
    world.t(299_999);
    client.send_channel(&mut world, 0x4001, b"x");
    assert!(world.peer_got(addr(PEER)).is_some());
    world.t(300_000);
    client.send_channel(&mut world, 0x4001, b"x");
    world.peer_sends(addr(PEER), relayed, b"x");
    assert!(world.take_sent().is_empty(), "neither direction without a permission");
    client.permit(&mut world, &[addr(PEER)]);
    client.send_channel(&mut world, 0x4001, b"x");
    assert!(world.peer_got(addr(PEER)).is_some(), "the channel is still there");
    client.refresh(&mut world, 3_600);
    world.t(599_000);
    client.permit(&mut world, &[addr(PEER)]);
    world.t(600_000);
    client.send_channel(&mut world, 0x4001, b"x");
    assert!(world.take_sent().is_empty());
    assert_eq!(world.server.stats().discarded(Discard::NoChannel), 1);
}

#[test]
fn ipv6_is_relayed_from_an_ipv6_address() {
    let mut world = World::new();
    let mut client = Client::ada("[2a00::7]:4000");
    let reply = client.allocate_with(&mut world, |builder| {
        builder.add(&RequestedAddressFamily(Family::V6)).unwrap();
    });
    let relayed = reply.relayed()[0];
    assert!(relayed.is_ipv6());
    client.bind(&mut world, 0x4001, addr(PEER_V6));
    client.send_channel(&mut world, 0x4001, b"six");
    assert_eq!(world.peer_got(addr(PEER_V6)).unwrap(), b"six");
    world.peer_sends(addr(PEER_V6), relayed, b"six");
    assert_eq!(world.take_sent()[0].via, Via::Client(client.addr));
}

#[test]
fn a_peer_of_the_other_family_is_443_and_its_data_goes_nowhere() {
    let mut world = World::new();
    let (mut client, _) = allocated(&mut world);
    assert_eq!(client.permit(&mut world, &[addr(PEER), addr(PEER_V6)]), 443);
    assert_eq!(client.bind(&mut world, 0x4001, addr(PEER_V6)), 443);
    client.send(&mut world, addr(PEER_V6), b"x");
    assert_eq!(world.server.stats().discarded(Discard::PeerFamily), 1);
    client.send(&mut world, addr(PEER), b"x");
    assert!(world.take_sent().is_empty(), "all or nothing: the permission beside it was not installed");
}

#[test]
fn dont_fragment_is_passed_on_where_the_sockets_can() {
    let mut world = World::new();
    let (mut client, _) = allocated(&mut world);
    client.permit(&mut world, &[addr(PEER)]);
    let send = |world: &mut World, client: &mut Client| {
        let packet = client.bare(Class::Indication, Method::SEND, |builder| {
            builder.add(&XorPeerAddress(addr(PEER))).unwrap();
            builder.add(&DontFragment).unwrap();
            builder.add(&Data(b"whole")).unwrap();
        });
        world.take_sent();
        world.client_sends(client, &packet);
    };
    send(&mut world, &mut client);
    assert!(world.take_sent()[0].dont_fragment);

    let mut world = World::with(|config| config.dont_fragment = false);
    let mut client = Client::ada("198.51.100.7:4000");
    let reply = client.allocate_with(&mut world, |builder| {
        builder.add(&DontFragment).unwrap();
    });
    assert_eq!(kit::unknown_of(&reply), [AttributeType::DONT_FRAGMENT]);
    client.allocate(&mut world);
    client.permit(&mut world, &[addr(PEER)]);
    send(&mut world, &mut client);
    assert!(world.take_sent().is_empty());
    assert_eq!(world.server.stats().discarded(Discard::DontFragment), 1);
}

#[test]
fn an_icmp_error_reaches_the_client_as_a_data_indication() {
    let mut world = World::new();
    let (mut client, relayed) = allocated(&mut world);
    client.permit(&mut world, &[addr(PEER)]);
    let told = |world: &mut World, kind, code, mtu| {
        world.take_sent();
        world.icmp(Icmp { kind, code, mtu }, addr(PEER), relayed);
        let sent = world.take_sent();
        let message = Message::parse(&sent.first()?.bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Indication, Method::DATA));
        assert_eq!(message.get::<XorPeerAddress>().unwrap().unwrap().0, addr(PEER));
        assert!(!message.has(AttributeType::DATA));
        message.get::<IcmpAttribute>().unwrap()
    };
    let icmp = |kind, code, data| Some(IcmpAttribute { kind, code, data });
    assert_eq!(told(&mut world, 3, 3, 77), icmp(3, 3, 0));
    assert_eq!(told(&mut world, 3, 4, 1_280), icmp(3, 4, 1_280));
    assert_eq!(told(&mut world, 11, 0, 0), icmp(11, 0, 0));
    assert_eq!(told(&mut world, 5, 0, 0), None, "a redirect is not told");
    assert_eq!(world.server.stats().discarded(Discard::Icmp), 1);
    world.icmp(Icmp { kind: 3, code: 3, mtu: 0 }, addr("8.8.4.4:5000"), relayed);
    assert!(world.take_sent().is_empty(), "nor one about a peer without a permission");
}

#[test]
fn a_port_that_is_nobodys_hears_nothing() {
    let mut world = World::new();
    world.peer_sends(addr(PEER), addr(&format!("{EXTERNAL}:50001")), b"anyone?");
    assert_eq!(world.server.stats().discarded(Discard::NoPort), 1);
    let (mut client, relayed) = allocated(&mut world);
    client.permit(&mut world, &[addr(PEER)]);
    client.refresh(&mut world, 0);
    world.peer_sends(addr(PEER), relayed, b"anyone?");
    assert_eq!(world.server.stats().discarded(Discard::NoPort), 2);
}

#[test]
fn two_clients_of_one_relay_reach_each_other() {
    let mut world = World::with(|config| {
        config.external.v4 = Some("8.8.4.4".parse().unwrap());
        config.listeners = vec![addr("8.8.4.4:3478")];
    });
    let (mut one, relayed_one) = allocated(&mut world);
    let mut two = Client::new("198.51.100.8:4000", "bob", "builder");
    let relayed_two = two.allocate(&mut world);
    assert_eq!(one.bind(&mut world, 0x4001, relayed_two), 0);
    assert_eq!(two.bind(&mut world, 0x4002, relayed_one), 0);
    one.send_channel(&mut world, 0x4001, b"hello");
    let data = world.peer_got(relayed_two).unwrap();
    world.peer_sends(relayed_one, relayed_two, &data);
    assert_eq!(world.take_sent()[0].bytes, [&[0x40, 0x02, 0, 5], &b"hello"[..]].concat());
}

#[test]
fn a_port_that_is_still_being_opened_relays_nothing() {
    let mut world = World::new();
    world.ports = Ports::Wait;
    let mut client = Client::ada("198.51.100.7:4000");
    client.challenge(&mut world);
    let packet = client.signed(Method::ALLOCATE, |builder| {
        builder.add(&twocan_stun::attribute::RequestedTransport::UDP).unwrap();
    });
    assert!(client.send_raw(&mut world, &packet).is_none());
    let port = world.open_ports()[0];
    world.server.handle_peer(b"x", PeerAddr(addr(PEER)), port, world.now);
    assert_eq!(world.server.stats().discarded(Discard::NoPort), 1);
    assert_eq!(client.permit(&mut world, &[addr(PEER)]), 437);
    assert!(client.send_raw(&mut world, &packet).is_none(), "a retransmission waits as well");
    assert_eq!(world.server.stats().discarded(Discard::Pending), 1);
    world.server.handle_port_opened(port, Ok(()), world.now);
    world.drain();
    assert_eq!(world.take_sent().len(), 1, "one answer");
    let relayed = RelayAddr(addr(&format!("{EXTERNAL}:{}", port.port)));
    assert!(
        world
            .events
            .iter()
            .any(|event| matches!(event, twocan_turn::Event::Opened { relayed: r, .. } if *r == relayed))
    );
}
