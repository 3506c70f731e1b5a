//! Allocate and Refresh (RFC 8656 7 and 8), request by request.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use std::time::Duration;

use kit::{Client, EXTERNAL, PEER, PEER_V6, Ports, Reply, UNIX, World, addr, port_of, unknown_of};
use twocan_stun::attribute::{
    AdditionalAddressFamily, AddressErrorCode, EvenPort, Family, Lifetime, RequestedAddressFamily,
    RequestedTransport, ReservationToken, XorMappedAddress,
};
use twocan_stun::{AttributeType, Builder, Class, Method, Open};
use twocan_turn::{Command, Discard, EndReason, Event, PortError, Transport};

const FROM: &str = "198.51.100.7:4000";

fn family(number: u8) -> impl FnOnce(&mut Builder<'_, Open>) {
    move |builder| {
        builder.add(&RequestedAddressFamily(Family(number))).unwrap();
    }
}

fn both(builder: &mut Builder<'_, Open>) {
    builder.add(&AdditionalAddressFamily(Family::V6)).unwrap();
}

fn ignore<T>(_: T) {}

fn pair(builder: &mut Builder<'_, Open>) {
    builder.add(&EvenPort { reserve_next: true }).unwrap();
}

fn token_of(reply: &Reply) -> [u8; 8] {
    reply.message().get::<ReservationToken>().unwrap().unwrap().0
}

fn ended(world: &World) -> Vec<EndReason> {
    let why = |event: &Event| if let Event::Ended { why, .. } = event { Some(*why) } else { None };
    world.events.iter().filter_map(why).collect()
}

#[test]
fn an_allocation_tells_its_relayed_address_its_lifetime_and_where_the_client_is_seen() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let reply = client.allocate_with(&mut world, |_| ());
    let relayed = reply.relayed();
    assert_eq!(relayed.len(), 1);
    assert_eq!(relayed[0].ip(), EXTERNAL.parse::<std::net::IpAddr>().unwrap());
    assert!((50_000..=50_999).contains(&relayed[0].port()));
    assert_eq!(reply.lifetime_s(), 600);
    assert_eq!(reply.message().get::<XorMappedAddress>().unwrap().unwrap().0, addr(FROM));
    assert_eq!(world.open_ports(), [port_of(relayed[0])]);
}

#[test]
fn the_same_allocate_again_is_answered_the_same_and_another_with_437() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let first = client.allocate_with(&mut world, |_| ());
    client.repeat = true;
    world.t(1_000);
    let again = client.allocate_with(&mut world, |_| ());
    assert_eq!(first.bytes, again.bytes);
    client.repeat = false;
    assert_eq!(client.allocate_with(&mut world, |_| ()).code(), 437);
    assert_eq!(world.open_ports().len(), 1);
}

#[test]
fn another_user_on_the_same_5_tuple_is_441_and_cannot_have_the_answer() {
    let mut world = World::new();
    let mut ada = Client::ada(FROM);
    ada.allocate(&mut world);
    let mut bob = Client::new(FROM, "bob", "builder");
    assert_eq!(bob.refresh(&mut world, 600).code(), 441);
    assert_eq!(bob.permit(&mut world, &[addr(PEER)]), 441);
    assert_eq!(bob.bind(&mut world, 0x4000, addr(PEER)), 441);
    bob.id = ada.id;
    bob.repeat = true;
    assert_eq!(bob.allocate_with(&mut world, |_| ()).code(), 437);
}

#[test]
fn requests_about_no_allocation_are_437() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    assert_eq!(client.refresh(&mut world, 600).code(), 437);
    assert_eq!(client.permit(&mut world, &[addr(PEER)]), 437);
    assert_eq!(client.bind(&mut world, 0x4000, addr(PEER)), 437);
}

#[test]
fn the_transport_must_be_udp() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    assert_eq!(client.request(&mut world, Method::ALLOCATE, |_| ()).code(), 400);
    let tcp = client.request(&mut world, Method::ALLOCATE, |builder| {
        builder.add(&RequestedTransport(6)).unwrap();
    });
    assert_eq!(tcp.code(), 442);
    assert!(world.commands.is_empty());
}

#[test]
fn an_attribute_that_must_be_understood_and_is_not_is_420() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let reply = client.allocate_with(&mut world, |builder| {
        builder.add_raw(AttributeType(0x7F01), b"?").unwrap();
        builder.add_raw(AttributeType(0xFF01), b"optional").unwrap();
    });
    assert_eq!(unknown_of(&reply), [AttributeType(0x7F01)]);
    let reply = client.allocate_with(&mut world, |builder| {
        builder.add_raw(AttributeType(0xFF01), b"optional").unwrap();
    });
    assert_eq!(reply.code(), 0);
}

#[test]
fn a_malformed_attribute_is_400() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    for kind in [
        AttributeType::LIFETIME,
        AttributeType::EVEN_PORT,
        AttributeType::RESERVATION_TOKEN,
        AttributeType::REQUESTED_ADDRESS_FAMILY,
        AttributeType::ADDITIONAL_ADDRESS_FAMILY,
    ] {
        let reply = client.allocate_with(&mut world, |builder| {
            builder.add_raw(kind, b"much too long").unwrap();
        });
        assert_eq!(reply.code(), 400, "{kind}");
    }
    assert!(world.commands.is_empty());
}

#[test]
fn the_lifetime_is_between_the_default_and_an_hour() {
    for (asked, granted) in
        [(0, 600), (1, 600), (600, 600), (1_000, 1_000), (3_600, 3_600), (u32::MAX, 3_600)]
    {
        let mut world = World::new();
        let mut client = Client::ada(FROM);
        let reply = client.allocate_with(&mut world, |builder| {
            builder.add(&Lifetime(asked)).unwrap();
        });
        assert_eq!(reply.lifetime_s(), granted, "asked for {asked}");
        world.t(u64::from(granted) * 1_000 - 1);
        assert_eq!(world.open_ports().len(), 1);
        world.t(u64::from(granted) * 1_000);
        assert_eq!(world.open_ports(), []);
        assert_eq!(ended(&world), [EndReason::Expired]);
        assert_eq!(world.server.stats().stored.entries(), 0);
    }
}

#[test]
fn a_refresh_moves_the_end_and_one_with_lifetime_zero_frees_the_port() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    client.allocate(&mut world);
    world.t(599_000);
    assert_eq!(client.refresh(&mut world, 900).lifetime_s(), 900);
    world.t(599_000 + 899_999);
    assert_eq!(world.open_ports().len(), 1);
    let reply = client.refresh(&mut world, 0);
    assert_eq!((reply.code(), reply.lifetime_s()), (0, 0));
    assert_eq!(world.open_ports(), []);
    assert_eq!(ended(&world), [EndReason::Freed]);
    assert_eq!(client.refresh(&mut world, 0).code(), 437);
    assert_eq!(world.server.poll_timeout(), None);
    client.allocate(&mut world);
}

#[test]
fn ipv6_alone_and_both_families_can_be_had() {
    let mut world = World::new();
    let relayed = Client::ada("198.51.100.7:1").allocate_with(&mut world, family(2)).relayed();
    assert!(relayed.len() == 1 && relayed[0].is_ipv6());
    let mut client = Client::ada("198.51.100.7:2");
    let relayed = client.allocate_with(&mut world, both).relayed();
    assert!(relayed.len() == 2 && relayed[0].is_ipv4() && relayed[1].is_ipv6());
    assert_eq!(client.permit(&mut world, &[addr(PEER), addr(PEER_V6)]), 0);
    client.send(&mut world, addr(PEER), b"four");
    assert_eq!(world.peer_got(addr(PEER)).unwrap(), b"four");
    client.send(&mut world, addr(PEER_V6), b"six");
    assert_eq!(world.peer_got(addr(PEER_V6)).unwrap(), b"six");
}

#[test]
fn one_family_of_two_can_be_freed_and_the_other_lives_on() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let relayed = client.allocate_with(&mut world, both).relayed();
    let free = |world: &mut World, client: &mut Client, number| {
        let reply = client.request(world, Method::REFRESH, |builder| {
            builder.add(&RequestedAddressFamily(Family(number))).unwrap();
            builder.add(&Lifetime(0)).unwrap();
        });
        reply.code()
    };
    assert_eq!(free(&mut world, &mut client, 1), 0);
    assert_eq!(world.open_ports(), [port_of(relayed[1])]);
    assert_eq!(free(&mut world, &mut client, 1), 443);
    assert_eq!(free(&mut world, &mut client, 9), 443);
    assert_eq!(client.permit(&mut world, &[addr(PEER)]), 443);
    assert_eq!(client.permit(&mut world, &[addr(PEER_V6)]), 0);
    assert_eq!(free(&mut world, &mut client, 2), 0);
    assert_eq!(world.open_ports(), []);
    assert_eq!(world.server.stats().stored.entries(), 0);
}

#[test]
fn a_refresh_of_one_family_leaves_the_others_end_where_it_is() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let relayed = client.allocate_with(&mut world, both).relayed();
    client.request(&mut world, Method::REFRESH, |builder| {
        builder.add(&RequestedAddressFamily(Family::V6)).unwrap();
        builder.add(&Lifetime(3_600)).unwrap();
    });
    world.t(600_000);
    assert_eq!(world.open_ports(), [port_of(relayed[1])]);
    world.t(3_600_000);
    assert_eq!(world.open_ports(), []);
}

#[test]
fn a_family_that_is_not_relayed_is_440() {
    let mut world = World::with(|config| config.external.v6 = None);
    let mut client = Client::ada(FROM);
    assert_eq!(client.allocate_with(&mut world, family(2)).code(), 440);
    assert_eq!(client.allocate_with(&mut world, family(3)).code(), 440);
    let reply = client.allocate_with(&mut world, both);
    assert_eq!(reply.relayed().len(), 1);
    let failed = reply.message().get::<AddressErrorCode<'_>>().unwrap().unwrap();
    assert_eq!((failed.family, failed.code.number()), (Family::V6, 440));

    let mut world = World::with(|config| config.external.v4 = None);
    assert_eq!(Client::ada(FROM).allocate_with(&mut world, |_| ()).code(), 440);
}

#[test]
fn attributes_that_contradict_each_other_are_400() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let token = ReservationToken([1; 8]);
    type Add<'a> = &'a dyn Fn(&mut Builder<'_, Open>);
    let contradictions: [Add<'_>; 6] = [
        &|b| ignore(b.add(&token).unwrap().add(&EvenPort { reserve_next: false }).unwrap()),
        &|b| ignore(b.add(&token).unwrap().add(&RequestedAddressFamily(Family::V4)).unwrap()),
        &|b| ignore(b.add(&token).unwrap().add(&AdditionalAddressFamily(Family::V6)).unwrap()),
        &|b| {
            b.add(&RequestedAddressFamily(Family::V4)).unwrap();
            both(b);
        },
        &|b| {
            pair(b);
            both(b);
        },
        &|b| ignore(b.add(&AdditionalAddressFamily(Family::V4)).unwrap()),
    ];
    for (index, add) in contradictions.into_iter().enumerate() {
        assert_eq!(client.allocate_with(&mut world, add).code(), 400, "contradiction {index}");
    }
}

#[test]
fn an_even_port_is_even() {
    let mut world = World::new();
    for port in 1..50 {
        let mut client = Client::ada(&format!("198.51.100.7:{port}"));
        let reply = client.allocate_with(&mut world, |builder| {
            builder.add(&EvenPort { reserve_next: false }).unwrap();
        });
        assert_eq!(reply.relayed()[0].port() % 2, 0);
        assert!(!reply.message().has(AttributeType::RESERVATION_TOKEN));
    }
}

#[test]
fn a_reserved_port_is_had_once_by_the_same_user_with_its_token() {
    let mut world = World::new();
    let reply = Client::ada("198.51.100.7:1").allocate_with(&mut world, pair);
    let (even, token) = (reply.relayed()[0].port(), token_of(&reply));
    let show = |token| {
        move |builder: &mut Builder<'_, Open>| {
            builder.add(&ReservationToken(token)).unwrap();
        }
    };
    let mut bob = Client::new("198.51.100.7:2", "bob", "builder");
    assert_eq!(bob.allocate_with(&mut world, show(token)).code(), 508, "another user");
    let mut wrong = Client::ada("198.51.100.7:3");
    assert_eq!(wrong.allocate_with(&mut world, show([0; 8])).code(), 508, "another token");
    let reply = Client::ada("198.51.100.7:4").allocate_with(&mut world, show(token));
    assert_eq!(reply.relayed()[0].port(), even + 1);
    let mut late = Client::ada("198.51.100.7:5");
    assert_eq!(late.allocate_with(&mut world, show(token)).code(), 508, "a second time");
    world.t(31_000);
    assert_eq!(world.open_ports().len(), 2, "the reservation's end does not end what it became");
}

#[test]
fn a_retransmitted_even_port_allocate_repeats_the_token() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    let first = client.allocate_with(&mut world, pair);
    client.repeat = true;
    assert_eq!(client.allocate_with(&mut world, pair).bytes, first.bytes);
    assert_eq!(world.server.stats().stored.reservations, 1);
}

#[test]
fn a_reserved_port_that_nobody_comes_for_is_free_after_thirty_seconds() {
    let mut world = World::with(|config| {
        (config.relay_ports, config.relay_range) = (50_000..=50_001, 50_000..=50_001);
    });
    let mut ada = Client::ada("198.51.100.7:1");
    let token = token_of(&ada.allocate_with(&mut world, pair));
    let mut bob = Client::new("198.51.100.7:2", "bob", "builder");
    world.t(29_999);
    assert_eq!(bob.allocate_with(&mut world, |_| ()).code(), 508, "no other port is left");
    world.t(30_000);
    let reply = Client::ada("198.51.100.7:3").allocate_with(&mut world, |builder| {
        builder.add(&ReservationToken(token)).unwrap();
    });
    assert_eq!(reply.code(), 508, "the token has run out");
    assert_eq!(bob.allocate_with(&mut world, |_| ()).relayed()[0].port(), 50_001);
    assert_eq!(world.server.stats().stored.reservations, 0);
}

#[test]
fn even_port_leaks_no_port() {
    let mut world = World::with(|config| {
        (config.relay_ports, config.relay_range) = (50_000..=50_009, 50_000..=50_009);
        config.limits.allocations_per_user = u32::MAX;
    });
    let mut now_ms = 0;
    for round in 0..200 {
        let mut client = Client::ada(&format!("198.51.{round}.7:1000"));
        world.ports = if round % 3 == 0 { Ports::Fail(PortError::InUse) } else { Ports::Open };
        let reply = client.allocate_with(&mut world, pair);
        if reply.code() == 0 && round % 2 == 0 {
            client.refresh(&mut world, 0);
        }
        now_ms += 31_000;
        world.t(now_ms);
    }
    world.t(now_ms + 3_600_000);
    assert_eq!(world.open_ports(), []);
    assert_eq!(world.server.stats().stored.entries(), 0);
    world.ports = Ports::Open;
    let opened = (0..20).filter(|n| {
        let mut client = Client::ada(&format!("198.51.{n}.7:9000"));
        client.allocate_with(&mut world, |_| ()).code() == 0
    });
    assert_eq!(opened.count(), 10, "every port can still be had");
}

#[test]
fn a_port_in_use_is_replaced_by_another() {
    let mut world = World::new();
    world.ports = Ports::Wait;
    let mut client = Client::ada(FROM);
    client.challenge(&mut world);
    let packet = client.signed(Method::ALLOCATE, |builder| {
        builder.add(&RequestedTransport::UDP).unwrap();
    });
    assert!(client.send_raw(&mut world, &packet).is_none());
    let first = world.open_ports()[0];
    world.ports = Ports::Open;
    world.server.handle_port_opened(first, Err(PortError::InUse), world.now);
    world.drain();
    let reply = Reply { bytes: world.take_sent()[0].bytes.clone() };
    assert_eq!(reply.code(), 0);
    assert_ne!(port_of(reply.relayed()[0]), first);
}

#[test]
fn no_more_sockets_is_508_at_once_and_leaves_nothing() {
    let mut world = World::new();
    world.ports = Ports::Fail(PortError::Exhausted);
    let mut client = Client::ada(FROM);
    assert_eq!(client.allocate_with(&mut world, |_| ()).code(), 508);
    assert_eq!(world.commands.len(), 1, "not tried again");
    assert_eq!(world.server.stats().stored.entries(), 0);
    world.ports = Ports::Open;
    client.allocate(&mut world);
}

#[test]
fn one_family_whose_port_cannot_be_opened_is_told_beside_the_other() {
    let mut world = World::new();
    world.ports = Ports::Wait;
    let mut client = Client::ada(FROM);
    client.challenge(&mut world);
    let packet = client.signed(Method::ALLOCATE, |builder| {
        builder.add(&RequestedTransport::UDP).unwrap();
        both(builder);
    });
    assert!(client.send_raw(&mut world, &packet).is_none());
    let ports = world.open_ports();
    world.server.handle_port_opened(ports[1], Err(PortError::Exhausted), world.now);
    world.drain();
    assert!(world.take_sent().is_empty(), "the other one is still being opened");
    world.server.handle_port_opened(ports[0], Ok(()), world.now);
    world.drain();
    let reply = Reply { bytes: world.take_sent()[0].bytes.clone() };
    assert!(reply.relayed().len() == 1 && reply.relayed()[0].is_ipv4());
    let failed = reply.message().get::<AddressErrorCode<'_>>().unwrap().unwrap();
    assert_eq!((failed.family, failed.code.number()), (Family::V6, 508));
}

#[test]
fn a_closed_connection_ends_its_allocation() {
    let mut world = World::new();
    let mut client = Client::ada(FROM).over(Transport::Tcp);
    client.allocate(&mut world);
    client.permit(&mut world, &[addr(PEER)]);
    world.server.handle_client_closed(client.addr, world.now);
    world.drain();
    assert_eq!(world.open_ports(), []);
    assert_eq!(ended(&world), [EndReason::ClientClosed]);
    assert_eq!(world.server.stats().stored.entries(), 0);
}

#[test]
fn a_connection_closed_while_its_port_is_being_opened_leaves_nothing() {
    let mut world = World::new();
    world.ports = Ports::Wait;
    let mut client = Client::ada(FROM).over(Transport::Tcp);
    client.challenge(&mut world);
    let packet = client.signed(Method::ALLOCATE, |builder| {
        builder.add(&RequestedTransport::UDP).unwrap();
        pair(builder);
    });
    client.send_raw(&mut world, &packet);
    let port = world.open_ports()[0];
    world.server.handle_client_closed(client.addr, world.now);
    world.drain();
    assert_eq!(world.commands.last(), Some(&Command::ClosePort(port)));
    world.server.handle_port_opened(port, Ok(()), world.now);
    world.drain();
    assert!(world.take_sent().is_empty());
    assert_eq!(world.server.stats().stored.entries(), 0);
}

#[test]
fn udp_tcp_and_tls_from_one_address_are_three_allocations() {
    let mut world = World::new();
    for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
        Client::ada(FROM).over(transport).allocate(&mut world);
    }
    assert_eq!(world.open_ports().len(), 3);
}

#[test]
fn a_draining_server_refuses_new_allocations_and_keeps_the_old_ones() {
    let mut world = World::new();
    let mut old = Client::ada("198.51.100.7:1");
    old.allocate(&mut world);
    world.server.handle_drain(world.now);
    assert_eq!(Client::ada("198.51.100.7:2").allocate_with(&mut world, |_| ()).code(), 508);
    assert_eq!(old.refresh(&mut world, 900).code(), 0);
    assert_eq!(old.permit(&mut world, &[addr(PEER)]), 0);
}

#[test]
fn a_channel_number_belongs_to_one_peer_and_a_peer_has_one_number() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    client.allocate(&mut world);
    assert_eq!(client.bind(&mut world, 0x4000, addr(PEER)), 0);
    assert_eq!(client.bind(&mut world, 0x4000, addr(PEER)), 0, "a refresh");
    assert_eq!(client.bind(&mut world, 0x4000, addr("8.8.4.4:1")), 400);
    assert_eq!(client.bind(&mut world, 0x4001, addr(PEER)), 400);
    assert_eq!(client.bind(&mut world, 0x4FFF, addr("8.8.4.4:1")), 0);
    for number in [0x3FFF, 0x8000, 0, 0xFFFF] {
        assert_eq!(client.bind(&mut world, number, addr("8.8.4.4:2")), 400, "{number:#x}");
    }
    assert_eq!(client.bind(&mut world, 0x4002, addr("8.8.4.4:0")), 400, "a peer without a port");
    assert_eq!(world.server.stats().stored.channels, 2);
}

#[test]
fn requests_without_the_attributes_they_need_are_400() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    client.allocate(&mut world);
    assert_eq!(client.permit(&mut world, &[]), 400);
    assert_eq!(client.request(&mut world, Method::CHANNEL_BIND, |_| ()).code(), 400);
    let reply = client.request(&mut world, Method::CREATE_PERMISSION, |builder| {
        builder.add_raw(AttributeType::XOR_PEER_ADDRESS, b"short").unwrap();
    });
    assert_eq!(reply.code(), 400);
}

#[test]
fn several_permissions_come_with_one_request_or_not_at_all() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    client.allocate(&mut world);
    let peers = [addr("8.8.8.8:1"), addr("8.8.4.4:1")];
    assert_eq!(client.permit(&mut world, &[peers[0], peers[1], addr("10.0.0.1:1")]), 403);
    assert_eq!(world.server.stats().stored.permissions, 0);
    assert_eq!(client.permit(&mut world, &peers), 0);
    assert_eq!(world.server.stats().stored.permissions, 2);
}

#[test]
fn an_operators_credential_ends_its_allocation_when_it_runs_out() {
    let mut world = World::new();
    let mut client = Client::timed(FROM, UNIX + 1_000, "alice").over(Transport::Tcp);
    let reply = client.allocate_with(&mut world, |builder| {
        builder.add(&Lifetime(3_600)).unwrap();
    });
    assert_eq!(reply.lifetime_s(), 1_000);
    world.t(999_000);
    assert_eq!(client.refresh(&mut world, 3_600).lifetime_s(), 1);
    world.t(1_000_000);
    assert_eq!(world.open_ports(), []);
    assert_eq!(ended(&world), [EndReason::CredentialExpired]);
    assert_eq!(world.commands.last(), Some(&Command::CloseClient(client.addr)));
    assert_eq!(client.allocate_with(&mut world, |_| ()).code(), 401);
}

#[test]
fn a_renewed_credential_of_the_same_id_carries_the_allocation_on() {
    let mut world = World::new();
    Client::timed(FROM, UNIX + 1_000, "alice").allocate(&mut world);
    world.t(500_000);
    let mut renewed = Client::timed(FROM, UNIX + 5_000, "alice");
    assert_eq!(renewed.refresh(&mut world, 3_600).lifetime_s(), 3_600);
    world.t(1_500_000);
    assert_eq!(world.open_ports().len(), 1);
    assert_eq!(Client::timed(FROM, UNIX + 5_000, "mallory").refresh(&mut world, 0).code(), 441);
}

/// A board without a battery, a restored machine, one that slept: the wall clock is put right after the start.
#[test]
fn a_time_limited_credential_is_judged_by_the_clock_as_it_is_now() {
    let real = Duration::from_secs(UNIX);
    for wrong in [Duration::ZERO, real - 3 * DAY, real + 2 * DAY] {
        let mut world = World::new();
        world.server.handle_clock(wrong, world.now);
        let mut client = Client::timed(FROM, UNIX + 43_200, "alice");
        assert_eq!(client.allocate_with(&mut world, |_| ()).code(), 401, "{wrong:?}");
        world.server.handle_clock(real, world.now);
        let mut client = Client::timed(FROM, UNIX + 43_200, "alice");
        assert!(client.allocate_with(&mut world, |_| ()).lifetime_s() > 0);
    }
}

const DAY: Duration = Duration::from_secs(86_400);

#[test]
fn a_request_of_a_method_that_is_not_known_is_dropped() {
    let mut world = World::new();
    let mut client = Client::ada(FROM);
    for class in [Class::Request, Class::Indication] {
        let packet = client.bare(class, Method::new(0x00A).unwrap(), |_| ());
        assert!(client.send_raw(&mut world, &packet).is_none());
    }
    assert_eq!(world.server.stats().discarded(Discard::UnknownMethod), 2);
}
