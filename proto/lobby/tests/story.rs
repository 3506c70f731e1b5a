//! The story: two meet, link, and leave the server with tickets; and how they come back.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use serde_json::{Value, json};
use twocan_lobby::{Close, ClosedWhy, Discard, Ended, Event};
use world::{Player, World, code};

/// Two who have completed, with their tickets.
fn completed(world: &mut World) -> (Vec<Player>, Vec<Value>, String) {
    let (mut players, lobby) = world.lobby_of(2);
    world.ask(&mut players[0], json!({"type":"seal"}));
    world.link_all(&mut players);
    let tickets =
        players.iter_mut().map(|player| world.hear_only(player, "complete")[0]["ticket"].clone()).collect();
    for player in &players {
        world.end(player.client, Ended::Goodbye);
    }
    (players, tickets, lobby)
}

#[test]
fn a_newcomer_hears_joined_then_ice_then_its_links_and_makes_the_offer() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.player(), world.player());
    let lobby = world.create(&mut ada, json!({"size":2,"me":{"name":"Ada"}}));
    assert_eq!(world.kinds(&mut ada), [] as [&str; 0], "ask took joined and ice");

    world.say(&mut bob, json!({"type":"join","code":lobby.to_lowercase(),"me":{"name":"Bob"}}));
    let heard = world.hear(&mut bob);
    assert_eq!(heard.iter().map(|frame| &frame["type"]).collect::<Vec<_>>(), ["joined", "ice", "link"]);
    assert_eq!(heard[0]["peer"], json!(bob.peer));
    assert_eq!(heard[0]["lobby"]["owner"], json!(ada.peer));
    assert_eq!(heard[0]["lobby"]["members"][0], json!({"peer":ada.peer,"me":{"name":"Ada"}}));
    assert_eq!(heard[1]["servers"][0]["urls"], json!(["turn:play.example:3478"]));
    assert_eq!(heard[1]["expires"], 12 * 3600);
    assert_eq!(heard[2], json!({"type":"link","seq":3,"peer":ada.peer,"role":"offer","polite":true}));

    let heard = world.hear(&mut ada);
    assert_eq!(heard[0], json!({"type":"arrived","seq":3,"member":{"peer":bob.peer,"me":{"name":"Bob"}}}));
    assert_eq!(heard[1], json!({"type":"link","seq":4,"peer":bob.peer,"role":"answer","polite":false}));
}

#[test]
fn a_signal_is_passed_on_as_the_text_it_came_as() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    let data = r#"{"sdp" : "v=0\r\n\u00e9", "big":1e400, "same":1,"same":2}"#;
    let text = format!(
        r#"{{"type":"signal","id":99,"to":"{}","kind":"description","data":{data}}}"#,
        players[1].peer
    );
    // The inbox would read the number 1e400; so this one looks at the frame itself.
    world.lobbies.handle_message(players[0].client, &text, world.now());
    let (client, frame) = world.lobbies.poll_transmit().unwrap();
    assert_eq!(client, players[1].client);
    assert!(frame.contains(data), "{frame}");
    players[0].id = 99;
    assert_eq!(world.ask(&mut players[0], json!({"type":"ping"}))["type"], "pong");
}

#[test]
fn nobody_can_signal_someone_without_a_link() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    let mut stranger = world.player();
    let signal = |to: &str| json!({"type":"signal","to":to,"kind":"end-of-candidates"});
    assert_eq!(code(&world.ask(&mut stranger, signal(&players[0].peer))), "not-in-lobby");
    world.create(&mut stranger, json!({}));
    assert_eq!(code(&world.ask(&mut stranger, signal(&players[0].peer))), "no-link");
    let me = players[0].peer.clone();
    assert_eq!(code(&world.ask(&mut players[0], signal(&me))), "no-link", "not even oneself");
    assert_eq!(code(&world.ask(&mut players[0], signal("nobody"))), "no-link");
}

#[test]
fn no_link_is_told_before_both_have_ice_servers() {
    let mut world = World::new();
    let (mut ada, mut bob) = (world.player(), world.player());
    world.hold_grants = true;
    let lobby = world.create(&mut ada, json!({}));
    world.join(&mut bob, &lobby);
    let grants = std::mem::take(&mut world.grants);
    world.make_grant(&grants[1]);
    assert_eq!(world.kinds(&mut bob), ["ice"]);
    let to_ada = json!({"type":"signal","to":ada.peer,"kind":"end-of-candidates"});
    assert_eq!(code(&world.ask(&mut bob, to_ada)), "no-link");
    let to_bob = json!({"type":"signal","to":bob.peer,"kind":"end-of-candidates"});
    assert_eq!(code(&world.ask(&mut ada, to_bob)), "no-link");
    world.make_grant(&grants[0]);
    assert_eq!(world.hear(&mut bob)[0]["role"], "offer", "who came later offers, whoever was granted later");
    assert_eq!(world.kinds(&mut ada), ["ice", "link"]);
}

#[test]
fn credentials_for_a_lobby_that_was_left_meanwhile_are_not_handed_out() {
    let mut world = World::new();
    let mut ada = world.player();
    world.hold_grants = true;
    world.create(&mut ada, json!({}));
    world.ask(&mut ada, json!({"type":"leave"}));
    world.create(&mut ada, json!({}));
    let grants = std::mem::take(&mut world.grants);
    world.make_grant(&grants[0]);
    assert!(world.hear(&mut ada).is_empty());
    assert!(world.events.iter().any(|event| matches!(event, Event::Discarded(Discard::StaleGrant))));
    world.make_grant(&grants[1]);
    assert_eq!(world.kinds(&mut ada), ["ice"]);
}

#[test]
fn once_sealed_and_linked_by_both_ends_all_complete_and_the_lobby_is_gone() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(3);
    assert_eq!(world.ask(&mut players[0], json!({"type":"seal"}))["type"], "ok");
    assert_eq!(world.hear_only(&mut players[2], "sealed")[0]["within"], 30);
    let all = players.clone();
    for (one, two) in [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2)] {
        world.linked(&mut players[one], &all[two]);
        assert_eq!(world.lobbies.lobbies(), 1, "one end is missing");
    }
    world.linked(&mut players[2], &all[1]);
    assert_eq!(world.lobbies.lobbies(), 0);
    for player in &mut players {
        let complete = world.hear(player).pop().unwrap();
        assert_eq!(complete["type"], "complete");
        assert_eq!(complete["ice"]["expires"], 12 * 3600);
        assert_eq!(world.closed[&player.client], Close::Complete);
        world.end(player.client, Ended::Goodbye);
    }
    assert_eq!(world.lobbies.sessions(), 0);
    assert!(world.lobbies.poll_timeout().is_none(), "nothing is left to wait for");
    assert!(
        !world.relay.iter().any(|line| line.starts_with("revoke") || line == "close"),
        "{:?}",
        world.relay
    );
    let lives: Vec<_> = world
        .events
        .iter()
        .filter_map(|event| match event {
            Event::LobbyClosed { why: ClosedWhy::Completed, life, .. } => Some(life),
            _ => None,
        })
        .collect();
    let [life] = lives[..] else { panic!("one lobby: {lives:?}") };
    assert_eq!((life.app.as_str(), life.entered, life.direct, life.relayed), ("test", 3, 3, 0));
    assert!(life.failed.is_empty());
    let made = world.events.iter().filter(|event| matches!(event, Event::Linked { both: true, .. }));
    assert_eq!(made.count(), 3, "one for each pair");
}

#[test]
fn links_reported_before_the_seal_count() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    world.link_all(&mut players);
    world.say(&mut players[0], json!({"type":"seal"}));
    assert_eq!(world.kinds(&mut players[0]), ["ok", "sealed", "complete"]);
}

#[test]
fn a_seal_that_takes_too_long_is_undone_and_says_which_pairs_are_missing() {
    let mut world = World::new();
    let (mut players, lobby) = world.lobby_of(3);
    world.ask(&mut players[0], json!({"type":"seal"}));
    let all = players.clone();
    for (one, two) in [(0, 1), (1, 0), (0, 2)] {
        world.linked(&mut players[one], &all[two]);
    }
    let mut late = world.player();
    assert_eq!(code(&world.join(&mut late, &lobby)), "sealed");
    world.pass(29_999);
    assert!(world.hear_only(&mut players[1], "unsealed").is_empty());
    world.pass(1);
    let unsealed = world.hear(&mut players[1]).pop().unwrap();
    assert_eq!(unsealed["missing"], json!([[all[0].peer, all[2].peer], [all[1].peer, all[2].peer]]));
    assert_eq!(code(&world.join(&mut late, &lobby)), "full", "open again");
}

#[test]
fn a_failed_link_undoes_the_seal_and_a_second_try_completes() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    let bob = players[1].clone();
    world.ask(&mut players[0], json!({"type":"seal"}));
    world.say(&mut players[0], json!({"type":"failed","peer":bob.peer,"reason":"checks-failed"}));
    assert_eq!(world.hear_only(&mut players[1], "unsealed").len(), 1);
    world.link_all(&mut players);
    world.say(&mut players[0], json!({"type":"seal"}));
    assert_eq!(world.hear_only(&mut players[1], "complete").len(), 1);
}

#[test]
fn who_leaves_a_sealed_lobby_is_no_longer_waited_for() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(3);
    world.ask(&mut players[0], json!({"type":"seal"}));
    world.link_all(&mut players[..2]);
    world.ask(&mut players[2], json!({"type":"leave"}));
    assert_eq!(world.hear_only(&mut players[0], "complete").len(), 1);
    assert!(world.relay.contains(&format!("revoke {}", players[2].peer)), "it left before completion");
    assert!(!world.relay.contains(&format!("revoke {}", players[0].peer)));
}

#[test]
fn alone_one_cannot_seal_and_is_unsealed_when_the_others_go() {
    let mut world = World::new();
    let mut ada = world.player();
    world.create(&mut ada, json!({}));
    assert_eq!(code(&world.ask(&mut ada, json!({"type":"seal"}))), "alone");
    let (mut players, _) = world.lobby_of(2);
    world.ask(&mut players[0], json!({"type":"seal"}));
    assert_eq!(code(&world.ask(&mut players[0], json!({"type":"seal"}))), "sealed");
    world.ask(&mut players[1], json!({"type":"leave"}));
    assert_eq!(world.kinds(&mut players[0]), ["left", "unsealed"]);
}

#[test]
fn who_is_cut_at_the_moment_of_completion_gets_the_ticket_when_it_comes_back() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    world.ask(&mut players[0], json!({"type":"seal"}));
    world.hear(&mut players[1]);
    let ada = players[0].clone();
    world.linked(&mut players[1], &ada);
    world.cut(&players[1]);
    let bob = players[1].clone();
    world.linked(&mut players[0], &bob);
    assert_eq!(world.lobbies.lobbies(), 0);
    assert_eq!(world.resume(&mut players[1], "192.0.2.1")["resumed"], true);
    assert_eq!(world.kinds(&mut players[1]), ["complete"]);
    assert_eq!(world.closed[&players[1].client], Close::Complete);
    world.end(players[1].client, Ended::Goodbye);
    world.cut(&players[0]);
    world.pass(30_000);
    assert_eq!(world.lobbies.sessions(), 0);
}

#[test]
fn tickets_bring_both_back_under_their_old_names_and_they_complete_again() {
    let mut world = World::new();
    let (old, tickets, lobby) = completed(&mut world);
    let (mut ada, mut bob) = (world.player(), world.player());
    world.relay.clear();
    let joined = world.ask(&mut ada, json!({"type":"return","ticket":tickets[0]}));
    assert_eq!((&joined["peer"], &joined["lobby"]["code"]), (&json!(old[0].peer), &json!(lobby)));
    assert_eq!((&joined["lobby"]["sealed"], &joined["lobby"]["public"]), (&json!(true), &json!(false)));
    world.pass(600_000);
    assert_eq!(world.lobbies.lobbies(), 1, "alone, it waits");
    let mut stranger = world.player();
    assert_eq!(code(&world.join(&mut stranger, &lobby)), "sealed");

    let joined = world.ask(&mut bob, json!({"type":"return","ticket":tickets[1]}));
    assert_eq!(joined["lobby"]["owner"], json!(old[0].peer));
    (ada.peer, bob.peer) = (old[0].peer.clone(), old[1].peer.clone());
    let mut both = [ada, bob];
    world.link_all(&mut both);
    for player in &mut both {
        assert_eq!(world.hear_only(player, "complete").len(), 1);
    }
    assert!(
        !world.relay.iter().any(|line| line.starts_with("revoke") || line == "close"),
        "{:?}",
        world.relay
    );
}

#[test]
fn who_leaves_a_lobby_made_anew_or_is_kicked_keeps_its_credentials_and_stays_out_if_kicked() {
    let mut world = World::new();
    let (old, tickets, _) = completed(&mut world);
    let (mut ada, mut bob) = (world.player(), world.player());
    world.relay.clear();
    for (player, ticket) in [(&mut ada, &tickets[0]), (&mut bob, &tickets[1])] {
        world.ask(player, json!({"type":"return","ticket":ticket}));
    }
    world.ask(&mut bob, json!({"type":"leave"}));
    assert!(!world.relay.iter().any(|line| line.starts_with("revoke")), "its other links may be well");
    world.ask(&mut bob, json!({"type":"return","ticket":tickets[1]}));
    world.ask(&mut ada, json!({"type":"kick","peer":old[1].peer}));
    let again = world.ask(&mut bob, json!({"type":"return","ticket":tickets[1]}));
    assert_eq!(code(&again), "kicked", "shown out is out, ticket or not");
    world.ask(&mut ada, json!({"type":"leave"}));
    assert_eq!(world.lobbies.lobbies(), 0);
    let again = world.ask(&mut bob, json!({"type":"return","ticket":tickets[1]}));
    assert_eq!(code(&again), "kicked", "also when nobody is there any more");
    let takes_back = |line: &String| line.starts_with("revoke") || line == "close";
    assert!(!world.relay.iter().any(takes_back), "{:?}", world.relay);
    let joined = world.ask(&mut ada, json!({"type":"return","ticket":tickets[0]}));
    assert_eq!(joined["type"], "joined", "made anew once more");
}

#[test]
fn a_lobby_made_anew_belongs_to_whom_it_belonged_before_whoever_returns_first() {
    let mut world = World::new();
    let (old, tickets, _) = completed(&mut world);
    let (mut ada, mut bob) = (world.player(), world.player());
    let joined = world.ask(&mut bob, json!({"type":"return","ticket":tickets[1]}));
    assert_eq!(joined["lobby"]["owner"], json!(old[1].peer), "somebody must be named");
    assert_eq!(code(&world.ask(&mut bob, json!({"type":"update","locked":false}))), "not-owner");
    let joined = world.ask(&mut ada, json!({"type":"return","ticket":tickets[0]}));
    assert_eq!(joined["type"], "joined");
    let told = world.hear_only(&mut bob, "owner");
    assert_eq!(told.last().unwrap()["peer"], json!(old[0].peer));
    assert_eq!(code(&world.ask(&mut bob, json!({"type":"kick","peer":old[0].peer}))), "not-owner");
    assert_eq!(world.ask(&mut ada, json!({"type":"kick","peer":old[1].peer}))["type"], "ok");
}

#[test]
fn a_second_return_with_the_same_ticket_takes_the_place_of_the_first() {
    let mut world = World::new();
    let (old, tickets, _) = completed(&mut world);
    let mut sockets: Vec<Player> = (0..3).map(|_| world.player()).collect();
    world.ask(&mut sockets[0], json!({"type":"return","ticket":tickets[0]}));
    world.ask(&mut sockets[1], json!({"type":"return","ticket":tickets[1]}));
    let joined = world.ask(&mut sockets[2], json!({"type":"return","ticket":tickets[1]}));
    assert_eq!(joined["lobby"]["members"].as_array().unwrap().len(), 2);
    assert_eq!(world.closed[&sockets[1].client], Close::Resumed);
    let heard = world.kinds(&mut sockets[0]);
    assert_eq!(heard, ["arrived", "link", "left", "arrived", "link"]);
    let back = json!({"type":"signal","to":old[1].peer,"kind":"end-of-candidates"});
    world.say(&mut sockets[0], back);
    assert_eq!(world.hear_only(&mut sockets[2], "signal").len(), 1);
}

#[test]
fn a_ticket_of_another_application_or_time_or_server_is_refused() {
    let mut world = World::new();
    let (_, tickets, _) = completed(&mut world);
    let mut other = world.player_from("192.0.2.1", "other");
    assert_eq!(code(&world.ask(&mut other, json!({"type":"return","ticket":tickets[0]}))), "bad-ticket");
    let mut ada = world.player();
    assert_eq!(code(&world.ask(&mut ada, json!({"type":"return","ticket":"no.ticket"}))), "bad-ticket");
    world.pass(12 * 3_600_000);
    assert_eq!(code(&world.ask(&mut ada, json!({"type":"return","ticket":tickets[0]}))), "bad-ticket");
}

#[test]
fn ice_servers_are_renewed_at_half_their_life() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    world.pass(21_599_999);
    assert!(world.hear_only(&mut players[0], "ice").is_empty());
    world.pass(1);
    assert_eq!(world.kinds(&mut players[0]), ["ice"], "and no second link");
    world.pass(21_600_000);
    assert_eq!(world.kinds(&mut players[0]), ["ice"]);
}

/// A candidate of this class, for the other one.
fn candidate(class: &str, to: &Player) -> Value {
    json!({"type":"signal","to":to.peer,"kind":"candidate","class":class,"data":{"candidate":class}})
}

fn classes(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["class"].as_str().or(frame["kind"].as_str()).unwrap()).collect()
}

#[test]
fn reflexive_candidates_wait_for_those_of_the_other_side() {
    let mut world = World::new();
    let (players, _) = world.lobby_of(2);
    let [mut ada, mut bob] = <[Player; 2]>::try_from(players).unwrap();
    for class in ["host", "srflx", "relay", "srflx"] {
        world.say(&mut bob, candidate(class, &ada));
    }
    world.say(&mut bob, json!({"type":"signal","to":ada.peer,"kind":"end-of-candidates"}));
    assert_eq!(classes(&world.hear_only(&mut ada, "signal")), ["host"]);
    world.say(&mut ada, candidate("host", &bob));
    assert_eq!(classes(&world.hear_only(&mut ada, "signal")), [] as [&str; 0]);
    // Both are told at the same time, and in order.
    world.say(&mut ada, candidate("srflx", &bob));
    assert_eq!(
        classes(&world.hear_only(&mut ada, "signal")),
        ["srflx", "relay", "srflx", "end-of-candidates"]
    );
    assert_eq!(classes(&world.hear_only(&mut bob, "signal")), ["host", "srflx"]);
    // Once for a link: a restart waits for nothing.
    world.say(&mut bob, candidate("srflx", &ada));
    assert_eq!(classes(&world.hear_only(&mut ada, "signal")), ["srflx"]);
}

#[test]
fn who_has_no_reflexive_candidate_holds_nobody_up() {
    let mut world = World::new();
    let (players, _) = world.lobby_of(2);
    let [mut ada, mut bob] = <[Player; 2]>::try_from(players).unwrap();
    world.say(&mut bob, candidate("srflx", &ada));
    world.say(&mut ada, json!({"type":"signal","to":bob.peer,"kind":"end-of-candidates"}));
    assert_eq!(classes(&world.hear_only(&mut ada, "signal")), ["srflx"]);
    assert_eq!(classes(&world.hear_only(&mut bob, "signal")), ["end-of-candidates"]);
}

#[test]
fn who_names_a_relay_has_looked_for_reflexive_candidates_too() {
    let mut world = World::new();
    let (players, _) = world.lobby_of(2);
    let [mut ada, mut bob] = <[Player; 2]>::try_from(players).unwrap();
    world.say(&mut bob, candidate("srflx", &ada));
    world.say(&mut ada, candidate("relay", &bob));
    assert_eq!(classes(&world.hear_only(&mut ada, "signal")), ["srflx"]);
    assert_eq!(classes(&world.hear_only(&mut bob, "signal")), ["relay"]);
}

#[test]
fn who_says_nothing_holds_nobody_up_for_longer_than_a_second() {
    let mut world = World::new();
    let (players, _) = world.lobby_of(2);
    let [mut ada, mut bob] = <[Player; 2]>::try_from(players).unwrap();
    world.say(&mut bob, candidate("srflx", &ada));
    world.pass(999);
    assert_eq!(classes(&world.hear_only(&mut ada, "signal")), [] as [&str; 0]);
    world.pass(1);
    assert_eq!(classes(&world.hear_only(&mut ada, "signal")), ["srflx"]);
}

#[test]
fn sixteen_signals_wait_and_what_comes_then_goes_at_once() {
    let mut world = World::new();
    let (players, _) = world.lobby_of(2);
    let [mut ada, mut bob] = <[Player; 2]>::try_from(players).unwrap();
    for _ in 0..18 {
        world.say(&mut bob, candidate("srflx", &ada));
    }
    assert_eq!(world.hear_only(&mut ada, "signal").len(), 2);
    world.pass(1_000);
    assert_eq!(world.hear_only(&mut ada, "signal").len(), 16);
}
