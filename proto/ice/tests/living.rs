//! What becomes of a connection that stands: consent, lost interfaces, restarts, better paths.

mod world;

use twocan_ice::{Event, Failure, PairState, SocketId, State, Verdict};
use world::{A, B, World, addr, ms};

const A_HOST: &str = "198.51.100.10:5000";
const B_HOST: &str = "198.51.100.20:5000";

fn connected(seed: u64) -> World {
    let mut world = World::new(seed, ms(50));
    world.host(A, A_HOST, None);
    world.host(B, B_HOST, None);
    world.meet();
    world.run_for(ms(5_000));
    assert_eq!(world.states(), [State::Completed; 2]);
    world
}

#[test]
fn consent_is_asked_for_every_four_to_six_seconds() {
    let mut world = connected(1);
    let before = world.sides[A].sent.len();
    world.run_for(ms(600_000));
    let requests: Vec<_> =
        world.sides[A].sent[before..].iter().filter(|(_, _, _, bytes)| bytes[0] == 0).collect();
    let gaps: Vec<_> = requests.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(gaps.len() > 90 && gaps.len() < 160, "{}", gaps.len());
    assert!(gaps.iter().all(|gap| (ms(3_999)..ms(6_060)).contains(gap)), "{gaps:?}");
    let spread = *gaps.iter().max().unwrap() - *gaps.iter().min().unwrap();
    assert!(spread > ms(1_000), "varied by {spread:?}");
    assert_eq!(world.states(), [State::Completed; 2]);
}

#[test]
fn consent_is_lost_after_thirty_seconds_and_nothing_is_sent_then() {
    let mut world = connected(2);
    let (socket, remote) = (SocketId(1), addr(B_HOST));
    world.cut = true;
    let cut = world.now;
    world.run_for(ms(10_000));
    assert_eq!(world.states(), [State::Disconnected; 2]);
    assert!(world.sides[A].agent.is_validated(socket, remote));
    world.run_for(ms(21_000));
    assert!(!world.sides[A].agent.is_validated(socket, remote));
    world.run_for(ms(30_000));
    assert_eq!(world.states(), [State::Failed; 2]);
    assert!(world.sides[A].has(&Event::Failed(Verdict::ConsentLost)));
    assert_eq!(world.sides[A].agent.report().pairs[0].state, PairState::Failed(Failure::ConsentExpired));
    let last = world.sides[A].sent.iter().map(|(at, ..)| *at).max().unwrap();
    assert!(last <= cut + ms(30_000), "sent until {last:?}");
    assert_eq!(world.sides[A].agent.poll_timeout(), None);
}

#[test]
fn consent_that_comes_back_in_time_mends_the_connection() {
    let mut world = connected(3);
    world.cut = true;
    world.run_for(ms(15_000));
    assert_eq!(world.states(), [State::Disconnected; 2]);
    world.cut = false;
    world.run_for(ms(7_000));
    assert_eq!(world.states(), [State::Completed; 2]);
}

#[test]
fn a_lossy_path_is_not_taken_for_a_dead_one() {
    for seed in 0..50 {
        let mut world = connected(seed);
        world.loss = 200;
        world.run_for(ms(300_000));
        let failed = world.sides.iter().any(|side| side.agent.state() == State::Failed);
        assert!(!failed, "seed {seed}");
    }
}

#[test]
fn a_removed_interface_is_replaced_by_another_pair_without_signaling() {
    let mut world = World::new(4, ms(50));
    let wifi = world.host(A, A_HOST, None);
    let cable = world.host(A, "198.51.100.11:5000", None);
    world.host(B, B_HOST, None);
    world.meet();
    world.run_for(ms(10_000));
    let first = world.sides[A].agent.selected().unwrap().socket;
    let other = if first == wifi { cable } else { wifi };
    world.remove_socket(A, first);
    world.run_for(ms(200));
    assert_eq!(world.sides[A].agent.selected().unwrap().socket, other);
    world.run_for(ms(60_000));
    for side in &world.sides {
        assert!(matches!(side.agent.state(), State::Connected | State::Completed), "{}", side.agent.report());
        assert!(side.agent.selected().unwrap().nominated);
    }
    let left = if other == cable { "198.51.100.11:5000" } else { A_HOST };
    assert_eq!(world.sides[B].agent.selected().unwrap().remote, addr(left));
}

#[test]
fn the_last_interface_removed_is_disconnected_and_a_new_one_mends_it() {
    let mut world = connected(5);
    world.remove_socket(A, SocketId(1));
    assert_eq!(world.sides[A].agent.state(), State::Disconnected);
    assert_eq!(world.sides[A].agent.selected(), None);
    world.run_for(ms(2_000));
    world.host(A, "198.51.100.12:5000", None);
    world.run_for(ms(500));
    assert!(world.sides[A].agent.selected().is_some());
    assert_eq!(world.sides[B].agent.selected().unwrap().remote, addr("198.51.100.12:5000"));
}

#[test]
fn the_last_interface_removed_for_good_fails_with_its_reason() {
    let mut world = connected(6);
    world.remove_socket(A, SocketId(1));
    world.run_for(ms(40_000));
    assert_eq!(world.sides[A].agent.state(), State::Failed);
    assert!(world.sides[A].has(&Event::Failed(Verdict::SocketLost)));
}

#[test]
fn a_restart_keeps_the_pair_in_use_until_another_is_found() {
    let mut world = connected(7);
    let (socket, remote) = (SocketId(1), addr(B_HOST));
    let selections = world.sides[A].selections();
    // Only A begins anew; B learns of it later: meanwhile nothing changes.
    let (credentials, now) = (world.new_credentials(), world.instant());
    world.sides[A].agent.restart(credentials, now);
    for _ in 0..20 {
        world.run_for(ms(1_000));
        assert!(world.sides[A].agent.is_validated(socket, remote));
        assert!(world.sides[B].agent.is_validated(socket, addr(A_HOST)));
        assert_eq!(world.sides[A].agent.selected().unwrap().remote, remote);
    }
    let (credentials, now) = (world.new_credentials(), world.instant());
    world.sides[B].agent.restart(credentials, now);
    world.introduce(B);
    world.run_for(ms(25));
    world.introduce(A);
    for _ in 0..1_000 {
        world.run_for(ms(5));
        assert!(world.sides[A].agent.is_validated(socket, remote));
        assert!(world.sides[B].agent.is_validated(socket, addr(A_HOST)));
    }
    assert_eq!(world.states(), [State::Completed; 2]);
    assert!(world.sides[A].selections() > selections, "the new pair was told");
    // The former credentials are good for nothing now.
    assert_eq!(world.sides[A].agent.report().pairs.len(), 1);
}

#[test]
fn a_restart_after_failure_connects_again() {
    let mut world = connected(8);
    world.cut = true;
    world.run_for(ms(60_000));
    assert_eq!(world.states(), [State::Failed; 2]);
    world.cut = false;
    world.restart();
    world.run_for(ms(5_000));
    assert_eq!(world.states(), [State::Completed; 2]);
}

#[test]
fn restarts_in_a_row_do_not_lose_the_pair_in_use() {
    let mut world = connected(9);
    for _ in 0..5 {
        let (credentials, now) = (world.new_credentials(), world.instant());
        world.sides[A].agent.restart(credentials, now);
        world.run_for(ms(100));
        assert!(world.sides[A].agent.selected().is_some());
    }
    let (credentials, now) = (world.new_credentials(), world.instant());
    world.sides[B].agent.restart(credentials, now);
    world.meet();
    world.run_for(ms(5_000));
    assert_eq!(world.states(), [State::Completed; 2]);
}

#[test]
fn a_much_faster_pair_is_moved_to_once_things_have_settled() {
    let mut world = World::new(10, ms(50));
    world.relayed(A, "198.51.100.9:50000", ms(100));
    world.host(B, B_HOST, None);
    world.meet();
    world.run_for(ms(3_000));
    assert_eq!(world.sides[A].agent.selected().unwrap().socket, SocketId(1));
    world.relayed(A, "198.51.100.8:50000", ms(5));
    world.run_for(ms(30_000));
    assert_eq!(world.sides[A].agent.selected().unwrap().socket, SocketId(2));
    assert_eq!(world.sides[B].agent.selected().unwrap().remote, addr("198.51.100.8:50000"));
}

#[test]
fn paths_that_are_alike_are_not_moved_between() {
    let mut world = World::new(11, ms(50));
    for last in 10..14 {
        world.host(A, &format!("198.51.100.{last}:5000"), None);
        world.host(B, &format!("198.51.100.{}:5000", last + 10), None);
    }
    world.meet();
    world.run_for(ms(120_000));
    for side in &world.sides {
        assert!(side.selections() <= 4, "{:?}", side.events);
    }
    // Of sixteen pairs, one is in use and a few are kept.
    let valid =
        world.sides[A].agent.report().pairs.iter().filter(|p| p.state == PairState::Succeeded).count();
    assert!((1..=8).contains(&valid), "{valid}");
}

#[test]
fn a_silent_path_is_left_for_a_backup_before_consent_expires() {
    let mut world = World::new(12, ms(50));
    world.host(A, A_HOST, None);
    world.host(A, "198.51.100.11:5000", None);
    world.host(B, B_HOST, None);
    world.meet();
    world.run_for(ms(10_000));
    let first = world.sides[A].agent.selected().unwrap().socket;
    world
        .net
        .ports
        .iter_mut()
        .filter(|port| port.side == A && port.socket == first)
        .for_each(|port| port.up = false);
    let start = world.now;
    world.run_for(ms(15_000));
    let selected = world.sides[A].agent.selected().unwrap();
    assert_ne!(selected.socket, first);
    let at =
        world.sides[A].events.iter().rev().find(|(_, event)| matches!(event, Event::Selected(_))).unwrap().0;
    assert!(at - start < ms(9_000), "after {:?}", at - start);
    assert_eq!(world.sides[B].agent.selected().unwrap().remote.port(), 5000);
    assert!(matches!(world.states()[B], State::Connected | State::Completed));
}

#[test]
fn a_closed_agent_is_silent() {
    let mut world = connected(13);
    let now = world.instant();
    world.sides[A].agent.close(now);
    let sent = world.sides[A].sent.len();
    world.run_for(ms(60_000));
    assert_eq!(world.sides[A].sent.len(), sent);
    assert_eq!(world.states(), [State::Closed, State::Failed]);
    assert_eq!(world.sides[A].agent.verdict(), Verdict::Closed);
}
