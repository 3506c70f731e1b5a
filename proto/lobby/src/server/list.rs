//! The list of public lobbies, and those who watch it: what changed is told at most four times a second.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use serde_json::{Map, Value};

use super::entrance::read_filter;
use super::limits::{CHANGES_MAX, LIST_BYTES_MAX, LIST_INTERVAL, LIST_MAX, SCANNED_MAX, SHOWN_MAX};
use super::lobby::{Lobby, LobbyId};
use super::session::Watch;
use super::timers::Timer;
use super::{Lobbies, Refusal};
use crate::wire::names::{AppName, LobbyCode, SessionId};
use crate::wire::{List, Listed, Listing, ServerMessage, Unlisted, render};

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
}

impl App {
    /// Remembers a change for the watchers, and says when they are to be told, if that is new.
    fn note(&mut self, code: LobbyCode, now: Instant) -> Option<Instant> {
        if self.watchers.is_empty() || !self.changed_set.insert(code) {
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

impl Lobbies {
    pub(super) fn list(&mut self, session: SessionId, id: u64, list: &List<'_>) -> Result<(), Refusal> {
        let filter = read_filter(list.filter)?;
        let Some(state) = self.sessions.get(&session) else { return Ok(()) };
        let name = state.app.clone();
        let (mut total, mut bytes, mut shown) = (0, 0, Vec::new());
        for lobby in self.matching(&name, &filter) {
            total += 1;
            bytes += lobby.data.raw.get().len() + 100;
            if shown.len() < LIST_MAX && bytes <= LIST_BYTES_MAX {
                shown.push(lobby.listed());
            } else if filter.is_empty() {
                break;
            }
        }
        if filter.is_empty() {
            total = self.apps.get(&name).map_or(0, |app| app.listed.len());
        }
        let codes: BTreeSet<LobbyCode> = shown.iter().map(|lobby| lobby.code).collect();
        let body = render(&ServerMessage::Lobbies(Listing { total, lobbies: shown }));
        self.send(session, Some(id), &body);
        if list.watch {
            if let Some(state) = self.sessions.get_mut(&session) {
                state.watch = Some(Box::new(Watch { filter, shown: codes }));
            }
            self.apps.entry(name).or_default().watchers.insert(session);
        }
        Ok(())
    }

    pub(super) fn unwatch(&mut self, session: SessionId) {
        let Some(state) = self.sessions.get_mut(&session) else { return };
        if state.watch.take().is_none() {
            return;
        }
        let name = state.app.clone();
        if let Some(app) = self.apps.get_mut(&name) {
            app.watchers.remove(&session);
            if app.watchers.is_empty() {
                app.changed.clear();
                app.changed_set.clear();
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

    pub(super) fn tell_watchers(&mut self, name: &AppName, now: Instant) {
        let Some(app) = self.apps.get_mut(name) else { return };
        app.told_at = Some(now);
        app.due_at = None;
        let count = app.changed.len().min(CHANGES_MAX);
        let changed: Vec<LobbyCode> = app.changed.drain(..count).collect();
        for code in &changed {
            app.changed_set.remove(code);
        }
        if !app.changed.is_empty() {
            let due = now + LIST_INTERVAL;
            app.due_at = Some(due);
            self.timers.set(Timer::List(name.clone()), due);
        }
        let watchers: Vec<SessionId> = app.watchers.iter().copied().collect();
        for code in changed {
            self.tell_change(name, code, &watchers);
        }
    }

    fn tell_change(&mut self, name: &AppName, code: LobbyCode, watchers: &[SessionId]) {
        let id = self.apps.get(name).and_then(|app| app.codes.get(&code)).copied();
        let lobby = id.and_then(|id| self.lobbies.get(&id)).filter(|lobby| lobby.is_listed());
        let listed = lobby.map(|lobby| render(&ServerMessage::Listed(Listed { lobby: lobby.listed() })));
        let unlisted = render(&ServerMessage::Unlisted(Unlisted { code }));
        let mut to_tell: Vec<(SessionId, bool)> = Vec::new();
        for session in watchers {
            let Some(state) = self.sessions.get_mut(session) else { continue };
            let Some(watch) = state.watch.as_deref_mut() else { continue };
            let matches = lobby.is_some_and(|lobby| lobby.data.matches(&watch.filter));
            if matches && (watch.shown.len() < SHOWN_MAX || watch.shown.contains(&code)) {
                watch.shown.insert(code);
                to_tell.push((*session, true));
            } else if watch.shown.remove(&code) {
                to_tell.push((*session, false));
            }
        }
        for (session, there) in to_tell {
            let body = if there { listed.as_deref().unwrap_or(&unlisted) } else { &unlisted };
            self.send(session, None, body);
        }
    }

    /// The fullest lobby that anyone may enter and that matches.
    pub(super) fn fullest(
        &self,
        session: SessionId,
        filter: &Map<String, Value>,
        size: Option<usize>,
    ) -> Option<LobbyId> {
        let name = &self.sessions.get(&session)?.app;
        let open = |lobby: &&Lobby| {
            lobby.password.is_none()
                && !lobby.locked
                && lobby.members.len() < lobby.size
                && size.is_none_or(|size| size == lobby.size)
        };
        let fullest = self.matching(name, filter).filter(open).max_by_key(|lobby| lobby.members.len())?;
        self.apps.get(name)?.codes.get(&fullest.code).copied()
    }

    /// Listed lobbies that match, newest first, among the newest [`SCANNED_MAX`].
    fn matching<'a>(
        &'a self,
        name: &AppName,
        filter: &'a Map<String, Value>,
    ) -> impl Iterator<Item = &'a Lobby> {
        let ids = self.apps.get(name).into_iter().flat_map(|app| app.listed.iter().rev()).take(SCANNED_MAX);
        ids.filter_map(|id| self.lobbies.get(id)).filter(move |lobby| lobby.data.matches(filter))
    }
}
