//! A lobby machine in a small world: six players with sockets that come and go, hashes and grants that take their time.
//! The bytes of the fuzzer tell the story; after each step `oracle` reads what the players were told.

mod oracle;
mod player;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use twocan_lobby::wire::IceServers;
use twocan_lobby::{ClientId, Door, Ended, Grant, HashJob, Keys, Limits, Lobbies, Quota};

use crate::input::Input;
use player::Player;

/// Steps of one story; the rest of the bytes is ignored.
const STEPS_MAX: usize = 200;
const PLAYERS: usize = 6;
const UNIX_NOW: u64 = 1_790_000_000;
const ADDRESSES: [&str; 3] = ["192.0.2.1", "192.0.2.2", "2001:db8::1"];

struct World {
    lobbies: Lobbies,
    now: Instant,
    players: Vec<Player>,
    /// Sockets that are there, and whose.
    sockets: BTreeMap<ClientId, usize>,
    /// Sockets that the machine wants closed, and that are not yet gone.
    closing: BTreeSet<ClientId>,
    next_client: u64,
    /// Codes that were seen.
    codes: Vec<String>,
    /// Hashes and grants are made at once, unless this is set.
    holds: bool,
    hashes: Vec<HashJob>,
    grants: Vec<Grant>,
}

fn limits() -> Limits {
    Limits {
        guesses_per_address: 3,
        first_guesses_per_address: 3,
        passwords_per_address: 2,
        first_passwords_per_address: 2,
        passwords_per_code: 4,
        sockets: Quota { total: 20, household: 5, site: 5, floor: 5 },
        sessions: Quota { total: 8, household: 4, site: 4, floor: 4 },
        lobbies: Quota { total: 3, household: 2, site: 2, floor: 2 },
        hashes: Quota { total: 4, household: 2, site: 2, floor: 1 },
        bytes: Quota { total: 65_536, household: 16_384, site: 32_768, floor: 1_024 },
        ..Limits::default()
    }
}

/// Tells the story in these bytes. Panics where the machine does what it must not.
pub fn run(bytes: &[u8]) {
    static START: OnceLock<Instant> = OnceLock::new();
    let start = *START.get_or_init(Instant::now);
    let mut world = World {
        lobbies: Lobbies::new(limits(), Keys::new([2; 32], [3; 32]), [1; 32], UNIX_NOW, start),
        now: start,
        players: vec![Player::default(); PLAYERS],
        sockets: BTreeMap::new(),
        closing: BTreeSet::new(),
        next_client: 1,
        codes: vec!["2345".to_owned()],
        holds: false,
        hashes: Vec::new(),
        grants: Vec::new(),
    };
    let mut input = Input::new(bytes);
    for _ in 0..STEPS_MAX {
        if world.step(&mut input).is_none() {
            break;
        }
        world.settle();
    }
    world.end();
}

impl World {
    /// One step; `None` at the end of the story.
    fn step(&mut self, input: &mut Input<'_>) -> Option<()> {
        let (what, who) = (input.byte()? % 20, usize::from(input.byte()?) % PLAYERS);
        match what {
            0 | 1 => self.connect(who, input)?,
            2 => {
                let how = [Ended::Goodbye, Ended::Cut, Ended::Unloaded][usize::from(input.byte()? % 3)];
                if let Some(client) = self.players[who].socket {
                    self.disconnect(client, how);
                }
            }
            3 => self.pass(Duration::from_millis(u64::from(input.short()?) * 10)),
            4 => {
                let text = String::from_utf8_lossy(input.chunk()?).into_owned();
                if let Some(client) = self.players[who].socket {
                    self.lobbies.handle_message(client, &text, self.now);
                }
            }
            5 => self.hold_or_release(input.byte()?),
            6 if input.byte()? == 0 => self.lobbies.handle_drain(self.now),
            6 => {}
            7 => self.link_everyone(),
            _ => {
                let message = self.message(what, input)?;
                self.say(who, message);
            }
        }
        Some(())
    }

    fn message(&self, what: u8, input: &mut Input<'_>) -> Option<Value> {
        let flags = input.byte()?;
        let peer = |flags: u8| self.players[usize::from(flags) % PLAYERS].peer.clone();
        let mut message = match what {
            8 => json!({"type":"create", "public": flags & 1 != 0}),
            9 => {
                json!({"type":"join", "code": self.codes[usize::from(input.byte()?) % self.codes.len()]})
            }
            10 => json!({"type":"quick", "filter": {"map": flags & 3}}),
            11 if flags & 1 == 0 => json!({"type":"list", "watch": flags & 2 != 0}),
            11 => json!({"type":"unwatch"}),
            12 => {
                json!({"type":"update", "public": flags & 1 != 0, "locked": flags & 2 != 0, "data": {"map": flags >> 2}})
            }
            13 => json!({"type":"kick", "peer": peer(flags)}),
            14 => json!({"type":"leave"}),
            15 => json!({"type":"seal"}),
            16 if flags < 200 => json!({"type":"linked", "peer": peer(flags), "path":"direct", "ms": 1}),
            16 => json!({"type":"failed", "peer": peer(flags), "reason":"timeout"}),
            17 => json!({"type":"signal", "to": peer(flags), "kind":"candidate", "data": {"n": flags}}),
            18 => json!({"type":"return", "ticket": self.players[usize::from(flags) % PLAYERS].ticket}),
            _ => json!({"type":"ping"}),
        };
        if matches!(what, 8 | 9) && flags & 4 != 0 {
            message["password"] = if flags & 8 == 0 { "a".into() } else { "b".into() };
        }
        if matches!(what, 8 | 10) && flags & 16 != 0 {
            message["size"] = [1, 2, 3, 64, 65][usize::from(flags >> 5) % 5].into();
        }
        Some(message)
    }

    /// Says something with the next number, and now and then what was received.
    fn say(&mut self, who: usize, mut message: Value) {
        let player = &mut self.players[who];
        let Some(client) = player.socket else { return };
        player.id += 1;
        message["id"] = player.id.into();
        if player.id.is_multiple_of(3) {
            message["ack"] = player.seq.into();
        }
        player.asked.insert(player.id);
        self.lobbies.handle_message(client, &message.to_string(), self.now);
    }

    /// A new socket, and `hello`: with the old session, with none, or nothing at all.
    fn connect(&mut self, who: usize, input: &mut Input<'_>) -> Option<()> {
        let flags = input.byte()?;
        if let Some(client) = self.players[who].socket {
            self.disconnect(client, Ended::Cut);
        }
        let client = ClientId(self.next_client);
        self.next_client += 1;
        let address: IpAddr = ADDRESSES[usize::from(flags) % 3].parse().expect("an address");
        self.sockets.insert(client, who);
        let door = Door { address, host: "play.example".into() };
        self.lobbies.handle_connected(client, door, self.now);
        let player = &mut self.players[who];
        player.socket = Some(client);
        let mut hello = json!({"type":"hello", "id":0, "app": if flags & 64 == 0 { "a" } else { "b" }});
        if flags & 128 == 0 && !player.session.is_empty() {
            hello["resume"] = json!({"session": player.session, "seq": player.seq});
        }
        if flags & 32 == 0 {
            self.lobbies.handle_message(client, &hello.to_string(), self.now);
        }
        Some(())
    }

    fn disconnect(&mut self, client: ClientId, how: Ended) {
        let who = self.sockets.remove(&client).expect("a socket that is there");
        self.closing.remove(&client);
        if self.players[who].socket == Some(client) {
            self.players[who].socket = None;
        }
        self.lobbies.handle_disconnected(client, how, self.now);
    }

    /// Everyone says that the links with all the others are up.
    fn link_everyone(&mut self) {
        for one in 0..PLAYERS {
            for two in 0..PLAYERS {
                let peer = self.players[two].peer.clone();
                if self.players[one].links.contains(&peer) {
                    self.say(one, json!({"type":"linked", "peer": peer, "path":"relayed", "ms": 2}));
                }
            }
        }
    }

    fn hold_or_release(&mut self, choice: u8) {
        self.holds = choice & 1 != 0;
        if choice & 2 != 0 && !self.hashes.is_empty() {
            let job = self.hashes.remove(usize::from(choice >> 2) % self.hashes.len());
            self.hash(&job);
        } else if !self.grants.is_empty() {
            let grant = self.grants.remove(usize::from(choice >> 2) % self.grants.len());
            self.grant(&grant);
        }
    }

    /// Not Argon2, but different for different passwords.
    fn hash(&mut self, job: &HashJob) {
        let mut hash = [0; 32];
        for (place, byte) in hash.iter_mut().zip(job.password.bytes().chain(job.salt)) {
            *place = byte;
        }
        self.lobbies.handle_hashed(job.id(), Some(hash), self.now);
    }

    fn grant(&mut self, grant: &Grant) {
        let servers = IceServers { servers: Vec::new(), expires: grant.lifetime.as_secs() };
        self.lobbies.handle_granted(grant, servers, self.now);
    }

    /// Lets time pass, with everything that is due in it.
    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some(due) = self.lobbies.poll_timeout().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.lobbies.handle_timeout(self.now);
            assert!(
                self.lobbies.poll_timeout().is_none_or(|at| at > self.now),
                "a timer that was run is due"
            );
            self.settle();
        }
        self.now = end;
    }
}
