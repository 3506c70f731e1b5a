//! Behaviour discovery (RFC 5780): a server with two addresses, and one without.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod kit;

use std::net::SocketAddr;

use kit::{Client, LISTENER, Sent, World, addr};
use twocan_stun::alternate::Alternate;
use twocan_stun::attribute::{
    ChangeRequest, OtherAddress, Padding, ResponseOrigin, ResponsePort, XorMappedAddress,
};
use twocan_stun::{Builder, Class, ErrorCode, Message, Method, Open};
use twocan_turn::{ClientAddr, Discard, OriginAddr, Rate, Transport, Via};

const FROM: &str = "198.51.100.7:4000";
const ALTERNATE: &str = "192.0.2.6:3479";

fn world() -> World {
    World::with(|config| {
        config.discovery = vec![Alternate::new(addr(LISTENER), addr(ALTERNATE)).unwrap()];
    })
}

/// What is sent for a Binding request from `FROM` to `local`.
fn ask_at(
    world: &mut World,
    (local, transport): (&str, Transport),
    fill: impl FnOnce(&mut Builder<'_, Open>),
) -> Option<Sent> {
    let mut client = Client::ada(FROM);
    client.addr = ClientAddr { remote: addr(FROM), local: addr(local), transport };
    let packet = client.bare(Class::Request, Method::BINDING, fill);
    world.take_sent();
    world.client_sends(&client, &packet);
    let mut sent = world.take_sent();
    assert!(sent.len() <= 1, "at most one answer");
    sent.pop()
}

fn ask(world: &mut World, fill: impl FnOnce(&mut Builder<'_, Open>)) -> Sent {
    ask_at(world, (LISTENER, Transport::Udp), fill).unwrap()
}

fn from_to(from: &str, to: &str) -> Via {
    Via::Discovery(OriginAddr(addr(from)), addr(to))
}

fn address<'a, A: twocan_stun::Attribute<'a>>(
    message: &Message<'a>,
    of: impl Fn(A) -> SocketAddr,
) -> SocketAddr {
    of(message.get::<A>().unwrap().unwrap())
}

#[test]
fn every_answer_names_both_addresses_of_a_server_that_has_two() {
    let sent = ask(&mut world(), |_| ());
    assert_eq!(sent.via, from_to(LISTENER, FROM));
    let answer = Message::parse(&sent.bytes).unwrap();
    assert_eq!(address(&answer, |XorMappedAddress(it)| it), addr(FROM));
    assert_eq!(address(&answer, |ResponseOrigin(it)| it), addr(LISTENER));
    assert_eq!(address(&answer, |OtherAddress(it)| it), addr(ALTERNATE));
    assert_eq!(sent.bytes.len(), 56);
}

#[test]
fn the_answer_leaves_from_the_socket_that_was_asked_for() {
    for (ip, port, from) in
        [(false, true, "192.0.2.5:3479"), (true, false, "192.0.2.6:3478"), (true, true, "192.0.2.6:3479")]
    {
        let sent = ask(&mut world(), |builder| _ = builder.add(&ChangeRequest { ip, port }).unwrap());
        assert_eq!(sent.via, from_to(from, FROM));
    }
}

#[test]
fn each_of_the_four_listeners_answers() {
    for (local, other) in [
        ("192.0.2.5:3478", "192.0.2.6:3479"),
        ("192.0.2.5:3479", "192.0.2.6:3478"),
        ("192.0.2.6:3478", "192.0.2.5:3479"),
        ("192.0.2.6:3479", "192.0.2.5:3478"),
    ] {
        let sent = ask_at(&mut world(), (local, Transport::Udp), |_| ()).unwrap();
        assert_eq!(sent.via, from_to(local, FROM));
        let answer = Message::parse(&sent.bytes).unwrap();
        assert_eq!(address(&answer, |OtherAddress(it)| it), addr(other));
    }
}

#[test]
fn an_answer_goes_to_another_port_and_never_to_another_address() {
    let sent = ask(&mut world(), |builder| _ = builder.add(&ResponsePort(9)).unwrap());
    assert_eq!(sent.via, from_to(LISTENER, "198.51.100.7:9"));
    let answer = Message::parse(&sent.bytes).unwrap();
    assert_eq!(address(&answer, |XorMappedAddress(it)| it), addr(FROM));
}

#[test]
fn padding_to_a_port_of_somebody_elses_choice_is_400() {
    let sent = ask(&mut world(), |builder| {
        builder.add(&ResponsePort(9)).unwrap().add(&Padding(&[0; 64])).unwrap();
    });
    assert_eq!(sent.via, Via::Client(Client::ada(FROM).addr));
    assert_eq!(kit::Reply { bytes: sent.bytes }.code(), ErrorCode::BAD_REQUEST.number());
}

#[test]
fn a_connection_is_answered_as_if_there_were_one_address() {
    let mut world = world();
    let sent = ask_at(&mut world, (LISTENER, Transport::Tcp), |_| ()).unwrap();
    assert_eq!(sent.bytes.len(), 32);
    let change = ChangeRequest { ip: true, port: true };
    let sent = ask_at(&mut world, (LISTENER, Transport::Tcp), |builder| _ = builder.add(&change).unwrap());
    assert_eq!(kit::Reply { bytes: sent.unwrap().bytes }.code(), 420);
}

#[test]
fn a_server_with_one_address_refuses_all_of_it() {
    let mut world = World::new();
    let sent = ask(&mut world, |builder| _ = builder.add(&ResponsePort(9)).unwrap());
    assert_eq!(kit::Reply { bytes: sent.bytes }.code(), 420);
    let sent = ask(&mut world, |builder| _ = builder.add(&Padding(&[0; 64])).unwrap());
    assert_eq!(kit::Reply { bytes: sent.bytes }.code(), 420);
    assert_eq!(ask(&mut world, |_| ()).bytes.len(), 32);
}

#[test]
fn discovery_is_metered_like_every_answer_to_somebody_unproved() {
    let mut world = World::with(|config| {
        config.discovery = vec![Alternate::new(addr(LISTENER), addr(ALTERNATE)).unwrap()];
        let rate = Rate { per_second: 2, burst: 4 };
        (config.limits.answers, config.limits.answers_local) = (rate, rate);
    });
    let change = ChangeRequest { ip: true, port: true };
    let answered = (0..20)
        .filter(|_| {
            let fill = |builder: &mut Builder<'_, Open>| _ = builder.add(&change).unwrap();
            ask_at(&mut world, (LISTENER, Transport::Udp), fill).is_some()
        })
        .count();
    assert_eq!(answered, 4);
    assert_eq!(world.server.stats().discarded(Discard::AnswerRate), 16);
    assert_eq!(world.server.stats().stored.entries(), 0);
}
