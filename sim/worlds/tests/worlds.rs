//! Worlds by seed: they hold, they repeat, and what is wrong is seen.

use std::time::Duration;

use sim::plan::{At, GUEST, HOST, Plan};
use sim::player::{Planted, PlayerKind};
use sim::scenarios::{self, tell};
use sim::{World, findings, live};
use twocan_rtc::Path;
use twocan_sim::{Access, Kind, Link};

/// Worlds that showed something wrong once, each mended with a test where it was wrong.
const KEPT: [u64; 24] = [
    9, 20, 41, 53, 273, 301, 354, 468, 588, 845, 984, 2284, 3086, 5567, 5962, 7917, 11_757, 12_054, 17_003,
    35_807, 41_150, 63_487, 64_368, 68_429,
];

/// The same of worlds with pages.
const KEPT_WITH_PAGES: [u64; 20] = [
    4177, 200_459, 1_000_410, 6_001_147, 10_051_105, 10_019_062, 10_077_866, 10_058_440, 20_017_493,
    20_019_217, 50_002_292, 50_004_364, 50_011_319, 50_040_617, 60_005_439, 60_041_549, 60_028_123,
    70_079_317, 98_012_282, 98_013_031,
];

fn wrong(plan: Plan) -> Vec<&'static str> {
    let (_, found) = live(plan);
    found.into_iter().map(|finding| finding.what).collect()
}

#[test]
fn worlds_that_were_wrong_once_are_right() {
    for seed in KEPT {
        let (_, found) = live(Plan::draw(seed).with([PlayerKind::Native; 2]));
        assert!(found.is_empty(), "cargo run -p sim -- --pair native-native --seed {seed}: {found:?}");
    }
}

#[test]
fn worlds_with_pages_that_were_wrong_once_are_right() {
    for seed in KEPT_WITH_PAGES {
        let (_, found) = live(Plan::draw(seed));
        assert!(found.is_empty(), "cargo run -p sim -- --seed {seed}: {found:?}");
    }
}

#[test]
fn fifty_worlds_hold() {
    for seed in 0..50 {
        let (_, found) = live(Plan::draw(seed));
        assert!(found.is_empty(), "cargo run -p sim -- --seed {seed}: {found:?}");
    }
}

#[test]
fn the_same_seed_gives_the_same_trace() {
    // Without lengths: those of the handshake's signatures are drawn from the system.
    let trace = |seed| {
        let mut world = World::new(Plan::draw(seed));
        world.trace();
        world.run();
        let table = world.table();
        let without_len = |line: &str| {
            line.split_whitespace().filter(|word| word.parse::<u32>().is_err()).collect::<Vec<_>>().join(" ")
        };
        table.lines().map(without_len).collect::<Vec<_>>()
    };
    let [one, again, other] = [3, 3, 5].map(trace);
    assert!(one.len() > 100);
    assert_eq!(one, again);
    assert_ne!(one, other);
}

#[test]
fn each_scenario_ends_as_it_ought_to_and_gives_the_true_reason() {
    for scenario in scenarios::all() {
        let told = tell(&scenario);
        assert!(told.is_right, "{}: {}", scenario.name, told.text);
    }
}

/// Each fault of a link that works is mended in time, for one of the pairs.
fn are_mended(pair: usize) {
    for mishap in scenarios::mishaps() {
        let (players, within) = (scenarios::PAIRS[pair], mishap.within[pair]);
        let mended = scenarios::mend(&mishap.plan, players);
        assert!(mended.is_right(within), "{}: {players:?}: {mended:?}", mishap.name);
    }
}

#[test]
fn faults_of_a_link_between_natives_are_mended_in_time() {
    are_mended(0);
}

#[test]
fn faults_of_a_link_between_a_native_and_a_page_are_mended_in_time() {
    are_mended(1);
}

#[test]
fn faults_of_a_link_between_pages_are_mended_in_time() {
    are_mended(2);
}

/// A consent check that repeats the nomination has its own times: one just before the change is no news of another pair.
#[test]
fn an_address_may_change_at_any_moment_between_two_consent_checks() {
    let mishaps = scenarios::mishaps();
    let mishap =
        mishaps.iter().find(|mishap| mishap.name == "another address, the same NAT: who joined").unwrap();
    for ms in (2_000..7_000).step_by(200) {
        let mut plan = mishap.plan.clone();
        plan.faults[0].at = At::Linked(Duration::from_millis(ms));
        let mended = scenarios::mend(&plan, scenarios::PAIRS[0]);
        assert!(mended.is_right(Duration::from_millis(700)), "at {ms} ms: {mended:?}");
    }
}

#[test]
fn a_moment_without_a_network_is_a_pause_and_a_move_is_a_longer_one() {
    let pause = |name: &str| {
        let scenario = scenarios::all().into_iter().find(|scenario| scenario.name == name).expect(name);
        tell(&scenario).pause
    };
    assert!(pause("three seconds without a network") < Duration::from_secs(4));
    assert!(pause("Wi-Fi to mobile") < Duration::from_millis(700));
    assert!(pause("the server dies once they are linked") < Duration::from_millis(200));
}

/// The server passes signals on as they come, so that whoever of the two is ready first checks first: timing is of no help.
#[test]
fn behind_linux_routers_a_native_peer_opens_its_own_nat_before_it_checks_a_page() {
    for seed in 0..30 {
        let kinds = [Kind::LinuxRace, if seed % 2 == 0 { Kind::LinuxRace } else { Kind::Home }];
        let delay = |ms: u64| Access::both(Link::delayed(Duration::from_millis(ms)));
        let access = [delay(3 + seed % 40), delay(3 + (seed * 7) % 60)];
        let plan = Plan { holds: false, access, leaves: false, ..Plan::new(seed, kinds) };
        let (world, _) = live(plan.with([PlayerKind::Native, PlayerKind::Page]));
        let paths = world.players.each_ref().map(|player| player.path().map(|path| path.path));
        assert_eq!(paths, [Some(Path::Direct); 2], "seed {seed}");
    }
}

#[test]
fn planted_bugs_are_seen() {
    let planted = [
        (Planted::SwallowsAMessage, "disorder"),
        (Planted::SpeaksUnasked, "unvalidated"),
        (Planted::RelaysOnly, "relayed"),
        (Planted::NeverSettles, "not-linked"),
    ];
    for (bug, word) in planted {
        let mut plan = Plan::new(1, [Kind::Home, Kind::Home]);
        plan.settings[GUEST].planted = Some(bug);
        assert!(wrong(plan).contains(&word), "{bug:?}");
    }
    assert_eq!(wrong(Plan::new(1, [Kind::Home, Kind::Home])), [] as [&str; 0]);
}

#[test]
fn a_world_says_what_happened_line_by_line() {
    let mut world = World::new(Plan::new(1, [Kind::Home, Kind::Symmetric]));
    world.trace();
    world.run();
    assert!(findings(&world).is_empty());
    let table = world.table();
    for line in [
        "══ host is in the lobby",
        "══ guest can send",
        "translated by router 0",
        "✗ filtered",
        "has left the server",
    ] {
        assert!(table.contains(line), "{line}");
    }
    assert_eq!(world.players[HOST].path().map(|path| path.path), Some(Path::Relayed));
}
