//! What one input costs the machine while its tables are as full as the limits let them be: `cargo bench -p twocan-signaling
//! --bench tables`. The worst case of each is to stay below 1 ms: nobody waits longer for anybody's frame.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // a tool that prints figures

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use twocan_base::{Quota, Rate};
use twocan_lobby::wire::IceServers;
use twocan_lobby::{ClientId, Command, Door, Ended, Keys, Limits, Lobbies, frame_cost};

/// Times each input is measured.
const ROUNDS: usize = 300;

struct World {
    lobbies: Lobbies,
    now: Instant,
    next: u64,
    /// The last frame that was sent, for codes and names.
    last: Arc<str>,
    /// Frames that were sent since this was last looked at.
    sent: usize,
}

struct Player {
    client: ClientId,
    peer: String,
    id: u64,
}

fn limits() -> Limits {
    let default = Limits::default();
    let plenty = Rate::per_second(1_000_000, 1_000_000);
    // Any household may fill them all, so that a few thousand lines do.
    let open =
        |quota: Quota| Quota { household: quota.total, site: quota.total, floor: quota.total, ..quota };
    Limits {
        frames_burst: 1_000_000,
        guesses_per_session: 1_000_000,
        guesses_per_address: 1_000_000,
        first_guesses_per_address: 1_000_000,
        openings_per_address: 1_000_000,
        reports_per_address: 1_000_000,
        session_starts: plenty,
        entries: plenty,
        entries_of_lobby: plenty,
        signal_bytes: Rate { interval: Duration::from_nanos(1), burst: 1_000_000_000 },
        sockets: open(default.sockets),
        sessions: open(default.sessions),
        lobbies: open(default.lobbies),
        bytes: open(default.bytes),
        ..default
    }
}

impl World {
    fn new() -> Self {
        let now = Instant::now();
        let lobbies = Lobbies::new(limits(), Keys::new([1; 32], [2; 32]), [3; 32], 0, now);
        Self { lobbies, now, next: 1, last: "".into(), sent: 0 }
    }

    fn settle(&mut self) {
        loop {
            while let Some((client, frame)) = self.lobbies.poll_transmit() {
                self.lobbies.handle_written(client, frame_cost(&frame), self.now);
                self.last = frame;
                self.sent += 1;
            }
            match self.lobbies.poll_command() {
                Some(Command::Ping { client, seq }) => self.lobbies.handle_seen(client, seq, self.now),
                Some(Command::Grant(grant)) => {
                    let servers = IceServers { servers: Vec::new(), expires: 43_200 };
                    self.lobbies.handle_granted(&grant, servers, self.now);
                }
                Some(_) => {}
                None => break,
            }
        }
        while self.lobbies.poll_event().is_some() {}
    }

    fn connect(&mut self, from: IpAddr) -> ClientId {
        let client = ClientId(self.next);
        self.next += 1;
        self.lobbies.handle_connected(client, Door { address: from, host: "play.example".into() }, self.now);
        client
    }

    fn player(&mut self, from: IpAddr) -> Player {
        let client = self.connect(from);
        self.lobbies.handle_message(client, r#"{"type":"hello","id":0,"app":"bench"}"#, self.now);
        self.settle();
        let peer = serde_json::from_str::<Value>(&self.last).unwrap()["peer"].as_str().unwrap().to_owned();
        Player { client, peer, id: 0 }
    }

    fn say(&mut self, player: &mut Player, message: &Value) {
        let text = numbered(player, message);
        self.lobbies.handle_message(player.client, &text, self.now);
        self.settle();
    }

    fn create(&mut self, player: &mut Player, fields: &Value) -> String {
        let mut message = fields.clone();
        message["type"] = "create".into();
        let text = numbered(player, &message);
        self.lobbies.handle_message(player.client, &text, self.now);
        let (_, joined) = self.lobbies.poll_transmit().unwrap();
        let joined: Value = serde_json::from_str(&joined).unwrap();
        self.settle();
        joined["lobby"]["code"].as_str().unwrap_or_else(|| panic!("{joined}")).to_owned()
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        while self.lobbies.poll_timeout().is_some_and(|due| due <= self.now) {
            self.lobbies.handle_timeout(self.now);
            self.settle();
        }
    }

    /// Measures one input, and prints a line.
    fn measure(&mut self, name: &str, mut input: impl FnMut(&mut Self, usize)) {
        let mut took: Vec<Duration> = (0..ROUNDS)
            .map(|round| {
                self.now += Duration::from_millis(1);
                let begun = Instant::now();
                input(self, round);
                begun.elapsed()
            })
            .collect();
        took.sort();
        let us = |at: usize| took[at].as_secs_f64() * 1e6;
        let (median, p99, max) = (us(ROUNDS / 2), us(ROUNDS * 99 / 100), us(ROUNDS - 1));
        println!("{name:<58} {median:>8.1} {p99:>8.1} {max:>8.1}");
    }
}

fn numbered(player: &mut Player, message: &Value) -> String {
    player.id += 1;
    let mut message = message.clone();
    message["id"] = player.id.into();
    message["ack"] = 9_007_199_254_740_991_u64.into();
    message.to_string()
}

/// The nth household of the world.
fn household(n: u64) -> IpAddr {
    Ipv6Addr::from_bits(0x2a05_0000 << 96 | u128::from(n) << 72 | 1).into()
}

fn main() {
    let mut world = World::new();
    println!("{:<58} {:>8} {:>8} {:>8}", "µs a frame, with full tables", "median", "p99", "max");
    let crowd = fill(&mut world);
    one_person(&mut world);
    lists(&mut world);
    big_lobby(&mut world);
    strangers(&mut world);
    watchers(&mut world, crowd);
}

/// Every session and lobby that there may be, with the largest fields; tables of guesses full as well.
fn fill(world: &mut World) -> Vec<Player> {
    let default = Limits::default();
    let data: Value = (0..150).map(|n| (format!("key{n:03}"), Value::from(n))).collect();
    let mut crowd = Vec::new();
    for n in 0..default.sessions.total - 300 {
        let mut player = world.player(household(n));
        if n < default.lobbies.total / 2 {
            world.create(&mut player, &json!({"public":true,"data":data}));
        }
        crowd.push(player);
    }
    for n in 0..33_000 {
        let mut eve = world.player(household(1 << 20 | n));
        world.say(&mut eve, &json!({"type":"join","code":"2222"}));
        world.lobbies.handle_disconnected(eve.client, Ended::Goodbye, world.now);
        world.settle();
    }
    crowd
}

fn one_person(world: &mut World) {
    let mut ada = world.player(household(1 << 21));
    let texts: Vec<String> = (0..ROUNDS).map(|_| numbered(&mut ada, &json!({"type":"ping"}))).collect();
    world.measure("ping", |world, round| {
        world.lobbies.handle_message(ada.client, &texts[round], world.now);
        world.settle();
    });
    world.measure("connect, hello, goodbye", |world, round| {
        let client = world.connect(household(1 << 22 | round as u64));
        world.lobbies.handle_message(client, r#"{"type":"hello","id":0,"app":"bench"}"#, world.now);
        world.lobbies.handle_disconnected(client, Ended::Goodbye, world.now);
        world.settle();
    });
    world.measure("create and leave", |world, _| {
        world.say(&mut ada, &json!({"type":"create","public":true}));
        world.say(&mut ada, &json!({"type":"leave"}));
    });
}

fn lists(world: &mut World) {
    let mut ada = world.player(household(1 << 21 | 1));
    world.measure("list", |world, _| world.say(&mut ada, &json!({"type":"list"})));
    let all: Value = (0..16).map(|n| (format!("key{:03}", 100 + n), Value::from(100 + n))).collect();
    world.measure("list, a filter of 16 keys that all match", |world, _| {
        world.say(&mut ada, &json!({"type":"list","filter":all}));
    });
    let mut none = all.clone();
    none["key115"] = "other".into();
    world.measure("list, a filter of 16 keys of which the last does not", |world, _| {
        world.say(&mut ada, &json!({"type":"list","filter":none}));
    });
    world.measure("quick, the same filter, and leave", |world, _| {
        world.say(&mut ada, &json!({"type":"quick","filter":none}));
        world.say(&mut ada, &json!({"type":"leave"}));
    });
}

fn big_lobby(world: &mut World) {
    let me = json!({"x":"y".repeat(500)});
    let mut members: Vec<Player> = (0..64).map(|n| world.player(household(1 << 21 | 100 | n << 8))).collect();
    let code = world.create(&mut members[0], &json!({"size":64,"me":me}));
    for member in &mut members[1..] {
        world.say(member, &json!({"type":"join","code":code,"me":me}));
    }
    let data = json!({"x":"y".repeat(2_000)});
    world.measure("update of a lobby of 64 with the largest `me`", |world, _| {
        world.say(&mut members[0], &json!({"type":"update","data":data}));
    });
    let to = members[0].peer.clone();
    let sdp = "x".repeat(15_000);
    world.measure("signal of 15 KB", |world, _| {
        let signal = json!({"type":"signal","to":to,"kind":"description","data":{"sdp":sdp}});
        world.say(&mut members[1], &signal);
    });
    world.measure("leave and join of 64", |world, _| {
        world.say(&mut members[63], &json!({"type":"leave"}));
        world.say(&mut members[63], &json!({"type":"join","code":code,"me":me}));
    });
    world.measure("seal, failed (unsealed) of 64", |world, _| {
        world.say(&mut members[0], &json!({"type":"seal"}));
        world.say(&mut members[1], &json!({"type":"failed","peer":to,"reason":"timeout"}));
    });
    world.say(&mut members[0], &json!({"type":"seal"}));
    let peers: Vec<String> = members.iter().map(|member| member.peer.clone()).collect();
    world.measure("linked of 64, sealed", |world, round| {
        let (one, two) = (round % 32, round % 31 + 32);
        let peer = &peers[two];
        world.say(&mut members[one], &json!({"type":"linked","peer":peer,"path":"direct","ms":1}));
    });
}

fn strangers(world: &mut World) {
    let mut eve = world.player(household(1 << 23));
    world.measure("join with a wrong code", |world, _| {
        world.say(&mut eve, &json!({"type":"join","code":"3333"}));
    });
    world.measure("a frame that is no JSON, of 16 KB", |world, _| {
        let text = "[".repeat(16_000);
        world.lobbies.handle_message(eve.client, &text, world.now);
        world.settle();
    });
    let client = eve.client;
    let deep = format!(
        r#"{{"type":"list","id":999999,"filter":{}1{}}}"#,
        r#"{"a":"#.repeat(2_000),
        "}".repeat(2_000)
    );
    world.measure("a filter of 2,000 levels", |world, _| {
        world.lobbies.handle_message(client, &deep, world.now);
        world.settle();
    });
}

/// Everybody watches, and a hundred lobbies change at once, again and again.
fn watchers(world: &mut World, mut crowd: Vec<Player>) {
    let half = crowd.len() / 2;
    let (owners, watchers) = crowd.split_at_mut(half);
    for watcher in watchers {
        world.say(watcher, &json!({"type":"list","watch":true}));
    }
    let data = json!({"x":"y".repeat(2_000)});
    let mut told = 0;
    let mut took = Vec::new();
    for round in 0..3 {
        for owner in &mut owners[..100] {
            let mut changed = data.clone();
            changed["round"] = round.into();
            world.say(owner, &json!({"type":"update","data":changed}));
        }
        world.pass(250);
        for _ in 0..1_000 {
            world.now += Duration::from_millis(2);
            if world.lobbies.poll_timeout().is_some_and(|due| due <= world.now) {
                world.sent = 0;
                let begun = Instant::now();
                world.lobbies.handle_timeout(world.now);
                world.settle();
                took.push(begun.elapsed());
                told += world.sent;
            }
        }
    }
    took.sort();
    let us = |at: usize| took[at].as_secs_f64() * 1e6;
    let (median, p99, max) = (us(took.len() / 2), us(took.len() * 99 / 100), us(took.len() - 1));
    let name = format!("a slice of what {half} watchers are told ({told} frames in all)");
    println!("{name:<58} {median:>8.1} {p99:>8.1} {max:>8.1}");
}
