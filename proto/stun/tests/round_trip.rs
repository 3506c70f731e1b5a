//! What is written is read again: every attribute, and messages of several, by property.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::net::{IpAddr, SocketAddr};

use proptest::collection::vec;
use proptest::prelude::*;
use twocan_stun::attribute::*;
use twocan_stun::{Builder, Class, ErrorCode, IntegrityKey, Message, Method, TransactionId};

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![Just(Class::Request), Just(Class::Indication), Just(Class::Success), Just(Class::Error)]
}

fn method() -> impl Strategy<Value = Method> {
    (0_u16..=0x0FFF).prop_map(|number| Method::new(number).unwrap())
}

fn address() -> impl Strategy<Value = SocketAddr> {
    (any::<IpAddr>(), any::<u16>()).prop_map(|(ip, port)| SocketAddr::new(ip, port))
}

fn error_code() -> impl Strategy<Value = ErrorCode> {
    (300_u16..700).prop_map(|number| ErrorCode::new(number).unwrap())
}

fn text(max: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 0..max / 4).prop_map(|characters| characters.into_iter().collect())
}

/// Writes one attribute, checks the message around it, and reads it again.
macro_rules! assert_round_trip {
    ($id:expr, $name:ty, $attribute:expr) => {{
        let attribute: $name = $attribute;
        let mut buffer = vec![0xAA; 2_000];
        let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, $id).unwrap();
        builder.add(&attribute).unwrap();
        let message = Message::parse(builder.finish()).unwrap();
        prop_assert_eq!(message.attributes().count(), 1);
        prop_assert_eq!(message.get::<$name>(), Ok(Some(attribute)));
    }};
}

proptest! {
    #[test]
    fn addresses_are_read_as_they_were_written(id: [u8; 12], address in address()) {
        let id = TransactionId(id);
        assert_round_trip!(id, MappedAddress, MappedAddress(address));
        assert_round_trip!(id, XorMappedAddress, XorMappedAddress(address));
        assert_round_trip!(id, XorPeerAddress, XorPeerAddress(address));
        assert_round_trip!(id, XorRelayedAddress, XorRelayedAddress(address));
        assert_round_trip!(id, AlternateServer, AlternateServer(address));
        assert_round_trip!(id, OtherAddress, OtherAddress(address));
        assert_round_trip!(id, ResponseOrigin, ResponseOrigin(address));
    }

    #[test]
    fn text_is_read_as_it_was_written(short in text(255), middle in text(508), long in text(763)) {
        let id = TransactionId([0; 12]);
        assert_round_trip!(id, AlternateDomain, AlternateDomain(&short));
        assert_round_trip!(id, Username, Username(&middle));
        assert_round_trip!(id, Realm, Realm(&long));
        assert_round_trip!(id, Software, Software(&long));
    }

    #[test]
    fn bytes_are_read_as_they_were_written(long in vec(any::<u8>(), 0..=763), token: [u8; 8], hash: [u8; 32]) {
        let id = TransactionId([0; 12]);
        assert_round_trip!(id, Nonce, Nonce(&long));
        assert_round_trip!(id, Data, Data(&long));
        assert_round_trip!(id, Padding, Padding(&long));
        assert_round_trip!(id, ReservationToken, ReservationToken(token));
        assert_round_trip!(id, Userhash, Userhash(hash));
        let algorithm = PasswordAlgorithm { algorithm: Algorithm(7), parameters: &long };
        assert_round_trip!(id, PasswordAlgorithm, algorithm);
    }

    #[test]
    fn numbers_and_flags_are_read_as_they_were_written(
        byte: u8, short: u16, middle: u32, long: u64, reserve_next: bool, ip: bool, port: bool,
    ) {
        let id = TransactionId([0; 12]);
        assert_round_trip!(id, ChannelNumber, ChannelNumber(short));
        assert_round_trip!(id, Lifetime, Lifetime(middle));
        assert_round_trip!(id, Priority, Priority(middle));
        assert_round_trip!(id, IceControlled, IceControlled(long));
        assert_round_trip!(id, IceControlling, IceControlling(long));
        assert_round_trip!(id, RequestedTransport, RequestedTransport(byte));
        assert_round_trip!(id, RequestedAddressFamily, RequestedAddressFamily(Family(byte)));
        assert_round_trip!(id, AdditionalAddressFamily, AdditionalAddressFamily(Family(byte)));
        assert_round_trip!(id, EvenPort, EvenPort { reserve_next });
        assert_round_trip!(id, ChangeRequest, ChangeRequest { ip, port });
        assert_round_trip!(id, ResponsePort, ResponsePort(short));
        assert_round_trip!(id, DontFragment, DontFragment);
        assert_round_trip!(id, UseCandidate, UseCandidate);
        assert_round_trip!(id, Icmp, Icmp { kind: byte & 0x7F, code: short & 0x1FF, data: middle });
    }

    #[test]
    fn errors_are_read_as_they_were_written(
        code in error_code(), family: u8, reason in text(763), kinds in vec(any::<u16>(), 0..=16),
    ) {
        let id = TransactionId([0; 12]);
        assert_round_trip!(id, ErrorReply, ErrorReply { code, reason: &reason });
        assert_round_trip!(id, AddressErrorCode, AddressErrorCode { family: Family(family), code, reason: &reason });
        let kinds: Vec<_> = kinds.into_iter().map(AttributeType).collect();
        assert_round_trip!(id, UnknownAttributes, UnknownAttributes::new(&kinds));
    }

    #[test]
    fn a_whole_message_is_read_as_it_was_written(
        class in class(), method in method(), id: [u8; 12],
        attributes in vec((0x8100_u16..0xC000, vec(any::<u8>(), 0..40)), 0..20),
        password in text(200), sha1: bool, sha256: bool, fingerprint: bool,
    ) {
        let key = IntegrityKey::short_term(&password);
        let mut buffer = vec![0xAA; 4_000];
        let mut builder = Builder::new(&mut buffer, class, method, TransactionId(id)).unwrap();
        for (kind, value) in &attributes {
            builder.add_raw(AttributeType(*kind), value).unwrap();
        }
        let bytes: &[u8] = match (sha1, sha256, fingerprint) {
            (false, false, false) => builder.finish(),
            (false, false, true) => builder.fingerprint().unwrap().finish(),
            (true, false, false) => builder.integrity(&key).unwrap().finish(),
            (true, false, true) => builder.integrity(&key).unwrap().fingerprint().unwrap().finish(),
            (false, true, false) => builder.integrity_sha256(&key).unwrap().finish(),
            (false, true, true) => builder.integrity_sha256(&key).unwrap().fingerprint().unwrap().finish(),
            (true, true, false) => builder.integrity(&key).unwrap().integrity_sha256(&key).unwrap().finish(),
            (true, true, true) => builder
                .integrity(&key).unwrap().integrity_sha256(&key).unwrap().fingerprint().unwrap().finish(),
        };
        let message = Message::parse(bytes).unwrap();
        prop_assert_eq!((message.class(), message.method()), (class, method));
        prop_assert_eq!(message.transaction_id(), TransactionId(id));
        let read: Vec<_> = message
            .attributes()
            .filter(|attribute| !attribute.kind.ends_a_message())
            .map(|attribute| (attribute.kind.0, attribute.value.to_vec()))
            .collect();
        prop_assert_eq!(read, attributes);
        prop_assert_eq!(message.has_integrity(), sha1 || sha256);
        prop_assert_eq!(message.verify_integrity(&key).is_ok(), sha1 || sha256);
        prop_assert_eq!(message.verify_fingerprint().is_ok(), fingerprint);
        prop_assert!(message.verify_integrity(&IntegrityKey::short_term("another")).is_err());
    }

    #[test]
    fn no_bytes_make_the_parser_panic(bytes in vec(any::<u8>(), 0..200)) {
        let _ = Message::parse(&bytes);
        let mut likely = bytes;
        if likely.len() >= 20 {
            likely[0] &= 0x3F;
            likely[4..8].copy_from_slice(&[0x21, 0x12, 0xA4, 0x42]);
            likely.truncate(likely.len() / 4 * 4);
            let len = (likely.len() - 20) as u16;
            likely[2..4].copy_from_slice(&len.to_be_bytes());
            if let Ok(message) = Message::parse(&likely) {
                let _ = message.verify_integrity(&IntegrityKey::short_term("password"));
            }
        }
    }
}

#[test]
fn the_offered_password_algorithms_are_read_as_they_were_written() {
    let mut buffer = [0; 128];
    let id = TransactionId([0; 12]);
    let mut builder = Builder::new(&mut buffer, Class::Error, Method::ALLOCATE, id).unwrap();
    builder.add(&PasswordAlgorithms::SHA256_THEN_MD5).unwrap();
    let message = Message::parse(builder.finish()).unwrap();
    let offered = message.get::<PasswordAlgorithms>().unwrap().unwrap();
    let numbers: Vec<_> = offered.iter().map(|entry| (entry.algorithm, entry.parameters.len())).collect();
    assert_eq!(numbers, [(Algorithm::SHA256, 0), (Algorithm::MD5, 0)]);
}

#[test]
fn an_error_may_come_with_the_usual_reason_or_none() {
    let with = ErrorReply::with_reason(ErrorCode::STALE_NONCE);
    assert_eq!((with.code.number(), with.reason), (438, "Stale Nonce"));
    assert_eq!(ErrorReply::bare(ErrorCode::STALE_NONCE).reason, "");
}

#[test]
fn a_response_port_is_read_from_two_bytes_as_from_four() {
    for (value, read) in [
        (&[0x0D, 0x96][..], Some(3478)),
        (&[0x0D, 0x96, 0, 0], Some(3478)),
        (&[0x0D], None),
        (&[0, 0, 0x0D, 0x96, 0], None),
    ] {
        let mut buffer = [0; 64];
        let mut builder =
            Builder::new(&mut buffer, Class::Request, Method::BINDING, TransactionId([0; 12])).unwrap();
        builder.add_raw(AttributeType::RESPONSE_PORT, value).unwrap();
        let message = Message::parse(builder.finish()).unwrap();
        assert_eq!(message.get().ok().flatten().map(|ResponsePort(port)| port), read, "{value:?}");
    }
}
