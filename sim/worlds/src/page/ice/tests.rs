//! The figures of libwebrtc, by the clock.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use twocan_ice::{Candidate, Credentials, Parsed};
use twocan_stun::{Class, Message};

use super::{Ice, Output, State};

/// An agent, and the end that answers it, without anything in between.
struct Bench {
    start: Instant,
    now: Instant,
    ice: [Ice; 2],
    /// Whether packets arrive.
    is_up: bool,
    /// When the first one sent a check, and to which port.
    checks: Vec<(Duration, u16)>,
}

const ADDRESSES: [[u8; 4]; 2] = [[192, 0, 2, 1], [192, 0, 2, 2]];

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

impl Bench {
    #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
    fn new() -> Bench {
        let now = Instant::now();
        let ice = ADDRESSES.map(|address| {
            let networks = vec![IpAddr::from(address)];
            Ice::new(Vec::new(), false, networks, 5_000, [address[3]; 32], now)
        });
        Bench { start: now, now, ice, is_up: true, checks: Vec::new() }
    }

    /// Both are described; the first one nominates.
    fn describe(&mut self) {
        let credentials: [Credentials; 2] = self.ice.each_mut().map(Ice::draw_credentials);
        for side in [0, 1] {
            self.ice[side].set_controlling(side == 0);
            self.ice[side].gather(&credentials[side], self.now);
            self.ice[side].set_remote(&credentials[1 - side], self.now);
        }
    }

    /// The first one hears of a candidate at this port of the second one's.
    fn tell(&mut self, port: u16) {
        let text = format!("candidate:1 1 udp 1694498815 192.0.2.2 {port} typ srflx raddr 0.0.0.0 rport 0");
        let Ok(Parsed::Candidate(candidate)) = Candidate::parse(&text) else { panic!("{text}") };
        self.ice[0].add_remote(candidate, self.now);
        self.carry();
    }

    fn pass(&mut self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            self.now += ms(1);
            for ice in &mut self.ice {
                if ice.poll_timeout().is_some_and(|at| at <= self.now) {
                    ice.handle_timeout(self.now);
                }
            }
            self.carry();
        }
    }

    fn carry(&mut self) {
        let mut is_busy = true;
        while std::mem::take(&mut is_busy) {
            for side in [0, 1] {
                while let Some(output) = self.ice[side].poll_output() {
                    let Output::Datagram { from, to, bytes } = output else { continue };
                    is_busy = true;
                    let is_check =
                        Message::parse(&bytes).is_ok_and(|message| message.class() == Class::Request);
                    if side == 0 && is_check {
                        self.checks.push((self.now - self.start, to.port()));
                    }
                    if self.is_up {
                        let from = SocketAddr::new(ADDRESSES[side].into(), from.port());
                        self.ice[1 - side].handle_datagram(to, from, &bytes, self.now);
                    }
                }
            }
        }
    }
}

#[test]
fn the_first_candidate_is_asked_at_once_and_the_next_one_waits_for_its_tick() {
    let mut bench = Bench::new();
    bench.describe();
    bench.tell(9);
    bench.pass(ms(5));
    bench.tell(10);
    bench.pass(ms(60));
    assert_eq!(bench.checks, [(ms(0), 9), (ms(48), 10)]);
}

#[test]
fn whoever_asks_with_the_right_words_is_answered_though_nobody_has_told_of_it() {
    let mut bench = Bench::new();
    bench.describe();
    bench.tell(5_000);
    // The second one has heard of no candidate.
    bench.pass(ms(200));
    assert_eq!(bench.ice.each_ref().map(Ice::state), [State::Connected; 2]);
}

#[test]
fn a_pair_that_is_well_is_asked_every_two_and_a_half_seconds() {
    let mut bench = Bench::new();
    bench.describe();
    bench.tell(5_000);
    bench.pass(ms(10_000));
    bench.checks.clear();
    bench.pass(ms(20_000));
    assert!((7..=8).contains(&bench.checks.len()), "{:?}", bench.checks);
}

#[test]
fn silence_is_seen_after_five_to_eight_seconds_and_is_the_end_after_fifteen_to_eighteen() {
    for moment in (0..2_500).step_by(500) {
        let mut bench = Bench::new();
        bench.describe();
        bench.tell(5_000);
        bench.pass(ms(10_000 + moment));
        bench.is_up = false;
        let (cut, mut seen) = (bench.now, Vec::new());
        while bench.now < cut + ms(20_000) {
            bench.pass(ms(100));
            let state = bench.ice[0].state();
            if seen.last().is_none_or(|(last, _)| *last != state) {
                seen.push((state, bench.now - cut));
            }
        }
        let [(State::Connected, _), (State::Disconnected, falters), (State::Failed, ends)] = seen[..] else {
            panic!("{seen:?}");
        };
        assert!(falters >= ms(5_000) && falters < ms(8_000), "{falters:?}");
        assert!(ends >= ms(15_000) && ends < ms(18_000), "{ends:?}");
    }
}
