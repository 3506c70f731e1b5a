//! Ways in: by code, with a password, quickly; and who is kept out.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use serde_json::json;
use twocan_base::Rate;
use twocan_lobby::wire::ErrorCode;
use twocan_lobby::{Discard, Event, Limits};
use world::{Player, World, code};

fn plenty() -> Rate {
    Rate::per_second(1_000_000, 1_000_000)
}

/// A world whose guess limits are out of the way.
fn patient() -> World {
    let limits = Limits {
        guesses_per_session: 10_000,
        guesses_per_address: 10_000,
        first_guesses_per_address: 10_000,
        passwords_per_address: 10_000,
        first_passwords_per_address: 10_000,
        passwords_per_code: 10_000,
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
    while let Some(job) = world.hashes.pop() {
        world.make_hash(&job);
    }
    let mut words: Vec<String> = Vec::new();
    for player in &mut players {
        let reply = world.hear(player).remove(0);
        words.push(reply["code"].as_str().unwrap_or("joined").to_owned());
    }
    let count = |word: &str| words.iter().filter(|have| *have == word).count();
    assert_eq!((count("joined"), count("full"), count("rate-limited")), (1, 99, 0));
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
    while let Some(job) = world.hashes.pop() {
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
fn after_twenty_wrong_guesses_a_session_waits_and_its_neighbours_do_not() {
    let mut world = World::new();
    let (mut ada, mut eve) = (world.player_from("198.51.100.1", "test"), world.player());
    let lobby = world.create(&mut ada, json!({}));
    for _ in 0..20 {
        assert_eq!(code(&world.join(&mut eve, "2222")), "not-found");
    }
    let reply = world.join(&mut eve, &lobby);
    assert_eq!((code(&reply), reply["retry"].as_u64()), ("rate-limited", Some(5)));
    let mut bob = world.player();
    assert_eq!(world.join(&mut bob, &lobby)["type"], "joined", "the same address, another session");
    world.pass(5_000);
    assert_eq!(world.join(&mut eve, &lobby)["type"], "joined");
}

/// Wrong guesses that are answered within a minute, by sessions as fresh as can be.
fn guesses_in_a_minute(world: &mut World, from: &dyn Fn(usize) -> String) -> usize {
    let mut answered = 0;
    for n in 0..600 {
        let mut eve = world.player_from(&from(n), "test");
        for _ in 0..4 {
            answered += usize::from(code(&world.join(&mut eve, "2222")) == "not-found");
        }
        world.end(eve.client, twocan_lobby::Ended::Goodbye);
        world.pass(100);
    }
    answered
}

#[test]
fn guesses_of_an_address_are_limited_however_many_sessions_make_them() {
    let mut world = World::with(Limits { session_starts: plenty(), ..Limits::default() });
    // What may be guessed at once, and what comes back in a minute: of sessions that guessed wrong before, and of those that did not.
    let answered = guesses_in_a_minute(&mut world, &|_| "192.0.2.1".into());
    assert!(answered <= 2 * (30 + 60), "{answered}");
    let answered = guesses_in_a_minute(&mut world, &|n| format!("2001:db8:0:{:x}::1", n % 256));
    assert!(answered <= 2 * (30 + 60), "an IPv6 /56 is one address: {answered}");
}

#[test]
fn of_two_hundred_behind_one_address_ten_mistype_and_all_others_join() {
    for password in [None, Some("hunter2")] {
        let mut world = World::new();
        let lobbies: Vec<String> = (0..4)
            .map(|n| {
                let mut owner = world.player_from(&format!("198.51.100.{n}"), "test");
                let mut create = json!({"size":64});
                if let Some(password) = password {
                    create["password"] = password.into();
                }
                world.create(&mut owner, create)
            })
            .collect();
        for n in 0..200 {
            let mut pupil = world.player();
            let mut join = json!({"type":"join","code":lobbies[n % 4]});
            if let Some(password) = password {
                join["password"] = password.into();
            }
            if n % 20 == 0 {
                let mut wrong = join.clone();
                wrong[if password.is_some() { "password" } else { "code" }] = "WXYZ".into();
                for _ in 0..50 {
                    world.ask(&mut pupil, wrong.clone());
                }
            } else {
                assert_eq!(world.ask(&mut pupil, join)["type"], "joined", "{n}, {password:?}");
            }
        }
    }
}

#[test]
fn whoever_comes_without_a_password_has_guessed_none() {
    let mut world = World::new();
    let mut ada = world.player_from("198.51.100.1", "test");
    let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
    for n in 0..100 {
        let mut eve = world.player_from(&format!("192.0.2.{n}"), "test");
        assert_eq!(code(&world.join(&mut eve, &lobby)), "not-found");
    }
    let mut bob = world.player_from("203.0.113.1", "test");
    let join = json!({"type":"join","code":lobby,"password":"hunter2"});
    assert_eq!(world.ask(&mut bob, join)["type"], "joined");
}

#[test]
fn a_siege_of_one_code_stops_guessers_and_not_whoever_knows_the_password() {
    for exists in [true, false] {
        let mut world = World::new();
        let mut ada = world.player_from("198.51.100.1", "test");
        let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
        let target = if exists { lobby.clone() } else { "2222".into() };
        let wrong = json!({"type":"join","code":target,"password":"x"});
        let mut answered = 0;
        for round in 0..20 {
            for n in 0..20 {
                let mut eve = world.player_from(&format!("192.0.2.{n}"), "test");
                answered += usize::from(code(&world.ask(&mut eve, wrong.clone())) == "not-found");
                world.end(eve.client, twocan_lobby::Ended::Goodbye);
            }
            assert!(
                answered <= 60 + 20,
                "sixty from all, and then one of each address: {answered} in {round}"
            );
        }
        let mut bob = world.player_from("203.0.113.1", "test");
        let right = json!({"type":"join","code":target,"password":"hunter2"});
        let reply = world.ask(&mut bob, right);
        if exists {
            assert_eq!(reply["type"], "joined");
        } else {
            assert_eq!(code(&reply), "not-found", "the same whether or not there is such a lobby");
        }
    }
}

#[test]
fn a_site_of_256_households_is_one_where_a_code_is_besieged() {
    let mut world = World::new();
    let mut ada = world.player_from("198.51.100.1", "test");
    let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
    let wrong = json!({"type":"join","code":lobby,"password":"x"});
    let mut answered = 0;
    for n in 0..512 {
        let mut eve = world.player_from(&format!("2001:db8:{:x}:{:x}::1", n / 256, (n % 256) << 8), "test");
        answered += usize::from(code(&world.ask(&mut eve, wrong.clone())) == "not-found");
        world.end(eve.client, twocan_lobby::Ended::Goodbye);
    }
    assert!(answered <= 60 + 2, "{answered}");
    let mut bob = world.player_from("203.0.113.1", "test");
    let right = json!({"type":"join","code":lobby,"password":"hunter2"});
    assert_eq!(world.ask(&mut bob, right)["type"], "joined");
}

#[test]
fn one_address_cannot_try_passwords_of_one_lobby_without_end() {
    let mut world = World::with(Limits { session_starts: plenty(), ..Limits::default() });
    let mut ada = world.player_from("198.51.100.1", "test");
    let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
    let wrong = json!({"type":"join","code":lobby,"password":"x"});
    let before = world.hashes_made;
    for _ in 0..300 {
        let mut eve = world.player();
        for _ in 0..4 {
            world.ask(&mut eve, wrong.clone());
        }
        world.end(eve.client, twocan_lobby::Ended::Goodbye);
        world.pass(200);
    }
    let made = world.hashes_made - before;
    assert!(made <= 2 * (10 + 30), "{made} in a minute");
}

#[test]
fn guesses_at_more_codes_than_are_remembered_shut_nobody_out() {
    let limits = Limits {
        guesses_per_session: 1_000_000,
        guesses_per_address: 1_000_000,
        first_guesses_per_address: 1_000_000,
        hashes_per_address: 1_000_000,
        frames_burst: 1_000_000,
        ..Limits::default()
    };
    let mut world = World::with(limits);
    let letters: Vec<char> = "23456789ABCDEFGHJKMNPRSTVWXYZ".chars().collect();
    let code_of = |n: usize| -> String { (0..4).map(|at| letters[n / 29_usize.pow(at) % 29]).collect() };
    let mut ada = world.player_from("198.51.100.1", "test");
    let lobby = world.create(&mut ada, json!({"password":"hunter2"}));
    for n in 0..34_000 {
        if n % 1_000 == 0 {
            world.pass(1);
        }
        let mut eve = world.player_from(&format!("2001:db8:{:x}::1", n / 8), "test");
        world.say(&mut eve, json!({"type":"join","code":code_of(n),"password":"x"}));
        world.end(eve.client, twocan_lobby::Ended::Goodbye);
    }
    let mut bob = world.player_from("203.0.113.1", "test");
    let right = json!({"type":"join","code":lobby,"password":"hunter2"});
    assert_eq!(world.ask(&mut bob, right)["type"], "joined");
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
    for n in 0..50 {
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
