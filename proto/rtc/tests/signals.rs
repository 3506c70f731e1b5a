//! Signals as JSON: W3C's dictionaries, and the `kind` and `data` of docs/protocol.md.

use twocan_rtc::sdp::Kind;
use twocan_rtc::{CandidateInit, Description, Signal};

fn json(signal: &Signal) -> String {
    serde_json::to_string(signal).expect("a signal can be written")
}

fn signal(json: &str) -> Signal {
    serde_json::from_str(json).expect("this is a signal")
}

#[test]
fn a_description_is_written_as_browsers_write_it() {
    let offer = Signal::Description(Description { kind: Kind::Offer, sdp: "v=0\r\n".into(), offer: None });
    let text = r#"{"kind":"description","data":{"type":"offer","sdp":"v=0\r\n"}}"#;
    assert_eq!(json(&offer), text);
    assert_eq!(signal(text), offer);
    assert_eq!((offer.kind(), offer.class()), ("description", None));
}

#[test]
fn an_answer_says_to_which_offer() {
    let text = r#"{"kind":"description","data":{"type":"answer","sdp":"v=0\r\n","offer":7}}"#;
    let answer =
        Signal::Description(Description { kind: Kind::Answer, sdp: "v=0\r\n".into(), offer: Some(7) });
    assert_eq!(signal(text), answer);
    let Signal::Description(description) = &answer else { unreachable!() };
    let with_offer = serde_json::to_string(&description.with_offer()).unwrap();
    assert_eq!(with_offer, r#"{"type":"answer","sdp":"v=0\r\n","offer":7}"#);
    // Where it may go to anybody it has W3C's members alone.
    assert_eq!(json(&answer), r#"{"kind":"description","data":{"type":"answer","sdp":"v=0\r\n"}}"#);
}

#[test]
fn a_candidate_is_written_as_browsers_write_it() {
    let init = CandidateInit {
        candidate: "candidate:1 1 udp 1 192.0.2.1 9 typ srflx raddr 0.0.0.0 rport 0".into(),
        sdp_mid: Some("0".into()),
        sdp_m_line_index: Some(0),
        username_fragment: Some("abcd".into()),
    };
    let candidate = Signal::Candidate(init);
    let text = json(&candidate);
    assert!(text.ends_with(r#""sdpMid":"0","sdpMLineIndex":0,"usernameFragment":"abcd"}}"#), "{text}");
    assert_eq!(signal(&text), candidate);
    assert_eq!((candidate.kind(), candidate.class()), ("candidate", Some("srflx")));
}

#[test]
fn whatever_a_browser_leaves_out_or_says_is_null_is_read() {
    let bare = signal(r#"{"kind":"candidate","data":{"candidate":"","sdpMid":null}}"#);
    assert_eq!(bare, Signal::Candidate(CandidateInit::default()));
    assert_eq!(bare.class(), None);
    for text in [r#"{"kind":"end-of-candidates","data":null}"#, r#"{"kind":"end-of-candidates"}"#] {
        assert_eq!(signal(text), Signal::EndOfCandidates);
    }
    let rollback = signal(r#"{"kind":"description","data":{"type":"rollback"}}"#);
    assert_eq!(
        rollback,
        Signal::Description(Description { kind: Kind::Rollback, sdp: String::new(), offer: None })
    );
}

#[test]
fn what_is_no_signal_is_refused() {
    for text in
        ["{}", r#"{"kind":"description"}"#, r#"{"kind":"description","data":{"type":"pranswer","sdp":""}}"#]
    {
        assert!(serde_json::from_str::<Signal>(text).is_err(), "{text}");
    }
}
