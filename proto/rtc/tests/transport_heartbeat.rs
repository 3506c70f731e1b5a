//! An association in which nobody says anything: it asks whether the other side is there (RFC 9260 8.3).

#![allow(clippy::unwrap_used, reason = "a test")]

mod transport;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use transport::{Pair, Path};
use twocan_rtc::transport::{ChannelInit, Discard, Payload};

const SECOND: Duration = Duration::from_secs(1);

/// How many datagrams each end has sent.
type Sent = Rc<[Cell<usize>; 2]>;

/// Two ends of a path that can be cut.
fn pair(number: u64) -> (Pair, Rc<Cell<bool>>, Sent) {
    let (cut, sent) = (Rc::new(Cell::new(false)), Rc::new([Cell::new(0), Cell::new(0)]));
    let (mut pair, _) = Pair::connected(Path::perfect(40), number, &ChannelInit::new("chat"));
    let (is_cut, count) = (Rc::clone(&cut), Rc::clone(&sent));
    pair.rewrite = Some(Box::new(move |from, datagram, _| {
        count[from].set(count[from].get() + 1);
        (!is_cut.get()).then(|| datagram.to_vec()).into_iter().collect()
    }));
    (pair, cut, sent)
}

#[test]
fn an_idle_association_asks_once_in_a_quarter_of_a_minute() {
    let (mut pair, _, sent) = pair(1);
    pair.run_for(SECOND * 600);
    for (end, count) in sent.iter().enumerate() {
        // Each asks forty times, and answers the other, perhaps in the same datagram.
        let count = count.get();
        assert!((39..=85).contains(&count), "{count} datagrams in ten minutes");
        assert_eq!((pair.ends[end].silent_since(), pair.closed(end)), (None, None));
    }
}

#[test]
fn an_idle_peer_that_is_gone_is_silent_and_is_asked_ever_more_seldom() {
    let (mut pair, cut, sent) = pair(2);
    pair.run_for(SECOND * 5);
    cut.set(true);
    let begun = pair.now;
    pair.run_for(SECOND * 17);
    for end in [0, 1] {
        let since = pair.ends[end].silent_since().unwrap();
        assert!(since > begun && since <= begun + SECOND * 15, "{:?}", since - begun);
    }
    let before = sent[0].get();
    pair.run_for(SECOND * 60);
    assert!((4..=9).contains(&(sent[0].get() - before)), "{}", sent[0].get() - before);
    cut.set(false);
    pair.run_for(SECOND * 16);
    assert!(pair.ends.iter().all(|end| end.silent_since().is_none()));
}

#[test]
fn a_peer_that_has_never_answered_says_nothing_by_its_silence() {
    let (mut pair, cut, _) = pair(3);
    pair.run_for(SECOND);
    cut.set(true);
    pair.run_for(SECOND * 60);
    assert!(pair.ends.iter().all(|end| end.silent_since().is_none()));
}

/// The window closes before the events that wait are too many, however small the messages are: whoever reads nothing for minutes is
/// heard all the time, and nothing is lost.
#[test]
fn a_peer_whose_program_reads_nothing_is_heard_all_the_same() {
    let (mut pair, channel) = Pair::connected(Path::perfect(40), 4, &ChannelInit::new("chat"));
    pair.unheard = Some(1);
    let mut sent = 0_u32;
    for _ in 0..1_200 {
        for _ in 0..100 {
            let bytes = bytes::Bytes::copy_from_slice(&sent.to_be_bytes());
            sent += u32::from(pair.ends[0].send(channel, Payload::Binary, bytes, pair.now).is_ok());
        }
        pair.run_for(SECOND / 10);
        // What is beyond the window asks for it; all else is heard.
        assert!(pair.discards[1].iter().all(|discard| *discard == Discard::BeyondWindow));
        let since = pair.ends[0].silent_since().map_or(Duration::ZERO, |since| pair.now - since);
        assert!(since < SECOND * 3, "silent for {since:?} after {sent} messages");
    }
    pair.unheard = None;
    pair.run_for(SECOND * 20);
    let messages = pair.messages(1);
    assert_eq!(messages.len(), sent as usize);
    assert!(messages.iter().zip(0_u32..).all(|((_, _, bytes), number)| **bytes == number.to_be_bytes()));
    assert_eq!([pair.closed(0), pair.closed(1)], [None; 2]);
}
