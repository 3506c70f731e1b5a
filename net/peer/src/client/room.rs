//! The task's side of one lobby: what its handle sees, and the handles of its links.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use twocan_lobby::PeerId;
use twocan_lobby::client::{RoomEvent, Snapshot};
use twocan_lobby::wire::Reason;

use crate::connection::FailReason;
use crate::event::{Failure, LobbyEvent, LobbyState, Member, PeerState};
use crate::link::{Events, ToLink};
use crate::lobby::View;
use crate::peer::Peer;

pub(super) struct RoomSide {
    pub events: Events,
    /// Somebody else is in it, or was.
    has_met: bool,
    view: watch::Sender<View>,
}

impl RoomSide {
    pub fn new(
        lobby: Snapshot,
        ticket: Option<String>,
        state: LobbyState,
        events: Events,
    ) -> (Self, watch::Receiver<View>) {
        let view = View {
            state,
            code: lobby.code,
            owner: lobby.owner,
            members: lobby.members.into_iter().map(Into::into).collect(),
            data: lobby.data,
            size: lobby.size,
            locked: lobby.locked,
            public: lobby.public,
            password: lobby.password,
            servers: None,
            ticket,
            peers: BTreeMap::new(),
        };
        let (view, seen) = watch::channel(view);
        (Self { events, has_met: state != LobbyState::Complete, view }, seen)
    }

    fn handle(&self, peer: PeerId) -> Option<Peer> {
        self.view.borrow().peers.get(&peer).cloned()
    }

    pub fn linked(&self, peer: PeerId, handle: Peer) {
        self.view.send_modify(|view| {
            view.peers.insert(peer, handle);
        });
    }

    /// We leave.
    pub fn left(&mut self) {
        self.become_state(LobbyState::Gone);
    }

    /// Tells the program.
    pub fn happened(&mut self, event: RoomEvent, reason: fn(Reason) -> FailReason) {
        let told = match event {
            RoomEvent::Arrive(member) => {
                self.has_met = true;
                let member = Member::from(member);
                self.view.send_modify(|view| view.members.push(member.clone()));
                LobbyEvent::Arrive(member)
            }
            RoomEvent::Me(member) => LobbyEvent::Me(self.member(member)),
            RoomEvent::Away(member) => LobbyEvent::Away(self.member(member)),
            RoomEvent::Back(member) => LobbyEvent::Back(self.member(member)),
            RoomEvent::Ticket(ticket) => {
                self.view.send_modify(|view| view.ticket = Some(ticket));
                return;
            }
            RoomEvent::Leave(member, why) => {
                self.view.send_modify(|view| view.members.retain(|other| other.peer != member.peer));
                LobbyEvent::Leave(member.into(), why)
            }
            RoomEvent::Owner(peer) => {
                self.view.send_modify(|view| view.owner = peer);
                LobbyEvent::Owner(peer)
            }
            RoomEvent::Update(lobby) => {
                self.update(lobby);
                LobbyEvent::Update
            }
            RoomEvent::Servers(servers) => {
                self.view.send_modify(|view| view.servers = Some(servers));
                return;
            }
            RoomEvent::Link(peer, state, took) => match self.link(peer, state, took) {
                Some(told) => told,
                None => return,
            },
            RoomEvent::Fail(peer, why) => {
                let Some(peer) = self.handle(peer) else { return };
                LobbyEvent::Fail(Failure { peer, reason: reason(why) })
            }
            RoomEvent::Sealed(within) => {
                self.become_state(LobbyState::Sealed);
                LobbyEvent::Sealed { within }
            }
            RoomEvent::Unsealed(missing) => {
                self.become_state(LobbyState::Open);
                LobbyEvent::Unsealed { missing }
            }
            RoomEvent::Complete => {
                self.become_state(LobbyState::Complete);
                LobbyEvent::Complete
            }
            RoomEvent::Removed(why) => {
                self.view.send_modify(|view| view.ticket = None);
                self.become_state(LobbyState::Gone);
                LobbyEvent::Removed(why)
            }
            RoomEvent::Server(event) => LobbyEvent::Server(event.into()),
        };
        self.events.push(told);
    }

    /// Nothing can happen any more: we are out, or everyone else is, and no link is left.
    pub fn is_over(&self) -> bool {
        let view = self.view.borrow();
        let nobody_follows = match view.state {
            LobbyState::Gone => true,
            LobbyState::Complete => self.has_met && view.members.len() < 2,
            LobbyState::Open | LobbyState::Sealed => false,
        };
        nobody_follows && view.peers.is_empty()
    }

    /// A link stands otherwise now.
    fn link(&mut self, peer: PeerId, state: PeerState, took: Option<Duration>) -> Option<LobbyEvent> {
        let handle = self.handle(peer)?;
        handle.become_state(state, took);
        if state == PeerState::Closed {
            self.view.send_modify(|view| {
                view.peers.remove(&peer);
            });
        }
        if took.is_none() {
            return Some(LobbyEvent::State(handle, state));
        }
        self.events.push(LobbyEvent::Peer(handle.clone()));
        handle.tell(ToLink::Go);
        None
    }

    /// A member is another way now.
    fn member(&self, member: twocan_lobby::client::Member) -> Member {
        let member = Member::from(member);
        self.view.send_modify(|view| {
            if let Some(known) = view.members.iter_mut().find(|known| known.peer == member.peer) {
                known.clone_from(&member);
            }
        });
        member
    }

    fn become_state(&self, state: LobbyState) {
        self.view.send_modify(|view| view.state = state);
    }

    fn update(&self, lobby: Snapshot) {
        self.view.send_modify(|view| {
            view.owner = lobby.owner;
            view.members = lobby.members.into_iter().map(Into::into).collect();
            view.data = lobby.data;
            view.size = lobby.size;
            view.locked = lobby.locked;
            view.public = lobby.public;
            view.password = lobby.password;
        });
    }
}
