//! RFC 5769's messages, and the one of RFC 8489 appendix B: read, verified, and written again.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::net::SocketAddr;

use twocan_stun::attribute::{
    Algorithm, IceControlled, Nonce, PasswordAlgorithm, Priority, Realm, Software, Userhash, Username,
    XorMappedAddress,
};
use twocan_stun::{
    AttributeType, Builder, Class, IntegrityError, IntegrityKey, Message, Method, TransactionId,
};

const SHORT_TERM_ID: TransactionId =
    TransactionId([0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae]);
const LONG_TERM_ID: TransactionId =
    TransactionId([0x78, 0xad, 0x34, 0x33, 0xc6, 0xad, 0x72, 0xc0, 0x29, 0xda, 0x41, 0x2e]);
const LONG_TERM_USERNAME: &str = "マトリックス";

fn short_term_key() -> IntegrityKey {
    IntegrityKey::short_term("VOkJxbRl1RmTxUk/WvJxBt")
}

/// The padding of RFC 5769 sections 2.1 to 2.3 is spaces; ours is zeros, and so both checksums differ. All else is the
/// same.
fn assert_same_but_padding(ours: &[u8], theirs: &[u8]) {
    let (ours, theirs) = (Message::parse(ours).unwrap(), Message::parse(theirs).unwrap());
    assert_eq!(ours.as_bytes().len(), theirs.as_bytes().len());
    assert_eq!(
        (ours.class(), ours.method(), ours.transaction_id()),
        (theirs.class(), theirs.method(), theirs.transaction_id())
    );
    let checksums = [AttributeType::MESSAGE_INTEGRITY, AttributeType::FINGERPRINT];
    for (a, b) in ours.attributes().zip(theirs.attributes()) {
        assert_eq!((a.kind, a.offset, a.value.len()), (b.kind, b.offset, b.value.len()));
        assert!(a.value == b.value || checksums.contains(&a.kind), "{} differs", a.kind);
    }
}

#[test]
fn rfc_5769_2_1_a_request() {
    let bytes = common::vector("rfc5769_2_1_request");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Request, Method::BINDING));
    assert_eq!(message.transaction_id(), SHORT_TERM_ID);
    assert_eq!(message.get(), Ok(Some(Software("STUN test client"))));
    assert_eq!(message.get(), Ok(Some(Priority(0x6e00_01ff))));
    assert_eq!(message.get(), Ok(Some(IceControlled(0x932f_f9b1_5126_3b36))));
    assert_eq!(message.get(), Ok(Some(Username("evtj:h6vY"))));
    assert_eq!(message.verify_integrity(&short_term_key()), Ok(()));
    assert_eq!(message.verify_fingerprint(), Ok(()));
    assert_eq!(message.verify_integrity(&IntegrityKey::short_term("wrong")), Err(IntegrityError::Mismatch));

    let mut buffer = [0; 200];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, SHORT_TERM_ID).unwrap();
    builder.add(&Software("STUN test client")).unwrap();
    builder.add(&Priority(0x6e00_01ff)).unwrap();
    builder.add(&IceControlled(0x932f_f9b1_5126_3b36)).unwrap();
    builder.add(&Username("evtj:h6vY")).unwrap();
    let ours = builder.integrity(&short_term_key()).unwrap().fingerprint().unwrap().finish();
    assert_same_but_padding(ours, &bytes);
}

fn assert_response(name: &str, mapped: &str) {
    let mapped: SocketAddr = mapped.parse().unwrap();
    let bytes = common::vector(name);
    let message = Message::parse(&bytes).unwrap();
    assert_eq!((message.class(), message.method()), (Class::Success, Method::BINDING));
    assert_eq!(message.transaction_id(), SHORT_TERM_ID);
    assert_eq!(message.get(), Ok(Some(Software("test vector"))));
    assert_eq!(message.get(), Ok(Some(XorMappedAddress(mapped))));
    assert_eq!(message.verify_integrity(&short_term_key()), Ok(()));
    assert_eq!(message.verify_fingerprint(), Ok(()));

    let mut buffer = [0; 200];
    let mut builder = Builder::new(&mut buffer, Class::Success, Method::BINDING, SHORT_TERM_ID).unwrap();
    builder.add(&Software("test vector")).unwrap().add(&XorMappedAddress(mapped)).unwrap();
    let ours = builder.integrity(&short_term_key()).unwrap().fingerprint().unwrap().finish();
    assert_same_but_padding(ours, &bytes);
}

#[test]
fn rfc_5769_2_2_a_response_over_ipv4() {
    assert_response("rfc5769_2_2_response_ipv4", "192.0.2.1:32853");
}

#[test]
fn rfc_5769_2_3_a_response_over_ipv6() {
    assert_response("rfc5769_2_3_response_ipv6", "[2001:db8:1234:5678:11:2233:4455:6677]:32853");
}

#[test]
fn rfc_5769_2_4_a_request_with_a_long_term_credential() {
    let bytes = common::vector("rfc5769_2_4_long_term");
    let key = IntegrityKey::long_term(LONG_TERM_USERNAME, "example.org", "TheMatrIX");
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.get(), Ok(Some(Username(LONG_TERM_USERNAME))));
    assert_eq!(message.get(), Ok(Some(Nonce(b"f//499k954d6OL34oL9FSTvy64sA"))));
    assert_eq!(message.get(), Ok(Some(Realm("example.org"))));
    assert_eq!(message.verify_integrity(&key), Ok(()));
    assert_eq!(message.verify_fingerprint(), Err(IntegrityError::Missing));

    let mut buffer = [0xAA; 200];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, LONG_TERM_ID).unwrap();
    builder.add(&Username(LONG_TERM_USERNAME)).unwrap();
    builder.add(&Nonce(b"f//499k954d6OL34oL9FSTvy64sA")).unwrap();
    builder.add(&Realm("example.org")).unwrap();
    assert_eq!(builder.integrity(&key).unwrap().finish(), bytes, "byte for byte: its padding is zeros");
}

#[test]
fn rfc_8489_b_1_a_request_with_sha256_and_a_userhash() {
    let bytes = common::vector("rfc8489_b_1_erratum_6268");
    let key = IntegrityKey::long_term_sha256(LONG_TERM_USERNAME, "example.org", "TheMatrIX");
    let nonce = Nonce(b"obMatJos2AAACf//499k954d6OL34oL9FSTvy64sA");
    let algorithm = PasswordAlgorithm { algorithm: Algorithm::SHA256, parameters: &[] };
    let message = Message::parse(&bytes).unwrap();
    assert_eq!(message.get(), Ok(Some(Userhash::of(LONG_TERM_USERNAME, "example.org"))));
    assert_eq!(message.get(), Ok(Some(nonce)));
    assert_eq!(message.get(), Ok(Some(Realm("example.org"))));
    assert_eq!(message.get(), Ok(Some(algorithm)));
    assert_eq!(message.verify_integrity(&key), Ok(()));

    let mut buffer = [0xAA; 200];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, LONG_TERM_ID).unwrap();
    builder.add(&Userhash::of(LONG_TERM_USERNAME, "example.org")).unwrap();
    builder.add(&nonce).unwrap().add(&Realm("example.org")).unwrap().add(&algorithm).unwrap();
    assert_eq!(builder.integrity_sha256(&key).unwrap().finish(), bytes, "byte for byte");
}

#[test]
fn changing_any_protected_bit_of_a_vector_breaks_it() {
    let bytes = common::vector("rfc5769_2_4_long_term");
    let key = IntegrityKey::long_term(LONG_TERM_USERNAME, "example.org", "TheMatrIX");
    for bit in 0..bytes.len() * 8 {
        let mut changed = bytes.clone();
        changed[bit / 8] ^= 1 << (bit % 8);
        let Ok(message) = Message::parse(&changed) else { continue };
        assert!(message.verify_integrity(&key).is_err(), "bit {bit}");
    }
}
