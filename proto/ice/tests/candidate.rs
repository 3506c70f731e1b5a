//! The text of candidates: what is read, what is refused, and that what is written is read as the same.

use std::net::{IpAddr, SocketAddr};

use proptest::prelude::*;
use twocan_ice::{
    Candidate, Credentials, Foundations, Kind, LocalCandidate, LocalPreference, ParseError, Parsed,
    RelayProtocol, SocketId, TcpType, Transport, priority,
};

fn parse(text: &str) -> Candidate {
    match Candidate::parse(text) {
        Ok(Parsed::Candidate(candidate)) => candidate,
        other => panic!("{text}: {other:?}"),
    }
}

#[test]
fn what_browsers_write_is_read() {
    let host = parse(
        "candidate:842163049 1 udp 2122260223 192.168.1.7 54321 typ host generation 0 ufrag Wx7q network-id 1 network-cost 10",
    );
    assert_eq!((host.kind, host.transport, host.priority), (Kind::Host, Transport::Udp, 2_122_260_223));
    assert_eq!(host.address, "192.168.1.7:54321".parse().unwrap());
    assert_eq!(host.ufrag.as_deref(), Some("Wx7q"));
    let reflexive = parse("a=candidate:2 1 UDP 1685987327 203.0.113.5 54321 typ srflx raddr 0.0.0.0 rport 0");
    assert_eq!((reflexive.kind, reflexive.related), (Kind::ServerReflexive, None));
    let relayed = parse("candidate:3 1 udp 5 2001:db8::9 50000 typ relay raddr 203.0.113.5 rport 54321");
    assert_eq!(relayed.related, Some("203.0.113.5:54321".parse().unwrap()));
    let tcp = parse("candidate:4 1 tcp 1518280447 10.0.0.2 9 typ host tcptype active generation 0");
    assert_eq!(tcp.transport, Transport::Tcp(TcpType::Active));
}

#[test]
fn a_name_in_the_place_of_an_address_is_resolved_by_the_caller() {
    let text = "candidate:1 1 udp 2122260223 3b9b1c5e-0a5b-4f0e-9a53-0c2f5e1a7c11.local 54321 typ host";
    let Ok(Parsed::Named(named)) = Candidate::parse(text) else { panic!("a name") };
    assert!(named.is_mdns());
    assert_eq!(named.to_string(), text);
    let resolved = named.resolve("192.168.1.7".parse().unwrap());
    assert_eq!(resolved, parse("candidate:1 1 udp 2122260223 192.168.1.7 54321 typ host"));
    assert_eq!(twocan_ice::Named::hiding(&resolved, &named.name).to_string(), text);
    let Ok(Parsed::Named(named)) = Candidate::parse("candidate:1 1 udp 1 peer.example 5 typ host") else {
        panic!()
    };
    assert!(!named.is_mdns());
}

#[test]
fn what_is_wrong_has_a_name() {
    let cases = [
        ("", ParseError::NotACandidate),
        ("1 1 udp 1 192.0.2.1 5 typ host", ParseError::NotACandidate),
        ("candidate:", ParseError::Truncated),
        ("candidate:1 1 udp 1 192.0.2.1 5 typ", ParseError::Truncated),
        ("candidate:1 1 udp 1 192.0.2.1 5 typ host ufrag", ParseError::Truncated),
        ("candidate:1- 1 udp 1 192.0.2.1 5 typ host", ParseError::Foundation),
        ("candidate:123456789012345678901234567890123 1 udp 1 192.0.2.1 5 typ host", ParseError::Foundation),
        ("candidate:1 0 udp 1 192.0.2.1 5 typ host", ParseError::Component),
        ("candidate:1 257 udp 1 192.0.2.1 5 typ host", ParseError::Component),
        ("candidate:1 1 sctp 1 192.0.2.1 5 typ host", ParseError::UnknownTransport),
        ("candidate:1 1 udp 0 192.0.2.1 5 typ host", ParseError::Priority),
        ("candidate:1 1 udp 4294967296 192.0.2.1 5 typ host", ParseError::Priority),
        ("candidate:1 1 udp +1 192.0.2.1 5 typ host", ParseError::Priority),
        ("candidate:1 1 udp 1 192.0.2.256 5 typ host", ParseError::Address),
        ("candidate:1 1 udp 1 fe80::1%eth0 5 typ host", ParseError::Address),
        ("candidate:1 1 udp 1 a..local 5 typ host", ParseError::Address),
        ("candidate:1 1 udp 1 192.0.2.1 65536 typ host", ParseError::Port),
        ("candidate:1 1 udp 1 192.0.2.1 5 type host", ParseError::NoKind),
        ("candidate:1 1 udp 1 192.0.2.1 5 typ guess", ParseError::UnknownKind),
        ("candidate:1 1 tcp 1 192.0.2.1 5 typ host", ParseError::TcpType),
        ("candidate:1 1 tcp 1 192.0.2.1 5 typ host tcptype both", ParseError::TcpType),
        ("candidate:1 1 udp 1 192.0.2.1 5 typ host ufrag a", ParseError::Ufrag),
        ("candidate:1 1 udp 1 192.0.2.1 5 typ srflx raddr 10.0.0.1 rport x", ParseError::Port),
    ];
    for (text, error) in cases {
        assert_eq!(Candidate::parse(text), Err(error), "{text}");
    }
}

#[test]
fn a_candidate_is_read_as_it_comes_out_of_a_clipboard() {
    let plain = "candidate:1 1 udp 2122260223 192.0.2.7 54321 typ srflx raddr 10.0.0.2 rport 54321";
    let wanted = parse(plain);
    let spaced = plain.replace(' ', "\u{a0}").replace(':', ": ");
    for text in [plain, &format!("a={plain}"), &spaced] {
        let around = [
            ("", ""),
            ("  ", "\t "),
            ("\u{feff}", ""),
            ("\"", "\""),
            ("\u{201c}", "\u{201d}"),
            ("```\n", "\n```\n"),
            ("\r\n\n", "\r\n"),
            ("\r", "\r"),
        ];
        for (before, after) in around {
            assert_eq!(parse(&format!("{before}{text}{after}")), wanted, "{before:?} {text:?} {after:?}");
        }
    }
    assert_eq!(parse(&plain.replace("udp", "ud\u{200b}p")), wanted, "what has no width is not there");
}

#[test]
fn credentials_have_the_length_and_the_letters_that_rfc_8839_asks_for() {
    let ours = Credentials::generate([7; 32]);
    assert_eq!((ours.ufrag.len(), ours.pwd.len()), (8, 24));
    assert_eq!(Credentials::new(&ours.ufrag, &ours.pwd), Ok(ours.clone()));
    assert_ne!(Credentials::generate([8; 32]), ours);
    assert!(!format!("{ours:?}").contains(&ours.pwd), "a password is not shown");
    assert_eq!(Credentials::new("abc", &ours.pwd), Err(ParseError::Ufrag));
    assert_eq!(Credentials::new("ab:d", &ours.pwd), Err(ParseError::Ufrag));
    assert_eq!(Credentials::new("abcd", "tooshort"), Err(ParseError::Pwd));
    assert_eq!(Credentials::new("abcd", &"x".repeat(257)), Err(ParseError::Pwd));
}

#[test]
fn priorities_are_those_of_the_formula() {
    // 126 << 24 | 65535 << 8 | 255, the highest there is; RFC 8445 section 5.1.2.1.
    assert_eq!(priority(Kind::Host, Transport::Udp, LocalPreference(0xFFFF), 1), 0x7EFF_FFFF);
    assert_eq!(priority(Kind::Relayed, Transport::Udp, LocalPreference(0), 1), 0xFF);
    let preference = LocalPreference::of("192.0.2.1".parse().unwrap(), 0);
    let of = |kind, transport| priority(kind, transport, preference, 1);
    let tcp = |tcp| of(Kind::Host, Transport::Tcp(tcp));
    let order = [
        of(Kind::Host, Transport::Udp),
        of(Kind::PeerReflexive, Transport::Udp),
        of(Kind::ServerReflexive, Transport::Udp),
        tcp(TcpType::Active),
        tcp(TcpType::Passive),
        tcp(TcpType::SimultaneousOpen),
        of(Kind::Relayed, Transport::Udp),
    ];
    assert!(order.is_sorted_by(|a, b| a > b), "{order:?}");
}

#[test]
fn families_alternate_over_interfaces_and_relays_by_stream_come_last() {
    let (v4, v6): (IpAddr, IpAddr) = ("192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap());
    let order =
        [(v6, 0), (v4, 0), (v6, 1), (v4, 1)].map(|(ip, interface)| LocalPreference::of(ip, interface));
    assert!(order.is_sorted_by(|a, b| a > b));
    let mut foundations = Foundations::default();
    let mut relayed = |protocol| {
        let (at, server) = ("198.51.100.9:5".parse().unwrap(), (v4, protocol));
        LocalCandidate::relayed(&mut foundations, SocketId(1), at, at, server, LocalPreference::of(v4, 40))
            .candidate
    };
    let by = [RelayProtocol::Udp, RelayProtocol::Tcp, RelayProtocol::Tls]
        .map(|protocol| relayed(protocol).priority);
    assert!(by.is_sorted_by(|a, b| a > b), "{by:?}");
}

#[test]
fn foundations_are_shared_by_what_is_alike_and_say_nothing_of_addresses() {
    let mut foundations = Foundations::default();
    let mut host = |address: &str| {
        let address = address.parse().unwrap();
        LocalCandidate::host(&mut foundations, SocketId(1), address, LocalPreference(1)).candidate.foundation
    };
    assert_eq!([host("10.0.0.1:1"), host("10.0.0.1:2"), host("10.0.0.2:1")], ["1", "1", "2"]);
}

fn candidates() -> impl Strategy<Value = Candidate> {
    let kind = prop_oneof![
        Just(Kind::Host),
        Just(Kind::ServerReflexive),
        Just(Kind::PeerReflexive),
        Just(Kind::Relayed)
    ];
    let transport = prop_oneof![
        Just(Transport::Udp),
        Just(Transport::Tcp(TcpType::Active)),
        Just(Transport::Tcp(TcpType::Passive)),
        Just(Transport::Tcp(TcpType::SimultaneousOpen))
    ];
    let specified = any::<SocketAddr>().prop_map(|address| SocketAddr::new(address.ip(), address.port()));
    let related = proptest::option::of(specified.clone().prop_filter("hidden", |a| !a.ip().is_unspecified()));
    let rest =
        ("[A-Za-z0-9+/]{1,32}", 1..=u32::MAX, 1..=256_u16, proptest::option::of("[A-Za-z0-9+/]{4,64}"));
    (kind, transport, specified, related, rest).prop_map(
        |(kind, transport, address, related, (foundation, priority, component, ufrag))| Candidate {
            kind,
            transport,
            address,
            related,
            foundation,
            priority,
            component,
            ufrag,
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(candidate in candidates()) {
        prop_assert_eq!(Candidate::parse(&candidate.to_string()), Ok(Parsed::Candidate(candidate)));
    }

    #[test]
    fn what_was_read_is_written_and_read_as_the_same(text in "candidate:[a-z0-9.: ]{0,80}|candidate:1 1 (udp|tcp) [0-9]{1,5} [0-9a-f.:]{1,15} [0-9]{1,6} typ (host|relay)( [a-z]{1,8} [0-9a-z.]{1,8}){0,3}") {
        if let Ok(Parsed::Candidate(candidate)) = Candidate::parse(&text) {
            prop_assert_eq!(Candidate::parse(&candidate.to_string()), Ok(Parsed::Candidate(candidate)));
        }
    }
}
