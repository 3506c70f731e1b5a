//! What nobody reads holds the other side back, for as long as it takes, and costs it nothing afterwards.

use std::time::{Duration, Instant};

use bytes::Bytes;
use twocan_rtc::transport::limits::{PEER_SILENCE_MAX, RECEIVE_WINDOW};
use twocan_rtc::transport::sctp::{Association, Config, Delivery, Event, Message};

const HALF_RTT: Duration = Duration::from_millis(10);
const MESSAGE_LEN: usize = 64 * 1024;

/// A sender, a receiver that hands messages on, and the time.
struct Two {
    ends: [Association; 2],
    now: Instant,
    /// Bytes that the receiver has handed on.
    arrived: usize,
    packets: usize,
}

impl Two {
    fn connected() -> Two {
        let config = Config { local_port: 5_000, remote_port: 5_000, mtu: 1_160 };
        let ends = [1, 2].map(|seed| Association::new(config, [seed; 32]));
        #[expect(clippy::disallowed_methods, reason = "an Instant has no other origin")]
        let now = Instant::now();
        let mut two = Two { ends, now, arrived: 0, packets: 0 };
        two.ends.iter_mut().for_each(|end| end.peer_is_at(5_000, Some(2 * HALF_RTT)));
        two.ends[0].connect(two.now);
        two.run_until(two.now + Duration::from_secs(1));
        assert!(two.ends.iter().all(Association::is_established));
        two
    }

    /// Packets go back and forth until nothing happens before `end`.
    fn run_until(&mut self, end: Instant) {
        loop {
            let mut is_quiet = true;
            for from in 0..2 {
                let mut packet = Vec::new();
                while self.ends[from].poll_transmit(&mut packet, self.now) {
                    (is_quiet, self.packets) = (false, self.packets + 1);
                    // A packet that finds no room is counted by whoever receives it.
                    let _ = self.ends[1 - from].handle_packet(&packet, self.now + HALF_RTT);
                    packet.clear();
                }
            }
            while let Some(event) = self.ends[1].poll_event() {
                if let Event::Message(message) = event {
                    self.arrived += message.bytes.len();
                }
            }
            if !is_quiet {
                self.now += HALF_RTT;
                continue;
            }
            let next = self.ends.iter().filter_map(Association::poll_timeout).min();
            match next.filter(|next| *next < end) {
                Some(next) => self.now = self.now.max(next),
                None => return self.now = self.now.max(end),
            }
            self.ends.iter_mut().for_each(|end| end.handle_timeout(self.now));
        }
    }

    fn send(&mut self) {
        let bytes = Bytes::from(vec![7; MESSAGE_LEN]);
        self.ends[0].send(Message { stream: 0, ppid: 53, bytes }, Delivery::default());
    }
}

#[test]
fn a_window_that_is_closed_for_ten_minutes_ends_nothing_and_opens_at_full_speed() {
    let mut two = Two::connected();
    // The receiver reads nothing: what it hands on stays unread.
    for _ in 0..200 {
        two.send();
        two.run_until(two.now + Duration::from_millis(100));
        let arrived = two.arrived;
        two.ends[1].set_unread(arrived);
    }
    let held = two.arrived;
    let nearly_full = RECEIVE_WINDOW - MESSAGE_LEN..=RECEIVE_WINDOW + MESSAGE_LEN;
    assert!(nearly_full.contains(&held), "{held} bytes");

    let packets = two.packets;
    two.run_until(two.now + 10 * PEER_SILENCE_MAX);
    assert!(
        two.ends.iter().all(Association::is_established),
        "the sender still knows that the other is there"
    );
    assert_eq!(two.arrived, held);
    let probes = two.packets - packets;
    assert!(probes < 1_500, "{probes} packets in ten minutes");

    // All is read at once: what waits arrives within a few round trips of the window's update.
    two.ends[1].set_unread(0);
    two.run_until(two.now + 20 * HALF_RTT);
    assert!(two.arrived >= held + 5 * MESSAGE_LEN, "{} bytes more", two.arrived - held);
}
