//! Any text as a session description: no panic; what is read keeps the limits, is written as the same, and its answer echoes
//! nothing that we do not speak.

#![no_main]

use libfuzzer_sys::fuzz_target;
use twocan_ice::{Candidate, Credentials};
use twocan_rtc::sdp::{Session, limits};

fuzz_target!(|bytes: &[u8]| {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(session) = Session::parse(text) else { return };
    assert!(session.candidates.len() <= limits::CANDIDATES_MAX);
    assert!((1..=limits::FINGERPRINTS_MAX).contains(&session.fingerprints.len()));
    assert!(session.before.len() + session.after.len() < limits::SECTIONS_MAX);
    for candidate in &session.candidates {
        let _ = Candidate::parse(candidate);
    }
    let written = session.write();
    assert_eq!(Session::parse(&written).as_ref(), Ok(&session), "{written}");
    let credentials = Credentials::new("ours", "0123456789abcdefghijklmn").expect("they are well-formed");
    let answer = session.answer(1, credentials, session.fingerprints[0].clone()).write();
    let unknown = |line: &str| line.starts_with("a=sctp-init") || line.starts_with("a=candidate");
    assert!(!answer.lines().any(unknown) && answer.len() <= limits::BYTES_MAX, "{answer}");
    let sections = |text: &str| text.lines().filter(|line| line.starts_with("m=")).count();
    assert_eq!(sections(&answer), session.before.len() + 1 + session.after.len(), "{answer}");
});
