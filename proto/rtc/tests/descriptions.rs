//! Descriptions as other programs write them, as ours are written, and as nobody should.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use twocan_ice::{Candidate, Credentials};
use twocan_rtc::sdp::{Kind, OtherSection, ParseError, Protocol, Session, Setup, limits};
use twocan_rtc::transport::Fingerprint;

const DIGEST: &str =
    "6A:21:5B:9C:0D:7E:43:F8:12:AB:90:33:5E:C7:08:D4:19:66:F2:8D:3B:A5:70:1C:4F:E9:22:87:B0:5D:61:CE";

fn fingerprint() -> Fingerprint {
    format!("sha-256 {DIGEST}").parse().unwrap()
}

fn credentials() -> Credentials {
    Credentials::new("ours", "0123456789abcdefghijklmn").unwrap()
}

/// A file of `tests/sdp`, written in the shape that the named program produces.
fn sample(name: &str) -> String {
    let path = format!("{}/tests/sdp/{name}.sdp", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(path).unwrap()
}

fn read(name: &str) -> Session {
    Session::parse(&sample(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

const SAMPLES: [&str; 15] = [
    "chromium-offer",
    "chromium-offer-gathered",
    "chromium-offer-snap",
    "chromium-answer",
    "chromium-offer-with-media",
    "bundle-only-offer",
    "firefox-offer",
    "firefox-answer",
    "aiortc-offer",
    "aiortc-legacy-offer",
    "str0m-offer",
    "webrtc-rs-offer",
    "werift-offer",
    "libdatachannel-offer",
    "ours-offer",
];

#[test]
fn what_others_write_is_read_and_can_be_written() {
    for name in SAMPLES {
        let session = read(name);
        assert!(session.fingerprints.contains(&fingerprint()), "{name}");
        for candidate in &session.candidates {
            assert!(Candidate::parse(candidate).is_ok(), "{name}: {candidate}");
        }
        assert_eq!(Session::parse(&session.write()), Ok(session), "{name}");
    }
}

#[test]
fn chromium_says_everything_in_the_section() {
    let session = read("chromium-offer");
    assert_eq!(session.mid.as_deref(), Some("0"));
    assert_eq!(session.credentials, Credentials::new("kQ3z", "Zr0pX7vYw+2mT9bHc5LdN1sE").unwrap());
    assert_eq!(
        (session.setup, session.sctp_port, session.max_message_size),
        (Setup::ActPass, 5_000, 262_144)
    );
    assert!(session.is_bundled && session.trickle && !session.end_of_candidates && !session.ice_lite);
    assert_eq!((session.id, session.version), (5_126_713_390_048_123_456, 2));
    assert_eq!(read("chromium-answer").setup, Setup::Active);
    assert_eq!(read("chromium-offer-gathered").candidates.len(), 3);
}

#[test]
fn firefox_says_the_fingerprint_for_the_session() {
    let session = read("firefox-offer");
    assert_eq!(session.fingerprints, [fingerprint()]);
    assert!(session.trickle, "said for the session as well");
    assert!(session.end_of_candidates);
    assert_eq!(session.max_message_size, 1_073_741_823);
}

#[test]
fn several_fingerprints_are_all_kept() {
    let hashes: Vec<_> =
        read("aiortc-offer").fingerprints.iter().map(|fingerprint| fingerprint.hash().to_owned()).collect();
    assert_eq!(hashes, ["sha-256", "sha-384", "sha-512"]);
}

#[test]
fn the_old_style_is_answered_in_the_old_style() {
    let offer = read("aiortc-legacy-offer");
    assert_eq!((offer.protocol, offer.sctp_port), (Protocol::SctpMap, 5_001));
    let answer = offer.answer(1, credentials(), fingerprint()).write();
    assert!(answer.contains("m=application 9 DTLS/SCTP 5000\r\n"), "{answer}");
    assert!(answer.contains("a=sctpmap:5000 webrtc-datachannel 65535\r\n"), "{answer}");
    assert!(!answer.contains("sctp-port"), "{answer}");
}

#[test]
fn options_may_have_commas_between_them() {
    assert!(read("libdatachannel-offer").trickle);
}

#[test]
fn what_is_not_said_has_its_default() {
    let session = read("webrtc-rs-offer");
    assert_eq!(session.max_message_size, 65_536);
    assert!(!session.trickle);
    let text = sample("chromium-offer");
    let without = |line: &str| Session::parse(&text.replace(&format!("{line}\r\n"), ""));
    assert_eq!(without("a=sctp-port:5000").unwrap().sctp_port, 5_000);
    assert_eq!(without("a=setup:actpass").unwrap().setup, Setup::Active);
    assert_eq!(without("a=mid:0").unwrap().mid, None);
}

#[test]
fn zero_is_no_limit_of_a_message_and_huge_is_the_largest() {
    let text = sample("chromium-offer");
    let with =
        |size: &str| Session::parse(&text.replace("262144", size)).map(|session| session.max_message_size);
    assert_eq!(with("0"), Ok(0));
    assert_eq!(with("18446744073709551615"), Ok(u32::MAX));
    for bad in ["", "-1", "x", "1 ", "999999999999999999999"] {
        let found = with(bad);
        assert!(found == Err(ParseError::MaxMessageSize) || bad == "1 " && found == Ok(1), "{bad}");
    }
}

#[test]
fn a_section_in_a_bundle_may_leave_its_transport_to_the_first() {
    let session = read("bundle-only-offer");
    assert_eq!(session.credentials.ufrag, "Tagd");
    assert_eq!(session.candidates.len(), 1);
    assert!(session.end_of_candidates && session.trickle);
    assert_eq!((session.setup, session.max_message_size), (Setup::ActPass, 0));
    // Not in the bundle, it has none.
    let alone = sample("bundle-only-offer").replace("a=group:BUNDLE a d", "a=group:BUNDLE a");
    assert_eq!(Session::parse(&alone), Err(ParseError::Credentials));
}

#[test]
fn of_several_sections_the_answer_takes_the_data_channel_alone() {
    let offer = read("chromium-offer-with-media");
    assert_eq!((offer.before.len(), offer.after.len()), (2, 0));
    let answer = offer.answer(1, credentials(), fingerprint()).write();
    assert!(answer.contains("a=group:BUNDLE 2\r\n"), "{answer}");
    let sections: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
    let expected = [
        "m=audio 0 UDP/TLS/RTP/SAVPF 111",
        "m=video 0 UDP/TLS/RTP/SAVPF 96",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    ];
    assert_eq!(sections, expected);
    let mids: Vec<&str> = answer.lines().filter_map(|line| line.strip_prefix("a=mid:")).collect();
    assert_eq!(mids, ["0", "1", "2"]);
}

#[test]
fn nothing_unknown_is_echoed() {
    let offer = read("chromium-offer-snap");
    assert!(offer.sctp_init.is_some());
    let answer = offer.answer(1, credentials(), fingerprint()).write();
    for unknown in ["sctp-init", "sped", "renomination", "extmap", "msid", "b=AS"] {
        assert!(!answer.contains(unknown), "{unknown}: {answer}");
    }
    assert!(answer.contains("a=setup:passive\r\n"));
    assert!(answer.contains("a=ice-options:trickle\r\n"));
}

#[test]
fn whoever_offers_active_is_answered_passive_and_the_other_way_round() {
    assert_eq!(Setup::ActPass.answer(), Setup::Passive);
    assert_eq!(Setup::Active.answer(), Setup::Passive);
    assert_eq!(Setup::Passive.answer(), Setup::Active);
}

#[test]
fn an_offer_of_ours_is_what_it_was() {
    let ours = Session::new(4_611_686_018_427_387_904, credentials(), fingerprint(), Setup::ActPass);
    assert_eq!(ours.write(), sample("ours-offer"));
}

#[test]
fn unknown_lines_are_ignored_and_line_ends_may_be_plain() {
    let text = sample("chromium-offer").replace("\r\n", "\n");
    let text = text.replace("a=mid:0", "x=whatever\na=unknown:thing\na=\nz=\ta tab\na=mid:0");
    assert_eq!(Session::parse(&text), Ok(read("chromium-offer")));
}

#[test]
fn of_what_is_said_twice_the_first_counts() {
    let text = sample("chromium-offer");
    let twice = format!("{text}a=ice-ufrag:evil\r\na=mid:9\r\na=setup:active\r\na=sctp-port:9\r\n");
    assert_eq!(Session::parse(&twice), Session::parse(&text));
}

#[test]
fn what_cannot_be_used_is_refused_with_its_reason() {
    let text = sample("chromium-offer");
    let cases = [
        ("v=0", "v=1", ParseError::NotSdp),
        ("s=-", "s", ParseError::Line),
        ("s=-", "ss=-", ParseError::Line),
        ("s=-", "s=\u{0}", ParseError::Line),
        ("a=mid:0", "a=mid:\u{85}", ParseError::Line),
        ("m=application 9 ", "m=application x ", ParseError::Media),
        ("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", "m=application 9", ParseError::Media),
        ("m=application", "m=audio", ParseError::NoDataChannel),
        ("webrtc-datachannel", "something-else", ParseError::NoDataChannel),
        ("UDP/DTLS/SCTP", "UDP/SCTP", ParseError::NoDataChannel),
        ("m=application 9", "m=application 0", ParseError::Rejected),
        ("a=ice-ufrag:kQ3z\r\n", "", ParseError::Credentials),
        ("kQ3z", "kQ3", ParseError::Credentials),
        ("kQ3z", "kQ z", ParseError::Credentials),
        ("Zr0pX7vYw+2mT9bHc5LdN1sE", "short", ParseError::Credentials),
        ("a=fingerprint:", "a=finger:", ParseError::Fingerprint),
        ("sha-256", "sha-1", ParseError::Fingerprint),
        ("sha-256", "sha-384", ParseError::Fingerprint),
        ("6A:21", "6A:2", ParseError::Fingerprint),
        ("actpass", "holdconn", ParseError::Setup),
        ("sctp-port:5000", "sctp-port:0", ParseError::SctpPort),
        ("sctp-port:5000", "sctp-port:65536", ParseError::SctpPort),
        ("sctp-port:5000", "sctp-port:+5", ParseError::SctpPort),
        ("a=mid:0", "a=mid:", ParseError::Mid),
        ("a=mid:0", "a=mid:a b", ParseError::Mid),
        ("a=mid:0", "a=mid:0\r\na=sctp-init:*", ParseError::SctpInit),
    ];
    for (from, to, error) in cases {
        assert!(text.contains(from), "{from}");
        assert_eq!(Session::parse(&text.replacen(from, to, 1)), Err(error), "{from} -> {to}");
    }
    assert_eq!(Session::parse(""), Err(ParseError::NotSdp));
}

#[test]
fn descriptions_end_at_their_limits() {
    let text = sample("chromium-offer");
    let with = |line: &str, times: usize| {
        Session::parse(&format!("{text}{}", line.repeat(times))).map(|session| session.candidates.len())
    };
    let candidate = "a=candidate:1 1 udp 1 1.2.3.4 5 typ host\r\n";
    assert_eq!(with(candidate, limits::CANDIDATES_MAX), Ok(limits::CANDIDATES_MAX));
    assert_eq!(with(candidate, limits::CANDIDATES_MAX + 1), Ok(limits::CANDIDATES_MAX));
    let print = format!("a=fingerprint:sha-256 {DIGEST}\r\n");
    let prints = Session::parse(&format!("{text}{}", print.repeat(limits::FINGERPRINTS_MAX))).unwrap();
    assert_eq!(prints.fingerprints.len(), limits::FINGERPRINTS_MAX);
    assert_eq!(with("a=x\r\n", limits::LINES_MAX), Err(ParseError::TooLarge));
    assert_eq!(with(&format!("a={}\r\n", "x".repeat(limits::BYTES_MAX)), 1), Err(ParseError::TooLarge));
    let section = "m=audio 9 X 0\r\n";
    assert_eq!(with(section, limits::SECTIONS_MAX - 1), Ok(0));
    assert_eq!(with(section, limits::SECTIONS_MAX), Err(ParseError::TooLarge));
    let mid = |len: usize| Session::parse(&text.replace("a=mid:0", &format!("a=mid:{}", "m".repeat(len))));
    assert!(mid(limits::MID_LEN_MAX).is_ok());
    assert_eq!(mid(limits::MID_LEN_MAX + 1), Err(ParseError::Mid));
    let init = |len: usize| with(&format!("a=sctp-init:{}\r\n", "A".repeat(len)), 1);
    assert_eq!(init(limits::SCTP_INIT_LEN_MAX), Ok(0));
    assert_eq!(init(limits::SCTP_INIT_LEN_MAX + 1), Err(ParseError::SctpInit));
}

#[test]
fn of_too_many_candidates_some_of_each_kind_are_taken() {
    let mut text = sample("chromium-offer");
    let mut add = |count: usize, rest: &str| {
        for n in 0..count {
            text += &format!("a=candidate:1 1 {}\r\n", rest.replace('#', &n.to_string()));
        }
    };
    add(300, "udp 9 10.0.0.1 # typ host");
    add(2, "tcp 9 10.0.0.1 # typ host tcptype passive");
    add(2, "udp 9 2001:db8::# 9 typ host");
    add(3, "udp 9 192.0.2.1 # typ srflx raddr 10.0.0.1 rport 9");
    add(1, "udp 9 192.0.2.9 # typ relay raddr 10.0.0.1 rport 9");
    let taken = Session::parse(&text).unwrap().candidates;
    assert_eq!(taken.len(), limits::CANDIDATES_MAX);
    for (count, like) in [(2, "tcptype"), (2, "2001:db8"), (3, "srflx"), (1, "relay")] {
        assert_eq!(taken.iter().filter(|text| text.contains(like)).count(), count, "{like}");
    }
    assert!(taken[0].contains(" 10.0.0.1 0 typ host"), "the first ones stay, and in their order");
}

#[test]
fn fingerprints_that_cannot_be_used_do_not_spoil_those_that_can() {
    let odd = "a=fingerprint:md5 00:11\r\na=fingerprint:sha-256 zz\r\na=fingerprint:\r\n".repeat(9);
    let text = sample("chromium-offer").replacen("a=fingerprint:", &format!("{odd}a=fingerprint:"), 1);
    let plain = Session::parse(&sample("chromium-offer")).unwrap();
    assert_eq!(Session::parse(&text).unwrap().fingerprints, plain.fingerprints);
}

#[test]
fn kinds_are_read_as_they_are_written() {
    for kind in [Kind::Offer, Kind::Answer, Kind::Rollback] {
        assert_eq!(kind.as_str().parse(), Ok(kind));
    }
    assert_eq!("pranswer".parse::<Kind>(), Err(ParseError::Kind));
}

fn token() -> impl Strategy<Value = String> {
    "[!#-'*+.0-9A-Z^-~-]{1,64}"
}

fn other_section() -> impl Strategy<Value = OtherSection> {
    (token(), token(), token(), proptest::option::of(token())).prop_filter_map(
        "a data-channel section would count",
        |(media, protocol, format, mid)| {
            (media != "application").then_some(OtherSection { media, protocol, format, mid })
        },
    )
}

fn session() -> impl Strategy<Value = Session> {
    let words = ("[A-Za-z0-9+/]{4,256}", "[A-Za-z0-9+/]{22,256}", proptest::option::of(token()));
    let setup = prop_oneof![Just(Setup::ActPass), Just(Setup::Active), Just(Setup::Passive)];
    let protocol = prop_oneof![Just(Protocol::Udp), Just(Protocol::Tcp), Just(Protocol::SctpMap)];
    let numbers = (0..u64::MAX / 2, any::<u64>(), 1..=u16::MAX, any::<u32>());
    let flags = any::<[bool; 4]>();
    let candidates = proptest::collection::vec("candidate:[!-~]{0,40}", 0..8);
    let others = || proptest::collection::vec(other_section(), 0..4);
    let init = proptest::option::of("[A-Za-z0-9+/]{1,99}={0,2}");
    ((words, setup, protocol, numbers, flags), (candidates, others(), others(), init)).prop_map(
        |((words, setup, protocol, numbers, flags), (candidates, before, after, sctp_init))| Session {
            is_ours: numbers.0 % 2 == 0,
            id: numbers.0,
            version: numbers.1,
            is_bundled: flags[0] && words.2.is_some(),
            mid: words.2,
            credentials: Credentials::new(&words.0, &words.1).unwrap(),
            trickle: flags[1],
            ice_lite: flags[2],
            fingerprints: vec![fingerprint()],
            setup,
            protocol,
            sctp_port: numbers.2,
            max_message_size: numbers.3,
            candidates,
            end_of_candidates: flags[3],
            sctp_init,
            before,
            after,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(session in session()) {
        prop_assert_eq!(Session::parse(&session.write()), Ok(session));
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        let _ = Session::parse(&text);
        let _ = Session::parse(&format!("v=0\r\n{text}"));
    }
}
