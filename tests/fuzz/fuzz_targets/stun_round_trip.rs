//! What can be read can be written, and is then read as the same: message by message and attribute by attribute.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twocan_fuzz::stun;
use twocan_stun::{Builder, IntegrityKey, Message};

fuzz_target!(|bytes: &[u8]| {
    let Ok(message) = Message::parse(bytes) else { return };
    let mut buffer = vec![0xAA; bytes.len() + 100];
    stun::write_all_again(&message, &mut buffer);

    let key = IntegrityKey::long_term("user", "realm", stun::PASSWORD);
    let (class, method, id) = (message.class(), message.method(), message.transaction_id());
    let mut builder = Builder::new(&mut buffer, class, method, id).expect("there is room for a header");
    for attribute in message.attributes().filter(|attribute| !attribute.kind.ends_a_message()) {
        builder.add_raw(attribute.kind, attribute.value).expect("it fitted before");
    }
    // Room for the three that end a message is only missing in the longest ones.
    let Ok(builder) = builder.integrity(&key) else { return };
    let Ok(builder) = builder.integrity_sha256(&key) else { return };
    let Ok(builder) = builder.fingerprint() else { return };

    let again = Message::parse(builder.finish()).expect("our own message can be read");
    assert_eq!((again.class(), again.method(), again.transaction_id()), (class, method, id));
    let values = |message: Message<'_>| -> Vec<(u16, Vec<u8>)> {
        message
            .attributes()
            .filter(|attribute| !attribute.kind.ends_a_message())
            .map(|attribute| (attribute.kind.0, attribute.value.to_vec()))
            .collect()
    };
    assert_eq!(values(again), values(message));
    assert_eq!(again.verify_integrity(&key), Ok(()));
    assert_eq!(again.verify_fingerprint(), Ok(()));
    assert!(again.verify_integrity(&stun::key()).is_err());
});
