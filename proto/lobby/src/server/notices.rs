//! What others do in a lobby, as each member is told of it: at once, or, while it is behind in reading, when it has caught up.
//! So nobody is cut for what others do. What has cancelled out by then is not told at all, which bounds what waits: of each
//! other member an arrival, a departure, whether it is there and a link, and once each the owner, the lobby, and whether it is sealed.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Lobbies;
use super::limits::{QUEUE_BYTES_MAX, REPLAY_BYTES_MAX};
use super::lobby::LobbyId;
use crate::wire::names::{PeerId, SessionId};
use crate::wire::{Arrived, Away, Back, Left, LeftWhy, Link, Owner, Role, ServerMessage, Updated, render};

/// Something that a member is told of another's doing.
#[derive(Clone, Debug)]
pub(super) enum Notice {
    Arrived(PeerId),
    Away(PeerId),
    Back(PeerId),
    Me(PeerId),
    Left(PeerId, LeftWhy),
    Link(PeerId, Role),
    Owner,
    Updated,
    /// `sealed` or `unsealed`, rendered.
    Stage(Arc<str>),
}

/// Notices that wait, in order.
#[derive(Debug, Default)]
pub(super) struct Notices(VecDeque<Notice>);

impl Notices {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn clear(&mut self) {
        self.0 = VecDeque::new();
    }

    fn pop(&mut self) -> Option<Notice> {
        let notice = self.0.pop_front();
        if self.0.is_empty() {
            self.0.shrink_to(4);
        }
        notice
    }

    fn push(&mut self, notice: Notice) {
        match &notice {
            Notice::Left(gone, _) => {
                self.0.retain(|waiting| !matches!(waiting, Notice::Link(peer, _) | Notice::Away(peer) | Notice::Back(peer) | Notice::Me(peer) if peer == gone));
                let arrival = |waiting: &Notice| matches!(waiting, Notice::Arrived(peer) if peer == gone);
                if let Some(at) = self.0.iter().rposition(arrival) {
                    self.0.remove(at);
                    return;
                }
            }
            // The last of them says how it is; and a link with a program that is gone is none.
            Notice::Away(who) | Notice::Back(who) => {
                self.0.retain(
                    |waiting| !matches!(waiting, Notice::Away(peer) | Notice::Back(peer) if peer == who),
                );
            }
            Notice::Me(who) => self.0.retain(|waiting| !matches!(waiting, Notice::Me(peer) if peer == who)),
            Notice::Owner => self.0.retain(|waiting| !matches!(waiting, Notice::Owner)),
            Notice::Updated => self.0.retain(|waiting| !matches!(waiting, Notice::Updated)),
            Notice::Stage(_) => self.0.retain(|waiting| !matches!(waiting, Notice::Stage(_))),
            Notice::Link(who, _) => {
                self.0.retain(|waiting| !matches!(waiting, Notice::Link(peer, _) if peer == who));
            }
            Notice::Arrived(_) => {}
        }
        self.0.push_back(notice);
    }
}

impl Lobbies {
    /// Whether what others cause must wait for this session: its client reads too slowly, or is away and has missed much.
    pub(super) fn is_behind(&self, id: SessionId) -> bool {
        let Some(session) = self.sessions.get(&id) else { return true };
        match session.client.and_then(|client| self.clients.get(&client)) {
            Some(client) => client.queued > QUEUE_BYTES_MAX / 2,
            None => session.kept_bytes() > REPLAY_BYTES_MAX / 2,
        }
    }

    /// Tells a member.
    pub(super) fn notify(&mut self, id: SessionId, notice: Notice) {
        let Some(lobby) = self.sessions.get(&id).and_then(|session| session.lobby) else { return };
        let body = self.notice_body(lobby, &notice);
        self.notify_with(id, notice, body.as_deref());
    }

    /// Tells every member but one.
    pub(super) fn notify_others(&mut self, lobby: LobbyId, except: Option<SessionId>, notice: &Notice) {
        let body = self.notice_body(lobby, notice);
        let Some(lobby) = self.lobbies.get(&lobby) else { return };
        let members: Vec<SessionId> = lobby.members.iter().map(|member| member.session).collect();
        for session in members.into_iter().filter(|session| Some(*session) != except) {
            self.notify_with(session, notice.clone(), body.as_deref());
        }
    }

    fn notify_with(&mut self, id: SessionId, notice: Notice, body: Option<&str>) {
        let is_behind = self.is_behind(id);
        let Some(session) = self.sessions.get_mut(&id) else { return };
        if is_behind || !session.notices.is_empty() {
            session.notices.push(notice);
        } else if let Some(body) = body {
            self.send(id, None, body);
        }
    }

    fn notice_body(&self, lobby: LobbyId, notice: &Notice) -> Option<String> {
        let lobby = self.lobbies.get(&lobby)?;
        Some(match notice {
            Notice::Arrived(peer) => {
                render(&ServerMessage::Arrived(Arrived { member: lobby.by_peer(*peer)?.view() }))
            }
            Notice::Away(peer) => render(&ServerMessage::Away(Away { peer: *peer })),
            Notice::Back(peer) => render(&ServerMessage::Back(Back { member: lobby.by_peer(*peer)?.view() })),
            Notice::Me(peer) => render(&ServerMessage::Member(Back { member: lobby.by_peer(*peer)?.view() })),
            Notice::Left(peer, why) => render(&ServerMessage::Left(Left { peer: *peer, why: *why })),
            Notice::Link(peer, role) => {
                let (peer, role) = (*peer, *role);
                let run = lobby.by_peer(peer)?.run;
                render(&ServerMessage::Link(Link { peer, role, polite: role == Role::Offer, run }))
            }
            Notice::Owner => render(&ServerMessage::Owner(Owner { peer: lobby.owner_peer() })),
            Notice::Updated => render(&ServerMessage::Updated(Updated { lobby: lobby.view() })),
            Notice::Stage(body) => body.to_string(),
        })
    }

    /// A client has read, come back, or acknowledged: it is told what waits, until it is behind again.
    pub(super) fn catch_up(&mut self, id: SessionId) {
        while !self.is_behind(id) {
            let Some(session) = self.sessions.get_mut(&id) else { return };
            let Some(notice) = session.notices.pop() else { break };
            let lobby = session.lobby;
            if let Some(body) = lobby.and_then(|lobby| self.notice_body(lobby, &notice)) {
                self.send(id, None, &body);
            }
        }
        self.pass_on_waiting(id);
        self.tell_missed(id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(text: &str) -> PeerId {
        PeerId::parse(text).unwrap()
    }

    fn kinds(notices: &mut Notices) -> String {
        let mut told = String::new();
        while let Some(notice) = notices.pop() {
            told += match notice {
                Notice::Arrived(_) => "a",
                Notice::Left(..) => "l",
                Notice::Away(_) => "w",
                Notice::Back(_) => "b",
                Notice::Me(_) => "m",
                Notice::Link(..) => "k",
                Notice::Owner => "o",
                Notice::Updated => "u",
                Notice::Stage(_) => "s",
            };
        }
        told
    }

    #[test]
    fn who_came_and_went_in_the_meantime_is_not_told_at_all() {
        let mut notices = Notices::default();
        let (ada, bob) = (peer("AAAAAAAA"), peer("BBBBBBBB"));
        notices.push(Notice::Left(ada, LeftWhy::Left));
        for _ in 0..10_000 {
            for who in [ada, bob] {
                notices.push(Notice::Arrived(who));
                notices.push(Notice::Link(who, Role::Offer));
                notices.push(Notice::Left(who, LeftWhy::Lost));
            }
        }
        notices.push(Notice::Arrived(ada));
        assert_eq!(kinds(&mut notices), "la");
    }

    #[test]
    fn of_what_replaces_itself_the_last_is_told() {
        let mut notices = Notices::default();
        for _ in 0..10_000 {
            notices.push(Notice::Owner);
            notices.push(Notice::Updated);
            notices.push(Notice::Stage("{}".into()));
        }
        assert_eq!(kinds(&mut notices), "ous");
    }
}
