//! The binary `twocan`: arguments -> settings -> run. Errors are printed once, here, and end with exit code 1 (2 for a
//! wrong command line, or a check that cannot run).

mod check;
mod ice;
mod lab;
mod listen;
mod page;
mod relay_metrics;
mod serve;
mod settings;
mod tls;
mod values;

use std::process::ExitCode;

use clap::{Args as _, FromArgMatches as _, Parser, Subcommand};
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

/// Direct connections between people's devices: signaling, STUN, TURN and the page that shows it, in one.
#[derive(Debug, Parser)]
#[command(version, about)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the server (also what `twocan` alone does)
    Serve(Box<settings::Settings>),
    /// Say what this network allows, and whether a server is reachable from it
    Check(check::Arguments),
    /// Try an app behind two NATs of your choice, on this machine
    #[command(subcommand)]
    Lab(lab::Lab),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let (outcome, if_not) = match cli.command {
        Some(Command::Check(arguments)) => (check(arguments), ExitCode::from(2)),
        Some(Command::Lab(command)) => (lab(command), ExitCode::FAILURE),
        Some(Command::Serve(settings)) => (serve(Some(*settings)), ExitCode::FAILURE),
        None => (serve(None), ExitCode::FAILURE),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("twocan: {error:#}");
        if_not
    })
}

fn check(arguments: check::Arguments) -> anyhow::Result<ExitCode> {
    log_at(LevelFilter::OFF)?;
    check::run(arguments)
}

fn lab(command: lab::Lab) -> anyhow::Result<ExitCode> {
    log_at(LevelFilter::WARN)?;
    lab::run(command)
}

fn serve(settings: Option<settings::Settings>) -> anyhow::Result<ExitCode> {
    settings::check_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
    let settings = match settings {
        Some(settings) => settings,
        // The environment counts here too: parse an empty command line.
        None => {
            let matches =
                settings::Settings::augment_args(clap::Command::new("twocan")).get_matches_from(["twocan"]);
            settings::Settings::from_arg_matches(&matches)?
        }
    };
    let settings = settings.with_file()?;
    log_at(LevelFilter::INFO)?;
    serve::run(settings)?;
    Ok(ExitCode::SUCCESS)
}

/// Logs to stderr, as much as `TWOCAN_LOG` says.
fn log_at(level: LevelFilter) -> anyhow::Result<()> {
    let filter = match std::env::var(settings::LOG_VARIABLE) {
        Ok(text) if !text.is_empty() => settings::log_filter(&text)?,
        _ => Targets::new().with_default(level),
    };
    let colour =
        std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
    let lines =
        tracing_subscriber::fmt::layer().with_target(false).with_ansi(colour).with_writer(std::io::stderr);
    tracing_subscriber::registry().with(lines).with(filter).init();
    Ok(())
}
