//! When gathering is done, and which servers gave nothing.

use std::time::Instant;

use super::servers::Whereabouts;
use super::{CandidateError, Event, Gatherer, limits};

/// How far gathering is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Progress {
    /// More sockets may come.
    #[default]
    Open,
    /// Answers are waited for.
    Waiting { until: Instant },
    /// [`Event::Done`] was said.
    Done,
    /// Allocations are being freed.
    Closing,
    /// [`Event::Closed`] was said.
    Closed,
}

impl Progress {
    /// There is something new to ask.
    pub fn more(&mut self, now: Instant) {
        if *self == Progress::Done {
            *self = Progress::Waiting { until: now + limits::DONE_AFTER };
        }
    }

    pub fn end_of_sockets(&mut self, now: Instant) {
        if *self == Progress::Open {
            *self = Progress::Waiting { until: now + limits::DONE_AFTER };
        }
    }

    pub fn close(&mut self) {
        if *self != Progress::Closed {
            *self = Progress::Closing;
        }
    }

    /// Whether nothing new is looked for any more.
    pub fn is_over(self) -> bool {
        matches!(self, Progress::Closing | Progress::Closed)
    }

    pub fn timeout(self) -> Option<Instant> {
        match self {
            Progress::Waiting { until } => Some(until),
            Progress::Open | Progress::Done | Progress::Closing | Progress::Closed => None,
        }
    }
}

impl Gatherer {
    /// Says which servers failed, and whether all is done.
    pub(super) fn finish(&mut self, now: Instant) {
        match self.progress {
            Progress::Closing if self.relays.is_empty() => {
                self.progress = Progress::Closed;
                self.events.push_back(Event::Closed);
            }
            Progress::Closing | Progress::Closed => {}
            Progress::Open | Progress::Waiting { .. } | Progress::Done => {
                let is_waiting = self.say_errors();
                if let Progress::Waiting { until } = self.progress
                    && (!is_waiting || now >= until)
                {
                    self.progress = Progress::Done;
                    self.events.push_back(Event::Done);
                }
            }
        }
    }

    /// Says the errors of servers that nothing is awaited from; returns whether anything is awaited from any.
    fn say_errors(&mut self) -> bool {
        let mut is_waiting = false;
        for server in &mut self.servers {
            let is_pending = matches!(server.whereabouts, Whereabouts::Asked(_))
                || self.bindings.iter().any(|binding| binding.server == server.id && binding.is_pending())
                || self.relays.iter().any(|relay| relay.server == server.id && relay.is_pending());
            is_waiting |= is_pending;
            if is_pending {
                continue;
            }
            let is_news = !server.has_given && !server.is_reported;
            if let Some((code, text)) = server.error.take().filter(|_| is_news) {
                server.is_reported = true;
                let error = CandidateError { url: server.url.to_string(), code, text };
                self.events.push_back(Event::CandidateError(error));
            }
        }
        is_waiting
    }
}
