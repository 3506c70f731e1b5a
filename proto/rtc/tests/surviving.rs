//! A connection that is up stays up: interfaces come and go, relays restart, either side starts ICE anew.

mod world;

use std::time::Duration;

use twocan_rtc::{ChannelId, ConnectionState, Event, Path, SignalError};
use world::*;

const RELAY: &str = "5.0.0.1";

fn two_public(ada: &[&str], bob: &[&str]) -> (World, [[ChannelId; 2]; 2]) {
    let mut world = World::new(1, Net::default());
    let interfaces = |ips: &[&str]| ips.iter().map(|ip| Interface::public(ip)).collect::<Vec<_>>();
    let channels = world.two(&interfaces(ada), &interfaces(bob), |_, _| ());
    world.connect(ms(2_000));
    world.talk(channels);
    (world, channels)
}

/// Sends a numbered message every 10 ms for a while.
fn stream(world: &mut World, channel: ChannelId, first: u32, count: u32) -> u32 {
    for number in first..first + count {
        world.send(ADA, channel, number.to_be_bytes().to_vec());
        world.run_for(ms(10));
    }
    first + count
}

fn numbers(world: &World) -> Vec<u32> {
    let messages = world.peers[BOB].messages.iter();
    messages.filter_map(|(_, _, bytes)| Some(u32::from_be_bytes(bytes[..].try_into().ok()?))).collect()
}

/// All numbers below `next` have come in time.
fn all_arrive(world: &mut World, next: u32, within: Duration) {
    assert!(world.run_until(within, |world| numbers(world).len() == next as usize), "{}", world.describe());
}

/// From now on DTLS is lost (its first byte, RFC 7983), and checks of ICE are not.
fn lose_dtls(world: &mut World) {
    world.filter = Box::new(|_, _, bytes| !(20..64).contains(&bytes[0]));
}

/// The longest silence between two numbered messages.
fn longest_pause(world: &World) -> Duration {
    let times: Vec<Duration> = world.peers[BOB]
        .messages
        .iter()
        .filter(|(_, _, bytes)| bytes.len() == 4)
        .map(|(at, _, _)| *at)
        .collect();
    times.windows(2).map(|pair| pair[1] - pair[0]).max().expect("two messages")
}

#[test]
fn an_interface_lost_under_data_is_replaced_and_nothing_is_lost() {
    let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
    let next = stream(&mut world, channels[ADA][0], 0, 100);
    world.unplug(ADA, "8.0.0.1");
    assert_eq!(world.peers[ADA].state(), ConnectionState::Disconnected);
    let next = stream(&mut world, channels[ADA][0], next, 50);
    world.plug(ADA, Interface::public("8.0.0.9"));
    let next = stream(&mut world, channels[ADA][0], next, 200);
    all_arrive(&mut world, next, ms(10_000));
    assert_eq!(numbers(&world), (0..next).collect::<Vec<_>>());
    assert!(world.is_up());
    assert!(world.peers.iter().all(|peer| peer.failure().is_none()));
    // Half a second without any interface, then signaling, a check, and SCTP's next try.
    let pause = longest_pause(&world);
    assert!(pause < ms(700), "{pause:?}");
}

#[test]
fn what_waited_for_a_path_goes_out_as_soon_as_there_is_one() {
    let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
    world.unplug(ADA, "8.0.0.1");
    let next = stream(&mut world, channels[ADA][0], 0, 500);
    world.run_for(ms(300));
    world.plug(ADA, Interface::public("8.0.0.9"));
    all_arrive(&mut world, next, ms(10_000));
    let is_path = |event: &&(Duration, Event)| matches!(event.1, Event::Path(_));
    let path = world.peers[ADA].events.iter().rfind(is_path).expect("a path").0;
    let first = world.peers[BOB].messages.iter().find(|(_, _, bytes)| bytes.len() == 4).expect("a message").0;
    assert_eq!(first - path, ms(25));
}

#[test]
fn nothing_is_sent_where_consent_has_expired() {
    let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
    let sent = std::rc::Rc::new(std::cell::Cell::new(0));
    let count = sent.clone();
    world.filter = Box::new(move |_, _, bytes| {
        count.set(count.get() + u32::from(bytes[0] >= 20));
        false
    });
    world.is_signaling_up = false;
    stream(&mut world, channels[ADA][0], 0, 3_100);
    assert!(sent.get() > 10);
    sent.set(0);
    stream(&mut world, channels[ADA][0], 0, 1_000);
    assert_eq!(sent.get(), 0);
}

#[test]
fn the_other_interface_takes_over_where_one_is_lost() {
    let (mut world, channels) = two_public(&["8.0.0.1", "8.0.0.2"], &["9.0.0.1"]);
    let next = stream(&mut world, channels[ADA][0], 0, 300);
    let used = world.trace.last().unwrap().1;
    let used = if used.ip() == ip("9.0.0.1") { world.trace.last().unwrap().2 } else { used };
    world.unplug(ADA, &used.ip().to_string());
    let next = stream(&mut world, channels[ADA][0], next, 200);
    all_arrive(&mut world, next, ms(10_000));
    assert_eq!(numbers(&world), (0..next).collect::<Vec<_>>());
    let pause = longest_pause(&world);
    assert!(pause < ms(1_000), "{pause:?}");
}

#[test]
fn a_better_interface_that_comes_later_is_used() {
    let mut world = World::new(1, Net::default());
    world.add_relay(RELAY);
    let rule = Rule::AddressAndPortDependent;
    let (a, b) = (world.add_nat("8.0.0.1", rule, rule), world.add_nat("9.0.0.1", rule, rule));
    let ada = [Interface::behind(a, "192.168.1.2", 1)];
    let bob = [Interface::behind(b, "192.168.2.2", 2)];
    let channels = world.two(&ada, &bob, |_, config| config.servers = vec![server(&["turn:5.0.0.1"])]);
    world.connect(ms(5_000));
    world.talk(channels);
    assert_eq!(world.peers[ADA].path().path, Path::Relayed);
    world.run_for(ms(15_000));
    world.plug(ADA, Interface::lan("10.9.0.1", 9));
    world.plug(BOB, Interface::lan("10.9.0.2", 9));
    let is_direct = |world: &World| world.peers.iter().all(|peer| peer.path().path == Path::Direct);
    assert!(world.run_until(ms(20_000), is_direct), "{}", world.describe());
    world.talk(channels);
    assert!(world.peers.iter().all(|peer| peer.states().last() == Some(&ConnectionState::Connected)));
}

#[test]
fn either_side_may_restart_ice_and_data_flows_on() {
    for who in [ADA, BOB] {
        let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
        let next = stream(&mut world, channels[ADA][0], 0, 50);
        let before = world.peers[who].connection.stats().restarts;
        world.with(who, twocan_rtc::Connection::restart_ice);
        let next = stream(&mut world, channels[ADA][0], next, 200);
        assert!(world.run_until(ms(1_000), |world| numbers(world).len() == next as usize));
        assert_eq!(numbers(&world), (0..next).collect::<Vec<_>>());
        assert!(longest_pause(&world) < ms(100), "{:?}", longest_pause(&world));
        assert!(world.peers.iter().all(|peer| peer.connection.stats().restarts == before + 1));
        assert!(world.is_up());
    }
}

#[test]
fn both_sides_may_restart_ice_at_once() {
    let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
    for peer in [ADA, BOB] {
        world.with(peer, twocan_rtc::Connection::restart_ice);
    }
    world.run_for(ms(3_000));
    assert!(world.is_up(), "{}", world.describe());
    world.talk(channels);
    world.run_for(ms(60_000));
    assert!(world.is_up(), "{}", world.describe());
    world.talk(channels);
    // Bob's offer is rolled back, and need not come again: Ada's renewed both sides.
    let descriptions = [ADA, BOB].map(|peer| world.peers[peer].descriptions());
    assert_eq!(descriptions, [2, 3]);
}

#[test]
fn an_answer_that_a_new_offer_overtook_does_no_harm() {
    let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
    // Each signal takes so long that the offer is made anew before its answer comes.
    world.net.signal_delay = ms(5_000);
    world.with(ADA, twocan_rtc::Connection::restart_ice);
    world.run_for(ms(60_000));
    assert!(world.is_up(), "{}", world.describe());
    // What comes late is passed over, and what comes then is waited for.
    let refused = &world.peers[ADA].refused;
    assert!(
        !refused.is_empty() && refused.iter().all(|why| *why == SignalError::OtherGeneration),
        "{refused:?}"
    );
    let fresh = |peer: usize| {
        world.peers[peer].connection.report().unwrap().pairs.iter().filter(|pair| pair.selected).count()
    };
    assert_eq!([fresh(ADA), fresh(BOB)], [1, 1]);
    world.talk(channels);
}

#[test]
fn an_outage_of_ten_seconds_is_a_pause() {
    let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
    world.net.loss = 100.0;
    let next = stream(&mut world, channels[ADA][0], 0, 1_000);
    world.net.loss = 0.0;
    all_arrive(&mut world, next, ms(10_000));
    assert_eq!(numbers(&world), (0..next).collect::<Vec<_>>());
    world.run_for(ms(10_000));
    assert!(world.is_up(), "{}", world.describe());
}

#[test]
fn a_path_that_dies_silently_is_replaced_by_a_restart() {
    let (mut world, channels) = two_public(&["8.0.0.1", "8.0.0.2"], &["9.0.0.1"]);
    world.run_for(ms(5_000));
    let used =
        world.peers[ADA].connection.report().unwrap().pairs.iter().find(|pair| pair.selected).unwrap().socket;
    let dead = world.peers[ADA].sockets[&used];
    let next = stream(&mut world, channels[ADA][0], 0, 50);
    world.filter = Box::new(move |from, to, _| from != dead && to != dead);
    let next = stream(&mut world, channels[ADA][0], next, 3_000);
    all_arrive(&mut world, next, ms(30_000));
    assert!(world.peers.iter().all(|peer| peer.failure().is_none()));
    assert!(longest_pause(&world) < ms(1_300), "{:?}", longest_pause(&world));
}

#[test]
fn a_path_whose_checks_are_answered_and_that_carries_nothing_is_mended_though_nobody_says_anything() {
    let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
    world.run_for(ms(5_000));
    // DTLS alone is lost, as of a page that has no pair of its own left to send it by.
    lose_dtls(&mut world);
    let is_faltering = |world: &World| world.peers[ADA].connection.state() == ConnectionState::Disconnected;
    assert!(world.run_until(ms(22_000), is_faltering), "{}", world.describe());
    world.run_for(ms(20_000));
    assert!(is_faltering(&world), "checks alone mend nothing: {}", world.describe());
    world.filter = Box::new(|_, _, _| true);
    assert!(world.run_until(ms(20_000), World::is_up), "{}", world.describe());
    let next = stream(&mut world, channels[ADA][0], 0, 100);
    all_arrive(&mut world, next, ms(1_000));
}

/// More is always underway: what is acknowledged of it says that the path carries.
#[test]
fn whoever_goes_on_sending_is_up_again_as_soon_as_something_is_acknowledged() {
    let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
    world.run_for(ms(5_000));
    lose_dtls(&mut world);
    let next = stream(&mut world, channels[ADA][0], 0, 1_000);
    assert_eq!(world.peers[ADA].connection.state(), ConnectionState::Disconnected, "{}", world.describe());
    world.filter = Box::new(|_, _, _| true);
    let next = stream(&mut world, channels[ADA][0], next, 1_000);
    assert!(world.is_up(), "{}", world.describe());
    all_arrive(&mut world, next, ms(1_000));
}

#[test]
fn a_nat_that_forgets_is_a_pause() {
    for mapping in [Rule::EndpointIndependent, Rule::AddressAndPortDependent] {
        let mut world = World::new(1, Net::default());
        world.add_relay(RELAY);
        let a = world.add_nat("8.0.0.1", mapping, Rule::AddressAndPortDependent);
        let ada = [Interface::behind(a, "192.168.1.2", 1)];
        let change =
            |_: usize, config: &mut twocan_rtc::Config| config.servers = vec![server(&["stun:5.0.0.1"])];
        let channels = world.two(&ada, &[Interface::public("9.0.0.1")], change);
        world.connect(ms(5_000));
        world.run_for(ms(5_000));
        let next = stream(&mut world, channels[ADA][0], 0, 50);
        world.nats[a].forget();
        let next = stream(&mut world, channels[ADA][0], next, 2_500);
        assert!(
            world.run_until(ms(5_000), |world| numbers(world).len() == next as usize),
            "{}",
            world.describe()
        );
        assert!(longest_pause(&world) < ms(1_300), "{:?}", longest_pause(&world));
        assert!(world.is_up());
    }
}

/// Two homes with a relay, linked directly; `home` is how their NATs map.
fn two_homes(home: Rule) -> (World, [usize; 2], [[ChannelId; 2]; 2]) {
    let mut world = World::new(1, Net::default());
    world.add_relay(RELAY);
    let nats =
        ["8.0.0.1", "9.0.0.1"].map(|public| world.add_nat(public, home, Rule::AddressAndPortDependent));
    let ada = [Interface::behind(nats[ADA], "192.168.1.2", 1)];
    let bob = [Interface::behind(nats[BOB], "192.168.2.2", 2)];
    let servers = || vec![server(&["stun:5.0.0.1"]), server(&["turn:5.0.0.1"])];
    let channels = world.two(&ada, &bob, |_, config| config.servers = servers());
    world.connect(ms(5_000));
    world.run_for(ms(15_000));
    assert_eq!(world.peers[ADA].path().path, Path::Direct);
    (world, nats, channels)
}

fn is_direct(world: &World) -> bool {
    world.peers.iter().all(|peer| peer.path().path == Path::Direct)
}

/// What is left meanwhile (loopback, a bridge) is offered and leads nowhere.
#[test]
fn who_is_between_two_networks_makes_one_offer_and_trickles_the_next_into_it() {
    let (mut world, nats, channels) = two_homes(Rule::EndpointIndependent);
    let before = world.peers[ADA].descriptions();
    let restarts = world.peers[BOB].connection.stats().restarts;
    world.unplug(ADA, "192.168.1.2");
    // Nothing is to be gathered there.
    world.with(ADA, |connection, now| connection.set_servers(Vec::new(), now));
    world.plug(ADA, Interface::lan("172.17.0.1", 7));
    world.run_for(ms(300));
    let servers = vec![server(&["stun:5.0.0.1"]), server(&["turn:5.0.0.1"])];
    world.with(ADA, |connection, now| connection.set_servers(servers, now));
    world.plug(ADA, Interface::behind(nats[ADA], "192.168.1.3", 1));
    assert!(world.run_until(ms(2_000), World::is_up), "{}", world.describe());
    world.run_for(ms(1_000));
    assert_eq!(world.peers[ADA].descriptions() - before, 1, "{}", world.describe());
    assert_eq!(world.peers[BOB].connection.stats().restarts - restarts, 1);
    assert!(is_direct(&world));
    world.talk(channels);
}

#[test]
fn a_nat_that_forgets_leaves_no_link_relayed_where_it_may_be_direct() {
    for forgets in [ADA, BOB] {
        let (mut world, nats, channels) = two_homes(Rule::EndpointIndependent);
        world.nats[nats[forgets]].forget();
        let next = stream(&mut world, channels[ADA][0], 0, 400);
        assert!(world.run_until(ms(6_000), is_direct), "{}", world.describe());
        world.run_for(ms(1_000));
        assert_eq!(numbers(&world), (0..next).collect::<Vec<_>>());
        assert!(
            world.peers.iter().all(|peer| peer.paths().iter().any(|path| path.path == Path::Relayed)),
            "{}",
            world.describe()
        );
        // It stays: nothing is restarted any more.
        let restarts = world.peers[ADA].connection.stats().restarts;
        world.run_for(ms(600_000));
        assert!(is_direct(&world));
        assert_eq!(world.peers[ADA].connection.stats().restarts, restarts);
    }
}

#[test]
fn a_direct_path_that_is_gone_for_good_is_looked_for_a_few_times_and_no_more() {
    let (mut world, nats, channels) = two_homes(Rule::EndpointIndependent);
    for (nat, public) in nats.into_iter().zip(["8.0.0.1", "9.0.0.1"]) {
        let worse = Rule::AddressAndPortDependent;
        world.nats[nat] = Nat::new(ip(public), worse, worse);
    }
    stream(&mut world, channels[ADA][0], 0, 3_000);
    world.run_for(ms(600_000));
    assert!(world.is_up() && !is_direct(&world), "{}", world.describe());
    let restarts = world.peers.iter().map(|peer| peer.connection.stats().restarts).max().unwrap();
    assert!((2..=8).contains(&restarts), "{restarts}: {}", world.describe());
}

#[test]
fn udp_that_is_blocked_is_a_pause_until_the_relay_is_reached_by_tcp() {
    for blocked in [ADA, BOB] {
        let mut world = World::new(1, Net::default());
        world.add_relay(RELAY);
        let rule = Rule::EndpointIndependent;
        let nats = ["8.0.0.1", "9.0.0.1"].map(|public| world.add_nat(public, rule, rule));
        let ada = [Interface::behind(nats[ADA], "192.168.1.2", 1)];
        let bob = [Interface::behind(nats[BOB], "192.168.2.2", 2)];
        let servers = || vec![server(&["stun:5.0.0.1", "turn:5.0.0.1", "turn:5.0.0.1?transport=tcp"])];
        let channels = world.two(&ada, &bob, |_, config| config.servers = servers());
        world.connect(ms(5_000));
        world.run_for(ms(15_000));
        assert!(is_direct(&world));
        let own = ip(["8.0.0.1", "9.0.0.1"][blocked]);
        world.filter = Box::new(move |from, to, _| from.ip() != own && to.ip() != own);
        let next = stream(&mut world, channels[ADA][0], 0, 1_000);
        assert!(
            world.run_until(ms(10_000), |world| numbers(world).len() == next as usize),
            "{}",
            world.describe()
        );
        let pause = longest_pause(&world);
        assert!(pause < ms(1_800), "{pause:?}: {}", world.describe());
        assert_eq!(world.peers[blocked].path().path, Path::Relayed);
    }
}

#[test]
fn a_relay_that_restarts_is_asked_again() {
    let mut world = World::new(1, Net::default());
    let relay = world.add_relay(RELAY);
    let rule = Rule::AddressAndPortDependent;
    let (a, b) = (world.add_nat("8.0.0.1", rule, rule), world.add_nat("9.0.0.1", rule, rule));
    let ada = [Interface::behind(a, "192.168.1.2", 1)];
    let bob = [Interface::behind(b, "192.168.2.2", 2)];
    let channels = world.two(&ada, &bob, |_, config| config.servers = vec![server(&["turn:5.0.0.1"])]);
    world.connect(ms(5_000));
    world.talk(channels);
    world.run_for(ms(5_000));
    world.restart_relay(relay);
    let next = stream(&mut world, channels[ADA][0], 0, 100);
    all_arrive(&mut world, next, ms(60_000));
    assert!(world.peers.iter().all(|peer| peer.failure().is_none()));
}

#[test]
fn an_interface_that_is_replaced_while_connecting_does_no_harm() {
    for moment in [1, 30, 60, 90, 120] {
        let mut world = World::new(1, Net::default());
        let [ada, bob] = ["8.0.0.1", "9.0.0.1"].map(Interface::public);
        let channels = world.two(&[ada], &[bob], |_, _| ());
        world.offer(ADA);
        world.run_for(ms(moment));
        world.unplug(ADA, "8.0.0.1");
        world.plug(ADA, Interface::public("8.0.0.9"));
        assert!(world.run_until(ms(10_000), World::is_up), "after {moment} ms: {}", world.describe());
        world.talk(channels);
    }
}

/// As once both have left the lobby's server: the link itself carries signals, while it is up.
fn without_signaling(world: &mut World) {
    (0..2).for_each(|end| world.with(end, |connection, _| connection.handle_signaling(false)));
}

#[test]
fn who_moves_without_signaling_is_found_by_its_checks() {
    let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
    without_signaling(&mut world);
    world.is_signaling_up = false;
    let next = stream(&mut world, channels[ADA][0], 0, 100);
    world.unplug(ADA, "8.0.0.1");
    world.plug(ADA, Interface::public("8.0.0.9"));
    let next = stream(&mut world, channels[ADA][0], next, 100);
    assert!(world.run_until(ms(100), |world| numbers(world).len() == next as usize), "{}", world.describe());
    assert_eq!(numbers(&world), (0..next).collect::<Vec<_>>());
    assert!(world.is_up(), "{}", world.describe());
    // A check and its answer, then SCTP's next try.
    let pause = longest_pause(&world);
    assert!(pause < ms(300), "{pause:?}: {}", world.describe());
}

/// The pause of a stream from Ada to Bob where one of the two moves from one NAT to another.
fn pause_of_a_move(mover: usize) -> Duration {
    let mut world = World::new(1, Net::default());
    world.add_relay(RELAY);
    let (independent, by_port) = (Rule::EndpointIndependent, Rule::AddressAndPortDependent);
    let nats = ["8.0.0.1", "9.0.0.1", "7.0.0.1"].map(|public| world.add_nat(public, independent, by_port));
    let ada = [Interface::behind(nats[ADA], "192.168.1.2", 1)];
    let bob = [Interface::behind(nats[BOB], "192.168.2.2", 2)];
    let servers = || vec![server(&["stun:5.0.0.1"]), server(&["turn:5.0.0.1"])];
    let channels = world.two(&ada, &bob, |_, config| config.servers = servers());
    world.connect(ms(5_000));
    assert_eq!(world.peers[ADA].path().path, Path::Direct);
    world.run_for(ms(15_000));
    without_signaling(&mut world);
    let next = stream(&mut world, channels[ADA][0], 0, 100);
    world.unplug(mover, ["192.168.1.2", "192.168.2.2"][mover]);
    world.plug(mover, Interface::behind(nats[2], "10.0.0.7", 3));
    let moved = world.elapsed();
    assert_eq!(world.peers[mover].state(), ConnectionState::Disconnected);
    let next = stream(&mut world, channels[ADA][0], next, 100);
    all_arrive(&mut world, next, ms(10_000));
    let is_direct = |world: &World| world.peers.iter().all(|peer| peer.path().path == Path::Direct);
    assert!(world.run_until(ms(5_000), is_direct), "{}", world.describe());
    let mover = &world.peers[mover];
    let is_path = |event: &Event| matches!(event, Event::Path(path) if path.path == Path::Relayed);
    let path = mover.events.iter().find(|(at, event)| *at >= moved && is_path(event)).map(|(at, _)| *at);
    let signaled = mover.signals.iter().map(|(at, _)| *at).find(|at| *at >= moved);
    assert!(path < signaled, "an offer went where nobody was");
    longest_pause(&world)
}

#[test]
fn who_moves_behind_another_nat_without_signaling_is_found_by_way_of_the_relays() {
    let pause = pause_of_a_move(ADA);
    assert!(pause < ms(400), "{pause:?}");
    // Bob cannot nominate: Ada follows what comes by another way.
    let pause = pause_of_a_move(BOB);
    assert!(pause < ms(500), "{pause:?}");
}

#[test]
fn a_dead_signal_path_ends_mending_in_its_time_and_a_living_one_revives_it() {
    let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
    world.is_signaling_up = false;
    world.unplug(ADA, "8.0.0.1");
    world.plug(ADA, Interface::public("8.0.0.9"));
    world.with(ADA, |connection, _| connection.handle_signaling(false));
    let is_failed = |world: &World| world.peers[ADA].state() == ConnectionState::Failed;
    assert!(world.run_until(ms(91_000), is_failed), "{}", world.describe());
    assert_eq!(world.peers[ADA].failure(), Some(twocan_rtc::FailReason::SignalingLost));
    assert!(!world.peers[ADA].is_closed());
    world.is_signaling_up = true;
    world.with(ADA, |connection, now| {
        connection.handle_signaling(true);
        connection.restart_ice(now);
    });
    assert!(world.run_until(ms(10_000), World::is_up), "{}", world.describe());
    world.talk(channels);
}

#[test]
fn figures_are_kept_of_each_channel_and_of_the_whole() {
    let (mut world, channels) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
    for _ in 0..5 {
        world.send(ADA, channels[ADA][1], vec![1; 700]);
    }
    world.run_for(ms(1_000));
    let [ada, bob] = [ADA, BOB].map(|peer| world.peers[peer].connection.stats());
    let (sent, received) = (ada.channels[1], bob.channels[1]);
    assert_eq!((sent.id, received.id), (channels[ADA][1], channels[BOB][1]));
    assert_eq!((sent.messages_sent, sent.bytes_sent, sent.buffered_amount), (5, 3_500, 0));
    assert_eq!((received.messages_received, received.bytes_received), (5, 3_500));
    assert_eq!((ada.packets_sent, ada.bytes_sent), (bob.packets_received, bob.bytes_received));
    assert!(ada.bytes_sent > 3_500);
    assert_eq!((ada.rtt, ada.path_changes, ada.restarts), (Some(ms(50)), 0, 0));
    assert!(ada.connect_time.is_some_and(|time| time <= ms(200)));
    let since = ada.path_since.expect("a path");
    world.unplug(ADA, "8.0.0.1");
    assert_eq!(world.peers[ADA].connection.stats().path_since, None);
    world.plug(ADA, Interface::public("8.0.0.9"));
    world.run_for(ms(1_000));
    let again = world.peers[ADA].connection.stats().path_since.expect("another path");
    assert!(again - since >= ms(1_000), "{:?}", again - since);
}

#[test]
fn a_farewell_passes_every_kind_of_relay() {
    for url in ["turn:5.0.0.1", "turn:5.0.0.1?transport=tcp", "turns:5.0.0.1"] {
        let mut world = World::new(1, Net::default());
        world.add_relay(RELAY);
        let change = |_: usize, config: &mut twocan_rtc::Config| {
            config.servers = vec![server(&[url])];
            config.policy = twocan_rtc::gather::TransportPolicy::Relay;
        };
        world.two(&[Interface::public("8.0.0.1")], &[Interface::public("9.0.0.1")], change);
        world.connect(ms(5_000));
        world.run_for(ms(1_000));
        world.with(ADA, twocan_rtc::Connection::close);
        let is_over = |world: &World| world.peers.iter().all(Peer::is_closed);
        assert!(world.run_until(ms(1_000), is_over), "{url} {}", world.describe());
        // And the relay is given back.
        world.run_for(ms(5_000));
        assert_eq!(world.relays[0].server.stats().stored.allocations, 0, "{url}");
    }
}

#[test]
fn either_side_may_close_and_both_learn_why() {
    for who in [ADA, BOB] {
        let (mut world, _) = two_public(&["8.0.0.1"], &["9.0.0.1"]);
        world.with(who, twocan_rtc::Connection::close);
        let is_over = |world: &World| world.peers.iter().all(Peer::is_closed);
        assert!(world.run_until(ms(5_000), is_over), "{}", world.describe());
        let why = |peer: usize| {
            world.peers[peer]
                .events
                .iter()
                .find_map(|(_, event)| if let Event::Closed { why } = event { Some(*why) } else { None })
        };
        assert_eq!(why(who), Some(twocan_rtc::CloseReason::Local));
        assert_eq!(why(1 - who), Some(twocan_rtc::CloseReason::PeerClosed));
        assert!(world.peers.iter().all(|peer| peer.state() == ConnectionState::Closed));
        // Nobody says anything any more.
        world.run_for(ms(1_000));
        let sent = world.trace.len();
        world.run_for(ms(120_000));
        assert_eq!(world.trace.len(), sent);
    }
}

#[test]
fn data_that_comes_before_the_end_of_a_handshake_does_not_keep_it_from_ending() {
    let mut world = World::new(9, Net::default());
    let [ada, bob] = ["8.0.0.1", "9.0.0.1"].map(|ip| [Interface::public(ip)]);
    let channels = world.two(&ada, &bob, |_, _| ());
    // The client's last flight is lost a few times; what it sends behind it arrives.
    let mut lost = 0;
    world.filter = Box::new(move |from, _, bytes| {
        let is_handshake = bytes[0] & 0b1110_0011 == 0b0010_0010;
        let is_lost = from.ip() == ip("8.0.0.1") && is_handshake && lost < 3;
        lost += u32::from(is_lost);
        !is_lost
    });
    world.offer(ADA);
    assert!(world.run_until(ms(1_000), |world| world.peers[ADA].is_connected()));
    for number in 0..100 {
        assert!(world.send(ADA, channels[ADA][0], vec![number; 100]));
        world.run_for(ms(5));
    }
    let is_all_there = |world: &World| world.peers[BOB].messages.len() == 100;
    assert!(world.run_until(ms(10_000), is_all_there), "{}", world.describe());
}
