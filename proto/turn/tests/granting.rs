//! Credentials that the lobby grants: they reach their own group, nobody else, and end with it.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use kit::{Client, EXTERNAL, PEER, Ports, World, addr};
use twocan_stun::Method;
use twocan_stun::attribute::RequestedTransport;
use twocan_turn::{Command, Discard, EndReason, Event, GroupId, MemberId, News, Policy, Transport};

fn closed(group: &str) -> News {
    News::GroupClosed { group: GroupId::new(group) }
}

/// A member that the lobby has let in, from where it is seen.
fn member(world: &mut World, from: &str, group: &str, peer: &str) -> Client {
    world.granted(group, peer, &addr(from).ip().to_string());
    Client::member(from, group, peer)
}

fn ended(world: &World) -> Vec<EndReason> {
    let why = |event: &Event| if let Event::Ended { why, .. } = event { Some(*why) } else { None };
    world.events.iter().filter_map(why).collect()
}

#[test]
fn members_of_a_group_reach_each_others_relayed_addresses() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    let mut bob = member(&mut world, "198.51.100.8:1", "g", "BOB");
    let (relayed_ada, relayed_bob) = (ada.allocate(&mut world), bob.allocate(&mut world));
    assert_eq!(ada.bind(&mut world, 0x4000, relayed_bob), 0);
    assert_eq!(bob.permit(&mut world, &[relayed_ada]), 0);
    ada.send_channel(&mut world, 0x4000, b"hi");
    assert_eq!(world.peer_got(relayed_bob).unwrap(), b"hi");
    world.peer_sends(relayed_ada, relayed_bob, b"hi");
    assert_eq!(world.take_sent().len(), 1);
}

#[test]
fn a_group_on_loopback_reaches_its_own_relayed_addresses_and_nothing_else_there() {
    let mut world = World::with(|config| {
        config.external.v4 = Some("127.0.0.1".parse().unwrap());
        config.listeners = vec![addr("127.0.0.1:3478"), addr("127.0.0.1:8080")];
    });
    world.granted("g", "ADA", "127.0.0.1");
    world.granted("g", "BOB", "127.0.0.1");
    let mut ada = member(&mut world, "127.0.0.1:1", "g", "ADA");
    let mut bob = member(&mut world, "127.0.0.1:2", "g", "BOB");
    ada.allocate(&mut world);
    let relayed_bob = bob.allocate(&mut world);
    assert_eq!(ada.permit(&mut world, &[relayed_bob]), 0);
    ada.send(&mut world, relayed_bob, b"x");
    assert!(world.peer_got(relayed_bob).is_some());
    for port in [3_478, 8_080, 22, 1] {
        let peer = std::net::SocketAddr::new("127.0.0.1".parse().unwrap(), port);
        assert_eq!(ada.permit(&mut world, &[peer]), 403, "{port}");
        assert_eq!(ada.bind(&mut world, 0x4009, peer), 403, "{port}");
        ada.send(&mut world, peer, b"x");
        assert!(world.take_sent().is_empty(), "{port}: the permission for BOB's port is not one for this");
    }
}

#[test]
fn another_groups_relayed_address_is_denied() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    let mut eve = member(&mut world, "198.51.100.9:1", "other", "EVE");
    let mut operator = Client::ada("198.51.100.10:1");
    let relayed_ada = ada.allocate(&mut world);
    let (relayed_eve, relayed_operator) = (eve.allocate(&mut world), operator.allocate(&mut world));
    for stranger in [relayed_eve, relayed_operator] {
        assert_eq!(ada.permit(&mut world, &[stranger]), 403);
        assert_eq!(ada.bind(&mut world, 0x4000, stranger), 403);
    }
    // A permission for the address, by way of a member's port, opens no stranger's port behind the same address.
    assert_eq!(ada.permit(&mut world, &[relayed_ada]), 0);
    ada.send(&mut world, relayed_eve, b"x");
    world.peer_sends(relayed_eve, relayed_ada, b"x");
    assert!(world.take_sent().is_empty());
    assert_eq!(world.server.stats().discarded(Discard::PeerDenied), 2);
}

#[test]
fn a_permission_without_a_port_is_granted_where_the_group_has_a_relayed_address() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    ada.allocate(&mut world);
    let any = addr(&format!("{EXTERNAL}:0"));
    assert_eq!(ada.permit(&mut world, &[any]), 0);
    assert_eq!(ada.permit(&mut world, &[addr("192.0.2.4:0")]), 403);
}

#[test]
fn a_member_is_reached_where_it_is_seen_if_that_is_a_public_address() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    ada.allocate(&mut world);
    assert_eq!(ada.permit(&mut world, &[addr(PEER)]), 403, "nobody is seen there yet");
    world.granted("g", "BOB", "8.8.8.8");
    assert_eq!(ada.permit(&mut world, &[addr(PEER)]), 0);
    assert_eq!(ada.bind(&mut world, 0x4000, addr("8.8.8.8:9")), 0, "at any port");
    assert_eq!(ada.permit(&mut world, &[addr("8.8.8.9:5000")]), 403);
    world.granted("other", "EVE", "9.9.9.9");
    assert_eq!(ada.permit(&mut world, &[addr("9.9.9.9:1")]), 403, "another group's member");
    world.granted("g", "CYD", "192.168.1.7");
    world.granted("g", "DAN", "127.0.0.1");
    assert_eq!(ada.permit(&mut world, &[addr("192.168.1.7:1")]), 403, "not a public one");
    assert_eq!(ada.permit(&mut world, &[addr("127.0.0.1:1")]), 403);
}

#[test]
fn a_member_seen_at_a_private_address_that_the_operator_allows_is_reached_there() {
    let mut world =
        World::with(|config| config.policy = Policy::new().allow("192.168.0.0/16".parse().unwrap()));
    let mut ada = member(&mut world, "192.168.1.6:1", "g", "ADA");
    ada.allocate(&mut world);
    world.granted("g", "BOB", "192.168.1.7");
    assert_eq!(ada.permit(&mut world, &[addr("192.168.1.7:1")]), 0);
    assert_eq!(ada.permit(&mut world, &[addr("192.168.1.8:1")]), 403, "allowed, but nobody of the group");
}

#[test]
fn a_member_is_seen_by_its_own_allocation_as_well() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    ada.allocate(&mut world);
    world.granted("g", "BOB", "198.51.100.8");
    let mut bob = Client::member("8.8.8.8:700", "g", "BOB");
    bob.allocate(&mut world);
    assert_eq!(ada.permit(&mut world, &[addr(PEER)]), 0);
    bob.refresh(&mut world, 0);
    assert_eq!(ada.permit(&mut world, &[addr("8.8.8.8:5001")]), 403, "and no longer once it is gone");
}

#[test]
fn a_grant_is_no_open_relay() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    ada.allocate(&mut world);
    for peer in [PEER, "1.1.1.1:53", "9.9.9.9:80"] {
        assert_eq!(ada.permit(&mut world, &[addr(peer)]), 403);
        assert_eq!(ada.bind(&mut world, 0x4000, addr(peer)), 403);
        ada.send(&mut world, addr(peer), b"x");
    }
    assert!(world.take_sent().is_empty());
}

#[test]
fn a_revoked_credential_ends_its_allocation_and_is_refused_afterwards() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA").over(Transport::Tcp);
    let mut bob = member(&mut world, "198.51.100.8:1", "g", "BOB");
    ada.allocate(&mut world);
    bob.allocate(&mut world);
    world.revoked("g", "ADA");
    assert_eq!(ended(&world), [EndReason::Revoked]);
    assert_eq!(world.open_ports().len(), 1, "BOB's is still there");
    assert_eq!(world.commands.last(), Some(&Command::CloseClient(ada.addr)));
    assert_eq!(ada.allocate_with(&mut world, |_| ()).code(), 401);
    assert_eq!(ada.refresh(&mut world, 600).code(), 401);
    assert_eq!(bob.refresh(&mut world, 600).code(), 0);
}

#[test]
fn only_whom_the_lobby_let_in_has_a_credential_in_a_group_it_spoke_of() {
    let mut world = World::new();
    let code = |world: &mut World, peer: &str| {
        let mut client = Client::member("198.51.100.7:1", "g", peer);
        let code = client.allocate_with(world, |_| ()).code();
        client.refresh(world, 0);
        code
    };
    assert_eq!(code(&mut world, "ADA"), 0, "of this group, only another server's lobby knows");
    world.granted("g", "ADA", "198.51.100.7");
    assert_eq!([code(&mut world, "ADA"), code(&mut world, "BOB")], [0, 401]);
    world.revoked("g", "ADA");
    assert_eq!([code(&mut world, "ADA"), code(&mut world, "BOB")], [401, 401]);
    world.granted("g", "ADA", "198.51.100.7");
    assert_eq!(code(&mut world, "ADA"), 0, "let in again");
}

#[test]
fn a_credential_of_a_completed_lobby_is_good_until_it_runs_out_whoever_returns() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    world.granted("g", "BOB", "198.51.100.8");
    world.t(3_000_000);
    // BOB returns, is kicked and comes again; ADA has nothing to do with it.
    world.granted("g", "BOB", "198.51.100.8");
    world.revoked("g", "BOB");
    ada.allocate(&mut world);
    world.granted("g", "BOB", "198.51.100.8");
    assert_eq!(ada.refresh(&mut world, 600).code(), 0);
}

#[test]
fn a_revoked_member_is_not_reached_any_more_at_its_address() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    ada.allocate(&mut world);
    world.granted("g", "BOB", "8.8.8.8");
    world.revoked("g", "BOB");
    assert_eq!(ada.permit(&mut world, &[addr(PEER)]), 403);
}

#[test]
fn what_was_permitted_towards_a_member_ends_when_it_is_gone() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    let relayed = ada.allocate(&mut world);
    for peer in ["BOB", "CYD"] {
        world.granted("g", peer, "8.8.8.8");
    }
    assert_eq!(ada.bind(&mut world, 0x4000, addr(PEER)), 0);
    let reaches = |world: &mut World, ada: &mut Client| {
        ada.send_channel(world, 0x4000, b"x");
        let by_channel = world.peer_got(addr(PEER)).is_some();
        ada.send(world, addr(PEER), b"x");
        let by_indication = world.peer_got(addr(PEER)).is_some();
        world.peer_sends(addr(PEER), relayed, b"x");
        [by_channel, by_indication, !world.take_sent().is_empty()]
    };
    world.revoked("g", "BOB");
    assert_eq!(reaches(&mut world, &mut ada), [true; 3], "CYD is still at that address");
    world.granted("g", "CYD", "9.9.9.9");
    assert_eq!(reaches(&mut world, &mut ada), [false; 3], "nobody is");
    assert_eq!(world.server.stats().discarded(Discard::PeerDenied), 3);
    assert_eq!(ada.bind(&mut world, 0x4000, addr(PEER)), 403);
}

#[test]
fn a_revoked_members_relayed_address_is_cut_off_at_once() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    let mut bob = member(&mut world, "198.51.100.8:1", "g", "BOB");
    ada.allocate(&mut world);
    let relayed_bob = bob.allocate(&mut world);
    ada.bind(&mut world, 0x4000, relayed_bob);
    world.revoked("g", "BOB");
    ada.send_channel(&mut world, 0x4000, b"x");
    assert!(world.take_sent().is_empty());
    assert_eq!(world.server.stats().discarded(Discard::PeerDenied), 1);
}

#[test]
fn a_closed_group_ends_all_its_allocations_and_no_other() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    ada.allocate(&mut world);
    member(&mut world, "198.51.100.8:1", "g", "BOB").allocate(&mut world);
    member(&mut world, "198.51.100.9:1", "other", "EVE").allocate(&mut world);
    Client::ada("198.51.100.10:1").allocate(&mut world);
    world.news(&closed("g"));
    assert_eq!(ended(&world), [EndReason::Revoked; 2]);
    assert_eq!(world.open_ports().len(), 2);
    assert_eq!(ada.allocate_with(&mut world, |_| ()).code(), 401);
    assert_eq!(world.server.stats().stored.members, 1 + 2, "g alone, and the other with EVE");
    world.granted("g", "ADA", "198.51.100.7");
    ada.allocate(&mut world);
}

#[test]
fn a_group_of_many_allocations_ends_in_turns_of_a_few() {
    let mut world = World::new();
    let mut clients: Vec<Client> = (0..60)
        .map(|n| member(&mut world, &format!("198.51.{n}.7:1"), "g", &format!("P{}", n % 20)))
        .collect();
    for client in &mut clients {
        client.allocate(&mut world);
    }
    world.news(&closed("g"));
    assert_eq!(world.open_ports().len(), 60 - 4);
    // Whoever is let in again before its turn keeps what it has.
    world.granted("g", "P9", "198.51.9.7");
    world.t(20);
    assert_eq!(world.open_ports().len(), 3);
}

#[test]
fn a_credential_revoked_while_its_port_is_being_opened_ends_with_it() {
    let mut world = World::new();
    world.ports = Ports::Wait;
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    ada.challenge(&mut world);
    let packet = ada.signed(Method::ALLOCATE, |builder| {
        builder.add(&RequestedTransport::UDP).unwrap();
    });
    assert!(ada.send_raw(&mut world, &packet).is_none());
    let port = world.open_ports()[0];
    world.revoked("g", "ADA");
    world.server.handle_port_opened(port, Ok(()), world.now);
    world.drain();
    assert_eq!(ended(&world), [EndReason::Revoked]);
    assert_eq!(world.open_ports(), []);
}

#[test]
fn a_granted_credential_that_runs_out_ends_its_allocation() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    ada.allocate(&mut world);
    ada.challenge(&mut world);
    for minute in 1..60 {
        world.t(minute * 60_000);
        assert_eq!(ada.refresh(&mut world, 3_600).code(), 0, "after {minute} min");
    }
    world.t(3_599_999);
    assert_eq!(world.open_ports().len(), 1);
    world.t(3_600_000);
    assert_eq!(ended(&world), [EndReason::CredentialExpired]);
    assert_eq!(world.open_ports(), []);
}

#[test]
fn what_is_known_of_groups_is_forgotten_when_their_credentials_have_run_out() {
    let mut world = World::new();
    world.granted("g", "ADA", "8.8.8.8");
    world.granted("g", "BOB", "8.8.4.4");
    world.revoked("g", "ADA");
    world.revoked("h", "EVE");
    world.granted("i", "CYD", "8.8.4.4");
    world.news(&closed("i"));
    assert_eq!(world.server.stats().stored.members, 3, "g with BOB, and that i was there");
    world.t(3_599_000);
    assert_eq!(world.server.stats().stored.members, 3);
    world.t(3_600_000);
    assert_eq!(world.server.stats().stored.members, 0);
    assert_eq!(world.server.poll_timeout(), None);
}

#[test]
fn what_runs_out_all_at_once_is_forgotten_in_turns() {
    let mut world = World::new();
    for n in 0..1_000 {
        world.granted(&format!("g{n}"), "ADA", &format!("8.8.{}.8", n % 50));
    }
    world.t(3_600_000);
    assert!((1..2_000).contains(&world.server.stats().stored.members));
    world.t(3_600_200);
    assert_eq!(world.server.stats().stored.members, 0);
}

#[test]
fn a_grant_names_one_group_and_one_member() {
    let mut world = World::new();
    let mut ada = member(&mut world, "198.51.100.7:1", "g", "ADA");
    ada.allocate(&mut world);
    world.news(&News::Revoked { group: GroupId::new("g.ADA"), peer: MemberId::new("") });
    world.revoked("other", "ADA");
    world.revoked("g", "ad");
    assert_eq!(ended(&world), []);
    assert_eq!(member(&mut world, "198.51.100.7:1", "g", "BOB").refresh(&mut world, 0).code(), 441);
}
