//! Each fault, and the reason that the players are given: the true one.

use std::time::Duration;

use twocan_rtc::Path;
use twocan_sim::{Access, Chance, Kind, Link};

use crate::plan::{At, Fault, GUEST, HOST, Plan, What};
use crate::player::{News, PlayerKind};
use crate::world::is_well;
use crate::{Finding, World, live};

/// What ought to come of a scenario.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// They are linked at its end, and nothing was lost.
    Linked,
    /// Neither is, and one of them says this word.
    Fails(&'static str),
}

/// A scenario.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What happens, in a few words.
    pub name: &'static str,
    /// How it comes about.
    pub plan: Plan,
    /// What ought to come of it.
    pub outcome: Outcome,
}

/// What became of one.
#[derive(Clone, Debug)]
pub struct Told {
    /// Whether it is what ought to.
    pub is_right: bool,
    /// In a few words.
    pub text: String,
    /// The longest pause on the reliable channel, once linked.
    pub pause: Duration,
}

const LINKED: Outcome = Outcome::Linked;
const HOMES: [Kind; 2] = [Kind::Home, Kind::Home];
const HARD: [Kind; 2] = [Kind::Symmetric, Kind::Symmetric];
const IN_MID_GAME: At = At::Linked(Duration::from_secs(2));

/// All of them.
pub fn all() -> Vec<Scenario> {
    [paths(), changes(), deaths(), hard_roads()].concat()
}

/// Nothing goes wrong, and there is, or isn't, a way.
fn paths() -> Vec<Scenario> {
    let only = |urls: &'static str, relay_only: bool| {
        let mut plan = plain(HOMES);
        for settings in &mut plan.settings {
            settings.only_urls = Some(urls);
            settings.relay_only = relay_only;
        }
        plan
    };
    vec![
        scenario("two homes", plain(HOMES), LINKED),
        scenario("one side symmetric, the other open", plain([Kind::Symmetric, Kind::Public]), LINKED),
        scenario("both symmetric", plain(HARD), LINKED),
        scenario("both in one home", Plan { together: true, ..plain(HOMES) }, LINKED),
        scenario("UDP is blocked on one side", plain([Kind::UdpBlocked, Kind::Home]), LINKED),
        scenario("nothing leaves but TCP 443", plain([Kind::Only443, Kind::Only443]), LINKED),
        scenario("no IPv4 on one side, no IPv6 on the other", plain([Kind::Ipv6Only, Kind::Home]), LINKED),
        scenario("no STUN, no TURN offered", only("nothing", false), Outcome::Fails("checks-failed")),
        scenario("relays only, and none offered", only("stun", true), Outcome::Fails("no-candidates")),
    ]
}

/// The network changes under a link that works.
fn changes() -> Vec<Scenario> {
    let playing = |what| Plan { play: Duration::from_secs(4), ..faulty(HOMES, IN_MID_GAME, what) };
    vec![
        scenario("a NAT forgets its mappings in mid-game", playing(What::Rebind(HOST)), LINKED),
        scenario("Wi-Fi to mobile", playing(What::Move(GUEST, Kind::Cgnat)), LINKED),
        // The other side nominates, and has to notice first.
        scenario(
            "Wi-Fi to mobile, of the side that answered",
            playing(What::Move(HOST, Kind::Cgnat)),
            LINKED,
        ),
        scenario(
            "Wi-Fi to a symmetric mobile network",
            playing(What::Move(GUEST, Kind::CgnatSymmetric)),
            LINKED,
        ),
        scenario(
            "three seconds without a network",
            playing(What::Blackout(HOST, Duration::from_secs(3))),
            LINKED,
        ),
    ]
}

/// A server dies, or lies.
fn deaths() -> Vec<Scenario> {
    let from_the_start = |kinds, what| faulty(kinds, At::Start, what);
    let in_mid_negotiation = At::Join(Duration::from_millis(260));
    let rejected = Outcome::Fails("turn-rejected");
    vec![
        scenario(
            "the server dies once they are linked",
            faulty(HOMES, At::Linked(Duration::ZERO), What::ServerDies),
            LINKED,
        ),
        scenario(
            "the server dies in mid-negotiation",
            slow(faulty(HOMES, in_mid_negotiation, What::ServerDies), 50),
            Outcome::Fails("signaling-lost"),
        ),
        scenario("STUN is dead", from_the_start(HOMES, What::StunDead), LINKED),
        scenario("TURN is dead, a direct path exists", from_the_start(HOMES, What::TurnDead), LINKED),
        scenario(
            "TURN is dead, none does",
            from_the_start(HARD, What::TurnDead),
            Outcome::Fails("turn-unreachable"),
        ),
        scenario("TURN's password is wrong", from_the_start(HARD, What::WrongPassword), rejected),
        scenario("TURN's credential has expired", from_the_start(HARD, What::ExpiredCredential), rejected),
    ]
}

/// The road loses packets, delays them, or swallows the large ones.
fn hard_roads() -> Vec<Scenario> {
    // Each way: of a question and its answer, 30 % are lost.
    let lossy = Link { loss: Chance::percent(16.3), ..Link::delayed(Duration::from_millis(12)) };
    let mut losing = plain(HOMES);
    losing.access[HOST] = Access::both(lossy);
    let swallowing = |size| faulty(HOMES, At::Start, What::MtuHole(HOST, size));
    vec![
        scenario("packets over 1,000 bytes vanish", swallowing(1_000), LINKED),
        scenario("packets over 1,280 bytes vanish", swallowing(1_280), LINKED),
        scenario("30 % loss", losing, LINKED),
        scenario("500 ms round trip", slow(plain(HOMES), 125), LINKED),
    ]
}

/// What two play in, for the faults of a link that works: who opens the lobby, and who joins.
pub const PAIRS: [[PlayerKind; 2]; 3] = [
    [PlayerKind::Native, PlayerKind::Native],
    [PlayerKind::Native, PlayerKind::Page],
    [PlayerKind::Page, PlayerKind::Page],
];

/// A fault of a link that works, for each of [`PAIRS`].
#[derive(Clone, Debug)]
pub struct Mishap {
    /// What happens, in a few words.
    pub name: &'static str,
    /// How it comes about, but for what they play in.
    pub plan: Plan,
    /// The longest silence that may come of it, for each of [`PAIRS`].
    pub within: [Duration; 3],
}

/// What became of one, for one pair.
#[derive(Clone, Debug)]
pub struct Mended {
    /// The longest silence on the reliable channel.
    pub pause: Duration,
    /// By which way they are linked at the end, if they are.
    pub path: Option<Path>,
    /// What is wrong with it.
    pub findings: Vec<Finding>,
}

/// Lives through a mishap with this pair.
pub fn mend(plan: &Plan, pair: [PlayerKind; 2]) -> Mended {
    let (world, findings) = live(plan.clone().with(pair));
    let path = world.players[HOST].path().map(|path| path.path);
    let is_well = world.players.iter().all(is_well);
    Mended { pause: longest_pause(&world), path: path.filter(|_| is_well), findings }
}

/// All of them. Who joins is hit, if it is one; in the second pair that is the page.
pub fn mishaps() -> Vec<Mishap> {
    let secs = Duration::from_secs;
    let after = |what: &[What]| mishap_plan(what, true);
    let with_lobby = |what: &[What]| mishap_plan(what, false);
    let elsewhere = |side| What::Move(side, Kind::Cgnat);
    let row = |name, plan, within: [u64; 3]| Mishap { name, plan, within: within.map(Duration::from_millis) };
    let by_streams = Plan { kinds: [Kind::Home, Kind::Only443], ..after(&[What::Readdress(GUEST)]) };
    let gives = [What::OtherPort(HOST), What::OtherPort(GUEST)];
    let forgets = [What::Rebind(HOST), What::Rebind(GUEST)];
    vec![
        row("one's NAT forgets, and gives the same ports", after(&[What::Rebind(GUEST)]), [300, 300, 300]),
        row(
            "one's NAT forgets, and gives other ports",
            after(&[What::OtherPort(GUEST)]),
            [1_300, 2_100, 2_500],
        ),
        row("the same, with the lobby open", with_lobby(&[What::OtherPort(GUEST)]), [1_300, 1_800, 2_200]),
        row("both NATs forget, and give the same ports", after(&forgets), [300, 300, 300]),
        row("both NATs forget, and give other ports", after(&gives), [1_800, 2_100, 2_500]),
        row(
            "another address, the same NAT: who joined",
            after(&[What::Readdress(GUEST)]),
            [500, 2_100, 2_400],
        ),
        row(
            "another address, the same NAT: who opened",
            after(&[What::Readdress(HOST)]),
            [900, 1_700, 2_500],
        ),
        row("another address, where a stream relays", by_streams, [2_000, 2_200, 2_500]),
        row("another network: who joined", after(&[elsewhere(GUEST)]), [700, 2_100, 2_400]),
        row("another network: who opened", after(&[elsewhere(HOST)]), [900, 1_300, 2_500]),
        row("another network, with the lobby open", with_lobby(&[elsewhere(GUEST)]), [1_300, 1_900, 1_800]),
        row(
            "another home, where the address is the same",
            after(&[What::Move(GUEST, Kind::Home)]),
            [1_700, 2_100, 2_400],
        ),
        row(
            "UDP is blocked from a moment on: who joined",
            after(&[What::UdpBlocked(GUEST)]),
            [2_000, 4_500, 4_700],
        ),
        row(
            "UDP is blocked from a moment on: who opened",
            after(&[What::UdpBlocked(HOST)]),
            [2_000, 4_700, 5_500],
        ),
        row("the server is killed, with the lobby open", with_lobby(&[What::ServerDies]), [300, 300, 300]),
        row("the server is killed after they left it", after(&[What::ServerDies]), [300, 300, 300]),
        row("3 s without a network", after(&[What::Blackout(GUEST, secs(3))]), [3_500, 3_700, 3_700]),
        row("10 s without a network", after(&[What::Blackout(GUEST, secs(10))]), [10_500, 10_700, 10_700]),
        // A minute is what mending is given, from the first sign of trouble on.
        row("50 s without a network", after(&[What::Blackout(GUEST, secs(50))]), [52_000, 52_500, 51_000]),
        row("one sleeps for 1 s", after(&[What::Asleep(GUEST, secs(1))]), [1_500, 1_500, 1_500]),
        row("one sleeps for 10 s", after(&[What::Asleep(GUEST, secs(10))]), [10_500, 10_700, 10_700]),
        row("one sleeps for 60 s", after(&[What::Asleep(GUEST, secs(60))]), [61_500, 61_500, 61_000]),
    ]
}

impl Mended {
    /// Whether it is linked again, within this time, and nothing is wrong with it.
    pub fn is_right(&self, within: Duration) -> bool {
        self.path.is_some() && self.pause <= within && self.findings.is_empty()
    }
}

/// Two homes, a round trip of 80 ms apart, and small messages, as where the real ones were measured.
fn mishap_plan(what: &[What], leaves: bool) -> Plan {
    let faults = what.iter().map(|what| Fault { at: IN_MID_GAME, what: *what }).collect();
    let lasts = |what: &What| match what {
        What::Blackout(_, lasting) | What::Asleep(_, lasting) => *lasting,
        _ => Duration::ZERO,
    };
    // SCTP of a page is silent for as long again.
    let play = Duration::from_secs(15) + 2 * what.iter().map(lasts).max().unwrap_or_default();
    let mut plan = Plan { faults, leaves, play, ..slow(plain(HOMES), 20) };
    plan.settings.iter_mut().for_each(|settings| settings.message_bytes = 24);
    plan
}

fn longest_pause(world: &World) -> Duration {
    let apps = world.players.iter().filter_map(|player| player.app());
    apps.map(|app| app.longest_pause).max().unwrap_or_default()
}

fn scenario(name: &'static str, plan: Plan, outcome: Outcome) -> Scenario {
    Scenario { name, plan, outcome }
}

fn plain(kinds: [Kind; 2]) -> Plan {
    Plan::new(1, kinds)
}

fn faulty(kinds: [Kind; 2], at: At, what: What) -> Plan {
    Plan { faults: vec![Fault { at, what }], ..plain(kinds) }
}

/// Both access links take this many milliseconds, each way.
fn slow(plan: Plan, delay: u64) -> Plan {
    Plan { access: [Access::both(Link::delayed(Duration::from_millis(delay))); 2], ..plan }
}

/// Lives through one.
pub fn tell(scenario: &Scenario) -> Told {
    let (world, findings) = live(scenario.plan.clone());
    let words = world.players.each_ref().map(|player| {
        player.news().iter().rev().find_map(|(_, news)| match news {
            News::Failed(word, _) | News::GaveUp(word) => Some(*word),
            _ => None,
        })
    });
    let pause = longest_pause(&world);
    let is_right = match scenario.outcome {
        Outcome::Linked => world.is_linked() && findings.is_empty(),
        Outcome::Fails(word) => !world.is_linked() && words.contains(&Some(word)),
    };
    Told { is_right, text: text(&world, words), pause }
}

fn text(world: &World, words: [Option<&str>; 2]) -> String {
    match world.time_to_link() {
        Some(took) => {
            let path = world.players[HOST].path().map_or("gone".to_owned(), |path| path.path.to_string());
            format!("{path} after {} ms", took.as_millis())
        }
        None => {
            let words: Vec<&str> = words.into_iter().flatten().collect();
            format!("`{}`", words.join("`, `"))
        }
    }
}
