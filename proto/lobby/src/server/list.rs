//! The list of public lobbies, and those who watch it: what changed is told at most four times a second.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ops::Bound;
use std::time::Instant;

use twocan_base::{Household, Site};

use super::entrance::read_filter;
use super::limits::{
    CHANGED_MAX, CHANGES_MAX, LIST_BYTES_MAX, LIST_BYTES_SHORT, LIST_INTERVAL, LIST_MAX, LIST_SITE_SHARE,
    LIST_STEP_BYTES, SCANNED_MAX, SHOWN_COST, SHOWN_MAX, WATCHERS_AT_ONCE, WATCHERS_INTERVAL,
};
use super::lobby::{Fields, Lobby, LobbyId};
use super::session::Watch;
use super::timers::Timer;
use super::{Lobbies, Refusal};
use crate::wire::names::{AppName, LobbyCode, SessionId};
use crate::wire::{List, Listed, Listing, ServerMessage, Sort, Unlisted, render};

/// What is kept per application.
#[derive(Default)]
pub(super) struct App {
    pub codes: BTreeMap<LobbyCode, LobbyId>,
    /// Public and not sealed, oldest first.
    listed: BTreeSet<LobbyId>,
    watchers: BTreeSet<SessionId>,
    changed: VecDeque<LobbyCode>,
    /// The same, to find one.
    changed_set: BTreeSet<LobbyCode>,
    told_at: Option<Instant>,
    due_at: Option<Instant>,
    /// Under way: some watchers have been told of these, others not yet.
    round: Option<Round>,
}

/// A lobby of the list as it is now, rendered for who sees it and for who saw it before.
struct Change {
    listed: Option<String>,
    unlisted: String,
}

/// What is being told, and the last watcher that was.
struct Round {
    codes: Vec<LobbyCode>,
    next: Option<SessionId>,
}

impl App {
    /// Remembers a change for the watchers, and says when they are to be told, if that is new.
    fn note(&mut self, code: LobbyCode, now: Instant) -> Option<Instant> {
        let is_full = self.changed.len() >= CHANGED_MAX;
        if self.watchers.is_empty() || is_full || !self.changed_set.insert(code) {
            return None;
        }
        self.changed.push_back(code);
        if self.due_at.is_some() {
            return None;
        }
        let due = self.told_at.map_or(now, |at| now.max(at + LIST_INTERVAL));
        self.due_at = Some(due);
        self.due_at
    }
}

/// The lobbies that one list has room for, in their order, but for those that lists before had. Where not all find room, those of a household
/// that has few and short ones come before those of one that has many or long ones; and of a site, which has several, before another's.
fn share<'a>(lobbies: &[&'a Lobby], skip: usize, bytes_max: usize) -> Vec<&'a Lobby> {
    let cost = |lobby: &Lobby| lobby.data.raw.get().len() + 100;
    let all =
        lobbies.len() <= LIST_MAX && lobbies.iter().map(|lobby| cost(lobby)).sum::<usize>() <= bytes_max;
    if all {
        return lobbies.get(skip..).unwrap_or_default().to_vec();
    }
    let (mut households, mut sites) = (BTreeMap::new(), BTreeMap::new());
    let mut ranked: Vec<(usize, usize)> = Vec::with_capacity(lobbies.len());
    for (at, lobby) in lobbies.iter().enumerate() {
        let household: &mut usize = households.entry(Household::from(lobby.opener)).or_default();
        *household += cost(lobby);
        let mut counted = *household;
        if lobby.opener.is_ipv6() {
            let site: &mut usize = sites.entry(Site::from(lobby.opener)).or_default();
            *site += cost(lobby);
            counted = counted.max(*site / LIST_SITE_SHARE);
        }
        ranked.push((counted / LIST_STEP_BYTES, at));
    }
    ranked.sort_unstable();
    let mut bytes = 0;
    let fits = |(_, at): &(usize, usize)| {
        bytes += lobbies.get(*at).map_or(0, |lobby| cost(lobby));
        bytes <= bytes_max
    };
    let mut shown: Vec<usize> =
        ranked.into_iter().skip(skip).take(LIST_MAX).take_while(fits).map(|(_, at)| at).collect();
    shown.sort_unstable();
    shown.into_iter().filter_map(|at| lobbies.get(at).copied()).collect()
}

impl Lobbies {
    pub(super) fn list(&mut self, session: SessionId, id: u64, list: &List<'_>) -> Result<(), Refusal> {
        let filter = read_filter(list.filter, &self.keys)?;
        let Some(state) = self.sessions.get(&session) else { return Ok(()) };
        let name = state.app.clone();
        let fits = self.addresses.bytes.fits(state.address, LIST_BYTES_MAX as u64);
        let bytes_max = if fits { LIST_BYTES_MAX } else { LIST_BYTES_SHORT };
        let mut matching: Vec<&Lobby> = self.matching(&name, &filter).collect();
        if list.sort == Sort::Fullest {
            matching.sort_by_key(|lobby| Reverse(lobby.members.len()));
        }
        let all = self.apps.get(&name).map_or(0, |app| app.listed.len());
        let total = if filter.is_empty() { all } else { matching.len() };
        let shown: Vec<_> =
            share(&matching, list.skip.into(), bytes_max).into_iter().map(Lobby::listed).collect();
        let codes: BTreeSet<LobbyCode> = shown.iter().map(|lobby| lobby.code).collect();
        let body = render(&ServerMessage::Lobbies(Listing { total, lobbies: shown }));
        self.send(session, Some(id), &body);
        if list.watch {
            self.unwatch(session);
            if let Some(state) = self.sessions.get_mut(&session) {
                self.addresses.bytes.take_surely(state.address, codes.len() as u64 * SHOWN_COST);
                state.watch = Some(Box::new(Watch { filter, shown: codes, missed: BTreeSet::new() }));
            }
            self.apps.entry(name).or_default().watchers.insert(session);
        }
        Ok(())
    }

    pub(super) fn unwatch(&mut self, session: SessionId) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let Some(watch) = state.watch.take() else { return };
        self.addresses.bytes.give(state.address, watch.cost());
        let name = state.app.clone();
        if let Some(app) = self.apps.get_mut(&name) {
            app.watchers.remove(&session);
            if app.watchers.is_empty() {
                app.changed.clear();
                app.changed_set.clear();
                app.round = None;
            }
        }
        self.forget_app(&name);
    }

    /// Something that the list shows of a lobby may have changed.
    pub(super) fn relist(&mut self, id: LobbyId, now: Instant) {
        let Some(lobby) = self.lobbies.get(&id) else { return };
        let Some(app) = self.apps.get_mut(&lobby.app) else { return };
        let is = lobby.is_listed();
        let was = if is { !app.listed.insert(id) } else { app.listed.remove(&id) };
        if (is || was)
            && let Some(due) = app.note(lobby.code, now)
        {
            self.timers.set(Timer::List(lobby.app.clone()), due);
        }
    }

    /// A lobby is gone.
    pub(super) fn delist(&mut self, name: &AppName, code: LobbyCode, id: LobbyId, now: Instant) {
        let Some(app) = self.apps.get_mut(name) else { return };
        app.codes.remove(&code);
        if app.listed.remove(&id)
            && let Some(due) = app.note(code, now)
        {
            self.timers.set(Timer::List(name.clone()), due);
        }
        self.forget_app(name);
    }

    /// Drops what is kept for an application that nobody uses.
    pub(super) fn forget_app(&mut self, name: &AppName) {
        if let Some(app) = self.apps.get(name)
            && app.codes.is_empty()
            && app.watchers.is_empty()
        {
            self.timers.clear(Timer::List(name.clone()), app.due_at);
            self.apps.remove(name);
        }
    }

    /// Tells a few watchers what changed; the others are due soon, and what changes meanwhile is the next round's.
    pub(super) fn tell_watchers(&mut self, name: &AppName, now: Instant) {
        let Some(app) = self.apps.get_mut(name) else { return };
        let round = app.round.take().unwrap_or_else(|| {
            app.told_at = Some(now);
            let count = app.changed.len().min(CHANGES_MAX);
            let codes: Vec<LobbyCode> = app.changed.drain(..count).collect();
            for code in &codes {
                app.changed_set.remove(code);
            }
            Round { codes, next: None }
        });
        let from = round.next.map_or(Bound::Unbounded, Bound::Excluded);
        let watchers: Vec<SessionId> =
            app.watchers.range((from, Bound::Unbounded)).take(WATCHERS_AT_ONCE).copied().collect();
        let next = watchers.last().copied().filter(|_| watchers.len() == WATCHERS_AT_ONCE);
        for code in &round.codes {
            self.tell_change(name, *code, &watchers);
        }
        let Some(app) = self.apps.get_mut(name) else { return };
        app.due_at = match (next, app.told_at) {
            (Some(_), _) => Some(now + WATCHERS_INTERVAL),
            (None, Some(at)) if !app.changed.is_empty() => Some(at.max(now) + LIST_INTERVAL),
            (None, _) => None,
        };
        app.round = next.map(|next| Round { codes: round.codes, next: Some(next) });
        if let Some(due) = app.due_at {
            self.timers.set(Timer::List(name.clone()), due);
        }
    }

    fn tell_change(&mut self, name: &AppName, code: LobbyCode, watchers: &[SessionId]) {
        let change = self.change(name, code);
        for session in watchers {
            if self.is_behind(*session) {
                self.miss(*session, code, change.listed.is_some());
            } else {
                self.tell_watcher(*session, name, code, &change);
            }
        }
    }

    fn change(&self, name: &AppName, code: LobbyCode) -> Change {
        let lobby = self.listed_lobby(name, code);
        Change {
            listed: lobby.map(|lobby| render(&ServerMessage::Listed(Listed { lobby: lobby.listed() }))),
            unlisted: render(&ServerMessage::Unlisted(Unlisted { code })),
        }
    }

    /// Tells one watcher of one lobby, if it sees it, or saw it before.
    fn tell_watcher(&mut self, session: SessionId, name: &AppName, code: LobbyCode, change: &Change) {
        let Change { listed, unlisted } = change;
        let lobby = self.apps.get(name).and_then(|app| app.codes.get(&code));
        let fields = lobby.and_then(|id| self.lobbies.get(id)).map(|lobby| &lobby.data.fields);
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let Some(watch) = state.watch.as_deref_mut() else { return };
        let matches = listed.is_some() && fields.is_some_and(|fields| fields.match_all(&watch.filter));
        let is_shown = watch.shown.contains(&code);
        if matches
            && (is_shown
                || (watch.shown.len() < SHOWN_MAX && self.addresses.bytes.take(state.address, SHOWN_COST)))
        {
            watch.shown.insert(code);
            self.send(session, None, listed.as_ref().unwrap_or(unlisted));
        } else if is_shown {
            watch.shown.remove(&code);
            self.addresses.bytes.give(state.address, SHOWN_COST);
            self.send(session, None, unlisted);
        }
    }

    /// A lobby changed while a watcher was behind in reading.
    fn miss(&mut self, session: SessionId, code: LobbyCode, is_listed: bool) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let Some(watch) = state.watch.as_deref_mut() else { return };
        let is_shown = watch.shown.contains(&code);
        if !is_listed && !is_shown {
            // It came and went unseen.
            if watch.missed.remove(&code) {
                self.addresses.bytes.give(state.address, SHOWN_COST);
            }
        } else if (is_shown || watch.missed.len() < SHOWN_MAX) && watch.missed.insert(code) {
            self.addresses.bytes.take_surely(state.address, SHOWN_COST);
        }
    }

    /// A watcher has caught up: it is told how what changed meanwhile is now.
    pub(super) fn tell_missed(&mut self, session: SessionId) {
        while !self.is_behind(session) {
            let Some(state) = self.sessions.get_mut(&session) else { return };
            let Some(code) = state.watch.as_deref_mut().and_then(|watch| watch.missed.pop_first()) else {
                return;
            };
            self.addresses.bytes.give(state.address, SHOWN_COST);
            let name = state.app.clone();
            let change = self.change(&name, code);
            self.tell_watcher(session, &name, code, &change);
        }
    }

    fn listed_lobby(&self, name: &AppName, code: LobbyCode) -> Option<&Lobby> {
        let id = self.apps.get(name)?.codes.get(&code)?;
        self.lobbies.get(id).filter(|lobby| lobby.is_listed())
    }

    /// The fullest lobby that anyone may enter and that matches.
    pub(super) fn fullest(
        &self,
        session: SessionId,
        filter: &Fields,
        size: Option<usize>,
    ) -> Option<LobbyId> {
        let state = self.sessions.get(&session)?;
        let name = &state.app;
        let open = |lobby: &&Lobby| {
            lobby.password.is_none()
                && !lobby.locked
                && lobby.members.len() < lobby.size
                && !lobby.banned.is_barred(state.peer, state.address)
                && size.is_none_or(|size| size == lobby.size)
        };
        let fullest = self.matching(name, filter).filter(open).max_by_key(|lobby| lobby.members.len())?;
        self.apps.get(name)?.codes.get(&fullest.code).copied()
    }

    /// Listed lobbies that match, newest first, among the newest [`SCANNED_MAX`].
    fn matching<'a>(&'a self, name: &AppName, filter: &'a Fields) -> impl Iterator<Item = &'a Lobby> {
        let ids = self.apps.get(name).into_iter().flat_map(|app| app.listed.iter().rev()).take(SCANNED_MAX);
        ids.filter_map(|id| self.lobbies.get(id)).filter(move |lobby| lobby.data.fields.match_all(filter))
    }
}
