//! A world around one lobby machine: players with inboxes, a clock that is arithmetic, a relay that grants at once.

#![allow(dead_code, missing_docs)] // each test file uses a part

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use twocan_lobby::wire::{IceServer, IceServers};
use twocan_lobby::{
    ClientId, Close, Command, Door, Ended, Event, Grant, HashJob, Keys, Limits, Lobbies, Purpose, frame_cost,
};

pub const UNIX: u64 = 1_790_000_000;

pub struct World {
    pub lobbies: Lobbies,
    pub now: Instant,
    inboxes: BTreeMap<ClientId, Vec<Value>>,
    /// Clients that do not read, and what waits for each. (What is in their inboxes they will hear once they read.)
    pub unread: BTreeMap<ClientId, usize>,
    pub closed: BTreeMap<ClientId, Close>,
    /// What the relay was told, in order.
    pub relay: Vec<String>,
    pub events: Vec<Event>,
    /// Hashes are made at once, unless this is set.
    pub hold_hashes: bool,
    pub hashes: Vec<HashJob>,
    pub hashes_made: usize,
    /// Clients answer the machine's pings.
    pub answer_pings: bool,
    /// Grants are made at once, unless this is set.
    pub hold_grants: bool,
    pub grants: Vec<Grant>,
    next_client: u64,
}

/// Someone with a socket and a session.
#[derive(Clone, Debug)]
pub struct Player {
    pub client: ClientId,
    pub session: String,
    pub peer: String,
    pub id: u64,
    /// The highest `seq` received.
    pub seq: u64,
}

#[allow(clippy::disallowed_methods)] // an arbitrary origin: all else is arithmetic
fn origin() -> Instant {
    Instant::now()
}

pub fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

impl World {
    pub fn new() -> Self {
        Self::with(Limits::default())
    }

    pub fn with(limits: Limits) -> Self {
        Self::seeded(limits, [1; 32])
    }

    pub fn seeded(limits: Limits, seed: [u8; 32]) -> Self {
        let start = origin();
        Self {
            lobbies: Lobbies::new(limits, Keys::new([2; 32], [3; 32]), seed, UNIX, start),
            now: start,
            inboxes: BTreeMap::new(),
            unread: BTreeMap::new(),
            closed: BTreeMap::new(),
            relay: Vec::new(),
            events: Vec::new(),
            hold_hashes: false,
            hashes: Vec::new(),
            hashes_made: 0,
            answer_pings: false,
            hold_grants: false,
            grants: Vec::new(),
            next_client: 1,
        }
    }

    /// Lets `ms` milliseconds pass, with everything that is due in them.
    pub fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        self.settle();
        while let Some(due) = self.lobbies.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.lobbies.handle_timeout(self.now);
            self.settle();
        }
        self.now = end;
    }

    pub fn now(&self) -> Instant {
        self.now
    }

    pub fn connect(&mut self, from: &str) -> ClientId {
        let client = ClientId(self.next_client);
        self.next_client += 1;
        let door = Door { address: address(from), host: "play.example".into() };
        self.lobbies.handle_connected(client, door, self.now);
        self.settle();
        client
    }

    pub fn player(&mut self) -> Player {
        self.player_from("192.0.2.1", "test")
    }

    pub fn player_from(&mut self, from: &str, app: &str) -> Player {
        let client = self.connect(from);
        self.text(client, &json!({"type":"hello","id":0,"app":app}).to_string());
        let welcome = self.take(client).remove(0);
        assert_eq!(welcome["type"], "welcome");
        let text = |name: &str| welcome[name].as_str().unwrap().to_owned();
        Player { client, session: text("session"), peer: text("peer"), id: 0, seq: 0 }
    }

    pub fn text(&mut self, client: ClientId, text: &str) {
        self.lobbies.handle_message(client, text, self.now);
        self.settle();
    }

    /// Says something, with the next number.
    pub fn say(&mut self, player: &mut Player, mut message: Value) -> u64 {
        player.id += 1;
        message["id"] = player.id.into();
        self.text(player.client, &message.to_string());
        player.id
    }

    /// A request, and its one reply; whatever else came is dropped.
    pub fn ask(&mut self, player: &mut Player, message: Value) -> Value {
        let id = self.say(player, message);
        let mut replies: Vec<Value> =
            self.hear(player).into_iter().filter(|frame| frame["id"] == id).collect();
        assert_eq!(replies.len(), 1, "exactly one reply");
        replies.remove(0)
    }

    /// What came for a player since the last time, in order, checked to be numbered without a gap.
    pub fn hear(&mut self, player: &mut Player) -> Vec<Value> {
        let frames = self.take(player.client);
        for frame in &frames {
            if frame["type"] != "welcome" {
                assert_eq!(frame["seq"], player.seq + 1, "{frame}");
                player.seq += 1;
            }
        }
        frames
    }

    /// The same, of one type only.
    pub fn hear_only(&mut self, player: &mut Player, kind: &str) -> Vec<Value> {
        self.hear(player).into_iter().filter(|frame| frame["type"] == kind).collect()
    }

    /// Types of what came for a player.
    pub fn kinds(&mut self, player: &mut Player) -> Vec<String> {
        self.hear(player).iter().map(|frame| frame["type"].as_str().unwrap().to_owned()).collect()
    }

    pub fn take(&mut self, client: ClientId) -> Vec<Value> {
        self.inboxes.remove(&client).unwrap_or_default()
    }

    /// From now on this player does not read.
    pub fn stop_reading(&mut self, player: &Player) {
        self.unread.insert(player.client, 0);
    }

    /// It reads all that waits, and goes on reading.
    pub fn read_on(&mut self, player: &Player) {
        let waiting = self.unread.remove(&player.client).unwrap_or(0);
        self.lobbies.handle_written(player.client, waiting, self.now);
        self.settle();
    }

    pub fn cut(&mut self, player: &Player) {
        self.end(player.client, Ended::Cut);
    }

    pub fn end(&mut self, client: ClientId, how: Ended) {
        self.lobbies.handle_disconnected(client, how, self.now);
        self.settle();
    }

    /// Comes back on a new socket, having seen everything up to `player.seq`; the welcome, or null where the socket is closed at once.
    pub fn resume(&mut self, player: &mut Player, from: &str) -> Value {
        let client = self.connect(from);
        let resume = json!({"session":player.session,"seq":player.seq});
        self.text(client, &json!({"type":"hello","id":0,"app":"test","resume":resume}).to_string());
        player.client = client;
        let inbox = self.inboxes.get_mut(&client).filter(|inbox| !inbox.is_empty());
        inbox.map_or(Value::Null, |inbox| inbox.remove(0))
    }

    pub fn drain(&mut self) {
        self.lobbies.handle_drain(self.now);
        self.settle();
    }

    /// Opens a lobby; its code.
    pub fn create(&mut self, player: &mut Player, mut fields: Value) -> String {
        fields["type"] = "create".into();
        let joined = self.ask(player, fields);
        assert_eq!(joined["type"], "joined", "{joined}");
        joined["lobby"]["code"].as_str().unwrap().to_owned()
    }

    pub fn join(&mut self, player: &mut Player, code: &str) -> Value {
        self.ask(player, json!({"type":"join","code":code}))
    }

    /// A lobby with `count` members, all linked as far as the server goes, inboxes empty.
    pub fn lobby_of(&mut self, count: usize) -> (Vec<Player>, String) {
        let mut players: Vec<Player> = (0..count).map(|_| self.player()).collect();
        let code = self.create(&mut players[0], json!({"size":count.max(2)}));
        for player in &mut players[1..] {
            assert_eq!(self.join(player, &code)["type"], "joined");
        }
        for player in &mut players {
            self.hear(player);
        }
        (players, code)
    }

    /// `player` says that its link with `other` is up.
    pub fn linked(&mut self, player: &mut Player, other: &Player) {
        self.say(player, json!({"type":"linked","peer":other.peer,"path":"direct","ms":100}));
    }

    /// Everyone says so of everyone.
    pub fn link_all(&mut self, players: &mut [Player]) {
        for one in 0..players.len() {
            for two in 0..players.len() {
                if one != two {
                    let other = players[two].clone();
                    self.linked(&mut players[one], &other);
                }
            }
        }
    }

    /// Makes a held hash.
    pub fn make_hash(&mut self, job: &HashJob) {
        let text = [job.password.as_bytes(), &job.salt].concat();
        let hash = ring::digest::digest(&ring::digest::SHA256, &text);
        self.hashes_made += 1;
        self.lobbies.handle_hashed(job.id(), Some(hash.as_ref().try_into().unwrap()), self.now);
        self.settle();
    }

    /// Makes a held grant.
    pub fn make_grant(&mut self, grant: &Grant) {
        let server = IceServer {
            urls: vec![format!("turn:{}:3478", grant.host)],
            username: Some(format!("{}:{}", grant.group, grant.peer)),
            credential: Some("x".into()),
        };
        let servers = IceServers { servers: vec![server], expires: grant.lifetime.as_secs() };
        let purpose = if grant.purpose == Purpose::Completion { "farewell" } else { "grant" };
        self.relay.push(format!("{purpose} {} {}", grant.peer, grant.address));
        self.lobbies.handle_granted(grant, servers, self.now);
        self.settle();
    }

    pub fn settle(&mut self) {
        loop {
            while let Some((client, frame)) = self.lobbies.poll_transmit() {
                match self.unread.get_mut(&client) {
                    Some(unread) => *unread += frame_cost(&frame),
                    None => self.lobbies.handle_written(client, frame_cost(&frame), self.now),
                }
                self.inboxes.entry(client).or_default().push(serde_json::from_str(&frame).unwrap());
            }
            match self.lobbies.poll_command() {
                None => break,
                Some(Command::Close { client, why }) => {
                    self.closed.insert(client, why);
                }
                Some(Command::Ping { client, seq }) if self.answer_pings => {
                    self.lobbies.handle_seen(client, seq, self.now);
                }
                Some(Command::Ping { .. }) => {}
                Some(Command::Hash(job)) if self.hold_hashes => self.hashes.push(job),
                Some(Command::Hash(job)) => self.make_hash(&job),
                Some(Command::Grant(grant)) if self.hold_grants => self.grants.push(grant),
                Some(Command::Grant(grant)) => self.make_grant(&grant),
                Some(Command::Revoke { peer, .. }) => self.relay.push(format!("revoke {peer}")),
                Some(Command::CloseGroup { .. }) => self.relay.push("close".into()),
            }
        }
        while let Some(event) = self.lobbies.poll_event() {
            self.events.push(event);
        }
    }
}

/// The word of a refusal.
pub fn code(reply: &Value) -> &str {
    assert_eq!(reply["type"], "error", "{reply}");
    reply["code"].as_str().unwrap()
}
