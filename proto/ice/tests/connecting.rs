//! How two sides find each other: trickle in every order, roles, candidates nobody named, both families, TCP, loss.

mod world;

use std::time::Duration;

use twocan_ice::{Config, Event, Kind, PairReport, Role, State, TcpType, Transport};
use world::{A, B, Nat, NatKind, World, addr, ms};

fn two_public_hosts(seed: u64) -> World {
    let mut world = World::new(seed, ms(50));
    world.host(A, "198.51.100.10:5000", None);
    world.host(B, "198.51.100.20:5000", None);
    world
}

fn behind_routers(seed: u64, kind: NatKind) -> World {
    let mut world = World::new(seed, ms(50));
    for side in [A, B] {
        let lan = side as u8 + 1;
        world.net.nats.push(Nat::new(kind, &format!("203.0.113.{lan}"), lan));
        let socket = world.host(side, &format!("192.168.{lan}.2:5000"), Some(lan));
        world.reflexive(side, socket);
        world.relayed(side, &format!("198.51.100.9:{}", 50_000 + side), ms(5));
    }
    world
}

fn assert_agreed(world: &World) {
    let [a, b] = [A, B].map(|side| world.sides[side].agent.selected().expect("selected"));
    assert!(a.nominated && b.nominated);
    assert_eq!(world.states(), [State::Completed; 2]);
    assert_eq!((a.local_kind, a.remote_kind), (b.remote_kind, b.local_kind));
}

#[test]
fn states_are_told_in_order_and_each_once() {
    let mut world = two_public_hosts(1);
    assert_eq!(world.states(), [State::New; 2]);
    world.meet();
    world.run_for(ms(10_000));
    for side in &world.sides {
        let states: Vec<State> = side
            .events
            .iter()
            .filter_map(|(_, event)| match event {
                Event::StateChanged(state) => Some(*state),
                _ => None,
            })
            .collect();
        assert_eq!(states.first(), Some(&State::Checking));
        assert_eq!(states.last(), Some(&State::Completed));
        assert!(states.len() <= 3, "{states:?}");
    }
    assert_agreed(&world);
}

/// Every order in which the four things that signaling says can come, on the side that may lag.
#[test]
fn trickle_connects_in_every_order() {
    let orders = permutations(&[0, 1, 2, 3]);
    assert_eq!(orders.len(), 24);
    for order in orders {
        for lagging in [A, B] {
            let mut world = behind_routers(2, NatKind::PortRestricted);
            world.introduce(1 - lagging);
            for step in &order {
                world.run_for(ms(20));
                let candidates = world.sides[1 - lagging].candidates.clone();
                match step {
                    0 => world.tell_credentials(lagging),
                    1 => world.tell(lagging, candidates[0].clone()).unwrap(),
                    2 => world.tell(lagging, candidates[1].clone()).unwrap(),
                    _ => world.tell(lagging, candidates[2].clone()).unwrap(),
                }
            }
            world.end(lagging);
            world.run_for(ms(15_000));
            assert_agreed(&world);
            let selected = world.sides[A].agent.selected().unwrap();
            assert!(!selected.is_relayed(), "order {order:?}, {lagging} lags: {selected:?}");
        }
    }
}

fn permutations(items: &[u8]) -> Vec<Vec<u8>> {
    if items.is_empty() {
        return vec![Vec::new()];
    }
    let each = items.iter().flat_map(|first| {
        let rest: Vec<u8> = items.iter().copied().filter(|item| item != first).collect();
        permutations(&rest).into_iter().map(move |tail| [&[*first], tail.as_slice()].concat())
    });
    each.collect()
}

#[test]
fn local_candidates_may_come_after_the_remote_ones() {
    let mut world = World::new(3, ms(50));
    world.host(B, "198.51.100.20:5000", None);
    world.meet();
    world.run_for(ms(1_000));
    assert_eq!(world.sides[A].agent.selected(), None);
    let start = world.now;
    world.host(A, "198.51.100.10:5000", None);
    world.run_for(ms(500));
    assert_eq!(world.sides[A].usable_at(), Some(start + ms(50)));
    // B was never told of the candidate: it found it.
    assert_eq!(world.sides[B].agent.selected().unwrap().remote_kind, Kind::PeerReflexive);
}

#[test]
fn a_request_before_the_credentials_is_answered_at_once_and_checked_later() {
    let mut world = two_public_hosts(4);
    world.introduce(A);
    world.run_for(ms(60));
    assert_eq!(world.sides[A].usable_at(), Some(ms(50)));
    assert_eq!(world.sides[B].agent.selected(), None);
    assert!(!world.sides[B].agent.is_validated(world.net.ports[1].socket, addr("198.51.100.10:5000")));
    world.introduce(B);
    world.run_for(ms(60));
    assert_eq!(world.sides[B].usable_at(), Some(ms(60 + 50)));
}

#[test]
fn both_controlling_ends_with_one_of_each() {
    for role in [Role::Controlling, Role::Controlled] {
        for seed in 0..50 {
            let mut world = World::with(seed, ms(50), [role; 2], &Config::default());
            world.host(A, "198.51.100.10:5000", None);
            world.host(B, "198.51.100.20:5000", None);
            if seed % 2 == 0 {
                world.introduce(B);
                world.run_for(ms(25));
                world.introduce(A);
            } else {
                world.meet();
            }
            world.run_for(ms(15_000));
            assert_agreed(&world);
            let roles = [A, B].map(|side| world.sides[side].agent.role());
            assert_ne!(roles[0], roles[1], "both {role}, seed {seed}");
            let told = world.sides.iter().filter(|side| side.has(&Event::RoleChanged(role.other()))).count();
            assert_eq!(told, 1, "both {role}, seed {seed}");
        }
    }
}

#[test]
fn a_symmetric_router_is_met_through_a_peer_reflexive_candidate() {
    let mut world = World::new(6, ms(50));
    world.net.nats.push(Nat::new(NatKind::Symmetric, "203.0.113.1", 1));
    let socket = world.host(A, "192.168.1.2:5000", Some(1));
    world.reflexive(A, socket);
    world.host(B, "198.51.100.20:5000", None);
    world.meet();
    world.run_for(ms(10_000));
    assert_eq!(world.states(), [State::Completed; 2]);
    assert_eq!(world.sides[A].agent.selected().unwrap().local_kind, Kind::PeerReflexive);
    assert_eq!(world.sides[B].agent.selected().unwrap().remote_kind, Kind::PeerReflexive);
}

#[test]
fn a_candidate_named_late_says_what_a_peer_reflexive_one_is() {
    let mut world = two_public_hosts(7);
    world.introduce(A);
    world.tell_credentials(B);
    world.run_for(ms(100));
    assert_eq!(world.sides[B].agent.selected().unwrap().remote_kind, Kind::PeerReflexive);
    let candidate = world.sides[A].candidates[0].clone();
    world.tell(B, candidate).unwrap();
    assert_eq!(world.sides[B].agent.selected().unwrap().remote_kind, Kind::Host);
    world.run_for(ms(1));
    let told = |(_, event): &(Duration, Event)| {
        if let Event::Selected(selected) = event { Some(selected.remote_kind) } else { None }
    };
    assert_eq!(world.sides[B].events.iter().rev().find_map(told), Some(Kind::Host));
}

#[test]
fn two_homes_with_the_same_address_do_not_check_themselves() {
    let mut world = World::new(1, ms(50));
    for side in [A, B] {
        let lan = side as u8 + 1;
        world.net.nats.push(Nat::new(NatKind::Symmetric, &format!("203.0.113.{lan}"), lan));
        world.host(side, "192.168.1.2:5000", Some(lan));
        world.relayed(side, &format!("198.51.100.9:{}", 50_000 + side), ms(5));
    }
    world.meet();
    world.run_for(ms(5_000));
    assert_eq!(world.states(), [State::Connected; 2]);
    let own = addr("192.168.1.2:5000");
    for side in &world.sides {
        let report = side.agent.report();
        let own = |pair: &PairReport| pair.local_kind == Kind::Host && pair.remote == own;
        assert!(!report.pairs.iter().any(own), "{report:?}");
    }
}

#[test]
fn both_families_are_tried_and_a_dead_one_costs_nothing() {
    for dead in ["4", "6", "none"] {
        let mut world = World::new(8, ms(50));
        for (side, last) in [(A, 1), (B, 2)] {
            let v4 = world.host(side, &format!("198.51.100.{last}:5000"), None);
            let v6 = world.host(side, &format!("[2001:db8::{last}]:5000"), None);
            let down =
                |socket| move |port: &&mut world::net::Port| port.side == side && port.socket == socket;
            match dead {
                "4" => world.net.ports.iter_mut().filter(down(v4)).for_each(|port| port.up = false),
                "6" => world.net.ports.iter_mut().filter(down(v6)).for_each(|port| port.up = false),
                _ => {}
            }
        }
        world.meet();
        world.run_for(ms(15_000));
        assert_agreed(&world);
        assert_eq!(world.sides[A].usable_at(), Some(ms(50)), "dead: {dead}");
        let remote = world.sides[A].agent.selected().unwrap().remote;
        assert!(dead == "none" || remote.is_ipv4() == (dead == "6"));
        // Families never mix.
        assert_eq!(world.sides[A].agent.report().pairs.len(), 2);
    }
}

#[test]
fn tcp_connects_an_active_and_a_passive_side() {
    for (active, passive) in [(A, B), (B, A)] {
        let mut world = World::new(9, ms(50));
        world.tcp(active, "198.51.100.77:9", TcpType::Active);
        world.tcp(passive, "198.51.100.20:443", TcpType::Passive);
        world.meet();
        world.run_for(ms(30_000));
        assert_eq!(world.states(), [State::Completed; 2]);
        let selected = world.sides[active].agent.selected().unwrap();
        assert_eq!(selected.remote, addr("198.51.100.20:443"));
        assert_eq!(selected.transport, Transport::Tcp(TcpType::Active));
        // One round trip for the connection, one for the check.
        assert_eq!(world.sides[active].usable_at(), Some(ms(100)));
    }
}

#[test]
fn tcp_is_left_for_udp_and_closed() {
    let mut world = two_public_hosts(10);
    world.tcp(A, "198.51.100.77:9", TcpType::Active);
    world.tcp(B, "198.51.100.20:443", TcpType::Passive);
    world.meet();
    world.run_for(ms(60_000));
    assert_eq!(world.sides[A].agent.selected().unwrap().transport, Transport::Udp);
    assert_eq!(world.states(), [State::Completed; 2]);
}

#[test]
fn a_tcp_connection_that_cannot_be_opened_fails_its_pair_alone() {
    let mut world = two_public_hosts(11);
    world.tcp(A, "198.51.100.77:9", TcpType::Active);
    world.tcp(B, "198.51.100.20:443", TcpType::Passive);
    world.net.ports.retain(|port| port.address.port() != 443);
    world.meet();
    world.run_for(ms(10_000));
    assert_eq!(world.states(), [State::Completed; 2]);
}

#[test]
fn direct_is_used_even_if_the_relay_answers_first() {
    let mut world = World::new(12, ms(50));
    for (side, last) in [(A, 1), (B, 2)] {
        world.relayed(side, &format!("198.51.100.9:{}", 50_000 + side), Duration::ZERO);
        let _ = last;
    }
    world.meet();
    world.run_for(ms(100));
    assert!(world.sides[A].agent.selected().unwrap().is_relayed());
    for (side, last) in [(A, 1), (B, 2)] {
        world.host(side, &format!("198.51.100.{last}:5000"), None);
        let candidate = world.sides[side].candidates.last().unwrap().clone();
        world.tell(1 - side, candidate).unwrap();
    }
    world.run_for(ms(10_000));
    assert_agreed(&world);
    for side in &world.sides {
        assert!(!side.agent.selected().unwrap().is_relayed());
        // Relayed, nominated; direct, nominated. Nothing more.
        assert!(side.selections() <= 4, "{:?}", side.events);
    }
}

#[test]
fn a_relay_by_udp_takes_over_from_those_by_streams() {
    use twocan_ice::RelayProtocol::{Tcp, Tls, Udp};
    let mut world = World::new(13, ms(50));
    let mut used = Vec::new();
    for (at, protocol) in [Tls, Tcp, Udp].into_iter().enumerate() {
        let sockets = [A, B].map(|side| {
            // The better it is, the slower: all the same to it.
            let address = format!("198.51.100.9:{}", 50_000 + 10 * at + side);
            world.relayed_by(protocol, side, &address, ms(2 * at as u64))
        });
        if at == 0 {
            world.meet();
        }
        for side in [A, B] {
            let candidate = world.sides[side].candidates.last().unwrap().clone();
            world.tell(1 - side, candidate).unwrap();
        }
        world.run_for(ms(300));
        used.push((world.sides[A].agent.selected().unwrap().socket, sockets[A]));
    }
    assert!(used.iter().all(|(selected, newest)| selected == newest), "{used:?}");
    world.run_for(ms(10_000));
    assert_agreed(&world);
}

#[test]
fn every_one_of_a_thousand_lossy_worlds_connects() {
    for seed in 0..1_000 {
        let mut world = behind_routers(seed, NatKind::PortRestricted);
        world.loss = [100, 200, 300][seed as usize % 3];
        world.introduce(B);
        world.run_for(ms(25));
        world.introduce(A);
        let connected = world.run_until_usable(ms(20_000));
        assert!(connected, "seed {seed}, {} of 1000 lost:\n{}", world.loss, world.sides[A].agent.report());
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    let trace = |seed| {
        let mut world = behind_routers(seed, NatKind::PortRestricted);
        world.loss = 200;
        world.meet();
        world.run_for(ms(40_000));
        world.sides.map(|side| (side.sent, side.events))
    };
    assert_eq!(trace(5), trace(5));
    assert_ne!(trace(5), trace(6));
}

/// Both behind routers, where the controlled side opens its own NAT before its checks go all the way.
fn opening() -> World {
    let mut world = behind_routers(1, NatKind::PortRestricted);
    world.sides[B].agent.set_opening(true);
    world
}

#[test]
fn an_opener_goes_to_each_reflexive_address_once_and_the_answering_check_waits_for_nothing() {
    // Theirs follow 10 ms later, when our NAT lets them in.
    let live = |mut world: World| {
        world.introduce(B);
        world.run_for(ms(10));
        world.introduce(A);
        world.run_for(ms(10_000));
        assert_agreed(&world);
        world
    };
    let world = live(opening());
    let reflexive = |(_, to): &(_, std::net::SocketAddr)| to.ip().to_string() == "203.0.113.1";
    let openers = &world.sides[B].openers;
    assert_eq!(openers.len(), 1, "{openers:?}");
    assert!(openers.iter().all(reflexive), "{openers:?}");
    assert!(world.sides[A].openers.is_empty());
    let plain = live(behind_routers(1, NatKind::PortRestricted));
    for side in [A, B] {
        assert_eq!(world.sides[side].usable_at(), plain.sides[side].usable_at(), "side {side}");
    }
}

#[test]
fn where_no_check_comes_ours_goes_all_the_way_150_ms_after_its_opener() {
    let mut world = opening();
    // The other side has not heard of us yet.
    world.introduce(B);
    world.run_for(ms(400));
    let (at, to) = world.sides[B].openers[0];
    let socket = world.sides[B].sent.iter().find(|sent| (sent.0, sent.2) == (at, to)).unwrap().1;
    let later: Vec<_> = world.sides[B]
        .sent
        .iter()
        .filter(|sent| (sent.1, sent.2) == (socket, to) && sent.0 > at)
        .map(|sent| sent.0 - at)
        .collect();
    assert_eq!(later.first(), Some(&ms(150)), "{later:?}");
    world.introduce(A);
    world.run_for(ms(10_000));
    assert_agreed(&world);
}

#[test]
fn an_opener_is_for_reflexive_addresses_over_ipv4_alone() {
    let mut world = two_public_hosts(1);
    world.sides[A].agent.set_opening(true);
    world.meet();
    world.run_for(ms(1_000));
    assert_agreed(&world);
    assert!(world.sides[A].openers.is_empty());
}
