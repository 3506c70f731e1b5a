//! The client against somebody who is not its server: nothing forged is believed.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;
mod story;

use kit::{PEER, addr};
use story::{Story, ada};
use twocan_stun::attribute::{
    ChannelNumber, Data, ErrorReply, Lifetime, Nonce, Realm, XorPeerAddress, XorRelayedAddress,
};
use twocan_stun::{AttributeType, Builder, Class, ErrorCode, IntegrityKey, Message, Method, TransactionId};
use twocan_turn::client::{Discard, Event, Failure};

/// An answer to `request`, as somebody writes it who does not know the key.
fn answer(request: &[u8], class: Class, add: impl FnOnce(&mut Builder<'_>)) -> Vec<u8> {
    let request = Message::parse(request).unwrap();
    let mut buffer = [0; 512];
    let mut builder = Builder::new(&mut buffer, class, request.method(), request.transaction_id()).unwrap();
    add(&mut builder);
    builder.finish().to_vec()
}

/// A story in which the signed Allocate has just been sent.
fn signed() -> (Story, Vec<u8>) {
    let mut story = Story::new(ada());
    story.t(60);
    let request = story.sent.last().unwrap().clone();
    assert!(Message::parse(&request).unwrap().has_integrity());
    (story, request)
}

#[test]
fn an_unsigned_success_is_not_believed() {
    let (mut story, request) = signed();
    let forged = answer(&request, Class::Success, |builder| {
        builder.add(&XorRelayedAddress(addr("203.0.113.66:9"))).unwrap();
        builder.add(&Lifetime(600)).unwrap();
    });
    let now = story.world.now;
    assert!(matches!(story.client.handle_packet(&forged, now), Err(Discard::Integrity(_))));
    story.t(200);
    assert_eq!(story.client.relayed().unwrap().ip(), addr("192.0.2.5:0").ip(), "the true answer counts");
}

#[test]
fn a_success_signed_with_another_key_is_not_believed() {
    let (mut story, request) = signed();
    let request = Message::parse(&request).unwrap();
    let mut buffer = [0; 512];
    let mut builder = Builder::success(&mut buffer, &request).unwrap();
    builder.add(&XorRelayedAddress(addr("203.0.113.66:9"))).unwrap().add(&Lifetime(600)).unwrap();
    let key = IntegrityKey::long_term("ada", "twocan", "byron");
    let forged = builder.integrity(&key).unwrap().finish().to_vec();
    let now = story.world.now;
    assert!(matches!(story.client.handle_packet(&forged, now), Err(Discard::Integrity(_))));
}

#[test]
fn an_unsigned_error_is_not_believed_but_remembered_as_a_reason() {
    let (mut story, request) = signed();
    story.is_cut = true;
    let forged = answer(&request, Class::Error, |builder| {
        builder.add(&ErrorReply::bare(ErrorCode::ALLOCATION_QUOTA_REACHED)).unwrap();
    });
    story.deliver(&forged);
    assert_eq!(story.discards, 1);
    story.t(30_000);
    // The answer to the true request was cut off as well.
    story.is_cut = false;
    let last = *story.kinds().last().unwrap();
    let in_flight_won = matches!(last, Event::Allocated { .. });
    assert!(in_flight_won || last == Event::Failed(Failure::Unverified(ErrorCode::ALLOCATION_QUOTA_REACHED)));
}

#[test]
fn an_answer_to_another_request_is_not_taken() {
    let (mut story, request) = signed();
    let mut forged = answer(&request, Class::Success, |_| ());
    forged[19] ^= 1;
    let now = story.world.now;
    assert_eq!(story.client.handle_packet(&forged, now), Err(Discard::OtherTransaction));
}

#[test]
fn an_answer_with_what_must_be_understood_and_is_not_is_discarded() {
    let story = Story::new(ada());
    let forged = answer(&story.sent[0], Class::Error, |builder| {
        builder.add(&ErrorReply::bare(ErrorCode::UNAUTHENTICATED)).unwrap();
        builder.add(&Realm("twocan")).unwrap().add(&Nonce(b"n")).unwrap();
        builder.add_raw(AttributeType(0x7F00), b"?").unwrap();
    });
    let mut client = story.client;
    assert_eq!(client.handle_packet(&forged, story.world.now), Err(Discard::UnknownAttribute));
}

#[test]
fn a_challenge_without_a_nonce_is_discarded() {
    let story = Story::new(ada());
    let forged = answer(&story.sent[0], Class::Error, |builder| {
        builder.add(&ErrorReply::bare(ErrorCode::UNAUTHENTICATED)).unwrap();
        builder.add(&Realm("twocan")).unwrap();
    });
    let mut client = story.client;
    assert_eq!(client.handle_packet(&forged, story.world.now), Err(Discard::Missing));
}

#[test]
fn data_of_a_peer_that_was_not_asked_for_is_discarded() {
    let mut story = Story::new(ada());
    story.allocate();
    let now = story.world.now;
    let mut buffer = [0; 128];
    let mut builder =
        Builder::new(&mut buffer, Class::Indication, Method::DATA, TransactionId([1; 12])).unwrap();
    builder.add(&XorPeerAddress(addr(PEER))).unwrap().add(&Data(b"forged")).unwrap();
    let forged = builder.finish().to_vec();
    assert_eq!(story.client.handle_packet(&forged, now), Err(Discard::UnknownPeer));
    let channel_data = [0x40, 0x00, 0, 1, 7];
    assert_eq!(story.client.handle_packet(&channel_data, now), Err(Discard::UnknownChannel));
    assert_eq!(story.client.handle_packet(&[0x40, 0x00, 0, 2, 7], now), Err(Discard::ChannelData));
}

#[test]
fn requests_and_rubbish_are_discarded() {
    let mut story = Story::new(ada());
    let now = story.world.now;
    let request = story.sent[0].clone();
    assert_eq!(story.client.handle_packet(&request, now), Err(Discard::NotForAClient));
    for rubbish in [&b""[..], b"\0", b"\x16\xfe\xfd", &[0xFF; 40]] {
        assert!(story.client.handle_packet(rubbish, now).is_err());
    }
}

#[test]
fn a_relayed_address_that_is_none_is_a_bad_answer() {
    for relayed in ["0.0.0.0:5", "224.0.0.1:5", "203.0.113.5:0", "[2001:db8::1]:5"] {
        let mut story = Story::new(ada());
        // A server without authentication.
        let bad = answer(&story.sent[0].clone(), Class::Success, |builder| {
            builder.add(&XorRelayedAddress(addr(relayed))).unwrap().add(&Lifetime(600)).unwrap();
        });
        story.deliver(&bad);
        story.drain();
        assert_eq!(story.kinds(), [Event::Failed(Failure::BadAnswer)], "{relayed}");
    }
}

#[test]
fn a_channel_is_not_the_servers_to_bind() {
    let mut story = Story::new(ada());
    story.allocate();
    let mut buffer = [0; 128];
    let mut builder =
        Builder::new(&mut buffer, Class::Success, Method::CHANNEL_BIND, TransactionId([1; 12])).unwrap();
    builder.add(&ChannelNumber(0x4000)).unwrap();
    let forged = builder.finish().to_vec();
    let now = story.world.now;
    assert_eq!(story.client.handle_packet(&forged, now), Err(Discard::OtherTransaction));
}
