//! The model of a page, held against what was measured of Chromium 156 in homes 200 ms apart, 100 ms from the server.
//!
//! Real times are those of real pages and native peers in one process's internet of TUN devices, from the moment at which `joined` and `link` came. What the model leaves
//! out is the machine's own time: a few milliseconds for each step of DTLS and SCTP.

use std::time::Duration;

use sim::plan::{GUEST, HOST, Plan};
use sim::player::{News, Player, PlayerKind};
use sim::{World, findings, scenarios};
use twocan_sim::{Access, Kind, Link};

use PlayerKind::{Native, Page};

/// How much later than in the model something was really: the machine's own time.
const SLOWER: Duration = Duration::from_millis(25);

/// A world that was lived through, and when its guest was told of the lobby.
fn lived(pair: [PlayerKind; 2]) -> (World, Duration) {
    let access = Access::both(Link::delayed(Duration::from_millis(50)));
    let plan = Plan { access: [access; 2], ..Plan::new(1, [Kind::Home; 2]) }.with(pair);
    let mut world = World::new(plan);
    world.run();
    assert_eq!(findings(&world), []);
    let joined = world.players[GUEST].when(|news| matches!(news, News::Entered(_)));
    (world, joined.expect("the guest is in the lobby"))
}

/// Whether the model is as early as the real one was, or earlier by what the machine takes.
fn is_like(model: Duration, real: u64) -> bool {
    let real = Duration::from_millis(real);
    model <= real + Duration::from_millis(1) && real <= model + SLOWER
}

fn opened(player: &Player) -> Duration {
    player.when(|news| *news == News::Open).expect("the link was open")
}

/// First check of the reflexive pair, first open channel, first byte of the other's: of who joined, and of who opened. Real ones less the 405, 411 and 104 ms at which
/// `joined` had come; the third row with native host addresses behind the reflexive ones, as they are now.
#[test]
fn a_link_comes_up_as_it_did_between_real_pages_and_native_peers() {
    let real = [
        ([Native, Native], [[203, 606, 807], [203, 707, 707]]),
        ([Page, Page], [[320, 1_032, 1_234], [321, 1_133, 1_133]]),
        ([Native, Page], [[u64::MAX, u64::MAX, 1_024], [u64::MAX, u64::MAX, 1_123]]),
    ];
    for (pair, rows) in real {
        let (world, joined) = lived(pair);
        for (side, [check, open, byte]) in [GUEST, HOST].into_iter().zip(rows) {
            let player = &world.players[side];
            let first = world.since_start(player.app().unwrap().first.unwrap());
            let model = [world.checks.first_check(side).unwrap(), opened(player), first];
            for (model, real) in model.into_iter().zip([check, open, byte]) {
                let model = model - joined;
                let is_right = real == u64::MAX || is_like(model, real);
                assert!(is_right, "{pair:?}, {}: {model:?}, really {real} ms", player.name);
            }
        }
    }
}

/// The other side of a page's late gathering: a native guest and a page that opened the lobby check no sooner than two pages.
#[test]
fn a_page_that_answers_gathers_after_its_answer() {
    let checks = |pair| {
        let (world, joined) = lived(pair);
        [HOST, GUEST].map(|side| world.checks.first_check(side).unwrap() - joined)
    };
    let ms = Duration::from_millis;
    assert!(checks([Page, Native]).into_iter().all(|at| at > ms(300) && at < ms(330)));
    assert!(checks([Native, Native]).into_iter().all(|at| at == ms(200)));
}

/// The shortest and the longest that was measured, ms.
#[test]
fn a_page_is_silent_for_as_long_as_a_real_one_when_its_nat_takes_another_port() {
    let mishaps = scenarios::mishaps();
    let mishap = mishaps.iter().find(|one| one.name == "one's NAT forgets, and gives other ports").unwrap();
    for (pair, real) in [([Native, Page], 600..3_000), ([Page, Page], 1_800..2_500)] {
        let pause = scenarios::mend(&mishap.plan, pair).pause.as_millis();
        assert!(real.contains(&pause), "{pair:?}: {pause} ms, really {real:?}");
    }
}
