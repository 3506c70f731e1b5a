//! What was wrong with real pages once, put back on purpose: worlds see it.

use std::time::Duration;

use sim::player::{Planted, PlayerKind};
use sim::scenarios::{self, Mended};

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

#[test]
fn a_page_whose_signals_go_to_the_server_where_nobody_is_is_seen_when_the_other_wakes() {
    let slept = "one sleeps for 10 s";
    assert!(!is_given_up(&mend(slept, None, PAGES)));
    assert!(is_given_up(&mend(slept, Some(Planted::SignalsToNobody), PAGES)));
}
