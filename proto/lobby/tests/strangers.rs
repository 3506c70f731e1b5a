//! Nobody is hurt by what others do: who causes an overflow pays for it, and a kick is a ban.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use serde_json::{Value, json};
use twocan_base::{Quota, Rate};
use twocan_lobby::{Close, Ended, Limits};
use world::{Player, World, code};

fn signal(to: &str, bytes: usize) -> Value {
    json!({"type":"signal","to":to,"kind":"description","data":{"sdp":"x".repeat(bytes)}})
}

/// Says it; whether it was refused.
fn is_refused(world: &mut World, player: &mut Player, message: Value) -> bool {
    let id = world.say(player, message);
    let heard = world.hear(player);
    heard.iter().any(|frame| frame["id"] == id && frame["code"] == "rate-limited")
}

#[test]
fn a_member_that_floods_another_is_refused_and_its_victim_stays() {
    for bytes in [100, 1_000, 4_000, 16_000] {
        let mut world = World::new();
        let (mut players, _) = world.lobby_of(5);
        world.stop_reading(&players[0]);
        let victim = players[0].peer.clone();
        let mut refused = 0;
        for n in 0..400 {
            let attacker = &mut players[1 + n % 4];
            refused += usize::from(is_refused(&mut world, attacker, signal(&victim, bytes)));
            world.pass(1);
        }
        let is_much = bytes >= 4_000;
        assert!(refused > 0 || !is_much);
        assert!(!world.closed.contains_key(&players[0].client), "{bytes}: {refused}");
        let waiting = world.unread[&players[0].client];
        assert!(waiting <= 120_000, "{bytes}: {waiting} wait");
        world.read_on(&players[0]);
        assert!(!world.hear_only(&mut players[0], "signal").is_empty());
        assert_eq!(world.hear_only(&mut players[1], "owner").len(), 0, "the owner is who it was");
    }
}

#[test]
fn signals_that_waited_for_a_reader_come_in_order_after_what_it_must_know_first() {
    let mut world = World::new();
    let (mut players, lobby) = world.lobby_of(2);
    world.stop_reading(&players[0]);
    let owner = players[0].peer.clone();
    for _ in 0..7 {
        world.say(&mut players[1], signal(&owner, 16_000));
    }
    let mut late = world.player();
    assert_eq!(code(&world.join(&mut late, &lobby)), "full");
    for n in 0..3 {
        let mut small = signal(&owner, 0);
        small["data"]["n"] = n.into();
        world.say(&mut players[1], small);
    }
    world.read_on(&players[0]);
    let heard = world.hear_only(&mut players[0], "signal");
    let last: Vec<&Value> = heard[heard.len() - 3..].iter().map(|frame| &frame["data"]["n"]).collect();
    assert_eq!(last, [0, 1, 2]);
}

#[test]
fn comings_and_goings_of_others_never_cut_whoever_does_not_read() {
    let limits = Limits {
        session_starts: Rate::per_second(1_000_000, 1_000_000),
        entries: Rate::per_second(1_000_000, 1_000_000),
        ..Limits::default()
    };
    let mut world = World::with(limits);
    let mut owner = world.player();
    let lobby = world.create(&mut owner, json!({"size":64}));
    let mut slow = world.player();
    world.join(&mut slow, &lobby);
    world.hear(&mut slow);
    world.stop_reading(&slow);
    for n in 0..1_000 {
        let mut visitor = world.player_from(&format!("198.51.{}.{}", n / 250, n % 250), "test");
        let me = json!({"type":"join","code":lobby,"me":{"x":"y".repeat(500)}});
        assert_eq!(world.ask(&mut visitor, me)["type"], "joined");
        world.say(&mut visitor, signal(&slow.peer, 10_000));
        world.end(visitor.client, Ended::Goodbye);
        world.say(&mut owner, json!({"type":"update","data":{"n":n}}));
        world.pass(250);
    }
    assert!(!world.closed.contains_key(&slow.client));
    let mut last = world.player_from("203.0.113.1", "test");
    world.join(&mut last, &lobby);
    world.read_on(&slow);
    // What it heard adds up to who is there now.
    let (mut there, mut data) = (vec![owner.peer.clone()], Value::Null);
    for frame in world.hear(&mut slow) {
        match frame["type"].as_str().unwrap() {
            "arrived" => there.push(frame["member"]["peer"].as_str().unwrap().to_owned()),
            "left" => there.retain(|peer| *peer != frame["peer"].as_str().unwrap()),
            "updated" => data = frame["lobby"]["data"]["n"].clone(),
            _ => {}
        }
    }
    assert_eq!((there, data), (vec![owner.peer, last.peer], json!(999)));
}

#[test]
fn changes_in_the_list_never_cut_a_watcher_that_does_not_read() {
    let limits = Limits { openings_per_address: 1_000_000, ..Limits::default() };
    let mut world = World::with(limits);
    let mut watcher = world.player();
    world.ask(&mut watcher, json!({"type":"list","watch":true}));
    world.stop_reading(&watcher);
    let mut owners: Vec<Player> = (0..80).map(|_| world.player_from("198.51.100.1", "test")).collect();
    let mut codes = Vec::new();
    for round in 0..20 {
        codes.clear();
        for owner in &mut owners {
            if round > 0 {
                world.ask(owner, json!({"type":"leave"}));
            }
            codes.push(world.create(owner, json!({"public":true,"data":{"x":"y".repeat(2_000)}})));
        }
        world.pass(10_000);
    }
    assert!(!world.closed.contains_key(&watcher.client));
    world.read_on(&watcher);
    world.pass(10_000);
    let mut shown: Vec<String> = Vec::new();
    for frame in world.hear(&mut watcher) {
        match frame["type"].as_str().unwrap() {
            "listed" => {
                let code = frame["lobby"]["code"].as_str().unwrap().to_owned();
                shown.retain(|shown| *shown != code);
                shown.push(code);
            }
            "unlisted" => shown.retain(|code| *code != frame["code"].as_str().unwrap()),
            _ => {}
        }
    }
    shown.sort();
    codes.sort();
    assert_eq!(shown, codes, "and it sees the list as it is");
}

#[test]
fn whoever_asks_and_does_not_read_is_closed_and_can_come_back() {
    let mut world = World::new();
    for _ in 0..20 {
        let mut owner = world.player_from("198.51.100.1", "test");
        world.create(&mut owner, json!({"public":true,"data":{"x":"y".repeat(2_000)}}));
    }
    let mut greedy = world.player();
    world.stop_reading(&greedy);
    let mut asked = 0;
    while !world.closed.contains_key(&greedy.client) {
        world.say(&mut greedy, json!({"type":"list"}));
        asked += 1;
        assert!(asked < 20);
    }
    assert_eq!(world.closed[&greedy.client], Close::TooSlow);
    world.unread.remove(&greedy.client);
    world.end(greedy.client, Ended::Cut);
    // It had read nothing: all of it comes again, the answers that did not fit among them.
    world.take(greedy.client);
    assert_eq!(world.resume(&mut greedy, "192.0.2.1")["resumed"], true);
    assert_eq!(world.hear_only(&mut greedy, "lobbies").len(), asked);
    assert_eq!(world.ask(&mut greedy, json!({"type":"ping"}))["type"], "pong");
}

#[test]
fn a_household_that_reads_nothing_holds_its_share_of_bytes_and_others_are_served() {
    let limits = Limits { bytes: Quota::new(16 << 20, 1 << 20), ..Limits::default() };
    let mut world = World::with(limits);
    let mut owner = world.player_from("198.51.100.1", "test");
    world.create(&mut owner, json!({"public":true,"data":{"x":"y".repeat(2_000)}}));
    let mut refused = 0;
    let mut crowd: Vec<Player> = (0..200).map(|_| world.player()).collect();
    for player in &mut crowd {
        world.stop_reading(player);
        for _ in 0..30 {
            world.say(player, json!({"type":"list"}));
        }
        refused += world.hear_only(player, "error").len();
    }
    let waiting: usize = world.unread.values().sum();
    assert!(refused > 0 && waiting < 6 << 20, "{waiting} bytes wait for two hundred");
    let mut bob = world.player();
    assert_eq!(world.ask(&mut bob, json!({"type":"list"}))["type"], "lobbies", "their neighbour");
    let mut eve = world.player_from("203.0.113.1", "test");
    assert_eq!(world.ask(&mut eve, json!({"type":"list"}))["type"], "lobbies");
}

#[test]
fn an_acknowledgement_of_what_was_never_read_frees_nothing() {
    let limits = Limits { bytes: Quota::new(1 << 20, 1 << 20), ..Limits::default() };
    let mut world = World::with(limits);
    let mut owner = world.player_from("198.51.100.1", "test");
    world.create(&mut owner, json!({"public":true,"data":{"x":"y".repeat(2_000)}}));
    let mut refused = 0;
    for _ in 0..20 {
        let mut eve = world.player();
        world.stop_reading(&eve);
        for n in 0..39 {
            world.say(&mut eve, json!({"type":"list","ack":n}));
        }
        refused += world.hear_only(&mut eve, "error").len();
    }
    assert!(refused > 0);
}

#[test]
fn a_kick_is_a_ban_for_the_lobbys_life() {
    let mut world = World::new();
    let mut ada = world.player_from("198.51.100.1", "test");
    let lobby = world.create(&mut ada, json!({"size":4,"public":true}));
    let mut eve = world.player();
    world.join(&mut eve, &lobby);
    world.ask(&mut ada, json!({"type":"kick","peer":eve.peer}));
    assert_eq!(code(&world.join(&mut eve, &lobby)), "kicked", "the same session");
    let mut again = world.player();
    assert_eq!(code(&world.join(&mut again, &lobby)), "kicked", "another of the same address");
    assert_ne!(world.ask(&mut again, json!({"type":"quick"}))["lobby"]["code"], json!(lobby));
    let mut bob = world.player_from("192.0.2.2", "test");
    assert_eq!(world.join(&mut bob, &lobby)["type"], "joined");
}

#[test]
fn a_ban_does_not_reach_the_neighbours_of_whoever_is_there() {
    let mut world = World::new();
    let (mut ada, mut bob, mut eve) = (world.player(), world.player(), world.player());
    let lobby = world.create(&mut ada, json!({"size":4}));
    world.join(&mut eve, &lobby);
    world.ask(&mut ada, json!({"type":"kick","peer":eve.peer}));
    assert_eq!(code(&world.join(&mut eve, &lobby)), "kicked");
    assert_eq!(world.join(&mut bob, &lobby)["type"], "joined", "the owner is behind the same address");
}

#[test]
fn the_owner_may_kick_without_a_ban() {
    let mut world = World::new();
    let mut ada = world.player_from("198.51.100.1", "test");
    let lobby = world.create(&mut ada, json!({"size":4}));
    let mut eve = world.player();
    world.join(&mut eve, &lobby);
    world.ask(&mut ada, json!({"type":"kick","peer":eve.peer,"ban":false}));
    assert_eq!(world.join(&mut eve, &lobby)["type"], "joined");
}

#[test]
fn reports_of_one_household_do_not_drown_the_counters() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    let peer = players[1].peer.clone();
    world.events.clear();
    for _ in 0..5_000 {
        world.say(&mut players[0], json!({"type":"failed","peer":peer,"reason":"timeout"}));
        world.pass(50);
    }
    let counted = world.events.iter().filter(|event| format!("{event:?}").starts_with("Failed")).count();
    assert!((600..=600 + 600 * 5).contains(&counted), "{counted}");
}

#[test]
fn a_session_token_says_nothing_of_how_many_there_are() {
    let mut world = World::new();
    let tokens: Vec<String> = (0..3).map(|_| world.player().session).collect();
    let starts: std::collections::BTreeSet<&str> = tokens.iter().map(|token| &token[..8]).collect();
    assert_eq!(starts.len(), 3);
}

#[test]
fn of_who_listens_and_says_nothing_no_more_is_kept_than_it_may_have_missed() {
    let limits = Limits { bytes: Quota::new(4 << 20, 4 << 20), ..Limits::default() };
    let mut world = World::with(limits);
    world.answer_pings = true;
    let mut owner = world.player_from("198.51.100.1", "test");
    world.create(&mut owner, json!({"public":true}));
    let mut watchers: Vec<Player> = (0..100).map(|_| world.player()).collect();
    for watcher in &mut watchers {
        world.ask(watcher, json!({"type":"list","watch":true}));
    }
    for n in 0..200 {
        world.say(&mut owner, json!({"type":"update","data":{"n":n,"x":"y".repeat(2_000)}}));
        world.pass(250);
    }
    // Each has heard 400 KB and never acknowledged any; 40 MB could not have been kept.
    for watcher in &mut watchers {
        assert_eq!(world.hear_only(watcher, "listed").len(), 200);
        world.cut(watcher);
        assert_eq!(world.resume(watcher, "192.0.2.1")["resumed"], true);
    }
}

#[test]
fn who_was_asked_how_far_it_has_come_is_not_asked_again_for_the_same() {
    let mut world = World::new();
    world.answer_pings = true;
    for _ in 0..20 {
        let mut owner = world.player_from("198.51.100.1", "test");
        world.create(&mut owner, json!({"public":true,"data":{"x":"y".repeat(2_000)}}));
    }
    let mut ada = world.player();
    // Of what is written, the last few KiB are told with what follows.
    world.stop_reading(&ada);
    world.say(&mut ada, json!({"type":"list"}));
    world.say(&mut ada, json!({"type":"list"}));
    let waiting = world.unread[&ada.client];
    let now = world.now();
    world.lobbies.handle_written(ada.client, waiting - 10_000, now);
    world.settle();
    assert_eq!(world.hear_only(&mut ada, "lobbies").len(), 2);
}

/// Each entry takes a connection of every member's, and a page has 500 in its life.
#[test]
fn who_comes_and_goes_is_held_up_at_one_lobby_and_nobody_else_is() {
    let mut world = World::new();
    let (_, lobby) = world.lobby_of(1);
    let mut guest = world.player_from("192.0.2.77", "test");
    let mut entered = 0;
    for _ in 0..300 {
        let joined = world.join(&mut guest, &lobby)["type"] == "joined";
        entered += u32::from(joined);
        if joined {
            world.ask(&mut guest, json!({"type":"leave"}));
        }
        // Its own frames come back, twenty a second.
        world.pass(100);
    }
    assert!((96..=112).contains(&entered), "{entered}");
    let mut other = world.player_from("192.0.2.78", "test");
    assert_eq!(world.join(&mut other, &lobby)["type"], "joined");
    let (_, elsewhere) = world.lobby_of(1);
    assert_eq!(world.join(&mut guest, &elsewhere)["type"], "joined");
}
