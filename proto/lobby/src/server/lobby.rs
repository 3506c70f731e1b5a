//! A lobby: who is in it, who is linked with whom, and whether it is leaving.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;
use serde_json::{Map, Value};
use twocan_base::{Household, Rate, Spent};

use super::bans::Banned;
use super::holding::Holds;
use super::limits::{ENTRANTS_MAX, LOBBY_LIFETIME, SIZE_DEFAULT};
use super::outside::Life;
use super::secrets::{KeptPassword, Keys};
use crate::wire::names::{AppName, GroupId, LobbyCode, PeerId, SessionId};
use crate::wire::{IceServers, ListedLobby, LobbyView, MemberView};

/// Numbers lobbies by age.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LobbyId(pub u64);

pub(super) struct Lobby {
    pub app: AppName,
    pub code: LobbyCode,
    pub public: bool,
    pub locked: bool,
    pub size: usize,
    pub password: Option<KeptPassword>,
    pub data: Data,
    /// In the order of their arrival.
    pub members: Vec<Member>,
    pub owner: SessionId,
    pub stage: Stage,
    /// Names its credentials at the relay.
    pub group: GroupId,
    /// By which the tickets of an open lobby name it: the group that it had when it was opened first.
    pub origin: GroupId,
    /// Of a lobby that had completed: when the last ticket to it ends, in Unix seconds.
    pub tickets_end: Option<u64>,
    /// Of one that came back by tickets: whose it was, as long as that one is not back.
    pub before: Option<PeerId>,
    pub banned: Banned,
    pub entrants: Entrants,
    /// Signals that wait for the other side's.
    pub holds: Holds,
    /// Whose household it is counted for.
    pub opener: IpAddr,
    pub opened_at: Instant,
    pub life: Life,
    /// When its longest life is over.
    pub ends_at: Instant,
}

/// How often each household came in lately: each time costs every member a connection, of which a browser takes so many.
#[derive(Default)]
pub(super) struct Entrants(BTreeMap<Household, Spent>);

impl Entrants {
    /// Counts one more, or says how long to wait.
    pub fn spend(&mut self, address: IpAddr, rate: Rate, now: Instant) -> Result<(), Duration> {
        if self.0.len() >= ENTRANTS_MAX {
            self.0.retain(|_, spent| !spent.is_full(now));
        }
        if self.0.len() >= ENTRANTS_MAX {
            self.0.pop_first();
        }
        self.0.entry(address.into()).or_insert(Spent::nothing(now)).spend(1, rate, now)
    }
}

/// A lobby's `data`: the text as it came, and its fields for filters.
pub(super) struct Data {
    pub raw: Box<RawValue>,
    pub fields: Fields,
}

/// The fields of a JSON object, for comparing: of each a tag of its name and its value, sorted. A thousand lobbies are compared in
/// a fraction of a millisecond, and a value of any shape takes eight bytes. Tags are made with a key of this process, so that
/// nobody can find two fields with the same one.
#[derive(Debug, Default)]
pub(super) struct Fields(Box<[u64]>);

/// Where a lobby is on its way out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// People may come.
    Open,
    /// Waiting for every pair to be linked; a returned lobby of one waits without an end.
    Sealed { until: Option<Instant> },
    /// Every pair is linked; waiting for the last credentials.
    Completing,
}

pub(super) struct Member {
    pub session: SessionId,
    pub peer: PeerId,
    pub me: Box<RawValue>,
    /// Which run of its program this is, as that says.
    pub run: Option<u64>,
    /// Its socket is gone, and the others know.
    pub away: bool,
    /// Has ICE servers, and so links with all others who have.
    pub granted: bool,
    /// Whom it has reported to be linked with.
    pub linked: BTreeSet<PeerId>,
    /// ICE servers for the time after.
    pub farewell: Option<IceServers>,
}

/// What somebody who comes in says of itself.
pub(super) struct Newcomer {
    pub me: Box<RawValue>,
    pub run: Option<u64>,
}

impl Newcomer {
    pub fn new(me: Option<&RawValue>, run: Option<u64>) -> Self {
        Self { me: me.map_or_else(empty, ToOwned::to_owned), run }
    }
}

impl Lobby {
    /// A lobby that is open, for eight, and that nobody is in yet.
    pub fn new(
        (app, code): (AppName, LobbyCode),
        owner: SessionId,
        opener: IpAddr,
        group: GroupId,
        now: Instant,
    ) -> Self {
        Self {
            life: Life::new(app.clone(), code),
            app,
            code,
            public: false,
            locked: false,
            size: SIZE_DEFAULT as usize,
            password: None,
            data: Data::none(),
            members: Vec::new(),
            owner,
            stage: Stage::Open,
            group,
            origin: group,
            tickets_end: None,
            before: None,
            banned: Banned::default(),
            entrants: Entrants::default(),
            holds: Holds::default(),
            opener,
            opened_at: now,
            ends_at: now + LOBBY_LIFETIME,
        }
    }

    pub fn view(&self) -> LobbyView<'_> {
        LobbyView {
            code: self.code,
            public: self.public,
            password: self.password.is_some(),
            locked: self.locked,
            sealed: self.stage != Stage::Open,
            size: self.size,
            owner: self.owner_peer(),
            data: &self.data.raw,
            members: self.members.iter().map(Member::view).collect(),
        }
    }

    pub fn listed(&self) -> ListedLobby<'_> {
        ListedLobby {
            code: self.code,
            password: self.password.is_some(),
            locked: self.locked,
            size: self.size,
            members: self.members.len(),
            data: &self.data.raw,
        }
    }

    pub fn is_listed(&self) -> bool {
        self.public && self.stage == Stage::Open && self.members.iter().any(|member| !member.away)
    }

    pub fn member(&self, session: SessionId) -> Option<&Member> {
        self.members.iter().find(|member| member.session == session)
    }

    pub fn member_mut(&mut self, session: SessionId) -> Option<&mut Member> {
        self.members.iter_mut().find(|member| member.session == session)
    }

    pub fn by_peer(&self, peer: PeerId) -> Option<&Member> {
        self.members.iter().find(|member| member.peer == peer)
    }

    /// The member that `session` has a link with and that is called `peer`.
    pub fn linked_peer(&self, session: SessionId, peer: &str) -> Option<&Member> {
        let other = self.by_peer(PeerId::parse(peer)?)?;
        let me = self.member(session)?;
        (me.granted && other.granted && other.session != session).then_some(other)
    }

    /// Pairs that are not linked by the report of both ends, at most so many.
    pub fn missing(&self, most: usize) -> Vec<[PeerId; 2]> {
        let pairs = self.members.iter().enumerate();
        let pairs = pairs.flat_map(|(at, one)| self.members[at + 1..].iter().map(move |two| (one, two)));
        let missing =
            pairs.filter(|(one, two)| !(one.linked.contains(&two.peer) && two.linked.contains(&one.peer)));
        missing.map(|(one, two)| [one.peer, two.peer]).take(most).collect()
    }

    /// Who follows an owner that is gone: the member that has been there longest, and is.
    pub fn follower(&self) -> Option<SessionId> {
        let present = self.members.iter().find(|member| !member.away);
        present.or(self.members.first()).map(|member| member.session)
    }

    /// Was completed, and came back by tickets.
    pub fn is_returned(&self) -> bool {
        self.tickets_end.is_some()
    }

    /// Whether this member may do what an owner may: of a lobby that came back, only whose it was before.
    pub fn is_owner(&self, session: SessionId) -> bool {
        let has_owner = self.is_returned() && self.before.is_some();
        let is_before = || self.member(session).is_some_and(|member| self.is_before(member.peer));
        self.owner == session && (!has_owner || is_before())
    }

    /// Whether a lobby that came back was this peer's.
    pub fn is_before(&self, peer: PeerId) -> bool {
        self.before == Some(peer)
    }

    pub fn owner_peer(&self) -> PeerId {
        let owner = self.member(self.owner).or(self.members.first());
        owner.expect("a lobby without members is removed at once").peer
    }
}

impl Member {
    pub fn new(session: SessionId, peer: PeerId, who: Newcomer) -> Self {
        let Newcomer { me, run } = who;
        Self { session, peer, me, run, away: false, granted: false, linked: BTreeSet::new(), farewell: None }
    }

    pub fn view(&self) -> MemberView<'_> {
        MemberView { peer: self.peer, me: &self.me, away: self.away }
    }
}

impl Data {
    /// `{}`.
    pub fn none() -> Self {
        Self { raw: empty(), fields: Fields::default() }
    }

    /// Reads a JSON object; `None` where it cannot be looked into (too deep).
    pub fn read(raw: Option<&RawValue>, keys: &Keys) -> Option<Self> {
        match raw {
            None => Some(Self::none()),
            Some(raw) => Some(Self { fields: Fields::read(raw, keys)?, raw: raw.to_owned() }),
        }
    }

    /// Bytes that it holds.
    pub fn cost(&self) -> u64 {
        (self.raw.get().len() + self.fields.len() * size_of::<u64>()) as u64
    }
}

impl Fields {
    /// Reads a JSON object; `None` where it cannot be looked into (too deep).
    pub fn read(raw: &RawValue, keys: &Keys) -> Option<Self> {
        let fields: Map<String, Value> = serde_json::from_str(raw.get()).ok()?;
        // The name as JSON, too: where it ends is part of it. `serde_json` writes each value in one way.
        let tag = |(name, value)| keys.tag(format!("{}:{value}", Value::String(name)).as_bytes());
        let mut tags: Box<[u64]> = fields.into_iter().map(tag).collect();
        tags.sort_unstable();
        Some(Self(tags))
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Has an equal value under each key of the filter.
    pub fn match_all(&self, filter: &Fields) -> bool {
        filter.0.iter().all(|tag| self.0.binary_search(tag).is_ok())
    }
}

/// `{}`.
pub(super) fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".into()).expect("an object")
}
