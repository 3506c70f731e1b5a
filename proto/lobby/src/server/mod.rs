//! The server's side: sessions, lobbies, and what becomes of them.
//!
//! ```text
//! text in    handle_message ── clients: hello, resume ── requests: may this session say this now?
//!                                                          ├ entrance  create, join, quick
//!                                                          ├ returning return, by ticket
//!                                                          ├ away      whose socket is gone
//!                                                          ├ links     grants, link, signal, linked, failed
//!                                                          ├ leaving   leave, kick, seal, complete
//!                                                          └ list      list, watch, what changed
//! text out   poll_transmit       asks  poll_command       tells  poll_event
//! ```
//!
//! One task owns a [`Lobbies`]. Sockets are only numbers here, so they may hang on another process.

mod addresses;
mod away;
mod bans;
mod clients;
mod entrance;
mod hashes;
mod holding;
mod ids;
mod leaving;
pub mod limits;
mod links;
mod list;
mod lobby;
mod notices;
mod outside;
mod pace;
mod requests;
mod returning;
mod secrets;
mod session;
mod ticket;
mod timers;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

pub use self::limits::{Limits, MEMORY_DEFAULT};
pub use self::outside::{
    Close, ClosedWhy, Command, Discard, Door, Ended, Event, Grant, HashId, HashJob, Life, Purpose,
};
pub use self::secrets::Keys;

use self::addresses::Addresses;
use self::bans::Bans;
use self::clients::Client;
use self::entrance::Entrance;
use self::hashes::Hashes;
use self::ids::Ids;
use self::limits::QUEUE_BYTES_MAX;
use self::list::App;
use self::lobby::{Lobby, LobbyId};
use self::outside::Outbox;
use self::session::Session;
use self::timers::Timers;
use crate::wire::names::{AppName, ClientId, GroupId, SessionId};
use crate::wire::{ErrorCode, Refused, ServerMessage, number, render};

/// The machine. Inputs are `handle_*`; what they cause waits in `poll_*`.
pub struct Lobbies {
    limits: Limits,
    keys: Keys,
    ids: Ids,
    /// Unix seconds at `started`, as the wall clock says since.
    unix_at_start: u64,
    started: Instant,
    clients: BTreeMap<ClientId, Client>,
    sessions: BTreeMap<SessionId, Session>,
    lobbies: BTreeMap<LobbyId, Lobby>,
    apps: BTreeMap<AppName, App>,
    addresses: Addresses,
    /// Every lobby, as tickets name it.
    origins: BTreeMap<GroupId, LobbyId>,
    /// Who was shown out of a lobby that had completed, for as long as tickets of it are good; and of others, in a table of its own, so that
    /// kicks in lobbies that anybody can open push out none of those.
    bans: Bans,
    open_bans: Bans,
    entrances: BTreeMap<HashId, Entrance>,
    hashes: Hashes,
    timers: Timers,
    out: Outbox,
    draining: bool,
    last_number: u64,
    /// The time of the input that is being handled.
    now: Instant,
}

impl Lobbies {
    /// A machine without lobbies. `seed` makes its names, `unix_now` is the wall clock at `now` in seconds.
    #[must_use]
    pub fn new(limits: Limits, keys: Keys, seed: [u8; 32], unix_now: u64, now: Instant) -> Self {
        Self {
            addresses: Addresses::new(&limits),
            limits,
            keys,
            ids: Ids::new(seed),
            unix_at_start: unix_now,
            started: now,
            clients: BTreeMap::new(),
            sessions: BTreeMap::new(),
            lobbies: BTreeMap::new(),
            apps: BTreeMap::new(),
            origins: BTreeMap::new(),
            bans: Bans::default(),
            open_bans: Bans::default(),
            entrances: BTreeMap::new(),
            hashes: Hashes::default(),
            timers: Timers::default(),
            out: Outbox::default(),
            draining: false,
            last_number: 0,
            now,
        }
    }

    /// What the wall clock says at `now`, in Unix seconds: to be told now and then, for it may be put right after the start. Tickets are judged by it.
    pub fn handle_clock(&mut self, unix: u64, now: Instant) {
        self.unix_at_start = unix.saturating_sub(now.saturating_duration_since(self.started).as_secs());
    }

    /// A frame to send, and on which socket.
    pub fn poll_transmit(&mut self) -> Option<(ClientId, Arc<str>)> {
        self.out.transmits.pop_front()
    }

    /// Something to do that is not sending.
    pub fn poll_command(&mut self) -> Option<Command> {
        self.out.commands.pop_front()
    }

    /// Something that happened, for the log and the counters.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.out.events.pop_front()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is next due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.next()
    }

    /// Sessions that are there, cut ones among them.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// Lobbies that are there.
    #[must_use]
    pub fn lobbies(&self) -> usize {
        self.lobbies.len()
    }

    /// Sockets that are there.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.clients.len()
    }

    fn next_number(&mut self) -> u64 {
        self.last_number += 1;
        self.last_number
    }

    fn unix(&self, now: Instant) -> u64 {
        self.unix_at_start + now.saturating_duration_since(self.started).as_secs()
    }

    /// Numbers a rendered message for a session, keeps it for a resume, and sends it where there is a socket.
    fn send(&mut self, id_of_session: SessionId, id: Option<u64>, body: &str) {
        let Some(session) = self.sessions.get_mut(&id_of_session) else { return };
        session.seq += 1;
        let frame = number(body, session.seq, id);
        let (cost, address) = (frame_cost(&frame), session.address);
        session.keep(Arc::clone(&frame));
        self.addresses.bytes.take_surely(address, cost as u64);
        let mut queued = 0;
        if let Some((id, client)) = session.client.and_then(|id| Some((id, self.clients.get_mut(&id)?))) {
            client.queued += cost;
            queued = client.queued;
            if queued > QUEUE_BYTES_MAX + client.resumed {
                return self.too_slow(id, self.now);
            }
            self.out.transmits.push_back((id, frame));
        }
        let is_over = !self.addresses.bytes.fits(address, 0);
        let freed = session.trim(queued, is_over);
        if freed > 0 {
            self.addresses.bytes.give(address, freed as u64);
        }
    }

    fn reply(&mut self, session: SessionId, id: u64, message: &ServerMessage<'_>) {
        self.send(session, Some(id), &render(message));
    }

    fn tell(&mut self, session: SessionId, message: &ServerMessage<'_>) {
        self.send(session, None, &render(message));
    }

    fn refuse(&mut self, session: SessionId, id: u64, refusal: Refusal) {
        let Refusal { code, retry, sentence } = refusal;
        self.out.event(Event::Refused(code));
        let retry = retry.map(|wait| (wait.as_millis() as u64).div_ceil(1000).max(1));
        self.reply(session, id, &ServerMessage::Error(Refused { code, message: sentence.into(), retry }));
    }
}

/// What a frame counts for where bytes are bounded: its length, and what it takes to keep it.
#[must_use]
pub fn frame_cost(frame: &str) -> usize {
    frame.len() + limits::FRAME_OVERHEAD
}

/// Why a request is not done.
#[derive(Clone, Copy, Debug)]
struct Refusal {
    code: ErrorCode,
    retry: Option<Duration>,
    /// For a person.
    sentence: &'static str,
}

impl Refusal {
    fn later(retry: Duration) -> Self {
        Self { retry: Some(retry), ..ErrorCode::RateLimited.into() }
    }
}

impl From<ErrorCode> for Refusal {
    fn from(code: ErrorCode) -> Self {
        Self { code, retry: None, sentence: code.sentence() }
    }
}
