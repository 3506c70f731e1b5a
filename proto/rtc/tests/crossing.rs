//! Offers that cross, in every order in which signals may come, whatever the two sides say of themselves: one connection comes of it.

mod world;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;

use twocan_rtc::{ChannelId, Connection, Signal, SignalError};
use world::*;

/// Signals of each side under way to the other, in their order.
type UnderWay = [Rc<RefCell<VecDeque<Signal>>>; 2];

fn two(seed: u64, polite: [bool; 2]) -> (World, [[ChannelId; 2]; 2], UnderWay) {
    let mut world = World::new(seed, Net::default());
    let channels =
        world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], |peer, config| {
            config.polite = polite[peer];
        });
    let under_way = UnderWay::default();
    for peer in [ADA, BOB] {
        let queue = under_way[peer].clone();
        world.peers[peer].tamper = Box::new(move |signal| {
            queue.borrow_mut().push_back(signal);
            None
        });
    }
    (world, channels, under_way)
}

/// Delivers one signal of this side, or else of the other; what is refused is no fault.
fn deliver(world: &mut World, under_way: &UnderWay, from: usize) {
    let next = |from: usize| under_way[from].borrow_mut().pop_front().map(|signal| (1 - from, signal));
    let Some((to, signal)) = next(from).or_else(|| next(1 - from)) else { return };
    world.run_for(ms(5));
    let taken = world.with(to, |connection, now| connection.handle_signal(signal, now));
    let no_fault = [SignalError::WrongState, SignalError::OtherGeneration];
    assert!(taken.is_ok() || taken.is_err_and(|why| no_fault.contains(&why)), "{taken:?}");
}

/// Both describe, the second after `later` deliveries; the bits of `order` say whose signals come first. Then the rest, in turns.
fn cross(
    world: &mut World,
    under_way: &UnderWay,
    (order, later): (u8, u8),
    describe: fn(&mut Connection, std::time::Instant),
) {
    world.with(ADA, describe);
    for step in 0..8 {
        if step == later {
            world.with(BOB, describe);
        }
        deliver(world, under_way, usize::from(order >> (step % 4) & 1));
    }
    let up =
        |world: &World| world.is_up() && world.peers.iter().all(|peer| peer.connection.report().is_some());
    for step in 0..400 {
        deliver(world, under_way, step % 2);
        world.run_for(ms(5));
        if step > 40 && up(world) {
            return;
        }
    }
}

#[test]
fn offers_that_cross_in_any_order_end_in_one_connection_and_so_do_restarts() {
    for case in 0..256_u16 {
        let [seed, ada, bob, later] = [0, 1, 2, 3].map(|bit| case >> bit & 1);
        let order = u8::try_from(case >> 4).unwrap();
        let polite = [ada == 1, bob == 1];
        let what = format!("seed {seed}, polite {polite:?}, order {order:04b}, Bob {later} later");
        let (mut world, channels, under_way) = two(u64::from(seed), polite);
        let schedule = (order, u8::try_from(later).unwrap());
        cross(&mut world, &under_way, schedule, Connection::negotiate);
        assert!(world.is_up(), "{what}: {}", world.describe());
        world.talk(channels);
        cross(&mut world, &under_way, schedule, Connection::restart_ice);
        world.run_for(ms(1_000));
        assert!(world.is_up(), "{what}, restarted: {}", world.describe());
        world.talk(channels);
        // It stays, and nobody goes on offering.
        let before = [ADA, BOB].map(|peer| world.peers[peer].descriptions());
        for step in 0..200 {
            deliver(&mut world, &under_way, step % 2);
            world.run_for(ms(100));
        }
        assert!(world.is_up(), "{what}, later: {}", world.describe());
        assert_eq!([ADA, BOB].map(|peer| world.peers[peer].descriptions()), before, "{what}");
        world.talk(channels);
    }
}

/// The last description of this side, and whatever else it said since.
fn last_said(under_way: &UnderWay, from: usize) -> Vec<Signal> {
    let said: Vec<Signal> = under_way[from].borrow_mut().drain(..).collect();
    let place =
        said.iter().rposition(|signal| matches!(signal, Signal::Description(_))).expect("a description");
    said[place..].to_vec()
}

fn credentials(said: &[Signal]) -> String {
    let Some(Signal::Description(description)) = said.first() else { panic!("a description: {said:?}") };
    description.sdp.lines().find(|line| line.starts_with("a=ice-ufrag:")).expect("a ufrag").to_owned()
}

/// Whoever answered the first has begun to try its credentials. A Firefox that is told of a third set before it found a way by the second
/// ends the connection; others begin from nothing.
#[test]
fn an_offer_whose_answer_is_lost_is_made_again_with_the_credentials_that_it_had() {
    for late in [false, true] {
        let (mut world, channels, under_way) = two(7, [false, true]);
        cross(&mut world, &under_way, (0, 8), Connection::negotiate);
        world.run_for(ms(1_000));
        under_way.iter().for_each(|queue| queue.borrow_mut().clear());
        let say = |world: &mut World, to: usize, said: &[Signal]| {
            for signal in said {
                let _ = world.with(to, |connection, now| connection.handle_signal(signal.clone(), now));
            }
        };
        world.with(ADA, Connection::restart_ice);
        let first = last_said(&under_way, ADA);
        say(&mut world, BOB, &first);
        let first_answer = last_said(&under_way, BOB);
        world.with(ADA, Connection::restart_ice);
        let second = last_said(&under_way, ADA);
        assert_eq!(credentials(&second), credentials(&first));
        say(&mut world, BOB, &second);
        let second_answer = last_said(&under_way, BOB);
        assert_eq!(credentials(&second_answer), credentials(&first_answer), "it goes on");
        // The first may come late all the same, and fits.
        say(&mut world, ADA, if late { &first_answer } else { &second_answer });
        world.run_for(ms(1_000));
        assert!(world.is_up(), "{late}: {}", world.describe());
        world.talk(channels);
        // The next one is a restart.
        world.with(ADA, Connection::restart_ice);
        assert_ne!(credentials(&last_said(&under_way, ADA)), credentials(&first));
    }
}
