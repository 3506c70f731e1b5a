//! A connection whose other side has audio and video beside its data: the sections remain what they were, whoever describes next.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use twocan_rtc::sdp::{Description, Kind, Session};
use twocan_rtc::{Certificate, Config, Connection, Discard, Event, Signal, SocketId};

struct Side {
    connection: Connection,
    socket: SocketId,
    now: Instant,
    descriptions: Vec<Description>,
    mids: Vec<(Option<String>, Option<u16>)>,
}

impl Side {
    fn new() -> Side {
        #[expect(
            clippy::disallowed_methods,
            reason = "an instant cannot be made otherwise: only what is added to it counts"
        )]
        let now = Instant::now();
        let mut connection = Connection::new(Config::new(Certificate::generate()), [7; 32], now);
        let socket = connection.add_socket(SocketAddr::from(([192, 0, 2, 1], 4_000)), now);
        Side { connection, socket, now, descriptions: Vec::new(), mids: Vec::new() }
    }

    fn drain(&mut self) {
        while let Some(event) = self.connection.poll_event() {
            match event {
                Event::Signal(Signal::Description(description)) => self.descriptions.push(description),
                Event::Signal(Signal::Candidate(init)) => {
                    self.mids.push((init.sdp_mid, init.sdp_m_line_index));
                }
                _ => {}
            }
        }
    }

    /// Takes an offer; our answer.
    fn answer(&mut self, sdp: String) -> String {
        self.now += Duration::from_secs(1);
        let offer = Description { kind: Kind::Offer, sdp, offer: None };
        self.connection.handle_signal(Signal::Description(offer), self.now).expect("it is taken");
        self.drain();
        self.last(Kind::Answer)
    }

    fn restart(&mut self) -> String {
        self.now += Duration::from_secs(1);
        self.connection.restart_ice(self.now);
        self.drain();
        self.last(Kind::Offer)
    }

    fn last(&self, kind: Kind) -> String {
        let last = self.descriptions.last().expect("one was made");
        assert_eq!(last.kind, kind);
        last.sdp.clone()
    }
}

fn page(name: &str) -> String {
    std::fs::read_to_string(format!("{}/tests/sdp/{name}.sdp", env!("CARGO_MANIFEST_DIR")))
        .expect("the sample is there")
}

fn lines<'a>(sdp: &'a str, start: &str) -> Vec<&'a str> {
    sdp.lines().filter(|line| line.starts_with(start)).collect()
}

#[test]
fn our_offers_repeat_the_sections_of_the_other_side_in_their_order() {
    let mut side = Side::new();
    let answer = side.answer(page("chromium-offer-with-media"));
    let offer = side.restart();
    for start in ["m=", "a=mid:", "a=group:", "a=rtpmap:", "a=inactive"] {
        assert_eq!(lines(&offer, start), lines(&answer, start), "{start}");
    }
    assert_eq!(lines(&offer, "a=setup:"), ["a=setup:actpass"; 3]);
    let ufrags = lines(&offer, "a=ice-ufrag:");
    assert!(ufrags.iter().all(|ufrag| *ufrag == ufrags[0] && !answer.contains(ufrag)), "{ufrags:?}");
    // Its answer to that may refuse one of them for good.
    let theirs = Session::parse(&offer).unwrap();
    let mut answer = theirs.answer(9, theirs.credentials.clone(), theirs.fingerprints[0].clone());
    answer.before[1].kept = None;
    let description = Description { kind: Kind::Answer, sdp: answer.write(), offer: None };
    side.connection.handle_signal(Signal::Description(description), side.now).unwrap();
    let offer = side.restart();
    let ports: Vec<&str> = lines(&offer, "m=").iter().map(|line| line.split(' ').nth(1).unwrap()).collect();
    assert_eq!((ports, lines(&offer, "a=group:")), (vec!["9", "0", "9"], vec!["a=group:BUNDLE 0 2"]));
}

#[test]
fn media_may_come_and_go_while_the_data_stays() {
    let mut side = Side::new();
    let with_media = page("chromium-offer-with-media");
    let place = with_media.find("m=application").unwrap();
    let (media, data) = (with_media.find("m=audio").unwrap(), &with_media[place..]);
    let alone = format!("{}{data}", &with_media[..media]).replace("BUNDLE 0 1 2", "BUNDLE 2");
    assert_eq!(lines(&side.answer(alone.clone()), "m=").len(), 1);
    // Sections are added behind those that are there.
    let added = format!("{alone}{}", &with_media[media..place]).replace("BUNDLE 2", "BUNDLE 2 0 1");
    let answer = side.answer(added.clone());
    assert_eq!(lines(&answer, "a=group:"), ["a=group:BUNDLE 2 0 1"]);
    assert_eq!(lines(&answer, "a=mid:"), ["a=mid:2", "a=mid:0", "a=mid:1"]);
    assert_eq!(lines(&side.restart(), "a=mid:"), ["a=mid:2", "a=mid:0", "a=mid:1"]);
}

#[test]
fn candidates_are_said_to_belong_to_the_section_that_carries_the_transport() {
    let mut side = Side::new();
    side.answer(page("chromium-offer-with-media"));
    side.now += Duration::from_secs(1);
    side.connection.add_socket(SocketAddr::from(([192, 0, 2, 2], 4_000)), side.now);
    side.drain();
    let offer = side.restart();
    assert!(lines(&offer, "m=")[0].starts_with("m=audio"));
    let first_section = offer.split("\r\nm=").nth(1).unwrap();
    assert!(first_section.contains("a=candidate:"), "{offer}");
    assert!(side.mids.iter().all(|place| *place == (Some("0".into()), Some(0))), "{:?}", side.mids);
}

#[test]
fn rtp_and_rtcp_are_counted_and_go_nowhere() {
    let mut side = Side::new();
    side.answer(page("chromium-offer-with-media"));
    let from = SocketAddr::from(([192, 0, 2, 9], 5_000));
    for first in [0x80, 0x81, 0xBF] {
        for second in [111, 200, 201] {
            let taken = side.connection.handle_datagram(side.socket, from, &[first, second, 0, 1], side.now);
            assert_eq!(taken, Err(Discard::UnknownProtocol));
        }
    }
    assert_eq!(side.connection.stats().discards[&Discard::UnknownProtocol], 9);
    assert!(side.connection.poll_transmit().is_none());
}
