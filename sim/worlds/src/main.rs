//! `cargo run -p sim -- --seed 7` replays one world; `--worlds 1000` lives through many; `matrix`, `race` and `scenarios` make the tables of
//! docs/nat.md.

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use sim::plan::Plan;
use sim::player::PlayerKind;
use sim::{World, findings, matrix, scenarios};
use twocan_rtc::Path;
use twocan_sim::{Access, Kind, Link};

/// Virtual worlds by seed
#[derive(Parser)]
struct Arguments {
    /// Lives through this world alone, and prints each packet
    #[arg(long)]
    seed: Option<u64>,
    /// Lives through so many worlds
    #[arg(long, default_value_t = 1_000)]
    worlds: u64,
    /// What the two run in, in place of what seeds draw: `native-page`, for instance
    #[arg(long, value_parser = pair)]
    pair: Option<[PlayerKind; 2]>,
    /// The first seed of many
    #[arg(long, default_value_t = 0)]
    from: u64,
    #[command(subcommand)]
    table: Option<Table>,
}

#[derive(Subcommand)]
enum Table {
    /// Every pair of networks, written into docs/nat.md and docs/nat.svg
    Matrix {
        /// The folder of both
        #[arg(long, default_value = "docs")]
        docs: PathBuf,
    },
    /// Homes whose NAT loses its mapping to who comes too early, with the server's cure and without
    Race,
    /// Each fault, and the reason given
    Scenarios {
        /// Lives through this one alone, and prints each packet
        name: Option<String>,
    },
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match (arguments.table, arguments.seed) {
        (Some(Table::Matrix { docs }), _) => make_matrix(&docs),
        (Some(Table::Race), _) => race(),
        (Some(Table::Scenarios { name: Some(name) }), _) => replay_scenario(&name, arguments.pair),
        (Some(Table::Scenarios { name: None }), _) => tell_scenarios(),
        (None, Some(seed)) => replay(drawn(seed, arguments.pair)),
        (None, None) => live_many(arguments.from, arguments.worlds, arguments.pair),
    }
}

/// Two words, who opens the lobby first.
fn pair(text: &str) -> Result<[PlayerKind; 2], String> {
    let kind = |word: &str| match word {
        "native" => Ok(PlayerKind::Native),
        "page" => Ok(PlayerKind::Page),
        _ => Err(format!("{word} is neither native nor page")),
    };
    let (one, two) = text.split_once('-').ok_or("two words, with a hyphen between them")?;
    Ok([kind(one)?, kind(two)?])
}

/// The world of a seed.
fn word(kind: PlayerKind) -> &'static str {
    match kind {
        PlayerKind::Native => "native",
        PlayerKind::Page => "page",
    }
}

fn drawn(seed: u64, pair: Option<[PlayerKind; 2]>) -> Plan {
    let plan = Plan::draw(seed);
    match pair {
        Some(pair) => plan.with(pair),
        None => plan,
    }
}

fn say(line: impl std::fmt::Display) {
    // A closed pipe is no error of ours.
    let _ = writeln!(std::io::stdout(), "{line}");
}

fn verdict(is_good: bool) -> ExitCode {
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How far it is, on a terminal.
fn progress(done: u64, all: u64) {
    let mut err = std::io::stderr();
    if err.is_terminal() && (done.is_multiple_of(16) || done == all) {
        let end = if done == all { "\n" } else { "" };
        let _ = write!(err, "\r{done} of {all}{end}");
    }
}

fn replay_scenario(name: &str, pair: Option<[PlayerKind; 2]>) -> anyhow::Result<ExitCode> {
    let all = scenarios::all();
    if let Some(mishap) = scenarios::mishaps().into_iter().find(|mishap| mishap.name == name) {
        return replay(mishap.plan.with(pair.unwrap_or([PlayerKind::Native; 2])));
    }
    let Some(scenario) = all.iter().find(|scenario| scenario.name == name) else {
        let names: Vec<&str> = all.iter().map(|scenario| scenario.name).collect();
        anyhow::bail!("there is no such scenario; there are: {}", names.join("; "));
    };
    replay(scenario.plan.clone())
}

fn replay(plan: Plan) -> anyhow::Result<ExitCode> {
    say(format_args!("{plan:#?}"));
    let mut world = World::new(plan);
    world.trace();
    world.run();
    say(world.table());
    for player in &world.players {
        let Some(figures) = player.figures() else { continue };
        say(format_args!("{}: {figures}", player.name));
    }
    let found = findings(&world);
    for finding in &found {
        say(format_args!("{}: {}", finding.what, finding.details));
    }
    Ok(verdict(found.is_empty()))
}

#[expect(clippy::disallowed_methods, reason = "how long it took, for a person")]
fn live_many(from: u64, count: u64, pair: Option<[PlayerKind; 2]>) -> anyhow::Result<ExitCode> {
    let (began, mut bad) = (Instant::now(), 0);
    for seed in from..from + count {
        let (_, found) = sim::live(drawn(seed, pair));
        for finding in &found {
            say(format_args!("seed {seed}: {}: {}", finding.what, finding.details));
        }
        bad += u64::from(!found.is_empty());
        progress(seed - from + 1, count);
    }
    let took = began.elapsed().as_secs_f64();
    say(format_args!(
        "{count} worlds in {took:.1} s ({:.0} a second), {bad} with findings",
        count as f64 / took
    ));
    Ok(verdict(bad == 0))
}

fn make_matrix(docs: &std::path::Path) -> anyhow::Result<ExitCode> {
    let matrix = matrix::run(|done, all| progress(done as u64, all as u64));
    let page = docs.join("nat.md");
    let text = std::fs::read_to_string(&page).with_context(|| page.display().to_string())?;
    let (begin, end) = ("<!-- matrix -->", "<!-- end of matrix -->");
    let (before, rest) = text.split_once(begin).context("docs/nat.md has no place for the matrix")?;
    let (_, after) = rest.split_once(end).context("docs/nat.md has no end of the matrix")?;
    let made = format!("{before}{begin}\n{}\n\n{}{end}{after}", matrix.summary(), matrix.table());
    std::fs::write(&page, made)?;
    std::fs::write(docs.join("nat.svg"), matrix.picture())?;
    say(matrix.summary());
    for cell in matrix.all().filter(|cell| cell.is_wrong()) {
        say(format_args!(
            "{} – {}: {:?}, expected {:?}: {:?}",
            cell.kinds[0], cell.kinds[1], cell.way, cell.expected, cell.findings
        ));
    }
    Ok(verdict(matrix.all().all(|cell| !cell.is_wrong())))
}

/// Two behind Linux routers, or one of them, whose signals are let go together or as they come: how many find the direct way.
fn race() -> anyhow::Result<ExitCode> {
    const WORLDS: u64 = 200;
    say("| the server | who | direct, of 200 | median, ms |\n|---|---|---|---|");
    for holds in [false, true] {
        for pair in scenarios::PAIRS {
            let mut took = Vec::new();
            let mut direct = 0;
            for seed in 0..WORLDS {
                let kinds = [Kind::LinuxRace, if seed % 2 == 0 { Kind::LinuxRace } else { Kind::Home }];
                let delay = |ms: u64| Access::both(Link::delayed(Duration::from_millis(ms)));
                let access = [delay(3 + seed % 40), delay(3 + (seed * 7) % 60)];
                let plan = Plan { holds, access, leaves: false, ..Plan::new(seed, kinds) };
                let (world, _) = sim::live(plan.with(pair));
                let paths = world.players.each_ref().map(|player| player.path().map(|path| path.path));
                direct += u64::from(paths == [Some(Path::Direct); 2]);
                took.extend(world.time_to_link());
            }
            took.sort();
            let median = took.get(took.len() / 2).map_or(0, Duration::as_millis);
            let server = if holds { "lets them go together" } else { "passes on as they come" };
            let [one, other] = pair.map(word);
            say(format_args!("| {server} | {one}–{other} | {direct} | {median} |"));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Each fault of a link that works; whether all are mended in time.
fn tell_mishaps() -> bool {
    say("\n| what happens | native–native | native–page | page–page |\n|---|---|---|---|");
    let mut all_right = true;
    for mishap in scenarios::mishaps() {
        let cells: Vec<String> = scenarios::PAIRS
            .into_iter()
            .zip(mishap.within)
            .map(|(pair, within)| {
                let mended = scenarios::mend(&mishap.plan, pair);
                let is_right = mended.is_right(within);
                all_right &= is_right;
                let way = mended.path.map_or("ended".to_owned(), |path| path.to_string());
                format!("{}, {way}{}", mended.pause.as_millis(), if is_right { "" } else { " ✗" })
            })
            .collect();
        say(format_args!("| {} | {} |", mishap.name, cells.join(" | ")));
    }
    all_right
}

fn tell_scenarios() -> anyhow::Result<ExitCode> {
    say("| what happens | what becomes of it | longest pause, ms | |\n|---|---|---|---|");
    let (mut right, all) = (0, scenarios::all());
    for scenario in &all {
        let told = scenarios::tell(scenario);
        right += usize::from(told.is_right);
        let mark = if told.is_right { "✓" } else { "✗" };
        say(format_args!("| {} | {} | {} | {mark} |", scenario.name, told.text, told.pause.as_millis()));
    }
    say(format_args!("\n{right} of {} as they ought to be.", all.len()));
    let all_mended = tell_mishaps();
    Ok(verdict(right == all.len() && all_mended))
}
