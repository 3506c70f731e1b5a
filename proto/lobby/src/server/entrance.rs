//! Ways into a lobby: create, join, quick, return. A password is hashed outside, and the way goes on afterwards.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use twocan_base::{Household, Rate};

use super::addresses::{CodeKey, Paced};
use super::bans::Banned;
use super::holding::Holds;
use super::limits::{
    CODES_MAX, FILTER_KEYS_MAX, GUESSES_PER_SESSION_BURST, LOBBY_LIFETIME, RETRY_AFTER, SEAL_WITHIN,
    SIZE_DEFAULT, SIZE_MIN,
};
use super::lobby::{Data, Entrants, Fields, Lobby, LobbyId, Member, Stage, or_empty};
use super::notices::Notice;
use super::outside::{Command, Discard, Event, HashId, HashJob};
use super::secrets::{KeptPassword, Keys};
use super::ticket::Ticket;
use super::timers::Timer;
use super::{Lobbies, Refusal};
use crate::wire::names::{AppName, CODE_LARGEST, CODE_LONG, LobbyCode, PeerId, SessionId};
use crate::wire::{CodeKind, Create, ErrorCode, Join, Joined, Quick, Return, ServerMessage, render};

/// What a lobby's `data` costs at most, about; see [`Data::cost`].
const OPENING_BYTES_MAX: u64 = 8_192;

/// A way in that waits for a hash.
pub(super) struct Entrance {
    session: SessionId,
    /// The request's number.
    id: u64,
    address: IpAddr,
    me: Box<RawValue>,
    to: To,
}

enum To {
    /// A lobby to open under this password.
    New { opening: Opening, salt: [u8; 16] },
    /// The lobby that has this code, if any: without one the hash is made all the same.
    Known { lobby: Option<LobbyId>, code: Option<CodeKey> },
}

struct Opening {
    public: bool,
    size: usize,
    data: Data,
    /// A code that nobody can guess.
    is_long: bool,
}

impl Lobbies {
    pub(super) fn create(
        &mut self,
        session: SessionId,
        id: u64,
        create: &Create<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.may_enter(session)?;
        self.may_open(session)?;
        let data = Data::read(create.data, &self.keys).ok_or(ErrorCode::BadValue)?;
        let is_long = create.code == Some(CodeKind::Long);
        let opening = Opening { public: create.public, size: seats(create.size), data, is_long };
        let me = or_empty(create.me);
        match &create.password {
            None => self.open(session, id, opening, None, me, now),
            Some(password) => {
                let salt = self.ids.bytes();
                self.hash(session, id, password, salt, me, To::New { opening, salt }, now)
            }
        }
    }

    pub(super) fn join(
        &mut self,
        session: SessionId,
        id: u64,
        join: &Join<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.may_enter(session)?;
        let Some(state) = self.sessions.get(&session) else { return Ok(()) };
        let key = LobbyCode::parse(&join.code).map(|code| (state.app.clone(), code));
        let password_at = key.clone().filter(|_| join.password.is_some());
        self.may_guess(session, password_at.as_ref(), now)?;
        let lobby = key.and_then(|(app, code)| self.find(&app, code));
        let known = lobby.and_then(|lobby| self.lobbies.get(&lobby));
        match (known.map(|lobby| &lobby.password), &join.password) {
            (Some(None), _) => {
                let lobby = lobby.ok_or(ErrorCode::NotFound)?;
                self.admit(session, id, lobby, or_empty(join.me), now)
            }
            (_, None) => Err(self.guessed_wrong(session, None, now)),
            (kept, Some(password)) => {
                let salt = kept.and_then(|kept| kept.as_ref().map(|kept| kept.salt));
                let salt = salt.unwrap_or_else(|| self.ids.bytes());
                let to = To::Known { lobby, code: password_at };
                self.hash(session, id, password, salt, or_empty(join.me), to, now)
            }
        }
    }

    /// Whether a session may guess: within its own pace, its household's, and that at the code.
    fn may_guess(&mut self, session: SessionId, code: Option<&CodeKey>, now: Instant) -> Result<(), Refusal> {
        let rate = self.guess_rate();
        let state = self.sessions.get(&session).ok_or(ErrorCode::NotFound)?;
        let (address, is_first) = (state.address, state.is_trusted());
        let may = state.guesses.check(1, rate, now);
        may.and_then(|()| self.addresses.may_guess(address, code, is_first, now)).map_err(Refusal::later)
    }

    /// A guess was wrong: it counts.
    fn guessed_wrong(&mut self, session: SessionId, code: Option<&CodeKey>, now: Instant) -> Refusal {
        let rate = self.guess_rate();
        if let Some(state) = self.sessions.get_mut(&session) {
            self.addresses.guessed_wrong(state.address, code, state.is_trusted(), now);
            state.guesses.spend_surely(1, rate, now);
            state.wrong = state.wrong.saturating_add(1);
        }
        ErrorCode::NotFound.into()
    }

    fn guess_rate(&self) -> Rate {
        let interval = Duration::from_secs(60) / self.limits.guesses_per_session.max(1);
        Rate { interval, burst: GUESSES_PER_SESSION_BURST }
    }

    pub(super) fn quick(
        &mut self,
        session: SessionId,
        id: u64,
        quick: &Quick<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.may_enter(session)?;
        let filter = read_filter(quick.filter, &self.keys)?;
        let data = Data::read(quick.data.or(quick.filter), &self.keys).ok_or(ErrorCode::BadValue)?;
        let size = quick.size.map(|size| seats(Some(size)));
        let me = or_empty(quick.me);
        match self.fullest(session, &filter, size) {
            Some(lobby) => self.admit(session, id, lobby, me, now),
            None => {
                self.may_open(session)?;
                let opening = Opening { public: true, size: seats(quick.size), data, is_long: false };
                self.open(session, id, opening, None, me, now)
            }
        }
    }

    /// Comes back with a ticket: to the lobby made anew, or as the first.
    pub(super) fn come_back(
        &mut self,
        session: SessionId,
        id: u64,
        ticket: &Return<'_>,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.may_enter(session)?;
        let me = or_empty(ticket.me);
        let ticket = Ticket::verify(&ticket.ticket, &self.keys.tickets, self.unix(now));
        let ticket = ticket.ok_or(ErrorCode::BadTicket)?;
        if self.sessions.get(&session).is_none_or(|session| session.app != ticket.app) {
            return Err(ErrorCode::BadTicket.into());
        }
        let mut found = self.returned.get(&ticket.group).copied();
        if self.bans.is_barred(ticket.group, ticket.peer) {
            return Err(ErrorCode::Kicked.into());
        }
        if found.is_none() {
            self.may_open(session)?;
        } else if let Some(older) = self.holder(found, ticket.peer) {
            // The same member again, whose older session has not been missed yet. If it was alone, the lobby went too.
            self.supersede(older, now);
            found = self.returned.get(&ticket.group).copied();
        }
        if let Some(state) = self.sessions.get_mut(&session) {
            state.peer = ticket.peer;
        }
        let lobby = found.unwrap_or_else(|| self.reopen(session, &ticket, now));
        self.enter(session, id, lobby, me, now);
        let here = self.lobbies.get(&lobby).map_or(0, |lobby| lobby.members.len());
        self.seal_until(lobby, (here > 1).then(|| now + SEAL_WITHIN));
        Ok(())
    }

    /// A hash has been made; `None` where it could not be.
    pub fn handle_hashed(&mut self, job: HashId, hash: Option<[u8; 32]>, now: Instant) {
        self.now = now;
        let Some(entrance) = self.entrances.remove(&job) else { return };
        self.addresses.hashes.give(entrance.address, 1);
        self.hashes.done();
        self.next_hash();
        let Entrance { session, id, me, to, .. } = entrance;
        let Some(state) = self.sessions.get_mut(&session) else {
            return self.out.discard(Discard::StaleHash);
        };
        state.entering = false;
        let done = match (hash, to) {
            (Some(hash), to) => self.go_on(session, id, me, to, &hash, now),
            // Nothing was learnt from it, so it was no guess.
            (None, _) => Err(Refusal::later(RETRY_AFTER)),
        };
        if let Err(refusal) = done {
            self.refuse(session, id, refusal);
        }
    }

    fn go_on(
        &mut self,
        session: SessionId,
        id: u64,
        me: Box<RawValue>,
        to: To,
        hash: &[u8; 32],
        now: Instant,
    ) -> Result<(), Refusal> {
        match to {
            To::New { opening, salt } => {
                self.may_enter(session)?;
                self.may_open(session)?;
                let password = KeptPassword::new(&self.keys, salt, hash);
                self.open(session, id, opening, Some(password), me, now)
            }
            To::Known { lobby, code } => {
                let found = lobby.and_then(|id| Some((id, self.lobbies.get(&id)?.password.as_ref()?)));
                let lobby = match found {
                    Some((lobby, kept)) if kept.matches(&self.keys, hash) => lobby,
                    _ => return Err(self.guessed_wrong(session, code.as_ref(), now)),
                };
                self.admit(session, id, lobby, me, now)
            }
        }
    }

    #[allow(clippy::too_many_arguments)] // one call each for the two ways that need a hash
    fn hash(
        &mut self,
        session: SessionId,
        id: u64,
        password: &str,
        salt: [u8; 16],
        me: Box<RawValue>,
        to: To,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(state) = self.sessions.get_mut(&session) else { return Ok(()) };
        let address = state.address;
        let paced = match self.addresses.hashes.fits(address, 1) {
            true => self.addresses.spend(address, Paced::Hash, now),
            false => Err(RETRY_AFTER),
        };
        paced.map_err(Refusal::later)?;
        self.addresses.hashes.take_surely(address, 1);
        state.entering = true;
        let job = HashId(self.next_number());
        self.entrances.insert(job, Entrance { session, id, address, me, to });
        let hash = HashJob { id: job, password: password.into(), salt };
        self.hashes.push(Household::from(address), hash, now);
        self.next_hash();
        Ok(())
    }

    /// Has the next passwords hashed, as many at once as may be.
    fn next_hash(&mut self) {
        while let Some(job) = self.hashes.next(self.limits.hashes_at_once, self.now) {
            self.out.commands.push_back(Command::Hash(job));
        }
    }

    fn may_enter(&self, session: SessionId) -> Result<(), Refusal> {
        match self.sessions.get(&session) {
            Some(state) if state.lobby.is_some() || state.entering || state.finished => {
                Err(ErrorCode::AlreadyInLobby.into())
            }
            _ if self.draining => Err(ErrorCode::ShuttingDown.into()),
            _ => Ok(()),
        }
    }

    fn may_open(&self, session: SessionId) -> Result<(), Refusal> {
        let address = self.sessions.get(&session).map(|session| session.address);
        let fits = address.is_some_and(|address| {
            self.addresses.lobbies.fits(address, 1) && self.addresses.bytes.fits(address, OPENING_BYTES_MAX)
        });
        fits.then_some(()).ok_or(ErrorCode::TooManyLobbies.into())
    }

    fn open(
        &mut self,
        session: SessionId,
        id: u64,
        opening: Opening,
        password: Option<KeptPassword>,
        me: Box<RawValue>,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(state) = self.sessions.get(&session) else { return Ok(()) };
        let (app, opener) = (state.app.clone(), state.address);
        self.addresses.spend(opener, Paced::Opening, now).map_err(Refusal::later)?;
        let lobby = Lobby {
            code: self.free_code(&app, opening.is_long),
            app,
            public: opening.public,
            locked: false,
            size: opening.size,
            password,
            data: opening.data,
            members: Vec::new(),
            owner: session,
            stage: Stage::Open,
            group: self.ids.group(),
            ticket: None,
            banned: Banned::default(),
            entrants: Entrants::default(),
            holds: Holds::default(),
            opener,
            opened_at: now,
            ends_at: now + LOBBY_LIFETIME,
        };
        let lobby = self.found(lobby);
        self.enter(session, id, lobby, me, now);
        Ok(())
    }

    /// A completed lobby, made anew: sealed, unlisted, under its code where that is free.
    fn reopen(&mut self, session: SessionId, ticket: &Ticket, now: Instant) -> LobbyId {
        let free = self.find(&ticket.app, ticket.code).is_none();
        let opener = self.sessions.get(&session).map(|session| session.address);
        let lobby = Lobby {
            code: if free { ticket.code } else { self.free_code(&ticket.app, false) },
            app: ticket.app.clone(),
            public: false,
            locked: true,
            size: ticket.members.len().max(SIZE_MIN as usize),
            password: None,
            data: Data::none(),
            members: Vec::new(),
            owner: session,
            stage: Stage::Sealed { until: None },
            group: ticket.group,
            ticket: Some((ticket.expires, ticket.owner)),
            banned: Banned::default(),
            entrants: Entrants::default(),
            holds: Holds::default(),
            opener: opener.expect("the session was looked up just before"),
            opened_at: now,
            ends_at: now + LOBBY_LIFETIME,
        };
        let id = self.found(lobby);
        self.returned.insert(ticket.group, id);
        id
    }

    fn found(&mut self, lobby: Lobby) -> LobbyId {
        let id = LobbyId(self.next_number());
        self.addresses.lobbies.take_surely(lobby.opener, 1);
        self.addresses.bytes.take_surely(lobby.opener, lobby.data.cost());
        self.timers.set(Timer::Lobby(id), lobby.ends_at);
        self.apps.entry(lobby.app.clone()).or_default().codes.insert(lobby.code, id);
        self.lobbies.insert(id, lobby);
        self.out.event(Event::LobbyOpened);
        id
    }

    /// A code that no lobby has, as long as it must be so that few guesses hit.
    fn free_code(&mut self, app: &AppName, is_long: bool) -> LobbyCode {
        let lobbies = self.apps.get(app).map_or(0, |app| app.codes.len());
        let letters = CODES_MAX.iter().zip(4..).find(|(most, _)| lobbies < **most);
        let letters = letters.map_or(CODE_LARGEST, |(_, letters)| letters);
        loop {
            let code = self.ids.code(if is_long { CODE_LONG } else { letters });
            if self.find(app, code).is_none() {
                return code;
            }
        }
    }

    fn find(&self, app: &AppName, code: LobbyCode) -> Option<LobbyId> {
        self.apps.get(app)?.codes.get(&code).copied()
    }

    fn holder(&self, lobby: Option<LobbyId>, peer: PeerId) -> Option<SessionId> {
        Some(self.lobbies.get(&lobby?)?.by_peer(peer)?.session)
    }

    /// Lets in who has shown the code and the password: only now does it matter whether there is a seat.
    fn admit(
        &mut self,
        session: SessionId,
        id: u64,
        lobby: LobbyId,
        me: Box<RawValue>,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.may_enter(session)?;
        let Some(state) = self.sessions.get(&session) else { return Ok(()) };
        let (peer, address) = (state.peer, state.address);
        let Some(found) = self.lobbies.get(&lobby) else { return Err(ErrorCode::NotFound.into()) };
        match found {
            Lobby { banned, .. } if banned.is_barred(peer, address) => Err(ErrorCode::Kicked.into()),
            Lobby { stage: Stage::Sealed { .. } | Stage::Completing, .. } => Err(ErrorCode::Sealed.into()),
            Lobby { locked: true, .. } => Err(ErrorCode::Locked.into()),
            Lobby { members, size, .. } if members.len() >= *size => Err(ErrorCode::Full.into()),
            _ => {
                self.addresses.spend(address, Paced::Entry, now).map_err(Refusal::later)?;
                let rate = self.limits.entries_of_lobby;
                let entrants = self.lobbies.get_mut(&lobby).map(|lobby| &mut lobby.entrants);
                entrants.map_or(Ok(()), |each| each.spend(address, rate, now)).map_err(Refusal::later)?;
                self.enter(session, id, lobby, me, now);
                Ok(())
            }
        }
    }

    fn enter(&mut self, session: SessionId, id: u64, lobby_id: LobbyId, me: Box<RawValue>, now: Instant) {
        self.unwatch(session);
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let Some(lobby) = self.lobbies.get_mut(&lobby_id) else { return };
        state.lobby = Some(lobby_id);
        state.notices.clear();
        let peer = state.peer;
        lobby.members.push(Member::new(session, peer, me));
        // A lobby that came back is whose it was before, as soon as that one is there.
        let is_given_back = lobby.is_before(peer) && lobby.owner != session;
        if is_given_back {
            lobby.owner = session;
        }
        let joined = render(&ServerMessage::Joined(Joined { peer: state.peer, lobby: lobby.view() }));
        self.send(session, Some(id), &joined);
        self.notify_others(lobby_id, Some(session), &Notice::Arrived(peer));
        if is_given_back {
            self.notify_others(lobby_id, Some(session), &Notice::Owner);
        }
        self.relist(lobby_id, now);
        self.renew_grant(session);
    }
}

fn seats(size: Option<i64>) -> usize {
    size.unwrap_or(SIZE_DEFAULT) as usize
}

/// A filter's fields; a filter that cannot be looked into, or has too many, matches nothing, and is refused.
pub(super) fn read_filter(filter: Option<&RawValue>, keys: &Keys) -> Result<Fields, Refusal> {
    let fields = Data::read(filter, keys).map(|data| data.fields);
    fields.filter(|fields| fields.len() <= FILTER_KEYS_MAX).ok_or_else(|| ErrorCode::BadValue.into())
}
