//! A lobby we are in: its members, the links to them, and the way out of the server and back.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use super::heard::Heard;
use super::limits::{LOOK_EVERY, MEMBERS_MAX, RETURN_EVERY};
use super::link::{Around, Effect as LinkEffect, Link};
use super::outside::{
    Discard, Failure, LinkCommand, LinkInput, LinkState, Member, OutWhy, RequestId, RoomEvent, RoomState,
    ServerEvent, Snapshot,
};
use serde_json::Value;

use crate::wire::names::PeerId;
use crate::wire::{IceServer, IceServers, LeftWhy, RemovedWhy, Role, Signal};

/// What a lobby wants of the client.
#[derive(Debug)]
pub(super) enum Effect {
    /// To the server.
    Note(String),
    Command(PeerId, LinkCommand),
    Event(RoomEvent),
    /// Whoever asked for the start has an answer.
    Started(RequestId, Result<(), Failure>),
    /// A session of its own, to return by ticket.
    Return,
    /// That session is not needed any more.
    EndReturn,
    /// Its socket may be dead.
    Doubt,
    /// The server closes this session next: it is finished.
    Finish,
}

pub(super) struct Room {
    pub me: PeerId,
    pub state: RoomState,
    pub owner: PeerId,
    pub members: Vec<Member>,
    pub data: Value,
    pub ticket: Option<String>,
    /// We are with the server: by the session we entered with, or by one of our own to return.
    pub with_server: bool,
    /// The socket of that session is there.
    pub online: bool,
    /// A session of our own for the return is there, or sought.
    pub returning: bool,
    links: BTreeMap<PeerId, Link>,
    servers: Vec<IceServer>,
    starting: Vec<RequestId>,
    /// The next look whether the return is over, and the next return.
    settle_at: Option<Instant>,
    return_at: Option<Instant>,
    pub effects: VecDeque<Effect>,
}

impl Room {
    pub fn new(me: PeerId, lobby: &Snapshot, ticket: Option<String>) -> Self {
        let mut room = Self {
            me,
            state: if lobby.sealed { RoomState::Sealed } else { RoomState::Open },
            owner: lobby.owner,
            members: lobby.members.clone(),
            data: lobby.data.clone(),
            ticket: None,
            with_server: true,
            online: true,
            returning: false,
            links: BTreeMap::new(),
            servers: Vec::new(),
            starting: Vec::new(),
            settle_at: None,
            return_at: None,
            effects: VecDeque::new(),
        };
        room.keep(ticket);
        room
    }

    /// The way back to our seat is this one.
    fn keep(&mut self, ticket: Option<String>) {
        self.effects.extend(ticket.clone().map(|ticket| Effect::Event(RoomEvent::Ticket(ticket))));
        self.ticket = ticket;
    }

    /// Ourselves.
    pub fn own(&self) -> Option<&Member> {
        self.member(self.me)
    }

    /// The server had forgotten us, and we have our seat again: what happened meanwhile is told as if it happened now.
    pub fn seated_again(&mut self, lobby: Snapshot, ticket: Option<String>, now: Instant) {
        self.keep(ticket);
        let gone =
            self.members.iter().filter(|member| !lobby.members.iter().any(|other| other.peer == member.peer));
        for peer in gone.map(|member| member.peer).collect::<Vec<_>>() {
            self.member_left(peer, LeftWhy::Lost, now);
        }
        for member in &lobby.members {
            let _ = self.handle_heard(Heard::Arrived(member.clone()), now);
        }
        if self.state == RoomState::Sealed {
            let _ = self.handle_heard(Heard::Unsealed(Vec::new()), now);
        }
        let _ = self.handle_heard(Heard::Updated(lobby), now);
    }

    pub fn is_owner(&self) -> bool {
        self.owner == self.me
    }

    /// Nothing will happen here any more.
    pub fn is_over(&self) -> bool {
        self.state == RoomState::Gone && self.links.is_empty()
    }

    pub fn poll_timeout(&self) -> Option<Instant> {
        let links = self.links.values().filter_map(Link::poll_timeout);
        links.chain(self.settle_at).chain(self.return_at).min()
    }

    pub fn handle_timeout(&mut self, now: Instant) {
        for peer in self.peers() {
            let around = self.around();
            if let Some(link) = self.links.get_mut(&peer) {
                link.handle_timeout(around, now);
            }
            self.follow(peer, now);
        }
        if self.settle_at.is_some_and(|at| at <= now) {
            self.settle_at = None;
            self.settle();
        }
        if self.return_at.is_some_and(|at| at <= now) {
            self.return_at = None;
            self.come_back();
        }
    }

    pub fn handle_link(&mut self, peer: PeerId, input: LinkInput<'_>, now: Instant) -> Result<(), Discard> {
        let around = self.around();
        let link = self.links.get_mut(&peer).ok_or(Discard::NobodyThere)?;
        let result = link.handle(input, around, now);
        self.follow(peer, now);
        result
    }

    /// Waits for the start; says whether the server is to be asked to seal.
    pub fn start(&mut self, request: RequestId) -> bool {
        match self.state {
            RoomState::Complete => self.effects.push_back(Effect::Started(request, Ok(()))),
            RoomState::Gone => self.effects.push_back(Effect::Started(request, Err(Failure::Closed))),
            RoomState::Open | RoomState::Sealed => {
                self.starting.push(request);
                return self.is_owner() && self.state == RoomState::Open;
            }
        }
        false
    }

    /// The server refused to seal.
    pub fn not_started(&mut self, request: RequestId, failure: Failure) {
        if let Some(at) = self.starting.iter().position(|each| *each == request) {
            self.starting.remove(at);
            self.effects.push_back(Effect::Started(request, Err(failure)));
        }
    }

    /// Says goodbye to everyone and closes the links.
    pub fn leave(&mut self, now: Instant) {
        self.end(Failure::Closed);
        for peer in self.peers() {
            self.close(peer, now);
        }
    }

    pub fn close(&mut self, peer: PeerId, now: Instant) {
        self.with_link(peer, now, |link, _| link.close(true));
    }

    pub fn retry(&mut self, peer: PeerId, now: Instant) {
        self.with_link(peer, now, |link, _| link.retry(now));
    }

    /// The session has ended: as it should after completion, else it is lost with what it held.
    pub fn session_ended(&mut self, code: u16, now: Instant) {
        self.tell(RoomEvent::Server(ServerEvent::Closed { code }));
        self.with_server = false;
        self.set_online(false);
        match self.state {
            RoomState::Complete | RoomState::Gone => {}
            RoomState::Open | RoomState::Sealed => self.removed(OutWhy::SessionLost, now),
        }
    }

    /// The session by which we returned has ended.
    /// The next one, if there is need, begins once or twice the usual time later, as `chance` (0 to 1) has it.
    pub fn return_ended(&mut self, code: u16, chance: f64, now: Instant) {
        self.tell(RoomEvent::Server(ServerEvent::Closed { code }));
        (self.with_server, self.returning) = (false, false);
        self.set_online(false);
        let is_mending =
            self.links.values().any(|link| link.state != LinkState::Failed && link.needs_server());
        let pause = if is_mending { RETURN_EVERY } else { LOOK_EVERY };
        self.return_at = self.ticket.is_some().then(|| now + pause.mul_f64(1.0 + chance));
    }

    /// The server has taken us back.
    pub fn returned(&mut self) {
        self.with_server = true;
        self.set_online(true);
        self.settle();
    }

    /// The server's socket is there, or is not.
    pub fn set_online(&mut self, online: bool) {
        if std::mem::replace(&mut self.online, online) != online {
            for peer in self.peers() {
                self.effects.push_back(Effect::Command(peer, LinkCommand::Signaling(online)));
            }
        }
    }

    /// We are out; after a kick without the links, else with those that are up.
    pub fn removed(&mut self, why: OutWhy, now: Instant) {
        if self.state == RoomState::Gone {
            return;
        }
        self.end(if why == OutWhy::SessionLost { Failure::SessionLost } else { Failure::Closed });
        for peer in self.peers() {
            self.with_link(peer, now, |link, around| match why {
                OutWhy::Kicked => link.close(true),
                OutWhy::LobbyClosed | OutWhy::SessionLost => link.orphaned(around, now),
            });
        }
        self.tell(RoomEvent::Removed(why));
    }

    /// The server did not pass a signal on.
    pub fn refused(&mut self, signal: &Signal<'_>, now: Instant) {
        if let Some(peer) = PeerId::parse(&signal.to) {
            self.with_link(peer, now, |link, _| link.refused(signal.kind, signal.data));
        }
    }

    pub fn tell(&mut self, event: RoomEvent) {
        self.effects.push_back(Effect::Event(event));
    }

    /// Something happened at the server.
    pub fn handle_heard(&mut self, heard: Heard, now: Instant) -> Result<(), Discard> {
        match heard {
            Heard::Ice(ice) => self.renew(ice),
            Heard::Arrived(member) => {
                if self.member(member.peer).is_none() && self.members.len() < MEMBERS_MAX {
                    self.members.push(member.clone());
                    self.tell(RoomEvent::Arrive(member));
                }
            }
            // Of a completed lobby the links themselves say who is there.
            Heard::Away(_) | Heard::Back(_) if self.state == RoomState::Complete => {}
            Heard::Away(peer) => self.presence(peer, true),
            Heard::Back(member) => {
                if let Some(known) = self.members.iter_mut().find(|known| known.peer == member.peer) {
                    known.me = member.me;
                }
                self.presence(member.peer, false);
            }
            Heard::Me(member) => {
                if let Some(known) = self.members.iter_mut().find(|known| known.peer == member.peer) {
                    known.me = member.me;
                    let member = known.clone();
                    self.tell(RoomEvent::Me(member));
                }
            }
            Heard::Link { peer, role, polite, run } => {
                return self.link(peer, (role == Role::Offer, polite), run, now);
            }
            Heard::Signal { from, kind, data } => {
                let link = self.links.get_mut(&from).ok_or(Discard::NobodyThere)?;
                let result = link.signal(kind, data, now);
                self.follow(from, now);
                return result;
            }
            Heard::Left(peer, why) => self.member_left(peer, why, now),
            Heard::Owner(peer) => {
                self.owner = peer;
                self.tell(RoomEvent::Owner(peer));
            }
            Heard::Updated(lobby) => {
                self.owner = lobby.owner;
                self.data.clone_from(&lobby.data);
                self.members.clone_from(&lobby.members);
                self.tell(RoomEvent::Update(lobby));
            }
            Heard::Removed(RemovedWhy::Kicked) => self.removed(OutWhy::Kicked, now),
            Heard::Removed(RemovedWhy::LobbyClosed) => self.removed(OutWhy::LobbyClosed, now),
            Heard::Complete { ticket, ice } => self.complete(ticket, ice, now),
            // A lobby that we returned to stays what it was for those in it.
            Heard::Sealed(_) | Heard::Unsealed(_) if self.state == RoomState::Complete => {}
            Heard::Sealed(within) => {
                self.state = RoomState::Sealed;
                self.tell(RoomEvent::Sealed(within));
            }
            Heard::Unsealed(missing) => {
                self.state = RoomState::Open;
                if self.is_owner() {
                    self.finish(Err(Failure::Unsealed));
                }
                self.tell(RoomEvent::Unsealed(missing));
            }
            Heard::Listed(_) | Heard::Unlisted(_) => {}
        }
        Ok(())
    }

    fn around(&self) -> Around {
        Around { with_server: self.with_server, online: self.online }
    }

    fn peers(&self) -> Vec<PeerId> {
        self.links.keys().copied().collect()
    }

    fn member(&self, peer: PeerId) -> Option<&Member> {
        self.members.iter().find(|member| member.peer == peer)
    }

    fn with_link(&mut self, peer: PeerId, now: Instant, act: impl FnOnce(&mut Link, Around)) {
        let around = self.around();
        if let Some(link) = self.links.get_mut(&peer) {
            act(link, around);
            self.follow(peer, now);
        }
    }

    fn link(
        &mut self,
        peer: PeerId,
        (offers, polite): (bool, bool),
        run: Option<u64>,
        now: Instant,
    ) -> Result<(), Discard> {
        if self.links.contains_key(&peer) {
            self.with_link(peer, now, |link, around| match link.run == run {
                true => link.relink(around, now),
                false => link.meet_another_run((offers, polite), run, now),
            });
            return Ok(());
        }
        if self.links.len() >= MEMBERS_MAX {
            return Err(Discard::NobodyThere);
        }
        self.links.insert(peer, Link::new(peer, run, (offers, polite), now));
        self.connect(peer, offers, polite);
        Ok(())
    }

    /// Whether a member is there. Once the lobby is complete, its link says so.
    fn presence(&mut self, peer: PeerId, away: bool) {
        let member = self.members.iter_mut().find(|member| member.peer == peer && member.away != away);
        if let Some(member) = member {
            member.away = away;
            let member = member.clone();
            self.tell(if away { RoomEvent::Away(member) } else { RoomEvent::Back(member) });
        }
    }

    fn connect(&mut self, peer: PeerId, offers: bool, polite: bool) {
        let me = self.member(peer).map_or_else(|| serde_json::json!({}), |member| member.me.clone());
        let connect = LinkCommand::Connect { offers, polite, servers: self.servers.clone(), me };
        self.effects.push_back(Effect::Command(peer, connect));
    }

    fn member_left(&mut self, peer: PeerId, why: LeftWhy, now: Instant) {
        if let Some(link) = self.links.get_mut(&peer) {
            link.named = false;
        }
        // In a lobby that we returned to, whoever is done with mending leaves; the links stay.
        if self.state == RoomState::Complete && why != LeftWhy::Kicked {
            return;
        }
        let up = self.links.get(&peer).is_some_and(|link| link.state == LinkState::Open);
        // A member that the server lost may well be there still.
        if why != LeftWhy::Lost || !up {
            self.with_link(peer, now, |link, around| link.gone(around, now));
        }
        self.left(peer, why);
    }

    fn left(&mut self, peer: PeerId, why: LeftWhy) {
        if let Some(at) = self.members.iter().position(|member| member.peer == peer) {
            let member = self.members.remove(at);
            self.tell(RoomEvent::Leave(member, why));
        }
    }

    fn renew(&mut self, ice: IceServers) {
        self.servers = ice.servers;
        self.tell(RoomEvent::Servers(self.servers.clone()));
        for peer in self.peers() {
            self.effects.push_back(Effect::Command(peer, LinkCommand::Servers(self.servers.clone())));
        }
    }

    fn complete(&mut self, ticket: String, ice: IceServers, now: Instant) {
        self.keep(Some(ticket));
        self.renew(ice);
        self.with_server = false;
        self.set_online(false);
        self.effects.push_back(Effect::Finish);
        for peer in self.peers() {
            self.with_link(peer, now, Link::released);
        }
        if !self.returning {
            self.state = RoomState::Complete;
            self.tell(RoomEvent::Complete);
            self.finish(Ok(()));
        }
    }

    /// Does what a link wants.
    fn follow(&mut self, peer: PeerId, now: Instant) {
        while let Some(effect) = self.links.get_mut(&peer).and_then(|link| link.effects.pop_front()) {
            match effect {
                LinkEffect::Note(body) => self.effects.push_back(Effect::Note(body)),
                LinkEffect::Connect { offers, polite } => self.connect(peer, offers, polite),
                LinkEffect::Command(command) => self.effects.push_back(Effect::Command(peer, command)),
                LinkEffect::State(state, took) => self.link_state(peer, state, took, now),
                LinkEffect::Fail(reason) => {
                    self.tell(RoomEvent::Fail(peer, reason));
                    self.settle();
                }
                LinkEffect::Away => self.presence(peer, true),
                LinkEffect::Return => self.come_back(),
                LinkEffect::Doubt => self.effects.push_back(Effect::Doubt),
            }
        }
        if self.links.get(&peer).is_some_and(|link| link.state == LinkState::Closed) {
            self.links.remove(&peer);
            // Once the server has let go, only the link itself tells.
            if self.state == RoomState::Complete {
                let is_away = self.member(peer).is_some_and(|member| member.away);
                self.left(peer, if is_away { LeftWhy::Lost } else { LeftWhy::Left });
            }
            self.settle();
        }
        // A link that was open all the time, and whose offer is answered now, says nothing of its state.
        if self.returning && !self.needs_server() {
            self.settle_at.get_or_insert(now + RETURN_EVERY);
        }
    }

    fn link_state(&mut self, peer: PeerId, state: LinkState, took: Option<Duration>, now: Instant) {
        if state == LinkState::Open && self.state == RoomState::Complete {
            self.presence(peer, false);
        }
        self.tell(RoomEvent::Link(peer, state, took));
        // After a return the server completes once more, unless the others never missed us.
        if state == LinkState::Open && self.returning {
            self.settle_at = Some(now + RETURN_EVERY);
        }
    }

    /// Back to the server by ticket, for as long as some link is down.
    fn come_back(&mut self) {
        if !self.returning && self.ticket.is_some() && self.needs_server() {
            self.returning = true;
            self.tell(RoomEvent::Server(ServerEvent::Returning));
            self.effects.push_back(Effect::Return);
        }
    }

    fn needs_server(&self) -> bool {
        self.links.values().any(Link::needs_server)
    }

    /// Nothing is left to mend: whoever came back to the server for that leaves it again.
    fn settle(&mut self) {
        if self.returning && !self.needs_server() {
            self.effects.push_back(Effect::EndReturn);
        }
    }

    fn finish(&mut self, result: Result<(), Failure>) {
        for request in std::mem::take(&mut self.starting) {
            self.effects.push_back(Effect::Started(request, result));
        }
    }

    fn end(&mut self, failure: Failure) {
        self.state = RoomState::Gone;
        self.ticket = None;
        if self.returning {
            self.effects.push_back(Effect::EndReturn);
        }
        self.with_server = false;
        self.set_online(false);
        self.finish(Err(failure));
    }
}
