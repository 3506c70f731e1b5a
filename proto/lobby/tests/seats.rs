//! A lobby belongs to people, not to sockets: who is away, who comes back, to what, and after what.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod meeting;
mod world;

use std::time::Duration;

use meeting::{Meeting, create, join};
use serde_json::{Value, json};
use twocan_lobby::client::{Failure, LinkState, RoomEvent, ServerEvent};
use twocan_lobby::server::limits::{AWAY_AFTER, AWAY_WITHIN, OWNER_AWAY, RELOAD_WITHIN, TICKET_LIFETIME};
use twocan_lobby::wire::ErrorCode;
use twocan_lobby::wire::{ClientMessage, LeftWhy, Me};
use twocan_lobby::{Ended, Limits, Quota};
use world::{Player, World, code};

const ADA: usize = 0;
const BOB: usize = 1;

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

fn types(frames: &[Value]) -> Vec<&str> {
    frames.iter().map(|frame| frame["type"].as_str().unwrap()).collect()
}

/// Opens a lobby; the reply.
fn opened(world: &mut World, player: &mut Player, mut fields: Value) -> Value {
    fields["type"] = "create".into();
    world.ask(player, fields)
}

fn back(world: &mut World, player: &mut Player, joined: &Value) -> Value {
    world.ask(player, json!({"type":"return","ticket":joined["ticket"],"run":7,"me":{"name":"Ada"}}))
}

#[test]
fn a_socket_that_is_cut_for_a_moment_is_not_said_to_be_away() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    let [ada, bob] = &mut players[..] else { unreachable!() };
    world.cut(ada);
    world.pass(millis(AWAY_AFTER) - 1);
    world.resume(ada, "192.0.2.1");
    world.pass(millis(AWAY_AFTER));
    assert!(world.hear(bob).is_empty());
    assert!(world.hear(ada).is_empty());
}

#[test]
fn who_sleeps_for_minutes_is_away_meanwhile_and_has_the_same_seat_afterwards() {
    let mut world = World::new();
    let (mut players, code) = world.lobby_of(2);
    let [ada, bob] = &mut players[..] else { unreachable!() };
    world.cut(ada);
    world.pass(millis(AWAY_AFTER));
    assert_eq!(types(&world.hear(bob)), ["away"]);
    // Who comes meanwhile sees it.
    world.pass(millis(AWAY_WITHIN) - millis(AWAY_AFTER) - 2);
    let mut eve = world.player();
    let full = world.join(&mut eve, &code);
    assert_eq!(world::code(&full), "full");
    let welcome = world.resume(ada, "192.0.2.1");
    assert_eq!(welcome["resumed"], true);
    let heard = world.hear(bob);
    assert_eq!(types(&heard), ["owner", "back"]);
    assert_eq!(heard[1]["member"]["peer"], ada.peer.as_str());
}

#[test]
fn who_stays_away_for_longer_has_left() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    let [ada, bob] = &mut players[..] else { unreachable!() };
    world.cut(ada);
    world.pass(millis(AWAY_WITHIN) + 1);
    let heard = world.hear(bob);
    assert_eq!(types(&heard), ["away", "owner", "left"]);
    assert_eq!(heard[2]["why"], "lost");
}

#[test]
fn a_page_that_is_closed_is_away_at_once_and_has_left_after_the_time_of_a_reload() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(2);
    let [ada, bob] = &mut players[..] else { unreachable!() };
    world.end(ada.client, Ended::Unloaded);
    world.pass(0);
    assert_eq!(types(&world.hear(bob)), ["away"]);
    world.pass(millis(RELOAD_WITHIN) - 1);
    assert!(world.hear(bob).is_empty());
    world.pass(1);
    assert_eq!(types(&world.hear(bob)), ["left", "owner"]);
    assert_eq!(world.lobbies.sessions(), 1);
}

#[test]
fn the_relay_takes_back_what_a_closed_page_had_and_grants_anew_to_one_that_comes_back() {
    for comes_back_by_ticket in [false, true] {
        let mut world = World::new();
        let (mut ada, mut bob) = (world.player(), world.player());
        let opened = world.ask(&mut ada, json!({"type":"create"}));
        world.join(&mut bob, opened["lobby"]["code"].as_str().unwrap());
        world.relay.clear();
        world.end(ada.client, Ended::Unloaded);
        let revoked = format!("revoke {}", opened["peer"].as_str().unwrap());
        assert_eq!(world.relay, [revoked], "back by ticket: {comes_back_by_ticket}");
        world.relay.clear();
        if comes_back_by_ticket {
            let mut again = world.player();
            let back = world.ask(&mut again, json!({"type":"return","ticket":opened["ticket"]}));
            assert_eq!(back["type"], "joined");
        } else {
            world.resume(&mut ada, "192.0.2.1");
        }
        assert_eq!(world.relay.len(), 1, "{:?}", world.relay);
        assert!(world.relay[0].starts_with("grant"), "{:?}", world.relay);
    }
    // A socket that is cut says nothing of the links, which may live by the relay.
    let mut world = World::new();
    let (players, _) = world.lobby_of(2);
    world.relay.clear();
    world.cut(&players[0]);
    assert!(world.relay.is_empty());
}

#[test]
fn a_page_without_a_lobby_that_is_closed_leaves_nothing_behind() {
    let mut world = World::new();
    let ada = world.player();
    world.end(ada.client, Ended::Unloaded);
    assert_eq!(world.lobbies.sessions(), 0);
}

#[test]
fn the_lobby_of_an_owner_that_is_away_goes_to_one_that_is_there() {
    let mut world = World::new();
    let (mut players, _) = world.lobby_of(3);
    let [ada, bob, eve] = &mut players[..] else { unreachable!() };
    // Who has been there longest, but is away too, is passed over.
    world.cut(bob);
    world.cut(ada);
    world.pass(millis(AWAY_AFTER) + millis(OWNER_AWAY));
    let owner = world.hear_only(eve, "owner");
    assert_eq!(owner[0]["peer"], eve.peer.as_str());
    assert_eq!(world.ask(eve, json!({"type":"update","locked":true}))["type"], "ok");
}

#[test]
fn a_lobby_that_nobody_is_at_is_not_listed_and_is_entered_by_its_code_all_the_same() {
    let mut world = World::new();
    let mut ada = world.player();
    let code = world.create(&mut ada, json!({"public":true}));
    let mut eve = world.player();
    world.cut(&ada);
    world.pass(millis(AWAY_AFTER));
    assert_eq!(world.ask(&mut eve, json!({"type":"list"}))["total"], 0);
    let joined = world.join(&mut eve, &code);
    assert_eq!(joined["lobby"]["members"][0]["away"], true);
    assert_eq!(joined["lobby"]["members"][1].get("away"), None);
}

#[test]
fn another_run_of_a_program_has_the_seat_of_the_one_before_and_its_links_begin_anew() {
    // Whether the server has noticed that the one before is gone, or has not.
    for how in [Some(Ended::Unloaded), Some(Ended::Cut), None] {
        let mut world = World::new();
        let [mut ada, mut bob] = [world.player(), world.player()];
        let joined = opened(&mut world, &mut ada, json!({"size":2,"password":"p","run":1}));
        let code = joined["lobby"]["code"].clone();
        world.ask(&mut bob, json!({"type":"join","code":code,"password":"p","run":5}));
        let first_run = world.hear_only(&mut bob, "link");
        assert_eq!(first_run.len(), 0, "it came with the reply");
        if let Some(how) = how {
            world.end(ada.client, how);
            world.pass(millis(AWAY_AFTER));
        }
        world.hear(&mut bob);
        let mut again = world.player();
        let rejoined = back(&mut world, &mut again, &joined);
        assert_eq!(rejoined["peer"], ada.peer.as_str());
        assert_eq!(rejoined["lobby"]["owner"], ada.peer.as_str());
        assert_eq!(rejoined["lobby"]["members"][0]["me"], json!({"name":"Ada"}));
        let heard = world.hear(&mut bob);
        assert_eq!(types(&heard), ["back", "link"]);
        assert_eq!((&heard[1]["peer"], &heard[1]["run"]), (&json!(ada.peer), &json!(7)));
        assert_eq!(world.lobbies.sessions(), 2);
        assert!(how.is_some() || world.closed[&ada.client] == twocan_lobby::Close::Resumed);
        assert!(world.relay.last().unwrap().starts_with("grant"), "its credentials are good");
        // It may do what it could.
        assert_eq!(world.ask(&mut again, json!({"type":"update","locked":true}))["type"], "ok");
    }
}

#[test]
fn a_ticket_leads_back_to_a_seat_that_was_lost_as_long_as_there_is_a_free_one() {
    let mut world = World::new();
    let [mut ada, mut bob, mut eve] = [world.player(), world.player(), world.player()];
    let code = world.create(&mut ada, json!({"size":2,"password":"p"}));
    let join = json!({"type":"join","code":code,"password":"p"});
    let joined = world.ask(&mut bob, join.clone());
    world.cut(&bob);
    world.pass(millis(AWAY_WITHIN) + 1);
    // Without the password: it was in.
    let mut again = world.player();
    assert_eq!(back(&mut world, &mut again, &joined)["peer"], bob.peer.as_str());
    world.ask(&mut again, json!({"type":"leave"}));
    world.ask(&mut eve, join);
    assert_eq!(code_of(&back(&mut world, &mut again, &joined)), "full");
    assert_eq!(world.ask(&mut again, json!({"type":"create"}))["type"], "joined", "it is itself again");
}

fn code_of(reply: &Value) -> &str {
    code(reply)
}

#[test]
fn a_lobby_that_is_gone_is_opened_again_as_it_was_under_its_code() {
    let mut world = World::new();
    let mut ada = world.player();
    let joined = opened(
        &mut world,
        &mut ada,
        json!({"size":3,"public":true,"password":"hunter2","data":{"map":"dust"}}),
    );
    world.cut(&ada);
    world.pass(3_600_000);
    assert_eq!(world.lobbies.lobbies(), 0);
    let mut again = world.player();
    let ticket = &joined["ticket"];
    let rejoined =
        world.ask(&mut again, json!({"type":"return","ticket":ticket,"data":{"map":"ice"},"run":2}));
    let lobby = &rejoined["lobby"];
    assert_eq!(lobby["code"], joined["lobby"]["code"]);
    assert_eq!(
        (&lobby["size"], &lobby["public"], &lobby["password"]),
        (&json!(3), &json!(true), &json!(true))
    );
    assert_eq!((&lobby["data"], &lobby["locked"]), (&json!({"map":"ice"}), &json!(false)));
    // Its password is the one that it had.
    let mut bob = world.player();
    let join = |password| json!({"type":"join","code":lobby["code"],"password":password});
    assert_eq!(code(&world.ask(&mut bob, join("wrong"))), "not-found");
    assert_eq!(world.ask(&mut bob, join("hunter2"))["type"], "joined");
    // The relay knows it by another name: that of before is closed there.
    assert!(world.relay.contains(&"close".to_owned()));
}

#[test]
fn two_who_come_back_to_a_lobby_that_is_gone_meet_in_it() {
    let mut world = World::new();
    let [mut ada, mut bob] = [world.player(), world.player()];
    let by_ada = opened(&mut world, &mut ada, json!({}));
    let by_bob = world.join(&mut bob, by_ada["lobby"]["code"].as_str().unwrap());
    for player in [&ada, &bob] {
        world.cut(player);
    }
    world.pass(3_600_000);
    let [mut one, mut two] = [world.player(), world.player()];
    let first = back(&mut world, &mut one, &by_bob);
    assert_eq!(first["lobby"]["owner"], bob.peer.as_str());
    let second = back(&mut world, &mut two, &by_ada);
    assert_eq!(second["lobby"]["code"], first["lobby"]["code"]);
    assert_eq!(types(&world.hear(&mut one)), ["arrived", "owner", "link"]);
    // It is whose it was, now that she is back.
    assert_eq!(second["lobby"]["owner"], ada.peer.as_str());
}

#[test]
fn where_the_code_is_taken_a_lobby_is_opened_again_under_another() {
    let mut world = World::with(Limits::default());
    let mut ada = world.player();
    let joined = opened(&mut world, &mut ada, json!({}));
    world.cut(&ada);
    world.pass(3_600_000);
    let mut thief = world.player();
    assert_eq!(back(&mut world, &mut thief, &joined)["type"], "joined");
    // Twice with one ticket: the later takes the seat.
    let mut again = world.player();
    let rejoined = back(&mut world, &mut again, &joined);
    assert_eq!(rejoined["lobby"]["members"].as_array().unwrap().len(), 1);
    assert_eq!(world.lobbies.lobbies(), 1);
}

#[test]
fn who_was_shown_out_has_no_way_back_whether_the_lobby_is_there_or_gone() {
    let mut world = World::new();
    let [mut ada, mut bob] = [world.player(), world.player_from("198.51.100.7", "test")];
    let code_of_lobby = world.create(&mut ada, json!({}));
    let joined = world.join(&mut bob, &code_of_lobby);
    world.ask(&mut ada, json!({"type":"kick","peer":bob.peer}));
    assert_eq!(code(&back(&mut world, &mut bob, &joined)), "kicked");
    world.ask(&mut ada, json!({"type":"leave"}));
    assert_eq!(code(&back(&mut world, &mut bob, &joined)), "kicked");
    world.pass(millis(TICKET_LIFETIME) + 1_000);
    let mut later = world.player_from("198.51.100.7", "test");
    assert_eq!(code(&back(&mut world, &mut later, &joined)), "bad-ticket");
}

#[test]
fn who_was_shown_out_without_a_ban_may_come_back_by_ticket() {
    let mut world = World::new();
    let [mut ada, mut bob] = [world.player(), world.player()];
    let code = world.create(&mut ada, json!({}));
    let joined = world.join(&mut bob, &code);
    world.ask(&mut ada, json!({"type":"kick","peer":bob.peer,"ban":false}));
    assert_eq!(back(&mut world, &mut bob, &joined)["type"], "joined");
}

#[test]
fn a_ticket_of_before_the_start_does_not_lead_into_the_lobby_of_those_who_return() {
    let mut world = World::new();
    let [mut ada, mut bob, mut eve] = [world.player(), world.player(), world.player()];
    let code_of_lobby = world.create(&mut ada, json!({}));
    let early = world.join(&mut eve, &code_of_lobby);
    world.ask(&mut eve, json!({"type":"leave"}));
    world.join(&mut bob, &code_of_lobby);
    world.ask(&mut ada, json!({"type":"seal"}));
    let mut both = [ada, bob];
    world.link_all(&mut both);
    let complete = world.hear_only(&mut both[0], "complete").remove(0);
    let mut again = world.player();
    assert_eq!(world.ask(&mut again, json!({"type":"return","ticket":complete["ticket"]}))["type"], "joined");
    let mut eve = world.player();
    assert_eq!(code(&back(&mut world, &mut eve, &early)), ErrorCode::Sealed.as_str());
}

#[test]
fn a_household_with_all_its_sessions_gives_up_the_one_that_has_been_away_longest() {
    let sessions = Quota::new(640, 6);
    let mut world = World::with(Limits { sessions, ..Limits::default() });
    let mut six: Vec<Player> = (0..6).map(|_| world.player()).collect();
    for player in &mut six {
        world.create(player, json!({}));
    }
    for player in &six[..2] {
        world.cut(player);
        world.pass(1_000);
    }
    let _newcomer = world.player();
    assert_eq!(world.lobbies.sessions(), 6);
    assert_eq!(world.resume(&mut six[1], "192.0.2.1")["resumed"], true, "the other one waits still");
    // Who is there is never given up.
    let seventh = world.connect("192.0.2.1");
    world.text(seventh, r#"{"type":"hello","id":0,"app":"test"}"#);
    assert_eq!(world.closed[&seventh], twocan_lobby::Close::Full);
    assert_eq!(world.lobbies.sessions(), 6);
}

/// Each return takes a connection of every other member's.
#[test]
fn coming_back_again_and_again_is_paced_as_coming_in_is() {
    let mut world = World::new();
    let [mut ada, mut bob] = [world.player(), world.player()];
    let joined = opened(&mut world, &mut ada, json!({}));
    world.join(&mut bob, joined["lobby"]["code"].as_str().unwrap());
    let mut again = 0;
    for _ in 0..200 {
        let mut next = world.player();
        match back(&mut world, &mut next, &joined) {
            reply if reply["type"] == "joined" => again += 1,
            reply => assert_eq!(code(&reply), "rate-limited"),
        }
        world.end(next.client, Ended::Cut);
        world.pass(0);
    }
    assert!((90..=96).contains(&again), "{again}");
    let links = world.hear_only(&mut bob, "link").len();
    assert!(links <= 96, "{links}");
}

/// A board without a battery: the clock is put right once there is a network.
#[test]
fn a_ticket_is_judged_by_the_clock_as_it_is_now() {
    let mut world = World::new();
    let mut ada = world.player();
    world.lobbies.handle_clock(0, world.now);
    let early = opened(&mut world, &mut ada, json!({}));
    world.lobbies.handle_clock(world::UNIX, world.now);
    let mut again = world.player();
    assert_eq!(code(&back(&mut world, &mut again, &early)), "bad-ticket");
    world.ask(&mut ada, json!({"type":"leave"}));
    let joined = opened(&mut world, &mut ada, json!({}));
    assert_eq!(back(&mut world, &mut again, &joined)["type"], "joined");
}

// The same with clients, and what they tell their programs.

#[test]
fn a_page_that_is_reloaded_in_an_open_lobby_is_away_and_back_and_linked_again() {
    for says in [true, false] {
        let mut meeting = Meeting::pair();
        let (ticket, ada) = (meeting.ticket(ADA), meeting.name(ADA));
        meeting.room_events(BOB);
        meeting.run_again(ADA, says);
        meeting.pass(5_000);
        let lobby = meeting.rejoin(ADA, &ticket).unwrap();
        assert_eq!((lobby.code.as_str(), lobby.members.len()), (meeting.code.as_str(), 2));
        meeting.pass(100);
        assert_eq!(meeting.name(ADA), ada);
        assert_eq!([meeting.link(ADA, BOB), meeting.link(BOB, ADA)], [Some(LinkState::Open); 2]);
        let events = meeting.room_events(BOB);
        let told = |wanted: fn(&RoomEvent) -> bool| events.iter().filter(|event| wanted(event)).count();
        assert_eq!(told(|event| matches!(event, RoomEvent::Away(_))), 1, "{events:?}");
        assert_eq!(told(|event| matches!(event, RoomEvent::Back(_))), 1, "{events:?}");
        assert_eq!(
            told(|event| matches!(event, RoomEvent::Leave(..) | RoomEvent::Fail(..))),
            0,
            "{events:?}"
        );
        // Another link, with its own first time: the one before is closed.
        let open = |event: &&RoomEvent| matches!(event, RoomEvent::Link(_, LinkState::Open, Some(_)));
        assert_eq!(events.iter().filter(open).count(), 1, "{events:?}");
        assert_eq!(meeting.start(BOB), None, "it is not the owner");
        assert_eq!(meeting.start(ADA), Some(Ok(())));
    }
}

#[test]
fn a_page_that_is_reloaded_after_the_start_is_away_and_back_and_linked_again() {
    let mut meeting = Meeting::pair();
    let (room, raw) = (meeting.room(BOB), serde_json::value::to_raw_value(&json!({"name":"Bob"})).unwrap());
    meeting.ends[BOB].client.ask_room(room, &ClientMessage::Me(Me { me: &raw }), meeting.now);
    meeting.settle();
    let told = |event: &RoomEvent| matches!(event, RoomEvent::Me(member) if member.me["name"] == "Bob");
    assert!(meeting.room_events(ADA).iter().any(told));
    meeting.start(ADA);
    let (ticket, ada) = (meeting.ticket(ADA), meeting.name(ADA));
    meeting.pass(1_000);
    assert_eq!(meeting.sockets(), 0);
    meeting.room_events(BOB);
    meeting.run_again(ADA, true);
    meeting.pass(2_000);
    assert_eq!(meeting.sockets(), 1, "it is waited for at the server");
    let lobby = meeting.rejoin(ADA, &ticket).unwrap();
    // Who waits says of itself what it said before.
    assert_eq!(lobby.members[0].me, json!({"name":"Bob"}));
    meeting.pass(1_000);
    assert_eq!(meeting.name(ADA), ada);
    assert_eq!([meeting.link(ADA, BOB), meeting.link(BOB, ADA)], [Some(LinkState::Open); 2]);
    let events = meeting.room_events(BOB);
    let presence: Vec<&RoomEvent> = events
        .iter()
        .filter(|event| matches!(event, RoomEvent::Away(_) | RoomEvent::Back(_) | RoomEvent::Leave(..)))
        .collect();
    assert!(matches!(presence[..], [RoomEvent::Away(_), RoomEvent::Back(_)]), "{presence:?}");
    meeting.pass(30_000);
    assert_eq!(meeting.sockets(), 0, "both have left the server again");
    // Once more, by the ticket of then.
    let ticket = meeting.ticket(ADA);
    meeting.run_again(ADA, true);
    meeting.rejoin(ADA, &ticket).unwrap();
    meeting.pass(1_000);
    assert_eq!(meeting.link(BOB, ADA), Some(LinkState::Open));
}

#[test]
fn a_page_that_is_closed_after_the_start_and_does_not_come_back_has_left() {
    let mut meeting = Meeting::pair();
    meeting.start(ADA);
    meeting.room_events(BOB);
    meeting.run_again(ADA, true);
    meeting.pass(120_000);
    let events = meeting.room_events(BOB);
    let left = events.iter().filter(|event| matches!(event, RoomEvent::Leave(_, LeftWhy::Lost))).count();
    assert_eq!(left, 1, "{events:?}");
    assert_eq!(meeting.sockets(), 0);
}

#[test]
fn a_device_that_sleeps_for_ten_minutes_after_the_start_is_waited_for() {
    let mut meeting = Meeting::pair();
    meeting.start(ADA);
    meeting.room_events(BOB);
    meeting.cable = false;
    let (room, ada) = (meeting.room(BOB), meeting.name(ADA));
    meeting.ends[BOB].client.handle_link(
        room,
        ada,
        twocan_lobby::client::LinkInput::Disconnected,
        meeting.now,
    );
    meeting.pass(60_000);
    meeting.give_up(BOB, ADA, twocan_lobby::wire::Reason::Timeout);
    meeting.pass(500_000);
    let events = meeting.room_events(BOB);
    assert!(events.iter().any(|event| matches!(event, RoomEvent::Away(_))), "{events:?}");
    // It wakes: its own link falters then.
    meeting.cable = true;
    let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
    meeting.ends[ADA].client.handle_link(
        room,
        bob,
        twocan_lobby::client::LinkInput::Disconnected,
        meeting.now,
    );
    meeting.pass(5_000);
    assert_eq!([meeting.link(ADA, BOB), meeting.link(BOB, ADA)], [Some(LinkState::Open); 2]);
    let events = meeting.room_events(BOB);
    assert!(events.iter().any(|event| matches!(event, RoomEvent::Back(_))), "{events:?}");
}

#[test]
fn a_server_that_restarts_has_forgotten_the_lobby_which_is_opened_again_and_links_stay() {
    let mut meeting = Meeting::pair();
    let code = meeting.code.clone();
    meeting.events(ADA);
    meeting.restart_server();
    meeting.pass(10_000);
    for end in [ADA, BOB] {
        let events = meeting.room_events(end);
        assert!(events.contains(&RoomEvent::Server(ServerEvent::Resumed { kept: false })), "{events:?}");
        assert!(!events.iter().any(|event| matches!(event, RoomEvent::Removed(_) | RoomEvent::Fail(..))));
    }
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Open));
    assert_eq!(meeting.lobbies_at_server(), 1);
    // Whoever was invited gets in, and those who were in go on together.
    let eve = meeting.newcomer();
    assert_eq!(meeting.enter(eve, &join(&code, None)).unwrap().members.len(), 3);
    meeting.pass(1_000);
    assert_eq!(meeting.start(ADA), Some(Ok(())));
}

#[test]
fn a_server_that_restarts_while_a_page_is_reloaded_has_the_lobby_again() {
    let mut meeting = Meeting::of(1);
    let code = meeting.enter(ADA, &create(json!({}))).unwrap().code;
    let ticket = meeting.ticket(ADA);
    meeting.run_again(ADA, true);
    meeting.restart_server();
    assert_eq!(meeting.rejoin(ADA, &ticket).unwrap().code, code);
    let bob = meeting.newcomer();
    meeting.enter(bob, &join(code.as_str(), None)).unwrap();
}

#[test]
fn what_is_no_ticket_is_refused() {
    let mut meeting = Meeting::of(1);
    let refused = meeting.rejoin(ADA, "not a ticket");
    assert_eq!(refused, Err(Failure::Refused { code: ErrorCode::BadTicket, retry: None }));
}
