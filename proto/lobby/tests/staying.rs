//! Being in a lobby, and watching from outside: owners, kicks, updates, the live list.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use serde_json::{Value, json};
use world::{Player, World, code};

#[test]
fn when_the_owner_goes_who_has_been_there_longest_follows() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(3);
    world.ask(&mut players[0], json!({"type":"leave"}));
    let heard = world.hear(&mut players[2]);
    assert_eq!(heard[0]["type"], "left");
    assert_eq!((&heard[0]["peer"], &heard[0]["why"]), (&json!(players[0].peer), &json!("left")));
    assert_eq!((&heard[1]["type"], &heard[1]["peer"]), (&json!("owner"), &json!(players[1].peer)));
    assert_eq!(code(&world.ask(&mut players[2], json!({"type":"seal"}))), "not-owner");
    assert_eq!(world.ask(&mut players[1], json!({"type":"seal"}))["type"], "ok");
}

#[test]
fn a_member_that_is_not_the_owner_going_changes_no_owner() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(3);
    world.ask(&mut players[1], json!({"type":"leave"}));
    assert_eq!(world.kinds(&mut players[2]), ["left"]);
}

#[test]
fn a_lobby_is_gone_with_its_last_member_and_so_are_its_credentials() {
    let mut world = World::new();
    let (mut players, lobby) = world.lobby_of(2);
    for player in &mut players {
        assert_eq!(world.ask(player, json!({"type":"leave"}))["type"], "ok");
    }
    assert_eq!(world.lobbies.lobbies(), 0);
    let revoked: Vec<_> = world.relay.iter().filter(|line| !line.starts_with("grant")).cloned().collect();
    let expected =
        [format!("revoke {}", players[0].peer), format!("revoke {}", players[1].peer), "close".into()];
    assert_eq!(revoked, expected);
    assert_eq!(code(&world.join(&mut players[0], &lobby)), "not-found");
}

#[test]
fn the_owner_kicks_and_the_kicked_loses_link_and_credentials() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(3);
    let [ada, bob, eve] = &mut players[..] else { unreachable!() };
    assert_eq!(code(&world.ask(bob, json!({"type":"kick","peer":eve.peer}))), "not-owner");
    assert_eq!(world.ask(ada, json!({"type":"kick","peer":eve.peer}))["type"], "ok");
    assert_eq!(world.hear(eve)[0], json!({"type":"removed","seq":5,"why":"kicked"}));
    let left = world.hear_only(bob, "left").remove(0);
    assert_eq!((&left["peer"], &left["why"]), (&json!(eve.peer), &json!("kicked")));
    assert!(world.relay.contains(&format!("revoke {}", eve.peer)));
    let to_ada = json!({"type":"signal","to":ada.peer,"kind":"end-of-candidates"});
    assert_eq!(code(&world.ask(eve, to_ada)), "not-in-lobby");
    assert_eq!(code(&world.ask(ada, json!({"type":"kick","peer":eve.peer}))), "no-such-peer");
    let me = ada.peer.clone();
    assert_eq!(code(&world.ask(ada, json!({"type":"kick","peer":me}))), "no-such-peer", "not oneself");
}

#[test]
fn an_update_reaches_every_member_and_changes_only_what_it_names() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    assert_eq!(code(&world.ask(&mut players[1], json!({"type":"update","locked":true}))), "not-owner");
    world.ask(&mut players[0], json!({"type":"update","data":{"map":"dust"}}));
    world.ask(&mut players[0], json!({"type":"update","public":true}));
    let updates = world.hear_only(&mut players[1], "updated");
    assert_eq!(updates.len(), 2);
    assert_eq!(updates[1]["lobby"]["data"], json!({"map":"dust"}));
    assert_eq!(
        (&updates[1]["lobby"]["public"], &updates[1]["lobby"]["locked"]),
        (&json!(true), &json!(false))
    );
}

#[test]
fn a_list_shows_public_lobbies_newest_first_and_by_filter() {
    let mut world = World::new();
    let mut players: Vec<Player> = (0..4).map(|_| world.player()).collect();
    let dust = world.create(&mut players[0], json!({"public":true,"data":{"map":"dust","mode":{"a":[1]}}}));
    let ice =
        world.create(&mut players[1], json!({"public":true,"data":{"map":"ice"},"password":"x","size":3}));
    world.create(&mut players[2], json!({"data":{"map":"dust"}}));
    let codes = |reply: Value| -> Vec<String> {
        let lobbies = reply["lobbies"].as_array().unwrap().clone();
        lobbies.iter().map(|lobby| lobby["code"].as_str().unwrap().to_owned()).collect()
    };
    let list = world.ask(&mut players[3], json!({"type":"list"}));
    assert_eq!(list["total"], 2);
    let shown = json!({"code":ice,"password":true,"locked":false,"size":3,"members":1,"data":{"map":"ice"}});
    assert_eq!(list["lobbies"][0], shown);
    assert_eq!(codes(list), [ice, dust.clone()]);
    let list = world.ask(&mut players[3], json!({"type":"list","filter":{"mode":{"a":[1]},"map":"dust"}}));
    assert_eq!((list["total"].as_u64(), codes(list)), (Some(1), vec![dust]));
    let list = world.ask(&mut players[3], json!({"type":"list","filter":{"map":null}}));
    assert_eq!(list["total"], 0);
}

#[test]
fn a_watcher_hears_of_what_changes_four_times_a_second_at_most() {
    let mut world = World::new();
    let (mut ada, mut eve) = (world.player(), world.player());
    world.ask(&mut eve, json!({"type":"list","watch":true}));
    let lobby = world.create(&mut ada, json!({"public":true}));
    world.pass(0);
    assert_eq!(world.hear(&mut eve)[0]["lobby"]["code"], json!(lobby), "the first change comes at once");
    for n in 0..20 {
        world.ask(&mut ada, json!({"type":"update","data":{"n":n}}));
    }
    world.pass(249);
    assert!(world.hear(&mut eve).is_empty());
    world.pass(1);
    let heard = world.hear(&mut eve);
    assert_eq!(heard.len(), 1, "twenty changes, told once");
    assert_eq!(heard[0]["lobby"]["data"], json!({"n":19}));
    world.ask(&mut ada, json!({"type":"leave"}));
    world.pass(250);
    assert_eq!(world.hear(&mut eve), [json!({"type":"unlisted","seq":4,"code":lobby})]);
}

#[test]
fn a_list_may_have_the_fullest_first() {
    let mut world = World::new();
    let mut codes = Vec::new();
    for guests in [0, 2, 1, 1] {
        let mut host = world.player();
        codes.push(world.create(&mut host, json!({"public":true,"size":4})));
        for _ in 0..guests {
            let mut guest = world.player();
            world.join(&mut guest, codes.last().unwrap());
        }
    }
    let mut eve = world.player();
    let list = world.ask(&mut eve, json!({"type":"list","sort":"fullest","skip":0}));
    let listed: Vec<&str> =
        list["lobbies"].as_array().unwrap().iter().map(|lobby| lobby["code"].as_str().unwrap()).collect();
    assert_eq!(listed, [1, 3, 2, 0].map(|at: usize| codes[at].as_str()), "the newest of those as full");
}

#[test]
fn a_watcher_hears_unlisted_of_what_it_was_shown_and_of_nothing_else() {
    let mut world = World::new();
    let mut players: Vec<Player> = (0..4).map(|_| world.player()).collect();
    let dust = json!({"map":"dust"});
    world.ask(&mut players[3], json!({"type":"list","watch":true,"filter":dust}));
    world.create(&mut players[0], json!({"public":true,"data":{"map":"ice"}}));
    world.create(&mut players[1], json!({"data":dust}));
    world.pass(1000);
    assert!(world.hear(&mut players[3]).is_empty(), "one does not match, one is not public");
    world.ask(&mut players[1], json!({"type":"update","public":true}));
    world.pass(1000);
    assert_eq!(world.kinds(&mut players[3]), ["listed"]);
    world.ask(&mut players[1], json!({"type":"update","data":{"map":"ice"}}));
    world.pass(1000);
    assert_eq!(world.kinds(&mut players[3]), ["unlisted"]);
    world.ask(&mut players[0], json!({"type":"leave"}));
    world.pass(1000);
    assert!(world.hear(&mut players[3]).is_empty());
}

#[test]
fn a_sealed_lobby_is_not_listed_and_an_unsealed_one_is_again() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    let mut eve = world.player();
    world.ask(&mut players[0], json!({"type":"update","public":true}));
    world.ask(&mut eve, json!({"type":"list","watch":true}));
    world.ask(&mut players[0], json!({"type":"seal"}));
    world.pass(1000);
    assert_eq!(world.kinds(&mut eve), ["unlisted"]);
    world.pass(30_000);
    assert_eq!(world.kinds(&mut eve), ["listed"]);
}

#[test]
fn watching_ends_with_unwatch_and_with_joined() {
    let mut world = World::new();
    let (mut ada, mut bob, mut eve) = (world.player(), world.player(), world.player());
    for watcher in [&mut bob, &mut eve] {
        world.ask(watcher, json!({"type":"list","watch":true}));
    }
    assert_eq!(world.ask(&mut eve, json!({"type":"unwatch"}))["type"], "ok");
    world.create(&mut bob, json!({}));
    world.hear(&mut bob);
    world.create(&mut ada, json!({"public":true}));
    world.pass(1000);
    assert!(world.hear(&mut bob).is_empty() && world.hear(&mut eve).is_empty());
}
