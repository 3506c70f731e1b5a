//! Whether the peer is there while nothing is sent to it (RFC 9260 8.3). Checks of ICE say only that packets reach its ICE.
//!
//! A peer that has not answered one HEARTBEAT yet may be one that never does: its silence says nothing.

use std::time::Instant;

use super::wire::{self, kind};
use crate::transport::limits::{HEARTBEAT_AGAIN, HEARTBEAT_FIRST, HEARTBEAT_INTERVAL};

/// Type of the Heartbeat Info parameter.
const INFO: u16 = 1;
/// What ours holds: as long as a probe's of the path MTU, of no size.
const INFO_VALUE: [u8; 8] = [0; 8];

#[derive(Default)]
pub(super) struct Heartbeat {
    /// When the next one goes out, if nothing is acknowledged until then.
    at: Option<Instant>,
    /// Those since the last answer, and when the first of them went out.
    unanswered: u32,
    asked: Option<Instant>,
    /// The peer has answered one.
    answers: bool,
    is_due: bool,
}

impl Heartbeat {
    /// The association is up.
    pub(super) fn begin(&mut self, now: Instant) {
        self.at.get_or_insert(now + HEARTBEAT_FIRST);
    }

    /// The peer acknowledged what was sent. The first question is asked all the same: whether it answers such.
    pub(super) fn acknowledged(&mut self, now: Instant) {
        if self.answers {
            self.at = Some(now + HEARTBEAT_INTERVAL);
        }
        (self.unanswered, self.asked, self.is_due) = (0, None, false);
    }

    /// A HEARTBEAT ACK came.
    pub(super) fn answered(&mut self, now: Instant) {
        self.answers = true;
        self.acknowledged(now);
    }

    /// The path is another one: whoever was asked in vain is asked there at once.
    pub(super) fn path_changed(&mut self, now: Instant) {
        if self.asked.is_some() {
            (self.at, self.unanswered) = (Some(now), 0);
        }
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.at
    }

    /// Data that is underway asks for itself.
    pub(super) fn handle_timeout(&mut self, is_idle: bool, now: Instant) {
        if self.at.is_none_or(|at| at > now) {
            return;
        }
        if !is_idle {
            self.at = Some(now + HEARTBEAT_INTERVAL);
            return;
        }
        self.is_due = true;
        self.asked.get_or_insert(now);
        let wait =
            if self.answers { HEARTBEAT_AGAIN * (1 << self.unanswered.min(4)) } else { HEARTBEAT_INTERVAL };
        self.at = Some(now + wait.min(HEARTBEAT_INTERVAL));
        self.unanswered += 1;
    }

    pub(super) fn is_due(&self) -> bool {
        self.is_due
    }

    /// Appends one to a packet.
    pub(super) fn put(&mut self, out: &mut Vec<u8>) {
        self.is_due = false;
        wire::put(out, kind::HEARTBEAT, 0, |out| {
            wire::put_parameter(out, INFO, |out| out.extend_from_slice(&INFO_VALUE));
        });
    }

    /// Since when a peer that answers has not.
    pub(super) fn silent_since(&self) -> Option<Instant> {
        self.asked.filter(|_| self.answers)
    }
}
