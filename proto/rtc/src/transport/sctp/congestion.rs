//! How much may be underway: slow start, CUBIC (RFC 9438) where RFC 9260 7.2.2 grows by a packet each round trip, and
//! the retransmission timer (RFC 9260 6.3).

use std::time::{Duration, Instant};

use super::limits::{RTO_MAX, RTO_MIN};

/// RFC 6928: ten packets at first.
const INITIAL_PACKETS: usize = 10;
const MINIMUM_PACKETS: usize = 4;
const BETA: f64 = 0.7;
const C: f64 = 0.4;

pub(super) struct Congestion {
    mtu: usize,
    window: usize,
    threshold: usize,
    /// Loss before this TSN was accounted for.
    recovery: Option<u64>,
    epoch: Option<Epoch>,
    window_max: f64,
}

struct Epoch {
    start: Instant,
    k: f64,
    /// What a Reno sender would have by now, bytes.
    reno: f64,
}

impl Congestion {
    pub(super) fn new(mtu: usize) -> Self {
        Self {
            mtu,
            window: INITIAL_PACKETS * mtu,
            threshold: usize::MAX,
            recovery: None,
            epoch: None,
            window_max: 0.0,
        }
    }

    /// Bytes that may be underway.
    pub(super) fn window(&self) -> usize {
        self.window
    }

    /// `bytes` were acknowledged, all up to `cumulative`. `limited`: there was more to send than the window let through.
    pub(super) fn acknowledged(
        &mut self,
        bytes: usize,
        cumulative: u64,
        limited: bool,
        rtt: Duration,
        now: Instant,
    ) {
        if self.recovery.is_some_and(|recovery| cumulative + 1 < recovery) {
            return;
        }
        self.recovery = None;
        if !limited || bytes == 0 {
            return;
        }
        if self.window < self.threshold {
            self.window += bytes;
            return;
        }
        let mtu = self.mtu as f64;
        let window = self.window as f64;
        let window_max = self.window_max;
        let epoch = self.epoch.get_or_insert_with(|| {
            let k = ((window_max - window).max(0.0) / mtu / C).cbrt();
            Epoch { start: now, k, reno: window }
        });
        let t = (now.saturating_duration_since(epoch.start) + rtt).as_secs_f64() - epoch.k;
        let cubic = C * t * t * t * mtu + window_max;
        epoch.reno += 3.0 * (1.0 - BETA) / (1.0 + BETA) * mtu * bytes as f64 / window;
        let target = cubic.max(epoch.reno).clamp(window, 1.5 * window);
        let growth = (target - window) * bytes as f64 / window;
        self.window += growth.max(0.0).min(bytes as f64) as usize;
    }

    /// A packet was lost; `next` is the TSN that comes next. Once for all that was underway.
    pub(super) fn lost(&mut self, next: u64) {
        if self.recovery.is_some() {
            return;
        }
        self.recovery = Some(next);
        self.reduce();
        self.window = self.threshold;
    }

    /// Nothing was acknowledged for a whole timeout.
    pub(super) fn timed_out(&mut self) {
        self.recovery = None;
        self.reduce();
        self.window = self.mtu;
    }

    fn reduce(&mut self) {
        self.window_max = self.window as f64;
        self.threshold = ((self.window as f64 * BETA) as usize).max(MINIMUM_PACKETS * self.mtu);
        self.epoch = None;
    }
}

/// The retransmission timeout.
pub(super) struct Rto {
    smoothed: Option<Duration>,
    variance: Duration,
    base: Duration,
    backoffs: u32,
}

impl Rto {
    /// `rtt`: as far as known.
    pub(super) fn new(rtt: Option<Duration>) -> Self {
        const UNKNOWN: Duration = Duration::from_millis(400);
        let base = rtt.map_or(UNKNOWN, |rtt| (rtt * 3).clamp(RTO_MIN, Duration::from_secs(1)));
        Self { smoothed: None, variance: Duration::ZERO, base, backoffs: 0 }
    }

    /// A round trip was measured, on a packet sent once.
    pub(super) fn measured(&mut self, rtt: Duration) {
        let smoothed = match self.smoothed {
            None => {
                self.variance = rtt / 2;
                rtt
            }
            Some(smoothed) => {
                self.variance = (self.variance * 3 + smoothed.abs_diff(rtt)) / 4;
                (smoothed * 7 + rtt) / 8
            }
        };
        self.smoothed = Some(smoothed);
        self.base = (smoothed + 4 * self.variance).clamp(RTO_MIN, RTO_MAX);
        self.backoffs = 0;
    }

    pub(super) fn smoothed(&self) -> Option<Duration> {
        self.smoothed
    }

    pub(super) fn now(&self) -> Duration {
        (self.base * 2_u32.pow(self.backoffs.min(8))).min(RTO_MAX)
    }

    pub(super) fn back_off(&mut self) {
        self.backoffs += 1;
    }

    /// Something got through: what comes next starts from the plain timeout.
    pub(super) fn progress(&mut self) {
        self.backoffs = 0;
    }
}
