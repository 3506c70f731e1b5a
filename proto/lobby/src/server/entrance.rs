//! Ways into a lobby: create, join, quick. A password is hashed outside, and the way goes on afterwards.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::value::RawValue;

use twocan_base::{Household, Rate};

use super::addresses::{CodeKey, Paced};
use super::limits::{CODES_MAX, FILTER_KEYS_MAX, GUESSES_PER_SESSION_BURST, RETRY_AFTER, SIZE_DEFAULT};
use super::lobby::{Data, Fields, Lobby, LobbyId, Member, Newcomer, Stage};
use super::notices::Notice;
use super::outside::{Command, Discard, Event, HashId, HashJob};
use super::secrets::{KeptPassword, Keys};
use super::timers::Timer;
use super::{Lobbies, Refusal};
use crate::wire::names::{AppName, CODE_LARGEST, CODE_LONG, LobbyCode, PeerId, SessionId};
use crate::wire::typed;
use crate::wire::{CodeKind, Create, ErrorCode, Join, Quick};

/// What a lobby's `data` costs at most, about; see [`Data::cost`].
const OPENING_BYTES_MAX: u64 = 8_192;

/// A way in that waits for a hash.
pub(super) struct Entrance {
    session: SessionId,
    /// The request's number.
    id: u64,
    address: IpAddr,
    who: Newcomer,
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
        let who = Newcomer::new(create.me, create.run);
        match &create.password {
            None => self.open(session, id, opening, None, who, now),
            Some(password) => {
                let salt = self.ids.bytes();
                self.hash(session, id, password, salt, who, To::New { opening, salt }, now)
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
        let key = typed::code(&join.code).map(|code| (state.app.clone(), code));
        let password_at = key.clone().filter(|_| join.password.is_some());
        self.may_guess(session, password_at.as_ref(), now)?;
        let lobby = key.and_then(|(app, code)| self.find(&app, code));
        let known = lobby.and_then(|lobby| self.lobbies.get(&lobby));
        match (known.map(|lobby| &lobby.password), &join.password) {
            (Some(None), _) => {
                let lobby = lobby.ok_or(ErrorCode::NotFound)?;
                self.admit(session, id, lobby, Newcomer::new(join.me, join.run), now)
            }
            (_, None) => Err(self.guessed_wrong(session, None, now)),
            (kept, Some(password)) => {
                let salt = kept.and_then(|kept| kept.as_ref().map(|kept| kept.salt));
                let salt = salt.unwrap_or_else(|| self.ids.bytes());
                let to = To::Known { lobby, code: password_at };
                self.hash(session, id, password, salt, Newcomer::new(join.me, join.run), to, now)
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
        let who = Newcomer::new(quick.me, quick.run);
        match self.fullest(session, &filter, size) {
            Some(lobby) => self.admit(session, id, lobby, who, now),
            None => {
                self.may_open(session)?;
                let opening = Opening { public: true, size: seats(quick.size), data, is_long: false };
                self.open(session, id, opening, None, who, now)
            }
        }
    }

    /// A hash has been made; `None` where it could not be.
    pub fn handle_hashed(&mut self, job: HashId, hash: Option<[u8; 32]>, now: Instant) {
        self.now = now;
        let Some(entrance) = self.entrances.remove(&job) else { return };
        self.addresses.hashes.give(entrance.address, 1);
        self.hashes.done();
        self.next_hash();
        let Entrance { session, id, who, to, .. } = entrance;
        let Some(state) = self.sessions.get_mut(&session) else {
            return self.out.discard(Discard::StaleHash);
        };
        state.entering = false;
        let done = match (hash, to) {
            (Some(hash), to) => self.go_on(session, id, who, to, &hash, now),
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
        who: Newcomer,
        to: To,
        hash: &[u8; 32],
        now: Instant,
    ) -> Result<(), Refusal> {
        match to {
            To::New { opening, salt } => {
                self.may_enter(session)?;
                self.may_open(session)?;
                let password = KeptPassword::new(&self.keys, salt, hash);
                self.open(session, id, opening, Some(password), who, now)
            }
            To::Known { lobby, code } => {
                let found = lobby.and_then(|id| Some((id, self.lobbies.get(&id)?.password.as_ref()?)));
                let lobby = match found {
                    Some((lobby, kept)) if kept.matches(&self.keys, hash) => lobby,
                    _ => return Err(self.guessed_wrong(session, code.as_ref(), now)),
                };
                self.admit(session, id, lobby, who, now)
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
        who: Newcomer,
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
        self.entrances.insert(job, Entrance { session, id, address, who, to });
        let hash = HashJob { id: job, password: typed::password(password), salt };
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

    pub(super) fn may_enter(&self, session: SessionId) -> Result<(), Refusal> {
        match self.sessions.get(&session) {
            Some(state) if state.lobby.is_some() || state.entering || state.finished => {
                Err(ErrorCode::AlreadyInLobby.into())
            }
            _ if self.draining => Err(ErrorCode::ShuttingDown.into()),
            _ => Ok(()),
        }
    }

    pub(super) fn may_open(&self, session: SessionId) -> Result<(), Refusal> {
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
        who: Newcomer,
        now: Instant,
    ) -> Result<(), Refusal> {
        let Some(state) = self.sessions.get(&session) else { return Ok(()) };
        let (app, opener) = (state.app.clone(), state.address);
        self.addresses.spend(opener, Paced::Opening, now).map_err(Refusal::later)?;
        let code = self.free_code(&app, opening.is_long);
        let group = self.ids.group();
        let lobby = Lobby {
            public: opening.public,
            size: opening.size,
            password,
            data: opening.data,
            ..Lobby::new((app, code), session, opener, group, now)
        };
        let lobby = self.found(lobby);
        self.enter(session, id, lobby, who, now);
        Ok(())
    }

    pub(super) fn found(&mut self, lobby: Lobby) -> LobbyId {
        let id = LobbyId(self.next_number());
        self.addresses.lobbies.take_surely(lobby.opener, 1);
        self.addresses.bytes.take_surely(lobby.opener, lobby.data.cost());
        self.timers.set(Timer::Lobby(id), lobby.ends_at);
        self.apps.entry(lobby.app.clone()).or_default().codes.insert(lobby.code, id);
        self.origins.insert(lobby.origin, id);
        self.lobbies.insert(id, lobby);
        self.out.event(Event::LobbyOpened);
        id
    }

    /// A code that no lobby has, as long as it must be so that few guesses hit.
    pub(super) fn free_code(&mut self, app: &AppName, is_long: bool) -> LobbyCode {
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

    pub(super) fn find(&self, app: &AppName, code: LobbyCode) -> Option<LobbyId> {
        self.apps.get(app)?.codes.get(&code).copied()
    }

    pub(super) fn holder(&self, lobby: Option<LobbyId>, peer: PeerId) -> Option<SessionId> {
        Some(self.lobbies.get(&lobby?)?.by_peer(peer)?.session)
    }

    /// Lets in who has shown the code and the password: only now does it matter whether there is a seat.
    pub(super) fn admit(
        &mut self,
        session: SessionId,
        id: u64,
        lobby: LobbyId,
        who: Newcomer,
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
                self.pace_entry(lobby, address, now)?;
                self.enter(session, id, lobby, who, now);
                Ok(())
            }
        }
    }

    /// Counts a way into a lobby, or back to a seat: each takes a connection of every member.
    pub(super) fn pace_entry(
        &mut self,
        lobby: LobbyId,
        address: IpAddr,
        now: Instant,
    ) -> Result<(), Refusal> {
        self.addresses.spend(address, Paced::Entry, now).map_err(Refusal::later)?;
        let rate = self.limits.entries_of_lobby;
        let entrants = self.lobbies.get_mut(&lobby).map(|lobby| &mut lobby.entrants);
        entrants.map_or(Ok(()), |each| each.spend(address, rate, now)).map_err(Refusal::later)
    }

    pub(super) fn enter(
        &mut self,
        session: SessionId,
        id: u64,
        lobby_id: LobbyId,
        who: Newcomer,
        now: Instant,
    ) {
        self.unwatch(session);
        let Some(state) = self.sessions.get_mut(&session) else { return };
        let Some(lobby) = self.lobbies.get_mut(&lobby_id) else { return };
        state.lobby = Some(lobby_id);
        state.notices.clear();
        if lobby.by_peer(state.peer).is_some() {
            // Its name went back to its seat by ticket, in another session, since it left.
            state.peer = self.ids.peer();
        }
        let peer = state.peer;
        lobby.members.push(Member::new(session, peer, who));
        lobby.life.entered += 1;
        // A lobby that came back is whose it was before, as soon as that one is there.
        let is_given_back = lobby.is_before(peer) && lobby.owner != session;
        if is_given_back {
            lobby.owner = session;
            // Of a completed one nobody else may ever do what an owner may.
            lobby.before.take_if(|_| lobby.tickets_end.is_none());
        }
        self.tell_joined(session, id, lobby_id, now);
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
