//! A Binding request and its short answer (RFC 8489 section 6.3).

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::SocketAddr;

use twocan_stun::attribute::{ErrorReply, Priority, Software, UnknownAttributes, Username, XorMappedAddress};
use twocan_stun::server::{ANSWER_LEN_MAX, Discard, answer_binding};
use twocan_stun::{AttributeType, Builder, Class, ErrorCode, IntegrityKey, Message, Method, TransactionId};

const ID: TransactionId = TransactionId([5; 12]);

fn bare(class: Class, method: Method) -> Vec<u8> {
    let mut buffer = [0; 20];
    Builder::new(&mut buffer, class, method, ID).unwrap().finish().to_vec()
}

fn answer(request: &[u8], from: &str) -> Result<Vec<u8>, Discard> {
    let mut buffer = [0xAA; ANSWER_LEN_MAX];
    let from: SocketAddr = from.parse().unwrap();
    answer_binding(&Message::parse(request).unwrap(), from, &mut buffer).map(<[u8]>::to_vec)
}

#[test]
fn the_answer_has_32_bytes_over_ipv4_and_44_over_ipv6() {
    for (from, len) in [("192.0.2.7:40000", 32), ("[2001:db8::7]:40000", 44)] {
        let bytes = answer(&bare(Class::Request, Method::BINDING), from).unwrap();
        assert_eq!(bytes.len(), len);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!((message.class(), message.method()), (Class::Success, Method::BINDING));
        assert_eq!(message.transaction_id(), ID);
        assert_eq!(message.get(), Ok(Some(XorMappedAddress(from.parse().unwrap()))));
    }
}

#[test]
fn only_requests_for_binding_are_answered() {
    for class in [Class::Indication, Class::Success, Class::Error] {
        assert_eq!(answer(&bare(class, Method::BINDING), "192.0.2.7:1"), Err(Discard::NotARequest));
    }
    assert_eq!(answer(&bare(Class::Request, Method::ALLOCATE), "192.0.2.7:1"), Err(Discard::OtherMethod));
}

#[test]
fn what_ice_sends_and_credentials_that_nobody_asked_for_are_no_reason_to_refuse() {
    let mut buffer = [0; 256];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, ID).unwrap();
    builder.add(&Username("a:b")).unwrap().add(&Priority(1)).unwrap().add(&Software("x")).unwrap();
    let key = IntegrityKey::short_term("never checked");
    let builder = builder.integrity(&key).unwrap().integrity_sha256(&key).unwrap().fingerprint().unwrap();
    assert_eq!(answer(builder.finish(), "192.0.2.7:1").unwrap().len(), 32);
}

#[test]
fn a_wrong_fingerprint_is_not_answered() {
    let mut buffer = [0; 64];
    let builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, ID).unwrap();
    let bytes = builder.fingerprint().unwrap().finish();
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(answer(bytes, "192.0.2.7:1"), Err(Discard::WrongFingerprint));
}

#[test]
fn unknown_attributes_are_listed_in_a_420_that_is_never_longer_than_its_buffer() {
    for count in [1, 2, 16, 17, 100] {
        let mut buffer = [0; 1_000];
        let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, ID).unwrap();
        let kinds: Vec<_> = (0..count).map(|n| AttributeType(0x4000 + n)).collect();
        for &kind in &kinds {
            builder.add_raw(kind, b"").unwrap();
        }
        let bytes = answer(builder.finish(), "192.0.2.7:1").unwrap();
        assert!(bytes.len() <= ANSWER_LEN_MAX);
        let message = Message::parse(&bytes).unwrap();
        assert_eq!(message.class(), Class::Error);
        assert_eq!(message.get(), Ok(Some(ErrorReply::bare(ErrorCode::UNKNOWN_ATTRIBUTE))));
        let listed = message.get::<UnknownAttributes>().unwrap().unwrap();
        assert!(listed.iter().eq(kinds.into_iter().take(UnknownAttributes::MAX_WRITTEN)));
    }
}

#[test]
fn a_buffer_too_small_is_said_so() {
    let request = bare(Class::Request, Method::BINDING);
    let request = Message::parse(&request).unwrap();
    let from = "192.0.2.7:1".parse().unwrap();
    for len in 0..32 {
        assert_eq!(answer_binding(&request, from, &mut vec![0; len]), Err(Discard::NoRoom));
    }
}
