//! A session: one client, over as many sockets as it takes.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Map, Value};

use super::limits::Limits;
use super::lobby::LobbyId;
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
    /// The highest client `id` handled.
    pub received: u64,
    /// The highest `seq` given out.
    pub seq: u64,
    replay: VecDeque<Arc<str>>,
    replay_bytes: usize,
    pub pace: Pace,
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
    pub filter: Map<String, Value>,
    pub shown: BTreeSet<LobbyCode>,
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
            received: 0,
            seq: 0,
            replay: VecDeque::new(),
            replay_bytes: 0,
            pace: Pace::new(now),
            lobby: None,
            entering: false,
            watch: None,
            renew_at: None,
            finished: false,
        }
    }

    /// Keeps the frame just numbered, and lets the oldest go where there are too many.
    pub fn keep(&mut self, frame: Arc<str>, limits: &Limits) {
        self.replay_bytes += frame.len();
        self.replay.push_back(frame);
        while self.replay.len() > limits.replay_frames || self.replay_bytes > limits.replay_bytes {
            self.forget_oldest();
        }
    }

    /// The client has seen everything up to `seq`.
    pub fn acknowledge(&mut self, seq: u64) {
        while self.first_kept() <= seq && !self.replay.is_empty() {
            self.forget_oldest();
        }
        if self.replay.is_empty() {
            self.replay.shrink_to(4);
        }
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
            self.replay_bytes -= frame.len();
        }
    }
}

/// Takes a token apart: whose session, and what is claimed to be its secret.
pub(super) fn read_token(text: &str) -> Option<(SessionId, [u8; 16])> {
    let bytes: [u8; 24] = URL_SAFE_NO_PAD.decode(text).ok()?.try_into().ok()?;
    let (id, secret) = bytes.split_at(8);
    Some((SessionId(u64::from_be_bytes(id.try_into().ok()?)), secret.try_into().ok()?))
}
