//! Every limit of an attribute's length, reached from both sides, when writing and when reading.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use twocan_stun::attribute::{
    AddressErrorCode, AlternateDomain, Data, ErrorReply, Family, Icmp, Nonce, Realm, Software,
    UnknownAttributes, Username,
};
use twocan_stun::{
    Attribute, AttributeType, BuildError, Builder, Class, ErrorCode, Message, Method, TransactionId,
};

const ID: TransactionId = TransactionId([3; 12]);

/// Whether a value can be written.
fn written<'a>(attribute: &impl Attribute<'a>) -> Result<(), BuildError> {
    let mut buffer = vec![0; 80_000];
    let mut builder = Builder::new(&mut buffer, Class::Request, Method::BINDING, ID).unwrap();
    builder.add(attribute).map(|_| ())
}

/// Whether a value of so many bytes, all alike, is read.
fn read<A: for<'a> Attribute<'a>>(len: usize) -> bool {
    A::decode(&vec![b'x'; len], &ID).is_some()
}

macro_rules! assert_limit {
    ($name:ident, $max:literal, $value:expr) => {
        assert_eq!($name::MAX_LEN, $max);
        assert_eq!(written(&$name($value($max))), Ok(()), "longest {}", stringify!($name));
        assert_eq!(written(&$name($value($max + 1))), Err(BuildError::Value(<$name as Attribute>::TYPE)));
        assert!($name::decode(&vec![b'x'; $max], &ID).is_some());
        assert!($name::decode(&vec![b'x'; $max + 1], &ID).is_none());
    };
}

#[test]
fn text_and_bytes_end_at_their_longest() {
    let text = "x".repeat(1_000);
    assert_limit!(Username, 508, |len| &text[..len]);
    assert_limit!(Realm, 763, |len| &text[..len]);
    assert_limit!(Software, 763, |len| &text[..len]);
    assert_limit!(AlternateDomain, 255, |len| &text[..len]);
    assert_limit!(Nonce, 763, |len| &text.as_bytes()[..len]);
}

#[test]
fn data_ends_where_a_message_does() {
    let bytes = vec![0; 65_535];
    assert_eq!(Data::MAX_LEN, 65_528);
    assert_eq!(written(&Data(&bytes[..65_528])), Ok(()));
    assert_eq!(written(&Data(&bytes[..65_529])), Err(BuildError::Value(AttributeType::DATA)));
}

#[test]
fn a_reason_ends_at_763_bytes() {
    let text = "x".repeat(764);
    let reply = |len: usize| ErrorReply { code: ErrorCode::BAD_REQUEST, reason: &text[..len] };
    assert_eq!(written(&reply(763)), Ok(()));
    assert_eq!(written(&reply(764)), Err(BuildError::Value(AttributeType::ERROR_CODE)));
    let address = |len: usize| AddressErrorCode {
        family: Family::V6,
        code: ErrorCode::ADDRESS_FAMILY_NOT_SUPPORTED,
        reason: &text[..len],
    };
    assert_eq!(written(&address(763)), Ok(()));
    assert_eq!(written(&address(764)), Err(BuildError::Value(AttributeType::ADDRESS_ERROR_CODE)));
    let on_the_wire = |len| [&[0, 0, 4, 0], vec![b'x'; len].as_slice()].concat();
    assert!(ErrorReply::decode(&on_the_wire(763), &ID).is_some());
    assert!(ErrorReply::decode(&on_the_wire(764), &ID).is_none());
    assert!(AddressErrorCode::decode(&on_the_wire(763), &ID).is_some());
    assert!(AddressErrorCode::decode(&on_the_wire(764), &ID).is_none());
}

#[test]
fn an_error_code_lies_between_300_and_699() {
    for number in [0, 299, 700, u16::MAX] {
        assert_eq!(ErrorCode::new(number), None);
    }
    for number in 300..=699 {
        assert_eq!(ErrorCode::new(number).map(ErrorCode::number), Some(number));
    }
    let decode =
        |class, number| ErrorReply::decode(&[0, 0, class, number], &ID).map(|reply| reply.code.number());
    assert_eq!(decode(4, 20), Some(420));
    assert_eq!(decode(0xFC, 20), Some(420), "the bits above the hundreds are reserved");
    assert_eq!((decode(2, 99), decode(7, 0), decode(4, 100)), (None, None, None));
}

#[test]
fn an_icmp_type_has_seven_bits_and_a_code_nine() {
    let icmp = |kind, code| Icmp { kind, code, data: 1 };
    assert_eq!(written(&icmp(127, 511)), Ok(()));
    assert_eq!(written(&icmp(128, 0)), Err(BuildError::Value(AttributeType::ICMP)));
    assert_eq!(written(&icmp(0, 512)), Err(BuildError::Value(AttributeType::ICMP)));
}

#[test]
fn no_more_than_sixteen_unknown_attributes_are_listed() {
    let many: Vec<_> = (1..=17).map(AttributeType).collect();
    assert_eq!(UnknownAttributes::new(&many[..16]).iter().count(), 16);
    let mut buffer = [0; 128];
    let mut builder = Builder::new(&mut buffer, Class::Error, Method::BINDING, ID).unwrap();
    builder.add(&UnknownAttributes::new(&many)).unwrap();
    let message = Message::parse(builder.finish()).unwrap();
    let listed = message.get::<UnknownAttributes>().unwrap().unwrap();
    assert!(listed.iter().eq(many[..16].iter().copied()));
}

#[test]
fn values_of_a_fixed_length_have_no_other() {
    use twocan_stun::attribute::{
        AdditionalAddressFamily, ChannelNumber, DontFragment, EvenPort, IceControlled, IceControlling,
        Lifetime, Priority, RequestedAddressFamily, RequestedTransport, ReservationToken, UseCandidate,
        Userhash,
    };
    for len in 0..40 {
        assert_eq!(read::<UseCandidate>(len), len == 0);
        assert_eq!(read::<DontFragment>(len), len == 0);
        assert_eq!(read::<EvenPort>(len), len == 1);
        assert_eq!(read::<Lifetime>(len), len == 4);
        assert_eq!(read::<Priority>(len), len == 4);
        assert_eq!(read::<ChannelNumber>(len), len == 4);
        assert_eq!(read::<RequestedTransport>(len), len == 4);
        assert_eq!(read::<RequestedAddressFamily>(len), len == 4);
        assert_eq!(read::<AdditionalAddressFamily>(len), len == 4);
        assert_eq!(read::<ReservationToken>(len), len == 8);
        assert_eq!(read::<IceControlled>(len), len == 8);
        assert_eq!(read::<IceControlling>(len), len == 8);
        assert_eq!(read::<Icmp>(len), len == 8);
        assert_eq!(read::<Userhash>(len), len == 32);
    }
}

#[test]
fn an_address_is_as_long_as_its_family_says() {
    use twocan_stun::attribute::{MappedAddress, XorMappedAddress};
    for family in 0..=255 {
        for len in 0..24 {
            let mut value = vec![0; len];
            if let Some(place) = value.get_mut(1) {
                *place = family;
            }
            let right = (family == 1 && len == 8) || (family == 2 && len == 20);
            assert_eq!(
                XorMappedAddress::decode(&value, &ID).is_some(),
                right,
                "family {family}, {len} bytes"
            );
            assert_eq!(MappedAddress::decode(&value, &ID).is_some(), right, "family {family}, {len} bytes");
        }
    }
}
