//! Our parser against the crate `stun-types`: both accept a message, and read the same in it, or both refuse. Where they
//! may differ stands here, with the reason; anything else is a finding.

#![no_main]

use libfuzzer_sys::fuzz_target;
use stun_types::attribute::Attribute;
use stun_types::message::{
    Message as TheirMessage, MessageClass, MessageIntegrityCredentials, ShortTermCredentials,
};
use twocan_fuzz::stun;
use twocan_stun::{AttributeType, Class, IntegrityError, Message, ParseError};

/// Type, offset and value of an attribute.
type Read = (u16, usize, Vec<u8>);

fuzz_target!(|bytes: &[u8]| {
    // Their offsets are 16 bits wide in places.
    if bytes.len() > 60_000 {
        return;
    }
    let theirs = TheirMessage::from_bytes(bytes);
    match (Message::parse(bytes), theirs) {
        (Ok(ours), Ok(theirs)) => assert_same(&ours, &theirs),
        (Ok(ours), Err(error)) => {
            // They verify FINGERPRINT while they parse; we do when we are asked.
            let fingerprint = ours.verify_fingerprint();
            assert_eq!(fingerprint, Err(IntegrityError::Mismatch), "only they refuse: {error}");
        }
        (Err(error), Ok(theirs)) => assert_refused_for_a_reason(error, &theirs),
        (Err(_), Err(_)) => {}
    }
});

fn assert_same(ours: &Message<'_>, theirs: &TheirMessage<'_>) {
    let class = match theirs.class() {
        MessageClass::Request => Class::Request,
        MessageClass::Indication => Class::Indication,
        MessageClass::Success => Class::Success,
        MessageClass::Error => Class::Error,
    };
    assert_eq!((ours.class(), ours.method().number()), (class, theirs.method().value()));
    let id = u128::from(theirs.transaction_id()).to_be_bytes();
    assert_eq!(ours.transaction_id().0, id[4..]);

    let our_attributes: Vec<Read> = ours
        .attributes()
        .map(|attribute| (attribute.kind.0, attribute.offset, attribute.value.to_vec()))
        .collect();
    let their_attributes = read(theirs);
    // Behind the first attribute to be ignored they stop; we go on to look for MESSAGE-INTEGRITY-SHA256 and FINGERPRINT
    // (RFC 8489 section 14.5: "with the exception of").
    assert!(our_attributes.starts_with(&their_attributes), "{our_attributes:?} {their_attributes:?}");
    let rest = &our_attributes[their_attributes.len()..];
    assert!(rest.iter().all(|(kind, _, _)| AttributeType(*kind).ends_a_message()), "{rest:?}");
    if !rest.is_empty() {
        assert!(their_attributes.iter().any(|(kind, _, _)| AttributeType(*kind).ends_a_message()));
        return;
    }
    // They verify a MESSAGE-INTEGRITY-SHA256 that was cut to 16 bytes or more; RFC 8489 section 14.6 leaves that to usages,
    // and neither TURN nor ICE allows it.
    let sha256 = ours.attribute(AttributeType::MESSAGE_INTEGRITY_SHA256);
    if sha256.is_some_and(|attribute| attribute.value.len() != 32) {
        return;
    }
    let credentials =
        MessageIntegrityCredentials::ShortTerm(ShortTermCredentials::new(stun::PASSWORD.to_owned()));
    assert_eq!(ours.verify_integrity(&stun::key()).is_ok(), theirs.validate_integrity(&credentials).is_ok());
}

/// What only we refuse.
fn assert_refused_for_a_reason(error: ParseError, theirs: &TheirMessage<'_>) {
    match error {
        // They read bytes after the message as if they were attributes, and lengths that are no multiple of four.
        ParseError::TrailingBytes | ParseError::UnalignedLength => {}
        // They stop at the first attribute to be ignored; what stands behind it is never looked at.
        ParseError::AttributeOverrun | ParseError::AttributeAfterFingerprint => {
            assert!(read(theirs).iter().any(|(kind, _, _)| AttributeType(*kind).ends_a_message()));
        }
        ParseError::Truncated | ParseError::NotStun | ParseError::NoMagicCookie => {
            panic!("only we refuse: {error}")
        }
    }
}

fn read(theirs: &TheirMessage<'_>) -> Vec<Read> {
    theirs
        .iter_attributes()
        .map(|(offset, attribute)| (attribute.get_type().value(), offset, attribute.value.to_vec()))
        .collect()
}
