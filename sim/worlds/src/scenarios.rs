//! Each fault, and the reason that the players are given: the true one.

use std::time::Duration;

use twocan_sim::{Access, Chance, Kind, Link};

use crate::plan::{At, Fault, GUEST, HOST, Plan, What};
use crate::player::News;
use crate::{World, live};

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

/// All of them.
pub fn all() -> Vec<Scenario> {
    let homes = [Kind::Home, Kind::Home];
    let hard = [Kind::Symmetric, Kind::Symmetric];
    let long = |plan: Plan| Plan { play: Duration::from_secs(4), ..plan };
    let fault = |plan: Plan, at: At, what: What| Plan { faults: vec![Fault { at, what }], ..plan };
    let later = At::Linked(Duration::from_secs(2));
    let linked = Outcome::Linked;
    let scenario = |name, plan, outcome| Scenario { name, plan, outcome };
    let link = |link: Link| Access::both(link);
    let slow = |plan: Plan, delay: u64| Plan {
        access: [link(Link::delayed(Duration::from_millis(delay))); 2],
        ..plan
    };
    let lossy = |plan: Plan| {
        let lossy = Link { loss: Chance::percent(16.3), ..Link::delayed(Duration::from_millis(12)) };
        Plan { access: [link(lossy), plan.access[GUEST]], ..plan }
    };
    let settings = |plan: Plan, change: fn(&mut crate::player::Settings)| {
        let mut plan = plan;
        plan.settings.iter_mut().for_each(change);
        plan
    };
    let new = |kinds| Plan::new(1, kinds);
    vec![
        scenario("two homes", new(homes), linked),
        scenario("one side symmetric, the other open", new([Kind::Symmetric, Kind::Public]), linked),
        scenario("both symmetric", new(hard), linked),
        scenario("both in one home", Plan { together: true, ..new(homes) }, linked),
        scenario(
            "a NAT forgets its mappings in mid-game",
            fault(long(new(homes)), later, What::Rebind(HOST)),
            linked,
        ),
        scenario("Wi-Fi to mobile", fault(long(new(homes)), later, What::Move(GUEST, Kind::Cgnat)), linked),
        scenario(
            "Wi-Fi to a symmetric mobile network",
            fault(long(new(homes)), later, What::Move(GUEST, Kind::CgnatSymmetric)),
            linked,
        ),
        scenario(
            "three seconds without a network",
            fault(long(new(homes)), later, What::Blackout(HOST, Duration::from_secs(3))),
            linked,
        ),
        scenario(
            "the server dies once they are linked",
            fault(new(homes), At::Linked(Duration::ZERO), What::ServerDies),
            linked,
        ),
        scenario(
            "the server dies in mid-negotiation",
            fault(slow(new(homes), 50), At::Join(Duration::from_millis(260)), What::ServerDies),
            Outcome::Fails("signaling-lost"),
        ),
        scenario("STUN is dead", fault(new(homes), At::Start, What::StunDead), linked),
        scenario("TURN is dead, a direct path exists", fault(new(homes), At::Start, What::TurnDead), linked),
        scenario(
            "TURN is dead, none does",
            fault(new(hard), At::Start, What::TurnDead),
            Outcome::Fails("turn-unreachable"),
        ),
        scenario(
            "TURN's password is wrong",
            fault(new(hard), At::Start, What::WrongPassword),
            Outcome::Fails("turn-rejected"),
        ),
        scenario(
            "TURN's credential has expired",
            fault(new(hard), At::Start, What::ExpiredCredential),
            Outcome::Fails("turn-rejected"),
        ),
        scenario(
            "packets over 1,000 bytes vanish",
            fault(new(homes), At::Start, What::MtuHole(HOST, 1_000)),
            Outcome::Fails("dtls-failed"),
        ),
        scenario(
            "packets over 1,280 bytes vanish",
            fault(new(homes), At::Start, What::MtuHole(HOST, 1_280)),
            linked,
        ),
        scenario("30 % loss", lossy(new(homes)), linked),
        scenario("500 ms round trip", slow(new(homes), 125), linked),
        scenario("UDP is blocked on one side", new([Kind::UdpBlocked, Kind::Home]), linked),
        scenario("nothing leaves but TCP 443", new([Kind::Only443, Kind::Only443]), linked),
        scenario("no IPv4 on one side, no IPv6 on the other", new([Kind::Ipv6Only, Kind::Home]), linked),
        scenario(
            "no STUN, no TURN offered",
            settings(new(homes), |settings| settings.only_urls = Some("nothing")),
            Outcome::Fails("checks-failed"),
        ),
        scenario(
            "relays only, and none offered",
            settings(new(homes), |settings| {
                settings.relay_only = true;
                settings.only_urls = Some("stun");
            }),
            Outcome::Fails("no-candidates"),
        ),
    ]
}

/// Lives through one.
pub fn tell(scenario: &Scenario) -> Told {
    let (world, findings) = live(scenario.plan.clone());
    let words = world.players.each_ref().map(|player| {
        player.news.iter().rev().find_map(|(_, news)| match news {
            News::Failed(word, _) | News::GaveUp(word) => Some(*word),
            _ => None,
        })
    });
    let pause = world
        .players
        .iter()
        .filter_map(|player| player.link.as_ref())
        .map(|link| link.app.longest_pause)
        .max();
    let pause = pause.unwrap_or_default();
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
