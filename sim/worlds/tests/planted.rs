//! What was wrong with real pages once, put back on purpose: worlds see it.

use std::time::Duration;

use sim::live;
use sim::plan::{At, Fault, GUEST, HOST, Plan, What};
use sim::player::{Planted, PlayerKind};
use sim::scenarios::{self, Mended};
use twocan_sim::Kind;

const NATIVE_PAGE: [PlayerKind; 2] = [PlayerKind::Native, PlayerKind::Page];
const PAGES: [PlayerKind; 2] = [PlayerKind::Page, PlayerKind::Page];

/// What becomes of the mishap of this name, where all players have this bug.
fn mend(name: &str, bug: Option<Planted>, pair: [PlayerKind; 2]) -> Mended {
    let mishap = scenarios::mishaps().into_iter().find(|mishap| mishap.name == name).expect(name);
    let mut plan = mishap.plan;
    plan.settings.iter_mut().for_each(|settings| settings.planted = bug);
    scenarios::mend(&plan, pair)
}

fn is_given_up(mended: &Mended) -> bool {
    mended.findings.iter().any(|finding| finding.what == "given-up")
}

/// What is wrong with a world in which these things happen once two are linked, where players of these sides call their link open for good.
fn found(what: &[What], liars: &[usize], pair: [PlayerKind; 2]) -> Vec<&'static str> {
    let at = At::Linked(Duration::from_secs(1));
    let faults = what.iter().map(|what| Fault { at, what: *what }).collect();
    let play = Duration::from_secs(30);
    let mut plan = Plan { faults, play, ..Plan::new(1, [Kind::Home; 2]) }.with(pair);
    for side in liars {
        plan.settings[*side].planted = Some(Planted::CallsItOpen);
    }
    live(plan).1.into_iter().map(|finding| finding.what).collect()
}

#[test]
fn a_link_that_is_called_open_and_carries_nothing_is_seen() {
    let away = [What::Blackout(GUEST, Duration::from_secs(20))];
    for pair in scenarios::PAIRS {
        assert_eq!(found(&away, &[], pair), [] as [&str; 0], "{pair:?}");
        assert_eq!(found(&away, &[HOST, GUEST], pair), ["frozen"], "{pair:?}");
    }
}

#[test]
fn a_link_that_one_side_calls_open_when_the_other_is_at_its_end_is_seen() {
    let hopeless = [What::ServerDies, What::UdpBlocked(GUEST)];
    for pair in scenarios::PAIRS {
        assert_eq!(found(&hopeless, &[], pair), [] as [&str; 0], "{pair:?}");
        assert!(found(&hopeless, &[HOST], pair).contains(&"one-sided"), "{pair:?}");
    }
}

/// As it was measured of the real ones: 39 s with a native peer on the other side, and never between two pages.
#[test]
fn a_page_that_takes_connected_for_mended_while_its_offer_is_unanswered_is_seen_when_it_moves() {
    let moved = "another network: who joined";
    let bug = Some(Planted::TrustsConnected);
    let [right, wrong] = [None, bug].map(|bug| mend(moved, bug, NATIVE_PAGE).pause);
    assert!(right < Duration::from_secs(9) && wrong > Duration::from_secs(30), "{right:?} {wrong:?}");
    assert!(!is_given_up(&mend(moved, None, PAGES)));
    assert!(is_given_up(&mend(moved, bug, PAGES)));
}

/// SCTP's timer in a browser is what they wait for then.
#[test]
fn pages_that_give_all_to_their_browsers_at_once_are_seen_when_a_nat_takes_another_port() {
    let forgets = "one's NAT forgets, and gives other ports";
    let [right, wrong] = [None, Some(Planted::HoldsNothing)].map(|bug| mend(forgets, bug, PAGES).pause);
    assert!(
        right < Duration::from_millis(2_500) && wrong > Duration::from_millis(2_800),
        "{right:?} {wrong:?}"
    );
}

#[test]
fn a_page_whose_signals_go_to_the_server_where_nobody_is_is_seen_when_the_other_wakes() {
    let slept = "one sleeps for 10 s";
    assert!(!is_given_up(&mend(slept, None, PAGES)));
    assert!(is_given_up(&mend(slept, Some(Planted::SignalsToNobody), PAGES)));
}
