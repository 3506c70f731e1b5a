//! Sessions and their sockets: hello, being cut, coming back, being lost, and the server's own end.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use serde_json::json;
use twocan_lobby::{Close, Discard, Ended, Event};
use world::{World, code};

#[test]
fn a_cut_session_comes_back_and_hears_what_it_missed() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    world.cut(&players[1]);
    for n in 0..3 {
        let to = players[1].peer.clone();
        world.say(
            &mut players[0],
            json!({"type":"signal","to":to,"kind":"candidate","class":"host","data":{"n":n}}),
        );
    }
    world.pass(29_999);
    let welcome = world.resume(&mut players[1], "192.0.2.1");
    assert_eq!((&welcome["resumed"], &welcome["peer"]), (&json!(true), &json!(players[1].peer)));
    assert_eq!(welcome["received"], 1, "the join");
    let missed: Vec<_> = world.hear(&mut players[1]).iter().map(|frame| frame["data"]["n"].clone()).collect();
    assert_eq!(missed, [0, 1, 2]);
    world.pass(60_000);
    assert!(world.hear_only(&mut players[0], "left").is_empty(), "nobody noticed");
}

#[test]
fn a_cut_session_that_does_not_come_back_is_lost_after_ten_minutes_with_a_seat_and_thirty_seconds_without() {
    let mut world = World::new();
    let without = world.player();
    let (mut players, _) = world.lobby_of(2);
    world.cut(&without);
    world.cut(&players[1]);
    world.pass(29_999);
    assert_eq!(world.lobbies.sessions(), 3);
    world.pass(1);
    assert_eq!(world.lobbies.sessions(), 2);
    assert_eq!(world.hear(&mut players[0])[0]["type"], "away");
    world.pass(569_999);
    assert!(world.hear(&mut players[0]).is_empty());
    world.pass(1);
    assert_eq!(world.hear(&mut players[0])[0]["why"], "lost");
    let old = players[1].session.clone();
    let welcome = world.resume(&mut players[1], "192.0.2.1");
    assert_eq!(
        (&welcome["resumed"], &welcome["received"], &welcome["seq"]),
        (&json!(false), &json!(0), &json!(0))
    );
    assert_ne!(welcome["session"], json!(old));
}

#[test]
fn a_client_that_says_goodbye_has_left_at_once() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    world.end(players[1].client, Ended::Goodbye);
    assert_eq!(world.hear(&mut players[0])[0]["why"], "left");
    assert_eq!(world.lobbies.sessions(), 1);
}

#[test]
fn frames_sent_again_after_a_resume_are_done_once() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    let to = players[1].peer.clone();
    let signal = json!({"type":"signal","to":to,"kind":"end-of-candidates","id":2});
    world.text(players[0].client, &signal.to_string());
    world.cut(&players[0]);
    world.resume(&mut players[0], "192.0.2.1");
    world.text(players[0].client, &signal.to_string());
    assert_eq!(world.hear_only(&mut players[1], "signal").len(), 1);
    assert!(world.events.iter().any(|event| matches!(event, Event::Discarded(Discard::Duplicate))));
}

#[test]
fn a_resume_takes_the_session_from_its_older_socket() {
    let mut world = World::new();
    let mut ada = world.player();
    let older = ada.clone();
    assert_eq!(world.resume(&mut ada, "192.0.2.1")["resumed"], true);
    assert_eq!(world.closed[&older.client], Close::Resumed);
    world.text(older.client, r#"{"type":"create","id":1}"#);
    assert!(world.events.iter().any(|event| matches!(event, Event::Discarded(Discard::NoClient))));
    world.end(older.client, Ended::Goodbye);
    world.pass(60_000);
    assert_eq!(
        world.ask(&mut ada, json!({"type":"ping"}))["type"],
        "pong",
        "the older socket's end is not the session's"
    );
}

#[test]
fn nobody_resumes_without_the_secret() {
    let mut world = World::new();
    let ada = world.player();
    let mut guess = ada.clone();
    let last = if guess.session.ends_with('A') { "B" } else { "A" };
    guess.session.replace_range(31.., last);
    assert_eq!(world.resume(&mut guess, "192.0.2.1")["resumed"], false);
    guess.session = "nonsense".into();
    assert_eq!(world.resume(&mut guess, "192.0.2.1")["resumed"], false);
    assert!(world.closed.is_empty(), "the true session was not touched");
}

/// The answer to a ping is the socket's: the client may not have read what came before it, and says so when it comes back.
#[test]
fn what_a_sockets_pong_says_is_not_what_the_client_says() {
    let mut world = World::new();
    let mut ada = world.player();
    for _ in 0..3 {
        world.ask(&mut ada, json!({"type":"ping"}));
    }
    world.lobbies.handle_seen(ada.client, 3, world.now);
    world.cut(&ada);
    ada.seq = 1;
    assert_eq!(
        world.resume(&mut ada, "192.0.2.1")["resumed"],
        false,
        "what it missed is gone, and it begins anew"
    );
}

/// A socket that was given up may get through after the one that took its place: what it says is older than what the client has said since.
#[test]
fn a_hello_that_lay_in_the_network_touches_neither_the_session_nor_its_socket() {
    for is_cut in [false, true] {
        let mut world = World::new();
        let mut ada = world.player();
        for _ in 0..3 {
            world.ask(&mut ada, json!({"type":"ping"}));
        }
        world.ask(&mut ada, json!({"type":"ping","ack":3}));
        if is_cut {
            world.cut(&ada);
        }
        let late = world.connect("192.0.2.1");
        let resume = json!({"session":ada.session,"seq":2});
        world.text(late, &json!({"type":"hello","id":0,"app":"test","resume":resume}).to_string());
        assert_eq!((world.closed[&late], world.lobbies.sessions()), (Close::Resumed, 1));
        if is_cut {
            assert_eq!(world.resume(&mut ada, "192.0.2.1")["resumed"], true);
        }
        assert_eq!(world.ask(&mut ada, json!({"type":"ping"}))["type"], "pong");
    }
}

#[test]
fn a_seq_that_was_never_given_out_is_not_resumed() {
    let mut world = World::new();
    for seq in [1, 77, u64::MAX] {
        let mut ada = world.player();
        ada.seq = seq;
        assert_eq!(world.resume(&mut ada, "192.0.2.1")["resumed"], false, "{seq}");
    }
}

#[test]
fn what_a_cut_session_is_sent_waits_beyond_half_of_its_replay_and_is_resumed_whole() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(9);
    let data = json!({"sdp":"x".repeat(10_000)});
    let to = players[0].peer.clone();
    world.cut(&players[0]);
    for player in &mut players[1..] {
        for _ in 0..5 {
            let signal = json!({"type":"signal","to":to,"kind":"description","data":data});
            world.say(player, signal);
            assert!(world.hear_only(player, "error").is_empty());
        }
    }
    assert_eq!(world.resume(&mut players[0], "192.0.2.1")["resumed"], true);
    assert_eq!(world.hear_only(&mut players[0], "signal").len(), 40, "400 KB in all");
}

#[test]
fn more_than_the_replay_holds_of_what_one_asked_for_oneself_is_not_resumed() {
    let mut world = World::new();
    for _ in 0..8 {
        let mut owner = world.player_from("198.51.100.1", "test");
        world.create(&mut owner, json!({"public":true,"data":{"x":"y".repeat(2_000)}}));
    }
    for (lists, resumed) in [(18, true), (22, false)] {
        let mut ada = world.player();
        for _ in 0..lists {
            world.say(&mut ada, json!({"type":"list"}));
        }
        world.cut(&ada);
        world.take(ada.client);
        assert_eq!(world.resume(&mut ada, "192.0.2.1")["resumed"], resumed, "{lists}");
    }
}

#[test]
fn credentials_follow_a_member_to_its_new_address() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    world.cut(&players[1]);
    world.resume(&mut players[1], "203.0.113.9");
    assert_eq!(world.kinds(&mut players[1]), ["ice"]);
    assert_eq!(world.relay.last().unwrap(), &format!("grant {} 203.0.113.9", players[1].peer));
}

#[test]
fn credentials_due_while_cut_are_renewed_on_coming_back() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    world.pass(21_590_000);
    world.cut(&players[1]);
    world.pass(20_000);
    let granted = world.relay.len();
    world.resume(&mut players[1], "192.0.2.1");
    assert_eq!(world.relay.len(), granted + 1);
    assert_eq!(world.kinds(&mut players[1]), ["ice"]);
}

#[test]
fn a_socket_says_hello_within_ten_seconds_and_properly() {
    let mut world = World::new();
    let late = world.connect("192.0.2.1");
    world.pass(9_999);
    assert!(world.closed.is_empty());
    world.pass(1);
    assert_eq!(world.closed[&late], Close::BadHello);
    for wrong in [
        "",
        "hello",
        r#"{"type":"create","id":1}"#,
        r#"{"type":"hello","id":1,"app":"x"}"#,
        r#"{"type":"hello","id":0}"#,
        r#"{"type":"hello","id":0,"app":""}"#,
        r#"{"type":"hello","id":0,"app":"a b"}"#,
        &format!(r#"{{"type":"hello","id":0,"app":"{}"}}"#, "a".repeat(65)),
    ] {
        let client = world.connect("192.0.2.1");
        world.text(client, wrong);
        assert_eq!(world.closed[&client], Close::BadHello, "{wrong}");
    }
    world.player_from("192.0.2.1", &"a".repeat(64));
}

#[test]
fn a_second_hello_is_refused_and_changes_nothing() {
    let mut world = World::new();
    let mut ada = world.player();
    world.text(ada.client, r#"{"type":"hello","id":0,"app":"other"}"#);
    let refused = world.hear(&mut ada).remove(0);
    assert_eq!((code(&refused), &refused["id"]), ("bad-message", &json!(0)));
}

#[test]
fn shutting_down_sends_everyone_away_and_sealed_lobbies_a_little_later() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    let idle = world.player();
    world.ask(&mut players[0], json!({"type":"seal"}));
    world.drain();
    assert_eq!(world.closed[&idle.client], Close::GoingAway);
    assert!(!world.closed.contains_key(&players[0].client));
    let new = world.connect("192.0.2.1");
    assert_eq!(world.closed[&new], Close::GoingAway);
    world.link_all(&mut players);
    assert_eq!(world.closed[&players[0].client], Close::Complete);
    for client in [idle.client, new, players[0].client, players[1].client] {
        assert!(!world.events.iter().any(|event| matches!(event, Event::Drained)));
        world.end(client, Ended::Cut);
    }
    assert!(world.events.iter().any(|event| matches!(event, Event::Drained)));
}

#[test]
fn shutting_down_waits_five_seconds_and_lets_nobody_enter() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    world.ask(&mut players[0], json!({"type":"seal"}));
    world.drain();
    world.ask(&mut players[1], json!({"type":"leave"}));
    assert_eq!(code(&world.ask(&mut players[1], json!({"type":"create"}))), "shutting-down");
    world.pass(5_000);
    assert_eq!(world.closed[&players[0].client], Close::GoingAway);
    assert_eq!(world.closed[&players[1].client], Close::GoingAway);
}

#[test]
fn an_answer_to_our_own_farewell_while_draining_takes_no_credentials_back() {
    let mut world = World::new();
    let (players, _) = world.lobby_of(2);
    world.relay.clear();
    world.drain();
    for player in &players {
        assert_eq!(world.closed[&player.client], Close::GoingAway);
        world.end(player.client, Ended::Goodbye);
    }
    assert!(world.relay.is_empty(), "relayed links go on: {:?}", world.relay);
    assert!(world.events.iter().any(|event| matches!(event, Event::Drained)));
}
