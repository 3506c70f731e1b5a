//! Bytes that were made to hurt: cut, stretched, lying about their lengths, in the wrong order, too much of everything.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use twocan_stun::attribute::{Lifetime, Realm, Software, Username, XorPeerAddress};
use twocan_stun::{
    AttributeError, AttributeType, BuildError, Builder, Class, Header, IntegrityError, IntegrityKey, Message,
    Method, ParseError, TransactionId,
};

const ID: TransactionId = TransactionId(*b"transaction!");

fn key() -> IntegrityKey {
    IntegrityKey::short_term("swordfish")
}

/// A message with these attributes, whatever they are; its header's length is right.
fn message(attributes: &[(AttributeType, &[u8])]) -> Vec<u8> {
    let mut bytes = vec![0; 20];
    for (kind, value) in attributes {
        bytes.extend(kind.0.to_be_bytes());
        bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
        bytes.extend(*value);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    let attributes_len = u16::try_from(bytes.len() - 20).unwrap();
    let header =
        Header { class: Class::Request, method: Method::BINDING, attributes_len, transaction_id: ID };
    bytes[..20].copy_from_slice(&header.to_bytes());
    bytes
}

fn kinds(bytes: &[u8]) -> Vec<AttributeType> {
    Message::parse(bytes).unwrap().attributes().map(|attribute| attribute.kind).collect()
}

#[test]
fn a_message_cut_anywhere_is_truncated() {
    let bytes = common::vector("rfc5769_2_1_request");
    for len in 0..bytes.len() {
        assert_eq!(Message::parse(&bytes[..len]).unwrap_err(), ParseError::Truncated, "{len} bytes");
    }
}

#[test]
fn bytes_after_a_message_are_refused() {
    let mut bytes = common::vector("rfc5769_2_1_request");
    bytes.extend([0; 4]);
    assert_eq!(Message::parse(&bytes).unwrap_err(), ParseError::TrailingBytes);
}

#[test]
fn each_thing_that_is_no_stun_is_named() {
    let with = |at: usize, byte: u8| {
        let mut bytes = message(&[]);
        bytes[at] = byte;
        Message::parse(&bytes).unwrap_err()
    };
    assert_eq!(with(0, 0x80), ParseError::NotStun);
    assert_eq!(with(0, 0x40), ParseError::NotStun);
    assert_eq!(with(7, 0x43), ParseError::NoMagicCookie);
    for low_bits in 1..4 {
        assert_eq!(with(3, low_bits), ParseError::UnalignedLength);
    }
    assert_eq!(with(3, 4), ParseError::Truncated);
}

#[test]
fn an_attribute_that_reaches_beyond_the_message_is_refused() {
    for (len, right) in [(0_u16, true), (1, true), (4, true), (5, false), (8, false), (0xFFFF, false)] {
        let mut bytes = message(&[(AttributeType::SOFTWARE, b"abcd")]);
        bytes[22..24].copy_from_slice(&len.to_be_bytes());
        let parsed = Message::parse(&bytes);
        // A length of zero makes "abcd" the next attribute, of 25,444 bytes.
        match (len, right) {
            (0, _) | (_, false) => assert_eq!(parsed.unwrap_err(), ParseError::AttributeOverrun, "{len}"),
            _ => assert_eq!(parsed.unwrap().attributes().count(), 1, "{len}"),
        }
    }
}

#[test]
fn padding_is_not_looked_at() {
    let mut bytes = message(&[(AttributeType::USERNAME, b"bob")]);
    *bytes.last_mut().unwrap() = 0xFF;
    assert_eq!(Message::parse(&bytes).unwrap().get(), Ok(Some(Username("bob"))));
}

#[test]
fn nothing_after_integrity_counts_but_what_may_come_there() {
    let bytes = message(&[
        (AttributeType::USERNAME, b"bob"),
        (AttributeType::MESSAGE_INTEGRITY, &[0; 20]),
        (AttributeType::LIFETIME, &[0, 0, 0, 9]),
        (AttributeType::MESSAGE_INTEGRITY, &[1; 20]),
        (AttributeType::MESSAGE_INTEGRITY_SHA256, &[0; 32]),
        (AttributeType::MESSAGE_INTEGRITY_SHA256, &[1; 32]),
        (AttributeType::REALM, b"realm"),
        (AttributeType(0x7FFF), b""),
        (AttributeType::FINGERPRINT, &[0; 4]),
    ]);
    let expected = [
        AttributeType::USERNAME,
        AttributeType::MESSAGE_INTEGRITY,
        AttributeType::MESSAGE_INTEGRITY_SHA256,
        AttributeType::FINGERPRINT,
    ];
    assert_eq!(kinds(&bytes), expected);
    let parsed = Message::parse(&bytes).unwrap();
    assert_eq!(parsed.get::<Lifetime>(), Ok(None));
    assert_eq!(parsed.unknown_comprehension_required(&[AttributeType::USERNAME]).count(), 0);
    assert_eq!(parsed.attribute(AttributeType::MESSAGE_INTEGRITY).unwrap().value, [0; 20]);
}

#[test]
fn integrity_of_the_older_kind_does_not_count_after_the_newer() {
    let bytes = message(&[
        (AttributeType::MESSAGE_INTEGRITY_SHA256, &[0; 32]),
        (AttributeType::MESSAGE_INTEGRITY, &[0; 20]),
    ]);
    assert_eq!(kinds(&bytes), [AttributeType::MESSAGE_INTEGRITY_SHA256]);
}

#[test]
fn what_someone_appended_to_a_protected_message_changes_nothing() {
    let mut buffer = [0; 256];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::REFRESH, ID).unwrap();
    builder.add(&Lifetime(600)).unwrap();
    let mut bytes = builder.integrity(&key()).unwrap().finish().to_vec();
    bytes.extend([0x00, 0x0D, 0, 4, 0, 0, 0, 0]);
    let len = u16::try_from(bytes.len() - 20).unwrap();
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
    let parsed = Message::parse(&bytes).unwrap();
    assert_eq!(parsed.verify_integrity(&key()), Ok(()));
    assert_eq!(parsed.all::<Lifetime>().collect::<Vec<_>>(), [Ok(Lifetime(600))]);
}

#[test]
fn an_attribute_after_the_fingerprint_is_refused() {
    let bytes = message(&[(AttributeType::FINGERPRINT, &[0; 4]), (AttributeType::SOFTWARE, b"x")]);
    assert_eq!(Message::parse(&bytes).unwrap_err(), ParseError::AttributeAfterFingerprint);
}

#[test]
fn the_first_duplicate_wins_and_all_of_them_can_be_had() {
    let first = "192.0.2.1:1".parse().unwrap();
    let second = "[2001:db8::2]:2".parse().unwrap();
    let mut buffer = [0; 256];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::CREATE_PERMISSION, ID).unwrap();
    builder.add(&XorPeerAddress(first)).unwrap().add(&XorPeerAddress(second)).unwrap();
    let parsed = Message::parse(builder.finish()).unwrap();
    assert_eq!(parsed.get(), Ok(Some(XorPeerAddress(first))));
    let all: Vec<_> = parsed.all::<XorPeerAddress>().collect();
    assert_eq!(all, [Ok(XorPeerAddress(first)), Ok(XorPeerAddress(second))]);
}

#[test]
fn a_malformed_attribute_is_named() {
    let bytes = message(&[(AttributeType::LIFETIME, &[0; 3]), (AttributeType::USERNAME, &[0xFF])]);
    let parsed = Message::parse(&bytes).unwrap();
    assert_eq!(parsed.get::<Lifetime>(), Err(AttributeError(AttributeType::LIFETIME)));
    assert_eq!(parsed.get::<Username>(), Err(AttributeError(AttributeType::USERNAME)));
    assert_eq!(parsed.get::<Realm>(), Ok(None));
}

#[test]
fn unknown_attributes_that_must_be_understood_are_listed_in_order() {
    let bytes = message(&[
        (AttributeType(0x0003), &[0; 4]),
        (AttributeType::USERNAME, b"bob"),
        (AttributeType(0xC057), b"may be ignored"),
        (AttributeType(0x7FFF), b""),
    ]);
    let parsed = Message::parse(&bytes).unwrap();
    let unknown: Vec<_> = parsed.unknown_comprehension_required(&[AttributeType::USERNAME]).collect();
    assert_eq!(unknown, [AttributeType(0x0003), AttributeType(0x7FFF)]);
}

#[test]
fn integrity_of_another_length_is_wrong_even_at_the_end_of_the_longest_message() {
    // 4 + 65,524 bytes, then an attribute without a value: what it would protect fits no length field.
    let filler = vec![0; 65_524];
    for kind in [AttributeType::MESSAGE_INTEGRITY, AttributeType::MESSAGE_INTEGRITY_SHA256] {
        let bytes = message(&[(AttributeType::SOFTWARE, &filler), (kind, b"")]);
        assert_eq!(bytes.len(), 20 + 65_532);
        let parsed = Message::parse(&bytes).unwrap();
        assert_eq!(parsed.verify_integrity(&key()), Err(IntegrityError::Mismatch));
        for len in [0, 4, 16, 19, 21, 24, 31, 33, 36] {
            let bytes = message(&[(kind, &vec![0; len])]);
            let parsed = Message::parse(&bytes).unwrap();
            assert_eq!(parsed.verify_integrity(&key()), Err(IntegrityError::Mismatch));
        }
    }
}

#[test]
fn a_fingerprint_of_another_length_is_wrong() {
    for len in [0, 3, 5, 8] {
        let bytes = message(&[(AttributeType::FINGERPRINT, &vec![0; len])]);
        assert_eq!(Message::parse(&bytes).unwrap().verify_fingerprint(), Err(IntegrityError::Mismatch));
    }
}

#[test]
fn the_newer_integrity_is_the_one_that_counts() {
    let mut buffer = [0; 256];
    let builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, ID).unwrap();
    let builder = builder.integrity(&key()).unwrap().integrity_sha256(&key()).unwrap();
    let mut bytes = builder.fingerprint().unwrap().finish().to_vec();
    assert_eq!(Message::parse(&bytes).unwrap().verify_integrity(&key()), Ok(()));
    assert_eq!(Message::parse(&bytes).unwrap().verify_fingerprint(), Ok(()));
    let last_of_sha256 = bytes.len() - 8 - 1;
    bytes[last_of_sha256] ^= 1;
    assert_eq!(Message::parse(&bytes).unwrap().verify_integrity(&key()), Err(IntegrityError::Mismatch));
}

/// Builds a message of everything into so many bytes.
fn build(buffer: &mut [u8]) -> Result<usize, BuildError> {
    let mut builder = Builder::new(buffer, Class::Request, Method::BINDING, ID)?;
    builder.add(&Username("a"))?.add(&XorPeerAddress("[::1]:1".parse().unwrap()))?;
    let builder = builder.integrity(&key())?.integrity_sha256(&key())?.fingerprint()?;
    Ok(builder.finish().len())
}

#[test]
fn a_buffer_too_small_by_any_number_of_bytes_is_an_error() {
    let len = build(&mut [0; 256]).unwrap();
    assert_eq!(build(&mut vec![0; len]), Ok(len));
    for short in 0..len {
        assert_eq!(build(&mut vec![0; short]), Err(BuildError::NoRoom), "{short} of {len} bytes");
    }
}

#[test]
fn an_attribute_that_did_not_fit_leaves_the_message_as_it_was() {
    let mut buffer = [0; 32];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, ID).unwrap();
    builder.add(&Lifetime(1)).unwrap();
    assert_eq!(builder.add(&Software("too long")).unwrap_err(), BuildError::NoRoom);
    builder.add(&Username("")).unwrap();
    assert_eq!(kinds(builder.finish()), [AttributeType::LIFETIME, AttributeType::USERNAME]);
}

#[test]
fn a_message_longer_than_its_length_field_can_say_is_an_error() {
    let mut buffer = vec![0; 70_000];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, ID).unwrap();
    assert_eq!(builder.add_raw(AttributeType(0x8099), &[0; 65_529]).unwrap_err(), BuildError::NoRoom);
    builder.add_raw(AttributeType(0x8099), &[0; 65_508]).unwrap();
    assert_eq!(builder.integrity(&key()).unwrap_err(), BuildError::NoRoom);
}

#[test]
fn integrity_cannot_be_smuggled_in_as_a_raw_attribute() {
    let mut buffer = [0; 256];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, ID).unwrap();
    for kind in [
        AttributeType::MESSAGE_INTEGRITY,
        AttributeType::MESSAGE_INTEGRITY_SHA256,
        AttributeType::FINGERPRINT,
    ] {
        assert_eq!(builder.add_raw(kind, &[0; 20]).unwrap_err(), BuildError::Value(kind));
    }
}

#[test]
fn padding_is_zeroed_whatever_the_buffer_held_before() {
    for len in 0..8 {
        let mut buffer = [0xAA; 64];
        let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, ID).unwrap();
        builder.add(&Software(&"x".repeat(len))).unwrap();
        let bytes = builder.finish();
        assert!(bytes[24 + len..].iter().all(|&byte| byte == 0), "a name of {len} bytes");
    }
}
