//! Links: credentials for gathering, who is linked with whom, what they say to each other, what became of it.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::addresses::Paced;
use super::limits::{FRAMES_PER_LINK, SIZE_MAX, TICKET_LIFETIME};
use super::lobby::{LobbyId, Stage};
use super::notices::Notice;
use super::outside::{Command, Discard, Event, Grant, Purpose};
use super::timers::Timer;
use super::{Lobbies, Refusal};
use crate::wire::names::{PeerId, SessionId};
use crate::wire::{ErrorCode, Failed, IceServers, Linked, Reason, Role, ServerMessage, Signal};

impl Lobbies {
    /// Asks for ICE servers for a member; where its socket is cut, that waits until it is back.
    pub(super) fn renew_grant(&mut self, session: SessionId) {
        if self.sessions.get(&session).is_some_and(|session| session.client.is_some()) {
            self.ask_grant(session, Purpose::Lobby);
        }
    }

    pub(super) fn ask_grant(&mut self, id: SessionId, purpose: Purpose) {
        let Some(session) = self.sessions.get(&id) else { return };
        let Some(lobby) = session.lobby.and_then(|lobby| self.lobbies.get(&lobby)) else { return };
        let lifetime = match purpose {
            Purpose::Lobby => self.limits.grant_lifetime,
            Purpose::Completion => TICKET_LIFETIME,
        };
        self.out.commands.push_back(Command::Grant(Grant {
            session: id,
            purpose,
            group: lobby.group,
            peer: session.peer,
            address: session.address,
            host: Arc::clone(&session.host),
            lifetime,
        }));
    }

    /// ICE servers have been made for a member.
    pub fn handle_granted(&mut self, grant: &Grant, servers: IceServers, now: Instant) {
        self.now = now;
        let id = grant.session;
        let lobby_id = self.sessions.get(&id).and_then(|session| session.lobby);
        let lobby = lobby_id.and_then(|lobby| self.lobbies.get_mut(&lobby));
        let (Some(lobby_id), Some(lobby)) = (lobby_id, lobby.filter(|lobby| lobby.group == grant.group))
        else {
            return self.out.discard(Discard::StaleGrant);
        };
        let completing = lobby.stage == Stage::Completing;
        let Some(member) = lobby.member_mut(id).filter(|member| member.peer == grant.peer) else {
            return self.out.discard(Discard::StaleGrant);
        };
        match grant.purpose {
            Purpose::Completion if completing => {
                member.farewell = Some(servers);
                self.settle(lobby_id, now);
            }
            Purpose::Completion => self.out.discard(Discard::StaleGrant),
            Purpose::Lobby => {
                let first = !std::mem::replace(&mut member.granted, true);
                self.tell(id, &ServerMessage::Ice(Cow::Borrowed(&servers)));
                if let Some(session) = self.sessions.get_mut(&id) {
                    let renew_at = now + Duration::from_secs(servers.expires.max(2)) / 2;
                    self.timers.clear(Timer::Renew(id), session.renew_at.replace(renew_at));
                    self.timers.set(Timer::Renew(id), renew_at);
                }
                if first {
                    self.link_with_all(lobby_id, id);
                }
            }
        }
    }

    /// Links a member with all others that have ICE servers. Whoever came later offers, and yields.
    fn link_with_all(&mut self, id_of_lobby: LobbyId, id: SessionId) {
        let Some(lobby) = self.lobbies.get(&id_of_lobby) else { return };
        let ready = lobby.members.iter().filter(|member| member.granted);
        let ready: Vec<(SessionId, PeerId)> = ready.map(|member| (member.session, member.peer)).collect();
        let Some(mine) = ready.iter().position(|(session, _)| *session == id) else { return };
        let my_peer = ready[mine].1;
        if let Some(lobby) = self.lobbies.get_mut(&id_of_lobby) {
            let freed = ready.iter().flat_map(|(_, peer)| lobby.holds.begin(my_peer, *peer)).collect();
            self.free(freed);
        }
        for (at, (other, peer)) in ready.into_iter().enumerate() {
            if at == mine {
                continue;
            }
            let (my_role, other_role) =
                if mine > at { (Role::Offer, Role::Answer) } else { (Role::Answer, Role::Offer) };
            for (session, peer, role) in [(other, my_peer, other_role), (id, peer, my_role)] {
                self.notify(session, Notice::Link(peer, role));
                if let Some(session) = self.sessions.get_mut(&session) {
                    session.pace.credit(FRAMES_PER_LINK, FRAMES_PER_LINK * SIZE_MAX as u32);
                }
            }
        }
    }

    pub(super) fn signal(
        &mut self,
        session: SessionId,
        signal: &Signal<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let id = self.lobby_of(session)?;
        let lobby = self.lobbies.get(&id).ok_or(ErrorCode::NotInLobby)?;
        let other = lobby.linked_peer(session, &signal.to).ok_or(ErrorCode::NoLink)?;
        let other = other.peer;
        let from = lobby.member(session).ok_or(ErrorCode::NotInLobby)?.peer;
        self.admit_signal(id, (from, other), session, signal, now)?;
        if !self.hold(id, (from, other), signal, now) {
            self.pass_on(id, (from, other), signal);
        }
        Ok(())
    }

    pub(super) fn linked(
        &mut self,
        session: SessionId,
        report: &Linked<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let lobby_id = self.lobby_of(session)?;
        let lobby = self.lobbies.get_mut(&lobby_id).ok_or(ErrorCode::NotInLobby)?;
        let other = lobby.linked_peer(session, &report.peer).ok_or(ErrorCode::NoLink)?;
        let peer = other.peer;
        let me = lobby.member(session).ok_or(ErrorCode::NotInLobby)?.peer;
        let both = other.linked.contains(&me);
        let new = lobby.member_mut(session).is_some_and(|member| member.linked.insert(peer));
        if new {
            let Linked { path, local, remote, ms, .. } = *report;
            self.report(
                (session, lobby_id),
                now,
                Event::Linked { path, local, remote, took: Duration::from_millis(ms), both },
            );
        }
        self.settle(lobby_id, now);
        Ok(())
    }

    /// Counts what a peer says of a link, unless its household says too much: what anybody may say must not drown what others
    /// say.
    fn report(&mut self, (session, lobby): (SessionId, LobbyId), now: Instant, event: Event) {
        let Some(address) = self.sessions.get(&session).map(|session| session.address) else { return };
        match self.addresses.spend(address, Paced::Report, now) {
            Ok(()) => {
                if let Some(lobby) = self.lobbies.get_mut(&lobby) {
                    lobby.life.count(&event);
                }
                self.out.event(event);
            }
            Err(_) => self.out.discard(Discard::Report),
        }
    }

    pub(super) fn failed(
        &mut self,
        session: SessionId,
        report: &Failed<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let lobby_id = self.lobby_of(session)?;
        let lobby = self.lobbies.get_mut(&lobby_id).ok_or(ErrorCode::NotInLobby)?;
        let peer = lobby.linked_peer(session, &report.peer).map(|other| other.peer);
        if peer.is_none() && report.reason != Reason::PeerLeft {
            return Err(ErrorCode::NoLink.into());
        }
        self.report((session, lobby_id), now, Event::Failed(report.reason));
        let Some(lobby) = self.lobbies.get_mut(&lobby_id) else { return Ok(()) };
        if let (Some(peer), Some(member)) = (peer, lobby.member_mut(session)) {
            member.linked.remove(&peer);
            if lobby.stage != Stage::Open {
                self.unseal(lobby_id, now);
            }
        }
        Ok(())
    }
}
