//! Any bytes: the parser and everything behind it must not panic, and must say the same thing twice.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twocan_fuzz::stun;
use twocan_stun::server::{ANSWER_LEN_MAX, answer_binding};
use twocan_stun::{Class, HEADER_LEN, Header, Message, Method, demux};

fuzz_target!(|bytes: &[u8]| {
    let protocol = demux::protocol(bytes);
    let Ok(message) = Message::parse(bytes) else { return };
    assert_eq!(Header::parse(bytes).map(|header| header.message_len()), Ok(bytes.len()));
    assert!(bytes[0] < 64 && protocol != Some(demux::Protocol::ChannelData), "the protocols do not overlap");

    let mut end = HEADER_LEN;
    for attribute in message.attributes() {
        assert!(attribute.offset >= end, "attributes do not overlap");
        end = attribute.offset + 4 + attribute.value.len();
        assert_eq!(bytes[attribute.offset + 4..end], *attribute.value);
        assert!(message.has(attribute.kind));
    }
    stun::decode_all(&message);
    let unknown = message.unknown_comprehension_required(&[]).count();
    assert!(unknown <= message.attributes().count());
    if message.verify_integrity(&stun::key()).is_ok() {
        assert!(message.has_integrity());
    }
    let _ = message.verify_fingerprint();

    let mut buffer = [0xAA; ANSWER_LEN_MAX];
    let is_binding_request = message.class() == Class::Request && message.method() == Method::BINDING;
    match answer_binding(&message, stun::ADDRESS, &mut buffer) {
        Ok(answer) => {
            assert!(is_binding_request);
            let answer = Message::parse(answer).expect("our own answer can be read");
            assert_eq!(answer.transaction_id(), message.transaction_id());
            assert!(matches!(answer.class(), Class::Success | Class::Error));
        }
        Err(_) => assert!(!is_binding_request || message.verify_fingerprint().is_err()),
    }
});
