//! Any text: the reader of client frames must not panic; what it read can be written, and is read as the same; names
//! are read as they are written.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use serde_json::value::RawValue;
use serde_json::{from_str, to_string};
use twocan_lobby::wire::{ClientFrame, ParseError, parse};
use twocan_lobby::{AppName, GroupId, LobbyCode, PeerId};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    names(text);
    match parse(text) {
        Ok(frame) => {
            assert!(from_str::<&RawValue>(text.trim()).is_ok(), "JSON");
            let again = write(&frame);
            let frame_again = parse(&again).unwrap_or_else(|error| panic!("{error:?}: {again}"));
            assert_eq!((frame_again.id, frame_again.ack), (frame.id, frame.ack));
            assert_eq!(write(&frame_again), again);
        }
        Err(ParseError::UnknownType { id } | ParseError::Fields { id } | ParseError::Value { id, .. }) => {
            let fields: BTreeMap<String, &RawValue> = from_str(text).expect("its number was read");
            let read = fields.get("id").map_or(Ok(0), |id| from_str(id.get()));
            assert_eq!(read.expect("a number"), id);
        }
        Err(ParseError::TooLong | ParseError::NotAFrame) => {}
    }
});

/// The frame as a client would say it.
fn write(frame: &ClientFrame<'_>) -> String {
    let message = to_string(&frame.message).expect("a message is JSON");
    let fields = message.strip_prefix('{').expect("an object");
    let ack = frame.ack.map(|ack| format!("\"ack\":{ack},")).unwrap_or_default();
    format!("{{\"id\":{},{ack}{fields}", frame.id)
}

fn names(text: &str) {
    if let Some(code) = LobbyCode::parse(text) {
        assert_eq!(LobbyCode::parse(code.as_str()), Some(code));
        assert!(code.as_str().eq_ignore_ascii_case(text));
    }
    if let Some(peer) = PeerId::parse(text) {
        assert_eq!(peer.as_str(), text);
    }
    if let Some(group) = GroupId::parse(text) {
        assert_eq!(group.as_str(), text);
    }
    if let Some(app) = AppName::parse(text) {
        assert_eq!(app.as_str(), text);
    }
}
