//! One side stands still for a while (a lid, a debugger, a stalled machine) and goes on: then the link carries, or it has ended on both sides.

mod world;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use twocan_rtc::{ChannelId, ConnectionState, Event, Signal};
use world::*;

/// How signals get from one side to the other.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Way {
    /// By the server.
    Server,
    /// By the link's own channel, as where both have left the server.
    Link,
    /// They do not.
    Nowhere,
    /// They do not, and nobody knows.
    Lost,
}

#[derive(Clone, Copy, Debug)]
struct Case {
    sleeper: usize,
    seconds: u64,
    way: Way,
    /// Messages each way, all the time.
    is_busy: bool,
}

struct Life {
    world: World,
    channels: [[ChannelId; 2]; 2],
    /// Signals that go by the link's own channel.
    to_say: [Rc<RefCell<VecDeque<Signal>>>; 2],
    /// Messages that were looked at.
    seen: [usize; 2],
    /// Others than signals.
    heard: [usize; 2],
}

impl Life {
    fn new(case: Case) -> Life {
        let mut world = World::new(case.seconds, Net::default());
        let channels = world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |_, _| ());
        world.connect(ms(2_000));
        let to_say: [Rc<RefCell<VecDeque<Signal>>>; 2] = Default::default();
        if case.way != Way::Server {
            for peer in [ADA, BOB] {
                let queue = to_say[peer].clone();
                let says = case.way == Way::Link;
                world.peers[peer].tamper = Box::new(move |signal| {
                    queue.borrow_mut().extend(says.then_some(signal));
                    None
                });
                if case.way != Way::Lost {
                    world.with(peer, |connection, _| connection.handle_signaling(false));
                }
            }
        }
        Life { world, channels, to_say, seen: [0; 2], heard: [0; 2] }
    }

    /// A tenth of a second.
    fn tick(&mut self, is_busy: bool) {
        for peer in [ADA, BOB] {
            let is_asleep = self.world.peers[peer].sleep.is_asleep();
            let said: Vec<Signal> = self.to_say[peer].borrow_mut().drain(..).collect();
            for signal in said {
                let text = serde_json::to_vec(&signal).expect("a signal is JSON");
                self.world.send(peer, self.channels[peer][0], text);
            }
            if is_busy && !is_asleep {
                self.world.send(peer, self.channels[peer][0], vec![0; 200]);
            }
        }
        self.world.run_for(ms(100));
        for peer in [ADA, BOB] {
            let come: Vec<Vec<u8>> = self.world.peers[peer].messages[self.seen[peer]..]
                .iter()
                .map(|(_, _, bytes)| bytes.to_vec())
                .collect();
            self.seen[peer] += come.len();
            for bytes in come {
                match serde_json::from_slice::<Signal>(&bytes) {
                    Ok(signal) => {
                        let _ =
                            self.world.with(peer, |connection, now| connection.handle_signal(signal, now));
                    }
                    Err(_) => self.heard[peer] += 1,
                }
            }
        }
    }

    fn has_ended(&self) -> bool {
        self.world
            .peers
            .iter()
            .all(|peer| peer.failure().is_some() && !peer.is_connected() || peer.is_closed())
    }

    /// How long after the waking both are connected and have heard of each other; `None`: both have ended.
    fn recovery(&mut self, case: Case) -> Option<Duration> {
        for _ in 0..30 {
            self.tick(case.is_busy);
        }
        self.world.sleep(case.sleeper);
        for _ in 0..case.seconds * 10 {
            self.tick(case.is_busy);
        }
        self.world.wake(case.sleeper);
        let woken = self.world.elapsed();
        let heard = self.heard;
        for tick in 0..1_300 {
            // What is said now, not what waited.
            if tick % 5 == 0 {
                for peer in [ADA, BOB] {
                    self.world.send(peer, self.channels[peer][0], vec![0; 200]);
                }
            }
            self.tick(case.is_busy);
            let has_heard = [ADA, BOB].into_iter().all(|peer| self.heard[peer] > heard[peer] + 1);
            if self.world.is_up() && has_heard {
                return Some(self.world.elapsed() - woken);
            }
            if self.has_ended() {
                return None;
            }
        }
        panic!("{case:?}: {}", self.world.describe());
    }
}

/// Consent, which no check had renewed for up to six seconds, lasts so long (RFC 7675 5.1): until then the path is what it was.
const CONSENT: u64 = 24;

fn all_lengths(way: Way) {
    for (is_busy, sleeper, seconds) in (1..=60)
        .flat_map(|seconds| [false, true].map(|busy| [ADA, BOB].map(|peer| (busy, peer, seconds))))
        .flatten()
    {
        let case = Case { sleeper, seconds, way, is_busy };
        match Life::new(case).recovery(case) {
            Some(took) => assert!(took <= ms(5_000), "{case:?}: {took:?}"),
            None => assert!(way != Way::Server && seconds > CONSENT, "{case:?}: both have ended"),
        }
    }
}

#[test]
fn who_stood_still_is_linked_within_five_seconds_where_the_server_carries_signals() {
    all_lengths(Way::Server);
}

#[test]
fn who_stood_still_is_linked_within_five_seconds_or_both_have_ended_where_the_link_carries_signals() {
    all_lengths(Way::Link);
}

#[test]
fn who_stood_still_is_linked_within_five_seconds_or_both_have_ended_where_nothing_carries_signals() {
    all_lengths(Way::Nowhere);
}

#[test]
fn where_offers_are_lost_both_sides_say_the_same_when_mending_is_over() {
    for (sleeper, is_busy) in [(ADA, false), (ADA, true), (BOB, false), (BOB, true)] {
        for seconds in (1..=60).step_by(3) {
            let case = Case { sleeper, seconds, way: Way::Lost, is_busy };
            match Life::new(case).recovery(case) {
                Some(took) => assert!(took <= ms(95_000), "{case:?}: {took:?}"),
                None => assert!(seconds > CONSENT, "{case:?}: both have ended"),
            }
        }
    }
}

/// The other side is killed. Meanwhile the server may be there or not, or now and then, and may link the two again.
#[test]
fn who_is_gone_for_good_is_missed_and_has_failed_when_mending_is_over() {
    for (gone, is_busy, server) in [ADA, BOB]
        .into_iter()
        .flat_map(|gone| [false, true].map(|busy| [0, 1, 2, 3].map(|server| (gone, busy, server))))
        .flatten()
    {
        let what = format!("{gone} is gone, busy: {is_busy}, server {server}");
        let case = Case { sleeper: gone, seconds: 0, way: Way::Nowhere, is_busy };
        let mut life = Life::new(case);
        let stays = 1 - gone;
        life.world.sleep(gone);
        let killed = life.world.elapsed();
        for tick in 0..1_300 {
            life.tick(is_busy);
            // Gone; there; there for one second in four; there, and it links them again every eight seconds.
            life.world.with(stays, |connection, now| {
                connection.handle_signaling(matches!((server, tick / 10 % 4), (1 | 3, _) | (2, 0)));
                if server == 3
                    && tick > 120
                    && tick % 80 == 0
                    && connection.state() == ConnectionState::Disconnected
                {
                    connection.restart_ice(now);
                }
            });
        }
        let states: Vec<(Duration, ConnectionState)> = life.world.peers[stays]
            .events
            .iter()
            .filter_map(
                |(at, event)| if let Event::StateChanged(state) = event { Some((*at, *state)) } else { None },
            )
            .filter(|(at, _)| *at > killed)
            .collect();
        let [(missed, ConnectionState::Disconnected), (failed, ConnectionState::Failed)] = states[..] else {
            panic!("{what}: {states:?}");
        };
        assert!(missed - killed <= ms(10_000), "{what}: {states:?}");
        assert!(failed - missed <= ms(92_100), "{what}: {states:?}");
        assert!(life.world.peers[stays].failure().is_some(), "{what}: and says why");
    }
}
