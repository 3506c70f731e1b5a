//! How long until each side can use a pair: ICE agents alone, in virtual time.
//!
//! Time zero is when the controlling side, which made the offer, holds the answer with the other's candidates. The
//! controlled side, which made the answer, holds the offer's candidates since half a round trip before. A pair counts as
//! usable when the agent's events say so: for each agent the event on which its own stack would start DTLS.

mod is;
mod ours;
mod rice;
mod rtc;
mod world;

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::progress::Progress;
use crate::report::{Report, Spread, Table};
use world::{Address, CONTROLLED, CONTROLLING, Kind, Mapping, Scenario, World};

/// A user name fragment and a password.
#[derive(Clone)]
pub struct Credentials {
    pub ufrag: String,
    pub pwd: String,
}

/// What one agent is told of the other.
pub struct Remote {
    pub credentials: Credentials,
    pub candidates: Vec<Address>,
}

/// What the harness is told when it makes an agent.
pub struct Setup<'a> {
    pub controlling: bool,
    pub local: &'a [Address],
    pub rtt: Duration,
    pub seed: u64,
    pub now: Instant,
}

/// An ICE agent without sockets.
pub trait Agent {
    fn credentials(&self) -> Credentials;
    fn begin(&mut self, remote: &Remote, now: Instant);
    fn packet(&mut self, local: SocketAddr, from: SocketAddr, bytes: &[u8], now: Instant);
    fn timeout(&mut self, now: Instant);
    fn deadline(&mut self, now: Instant) -> Option<Instant>;
    /// From which local address, to whom, what.
    fn transmit(&mut self, now: Instant) -> Option<(SocketAddr, SocketAddr, Vec<u8>)>;
    /// Has a pair been announced as usable since the agent was made?
    fn usable(&mut self) -> bool;
}

type Make = fn(&Setup) -> Box<dyn Agent>;

const AGENTS: [(&str, Make); 7] = [
    ("twocan", ours::make),
    ("is 0.12", is::default),
    ("is, Ta 0", is::eager),
    ("rtc-ice 0.21", rtc::default),
    ("rtc-ice, 5 ms, no waits", rtc::eager),
    ("rice 0.4", rice::default),
    ("rice, Ta 5 ms", rice::eager),
];

const SCENARIOS: [Scenario; 5] = [
    Scenario {
        name: "LAN, 3 interfaces, 2 dead",
        interfaces: 3,
        nat: None,
        relay: false,
        late_permissions: false,
    },
    Scenario {
        name: "NAT, 3 hosts + reflexive + relay",
        interfaces: 3,
        nat: Some(Mapping::EndpointIndependent),
        relay: true,
        late_permissions: false,
    },
    Scenario {
        name: "NAT, 6 hosts + reflexive + relay",
        interfaces: 6,
        nat: Some(Mapping::EndpointIndependent),
        relay: true,
        late_permissions: false,
    },
    Scenario {
        name: "both symmetric, relay needed",
        interfaces: 3,
        nat: Some(Mapping::AddressAndPortDependent),
        relay: true,
        late_permissions: false,
    },
    Scenario {
        name: "the same, relay permits when asked",
        interfaces: 3,
        nat: Some(Mapping::AddressAndPortDependent),
        relay: true,
        late_permissions: true,
    },
];

const RTTS_MS: [u64; 4] = [10, 50, 150, 300];
const LIMIT: Duration = Duration::from_secs(30);
const LEAST_STEP: Duration = Duration::from_micros(100);

/// When each side could use a pair, counted from when the controlling side held the answer.
struct Outcome {
    usable_ms: [Option<f64>; 2],
    packets: u64,
}

fn run_once(scenario: &Scenario, make: Make, rtt: Duration, seed: u64) -> Outcome {
    let mut world = World::new(scenario, rtt);
    let candidates = [world.candidates(CONTROLLING), world.candidates(CONTROLLED)];
    let mut agents = [CONTROLLING, CONTROLLED].map(|side| {
        make(&Setup {
            controlling: side == CONTROLLING,
            local: &candidates[side],
            rtt,
            seed: seed * 2 + side as u64,
            now: world.now(),
        })
    });
    let remotes = [CONTROLLED, CONTROLLING].map(|other| Remote {
        credentials: agents[other].credentials(),
        candidates: candidates[other].clone(),
    });
    let zero = rtt / 2;
    let mut usable = [None; 2];
    let mut begun = [false; 2];
    while world.elapsed() < LIMIT && usable.iter().any(Option::is_none) {
        let now = world.now();
        for (side, at) in [(CONTROLLED, Duration::ZERO), (CONTROLLING, zero)] {
            if !begun[side] && world.elapsed() >= at {
                begun[side] = true;
                agents[side].begin(&remotes[side], now);
            }
        }
        while let Some(delivery) = world.arrive() {
            agents[delivery.host].packet(delivery.local, delivery.from, &delivery.bytes, now);
            drain(&mut agents, &mut world);
        }
        for agent in &mut agents {
            if agent.deadline(now).is_some_and(|at| at <= now) {
                agent.timeout(now);
            }
        }
        drain(&mut agents, &mut world);
        for side in [CONTROLLING, CONTROLLED] {
            if usable[side].is_none() && agents[side].usable() {
                usable[side] = Some(world.elapsed().as_secs_f64() * 1e3 - zero.as_secs_f64() * 1e3);
            }
        }
        let mut next = world.next_at().unwrap_or(LIMIT);
        if !begun[CONTROLLING] {
            next = next.min(zero);
        }
        for agent in &mut agents {
            // An agent that asks to be called again at once is called again after the least step that timers have.
            let at = agent.deadline(now).map_or(LIMIT, |at| world.elapsed() + (at - now));
            next = next.min(if at <= world.elapsed() { world.elapsed() + LEAST_STEP } else { at });
        }
        world.advance(next);
    }
    Outcome { usable_ms: usable, packets: world.sent.iter().sum() }
}

fn drain(agents: &mut [Box<dyn Agent>; 2], world: &mut World) {
    let now = world.now();
    for (side, agent) in agents.iter_mut().enumerate() {
        while let Some((from, to, bytes)) = agent.transmit(now) {
            world.send(side, from, to, bytes);
        }
    }
}

/// Runs every agent through every scenario at every round trip.
pub fn run(quick: bool) -> anyhow::Result<()> {
    let seeds = if quick { 3 } else { 25 };
    let mut report = Report::new("ice", quick);
    let mut progress = Progress::new("ice", RTTS_MS.len() * SCENARIOS.len() * AGENTS.len());
    for rtt_ms in RTTS_MS {
        let names = AGENTS.iter().map(|(name, _)| *name);
        let columns = std::iter::once("ms, controlling / controlled").chain(names).chain(["goal"]);
        let mut table =
            Table::new(format!("ICE: ms until each side can use a pair, RTT {rtt_ms} ms"), columns);
        for scenario in &SCENARIOS {
            let mut row = vec![scenario.name.to_owned()];
            for (name, make) in AGENTS {
                progress.step(&format!("RTT {rtt_ms} ms, {}, {name}", scenario.name));
                let outcomes: Vec<Outcome> = (0..seeds)
                    .map(|seed| run_once(scenario, make, Duration::from_millis(rtt_ms), seed))
                    .collect();
                row.push(cell(&outcomes));
                report.raw(figures(rtt_ms, scenario, name, &outcomes));
            }
            row.push(goal(scenario, rtt_ms));
            table.row(row);
        }
        if rtt_ms == RTTS_MS[RTTS_MS.len() - 1] {
            notes(&mut table, seeds);
        }
        report.table(table);
    }
    drop(progress);
    report.write()
}

fn of(outcomes: &[Outcome], side: usize) -> Vec<f64> {
    outcomes.iter().filter_map(|outcome| outcome.usable_ms[side]).collect()
}

fn cell(outcomes: &[Outcome]) -> String {
    let shown = [CONTROLLING, CONTROLLED].map(|side| {
        let figures = of(outcomes, side);
        let failed = outcomes.len() - figures.len();
        let spread = Spread::of(&figures).map_or("–".to_owned(), |spread| spread.show(0));
        if failed == 0 || figures.is_empty() { spread } else { format!("{spread}, {failed} never") }
    });
    shown.join(" / ")
}

fn figures(rtt_ms: u64, scenario: &Scenario, agent: &str, outcomes: &[Outcome]) -> serde_json::Value {
    let packets: Vec<f64> = outcomes.iter().map(|outcome| outcome.packets as f64).collect();
    serde_json::json!({
        "rtt_ms": rtt_ms,
        "scenario": scenario.name,
        "agent": agent,
        "seeds": outcomes.len(),
        "controlling_ms": Spread::of(&of(outcomes, CONTROLLING)),
        "controlled_ms": Spread::of(&of(outcomes, CONTROLLED)),
        "packets_until_usable": Spread::of(&packets),
    })
}

/// One round trip of the path for the controlling side, one and a half for the controlled, and 5 ms.
fn goal(scenario: &Scenario, rtt_ms: u64) -> String {
    let path_ms =
        if scenario.nat == Some(Mapping::AddressAndPortDependent) { rtt_ms * 6 / 5 } else { rtt_ms };
    format!("{} / {}", path_ms + 5, path_ms * 3 / 2 + 5)
}

fn notes(table: &mut Table, seeds: u64) {
    table.note(format!(
        "Virtual time, median (min–max) of {seeds} seeds. Zero is when the offerer, the controlling side, holds the \
         answer; the controlled side holds the offer since half a round trip. Each host has several interfaces of \
         which only the least preferred leads anywhere; a path through a relay is a fifth longer."
    ));
    table.note(
        "`is` counts on NominatedSend, rtc-ice on SelectedCandidatePairChange, rice on SelectedPair, twocan on Selected: \
         what each one's stack sends DTLS on. –: not within 30 s."
    );
}
