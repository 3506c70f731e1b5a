//! The binary `twocan`: arguments -> settings -> run. Errors are printed once, here, and end with exit code 1 (2 for a
//! wrong command line, or a check that cannot run).

mod check;
mod control;
mod files;
mod ice;
mod lab;
mod limits;
mod listen;
mod log;
mod network;
mod page;
mod relay_metrics;
mod serve;
mod settings;
mod state;
mod tls;
mod values;

use std::ffi::OsString;
use std::io::Write as _;
use std::process::ExitCode;

use clap::error::ContextKind;
use clap::{Args as _, FromArgMatches as _, Parser, Subcommand};
use tracing_subscriber::filter::LevelFilter;

use crate::values::LogFormat;

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
    let cli = Cli::try_parse_from(arguments(std::env::args_os())).unwrap_or_else(|error| refuse(&error));
    let (outcome, if_not) = match cli.command {
        Some(Command::Check(arguments)) => (check(arguments), ExitCode::from(2)),
        Some(Command::Lab(command)) => (lab(command), ExitCode::FAILURE),
        Some(Command::Serve(settings)) => (serve(Some(*settings)), ExitCode::FAILURE),
        None => (serve(None), ExitCode::FAILURE),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("twocan: {}", sentence(&error));
        if_not
    })
}

/// What went wrong, and why, each once: some errors say their cause themselves.
fn sentence(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// `twocan --public` is `twocan serve --public`, as `twocan` alone is `twocan serve`.
fn arguments(given: impl Iterator<Item = OsString>) -> Vec<OsString> {
    let mut all: Vec<OsString> = given.collect();
    let first = all.get(1).and_then(|first| first.to_str()).unwrap_or_default();
    if first.starts_with('-') && !matches!(first, "-h" | "--help" | "-V" | "--version") {
        all.insert(1, "serve".into());
    }
    all
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
    log::start(LevelFilter::OFF, LogFormat::Text)?;
    check::run(arguments)
}

fn lab(command: lab::Lab) -> anyhow::Result<ExitCode> {
    log::start(LevelFilter::WARN, LogFormat::Text)?;
    lab::run(command)
}

fn serve(settings: Option<settings::Settings>) -> anyhow::Result<ExitCode> {
    let text = |variable: (OsString, OsString)| {
        Some((variable.0.into_string().ok()?, variable.1.to_string_lossy().into_owned()))
    };
    settings::check_variables(std::env::vars_os().filter_map(text))?;
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
    if settings.print_config {
        std::io::stdout().write_all(serve::print(&settings)?.as_bytes())?;
        return Ok(ExitCode::SUCCESS);
    }
    if settings.check_config {
        serve::check(&settings)?;
        writeln!(std::io::stdout(), "the settings are good")?;
        return Ok(ExitCode::SUCCESS);
    }
    log::start(LevelFilter::INFO, settings.log_format.unwrap_or_default())?;
    serve::run(settings)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_said_once() {
        let io = || std::io::Error::other("no room");
        assert_eq!(sentence(&anyhow::Error::new(io()).context("cannot write")), "cannot write: no room");
        assert_eq!(
            sentence(&anyhow::Error::new(io()).context("cannot write: no room")),
            "cannot write: no room"
        );
    }

    #[test]
    fn flags_alone_are_those_of_the_server() {
        let given = |line: &str| {
            arguments(line.split(' ').map(OsString::from)).join(" ".as_ref()).into_string().unwrap()
        };
        assert_eq!(given("twocan --public --http 0.0.0.0:80"), "twocan serve --public --http 0.0.0.0:80");
        for same in [
            "twocan",
            "twocan serve --public",
            "twocan --help",
            "twocan -V",
            "twocan check http://x",
            "twocan lab run",
        ] {
            assert_eq!(given(same), same);
        }
        let cli =
            Cli::try_parse_from(arguments(["twocan", "--public"].map(OsString::from).into_iter())).unwrap();
        assert!(matches!(cli.command, Some(Command::Serve(settings)) if settings.public));
    }
}
