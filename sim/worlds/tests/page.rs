//! The model of a page, held against what was measured of Chromium.

use std::time::Duration;

use sim::plan::{GUEST, HOST, Plan};
use sim::player::{News, PlayerKind};
use sim::{World, findings};
use twocan_sim::{Access, Kind, Link};

#[test]
fn figures() {
    for pair in [
        [PlayerKind::Native, PlayerKind::Native],
        [PlayerKind::Page, PlayerKind::Page],
        [PlayerKind::Native, PlayerKind::Page],
        [PlayerKind::Page, PlayerKind::Native],
    ] {
        let access = Access::both(Link::delayed(Duration::from_millis(50)));
        let plan = Plan { access: [access; 2], ..Plan::new(1, [Kind::Home, Kind::Home]) }.with(pair);
        let mut world = World::new(plan);
        world.run();
        let joined = world.players[GUEST].when(|news| matches!(news, News::Entered(_))).unwrap();
        println!("{pair:?} joined {joined:?}");
        for side in [HOST, GUEST] {
            let p = &world.players[side];
            println!(
                "  {} check {:?} open {:?} first {:?}",
                p.name,
                world.checks.first_check(side).map(|at| at - joined),
                p.when(|news| *news == News::Open).map(|at| at - joined),
                world.since_start(p.app().unwrap().first.unwrap()) - joined,
            );
        }
        println!("{:?}", findings(&world));
    }
}
