//! The beats of `web/sdk/src/link.ts`: whether a link carries, and what the page says is held while it does not.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{Effect, Link, LinkState};
use crate::player::Planted;

pub(super) const BEAT: Duration = Duration::from_millis(250);
const BEAT_MAX: Duration = Duration::from_secs(3);
const SILENCE: Duration = Duration::from_millis(500);
const HOLD: Duration = Duration::from_millis(100);
const LOOK_BEAT: Duration = Duration::from_millis(100);
const PROBES: u32 = 4;
const PROBE: Duration = Duration::from_millis(50);
const ASK: Duration = Duration::from_millis(500);

impl Link {
    /// The other side has heard us: the link carries both ways.
    pub(super) fn answered(&mut self, now: Instant) {
        if !std::mem::replace(&mut self.carries, true) {
            self.probes = PROBES;
            self.watch(now);
        }
    }

    pub(super) fn listen(&mut self, now: Instant) {
        let wait = match () {
            () if self.probes > 0 => PROBE,
            () if self.asked.is_some() || self.outbox.is_held || self.state == LinkState::Mending => {
                LOOK_BEAT
            }
            () => self.beat,
        };
        self.beat_at = Some(now + wait);
    }

    /// Asks a silent link whether it carries.
    pub(super) fn beat(&mut self, now: Instant) {
        let came = std::mem::take(&mut self.came);
        let is_open = self.state == LinkState::Open;
        if came && is_open && !self.outbox.is_held {
            self.asked = None;
            self.beat = BEAT;
            return self.listen(now);
        }
        if !is_open && self.state != LinkState::Mending {
            return;
        }
        let received = self.pc.ice.received;
        self.rtt = self.pc.ice.path().and_then(|path| path.rtt).unwrap_or(self.rtt);
        let (before, at) = *self.asked.get_or_insert((received, now));
        let heard = came || before != received;
        if !is_open {
            let way = self.pc.ice.way().filter(|way| way.is_answered).map(|way| way.id);
            let is_due = self.pinged.is_none_or(|then| now >= then + ASK);
            if way.is_some() && self.way.is_some_and(|known| known != way) {
                self.probes = PROBES;
            } else if heard && !self.carries && is_due {
                self.probes = self.probes.max(1);
            }
            self.way = Some(way);
            self.asked = Some((received, now));
            if self.carries && self.probes == 0 {
                self.hold(false, now);
            }
        } else if heard {
            self.asked = None;
            if !self.outbox.is_held {
                self.beat = (self.beat * 2).min(BEAT_MAX);
            }
            if self.probes == 0 && self.suspicions.is_empty() {
                self.hold(false, now);
            }
        } else {
            let (silent, patience) = (now.saturating_duration_since(at), 2 * self.rtt);
            if silent >= patience + SILENCE {
                return self.mend(true, now);
            }
            // It may be the network that is gone, and with it the socket to the server.
            if silent > patience {
                self.effects.push_back(Effect::Doubt);
            }
            if silent > patience + HOLD {
                self.hold(true, now);
            }
            if at == now {
                self.probes = 1;
            }
        }
        if self.probes > 0 {
            self.probes -= 1;
            self.ping(self.state != LinkState::Open, now);
        }
        self.listen(now);
    }

    /// Asks at once, whatever is held.
    fn ping(&mut self, reply: bool, now: Instant) {
        self.pinged = Some(now);
        let question =
            if reply { json!({ "type": "ping", "reply": true }) } else { json!({ "type": "ping" }) };
        self.channels.control(self.pc.transport(), &question.to_string(), now);
    }

    /// Answers at once, whatever is held.
    pub(super) fn pong(&mut self, now: Instant) {
        self.channels.control(self.pc.transport(), &json!({ "type": "pong" }).to_string(), now);
    }

    /// Keeps back what the page sends, or lets it go.
    pub(super) fn hold(&mut self, held: bool, now: Instant) {
        self.outbox.is_held = held && self.planted != Some(Planted::HoldsNothing);
        self.outbox.pump(self.pc.transport(), now);
    }

    /// The other side restarts over the link: it may have lost the way that we still take.
    pub(super) fn suspect(&mut self, now: Instant) {
        if self.state != LinkState::Open {
            return;
        }
        self.carries = false;
        self.hold(true, now);
        self.ping(true, now);
        self.suspicions.push_back(now + LOOK_BEAT + 2 * self.rtt);
    }

    /// The network may be another one.
    pub(in crate::page) fn doubt(&mut self, now: Instant) {
        self.now = now;
        if self.state == LinkState::Open {
            self.came = false;
            self.asked = None;
            self.beat = BEAT;
            self.beat(now);
        }
    }

    /// Looks whether the other side has answered since.
    pub(super) fn look_at_suspicions(&mut self, now: Instant) {
        while self.suspicions.front().is_some_and(|at| *at <= now) {
            self.suspicions.pop_front();
            if self.state != LinkState::Open {
                continue;
            }
            if self.carries {
                self.hold(false, now);
            } else {
                self.mend(true, now);
            }
        }
    }
}
