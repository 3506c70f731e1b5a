//! Handshake messages in fragments, as other stacks and bad paths send them: overlapping, cut anew when they are sent again, in any order
//! (RFC 6347 4.2.3, RFC 9147 5.5).

#![allow(clippy::unwrap_used, reason = "a test")]

mod transport;

use std::collections::BTreeMap;
use std::time::Duration;

use rand_chacha::ChaCha12Rng;
use rand_core::RngCore;
use transport::records::{Message, record, take_apart};
use transport::{Pair, Path, Rewrite};
use twocan_rtc::transport::DtlsVersions;

const ANY: DtlsVersions = DtlsVersions::Any;
const ONLY_12: DtlsVersions = DtlsVersions::Only12;
const ONLY_13: DtlsVersions = DtlsVersions::Only13;

const CLIENT: usize = 0;
const SERVER: usize = 1;

const CERTIFICATE: u8 = 11;
const SERVER_HELLO: u8 = 2;

/// Cuts what `from` sends in the clear at random places, so that fragments overlap, repeat, contain one another and come in any order; each
/// repetition of a flight otherwise.
fn at_random(from: usize) -> Rewrite {
    let mut number = 10_000;
    Box::new(move |sender, datagram, random| {
        let (messages, rest) = take_apart(datagram);
        if sender != from || messages.is_empty() {
            return vec![datagram.to_vec()];
        }
        let mut fragments = Vec::new();
        for message in &messages {
            for (start, end) in cover(message.body.len(), random) {
                fragments.push(message.fragment(start, end));
            }
        }
        for index in (1..fragments.len()).rev() {
            fragments.swap(index, random.next_u32() as usize % (index + 1));
        }
        let mut datagrams = vec![Vec::new()];
        for fragment in fragments {
            if random.next_u32() % 3 == 0 {
                datagrams.push(Vec::new());
            }
            number += 1;
            datagrams.last_mut().unwrap().extend(record(number, &fragment));
            if datagrams.last().unwrap().len() > 1_000 {
                datagrams.push(Vec::new());
            }
        }
        datagrams.push(rest);
        datagrams.retain(|datagram| !datagram.is_empty());
        datagrams
    })
}

/// Ranges that overlap, and together are the whole.
fn cover(len: usize, random: &mut ChaCha12Rng) -> Vec<(usize, usize)> {
    let mut below = |bound: usize| random.next_u32() as usize % bound.max(1);
    let (mut ranges, mut end) = (Vec::new(), 0);
    while end < len {
        let start = end - below(end + 1).min(60);
        end = (end + 1 + below(250)).min(len);
        ranges.push((start, end));
    }
    for _ in 0..below(3) {
        let start = below(len);
        ranges.push((start, start + below(len - start + 1)));
    }
    ranges.retain(|(start, end)| start < end);
    if len == 0 {
        ranges.push((0, 0));
    }
    ranges
}

/// The flights of the report: of the certificate only 108 bytes arrive, and what follows in its turn; each repetition is cut at 231.
fn as_reported(from: usize, each_alone: bool) -> Rewrite {
    let (mut number, mut flights) = (10_000, 0);
    Box::new(move |sender, datagram, _| {
        let (messages, rest) = take_apart(datagram);
        if sender != from || !messages.iter().any(|message| message.kind == CERTIFICATE) {
            return vec![datagram.to_vec()];
        }
        flights += 1;
        let mut datagrams: Vec<Vec<u8>> = Vec::new();
        let mut begin = true;
        for message in messages {
            let len = message.body.len();
            let ranges = match (message.kind, flights) {
                (CERTIFICATE, 1) => vec![(0, 108)],
                (CERTIFICATE, _) => vec![(0, 231), (231, len)],
                (12 | 16, 1) => vec![],
                _ => vec![(0, len)],
            };
            for (start, end) in ranges {
                number += 1;
                if std::mem::take(&mut begin) || each_alone {
                    datagrams.push(Vec::new());
                }
                datagrams.last_mut().unwrap().extend(record(number, &message.fragment(start, end)));
            }
        }
        datagrams.push(rest);
        datagrams.retain(|datagram| !datagram.is_empty());
        datagrams
    })
}

fn connects(mut pair: Pair, within: Duration, what: &str) {
    pair.start();
    pair.run_until(what, |pair| {
        assert_eq!((pair.closed(0), pair.closed(1)), (None, None), "{what}");
        pair.is_connected(0) && pair.is_connected(1)
    });
    assert!(pair.elapsed() < within, "{what}: {:?}", pair.elapsed());
}

#[test]
fn a_fragment_that_comes_again_with_another_length_is_no_duplicate() {
    for from in [CLIENT, SERVER] {
        for each_alone in [false, true] {
            let mut pair = Pair::new(Path::perfect(50), 1, [ANY, ONLY_12]);
            pair.rewrite = Some(as_reported(from, each_alone));
            connects(pair, Duration::from_secs(2), &format!("from {from}, each alone: {each_alone}"));
        }
    }
}

#[test]
fn fragments_cut_at_random_make_the_handshake_of_either_role_in_both_versions() {
    for versions in [[ANY, ANY], [ANY, ONLY_12], [ONLY_12, ANY], [ONLY_13, ANY], [ONLY_12, ONLY_12]] {
        for from in [CLIENT, SERVER] {
            for seed in 0..100 {
                let mut pair = Pair::new(Path::perfect(50), seed, versions);
                pair.rewrite = Some(at_random(from));
                connects(pair, Duration::from_millis(600), &format!("{versions:?} from {from} seed {seed}"));
            }
        }
    }
}

#[test]
fn fragments_that_are_cut_anew_after_each_loss_come_together() {
    for versions in [[ANY, ANY], [ONLY_12, ONLY_12]] {
        for from in [CLIENT, SERVER] {
            for seed in 0..200 {
                let path = Path { rtt: Duration::from_millis(50), loss: 250, duplicated: 100, late: 200 };
                let mut pair = Pair::new(path, seed, versions);
                pair.rewrite = Some(at_random(from));
                connects(pair, Duration::from_secs(60), &format!("{versions:?} from {from} seed {seed}"));
            }
        }
    }
}

/// In DTLS 1.3 the certificates are encrypted: there the stack itself cuts its flights smaller each time.
#[test]
fn encrypted_fragments_that_are_cut_anew_after_each_loss_come_together() {
    let mut cut = BTreeMap::new();
    for seed in 0..300 {
        let path = Path { rtt: Duration::from_millis(50), loss: 300, duplicated: 100, late: 200 };
        let mtu = 530 + 17 * (seed as usize % 20);
        let mut pair = Pair::with_mtus(path, seed, [ONLY_13; 2], [mtu, mtu]);
        pair.records = true;
        pair.start();
        pair.run_until("connected", |pair| {
            assert_eq!((pair.closed(0), pair.closed(1)), (None, None), "seed {seed}");
            pair.is_connected(0) && pair.is_connected(1)
        });
        for (from, datagram) in &pair.sent {
            *cut.entry((*from, datagram.len() > 520)).or_insert(0) += 1;
        }
    }
    assert!(cut[&(SERVER, true)] > 100 && cut[&(SERVER, false)] > 100, "{cut:?}");
}

/// A stranger's fragments that claim what they will never bring.
#[test]
fn fragments_of_messages_that_never_end_take_no_more_than_their_share() {
    for versions in [ANY, ONLY_12] {
        let mut pair = Pair::new(Path::perfect(50), 5, [versions; 2]);
        pair.start();
        pair.flush();
        let now = pair.now;
        for number in 0..2_000_u16 {
            let message = Message {
                kind: SERVER_HELLO + (number % 20) as u8,
                number: number % 40,
                body: vec![7; 30_000],
            };
            let start = usize::from(number) * 13 % 29_000;
            let fragment = record(u64::from(number), &message.fragment(start, start + 5));
            pair.deliver_at(
                usize::from(number % 2),
                &fragment,
                now + Duration::from_micros(20 * u64::from(number)),
            );
        }
        pair.run_until("connected", |pair| {
            assert_eq!((pair.closed(0), pair.closed(1)), (None, None));
            pair.is_connected(0) && pair.is_connected(1)
        });
        assert!(pair.elapsed() < Duration::from_secs(20), "{:?}", pair.elapsed());
    }
}
