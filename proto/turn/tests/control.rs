//! A lobby of another process tells the relay who is in: over a path that loses packets, to a relay that may be started anew.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

mod kit;

use std::time::Duration;

use kit::{Client, LISTENER, PEER, UNIX, World, addr};
use twocan_base::Quota;
use twocan_stun::{Class, Message};
use twocan_turn::control::Teller;
use twocan_turn::{ClientAddr, Discard, GroupId, MemberId, News, Transport, Via};

const KEY: [u8; 32] = [8; 32];
const MEMBERS: Quota = Quota { total: 1_000, household: 500, site: 500, floor: 4 };

struct Story {
    world: World,
    teller: Teller,
    from: ClientAddr,
    /// All that the teller sent.
    sent: Vec<Vec<u8>>,
    is_cut: bool,
}

impl Story {
    fn new(key: [u8; 32]) -> Story {
        let world = World::new();
        let teller = Teller::new(&key, MEMBERS, [1; 32], world.now);
        let from = ClientAddr {
            remote: addr("198.51.100.99:7000"),
            local: addr(LISTENER),
            transport: Transport::Udp,
        };
        Story { world, teller, from, sent: Vec::new(), is_cut: false }
    }

    fn drain(&mut self) {
        while let Some(packet) = self.teller.poll_transmit() {
            self.sent.push(packet.clone());
            if self.is_cut {
                continue;
            }
            for answer in self.deliver(&packet) {
                self.teller.handle_packet(&answer, self.world.now);
            }
        }
    }

    /// What the relay answers.
    fn deliver(&mut self, packet: &[u8]) -> Vec<Vec<u8>> {
        self.world.take_sent();
        self.world.server.handle_client(packet, self.from, self.world.now);
        self.world.drain();
        let sent = self.world.take_sent().into_iter();
        sent.filter(|sent| sent.via == Via::Client(self.from)).map(|sent| sent.bytes).collect()
    }

    fn unix(&self, ms: u64) -> u64 {
        UNIX + ms / 1_000
    }

    fn tell(&mut self, news: &News) {
        self.teller.handle_news(news, UNIX, self.world.now);
        self.drain();
    }

    fn t(&mut self, ms: u64) {
        let start = self.world.now;
        let unix_s = self.unix(ms);
        while self.teller.poll_timeout() <= start + Duration::from_millis(ms) {
            self.world.now = self.world.now.max(self.teller.poll_timeout());
            self.teller.handle_timeout(unix_s, self.world.now);
            self.drain();
        }
        self.world.now = start + Duration::from_millis(ms);
    }

    fn code(&mut self, peer: &str) -> u16 {
        let mut client = Client::member("198.51.100.7:1", "g", peer);
        let code = client.allocate_with(&mut self.world, |_| ()).code();
        client.refresh(&mut self.world, 0);
        code
    }
}

/// The kit's credentials last an hour.
fn granted(peer: &str, address: &str) -> News {
    let (group, peer, address) = (GroupId::new("g"), MemberId::new(peer), address.parse().unwrap());
    News::Granted { group, peer, address, expires: UNIX + 3_600 }
}

fn revoked(peer: &str) -> News {
    News::Revoked { group: GroupId::new("g"), peer: MemberId::new(peer) }
}

#[test]
fn who_is_let_in_is_in_and_who_is_gone_is_out() {
    let mut story = Story::new(KEY);
    story.tell(&granted("ADA", "198.51.100.7"));
    assert_eq!(story.sent.len(), 2, "the first brings a nonce");
    assert!(story.teller.is_told());
    assert_eq!([story.code("ADA"), story.code("BOB")], [0, 401]);
    story.tell(&granted("BOB", "8.8.8.8"));
    let mut ada = Client::member("198.51.100.7:2", "g", "ADA");
    ada.allocate(&mut story.world);
    assert_eq!(ada.permit(&mut story.world, &[addr(PEER)]), 0);
    story.tell(&revoked("BOB"));
    assert_eq!(story.code("BOB"), 401);
    assert_eq!(ada.permit(&mut story.world, &[addr(PEER)]), 403);
    story.tell(&News::GroupClosed { group: GroupId::new("g") });
    assert_eq!(story.code("ADA"), 401);
    assert_eq!(ada.refresh(&mut story.world, 600).code(), 401);
    // What this thread heard, it tells the others.
    assert_eq!(
        story.world.take_news().iter().filter(|news| matches!(news, News::GroupClosed { .. })).count(),
        1
    );
}

#[test]
fn a_credential_whose_news_is_on_its_way_is_good() {
    let mut story = Story::new(KEY);
    let News::Granted { group, peer, address, .. } = granted("ADA", "198.51.100.7") else { unreachable!() };
    story.tell(&News::Granted { group, peer, address, expires: UNIX + 3_599 });
    assert_eq!(story.code("BOB"), 0, "newer than all that was heard of");
    story.tell(&granted("CYD", "198.51.100.7"));
    assert_eq!(story.code("BOB"), 401);
}

#[test]
fn who_came_and_went_unheard_is_out_as_well() {
    let mut story = Story::new(KEY);
    story.is_cut = true;
    story.tell(&granted("ADA", "198.51.100.7"));
    story.tell(&revoked("ADA"));
    story.is_cut = false;
    story.t(60_000);
    assert!(story.teller.is_told());
    assert_eq!(story.code("ADA"), 401);
}

#[test]
fn what_is_lost_is_sent_again_until_it_is_answered() {
    let mut story = Story::new(KEY);
    story.is_cut = true;
    for n in 0..100 {
        story.tell(&granted(&format!("P{n}"), &format!("198.51.{n}.7")));
    }
    story.t(600_000);
    assert!(story.sent.len() < 100 && !story.teller.is_told(), "{}", story.sent.len());
    story.is_cut = false;
    story.t(10_000);
    assert!(story.teller.is_told());
    assert!(story.sent.iter().all(|packet| packet.len() <= 1_200));
    assert_eq!(story.world.server.stats().stored.members, 101);
}

#[test]
fn a_relay_that_was_started_anew_is_told_everything_again() {
    let mut story = Story::new(KEY);
    story.tell(&granted("ADA", "198.51.100.7"));
    story.tell(&granted("BOB", "198.51.100.7"));
    story.tell(&revoked("BOB"));
    let now = story.world.now;
    story.world = World::at(now, 9, |config| config.nonce_key = [77; 32]);
    assert_eq!(story.code("BOB"), 0, "nothing is known");
    story.t(10_000);
    assert_eq!([story.code("ADA"), story.code("BOB")], [0, 401]);
}

#[test]
fn what_was_recorded_cannot_be_told_again() {
    let mut story = Story::new(KEY);
    story.tell(&granted("ADA", "198.51.100.7"));
    story.tell(&revoked("ADA"));
    let members = story.world.server.stats().stored.members;
    for packet in story.sent.clone() {
        story.deliver(&packet);
    }
    let stats = story.world.server.stats();
    assert_eq!((stats.discarded(Discard::Replay), stats.stored.members), (1, members));
    story.from.remote.set_port(7_001);
    for packet in story.sent.clone() {
        let answers = story.deliver(&packet);
        assert_eq!(Message::parse(&answers[0]).unwrap().class(), Class::Error, "438: the nonce is another's");
    }
    assert_eq!(story.code("ADA"), 401);
}

#[test]
fn nobody_else_tells_the_relay_anything() {
    let mut story = Story::new([9; 32]);
    story.tell(&granted("ADA", "198.51.100.7"));
    story.t(60_000);
    assert!(!story.teller.is_told());
    assert_eq!((story.world.server.stats().stored.members, story.code("BOB")), (0, 0));
    assert!(story.world.server.stats().error(403) > 0);
    // A relay that has no key knows no such request.
    story.world = World::at(story.world.now, 1, |config| config.control_key = None);
    story.t(60_000);
    assert!(story.world.server.stats().discarded(Discard::UnknownMethod) > 0);
}

#[test]
fn while_the_relay_is_away_no_household_fills_the_table() {
    let mut story = Story::new(KEY);
    story.is_cut = true;
    for n in 0..5_000 {
        story.tell(&granted(&format!("V{n}"), "8.8.8.8"));
        story.tell(&revoked(&format!("V{n}")));
    }
    story.tell(&granted("ADA", "198.51.100.7"));
    story.is_cut = false;
    story.t(60_000);
    assert!(story.teller.is_told());
    assert_eq!([story.code("ADA"), story.code("V4999")], [0, 401]);
}
