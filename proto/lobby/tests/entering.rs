//! Ways in: by code, with a password, quickly; and who is kept out.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use serde_json::json;
use twocan_lobby::wire::ErrorCode;
use twocan_lobby::{Discard, Event, Limits};
use world::{Player, World, code};

/// A world whose guess limits are out of the way.
fn patient() -> World {
    let limits = Limits {
        guesses_per_address: 10_000,
        guesses_per_lobby: 10_000,
        hashes_per_address: 10_000,
        ..Limits::default()
    };
    World::with(limits)
}

#[test]
fn a_password_opens_the_lobby_it_was_created_with() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.player(), world.player());
    let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
    let wrong = json!({"type":"join","code":lobby,"password":"hunter3"});
    assert_eq!(code(&world.ask(&mut bob, wrong)), "not-found");
    assert_eq!(code(&world.join(&mut bob, &lobby)), "not-found", "without a password it is as if not there");
    let joined = world.ask(&mut bob, json!({"type":"join","code":lobby,"password":"hunter2"}));
    assert_eq!(joined["lobby"]["password"], true);
    assert!(!joined.to_string().contains("hunter2"));
}

#[test]
fn a_wrong_lobby_and_a_wrong_password_look_alike_and_cost_one_hash_each() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.player(), world.player());
    let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
    let mut answers = Vec::new();
    let absent = if lobby == "2222" { "3333" } else { "2222" };
    for wrong in [lobby.as_str(), absent, "OIL0", "far too long for a code"] {
        let before = world.hashes_made;
        let reply = world.ask(&mut bob, json!({"type":"join","code":wrong,"password":"no"}));
        assert_eq!(world.hashes_made, before + 1, "{wrong}");
        answers.push((reply["code"].clone(), reply["message"].clone(), reply["retry"].clone()));
        let before = world.hashes_made;
        let reply = world.join(&mut bob, wrong);
        assert_eq!(world.hashes_made, before, "{wrong}");
        answers.push((reply["code"].clone(), reply["message"].clone(), reply["retry"].clone()));
    }
    answers.dedup();
    assert_eq!(answers.len(), 1, "{answers:?}");
}

#[test]
fn who_shows_the_right_password_learns_that_the_lobby_is_full_and_nobody_else_does() {
    let mut world = World::new();
    let mut players: Vec<Player> = (0..4).map(|_| world.player()).collect();
    let lobby = world.create(&mut players[0], json!({"password":"hunter2","size":2}));
    let right = json!({"type":"join","code":lobby,"password":"hunter2"});
    assert_eq!(world.ask(&mut players[1], right.clone())["type"], "joined");
    assert_eq!(code(&world.ask(&mut players[2], right)), "full");
    let wrong = json!({"type":"join","code":lobby,"password":"x"});
    assert_eq!(code(&world.ask(&mut players[3], wrong)), "not-found");
}

#[test]
fn a_locked_lobby_lets_nobody_in_until_it_is_unlocked() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.player(), world.player());
    let lobby = world.create(&mut ada, json!({}));
    world.ask(&mut ada, json!({"type":"update","locked":true}));
    assert_eq!(code(&world.join(&mut bob, &lobby)), "locked");
    world.ask(&mut ada, json!({"type":"update","locked":false}));
    assert_eq!(world.join(&mut bob, &lobby)["type"], "joined");
}

#[test]
fn of_a_hundred_who_join_for_one_seat_one_gets_it() {
    let mut world = World::new();
    let mut owner = world.player_from("198.51.100.1", "test");
    let lobby = world.create(&mut owner, json!({"size":2}));
    let mut won = 0;
    for n in 0..100 {
        let mut player = world.player_from(&format!("192.0.2.{n}"), "test");
        let reply = world.join(&mut player, &lobby);
        match reply["type"].as_str() {
            Some("joined") => won += 1,
            _ => assert_eq!(code(&reply), "full"),
        }
    }
    assert_eq!(won, 1);
}

#[test]
fn of_a_hundred_whose_passwords_are_hashed_at_once_one_gets_the_seat() {
    let mut world = patient();
    let mut owner = world.player_from("198.51.100.1", "test");
    let lobby = world.create(&mut owner, json!({"size":2,"password":"hunter2"}));
    world.hold_hashes = true;
    let mut players: Vec<Player> =
        (0..100).map(|n| world.player_from(&format!("192.0.2.{n}"), "test")).collect();
    let join = json!({"type":"join","code":lobby,"password":"hunter2"});
    for player in &mut players {
        world.say(player, join.clone());
    }
    let jobs = std::mem::take(&mut world.hashes);
    assert_eq!(jobs.len(), 64, "no more than this wait at once");
    for job in jobs.iter().rev() {
        world.make_hash(job);
    }
    let mut words: Vec<String> = Vec::new();
    for player in &mut players {
        let reply = world.hear(player).remove(0);
        words.push(reply["code"].as_str().unwrap_or("joined").to_owned());
    }
    let count = |word: &str| words.iter().filter(|have| *have == word).count();
    assert_eq!((count("joined"), count("full"), count("rate-limited")), (1, 63, 36));
}

#[test]
fn while_a_password_is_hashed_its_session_enters_nothing_else() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.player(), world.player());
    let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
    world.hold_hashes = true;
    world.say(&mut bob, json!({"type":"join","code":lobby,"password":"hunter2"}));
    assert_eq!(code(&world.ask(&mut bob, json!({"type":"create"}))), "already-in-lobby");
    let job = world.hashes.remove(0);
    world.make_hash(&job);
    assert_eq!(world.hear(&mut bob)[0]["type"], "joined");
}

#[test]
fn a_hash_for_who_is_gone_or_for_a_lobby_that_is_gone_lets_nobody_in() {
    let mut world = World::new();
    let (mut ada, mut bob, mut eve) = (world.player(), world.player(), world.player());
    let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
    world.hold_hashes = true;
    let join = json!({"type":"join","code":lobby,"password":"hunter2"});
    world.say(&mut bob, join.clone());
    world.say(&mut eve, join);
    world.end(bob.client, twocan_lobby::Ended::Goodbye);
    world.ask(&mut ada, json!({"type":"leave"}));
    for job in std::mem::take(&mut world.hashes) {
        world.make_hash(&job);
    }
    assert_eq!(code(&world.hear(&mut eve)[0]), "not-found");
    assert!(world.events.iter().any(|event| matches!(event, Event::Discarded(Discard::StaleHash))));
}

#[test]
fn a_hash_that_cannot_be_made_is_answered_with_try_later() {
    let mut world = World::new();
    let mut ada = world.player();
    world.hold_hashes = true;
    world.say(&mut ada, json!({"type":"create","password":"hunter2"}));
    let job = world.hashes.remove(0);
    let now = world.now();
    world.lobbies.handle_hashed(job.id(), None, now);
    world.settle();
    assert_eq!(code(&world.hear(&mut ada)[0]), "rate-limited");
    assert!(!format!("{job:?}").contains("hunter2"));
}

#[test]
fn after_ten_wrong_guesses_from_an_address_it_waits_and_others_do_not() {
    let mut world = World::new();
    let (mut ada, mut eve) = (world.player_from("198.51.100.1", "test"), world.player());
    let lobby = world.create(&mut ada, json!({}));
    for _ in 0..10 {
        assert_eq!(code(&world.join(&mut eve, "2222")), "not-found");
    }
    let reply = world.join(&mut eve, "2222");
    assert_eq!((code(&reply), reply["retry"].as_u64()), ("rate-limited", Some(6)));
    let mut again = world.player();
    assert_eq!(code(&world.join(&mut again, &lobby)), "rate-limited", "a new session does not help");
    let mut bob = world.player_from("192.0.2.2", "test");
    assert_eq!(world.join(&mut bob, &lobby)["type"], "joined");
    world.pass(6_000);
    assert_eq!(world.join(&mut eve, &lobby)["type"], "joined");
}

#[test]
fn guesses_from_one_ipv6_56_count_together() {
    let mut world = World::new();
    for n in 0..10 {
        let mut eve = world.player_from(&format!("2001:db8:0:{n:x}::1"), "test");
        assert_eq!(code(&world.join(&mut eve, "2222")), "not-found");
    }
    let mut eve = world.player_from("2001:db8:0:ff::1", "test");
    assert_eq!(code(&world.join(&mut eve, "2222")), "rate-limited");
    let mut other = world.player_from("2001:db8:0:100::1", "test");
    assert_eq!(code(&world.join(&mut other, "2222")), "not-found");
}

#[test]
fn twenty_guesses_at_a_code_are_the_limit_whether_or_not_a_lobby_has_it() {
    let mut world = World::new();
    let mut ada = world.player_from("198.51.100.1", "test");
    let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
    let absent = if lobby == "2222" { "3333" } else { "2222" };
    for target in [lobby.as_str(), absent] {
        for n in 0..20 {
            let mut eve = world.player_from(&format!("192.0.2.{n}"), "test");
            let reply = world.ask(&mut eve, json!({"type":"join","code":target,"password":"x"}));
            assert_eq!(code(&reply), "not-found");
            world.end(eve.client, twocan_lobby::Ended::Goodbye);
        }
        let mut eve = world.player_from("192.0.2.99", "test");
        let hashes = world.hashes_made;
        let reply = world.ask(&mut eve, json!({"type":"join","code":target,"password":"hunter2"}));
        assert_eq!((code(&reply), reply["retry"].as_u64()), ("rate-limited", Some(3)));
        assert_eq!(world.hashes_made, hashes, "limited before the hash");
    }
}

#[test]
fn right_passwords_do_not_count_as_guesses() {
    let mut world = World::new();
    let mut ada = world.player_from("198.51.100.1", "test");
    let lobby = world.create(&mut ada, json!({"password":"hunter2","size":64}));
    for _ in 0..30 {
        let mut bob = world.player();
        let reply = world.ask(&mut bob, json!({"type":"join","code":lobby,"password":"hunter2"}));
        assert_eq!(reply["type"], "joined");
    }
}

#[test]
fn one_is_in_one_lobby_at_a_time() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.player(), world.player());
    let lobby = world.create(&mut ada, json!({}));
    world.create(&mut bob, json!({}));
    for enter in [json!({"type":"create"}), json!({"type":"join","code":lobby}), json!({"type":"quick"})] {
        assert_eq!(code(&world.ask(&mut bob, enter)), "already-in-lobby");
    }
    world.ask(&mut bob, json!({"type":"leave"}));
    assert_eq!(world.join(&mut bob, &lobby)["type"], "joined");
}

#[test]
fn lobbies_of_one_application_are_not_seen_by_another() {
    let mut world = World::new();
    let (mut ada, mut eve) = (world.player(), world.player_from("192.0.2.1", "other"));
    let lobby = world.create(&mut ada, json!({"public":true}));
    assert_eq!(code(&world.join(&mut eve, &lobby)), "not-found");
    assert_eq!(world.ask(&mut eve, json!({"type":"list"}))["total"], 0);
    assert_ne!(world.ask(&mut eve, json!({"type":"quick"}))["lobby"]["code"], json!(lobby));
}

#[test]
fn quick_takes_the_fullest_open_lobby_that_matches_or_opens_one_like_it() {
    let mut world = World::new();
    let mut players: Vec<Player> = (0..9).map(|_| world.player()).collect();
    let dust = json!({"public":true,"data":{"map":"dust","n":1}});
    let few = world.create(&mut players[0], dust.clone());
    let many = world.create(&mut players[1], dust.clone());
    world.join(&mut players[2], &many);
    let mut locked = dust.clone();
    locked["password"] = "x".into();
    world.create(&mut players[3], locked);
    world.create(&mut players[4], json!({"public":true,"data":{"map":"ice"}}));
    world.create(&mut players[5], json!({"data":{"map":"dust"}}));
    let quick = json!({"type":"quick","filter":{"map":"dust"}});
    assert_eq!(world.ask(&mut players[6], quick.clone())["lobby"]["code"], json!(many));
    world.ask(&mut players[1], json!({"type":"update","locked":true}));
    assert_eq!(world.ask(&mut players[7], quick)["lobby"]["code"], json!(few));
    let joined = world.ask(&mut players[8], json!({"type":"quick","filter":{"map":"dust"},"size":3}));
    assert_eq!((&joined["lobby"]["size"], &joined["lobby"]["public"]), (&json!(3), &json!(true)));
    assert_eq!(joined["lobby"]["data"], json!({"map":"dust"}), "so that the next quick finds it");
}

#[test]
fn codes_are_short_and_of_letters_that_nobody_mistakes() {
    let mut world = patient();
    let mut seen = std::collections::BTreeSet::new();
    for n in 0..200 {
        let mut player = world.player_from(&format!("192.0.2.{n}"), "test");
        let lobby = world.create(&mut player, json!({}));
        assert!(
            lobby.len() == 4 && lobby.chars().all(|c| "23456789ABCDEFGHJKMNPRSTVWXYZ".contains(c)),
            "{lobby}"
        );
        assert!(seen.insert(lobby));
    }
}

#[test]
fn the_same_seed_gives_the_same_world() {
    let names = |seed| {
        let mut world = World::seeded(Limits::default(), seed);
        let mut player = world.player();
        (player.session.clone(), player.peer.clone(), world.create(&mut player, json!({})))
    };
    assert_eq!(names([4; 32]), names([4; 32]));
    assert_ne!(names([4; 32]), names([5; 32]));
}

#[test]
fn every_refusal_is_counted_under_its_word() {
    let mut world = World::new();
    let mut ada = world.player();
    world.ask(&mut ada, json!({"type":"leave"}));
    assert!(world.events.iter().any(|event| matches!(event, Event::Refused(ErrorCode::NotInLobby))));
}

#[test]
fn who_is_cut_while_a_password_is_hashed_is_in_when_it_comes_back_and_can_gather() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.player(), world.player());
    let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
    world.hold_hashes = true;
    world.say(&mut bob, json!({"type":"join","code":lobby,"password":"hunter2"}));
    world.cut(&bob);
    let job = world.hashes.remove(0);
    world.make_hash(&job);
    world.resume(&mut bob, "192.0.2.1");
    assert_eq!(world.kinds(&mut bob), ["joined", "ice", "link"]);
}

#[test]
fn a_hash_that_cannot_be_made_costs_no_guess() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.player(), world.player());
    let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
    world.hold_hashes = true;
    let join = json!({"type":"join","code":lobby,"password":"hunter2"});
    for _ in 0..30 {
        world.say(&mut bob, join.clone());
        let job = world.hashes.remove(0);
        let now = world.now();
        world.lobbies.handle_hashed(job.id(), None, now);
        world.settle();
    }
    world.hear(&mut bob);
    world.say(&mut bob, join);
    let job = world.hashes.remove(0);
    world.make_hash(&job);
    assert_eq!(world.hear(&mut bob)[0]["type"], "joined");
}
