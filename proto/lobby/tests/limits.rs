//! Each limit of `server/limits.rs`, reached. (Those of resuming, guessing, sealing and draining: in their own stories.)

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod world;

use serde_json::{Value, json};
use twocan_base::{Quota, Rate};
use twocan_lobby::{Close, Ended, Limits};
use world::{Player, World, code};

fn plenty() -> Rate {
    Rate::per_second(1_000_000, 1_000_000)
}

/// For one address as for all.
fn all() -> Quota {
    Quota { total: 1 << 40, household: 1 << 40, site: 1 << 40, floor: 1 << 40 }
}

/// So many for each household, whatever the others have.
fn each(household: u64) -> Quota {
    Quota { total: 1 << 40, household, site: 1 << 40, floor: 1 }
}

fn roomy() -> Limits {
    Limits {
        frames_burst: 1_000_000,
        guesses_per_session: 1_000_000,
        guesses_per_address: 1_000_000,
        first_guesses_per_address: 1_000_000,
        openings_per_address: 1_000_000,
        session_starts: plenty(),
        entries: plenty(),
        entries_of_lobby: plenty(),
        sockets: all(),
        sessions: all(),
        lobbies: all(),
        bytes: all(),
        ..Limits::default()
    }
}

#[test]
fn a_frame_has_16384_bytes_at_most() {
    let mut world = World::new();
    let mut ada = world.player();
    let frame = |len: usize| {
        let head = r#"{"type":"ping","id":1,"x":""#;
        format!("{head}{}\"}}", "x".repeat(len - head.len() - 2))
    };
    world.text(ada.client, &frame(16_384));
    assert_eq!(world.kinds(&mut ada), ["pong"]);
    world.text(ada.client, &frame(16_385));
    assert_eq!(world.closed[&ada.client], Close::TooLong);
}

#[test]
fn fields_are_refused_just_beyond_their_limits() {
    let object = |len: usize| json!({"x": "y".repeat(len - 8)});
    let text = |len: usize| Value::from("p".repeat(len));
    for (message, field, inside, outside) in [
        ("create", "data", object(2_048), object(2_049)),
        ("create", "me", object(512), object(513)),
        ("create", "password", text(512), text(513)),
        ("create", "password", text(1), text(0)),
        ("create", "size", json!(64), json!(65)),
        ("create", "size", json!(2), json!(1)),
        ("create", "size", json!(8), json!(-1)),
        ("create", "data", json!({}), json!([])),
        ("create", "me", json!({}), json!("x")),
        ("quick", "filter", object(2_048), object(2_049)),
        ("quick", "data", object(2_048), object(2_049)),
        ("list", "filter", object(2_048), object(2_049)),
    ] {
        let mut world = World::new();
        let (mut ada, mut bob) = (world.player(), world.player());
        let reply = world.ask(&mut ada, json!({"type":message, field:inside}));
        assert_ne!(reply["type"], "error", "{message} {field} {inside}");
        let reply = world.ask(&mut bob, json!({"type":message, field:outside}));
        assert_eq!(code(&reply), "bad-value", "{message} {field} {outside}");
    }
}

#[test]
fn data_too_deep_to_look_into_is_refused() {
    let mut world = World::new();
    let mut ada = world.player();
    let deep = format!("{}1{}", r#"{"a":"#.repeat(200), "}".repeat(200));
    for message in ["create", "quick", "update"] {
        if message == "update" {
            world.create(&mut ada, json!({}));
        }
        ada.id += 1;
        world.text(ada.client, &format!(r#"{{"type":"{message}","id":{},"data":{deep}}}"#, ada.id));
        assert_eq!(code(world.hear(&mut ada).last().unwrap()), "bad-value");
    }
}

#[test]
fn a_ticket_a_time_to_connect_and_a_number_have_their_limits() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    let mut eve = world.player();
    let ticket = |len: usize| json!({"type":"return","ticket":"t".repeat(len)});
    assert_eq!(code(&world.ask(&mut eve, ticket(4_096))), "bad-ticket");
    assert_eq!(code(&world.ask(&mut eve, ticket(4_097))), "bad-value");
    let linked = |ms: u64, peer: &str| json!({"type":"linked","peer":peer,"path":"direct","ms":ms});
    let bob = players[1].peer.clone();
    world.say(&mut players[0], linked(600_000, &bob));
    assert!(world.hear(&mut players[0]).is_empty());
    assert_eq!(code(&world.ask(&mut players[0], linked(600_001, &bob))), "bad-value");
    world.text(eve.client, r#"{"type":"ping","id":9007199254740992}"#);
    assert_eq!(code(&world.hear(&mut eve)[0]), "bad-message");
    world.text(eve.client, r#"{"type":"ping","id":9007199254740991}"#);
    assert_eq!(world.kinds(&mut eve), ["pong"]);
}

#[test]
fn two_hundred_frames_at_once_then_twenty_a_second() {
    let mut world = World::new();
    let mut ada = world.player();
    for _ in 0..200 {
        assert_eq!(world.ask(&mut ada, json!({"type":"ping"}))["type"], "pong");
    }
    let reply = world.ask(&mut ada, json!({"type":"ping"}));
    assert_eq!((code(&reply), reply["retry"].as_u64()), ("rate-limited", Some(1)));
    world.pass(1_000);
    let answered = (0..30).filter(|_| world.ask(&mut ada, json!({"type":"ping"}))["type"] == "pong").count();
    assert_eq!(answered, 20);
}

#[test]
fn what_reaches_many_counts_for_five() {
    let mut world = World::new();
    let mut ada = world.player();
    for _ in 0..40 {
        assert_eq!(world.ask(&mut ada, json!({"type":"list"}))["type"], "lobbies");
    }
    assert_eq!(code(&world.ask(&mut ada, json!({"type":"list"}))), "rate-limited");
}

#[test]
fn each_link_brings_twenty_frames_more() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(4);
    let to = players[0].peer.clone();
    let signal = json!({"type":"signal","to":to,"kind":"end-of-candidates"});
    // The join spent one of the 200.
    for n in 0..199 + 3 * 20 {
        world.say(&mut players[3], signal.clone());
        assert!(world.hear_only(&mut players[3], "error").is_empty(), "{n}");
    }
    assert_eq!(code(&world.ask(&mut players[3], signal)), "rate-limited");
}

#[test]
fn after_two_hundred_refusals_the_socket_is_closed() {
    let mut world = World::new();
    let mut ada = world.player();
    for _ in 0..400 {
        world.say(&mut ada, json!({"type":"ping"}));
    }
    assert!(world.closed.is_empty());
    world.say(&mut ada, json!({"type":"ping"}));
    assert_eq!(world.closed[&ada.client], Close::TooManyRequests);
}

#[test]
fn sockets_that_find_no_place_take_nobody_elses() {
    let sockets = Quota { total: 6, household: 3, site: 3, floor: 1 };
    let mut world = World::with(Limits { sockets, ..Limits::default() });
    let crowd: Vec<_> = (0..100).map(|_| world.connect("192.0.2.1")).collect();
    let honest = world.connect("198.51.100.7");
    assert!(!world.closed.contains_key(&honest), "{} were refused", world.closed.len());
    for socket in crowd {
        world.end(socket, Ended::Cut);
    }
    let again: Vec<_> = (0..3).map(|_| world.connect("192.0.2.1")).collect();
    assert!(again.iter().any(|socket| !world.closed.contains_key(socket)), "what was taken has come back");
}

#[test]
fn sockets_and_sessions_of_one_address_are_counted_and_given_back() {
    let mut world = World::with(Limits { sockets: each(3), sessions: each(2), ..Limits::default() });
    let hello = r#"{"type":"hello","id":0,"app":"test"}"#;
    let sockets: Vec<_> = (0..4).map(|_| world.connect("2001:db8::1")).collect();
    assert_eq!(world.closed[&sockets[3]], Close::Full);
    for socket in &sockets[..3] {
        world.text(*socket, hello);
    }
    assert_eq!(world.closed[&sockets[2]], Close::Full, "a third session");
    assert!(!world.closed.contains_key(&sockets[1]));
    for socket in sockets {
        world.end(socket, Ended::Goodbye);
    }
    world.player_from("2001:db8::2", "test");
    world.player_from("2001:db8::3", "test");
    world.player_from("192.0.2.1", "test");
}

#[test]
fn lobbies_of_one_address_are_counted_and_given_back() {
    let mut world = World::with(Limits { lobbies: each(16), ..Limits::default() });
    let mut players: Vec<Player> = (0..17).map(|_| world.player()).collect();
    for player in &mut players[..16] {
        world.create(player, json!({}));
    }
    assert_eq!(code(&world.ask(&mut players[16], json!({"type":"create"}))), "too-many-lobbies");
    assert_eq!(code(&world.ask(&mut players[16], json!({"type":"quick"}))), "too-many-lobbies");
    world.ask(&mut players[0], json!({"type":"leave"}));
    world.create(&mut players[16], json!({}));
}

#[test]
fn sessions_and_lobbies_in_all_are_limited() {
    let all = |total| Quota { total, household: total, site: total, floor: total };
    let mut world = World::with(Limits { sessions: all(3), lobbies: all(2), ..Limits::default() });
    let mut players: Vec<Player> = (0..3).map(|_| world.player()).collect();
    world.create(&mut players[0], json!({}));
    world.create(&mut players[1], json!({}));
    assert_eq!(code(&world.ask(&mut players[2], json!({"type":"create"}))), "too-many-lobbies");
    let client = world.connect("192.0.2.1");
    world.text(client, r#"{"type":"hello","id":0,"app":"test"}"#);
    assert_eq!(world.closed[&client], Close::Full);
}

#[test]
fn new_sessions_of_one_address_are_paced_and_others_are_not() {
    let mut world = World::new();
    let hello = r#"{"type":"hello","id":0,"app":"test"}"#;
    let visit = |world: &mut World, from: &str| {
        let client = world.connect(from);
        world.text(client, hello);
        let is_in = !world.closed.contains_key(&client);
        world.end(client, Ended::Goodbye);
        is_in
    };
    assert_eq!((0..1_000).filter(|_| visit(&mut world, "192.0.2.1")).count(), 512);
    assert!(visit(&mut world, "192.0.2.2"));
    world.pass(1_000);
    assert_eq!((0..100).filter(|_| visit(&mut world, "192.0.2.1")).count(), 4);
}

#[test]
fn passwords_are_hashed_one_at_a_time_and_households_take_turns() {
    let mut world = World::new();
    world.hold_hashes = true;
    let mut crowd: Vec<Player> = (0..200).map(|_| world.player_from("192.0.2.1", "test")).collect();
    for player in &mut crowd {
        world.say(player, json!({"type":"create","password":"x"}));
    }
    let mut ada = world.player_from("192.0.2.2", "test");
    world.say(&mut ada, json!({"type":"create","password":"y"}));
    let mut made = 0;
    while world.hear_only(&mut ada, "joined").is_empty() {
        assert_eq!(world.hashes.len(), 1, "one at a time");
        let job = world.hashes.remove(0);
        world.make_hash(&job);
        made += 1;
    }
    assert!(made <= 3, "she waits for one of theirs, not for all: {made}");
}

#[test]
fn whoever_wants_one_hash_does_not_wait_for_fifty_households_that_want_four() {
    let mut world = World::new();
    world.hold_hashes = true;
    for n in 0..200 {
        let mut eve = world.player_from(&format!("192.0.2.{}", n % 50), "test");
        world.say(&mut eve, json!({"type":"create","password":"x"}));
    }
    for _ in 0..80 {
        let job = world.hashes.remove(0);
        world.make_hash(&job);
    }
    let mut ada = world.player_from("203.0.113.1", "test");
    world.say(&mut ada, json!({"type":"create","password":"y"}));
    let mut made = 0;
    while world.hear_only(&mut ada, "joined").is_empty() {
        let job = world.hashes.remove(0);
        world.make_hash(&job);
        made += 1;
    }
    assert!(made <= 3, "{made}");
}

#[test]
fn passwords_that_wait_are_limited_and_the_next_household_still_gets_its_turn() {
    let mut world = World::with(Limits { hashes: Limits::default().hashes, ..roomy() });
    world.hold_hashes = true;
    let mut refused = 0;
    for from in ["192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"] {
        let mut crowd: Vec<Player> = (0..300).map(|_| world.player_from(from, "test")).collect();
        for player in &mut crowd {
            world.say(player, json!({"type":"join","code":"ABCD","password":"x"}));
            refused += world.hear_only(player, "error").len();
        }
    }
    assert!(refused > 100, "{refused}");
    let mut ada = world.player_from("192.0.2.9", "test");
    world.say(&mut ada, json!({"type":"create","password":"y"}));
    assert!(world.hear(&mut ada).is_empty(), "she is not refused");
}

#[test]
fn a_list_has_a_hundred_lobbies_and_counts_all() {
    let mut world = World::with(roomy());
    for _ in 0..101 {
        let mut player = world.player();
        world.create(&mut player, json!({"public":true}));
    }
    let mut eve = world.player();
    let list = world.ask(&mut eve, json!({"type":"list"}));
    assert_eq!((list["lobbies"].as_array().unwrap().len(), list["total"].as_u64()), (100, Some(101)));
}

#[test]
fn page_after_page_a_list_has_every_lobby_once() {
    // So many that they do not all find room: by their number, or by their bytes.
    for (lobbies, data, sort) in [(250, 10, "newest"), (50, 2_000, "newest"), (120, 10, "fullest")] {
        let mut world = World::with(roomy());
        let mut codes = std::collections::BTreeSet::new();
        for _ in 0..lobbies {
            let mut player = world.player();
            codes.insert(world.create(&mut player, json!({"public":true,"data":{"x":"y".repeat(data)}})));
        }
        let mut eve = world.player();
        let mut seen = Vec::new();
        loop {
            let list = json!({"type":"list","sort":sort,"skip":seen.len()});
            let page = world.ask(&mut eve, list)["lobbies"].as_array().unwrap().clone();
            if page.is_empty() {
                break;
            }
            seen.extend(page.iter().map(|lobby| lobby["code"].as_str().unwrap().to_owned()));
            world.pass(1_000);
        }
        assert_eq!(seen.len(), lobbies);
        assert_eq!(seen.into_iter().collect::<std::collections::BTreeSet<_>>(), codes);
    }
    let mut world = World::new();
    let mut eve = world.player();
    for wrong in [
        json!({"type":"list","skip":-1}),
        json!({"type":"list","skip":65_536}),
        json!({"type":"list","sort":"oldest"}),
    ] {
        assert_eq!(world.ask(&mut eve, wrong)["code"], "bad-message");
    }
}

#[test]
fn a_list_of_large_lobbies_stays_under_its_bytes() {
    let mut world = World::with(roomy());
    for _ in 0..50 {
        let mut player = world.player();
        world.create(&mut player, json!({"public":true,"data":{"x":"y".repeat(2_000)}}));
    }
    let mut eve = world.player();
    let list = world.ask(&mut eve, json!({"type":"list"}));
    assert!(list.to_string().len() <= 24_576 + 200);
    assert_eq!((list["lobbies"].as_array().unwrap().len(), list["total"].as_u64()), (11, Some(50)));
}

/// Forty people have a lobby each; then households, or a site with many of them, open lobbies that fill the list by themselves.
#[test]
fn who_has_many_or_long_lobbies_hides_nobody_elses() {
    type Crowd = (&'static str, fn(usize) -> String, usize, usize);
    let crowds: [Crowd; 3] = [
        ("one address, long", |_| "198.51.100.66".into(), 14, 1_900),
        ("three addresses, short", |n| format!("198.51.100.{}", 66 + n % 3), 180, 300),
        ("one site, long", |n| format!("2001:db8:0:{n:x}00::1"), 100, 1_900),
    ];
    for (name, from, count, bytes) in crowds {
        let mut world = World::with(roomy());
        let mut honest = std::collections::BTreeSet::new();
        for n in 0..40 {
            let mut player = world.player_from(&format!("192.0.2.{n}"), "test");
            let lobby = json!({"public":true,"data":{"map":"dust","x":"y".repeat(200)}});
            honest.insert(world.create(&mut player, lobby));
        }
        for n in 0..count {
            let mut player = world.player_from(&from(n), "test");
            world.create(&mut player, json!({"public":true,"data":{"map":"dust","x":"y".repeat(bytes)}}));
        }
        for filter in [json!({}), json!({"map":"dust"})] {
            let mut eve = world.player();
            let list = world.ask(&mut eve, json!({"type":"list","filter":filter}));
            let codes =
                list["lobbies"].as_array().unwrap().iter().map(|lobby| lobby["code"].as_str().unwrap());
            let shown = codes.filter(|code| honest.contains(*code)).count();
            assert_eq!(shown, 40, "{name}, {filter}");
            assert!(list.to_string().len() <= 24_576 + 200);
        }
    }
}

#[test]
fn a_filter_looks_at_the_newest_thousand() {
    let mut world = World::with(roomy());
    for n in 0..1_001 {
        let mut player = world.player();
        world.create(&mut player, json!({"public":true,"data":{"first": n == 0}}));
    }
    let mut eve = world.player();
    assert_eq!(world.ask(&mut eve, json!({"type":"list","filter":{"first":true}}))["total"], 0);
    assert_eq!(world.ask(&mut eve, json!({"type":"list","filter":{"first":false}}))["total"], 1_000);
}

#[test]
fn where_bytes_run_short_a_list_is_short_and_still_answered() {
    let bytes = Quota { total: 1 << 20, household: 200_000, site: 1 << 20, floor: 1_024 };
    let mut world = World::with(Limits { bytes, ..roomy() });
    for n in 0..50 {
        let mut player = world.player_from(&format!("198.51.100.{n}"), "test");
        world.create(&mut player, json!({"public":true,"data":{"x":"y".repeat(2_000)}}));
    }
    let mut waiting = 0;
    for _ in 0..300 {
        let mut eve = world.player();
        world.stop_reading(&eve);
        assert_eq!(world.ask(&mut eve, json!({"type":"list"}))["total"], 50);
        waiting += world.unread[&eve.client];
    }
    assert!(waiting < 300 * 6_000, "{waiting} bytes for three hundred who read nothing");
}

#[test]
fn where_sessions_run_short_those_without_a_socket_and_a_lobby_give_way() {
    let sessions = Quota { total: 100, household: 100, site: 100, floor: 4 };
    let mut world = World::with(Limits { sessions, ..Limits::default() });
    let mut owner = world.player_from("198.51.100.1", "test");
    world.create(&mut owner, json!({}));
    world.cut(&owner);
    for n in 0..1_000 {
        let eve = world.player_from(&format!("192.0.{}.{}", n / 250, n % 250), "test");
        world.cut(&eve);
    }
    assert!(world.lobbies.sessions() <= 76, "{}", world.lobbies.sessions());
    assert_eq!(world.resume(&mut owner, "198.51.100.1")["resumed"], true, "who has a seat keeps it");
}

#[test]
fn a_filter_has_sixteen_keys() {
    let mut world = World::new();
    let mut ada = world.player();
    let filter = |keys: usize| -> Value { (0..keys).map(|n| (n.to_string(), Value::from(n))).collect() };
    assert_eq!(world.ask(&mut ada, json!({"type":"list","filter":filter(16)}))["type"], "lobbies");
    assert_eq!(code(&world.ask(&mut ada, json!({"type":"list","filter":filter(17)}))), "bad-value");
}

#[test]
fn a_watcher_hears_a_hundred_changes_at_a_time_and_of_five_hundred_lobbies() {
    let mut world = World::with(roomy());
    let mut eve = world.player();
    world.ask(&mut eve, json!({"type":"list","watch":true}));
    for _ in 0..550 {
        let mut player = world.player();
        world.create(&mut player, json!({"public":true}));
    }
    world.pass(0);
    assert_eq!(world.hear(&mut eve).len(), 100);
    world.pass(249);
    assert_eq!(world.hear(&mut eve).len(), 0);
    world.pass(1);
    assert_eq!(world.hear(&mut eve).len(), 100);
    world.pass(10_000);
    assert_eq!(world.hear(&mut eve).len(), 300, "five hundred in all");
}

#[test]
fn watchers_are_told_a_few_at_a_time_and_all_of_them() {
    let mut world = World::with(roomy());
    let mut watchers: Vec<Player> = (0..100).map(|_| world.player()).collect();
    for watcher in &mut watchers {
        world.ask(watcher, json!({"type":"list","watch":true}));
    }
    let mut ada = world.player();
    world.create(&mut ada, json!({"public":true}));
    world.pass(0);
    let told = |world: &mut World, watchers: &mut [Player]| -> usize {
        watchers.iter_mut().map(|watcher| world.hear_only(watcher, "listed").len()).sum()
    };
    assert_eq!(told(&mut world, &mut watchers), 4);
    world.pass(100);
    assert_eq!(told(&mut world, &mut watchers), 96);
}

#[test]
fn codes_grow_with_the_lobbies_of_their_application_so_that_few_guesses_hit() {
    let mut world = World::with(roomy());
    let mut longest = 0;
    for n in 0..1_500 {
        let mut player = world.player();
        let lobby = world.create(&mut player, json!({}));
        longest = longest.max(lobby.len());
        let space = 29_f64.powi(lobby.len() as i32);
        assert!((n + 1) as f64 / space <= 1.0 / 14_000.0, "{n} lobbies and {lobby}");
    }
    assert_eq!(longest, 6);
    let mut other = world.player_from("192.0.2.1", "elsewhere");
    assert_eq!(world.create(&mut other, json!({})).len(), 4, "each application has codes of its own");
    let mut bob = world.player();
    let lobby = world.create(&mut bob, json!({"code":"long"}));
    assert_eq!(lobby.len(), 10);
    let mut eve = world.player();
    assert_eq!(world.join(&mut eve, &lobby.to_lowercase())["type"], "joined");
}

#[test]
fn a_lobby_lives_for_a_day() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    world.pass(24 * 3_600_000 - 1);
    assert_eq!(world.lobbies.lobbies(), 1);
    world.hear(&mut players[0]);
    world.pass(1);
    let heard = world.hear(&mut players[0]);
    assert_eq!((&heard[0]["type"], &heard[0]["why"]), (&json!("removed"), &json!("lobby-closed")));
    assert_eq!(world.lobbies.lobbies(), 0);
    assert_eq!(world.relay.last().unwrap(), "close");
    world.create(&mut players[0], json!({}));
}

#[test]
fn a_lobby_of_sixty_four_links_everyone_with_everyone() {
    let mut world = World::with(roomy());
    let (mut players, lobby) = world.lobby_of(64);
    let mut late = world.player();
    assert_eq!(code(&world.join(&mut late, &lobby)), "full");
    world.ask(&mut players[0], json!({"type":"seal"}));
    world.link_all(&mut players);
    for player in &mut players {
        let complete = world.hear(player).pop().unwrap();
        assert_eq!(complete["type"], "complete");
        let ticket = complete["ticket"].as_str().unwrap();
        assert!(ticket.len() <= 4_096, "{}", ticket.len());
    }
}

#[test]
fn an_address_opens_sixty_lobbies_a_minute() {
    let mut world = World::new();
    let mut ada = world.player();
    for _ in 0..60 {
        assert_eq!(world.ask(&mut ada, json!({"type":"create"}))["type"], "joined");
        world.ask(&mut ada, json!({"type":"leave"}));
    }
    assert_eq!(code(&world.ask(&mut ada, json!({"type":"create"}))), "rate-limited");
    world.pass(1_000);
    assert_eq!(world.ask(&mut ada, json!({"type":"create"}))["type"], "joined");
}

#[test]
fn an_address_has_four_hundred_and_eighty_passwords_hashed_a_minute() {
    let mut world = World::with(Limits { openings_per_address: 10_000, ..Limits::default() });
    let mut ada = world.player();
    for _ in 0..480 {
        assert_eq!(world.ask(&mut ada, json!({"type":"create", "password":"x"}))["type"], "joined");
        world.ask(&mut ada, json!({"type":"leave"}));
        world.pass(100);
    }
    let made = world.hashes_made;
    while code_or_type(&world.ask(&mut ada, json!({"type":"create", "password":"x"}))) == "joined" {
        world.ask(&mut ada, json!({"type":"leave"}));
    }
    assert!(world.hashes_made - made <= 385, "eight come back each second");
}

fn code_or_type(reply: &Value) -> &str {
    reply["code"].as_str().or(reply["type"].as_str()).unwrap()
}
