//! The binary `twocan`: arguments -> settings -> run. Errors are printed once, here, and end with exit code 1 (2 for a
//! wrong command line, or a check that cannot run).

mod check;
mod control;
mod ice;
mod lab;
mod listen;
mod log;
mod page;
mod relay_metrics;
mod serve;
mod settings;
mod state;
mod tls;
mod values;

use std::process::ExitCode;

use clap::error::ContextKind;
use clap::{Args as _, FromArgMatches as _, Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

/// Gives back what it no longer uses, and keeps small allocations out of the holes that large ones leave: after a flood the server is
/// as small as before. The system's kept a few MiB for good after each kind of attack.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    let cli = Cli::try_parse().unwrap_or_else(|error| refuse(&error));
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

/// Ends with what is wrong with the command line. The library repeats a value that it refuses; one that is a secret is not shown.
fn refuse(error: &clap::Error) -> ! {
    let argument = error.get(ContextKind::InvalidArg).map(ToString::to_string).unwrap_or_default();
    let why = std::error::Error::source(error);
    match why.filter(|_| settings::is_secret(&argument)) {
        Some(why) => {
            eprintln!("error: {argument}: {why}");
            std::process::exit(2);
        }
        None => error.exit(),
    }
}

fn check(arguments: check::Arguments) -> anyhow::Result<ExitCode> {
    log::start(LevelFilter::OFF)?;
    check::run(arguments)
}

fn lab(command: lab::Lab) -> anyhow::Result<ExitCode> {
    log::start(LevelFilter::WARN)?;
    lab::run(command)
}

fn serve(settings: Option<settings::Settings>) -> anyhow::Result<ExitCode> {
    settings::check_variables(std::env::vars_os().filter_map(|(name, _)| name.into_string().ok()))?;
    let settings = match settings {
        Some(settings) => settings,
        // The environment counts here too: parse an empty command line.
        None => {
            let matches = settings::Settings::augment_args(clap::Command::new("twocan"))
                .try_get_matches_from(["twocan"]);
            let matches = matches.unwrap_or_else(|error| refuse(&error));
            settings::Settings::from_arg_matches(&matches)?
        }
    };
    let settings = settings.with_file()?;
    log::start(LevelFilter::INFO)?;
    serve::run(settings)?;
    Ok(ExitCode::SUCCESS)
}
