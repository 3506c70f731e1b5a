//! The client against the real server machine, in arithmetic time: sessions, lobbies, links, the way out and back.

#![allow(clippy::unwrap_used)] // what is not there fails the test

mod meeting;

use std::time::Duration;

use meeting::{Meeting, create, join, quick};
use serde_json::json;
use twocan_lobby::client::limits::{
    ALONE_FOR, ANEW_EVERY, AWAY_WITHIN, DOUBT_WITHIN, FALTER_AFTER, HEAR_WITHIN, LISTED_MAX, MEMBERS_MAX,
    OUTBOX_FRAMES_MAX, PING_AFTER, PONG_WITHIN, REPLY_WITHIN,
};
use twocan_lobby::client::{
    Command, Discard, Event, Failure, LinkCommand, LinkInput, LinkState, OutWhy, RoomEvent, ServerEvent,
};
use twocan_lobby::server::limits::TICKET_LIFETIME;
use twocan_lobby::wire::{ClientMessage, Kick, LeftWhy, List, Reason, Update};

const ADA: usize = 0;
const BOB: usize = 1;
const EVE: usize = 2;

fn millis(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

#[test]
fn two_meet_by_code_and_password_and_link() {
    let mut meeting = Meeting::of(2);
    let code = meeting.enter(ADA, &create(json!({"password":"hunter2"}))).unwrap().code;
    let wrong = meeting.enter(BOB, &join(code.as_str(), Some("guess"))).unwrap_err();
    assert_eq!(wrong.code(), "not-found");
    let lobby = meeting.enter(BOB, &join(&code.as_str().to_lowercase(), Some("hunter2"))).unwrap();
    assert_eq!(lobby.owner, meeting.name(ADA));
    assert_eq!(lobby.members.len(), 2);
    meeting.pass(100);
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Open));
    assert_eq!(meeting.link(BOB, ADA), Some(LinkState::Open));
    let arrived = meeting.room_events(ADA).iter().any(|event| matches!(event, RoomEvent::Arrive(_)));
    assert!(arrived);
}

#[test]
fn quick_finds_the_lobby_that_matches_and_opens_one_where_none_does() {
    let mut meeting = Meeting::of(3);
    let first = meeting.enter(ADA, &quick(json!({"map":"dust"}))).unwrap();
    let second = meeting.enter(BOB, &quick(json!({"map":"dust"}))).unwrap();
    let third = meeting.enter(EVE, &quick(json!({"map":"ice"}))).unwrap();
    assert_eq!(first.code, second.code);
    assert_ne!(first.code, third.code);
    assert_eq!(third.data, json!({"map":"ice"}));
}

#[test]
fn a_list_stays_up_to_date_until_a_lobby_is_entered() {
    let mut meeting = Meeting::of(2);
    assert_eq!(meeting.watch(BOB, &List::default()).unwrap(), 0);
    let code = meeting.enter(ADA, &create(json!({"public":true,"data":{"map":"dust"}}))).unwrap().code;
    meeting.pass(1_000);
    let rows = meeting.last_list(BOB).unwrap();
    assert_eq!((rows[0].code, &rows[0].data, rows[0].members), (code, &json!({"map":"dust"}), 1));
    meeting.enter(BOB, &join(code.as_str(), None)).unwrap();
    assert!(meeting.events(BOB).contains(&Event::ListClosed));
}

#[test]
fn a_cut_socket_is_resumed_and_nothing_is_lost_or_said_twice() {
    let mut meeting = Meeting::pair();
    meeting.events(BOB);
    meeting.cut(BOB);
    let update = json!({"map":"ice"});
    meeting.update(ADA, &update).unwrap();
    meeting.pass(2_000);
    let events = meeting.room_events(BOB);
    assert!(matches!(events[0], RoomEvent::Server(ServerEvent::Reconnecting { attempt: 1, .. })));
    assert!(events.contains(&RoomEvent::Server(ServerEvent::Resumed { kept: true })));
    let updates =
        events.iter().filter(|event| matches!(event, RoomEvent::Update(lobby) if lobby.data == update));
    assert_eq!(updates.count(), 1);
    assert_eq!(meeting.ends[BOB].client.discarded().get(&Discard::Duplicate), None);
}

#[test]
fn a_request_under_way_when_the_socket_is_cut_is_answered_once() {
    let mut meeting = Meeting::pair();
    let room = meeting.room(ADA);
    meeting.hold_to_server = true;
    let update = Update { locked: Some(true), ..Update::default() };
    let request = meeting.ends[ADA].client.ask_room(room, &ClientMessage::Update(update), meeting.now);
    meeting.settle();
    meeting.cut(ADA);
    meeting.hold_to_server = false;
    meeting.pass(2_000);
    assert_eq!(meeting.replies(ADA, request), [Ok(())]);
}

/// Its hello lay in the network while another socket took its place, and takes the session back when it comes.
#[test]
fn a_socket_that_was_given_up_and_gets_through_late_does_not_end_the_session() {
    for given_up in [true, false] {
        let mut meeting = Meeting::pair();
        if given_up {
            meeting.cut(ADA);
            meeting.pass(5_000);
        }
        let end = &mut meeting.ends[ADA];
        let socket = *end.sockets.keys().next().unwrap();
        end.client.handle_closed(socket, 4001, meeting.now);
        end.sockets.clear();
        meeting.pass(5_000);
        assert_eq!(meeting.ends[ADA].sockets.len(), usize::from(given_up));
        assert_eq!(meeting.update(ADA, &json!({})).is_ok(), given_up);
    }
}

/// The server may never be back, and what would mend the link lies in its outbox.
#[test]
fn where_the_socket_to_the_server_is_away_signals_go_over_the_link_as_well() {
    let mut meeting = Meeting::pair();
    meeting.server = None;
    for end in [ADA, BOB] {
        meeting.cut(end);
    }
    meeting.said.clear();
    meeting.offer(ADA, BOB);
    meeting.settle();
    let descriptions = meeting.said.iter().filter(|(_, text)| text.contains("description"));
    assert_eq!(descriptions.map(|(who, _)| *who).collect::<Vec<_>>(), [ADA, BOB], "{:?}", meeting.said);
}

#[test]
fn entering_outlives_a_restart_of_the_server() {
    let mut meeting = Meeting::of(1);
    meeting.open(ADA);
    meeting.hold_to_server = true;
    let request =
        meeting.ends[ADA].client.enter(&ClientMessage::Create(create(json!({})).create()), meeting.now);
    meeting.settle();
    meeting.hold_to_server = false;
    meeting.restart_server();
    meeting.pass(10_000);
    assert_eq!(meeting.replies(ADA, request), [Ok(())]);
}

#[test]
fn a_server_that_is_not_there_is_said_so_at_once() {
    let mut meeting = Meeting::nowhere();
    let request = meeting.ends[ADA].client.open(meeting.now);
    meeting.settle();
    assert_eq!(meeting.replies(ADA, request), [Err(Failure::Unreachable)]);
}

#[test]
fn a_server_that_stays_away_is_given_up_after_longer_than_a_seat_waits() {
    let mut meeting = Meeting::pair();
    meeting.server = None;
    meeting.cut(ADA);
    meeting.pass(millis(AWAY_WITHIN));
    assert!(!meeting.room_events(ADA).contains(&RoomEvent::Removed(OutWhy::SessionLost)));
    meeting.pass(millis(AWAY_WITHIN));
    let events = meeting.room_events(ADA);
    assert!(events.contains(&RoomEvent::Removed(OutWhy::SessionLost)), "{events:?}");
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Open));
}

#[test]
fn a_silent_socket_is_pinged_and_then_given_up() {
    let mut meeting = Meeting::pair();
    meeting.pass(60_000);
    assert!(
        meeting.room_events(ADA).iter().all(|event| !matches!(event, RoomEvent::Server(_))),
        "pongs keep it"
    );
    meeting.hold_to_server = true;
    meeting.pass(millis(PING_AFTER + PONG_WITHIN) + 1);
    let events = meeting.room_events(ADA);
    assert!(
        matches!(events[0], RoomEvent::Server(ServerEvent::Reconnecting { attempt: 1, .. })),
        "{events:?}"
    );
}

#[test]
fn a_request_without_an_answer_times_out_and_a_late_lobby_is_left_again() {
    let mut meeting = Meeting::of(1);
    meeting.open(ADA);
    meeting.hold_to_client = true;
    let request =
        meeting.ends[ADA].client.enter(&ClientMessage::Create(create(json!({})).create()), meeting.now);
    meeting.pass(millis(REPLY_WITHIN));
    assert_eq!(meeting.replies(ADA, request), [Err(Failure::Timeout)]);
    meeting.hold_to_client = false;
    meeting.pass(100);
    assert_eq!(meeting.lobbies_at_server(), 0);
}

#[test]
fn a_request_beyond_a_frame_is_refused_here() {
    let mut meeting = Meeting::of(1);
    let long = meeting.enter(ADA, &join(&"x".repeat(16_400), None)).unwrap_err();
    assert_eq!((long, long.code()), (Failure::TooLarge, "bad-value"));
}

#[test]
fn what_waits_for_an_absent_server_is_limited() {
    let mut meeting = Meeting::pair();
    meeting.server = None;
    meeting.cut(ADA);
    let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
    for _ in 0..OUTBOX_FRAMES_MAX + 1 {
        let input = LinkInput::Description { offer: false, data: "{}" };
        meeting.ends[ADA].client.handle_link(room, bob, input, meeting.now);
    }
    assert!(meeting.ends[ADA].client.discarded()[&Discard::OutboxFull] >= 1);
    assert_eq!(meeting.update(ADA, &json!({})), Err(Failure::Backlog));
}

#[test]
fn signals_never_outrun_what_the_server_allows() {
    let mut meeting = Meeting::pair();
    let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
    for _ in 0..600 {
        let input = LinkInput::EndOfCandidates;
        meeting.ends[ADA].client.handle_link(room, bob, input, meeting.now);
    }
    meeting.settle();
    meeting.pass(40_000);
    assert_eq!(meeting.refusals, 0);
    assert_eq!(meeting.update(ADA, &json!({})), Ok(()));
}

#[test]
fn everyone_linked_leaves_the_server_and_keeps_the_links() {
    let mut meeting = Meeting::pair();
    assert_eq!(meeting.start(ADA), Some(Ok(())));
    assert_eq!(meeting.lobbies_at_server(), 0);
    assert_eq!(meeting.sockets(), 0);
    for one in [ADA, BOB] {
        let events = meeting.room_events(one);
        assert!(events.contains(&RoomEvent::Complete));
        assert!(events.contains(&RoomEvent::Server(ServerEvent::Closed { code: 1000 })));
        assert_eq!(meeting.link(one, 1 - one), Some(LinkState::Open));
    }
    meeting.pass(300_000);
    assert_eq!(meeting.sockets(), 0, "nobody comes back");
}

#[test]
fn a_seal_that_cannot_complete_opens_again_and_start_says_so() {
    let mut meeting = Meeting::of(2);
    meeting.cable = false;
    let code = meeting.enter(ADA, &create(json!({}))).unwrap().code;
    meeting.enter(BOB, &join(code.as_str(), None)).unwrap();
    assert_eq!(meeting.start(ADA), None);
    meeting.pass(31_000);
    let room = meeting.room(ADA);
    assert_eq!(meeting.started(ADA), Some(Err(Failure::Unsealed)), "{room:?}");
    let unsealed = meeting
        .room_events(BOB)
        .iter()
        .any(|event| matches!(event, RoomEvent::Unsealed(pairs) if pairs.len() == 1));
    assert!(unsealed);
}

#[test]
fn who_is_alone_cannot_start() {
    let mut meeting = Meeting::of(1);
    meeting.enter(ADA, &create(json!({}))).unwrap();
    assert_eq!(meeting.start(ADA).map(|result| result.unwrap_err().code()), Some("alone"));
}

#[test]
fn the_owner_can_show_a_member_out() {
    let mut meeting = Meeting::pair();
    let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
    let kick = ClientMessage::Kick(Kick { peer: bob.as_str().into(), ban: true });
    meeting.ends[ADA].client.ask_room(room, &kick, meeting.now);
    meeting.pass(100);
    assert!(meeting.room_events(BOB).contains(&RoomEvent::Removed(OutWhy::Kicked)));
    assert_eq!(
        (meeting.link(ADA, BOB), meeting.link(BOB, ADA)),
        (Some(LinkState::Closed), Some(LinkState::Closed))
    );
    assert!(
        meeting.room_events(ADA).iter().any(|event| matches!(event, RoomEvent::Leave(_, LeftWhy::Kicked)))
    );
}

#[test]
fn the_next_in_line_owns_what_the_owner_leaves() {
    let mut meeting = Meeting::pair();
    let room = meeting.room(ADA);
    let request = meeting.ends[ADA].client.leave(room, meeting.now);
    meeting.pass(100);
    assert_eq!(meeting.replies(ADA, request), [Ok(())]);
    let bob = meeting.name(BOB);
    assert!(meeting.room_events(BOB).contains(&RoomEvent::Owner(bob)));
    assert_eq!(meeting.link(BOB, ADA), Some(LinkState::Closed));
}

#[test]
fn a_link_of_which_nothing_is_heard_fails_in_time_with_a_reason() {
    let mut meeting = Meeting::of(2);
    meeting.mute = true;
    let code = meeting.enter(ADA, &create(json!({}))).unwrap().code;
    meeting.enter(BOB, &join(code.as_str(), None)).unwrap();
    meeting.pass(millis(HEAR_WITHIN) - 20);
    assert_eq!(meeting.link(ADA, BOB), None, "nothing to tell of yet");
    meeting.pass(40);
    let bob = meeting.name(BOB);
    assert!(meeting.room_events(ADA).contains(&RoomEvent::Fail(bob, Reason::NoRemoteCandidates)));
}

#[test]
fn a_link_that_failed_can_be_tried_again() {
    let mut meeting = Meeting::of(2);
    meeting.cable = false;
    let code = meeting.enter(ADA, &create(json!({}))).unwrap().code;
    meeting.enter(BOB, &join(code.as_str(), None)).unwrap();
    let (bob, room) = (meeting.name(BOB), meeting.room(ADA));
    meeting.give_up(ADA, BOB, Reason::ChecksFailed);
    meeting.give_up(ADA, BOB, Reason::Timeout);
    let fails = meeting.room_events(ADA).into_iter().filter(|event| matches!(event, RoomEvent::Fail(..)));
    assert_eq!(fails.collect::<Vec<_>>(), [RoomEvent::Fail(bob, Reason::ChecksFailed)]);
    meeting.cable = true;
    meeting.ends[ADA].client.retry_link(room, bob, meeting.now);
    meeting.pass(100);
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Open));
    assert_eq!(meeting.link(BOB, ADA), Some(LinkState::Open));
}

#[test]
fn a_link_that_falters_is_mended_over_the_server() {
    let mut meeting = Meeting::pair();
    meeting.cable = false;
    meeting.falter();
    meeting.pass(millis(FALTER_AFTER) - 1);
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Open));
    meeting.pass(1);
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Mending));
    meeting.cable = true;
    meeting.restart(BOB, ADA);
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Open));
    assert_eq!(meeting.link(BOB, ADA), Some(LinkState::Open));
}

#[test]
fn after_completion_a_link_is_mended_over_its_own_channel() {
    let mut meeting = Meeting::pair();
    meeting.start(ADA);
    meeting.falter();
    meeting.pass(millis(FALTER_AFTER) + 1_000);
    meeting.restart(BOB, ADA);
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Open));
    assert_eq!(meeting.sockets(), 0, "without the server");
}

/// The other side may have left a moment before: the server then drops what it gets for it.
#[test]
fn an_answer_to_a_restart_is_said_again_over_the_link_when_the_server_lets_go() {
    let mut meeting = Meeting::pair();
    let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
    let answer = LinkInput::Description { offer: false, data: r#"{"type":"answer"}"# };
    meeting.ends[ADA].client.handle_link(room, bob, answer, meeting.now);
    meeting.settle();
    assert_eq!(meeting.said, []);
    meeting.start(ADA);
    let descriptions = meeting.said.iter().filter(|(_, text)| text.contains("description"));
    let again = r#"{"type":"signal","kind":"description","data":{"type":"answer"}}"#;
    assert_eq!(
        descriptions.collect::<Vec<_>>(),
        [&(ADA, again.to_owned())],
        "and none of before it was open"
    );
}

/// It was said while the link was open, so by the server alone, and the link falters before the server says that nobody took it.
#[test]
fn an_answer_that_the_server_refuses_goes_over_a_link_that_falters_meanwhile() {
    let mut meeting = Meeting::pair();
    let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
    let answer = LinkInput::Description { offer: false, data: r#"{"type":"answer"}"# };
    meeting.hold_to_server = true;
    let client = &mut meeting.ends[ADA].client;
    client.handle_link(room, bob, answer, meeting.now);
    let (_, said) = client.poll_transmit().unwrap();
    client.handle_link(room, bob, LinkInput::Disconnected, meeting.now);
    meeting.now += FALTER_AFTER;
    meeting.ends[ADA].client.handle_timeout(meeting.now);
    meeting.settle();
    assert_eq!((meeting.link(ADA, BOB), &*meeting.said), (Some(LinkState::Mending), &[][..]));
    let id = &serde_json::from_str::<serde_json::Value>(&said).unwrap()["id"];
    // What it has heard already is passed over.
    for seq in 1..100 {
        if !meeting.said.is_empty() {
            break;
        }
        let refusal = json!({"type": "error", "id": id, "seq": seq, "code": "no-link", "message": ""});
        meeting.say_to(ADA, &refusal.to_string());
    }
    let again = r#"{"type":"signal","kind":"description","data":{"type":"answer"}}"#;
    assert_eq!(meeting.said, [(ADA, again.to_owned())]);
}

#[test]
fn after_completion_a_dead_link_is_mended_by_ticket_and_the_server_is_left_again() {
    let mut meeting = Meeting::pair();
    meeting.start(ADA);
    meeting.events(ADA);
    meeting.cable = false;
    meeting.falter();
    meeting.pass(millis(FALTER_AFTER + ALONE_FOR));
    assert!(meeting.room_events(ADA).contains(&RoomEvent::Server(ServerEvent::Returning)));
    assert_eq!(meeting.sockets(), 2);
    meeting.cable = true;
    meeting.restart(ADA, BOB);
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Open));
    assert_eq!(meeting.link(BOB, ADA), Some(LinkState::Open));
    meeting.pass(5_000);
    assert_eq!((meeting.sockets(), meeting.lobbies_at_server()), (0, 0));
    assert!(
        meeting
            .room_events(ADA)
            .iter()
            .all(|event| !matches!(event, RoomEvent::Removed(_) | RoomEvent::Leave(..)))
    );
}

/// Nothing is said of the link yet, and it may come back by itself: the server is on the way meanwhile, and is left again.
#[test]
fn who_falters_without_the_server_is_on_the_way_back_to_it_at_once() {
    let mut meeting = Meeting::pair();
    meeting.start(ADA);
    meeting.events(ADA);
    let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
    meeting.ends[ADA].client.handle_link(room, bob, LinkInput::Disconnected, meeting.now);
    meeting.pass(100);
    assert!(meeting.room_events(ADA).contains(&RoomEvent::Server(ServerEvent::Returning)));
    assert_eq!((meeting.link(ADA, BOB), meeting.sockets()), (Some(LinkState::Open), 1));
    meeting.ends[ADA].client.handle_link(room, bob, LinkInput::Connected, meeting.now);
    meeting.pass(5_000);
    assert_eq!((meeting.link(ADA, BOB), meeting.sockets()), (Some(LinkState::Open), 0));
    assert_eq!(meeting.ends[ADA].restarts, 0);
}

/// Both are back before either calls the link mended: it is, from then on.
#[test]
fn who_meets_again_at_the_server_while_the_link_falters_restarts_at_once() {
    let mut meeting = Meeting::pair();
    meeting.start(ADA);
    meeting.cable = false;
    let before = meeting.ends[ADA].restarts + meeting.ends[BOB].restarts;
    meeting.falter();
    meeting.pass(millis(FALTER_AFTER) - 1);
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Mending));
    assert_eq!(meeting.ends[ADA].restarts + meeting.ends[BOB].restarts, before + 1);
}

#[test]
fn who_returns_alone_tries_again_until_the_link_is_given_up() {
    let mut meeting = Meeting::pair();
    meeting.start(ADA);
    meeting.cable = false;
    let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
    meeting.ends[ADA].client.handle_link(room, bob, LinkInput::Disconnected, meeting.now);
    meeting.pass(40_000);
    assert_eq!(meeting.sockets(), 1);
    meeting.give_up(ADA, BOB, Reason::Timeout);
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Failed));
    meeting.pass(millis(AWAY_WITHIN) - 1_000);
    assert_eq!(meeting.sockets(), 1, "it is waited for");
    meeting.pass(20_000);
    assert_eq!(meeting.sockets(), 0, "nothing is left to mend");
}

#[test]
fn neither_a_ticket_that_expired_nor_a_server_that_is_gone_keeps_a_link_from_its_end() {
    for is_gone in [false, true] {
        let mut meeting = Meeting::pair();
        meeting.start(ADA);
        meeting.pass(millis(TICKET_LIFETIME) + 1_000);
        meeting.cable = false;
        if is_gone {
            meeting.server = None;
        }
        let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
        meeting.ends[ADA].client.handle_link(room, bob, LinkInput::Disconnected, meeting.now);
        meeting.pass(60_000);
        let returning = RoomEvent::Server(ServerEvent::Returning);
        let tries = meeting.room_events(ADA).into_iter().filter(|event| *event == returning).count();
        // A ticket that is refused is not shown again.
        let expected = if is_gone { 5..=15 } else { 1..=1 };
        assert!(expected.contains(&tries), "{tries} in a minute, server gone: {is_gone}");
        meeting.give_up(ADA, BOB, Reason::Timeout);
        assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Failed));
        assert!(meeting.room_events(ADA).contains(&RoomEvent::Fail(bob, Reason::Timeout)));
        meeting.pass(millis(AWAY_WITHIN) + 30_000);
        assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Failed));
        meeting.room_events(ADA);
        meeting.pass(60_000);
        assert!(!meeting.room_events(ADA).contains(&returning), "nothing is left to mend");
        assert_eq!(meeting.sockets(), 0);
    }
}

#[test]
fn a_link_that_failed_is_restarted_where_the_server_links_again_so_that_its_mending_ends() {
    for stays in [ADA, BOB, EVE] {
        let mut meeting = Meeting::of(3);
        let code = meeting.enter(ADA, &create(json!({"size": 3}))).unwrap().code;
        for end in [BOB, EVE] {
            meeting.enter(end, &join(code.as_str(), None)).unwrap();
        }
        meeting.pass(100);
        meeting.start(ADA);
        meeting.cable = false;
        let [back, gone] = [(stays + 1) % 3, (stays + 2) % 3];
        let disconnect = |meeting: &mut Meeting, end: usize, other: usize| {
            let (room, peer) = (meeting.room(end), meeting.name(other));
            meeting.ends[end].client.handle_link(room, peer, LinkInput::Disconnected, meeting.now);
            meeting.pass(millis(FALTER_AFTER + ALONE_FOR) + 100);
        };
        disconnect(&mut meeting, stays, back);
        disconnect(&mut meeting, stays, gone);
        meeting.give_up(stays, back, Reason::Timeout);
        assert_eq!(meeting.link(stays, back), Some(LinkState::Failed));
        // It stays with the server for the sake of the third one. Then the second one comes back.
        let before = meeting.ends[stays].restarts;
        disconnect(&mut meeting, back, stays);
        assert_eq!(meeting.link(stays, back), Some(LinkState::Mending));
        assert_eq!(meeting.ends[stays].restarts, before + 1);
        meeting.give_up(stays, back, Reason::Timeout);
        assert_eq!(meeting.link(stays, back), Some(LinkState::Failed));
    }
}

#[test]
fn a_connection_that_gives_up_while_its_link_falters_has_failed() {
    let mut meeting = Meeting::pair();
    meeting.cable = false;
    meeting.falter();
    meeting.give_up(ADA, BOB, Reason::Timeout);
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Failed));
    meeting.pass(millis(FALTER_AFTER) + 10_000);
    assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Failed), "and it stays so");
    let fails = meeting.room_events(ADA).into_iter().filter(|event| matches!(event, RoomEvent::Fail(..)));
    assert_eq!(fails.count(), 1);
}

#[test]
fn an_offer_over_the_link_that_finds_no_answer_goes_by_the_server_too() {
    for answered in [true, false] {
        let mut meeting = Meeting::pair();
        meeting.start(ADA);
        meeting.cable = answered;
        meeting.offer(ADA, BOB);
        meeting.pass(millis(ALONE_FOR) + 100);
        assert_eq!(meeting.link(ADA, BOB), Some(LinkState::Open), "nothing is wrong with the link");
        assert_eq!(meeting.sockets(), usize::from(!answered));
        if answered {
            continue;
        }
        // The other one is back for a reason of its own.
        let ada = meeting.name(ADA);
        let before = meeting.ends[ADA].restarts;
        let room = meeting.room(BOB);
        meeting.ends[BOB].client.handle_link(room, ada, LinkInput::Disconnected, meeting.now);
        meeting.cable = true;
        meeting.pass(10_000);
        assert_eq!(meeting.ends[ADA].restarts, before + 1);
        assert_eq!(meeting.sockets(), 0, "and both leave it again");
    }
}

/// The way is longer than the patience: the link was open all the time, and nothing else happens to it.
#[test]
fn whoever_came_back_for_an_offer_leaves_again_when_its_answer_comes_over_the_link() {
    let mut meeting = Meeting::pair();
    meeting.start(ADA);
    meeting.cable = false;
    let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
    meeting.offer(ADA, BOB);
    meeting.pass(millis(ALONE_FOR) + 1_000);
    assert_eq!(meeting.sockets(), 1);
    let answer = r#"{"type":"signal","kind":"description","data":{"type":"answer"}}"#;
    meeting.ends[ADA].client.handle_link(room, bob, LinkInput::Control(answer), meeting.now);
    meeting.pass(10_000);
    assert_eq!((meeting.sockets(), meeting.link(ADA, BOB)), (0, Some(LinkState::Open)));
}

/// Its page was loaded again, or its connection died under it.
#[test]
fn a_link_whose_other_side_begins_anew_is_closed_and_another_one_takes_its_place() {
    let mut meeting = Meeting::pair();
    let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
    let mut hear = |generation: u64, pass: Duration| {
        meeting.now += pass;
        let offer = json!({"type": "offer", "sdp": "", "anew": generation});
        let signal = json!({"type": "signal", "kind": "description", "data": offer}).to_string();
        let client = &mut meeting.ends[ADA].client;
        client.handle_link(room, bob, LinkInput::Control(&signal), meeting.now);
        let mut done = Vec::new();
        while let Some(command) = client.poll_command() {
            let Command::Link(_, _, command) = command else { continue };
            done.push(match command {
                LinkCommand::Close { bye: false } => "close",
                LinkCommand::Connect { offers: false, .. } => "connect",
                LinkCommand::Signal(..) => "signal",
                other => panic!("{other:?}"),
            });
        }
        let mut states = Vec::new();
        while let Some(event) = client.poll_event() {
            match event {
                Event::Room(_, RoomEvent::Link(_, state, _)) => states.push(state),
                Event::Room(_, RoomEvent::Leave(..)) => panic!("nobody left"),
                _ => {}
            }
        }
        (done, states)
    };
    let anew = (vec!["close", "connect", "signal"], vec![LinkState::Closed]);
    assert_eq!(hear(1, Duration::ZERO), (vec![], vec![]), "so soon");
    assert_eq!(hear(1, ANEW_EVERY), anew);
    assert_eq!(hear(1, Duration::ZERO), (vec!["signal"], vec![]), "the same offer again");
    assert_eq!(hear(0, Duration::ZERO), (vec![], vec![]), "of the connection before");
    assert_eq!(hear(2, Duration::ZERO), (vec![], vec![]), "not that often");
    assert_eq!(hear(2, ANEW_EVERY), (vec![], vec![]), "twice as long for the next one");
    assert_eq!(hear(2, ANEW_EVERY), anew);
    // What we say belongs to the same connection.
    meeting.hold_to_server = true;
    let answer = LinkInput::Description { offer: false, data: r#"{"type":"answer"}"# };
    let client = &mut meeting.ends[ADA].client;
    client.handle_link(room, bob, answer, meeting.now);
    let (_, said) = client.poll_transmit().unwrap();
    assert!(said.contains(r#""data":{"anew":2,"type":"answer"}"#), "{said}");
    client.handle_link(room, bob, LinkInput::Open, meeting.now);
    let opened = std::iter::from_fn(|| client.poll_event());
    let took = opened.filter_map(|event| match event {
        Event::Room(_, RoomEvent::Link(_, LinkState::Open, took)) => took,
        _ => None,
    });
    assert_eq!(took.collect::<Vec<_>>(), [Duration::ZERO], "it is a link that comes up for the first time");
}

#[test]
fn a_question_that_wants_an_answer_has_one() {
    let mut meeting = Meeting::pair();
    let (room, bob) = (meeting.room(ADA), meeting.name(BOB));
    let mut ask = |text| {
        meeting.ends[ADA].client.handle_link(room, bob, LinkInput::Control(text), meeting.now);
        let mut said = Vec::new();
        while let Some(command) = meeting.ends[ADA].client.poll_command() {
            if let Command::Link(_, _, LinkCommand::Control(text)) = command {
                said.push(text);
            }
        }
        said
    };
    assert_eq!(ask(r#"{"type":"ping"}"#), [""; 0]);
    assert_eq!(ask(r#"{"type":"ping","reply":true}"#), [r#"{"type":"pong"}"#]);
    assert_eq!(ask(r#"{"type":"pong"}"#), [""; 0]);
}

#[test]
fn a_goodbye_over_the_link_closes_it_after_completion() {
    let mut meeting = Meeting::pair();
    meeting.start(ADA);
    let room = meeting.room(ADA);
    meeting.ends[ADA].client.leave(room, meeting.now);
    meeting.pass(100);
    assert_eq!(meeting.link(BOB, ADA), Some(LinkState::Closed));
    assert!(meeting.room_events(BOB).iter().any(|event| matches!(event, RoomEvent::Leave(_, LeftWhy::Left))));
}

#[test]
fn leaving_does_not_wait_for_a_server_that_is_gone() {
    let mut meeting = Meeting::pair();
    meeting.cut(ADA);
    let room = meeting.room(ADA);
    let request = meeting.ends[ADA].client.leave(room, meeting.now);
    meeting.settle();
    assert_eq!(meeting.replies(ADA, request), [Ok(())]);
    meeting.pass(10_000);
    assert_eq!(meeting.replies(ADA, request), [Ok(())], "once");
    assert!(meeting.room_events(BOB).iter().any(|event| matches!(event, RoomEvent::Leave(_, LeftWhy::Left))));
}

#[test]
fn nothing_the_server_says_breaks_the_client() {
    let mut meeting = Meeting::pair();
    for text in [
        "",
        "[]",
        "{}",
        "null",
        r#"{"type":"link"}"#,
        r#"{"type":"later","seq":1000000}"#,
        r#"{"type":"joined","seq":7,"peer":"x"}"#,
        r#"{"type":"welcome","id":0,"seq":0,"session":"s","peer":"AAAAAAAA","resumed":true,"received":0}"#,
    ] {
        meeting.say_to(ADA, text);
    }
    assert!(meeting.ends[ADA].client.discarded()[&Discard::Unreadable] >= 5);
    assert_eq!(meeting.ends[ADA].client.discarded()[&Discard::Gap], 1, "a gap brings a resume");
    meeting.pass(5_000);
    assert_eq!(meeting.update(ADA, &json!({})), Ok(()));
}

#[test]
fn what_the_server_says_is_kept_within_limits() {
    let mut meeting = Meeting::of(1);
    meeting.watch(ADA, &List::default()).unwrap();
    let name = |number: usize, letters: usize| -> String {
        let letter =
            |at: u32| char::from(twocan_lobby::wire::names::ALPHABET[number / 29_usize.pow(at) % 29]);
        (0..letters as u32).map(letter).collect()
    };
    for seq in 0..LISTED_MAX + 1 {
        let (code, seq) = (name(seq, 4), seq + 2);
        let lobby = format!(
            r#"{{"code":"{code}","password":false,"locked":false,"size":2,"members":1,"data":{{}}}}"#
        );
        meeting.say_to(ADA, &format!(r#"{{"type":"listed","seq":{seq},"lobby":{lobby}}}"#));
    }
    assert_eq!(meeting.last_list(ADA).unwrap().len(), LISTED_MAX);

    let mut meeting = Meeting::of(1);
    meeting.enter(ADA, &create(json!({}))).unwrap();
    meeting.events(ADA);
    for seq in 0..MEMBERS_MAX {
        let (peer, seq) = (name(seq, 8), seq * 2 + 3);
        meeting.say_to(
            ADA,
            &format!(r#"{{"type":"arrived","seq":{seq},"member":{{"peer":"{peer}","me":{{}}}}}}"#),
        );
        let link =
            format!(r#"{{"type":"link","seq":{},"peer":"{peer}","role":"answer","polite":false}}"#, seq + 1);
        meeting.say_to(ADA, &link);
    }
    let arrived =
        meeting.room_events(ADA).iter().filter(|event| matches!(event, RoomEvent::Arrive(_))).count();
    assert_eq!(arrived, MEMBERS_MAX - 1, "and ourselves");
}

#[test]
fn a_link_that_falters_while_the_server_lets_go_is_mended_by_the_ticket() {
    let mut meeting = Meeting::pair();
    // Bob's socket is dead: he hears of the end only when he is back.
    meeting.hold_to_client = true;
    meeting.falter();
    meeting.pass(3_000);
    assert_eq!(meeting.link(BOB, ADA), Some(LinkState::Mending));
    meeting.cable = false;
    meeting.hold_to_client = false;
    meeting.start(ADA);
    meeting.pass(10_000);
    assert!(meeting.room_events(BOB).iter().any(|event| matches!(event, RoomEvent::Complete)));
    assert!(meeting.sockets() > 0, "he returned");
}

#[test]
fn where_the_network_is_another_one_a_silent_socket_is_given_up_soon_and_the_next_is_opened_at_once() {
    let mut meeting = Meeting::pair();
    let change = |meeting: &mut Meeting| {
        let now = meeting.now;
        meeting.ends[ADA].client.handle_network_changed(now);
        meeting.settle();
    };
    change(&mut meeting);
    meeting.pass(millis(DOUBT_WITHIN) + 1);
    assert!(
        meeting.room_events(ADA).iter().all(|event| !matches!(event, RoomEvent::Server(_))),
        "a pong keeps it"
    );
    meeting.hold_to_server = true;
    change(&mut meeting);
    meeting.pass(millis(DOUBT_WITHIN) / 2);
    change(&mut meeting);
    meeting.pass(millis(DOUBT_WITHIN) / 2 + 1);
    assert!(matches!(
        meeting.room_events(ADA)[0],
        RoomEvent::Server(ServerEvent::Reconnecting { attempt: 1, .. })
    ));
    meeting.hold_to_server = false;
    change(&mut meeting);
    let resumed = |event: &RoomEvent| matches!(event, RoomEvent::Server(ServerEvent::Resumed { kept: true }));
    meeting.pass(100);
    assert!(meeting.room_events(ADA).iter().any(resumed), "the wait is not waited out");
}
