//! `cargo run -p sim -- --seed 7` replays one world; `--worlds 1000` lives through many.

use std::io::Write as _;
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use sim::{Plan, World, findings};

/// Virtual worlds by seed
#[derive(Parser)]
struct Arguments {
    /// Lives through this world alone, and prints each packet
    #[arg(long)]
    seed: Option<u64>,
    /// Lives through so many worlds
    #[arg(long, default_value_t = 1_000)]
    worlds: u64,
    /// The first seed of many
    #[arg(long, default_value_t = 0)]
    from: u64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.seed {
        Some(seed) => replay(seed),
        None => live_many(arguments.from, arguments.worlds),
    }
}

fn replay(seed: u64) -> ExitCode {
    let plan = Plan::draw(seed);
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{plan:#?}");
    let mut world = World::new(plan);
    world.trace();
    world.run();
    let _ = writeln!(out, "{}", world.table());
    let found = findings(&world);
    for finding in &found {
        let _ = writeln!(out, "{}: {}", finding.what, finding.details);
    }
    if found.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

#[expect(clippy::disallowed_methods, reason = "how long it took, for a person")]
fn live_many(from: u64, count: u64) -> ExitCode {
    let mut out = std::io::stdout().lock();
    let (began, mut bad) = (Instant::now(), 0);
    for seed in from..from + count {
        let (_, found) = sim::live(Plan::draw(seed));
        for finding in &found {
            let _ = writeln!(out, "seed {seed}: {}: {}", finding.what, finding.details);
        }
        bad += u64::from(!found.is_empty());
    }
    let took = began.elapsed().as_secs_f64();
    let _ = writeln!(
        out,
        "{count} worlds in {took:.1} s ({:.0} a second), {bad} with findings",
        count as f64 / took
    );
    if bad == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
