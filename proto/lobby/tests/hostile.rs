//! Whatever clients do, in whatever order, the machine keeps its promises. A failing world is printed by proptest.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use proptest::prelude::*;
use serde_json::{Value, json};
use twocan_lobby::Ended;
use world::{Player, World};

/// Something that one of six players does.
#[derive(Clone, Debug)]
enum Act {
    Say(usize, Value),
    Text(usize, String),
    Cut(usize),
    Goodbye(usize),
    Unload(usize),
    Resume(usize, u64),
    Pass(u64),
    Hash(usize),
    Grant(usize),
    /// Everyone reports every link, and tries to seal.
    Finish,
}

const PLAYERS: usize = 6;

fn act() -> impl Strategy<Value = Act> {
    let who = 0..PLAYERS;
    prop_oneof![
        12 => (who.clone(), message()).prop_map(|(who, message)| Act::Say(who, message)),
        1 => (who.clone(), ".{0,60}").prop_map(|(who, text)| Act::Text(who, text)),
        1 => who.clone().prop_map(Act::Cut),
        1 => who.clone().prop_map(Act::Goodbye),
        1 => who.clone().prop_map(Act::Unload),
        2 => (who.clone(), 0..40u64).prop_map(|(who, back)| Act::Resume(who, back)),
        2 => (0..40_000u64).prop_map(Act::Pass),
        2 => who.clone().prop_map(Act::Hash),
        4 => who.prop_map(Act::Grant),
        1 => Just(Act::Finish),
    ]
}

/// `@n` stands for the peer name of player n, `#n` for the code of the nth lobby, `$n` for the nth ticket.
fn message() -> impl Strategy<Value = Value> {
    prop_oneof![
        3 => (any::<bool>(), 2..5i64, any::<bool>()).prop_map(|(public, size, password)| {
            let mut create = json!({"type":"create","public":public,"size":size,"data":{"n":size}});
            if password {
                create["password"] = "p".into();
            }
            create
        }),
        6 => (0..4, any::<bool>()).prop_map(|(n, right)| {
            json!({"type":"join","code":format!("#{n}"),"password":if right { "p" } else { "q" }})
        }),
        1 => Just(json!({"type":"quick","filter":{"n":3}})),
        1 => any::<bool>().prop_map(|watch| json!({"type":"list","watch":watch})),
        1 => Just(json!({"type":"unwatch"})),
        1 => (any::<bool>(), any::<bool>()).prop_map(|(p, l)| json!({"type":"update","public":p,"locked":l})),
        1 => (0..PLAYERS).prop_map(|n| json!({"type":"kick","peer":format!("@{n}")})),
        1 => Just(json!({"type":"leave"})),
        3 => Just(json!({"type":"seal"})),
        4 => (0..4).prop_map(|n| json!({"type":"return","ticket":format!("${n}")})),
        2 => (0..PLAYERS).prop_map(|n| json!({"type":"signal","to":format!("@{n}"),"kind":"end-of-candidates"})),
        12 => (0..PLAYERS).prop_map(|n| json!({"type":"linked","peer":format!("@{n}"),"path":"direct","ms":1})),
        1 => (0..PLAYERS).prop_map(|n| json!({"type":"failed","peer":format!("@{n}"),"reason":"timeout"})),
    ]
}

#[derive(Default)]
struct Seen {
    codes: Vec<String>,
    tickets: Vec<String>,
}

impl Seen {
    fn fill(&self, players: &[Player], message: &mut Value) {
        for (_, value) in message.as_object_mut().unwrap() {
            let Some(text) = value.as_str() else { continue };
            let Some(n) = text.get(1..).and_then(|n| n.parse::<usize>().ok()) else { continue };
            let filled = match text.as_bytes()[0] {
                b'@' => players.get(n).map(|player| &player.peer),
                b'#' => self.codes.iter().rev().nth(n),
                b'$' => self.tickets.iter().rev().nth(n),
                _ => None,
            };
            *value = filled.map_or("none", |text| text.as_str()).into();
        }
    }

    /// Takes note of what a player heard, and checks what no frame may break.
    fn hear(&mut self, world: &mut World, player: &mut Player) {
        for frame in world.hear(player) {
            assert!(!frame.to_string().contains("\"password\":\""), "no password is ever said: {frame}");
            match frame["type"].as_str().unwrap() {
                "joined" => {
                    player.peer = frame["peer"].as_str().unwrap().into();
                    let lobby = &frame["lobby"];
                    let members = lobby["members"].as_array().unwrap();
                    assert!(members.len() as u64 <= lobby["size"].as_u64().unwrap(), "oversold: {lobby}");
                    assert!(members.iter().any(|member| member["peer"] == lobby["owner"]), "{lobby}");
                    let names: std::collections::BTreeSet<&str> =
                        members.iter().map(|member| member["peer"].as_str().unwrap()).collect();
                    assert_eq!(names.len(), members.len(), "one seat each: {lobby}");
                    self.codes.push(lobby["code"].as_str().unwrap().into());
                    self.tickets.extend(frame["ticket"].as_str().map(str::to_owned));
                }
                "complete" => self.tickets.push(frame["ticket"].as_str().unwrap().into()),
                _ => {}
            }
        }
    }
}

fn perform(world: &mut World, players: &mut [Player], seen: &mut Seen, act: Act) {
    match act {
        Act::Say(who, mut message) => {
            seen.fill(players, &mut message);
            world.say(&mut players[who], message);
        }
        Act::Text(who, text) => world.text(players[who].client, &text),
        Act::Cut(who) => world.cut(&players[who]),
        Act::Goodbye(who) => world.end(players[who].client, Ended::Goodbye),
        Act::Unload(who) => world.end(players[who].client, Ended::Unloaded),
        Act::Resume(who, back) => {
            let player = &mut players[who];
            seen.hear(world, player);
            world.end(player.client, Ended::Cut);
            player.seq = player.seq.saturating_sub(back);
            let welcome = world.resume(player, "192.0.2.1");
            if welcome["resumed"] == false {
                let text = |name: &str| welcome[name].as_str().unwrap().to_owned();
                (player.session, player.peer, player.id, player.seq) = (text("session"), text("peer"), 0, 0);
            }
        }
        Act::Pass(ms) => world.pass(ms),
        Act::Hash(n) if n < world.hashes.len() => {
            let job = world.hashes.remove(n);
            world.make_hash(&job);
        }
        Act::Grant(n) if n < world.grants.len() => {
            let grant = world.grants.remove(n);
            world.make_grant(&grant);
        }
        Act::Finish => {
            world.link_all(players);
            for player in players {
                world.say(player, json!({"type":"seal"}));
            }
        }
        Act::Hash(_) | Act::Grant(_) => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn the_machine_keeps_its_promises(acts in proptest::collection::vec(act(), 1..150), late in any::<bool>()) {
        let mut world = World::new();
        (world.hold_hashes, world.hold_grants) = (late, late);
        let mut players: Vec<Player> = (0..PLAYERS).map(|_| world.player()).collect();
        let mut seen = Seen::default();
        for act in acts {
            perform(&mut world, &mut players, &mut seen, act);
            for player in &mut players {
                seen.hear(&mut world, player);
            }
        }
        // When everyone is gone, nothing is left, and nothing waits.
        for player in &players {
            world.end(player.client, Ended::Cut);
        }
        for job in std::mem::take(&mut world.hashes) {
            world.make_hash(&job);
        }
        world.pass(600_000);
        prop_assert_eq!((world.lobbies.sessions(), world.lobbies.lobbies()), (0, 0));
        world.pass(4 * 3_600_000);
        prop_assert!(world.lobbies.poll_timeout().is_none());
    }
}
