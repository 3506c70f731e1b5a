//! A server with two addresses: from which of its four sockets it answers, to whom, and what.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;

use twocan_stun::alternate::{Alternate, Answer, NotAPair, Origin, Which};
use twocan_stun::attribute::{
    ChangeRequest, OtherAddress, Padding, ResponseOrigin, ResponsePort, XorMappedAddress,
};
use twocan_stun::{AttributeError, AttributeType, Builder, Class, Message, Method, TransactionId};

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn pair() -> Alternate {
    Alternate::new(address("192.0.2.1:3478"), address("192.0.2.2:3479")).unwrap()
}

const CLIENT: &str = "198.51.100.7:4000";

/// What is planned for a request that `fill` completes, sent to the primary address.
fn plan(fill: impl FnOnce(&mut Builder<'_>)) -> Result<Answer, AttributeError> {
    let mut buffer = [0; 3_000];
    let id = TransactionId([5; 12]);
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, id).unwrap();
    fill(&mut builder);
    let request = Message::parse(builder.finish()).unwrap();
    let at = Origin { ip: Which::Primary, port: Which::Primary };
    pair().plan(&request, at, address(CLIENT))
}

fn change(ip: bool, port: bool) -> Answer {
    plan(|request| _ = request.add(&ChangeRequest { ip, port }).unwrap()).unwrap()
}

#[test]
fn a_change_request_names_one_of_four_sockets() {
    assert_eq!(change(false, false).from, address("192.0.2.1:3478"));
    assert_eq!(change(false, true).from, address("192.0.2.1:3479"));
    assert_eq!(change(true, false).from, address("192.0.2.2:3478"));
    assert_eq!(change(true, true).from, address("192.0.2.2:3479"));
}

#[test]
fn each_of_the_four_sockets_is_known_by_its_address_and_no_other_is() {
    for origin in Origin::ALL {
        assert_eq!(pair().origin(pair().address(origin)), Some(origin));
        assert_eq!(
            origin
                .changed(ChangeRequest { ip: true, port: true })
                .changed(ChangeRequest { ip: true, port: true }),
            origin
        );
    }
    assert_eq!(pair().origin(address("192.0.2.3:3478")), None);
}

#[test]
fn a_response_port_changes_the_port_and_never_the_address() {
    let answer = plan(|request| _ = request.add(&ResponsePort(77)).unwrap()).unwrap();
    assert_eq!(answer.to, address("198.51.100.7:77"));
    let nowhere = plan(|request| _ = request.add(&ResponsePort(0)).unwrap());
    assert_eq!(nowhere, Err(AttributeError(AttributeType::RESPONSE_PORT)));
}

#[test]
fn padding_is_not_sent_to_another_port() {
    let both = plan(|request| {
        request.add(&Padding(&[0; 8])).unwrap().add(&ResponsePort(77)).unwrap();
    });
    assert_eq!(both, Err(AttributeError(AttributeType::PADDING)));
}

#[test]
fn the_answer_says_where_it_comes_from_and_where_else_to_ask() {
    let mut buffer = [0; 3_000];
    let id = TransactionId([5; 12]);
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, id).unwrap();
    builder.add(&ChangeRequest { ip: false, port: true }).unwrap().add(&Padding(&[9; 1_001])).unwrap();
    let request = Message::parse(builder.finish()).unwrap();
    let at = Origin { ip: Which::Alternate, port: Which::Primary };
    let answer = pair().plan(&request, at, address(CLIENT)).unwrap();
    let mut room = vec![0; answer.room()];
    let len = answer.write(&request, &mut room).unwrap();
    assert!(len <= request.as_bytes().len() + 72, "{len}");
    let message = Message::parse(&room[..len]).unwrap();
    assert_eq!((message.class(), message.transaction_id()), (Class::Success, id));
    assert_eq!(message.get(), Ok(Some(XorMappedAddress(address(CLIENT)))));
    assert_eq!(message.get(), Ok(Some(ResponseOrigin(address("192.0.2.2:3479")))));
    assert_eq!(message.get(), Ok(Some(OtherAddress(address("192.0.2.1:3479")))));
    assert_eq!(message.get(), Ok(Some(Padding(&[0; 1_001]))));
}

#[test]
fn two_addresses_that_share_a_part_are_no_pair() {
    let pair = |one, other| Alternate::new(address(one), address(other)).map(drop);
    assert_eq!(pair("192.0.2.1:3478", "192.0.2.1:3479"), Err(NotAPair::Ip));
    assert_eq!(pair("192.0.2.1:3478", "192.0.2.2:3478"), Err(NotAPair::Port));
    assert_eq!(pair("192.0.2.1:3478", "[2001:db8::1]:3479"), Err(NotAPair::Family));
    assert_eq!(pair("0.0.0.0:3478", "192.0.2.2:3479"), Err(NotAPair::Ip));
    assert_eq!(pair("192.0.2.1:3478", "192.0.2.2:0"), Err(NotAPair::Port));
}
