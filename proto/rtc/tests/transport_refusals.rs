//! Two ends that do not fit: both say so at once, and why (RFC 8446 6, RFC 8122 5).

#![allow(clippy::unwrap_used, reason = "a test")]

mod transport;

use std::time::Duration;

use transport::records::{Message, record, take_apart};
use transport::{Pair, Path, Rewrite, certificates, remote};
use twocan_rtc::transport::{
    Alert, ChannelInit, CloseReason, DtlsRole, DtlsVersions, Fingerprint, Payload, Refusal,
};

const ANY: DtlsVersions = DtlsVersions::Any;
const ONLY_12: DtlsVersions = DtlsVersions::Only12;
const ONLY_13: DtlsVersions = DtlsVersions::Only13;
const VERSIONS: [DtlsVersions; 3] = [ANY, ONLY_12, ONLY_13];

const CLIENT: usize = 0;
const SERVER: usize = 1;
const RTT: Duration = Duration::from_millis(50);

const CLIENT_HELLO: u8 = 1;
const SERVER_HELLO: u8 = 2;
const CERTIFICATE: u8 = 11;

/// A certificate of an RSA key.
const RSA: &[u8] = include_bytes!("transport/rsa.der");

/// Changes the messages in the clear that one end sends.
fn changing(from: usize, change: impl Fn(&mut Message) + 'static) -> Rewrite {
    Box::new(move |sender, datagram, _| {
        let (messages, rest) = take_apart(datagram);
        if sender != from || messages.is_empty() {
            return vec![datagram.to_vec()];
        }
        let mut changed = Vec::new();
        for (index, mut message) in messages.into_iter().enumerate() {
            change(&mut message);
            changed.extend(record(1_000 + index as u64, &message.fragment(0, message.body.len())));
        }
        changed.extend(rest);
        vec![changed]
    })
}

/// What a Certificate message of DTLS 1.2 says.
fn certificate_message(certificates: &[&[u8]]) -> Vec<u8> {
    let u24 = |len: usize| (len as u32).to_be_bytes()[1..].to_vec();
    let list: Vec<u8> = certificates.iter().flat_map(|der| [u24(der.len()), der.to_vec()].concat()).collect();
    [u24(list.len()), list].concat()
}

/// Both are over soon, each for its own reason.
fn refuses(pair: &mut Pair, who: usize, why: CloseReason, alert: Alert) {
    pair.run_for(RTT * 6);
    assert_eq!(pair.closed(who), Some(why), "of {who}: {:?}", pair.events);
    assert_eq!(pair.closed(1 - who), Some(CloseReason::PeerRefused(alert)), "not {who}");
}

#[test]
fn a_certificate_that_was_not_signaled_is_refused_and_the_other_side_hears_why() {
    for versions in VERSIONS {
        for who in [CLIENT, SERVER] {
            let mut pair = Pair::new(Path::perfect(50), 4, [versions; 2]);
            let certificates = certificates();
            for end in 0..2 {
                let role = if end == CLIENT { DtlsRole::Client } else { DtlsRole::Server };
                let peer = if end == who { end } else { 1 - end };
                pair.ends[end].start(remote(role, &certificates[peer]), Some(RTT), pair.now);
            }
            refuses(&mut pair, who, CloseReason::FingerprintMismatch, Alert::BAD_CERTIFICATE);
        }
    }
}

#[test]
fn an_alert_in_answer_to_a_hello_ends_it_at_once_by_its_name() {
    for versions in VERSIONS {
        let mut pair = Pair::new(Path::lossy(50, 1_000), 1, [versions; 2]);
        pair.start();
        pair.flush();
        let mut alert = record(0, &[2, 40]);
        alert[0] = 21;
        let at = pair.now + RTT;
        pair.deliver_at(CLIENT, &alert, at);
        pair.run_for(RTT * 2);
        assert_eq!(pair.closed(CLIENT), Some(CloseReason::PeerRefused(Alert::HANDSHAKE_FAILURE)));
        let text = pair.closed(CLIENT).unwrap().to_string();
        assert_eq!(text, "the other side refused: handshake_failure");
        // A server that said nothing has nothing that could be refused.
        pair.deliver_at(SERVER, &alert, at + RTT * 2);
        pair.run_for(RTT * 2);
        assert_eq!(pair.closed(SERVER), None);
    }
}

#[test]
fn warnings_and_what_looks_like_an_alert_end_nothing() {
    for content in [&[1, 40][..], &[1, 0], &[2], &[2, 40, 0], &[]] {
        let mut pair = Pair::started(Path::perfect(50), 2);
        pair.flush();
        let mut alert = record(0, content);
        alert[0] = 21;
        let at = pair.now + Duration::from_millis(10);
        pair.deliver_at(CLIENT, &alert, at);
        pair.deliver_at(SERVER, &alert, at + RTT);
        pair.run_until("connected", |pair| pair.is_connected(0) && pair.is_connected(1));
        assert!(pair.elapsed() < RTT * 6, "{content:?}: {:?}", pair.elapsed());
    }
}

#[test]
fn an_rsa_certificate_is_refused_at_once_whoever_shows_it() {
    for (who, versions) in [(CLIENT, [ANY, ONLY_12]), (SERVER, [ONLY_12, ANY])] {
        let mut pair = Pair::new(Path::perfect(50), 5, versions);
        pair.rewrite = Some(changing(1 - who, |message| {
            if message.kind == CERTIFICATE {
                message.body = certificate_message(&[RSA]);
            }
        }));
        for (end, role) in [DtlsRole::Client, DtlsRole::Server].into_iter().enumerate() {
            let mut remote = remote(role, &certificates()[1 - end]);
            if end == who {
                remote.fingerprints = vec![Fingerprint::sha256(RSA)];
            }
            pair.ends[end].start(remote, Some(RTT), pair.now);
        }
        let why = CloseReason::Refused(Refusal::CertificateKind);
        refuses(&mut pair, who, why, Alert::UNSUPPORTED_CERTIFICATE);
        assert!(why.to_string().contains("ECDSA"));
    }
}

#[test]
fn a_client_without_a_certificate_is_refused_at_once() {
    let mut pair = Pair::new(Path::perfect(50), 6, [ONLY_12, ANY]);
    pair.rewrite = Some(changing(CLIENT, |message| {
        if message.kind == CERTIFICATE {
            message.body = certificate_message(&[]);
        }
    }));
    pair.start();
    refuses(&mut pair, SERVER, CloseReason::Refused(Refusal::NoCertificate), Alert::HANDSHAKE_FAILURE);
}

/// All suites of a ClientHello become that of an RSA certificate.
fn with_rsa_suites(message: &mut Message) {
    if message.kind == CLIENT_HELLO {
        let at = 34 + 1 + usize::from(message.body[34]);
        let at = at + 1 + usize::from(message.body[at]);
        let len = usize::from(u16::from_be_bytes([message.body[at], message.body[at + 1]]));
        for suite in message.body[at + 2..at + 2 + len].chunks_mut(2) {
            suite.copy_from_slice(&[0xc0, 0x2f]);
        }
    }
}

#[test]
fn a_client_without_a_suite_that_we_have_is_refused_at_once() {
    for client in VERSIONS {
        for server in VERSIONS {
            let mut pair = Pair::new(Path::perfect(50), 7, [client, server]);
            pair.rewrite = Some(changing(CLIENT, with_rsa_suites));
            pair.start();
            pair.run_for(RTT * 4);
            let why = pair.closed(SERVER);
            let fits = matches!(why, Some(CloseReason::Refused(Refusal::CipherSuite | Refusal::Version)));
            assert!(fits, "{client:?}, {server:?}: {why:?}");
            assert!(
                matches!(pair.closed(CLIENT), Some(CloseReason::PeerRefused(_))),
                "{client:?}, {server:?}"
            );
        }
    }
}

#[test]
fn a_server_that_chooses_what_was_not_offered_is_refused_at_once() {
    for version in [ONLY_12, ONLY_13] {
        let mut pair = Pair::new(Path::perfect(50), 8, [ANY, version]);
        pair.rewrite = Some(changing(SERVER, |message| {
            if message.kind == SERVER_HELLO {
                let at = 35 + usize::from(message.body[34]);
                message.body[at..at + 2].copy_from_slice(&[0xc0, 0x2f]);
            }
        }));
        pair.start();
        pair.run_for(RTT * 4);
        assert_eq!(pair.closed(CLIENT), Some(CloseReason::Refused(Refusal::CipherSuite)), "{version:?}");
    }
}

#[test]
fn two_that_speak_no_common_version_say_so_at_once() {
    for versions in [[ONLY_12, ONLY_13], [ONLY_13, ONLY_12]] {
        let mut pair = Pair::new(Path::perfect(50), 9, versions);
        pair.start();
        pair.run_for(RTT * 4);
        let closed = [0, 1].map(|end| pair.closed(end));
        let refused = |why: &Option<CloseReason>| {
            matches!(why, Some(CloseReason::Refused(_) | CloseReason::PeerRefused(_)))
        };
        assert!(closed.iter().all(refused), "{versions:?}: {closed:?}");
    }
}

/// An outer sequence with a long string at its end, which nobody looks at.
fn long_certificate(der: &[u8], extra: usize) -> Vec<u8> {
    let content = &der[4..];
    let len = content.len() + 4 + extra;
    let [high, low] = (len as u16).to_be_bytes();
    let [extra_high, extra_low] = (extra as u16).to_be_bytes();
    let mut long = vec![0x30, 0x82, high, low];
    long.extend(content);
    long.extend([0x04, 0x82, extra_high, extra_low]);
    long.resize(4 + len, 7);
    long
}

#[test]
fn a_certificate_of_many_kilobytes_is_read_like_others() {
    let mut pair = Pair::new(Path::perfect(50), 10, [ANY, ONLY_12]);
    let long = long_certificate(certificates()[CLIENT].der(), 6_000);
    // What is behind it in the flight is lost: the server reads it before it looks at signatures.
    pair.rewrite = Some(Box::new(move |sender, datagram, _| {
        let (messages, _) = take_apart(datagram);
        let certificate = messages.into_iter().find(|message| message.kind == CERTIFICATE);
        match certificate.filter(|_| sender == CLIENT) {
            Some(mut message) => {
                message.body = certificate_message(&[&long]);
                vec![record(9, &message.fragment(0, message.body.len()))]
            }
            None => vec![datagram.to_vec()],
        }
    }));
    pair.start();
    refuses(&mut pair, SERVER, CloseReason::FingerprintMismatch, Alert::BAD_CERTIFICATE);
}

#[test]
fn an_alert_on_a_connection_that_is_up_is_told_by_its_name() {
    let (mut pair, channel) = Pair::connected(Path::perfect(50), 11, &ChannelInit::new("x").negotiated(0));
    pair.ends[0].send(channel, Payload::Text, "hello".into(), pair.now).unwrap();
    // A stranger's, in the clear, is none.
    let mut alert = record(0, &[2, 40]);
    alert[0] = 21;
    for end in 0..2 {
        let at = pair.now;
        pair.deliver_at(end, &alert, at);
    }
    pair.run_until("message", |pair| !pair.messages(1).is_empty());
    assert_eq!((pair.closed(0), pair.closed(1)), (None, None));
}
