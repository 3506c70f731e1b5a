//! The pair in use: which it is, and who is told (RFC 8445 section 8).

use std::time::Instant;

use super::Agent;
use crate::nomination::{Situation, choose, follow};
use crate::pair::{Pair, PairId};
use crate::{Event, Role};

impl Agent {
    /// Selects the best usable pair; nominates it, if that is for us to do.
    pub(super) fn select(&mut self, now: Instant) {
        if let Some(id) = self.selected
            && !self.checklist.get(id).is_some_and(Pair::is_valid)
        {
            let failure = self.checklist.get(id).and_then(Pair::failure);
            self.selected = None;
            self.announced = None;
            if self.best(now).is_none() {
                self.lose(failure, now);
            }
        }
        if let Some(id) = self.best(now) {
            self.lost = None;
            if self.selected != Some(id) {
                self.selected = Some(id);
                self.selected_since = Some(now);
                self.hurry_consent(id, now);
            }
            self.nominate(id, now);
            self.retire_previous(id, now);
        }
        self.announce();
    }

    fn best(&self, now: Instant) -> Option<PairId> {
        let situation = Situation { selected_since: self.selected_since, settle: self.config.settle, now };
        let usable =
            || self.checklist.iter().filter(|pair| pair.is_valid() && pair.generation == self.generation);
        let current = self.selected.and_then(|id| self.checklist.get(id));
        // What a restart left behind is given up for anything new.
        let current = current.filter(|pair| pair.generation == self.generation);
        let nominated = usable().filter(|pair| pair.nomination.is_some());
        let followed =
            (self.role == Role::Controlled).then(|| follow(nominated, self.config.settle)).flatten();
        followed.or_else(|| choose(usable(), current, situation))
    }

    /// One pair is nominated at a time; the other side is told at once, and again until it answers.
    fn nominate(&mut self, id: PairId, now: Instant) {
        if self.role != Role::Controlling
            || self.checklist.get(id).is_some_and(|pair| pair.nomination.is_some())
        {
            return;
        }
        for pair in self.checklist.iter_mut() {
            (pair.nomination, pair.nominated) = (None, false);
        }
        if let Some(pair) = self.checklist.get_mut(id) {
            pair.nomination = Some(now);
        }
        self.trigger(id);
    }

    /// What is used is asked for consent as often as that needs.
    fn hurry_consent(&mut self, id: PairId, now: Instant) {
        let at = now + crate::consent::interval(&self.config, true, &mut self.rng);
        if let Some(pair) = self.checklist.get_mut(id) {
            pair.due = Some(pair.due.map_or(at, |due| due.min(at)));
        }
    }

    /// The other side may still use the pair of the former generation for a moment.
    fn retire_previous(&mut self, id: PairId, now: Instant) {
        let is_new = self.checklist.get(id).is_some_and(|pair| pair.generation == self.generation);
        if let Some(previous) = self.previous.as_mut().filter(|_| is_new) {
            previous.until.get_or_insert(now + self.config.settle);
        }
    }

    fn announce(&mut self) {
        let Some((id, selected)) = self.selected.zip(self.selected()) else { return };
        // What a check revealed may turn out to be a relay, once its candidate is named.
        let news = Some((id, selected.nominated, selected.remote_kind));
        if self.announced != news {
            self.announced = news;
            self.events.push_back(Event::Selected(selected));
        }
    }
}
