//! What time alone does: pairs are given up, consent expires, the state follows.

use std::time::Instant;

use super::Agent;
use super::outbound::requests_max;
use crate::consent::{FOLLOW_UPS, expires_at, is_deaf};
use crate::pair::Pair;
use crate::{Command, Event, Failure, PairState, State, Verdict};

impl Agent {
    /// Time has passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = now;
        self.advance(now);
    }

    /// When [`Agent::handle_timeout`] wants to be called; it may have passed already.
    pub fn poll_timeout(&self) -> Option<Instant> {
        if !self.is_working() {
            return None;
        }
        let lapses = self.checklist.iter().filter_map(|pair| match pair.state {
            PairState::Opening => pair.due,
            PairState::Succeeded => expires_at(pair, &self.config),
            _ => None,
        });
        let ahead = [
            self.silence_at().filter(|_| self.state != State::Disconnected),
            self.settles_at(),
            self.previous.as_ref().and_then(|previous| previous.until),
            self.patience_from().map(|since| since + self.config.patience_min),
            self.patience_from().map(|since| since + self.config.patience),
        ];
        let ahead = ahead.into_iter().flatten().filter(|at| *at > self.now);
        lapses.chain(ahead).chain(self.next_send()).min()
    }

    /// Does all that is due.
    pub(super) fn advance(&mut self, now: Instant) {
        if !self.is_working() {
            return;
        }
        self.lapse(now);
        self.select(now);
        self.conclude(now);
        self.follow_state(now);
        self.send_due(now);
    }

    /// Ends the pairs whose time is over, and the generation before this one.
    fn lapse(&mut self, now: Instant) {
        let config = &self.config;
        for pair in self.checklist.iter_mut() {
            match pair.state {
                PairState::InProgress
                    if pair.unanswered >= requests_max(pair, config)
                        && pair.due.is_some_and(|due| due <= now)
                        && !pair.triggered =>
                {
                    let elsewhere = pair.answered_from_elsewhere;
                    pair.fail(if elsewhere { Failure::AnsweredFromElsewhere } else { Failure::NoAnswer });
                }
                PairState::Opening if pair.due.is_some_and(|due| due <= now) => {
                    pair.fail(Failure::StreamClosed);
                }
                PairState::Succeeded if expires_at(pair, config).is_some_and(|at| at <= now) => {
                    pair.fail(Failure::ConsentExpired);
                }
                _ => {}
            }
        }
        if self.previous.as_ref().is_some_and(|previous| previous.until.is_some_and(|until| until <= now)) {
            self.previous = None;
            let generation = self.generation;
            self.checklist.retain(|pair| pair.generation == generation);
        }
        self.close_streams();
    }

    /// Streams of pairs that failed are of no use.
    fn close_streams(&mut self) {
        let checklist = &self.checklist;
        let failed = |way| {
            let mut pairs = checklist.iter().filter(|pair| pair.way() == way).peekable();
            pairs.peek().is_some() && pairs.all(|pair| matches!(pair.state, PairState::Failed(_)))
        };
        let (over, open): (Vec<_>, Vec<_>) = self.streams.drain(..).partition(|way| failed(*way));
        self.streams = open;
        let close = |way: crate::pair::Way| Command::CloseStream { socket: way.socket, to: way.remote };
        self.commands.extend(over.into_iter().map(close));
    }

    /// Some time after the first success, what is not settled yet is given up (`ASSUMPTIONS.md`, 3): nothing better is to be
    /// expected. Of what is usable, the best are kept to fall back on.
    fn conclude(&mut self, now: Instant) {
        let Some(first) = self.first_valid else { return };
        let Some(selected) = self.selected.and_then(|id| self.checklist.get(id)) else { return };
        if now < first + self.config.settle {
            return;
        }
        let (generation, relays) = (self.generation, selected.relays());
        if !self.settled {
            self.settled = true;
            let is_no_better = |pair: &Pair| pair.generation == generation && pair.relays() >= relays;
            self.checklist.fail_where(Failure::Superseded, |pair| is_open(pair) && is_no_better(pair));
        }
        let used_by_the_other =
            |pair: &Pair| pair.heard.is_some_and(|at| now < at + self.config.consent_interval * 2);
        let spare =
            |pair: &&Pair| pair.is_valid() && pair.generation == generation && Some(pair.id) != self.selected;
        let mut spares: Vec<&Pair> = self.checklist.iter().filter(spare).collect();
        spares.sort_by_key(|pair| (pair.class(), pair.rtt, pair.id));
        let surplus = spares.iter().skip(self.config.backups_max).filter(|pair| !used_by_the_other(pair));
        let surplus: Vec<_> = surplus.map(|pair| pair.id).collect();
        self.checklist.fail_where(Failure::Superseded, |pair| surplus.contains(&pair.id));
    }

    /// The state that follows from all this.
    fn follow_state(&mut self, now: Instant) {
        if self.selected.is_some() {
            let is_silent = self.silence_at().is_some_and(|at| at <= now);
            if is_silent && self.state != State::Disconnected {
                self.try_all_again();
            }
            let state = match () {
                () if is_silent => State::Disconnected,
                () if self.is_complete() => State::Completed,
                () => State::Connected,
            };
            return self.set_state(state);
        }
        let Some(since) = self.patience_from() else { return };
        let is_over = !self.checklist.iter().any(is_open)
            && (self.lost.is_some() || (self.local_ended && self.remote_ended));
        let patience = if is_over { self.config.patience_min } else { self.config.patience };
        if now >= since + patience {
            self.give_up();
        } else if self.lost.is_some() {
            self.set_state(State::Disconnected);
        } else if self.checklist.iter().next().is_some() {
            self.set_state(State::Checking);
        }
    }

    fn give_up(&mut self) {
        let verdict = *self.lost.get_or_insert(self.reason());
        self.checklist.fail_where(Failure::NoAnswer, |_| true);
        self.triggered.clear();
        self.close_streams();
        self.set_state(State::Failed);
        self.events.push_back(Event::Failed(verdict));
    }

    /// Whatever was given up and whose socket is still there is tried once more.
    pub(super) fn try_all_again(&mut self) {
        let generation = self.generation;
        let given_up = |pair: &&mut Pair| {
            pair.generation == generation
                && matches!(pair.state, PairState::Failed(failure)
                    if !matches!(failure, Failure::SocketRemoved | Failure::ConsentExpired))
        };
        self.checklist.iter_mut().filter(given_up).for_each(Pair::rewind);
        let spares =
            self.checklist.iter_mut().filter(|pair| pair.is_valid() && Some(pair.id) != self.selected);
        for pair in spares {
            pair.triggered = true;
            self.triggered.push_back(pair.id);
        }
    }

    /// A pair was in use and is no more.
    pub(super) fn lose(&mut self, failure: Option<Failure>, now: Instant) {
        self.lost = Some(match failure {
            Some(Failure::SocketRemoved) => Verdict::SocketLost,
            _ => Verdict::ConsentLost,
        });
        self.trying_since = Some(now);
        (self.first_valid, self.settled) = (None, false);
        self.try_all_again();
    }

    fn is_complete(&self) -> bool {
        self.local_ended
            && self.remote_ended
            && self.selected().is_some_and(|selected| selected.nominated)
            && !self.checklist.iter().any(is_open)
    }

    /// When the pair in use will have been silent for too long: sooner, if it was asked again and again meanwhile.
    fn silence_at(&self) -> Option<Instant> {
        let pair = self.checklist.get(self.selected?)?;
        let usual = self.config.disconnected_after;
        let heard = pair.last_sign_of_life()?;
        if !is_deaf(pair) {
            return Some(heard + usual);
        }
        // The question that makes it deaf has its time as well.
        let rtt = pair.rtt.unwrap_or_default();
        let last =
            pair.last_sent.filter(|_| pair.unanswered == FOLLOW_UPS + 1).map(|sent| sent + rtt + rtt / 4);
        let deaf = heard + self.config.deaf_after.min(usual);
        Some(last.map_or(deaf, |last| deaf.max(last)))
    }

    fn settles_at(&self) -> Option<Instant> {
        let first = self.first_valid.filter(|_| !self.settled)?;
        Some(first + self.config.settle)
    }

    /// Since when there is something to be patient about.
    fn patience_from(&self) -> Option<Instant> {
        self.trying_since.filter(|_| self.selected.is_none())
    }
}

/// Whether something may still come of it.
pub(super) fn is_open(pair: &Pair) -> bool {
    matches!(pair.state, PairState::Waiting | PairState::Opening | PairState::InProgress)
}
