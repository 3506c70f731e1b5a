//! A session: one client, over as many sockets as it takes.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use twocan_base::Spent;

use super::frame_cost;
use super::limits::{GUESSES_FIRST, REPLAY_BYTES_MAX, SHOWN_COST};
use super::lobby::{Fields, LobbyId};
use super::notices::Notices;
use super::pace::Pace;
use crate::wire::names::{AppName, ClientId, LobbyCode, PeerId, SessionId};

pub(super) struct Session {
    pub app: AppName,
    pub peer: PeerId,
    pub secret: [u8; 16],
    pub address: IpAddr,
    pub host: Arc<str>,
    /// The socket, while there is one.
    pub client: Option<ClientId>,
    /// Without a socket: when it is given up.
    pub lost_at: Option<Instant>,
    /// Without a socket, in a lobby: when the next step of being away is due.
    pub away_at: Option<Instant>,
    /// The highest client `id` handled.
    pub received: u64,
    /// The highest `seq` given out.
    pub seq: u64,
    /// How far the client has come, as it says itself: it never says less later.
    pub seen: u64,
    replay: VecDeque<Arc<str>>,
    /// What they cost, see [`frame_cost`].
    replay_bytes: usize,
    /// What others did and this client is yet to be told.
    pub notices: Notices,
    pub pace: Pace,
    /// What is spent of this session's guesses.
    pub guesses: Spent,
    /// Wrong joins so far.
    pub wrong: u8,
    pub lobby: Option<LobbyId>,
    /// A password of this session is being hashed.
    pub entering: bool,
    pub watch: Option<Box<Watch>>,
    /// When the ICE servers are to be renewed.
    pub renew_at: Option<Instant>,
    /// Its lobby is complete: nothing is left to say.
    pub finished: bool,
}

/// What a watcher wants to see, and what it was shown.
pub(super) struct Watch {
    pub filter: Fields,
    pub shown: BTreeSet<LobbyCode>,
    /// Changed while the client was behind.
    pub missed: BTreeSet<LobbyCode>,
}

impl Watch {
    /// Bytes that it is counted for.
    pub fn cost(&self) -> u64 {
        (self.shown.len() + self.missed.len()) as u64 * SHOWN_COST
    }
}

impl Session {
    pub fn new(
        app: AppName,
        peer: PeerId,
        secret: [u8; 16],
        address: IpAddr,
        host: Arc<str>,
        now: Instant,
    ) -> Self {
        Self {
            app,
            peer,
            secret,
            address,
            host,
            client: None,
            lost_at: None,
            away_at: None,
            received: 0,
            seq: 0,
            seen: 0,
            replay: VecDeque::new(),
            replay_bytes: 0,
            notices: Notices::default(),
            pace: Pace::new(now),
            guesses: Spent::nothing(now),
            wrong: 0,
            lobby: None,
            entering: false,
            watch: None,
            renew_at: None,
            finished: false,
        }
    }

    /// Keeps the frame just numbered.
    pub fn keep(&mut self, frame: Arc<str>) {
        self.replay_bytes += frame_cost(&frame);
        self.replay.push_back(frame);
    }

    /// What the frames kept cost.
    pub fn kept_bytes(&self) -> usize {
        self.replay_bytes
    }

    /// All bytes that it is counted for.
    pub fn cost(&self) -> u64 {
        self.replay_bytes as u64 + self.watch.as_deref().map_or(0, Watch::cost)
    }

    /// Lets the oldest frames go where there are too many: of a household that uses too much (`is_over`), all that no longer wait
    /// in the queue (`queued` bytes). What that frees.
    pub fn trim(&mut self, queued: usize, is_over: bool) -> usize {
        let before = self.replay_bytes;
        let most = if is_over { queued } else { REPLAY_BYTES_MAX };
        while self.replay_bytes > most.max(queued) && !self.replay.is_empty() {
            self.forget_oldest();
        }
        before - self.replay_bytes
    }

    /// The client itself says how far it has come; the answer to a ping is its socket's.
    pub fn says(&mut self, seq: u64) {
        self.seen = self.seen.max(seq.min(self.seq));
    }

    /// The client says that it has seen everything up to `seq`; what is still `queued` it cannot have seen. What that frees.
    pub fn acknowledge(&mut self, seq: u64, queued: usize) -> usize {
        let before = self.replay_bytes;
        while self.first_kept() <= seq
            && let Some(first) = self.replay.front()
            && self.replay_bytes - frame_cost(first) >= queued
        {
            self.forget_oldest();
        }
        if self.replay.is_empty() {
            self.replay.shrink_to(4);
        }
        before - self.replay_bytes
    }

    /// Has not guessed wrong yet, or hardly.
    pub fn is_trusted(&self) -> bool {
        self.wrong < GUESSES_FIRST
    }

    /// What came after `seq`; `None` where some of it is no longer held, or was never said.
    pub fn replay_after(&self, seq: u64) -> Option<impl Iterator<Item = &Arc<str>>> {
        if seq > self.seq {
            return None;
        }
        let skip = (seq + 1).checked_sub(self.first_kept())?;
        Some(self.replay.iter().skip(skip as usize))
    }

    /// The secret name by which a client comes back: whose it is, and the proof.
    pub fn token(&self, id: SessionId) -> String {
        let mut bytes = id.0.to_be_bytes().to_vec();
        bytes.extend_from_slice(&self.secret);
        URL_SAFE_NO_PAD.encode(bytes)
    }

    fn first_kept(&self) -> u64 {
        self.seq + 1 - self.replay.len() as u64
    }

    fn forget_oldest(&mut self) {
        if let Some(frame) = self.replay.pop_front() {
            self.replay_bytes -= frame_cost(&frame);
        }
    }
}

/// Takes a token apart: whose session, and what is claimed to be its secret.
pub(super) fn read_token(text: &str) -> Option<(SessionId, [u8; 16])> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (id, secret) = bytes.split_at(8);
    Some((SessionId(u64::from_be_bytes(id.try_into().ok()?)), secret.try_into().ok()?))
}
