//! `twocan check`: arguments in, a table and a sentence or two out. The exit code says whether this network and that
//! server are of use.

mod words;

use std::io::{self, IsTerminal as _, Write as _};
use std::process::ExitCode;

use anyhow::{Context as _, anyhow};
use twocan_check::{IceServer, IceUrl, Options, Report, Step, Target};

/// Where `twocan serve` is, if nothing else is said.
const URL: &str = "http://127.0.0.1:8080";

/// What to check. Exit code: 0 usable, 1 not usable, 2 cannot be checked.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// A Twocan server [default: http://127.0.0.1:8080, unless --stun or --turn is given]
    url: Option<String>,

    /// A STUN server besides; repeatable
    #[arg(long, value_name = "HOST[:PORT]", value_parser = stun_url)]
    stun: Vec<IceUrl>,

    /// A TURN server besides, such as `turn:turn.example:3478?transport=udp`; repeatable
    #[arg(long, value_name = "URL", value_parser = turn_url, requires_all = ["username", "credential"])]
    turn: Vec<IceUrl>,

    /// For --turn
    #[arg(long, value_name = "NAME", requires = "turn")]
    username: Option<String>,

    /// For --turn: the password
    #[arg(long, value_name = "PASSWORD", requires = "turn")]
    credential: Option<String>,

    /// Also find how long the router remembers a silent connection, which takes up to three minutes
    #[arg(long)]
    lifetime: bool,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn stun_url(text: &str) -> Result<IceUrl, String> {
    let place = text.strip_prefix("stun:").unwrap_or(text);
    IceUrl::parse(&format!("stun:{place}")).map_err(|error| error.to_string())
}

fn turn_url(text: &str) -> Result<IceUrl, String> {
    if !text.starts_with("turn:") && !text.starts_with("turns:") {
        return Err("a TURN server's URL begins with `turn:` or `turns:`".to_owned());
    }
    IceUrl::parse(text).map_err(|error| error.to_string())
}

impl Arguments {
    fn target(self) -> Target {
        let is_given = !self.stun.is_empty() || !self.turn.is_empty();
        let url = self.url.or_else(|| (!is_given).then(|| URL.to_owned()));
        let stun = IceServer { urls: self.stun, username: String::new(), credential: String::new() };
        let turn = IceServer {
            urls: self.turn,
            username: self.username.unwrap_or_default(),
            credential: self.credential.unwrap_or_default(),
        };
        let servers = [stun, turn].into_iter().filter(|server| !server.urls.is_empty());
        Target { url, servers: servers.collect() }
    }
}

/// Checks, and prints.
pub fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let (is_json, with_lifetime) = (arguments.json, arguments.lifetime);
    let options = if with_lifetime { Options::with_lifetime() } else { Options::default() };
    let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
    let shows_progress = !is_json && io::stderr().is_terminal();
    if shows_progress {
        show(words::beginning(with_lifetime));
    }
    let progress = |step: Step| {
        if shows_progress {
            show(words::step(step));
        }
    };
    let report = runtime.block_on(twocan_check::run(arguments.target(), options, progress));
    if shows_progress {
        show("\r\x1b[K");
    }
    runtime.shutdown_background();
    print(&text(&report, is_json)?)?;
    Ok(if report.is_usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn text(report: &Report, is_json: bool) -> anyhow::Result<String> {
    if is_json {
        let json = serde_json::to_string_pretty(report).context("the report cannot be written as JSON")?;
        return Ok(json + "\n");
    }
    let has_colour = io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    Ok(words::report(report, has_colour))
}

/// Prints to the end, or for as long as somebody reads.
fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(anyhow!("cannot print: {error}")),
        _ => Ok(()),
    }
}

/// Progress is for whoever looks: a terminal that is gone misses nothing.
fn show(text: &str) {
    let mut stderr = io::stderr().lock();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn target(line: &[&str]) -> Result<Target, clap::Error> {
        let line = std::iter::once("check").chain(line.iter().copied());
        Line::try_parse_from(line).map(|line| line.arguments.target())
    }

    #[test]
    fn a_server_on_this_machine_is_checked_where_nothing_is_named() {
        assert_eq!(target(&[]).unwrap().url.as_deref(), Some(URL));
        assert_eq!(target(&["https://play.example"]).unwrap().url.as_deref(), Some("https://play.example"));
    }

    #[test]
    fn a_stun_server_is_checked_alone() {
        for name in ["stun.example:3478", "stun.example", "stun:stun.example"] {
            let target = target(&["--stun", name]).unwrap();
            assert_eq!((target.url, target.servers.len()), (None, 1));
            assert_eq!(target.servers[0].urls[0].port, 3478);
        }
        let both = target(&["--stun", "stun.example", "https://play.example"]).unwrap();
        assert!(both.url.is_some() && both.servers.len() == 1);
    }

    #[test]
    fn a_turn_server_needs_a_name_and_a_password() {
        let turn = ["--turn", "turn:turn.example?transport=tcp"];
        assert!(target(&turn).is_err());
        let full = [&turn[..], &["--username", "ann", "--credential", "secret"]].concat();
        assert_eq!(target(&full).unwrap().servers[0].username, "ann");
        assert!(target(&["--turn", "stun:turn.example", "--username", "a", "--credential", "b"]).is_err());
        assert!(target(&["--username", "ann"]).is_err());
    }
}
