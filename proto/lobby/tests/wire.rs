//! The wire: round trips, tolerance, strictness, and the examples of `docs/protocol.md`.

#![allow(clippy::unwrap_used)] // what is not there fails the test

use proptest::prelude::*;
use serde_json::{Value, json};
use twocan_lobby::wire::{ClientMessage, ErrorCode, ParseError, parse, word};

#[test]
fn every_client_message_survives_reading_and_writing() {
    for text in [
        r#"{"type":"hello","app":"chess"}"#,
        r#"{"type":"hello","app":"chess","resume":{"session":"Zk3","seq":41}}"#,
        r#"{"type":"create","public":true,"size":2,"password":"p","data":{"map":"dust"},"me":{"name":"Ada"}}"#,
        r#"{"type":"join","code":"ed84","password":"hunter2","me":{}}"#,
        r#"{"type":"quick","filter":{"map":"dust"},"size":4,"data":{},"me":{}}"#,
        r#"{"type":"list","filter":{"map":"dust"},"watch":true}"#,
        r#"{"type":"unwatch"}"#,
        r#"{"type":"update","data":{},"public":false,"locked":true}"#,
        r#"{"type":"kick","peer":"K2V8RT4N"}"#,
        r#"{"type":"leave"}"#,
        r#"{"type":"seal"}"#,
        r#"{"type":"return","ticket":"a.b","me":{}}"#,
        r#"{"type":"signal","to":"7HRK2M9D","kind":"candidate","class":"srflx","data":{"candidate":"x"}}"#,
        r#"{"type":"signal","to":"7HRK2M9D","kind":"end-of-candidates"}"#,
        r#"{"type":"linked","peer":"7HRK2M9D","path":"direct","local":"host","remote":"srflx","ms":212}"#,
        r#"{"type":"failed","peer":"7HRK2M9D","reason":"turn-rejected"}"#,
        r#"{"type":"ping"}"#,
    ] {
        let id = u64::from(!text.contains("hello"));
        let mut value: Value = serde_json::from_str(text).unwrap();
        value["id"] = id.into();
        value["ack"] = 43.into();
        let framed = value.to_string();
        let frame = parse(&framed).unwrap();
        assert_eq!((frame.id, frame.ack), (id, Some(43)), "{text}");
        let written = serde_json::to_value(&frame.message).unwrap();
        assert_eq!(written, serde_json::from_str::<Value>(text).unwrap());
    }
}

#[test]
fn fields_that_nobody_knows_are_ignored() {
    let frame = parse(r#"{"new":{"a":[1,2]},"type":"leave","id":4,"later":null}"#).unwrap();
    assert!(matches!(frame.message, ClientMessage::Leave));
}

#[test]
fn escapes_in_names_are_read() {
    let frame = parse(r#"{"type":"jo\u0069n","id":4,"code":"\u0045D84","password":"\"\u00e9"}"#).unwrap();
    let ClientMessage::Join(join) = frame.message else { panic!() };
    assert_eq!((&*join.code, join.password.as_deref()), ("ED84", Some("\"é")));
}

#[test]
fn what_cannot_be_read_says_how_far_it_could_be() {
    for (text, error) in [
        ("", ParseError::NotAFrame),
        ("null", ParseError::NotAFrame),
        (r#"["leave",1]"#, ParseError::NotAFrame),
        (r#"{"id":1}"#, ParseError::NotAFrame),
        (r#"{"type":"leave"}"#, ParseError::NotAFrame),
        (r#"{"type":"leave","id":0}"#, ParseError::NotAFrame),
        (r#"{"type":"leave","id":-1}"#, ParseError::NotAFrame),
        (r#"{"type":"leave","id":1.5}"#, ParseError::NotAFrame),
        (r#"{"type":"leave","id":"1"}"#, ParseError::NotAFrame),
        (r#"{"type":"leave","id":1} x"#, ParseError::NotAFrame),
        (r#"{"type":"leave","id":1,"id":2}"#, ParseError::NotAFrame),
        (r#"{"type":"dance","id":7}"#, ParseError::UnknownType { id: 7 }),
        (r#"{"type":"join","id":7}"#, ParseError::Fields { id: 7 }),
        (r#"{"type":"join","id":7,"code":5}"#, ParseError::Fields { id: 7 }),
        (r#"{"type":"create","id":7,"size":"2"}"#, ParseError::Fields { id: 7 }),
        (r#"{"type":"failed","id":7,"peer":"x","reason":"bored"}"#, ParseError::Fields { id: 7 }),
        (r#"{"type":"signal","id":7,"to":"x","kind":"gossip"}"#, ParseError::Fields { id: 7 }),
        (r#"{"type":"create","id":7,"size":1}"#, ParseError::Value { id: 7, limit: "size is 2 to 64" }),
    ] {
        assert_eq!(parse(text).err(), Some(error), "{text}");
    }
}

#[test]
fn every_word_of_the_protocol_is_in_the_document() {
    let document = include_str!("../../../docs/protocol.md");
    for code in [
        ErrorCode::BadMessage,
        ErrorCode::BadValue,
        ErrorCode::NotFound,
        ErrorCode::Full,
        ErrorCode::Locked,
        ErrorCode::Sealed,
        ErrorCode::AlreadyInLobby,
        ErrorCode::NotInLobby,
        ErrorCode::NotOwner,
        ErrorCode::NoSuchPeer,
        ErrorCode::NoLink,
        ErrorCode::Alone,
        ErrorCode::BadTicket,
        ErrorCode::RateLimited,
        ErrorCode::TooManyLobbies,
        ErrorCode::ShuttingDown,
    ] {
        assert!(document.contains(&format!("`{}`", word(&code))), "{code:?}");
    }
}

#[test]
fn every_client_example_of_the_document_can_be_read() {
    let document = include_str!("../../../docs/protocol.md");
    let mut read = 0;
    for line in document.lines().filter(|line| line.starts_with('{')) {
        let Ok(value) = serde_json::from_str::<Value>(line) else { continue };
        let id = value["id"].as_u64();
        if id.is_none() || !value["seq"].is_null() {
            continue; // what the server says
        }
        assert!(parse(line).is_ok(), "{line}");
        read += 1;
    }
    assert!(read >= 6, "{read}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in ".{0,200}") {
        let _ = parse(&text);
    }

    #[test]
    fn no_object_makes_the_reader_panic_and_data_stays_the_same_text(
        kind in "(create|join|quick|update|signal|return|linked|hello)",
        key in "(data|me|filter|size|password|code|to|kind|peer|ms|ticket|resume)",
        value in r#"[0-9a-z"{}\[\]:,.\\ -]{0,40}"#,
        id in any::<u64>(),
    ) {
        let text = format!(r#"{{"type":"{kind}","id":{id},"{key}":{value}}}"#);
        if let Ok(frame) = parse(&text)
            && let ClientMessage::Create(create) = frame.message
            && let Some(data) = create.data
        {
            prop_assert_eq!(data.get(), value.trim());
        }
    }

    #[test]
    fn data_comes_out_as_it_went_in(members in proptest::collection::btree_map("[a-z]{1,8}", any::<f64>(), 0..20)) {
        let data = json!(members).to_string();
        let text = format!(r#"{{"type":"create","id":1,"data":{data}}}"#);
        let frame = parse(&text).unwrap();
        let ClientMessage::Create(create) = frame.message else { panic!() };
        prop_assert_eq!(create.data.unwrap().get(), data);
    }
}

/// A signal that begins with its type is read in one pass, any other in two: what comes of it must be the same.
#[test]
fn a_signal_is_read_the_same_wherever_its_type_stands() {
    let fields = [
        r#""id":7,"ack":3,"to":"p1","kind":"candidate","class":"srflx","data":{"a":[1,"\"}"]}"#,
        r#""id":7,"to":"p\u0031","kind":"end-of-candidates""#,
        r#""id":7,"ack":null,"to":"p1","kind":"candidate","class":null,"data":null"#,
        r#""id":7,"to":"p1","kind":"description","data":[1],"unknown":{"type":"x"}"#,
        r#""id":7,"to":"p1","kind":"description","type":"ping""#,
        r#""id":7,"to":"p1","kind":"description","kind":"description""#,
        r#""id":0,"to":"p1","kind":"description""#,
        r#""id":18446744073709551615,"to":"p1","kind":"description""#,
        r#""id":7,"to":1,"kind":"description""#,
        r#""id":7,"to":"p1","kind":"nothing""#,
        r#""id":7,"to":"p1""#,
        r#""id":7.5,"to":"p1","kind":"description""#,
        r#""to":"p1","kind":"description""#,
        r#""id":7,"to":"p1","kind":"description","data":{"#,
    ];
    for fields in fields {
        let first = format!(r#"{{"type":"signal",{fields}}}"#);
        let last = format!(r#"{{{fields},"type":"signal"}}"#);
        assert_eq!(format!("{:?}", parse(&first)), format!("{:?}", parse(&last)), "{fields}");
    }
}
