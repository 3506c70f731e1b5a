//! Paths that let no packets of 1,228 bytes through: from the beginning, or from some moment on (RFC 8831 5, RFC 8899, RFC 6347 4.1.1.1).

#![allow(clippy::unwrap_used, reason = "a test")]

mod transport;

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use transport::{Pair, Path};
use twocan_rtc::transport::{ChannelId, ChannelInit, DtlsVersions, Payload, SendError};

const VERSIONS: [DtlsVersions; 2] = [DtlsVersions::Any, DtlsVersions::Only12];
/// Headers of UDP and IPv4.
const HEADERS: usize = 28;

/// Two ends whose packets have at most `limit` bytes with all headers, or vanish; each with a channel.
struct Narrow {
    pair: Pair,
    channels: [ChannelId; 2],
    limit: Rc<Cell<usize>>,
    /// Bytes that were taken, and that still have to be.
    waiting: usize,
}

impl Narrow {
    fn new(path: Path, seed: u64, versions: DtlsVersions, limit: usize) -> Self {
        let limit = Rc::new(Cell::new(limit));
        let mut pair = Pair::new(path, seed, [versions; 2]);
        let known = Rc::clone(&limit);
        pair.rewrite = Some(Box::new(move |_, datagram, _| {
            let fits = datagram.len() + HEADERS <= known.get();
            fits.then(|| datagram.to_vec()).into_iter().collect()
        }));
        pair.records = true;
        let init = ChannelInit::new("agreed").negotiated(0);
        let channels = [0, 1].map(|end| pair.ends[end].open(init.clone(), pair.now).unwrap());
        pair.start();
        Self { pair, channels, limit, waiting: 0 }
    }

    fn connect(&mut self) {
        self.pair.run_until("connected", |pair| pair.is_connected(0) && pair.is_connected(1));
    }

    fn send(&mut self, end: usize, len: usize) {
        let bytes = Bytes::from(vec![end as u8; len]);
        let channel = self.channels[end];
        self.pair.ends[end].send(channel, Payload::Binary, bytes, self.pair.now).unwrap();
    }

    fn arrived(&self, end: usize) -> usize {
        self.pair.messages(end).iter().map(|(.., bytes)| bytes.len()).sum()
    }

    /// Sends so many bytes from 0 to 1, as fast as it takes them, until all have arrived.
    fn transfer(&mut self, bytes: usize, within: Duration) {
        let (before, begun) = (self.arrived(1), self.pair.now);
        self.waiting = bytes;
        while self.arrived(1) < before + bytes {
            while self.waiting > 0 {
                let message = Bytes::from(vec![0; self.waiting.min(64 * 1_024)]);
                let len = message.len();
                let now = self.pair.now;
                match self.pair.ends[0].send(self.channels[0], Payload::Binary, message, now) {
                    Ok(()) => self.waiting -= len,
                    Err(SendError::Full) => break,
                    Err(error) => panic!("{error}"),
                }
            }
            assert!(self.pair.step(), "nothing is due");
            let took = self.pair.now - begun;
            assert!(took < within, "{} of {bytes} bytes after {took:?}", self.arrived(1) - before);
        }
    }

    /// Of the datagrams of end 0 since the last time: how many, and how many of at least `len` bytes.
    fn count(&mut self, len: usize) -> (usize, usize) {
        let sent = std::mem::take(&mut self.pair.sent);
        let sent: Vec<usize> =
            sent.iter().filter(|(from, _)| *from == 0).map(|(_, bytes)| bytes.len()).collect();
        (sent.len(), sent.iter().filter(|sent| **sent >= len).count())
    }
}

#[test]
fn over_every_path_of_600_bytes_and_more_a_link_comes_up_and_carries_large_messages() {
    for versions in VERSIONS {
        for limit in [600, 700, 900, 1_000, 1_100, 1_200, 1_228, 1_500] {
            let mut narrow = Narrow::new(Path::perfect(50), 1, versions, limit);
            narrow.connect();
            assert!(
                narrow.pair.elapsed() < Duration::from_millis(1_500),
                "{limit}: {:?}",
                narrow.pair.elapsed()
            );
            let begun = narrow.pair.now;
            for end in 0..2 {
                narrow.send(end, 256 * 1_024);
            }
            while narrow.arrived(0) == 0 || narrow.arrived(1) == 0 {
                assert!(narrow.pair.step());
                assert!(narrow.pair.now - begun < Duration::from_secs(4), "{versions:?} {limit}");
            }
        }
    }
}

#[test]
fn over_paths_that_lose_besides_it_comes_up_too() {
    for seed in 0..100 {
        let path = Path::lossy(50, 100);
        let limit = [600, 1_000, 1_100, 1_200][seed as usize % 4];
        let versions = VERSIONS[seed as usize / 4 % 2];
        let mut narrow = Narrow::new(path, seed, versions, limit);
        narrow.connect();
        narrow.transfer(100_000, Duration::from_secs(30));
    }
}

#[test]
fn a_path_that_shrinks_in_mid_transfer_goes_on_and_uses_what_it_lets_through() {
    for versions in VERSIONS {
        for limit in [700, 1_000, 1_100, 1_200] {
            let mut narrow = Narrow::new(Path::perfect(50), 3, versions, 1_500);
            narrow.connect();
            narrow.transfer(2_000_000, Duration::from_secs(20));
            narrow.limit.set(limit);
            narrow.transfer(500_000, Duration::from_secs(10));
            narrow.count(0);
            narrow.transfer(2_000_000, Duration::from_secs(20));
            let (all, large) = narrow.count(limit - HEADERS - 120);
            assert!(large * 10 > all * 9 || limit == 700, "{versions:?} {limit}: {large} of {all}");
        }
    }
}

#[test]
fn a_path_that_widens_again_is_used_again() {
    let mut narrow = Narrow::new(Path::perfect(20), 4, DtlsVersions::Any, 1_000);
    narrow.connect();
    narrow.transfer(500_000, Duration::from_secs(10));
    narrow.limit.set(1_500);
    for _ in 0..40 {
        narrow.transfer(100_000, Duration::from_secs(10));
        narrow.pair.run_for(Duration::from_secs(5));
    }
    narrow.count(0);
    narrow.transfer(500_000, Duration::from_secs(10));
    let (all, large) = narrow.count(1_190);
    assert!(large * 10 > all * 9, "{large} of {all}");
}

#[test]
fn small_messages_do_not_hide_that_large_ones_vanish() {
    for versions in VERSIONS {
        let mut narrow = Narrow::new(Path::perfect(50), 5, versions, 1_500);
        narrow.connect();
        narrow.transfer(200_000, Duration::from_secs(10));
        narrow.limit.set(1_000);
        // Unordered, so that the small ones arrive while the large one waits.
        let init = ChannelInit::new("apart").negotiated(2).unordered();
        let channels = [0, 1].map(|end| narrow.pair.ends[end].open(init.clone(), narrow.pair.now).unwrap());
        narrow.channels = channels;
        let begun = narrow.pair.now;
        narrow.send(0, 100_000);
        while !narrow.pair.messages(1).iter().any(|(.., bytes)| bytes.len() == 100_000) {
            narrow.send(0, 20);
            narrow.pair.run_for(Duration::from_millis(16));
            let took = narrow.pair.now - begun;
            assert!(took < Duration::from_secs(5), "{versions:?}");
        }
    }
}

/// No smaller than before there were probes: then a datagram had 1,132 bytes of a message.
#[test]
fn on_ordinary_paths_packets_are_as_large_as_they_may_be() {
    for versions in VERSIONS {
        for loss in [0, 10] {
            let mut narrow = Narrow::new(Path::perfect(50), 6, versions, 1_500);
            narrow.connect();
            narrow.pair.path = Path::lossy(50, loss);
            narrow.transfer(200_000, Duration::from_secs(20));
            narrow.count(0);
            narrow.transfer(4_000_000, Duration::from_secs(60));
            let (all, large) = narrow.count(1_200);
            assert!(large * 10 > all * 9, "{versions:?}, {loss} lost: {large} of {all}");
            if loss == 0 {
                assert!(all <= 4_000_000 / 1_132 + 40, "{versions:?}: {all} datagrams");
            }
        }
    }
}
