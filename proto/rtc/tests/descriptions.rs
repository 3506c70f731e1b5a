//! Descriptions as other programs write them, as ours are written, and as nobody should.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use proptest::prelude::*;
use twocan_ice::{Candidate, Credentials};
use twocan_rtc::sdp::{Codec, Kind, OtherSection, ParseError, Protocol, Session, Setup, limits};
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

/// The sections of a description, each its line `m=` and what follows.
fn sections(text: &str) -> Vec<String> {
    text.split("\r\nm=")
        .skip(1)
        .map(|section| format!("m={section}\r\n").replace("\r\n\r\n", "\r\n"))
        .collect()
}

fn media_answer(offer: &str) -> (String, Vec<String>) {
    let answer = Session::parse(offer).unwrap().answer(1, credentials(), fingerprint()).write();
    let read = Session::parse(&answer).expect("what we answer can be read");
    assert_eq!(read.write(), answer);
    let group = answer.lines().find(|line| line.starts_with("a=group:")).unwrap_or_default().to_owned();
    (group, sections(&answer))
}

fn first_lines(sections: &[String]) -> Vec<&str> {
    sections.iter().filter_map(|section| section.lines().next()).collect()
}

#[test]
fn media_in_the_bundle_is_answered_inactive_with_the_transport_of_all() {
    let offer = read("chromium-offer-with-media");
    assert_eq!((offer.before.len(), offer.after.len(), offer.tagged.as_deref()), (2, 0, Some("0")));
    let (group, sections) = media_answer(&sample("chromium-offer-with-media"));
    assert_eq!(group, "a=group:BUNDLE 0 1 2");
    let expected = [
        "m=audio 9 UDP/TLS/RTP/SAVPF 111",
        "m=video 9 UDP/TLS/RTP/SAVPF 96",
        "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
    ];
    assert_eq!(first_lines(&sections), expected);
    let ufrag = format!("a=ice-ufrag:{}\r\n", credentials().ufrag);
    for (mid, section) in sections.iter().enumerate() {
        let transport = [
            &ufrag,
            "a=ice-pwd:",
            "a=fingerprint:sha-256 ",
            "a=setup:passive\r\n",
            &format!("a=mid:{mid}\r\n"),
        ];
        assert!(transport.iter().all(|line| section.contains(*line)), "{section}");
    }
    for (section, codec) in
        sections.iter().zip(["a=rtpmap:111 opus/48000/2\r\n", "a=rtpmap:96 VP8/90000\r\n"])
    {
        assert!(
            [codec, "a=inactive\r\n", "a=rtcp-mux\r\n"].iter().all(|line| section.contains(line)),
            "{section}"
        );
        assert!(!section.contains("a=send") && !section.contains("a=ssrc"), "{section}");
    }
}

#[test]
fn what_carries_the_transport_is_the_first_of_the_bundle_wherever_it_stands() {
    let text = sample("chromium-offer-with-media");
    let with = |group: &str| text.replace("a=group:BUNDLE 0 1 2", &format!("a=group:BUNDLE {group}"));
    for (group, tagged, place) in [("2 0 1", "2", 2), ("1 2 0", "1", 1), ("0 2", "0", 0)] {
        let session = Session::parse(&with(group)).unwrap();
        assert_eq!(session.transport_section(), (Some(tagged), place), "{group}");
        let answered: Vec<String> =
            media_answer(&with(group)).0.split(' ').skip(1).map(String::from).collect();
        assert_eq!(answered.first().map(String::as_str), Some(tagged));
        let mut all: Vec<&str> = group.split(' ').collect();
        all.sort_unstable();
        let mut ours: Vec<&str> = answered.iter().map(String::as_str).collect();
        ours.sort_unstable();
        assert_eq!(ours, all, "{group}: the bundle is that of the offer");
    }
    // Each section may have a transport of its own as long as nothing is agreed: that of the first is the one.
    let own = text.replacen("a=ice-ufrag:Tt1x", "a=ice-ufrag:Frst", 1);
    assert_eq!(Session::parse(&own).unwrap().credentials.ufrag, "Frst");
}

#[test]
fn media_that_is_refused_or_stands_alone_is_answered_with_port_zero() {
    let text = sample("chromium-offer-with-media");
    let ports = |offer: &str| -> (String, Vec<String>) {
        let (group, sections) = media_answer(offer);
        let port = |line: &str| line.split(' ').nth(1).unwrap().to_owned();
        (group, first_lines(&sections).into_iter().map(port).collect())
    };
    // The offerer refuses the first one: it is out of the bundle.
    let refused = text.replace("m=audio 9", "m=audio 0").replace("BUNDLE 0 1 2", "BUNDLE 1 2");
    assert_eq!(ports(&refused), ("a=group:BUNDLE 1 2".into(), ["0", "9", "9"].map(String::from).to_vec()));
    // It says bundle-only instead.
    let only = text.replace("m=video 9", "m=video 0").replace("a=mid:1", "a=bundle-only\r\na=mid:1");
    assert_eq!(ports(&only), ("a=group:BUNDLE 0 1 2".into(), ["9", "9", "9"].map(String::from).to_vec()));
    let separate = text.replace("a=group:BUNDLE 0 1 2\r\n", "");
    assert_eq!(ports(&separate), (String::new(), ["0", "0", "9"].map(String::from).to_vec()));
    let data_alone = text.replace("BUNDLE 0 1 2", "BUNDLE 2");
    assert_eq!(ports(&data_alone), ("a=group:BUNDLE 2".into(), ["0", "0", "9"].map(String::from).to_vec()));
    let media_alone = text.replace("BUNDLE 0 1 2", "BUNDLE 0 1");
    assert_eq!(ports(&media_alone), (String::new(), ["0", "0", "9"].map(String::from).to_vec()));
    // What is neither audio nor video, or has its RTCP elsewhere, cannot be kept.
    let other = text.replace("m=video 9", "m=text 9").replacen("a=rtcp-mux\r\n", "", 1);
    assert_eq!(ports(&other), ("a=group:BUNDLE 2".into(), ["0", "0", "9"].map(String::from).to_vec()));
}

#[test]
fn the_codec_of_an_answer_is_one_of_the_offer_with_what_it_says_of_it() {
    let text = sample("chromium-offer-with-media");
    let video = text.replace("m=video 9 UDP/TLS/RTP/SAVPF 96 97", "m=video 9 UDP/TLS/RTP/SAVPF 97 98 96");
    let video = video.replace(
        "a=rtpmap:96 ",
        "a=rtpmap:98 H264/90000\r\na=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1\r\na=rtpmap:97 rtx/90000\r\na=rtpmap:96 ",
    );
    let section = &media_answer(&video).1[1];
    assert!(section.starts_with("m=video 9 UDP/TLS/RTP/SAVPF 98\r\n"), "{section}");
    assert!(
        section.contains(
            "a=rtpmap:98 H264/90000\r\na=fmtp:98 level-asymmetry-allowed=1;packetization-mode=1\r\n"
        )
    );
    // What is too long to be repeated is left away.
    let long = text.replace("a=rtpmap:111 opus/48000/2", &format!("a=rtpmap:111 {}", "x".repeat(200)));
    assert!(!media_answer(&long).1[0].contains("rtpmap"));
}

#[test]
fn no_offer_makes_an_answer_longer_than_a_description_may_be() {
    let long = |letter: &str, len: usize| letter.repeat(len);
    let (head, data) = (sample("chromium-offer-with-media"), limits::SECTIONS_MAX - 1);
    let (session, rest) = head.split_once("m=audio").unwrap();
    let application = &rest[rest.find("m=application").unwrap()..];
    let mids: Vec<String> =
        (0..data).map(|n| format!("{}{n:02}", long("m", limits::MID_LEN_MAX - 2))).collect();
    let mut offer = session.replace("BUNDLE 0 1 2", &format!("BUNDLE {} 2", mids.join(" ")));
    for mid in &mids {
        let (format, protocol) = (long("9", 64), format!("RTP/SAVP{}", long("F", 56)));
        let said = long("x", limits::CODEC_LEN_MAX);
        offer += &format!(
            "m=audio 9 {protocol} {format}\r\na=mid:{mid}\r\na=rtcp-mux\r\na=rtpmap:{format} {said}\r\na=fmtp:{format} {said}\r\n"
        );
    }
    // The first carries the transport.
    offer = offer
        .replacen(
            "a=rtcp-mux\r\n",
            &application[application.find("a=ice-ufrag").unwrap()..application.find("a=mid").unwrap()],
            1,
        )
        .replacen("a=mid:", "a=rtcp-mux\r\na=mid:", 1);
    offer += application;
    let (_, sections) = media_answer(&offer);
    assert_eq!(sections.len(), limits::SECTIONS_MAX);
    let length: usize = sections.iter().map(String::len).sum();
    assert!(length < limits::BYTES_MAX, "{length}");
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

/// Those that stay have names that no other section has; they are given them below.
fn other_section() -> impl Strategy<Value = OtherSection> {
    let said = || proptest::option::of("[!-~]([ -~]{0,60}[!-~])?");
    let refused = (token(), token(), token(), proptest::option::of("r[a-z]{1,9}")).prop_filter_map(
        "a data-channel section would count",
        |(media, protocol, format, mid)| {
            (media != "application").then_some(OtherSection { media, protocol, format, mid, kept: None })
        },
    );
    let kept = (prop_oneof!["audio", "video"], "[0-9]{1,3}", said(), said()).prop_map(
        |(media, format, rtpmap, fmtp)| OtherSection {
            media,
            protocol: "UDP/TLS/RTP/SAVPF".into(),
            format,
            mid: Some(String::new()),
            kept: Some(Codec { rtpmap, fmtp }),
        },
    );
    prop_oneof![refused, kept]
}

/// Gives the kept ones their names, or refuses them where there is no bundle; `tagged` picks who carries the transport.
fn name(mut session: Session, tagged: usize) -> Session {
    let mut names = vec![None];
    for (index, other) in session.before.iter_mut().chain(&mut session.after).enumerate() {
        if other.kept.is_some() && session.is_bundled {
            other.mid = Some(format!("k{index}"));
            names.push(other.mid.clone());
        } else if other.kept.take().is_some() {
            other.mid = None;
        }
    }
    session.tagged = names[tagged % names.len()].clone();
    session
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
    ((words, setup, protocol, numbers, flags), (candidates, others(), others(), init), 0..9_usize).prop_map(
        |((words, setup, protocol, numbers, flags), (candidates, before, after, sctp_init), tagged)| {
            name(
                Session {
                    is_ours: numbers.0 % 2 == 0,
                    is_polite: numbers.0 % 4 == 0,
                    id: numbers.0,
                    version: numbers.1,
                    is_bundled: flags[0] && words.2.is_some(),
                    tagged: None,
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
                tagged,
            )
        },
    )
}

/// What clipboards, chats and editors do to a text.
#[derive(Clone, Debug)]
struct Hand {
    around: (&'static str, &'static str),
    line_end: &'static str,
    /// In turns at the beginnings and the ends of lines.
    spaces: Vec<(&'static str, &'static str)>,
    space: &'static str,
    has_last_end: bool,
    is_escaped: bool,
}

impl Hand {
    fn paste(&self, text: &str) -> String {
        if self.is_escaped {
            return format!("{}{}", self.spaces[0].0, serde_json::to_string(text).unwrap());
        }
        let lines = text.lines().zip(self.spaces.iter().cycle());
        let lines: Vec<String> =
            lines.map(|(line, (before, after))| format!("{before}{line}{after}")).collect();
        let text = lines.join(self.line_end).replace(' ', self.space);
        let (before, after) = self.around;
        format!("{before}{text}{}{after}", if self.has_last_end { self.line_end } else { "" })
    }
}

fn hand() -> impl Strategy<Value = Hand> {
    let around = [
        ("", ""),
        ("\u{feff}", ""),
        ("\r\n", ""),
        ("\n \n", "\n\n"),
        ("\"", "\""),
        ("'", "'\n"),
        ("\u{201c}", "\u{201d}"),
        ("```\n", "```"),
        ("\u{feff}\n  \"", "\" "),
        ("\u{200b}", "\u{200b}"),
        ("\u{ab}\u{a0}", "\u{a0}\u{bb}"),
    ];
    let line_ends = ["\r\n", "\n", "\r", "\r\r\n", "\n\n", "\r\n\r\n", "\u{2028}", " \n\t\n"];
    let spaces = || proptest::sample::select(vec!["", "", " ", "\t", "  \t ", "\u{a0}", "\u{3000}"]);
    (
        proptest::sample::select(around.to_vec()),
        proptest::sample::select(line_ends.to_vec()),
        proptest::collection::vec((spaces(), spaces()), 1..9),
        proptest::sample::select(vec![" ", " ", "\u{a0}", "\u{2009}"]),
        any::<[bool; 2]>(),
    )
        .prop_map(|(around, line_end, spaces, space, [has_last_end, is_escaped])| Hand {
            around,
            line_end,
            spaces,
            space,
            has_last_end,
            is_escaped,
        })
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(session in session()) {
        prop_assert_eq!(Session::parse(&session.write()), Ok(session));
    }

    #[test]
    fn what_a_hand_that_pastes_adds_changes_nothing(session in session(), hand in hand()) {
        prop_assert_eq!(Session::parse(&hand.paste(&session.write())), Ok(session), "{:?}", hand);
    }

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC*") {
        let _ = Session::parse(&text);
        let _ = Session::parse(&format!("v=0\r\n{text}"));
    }
}
