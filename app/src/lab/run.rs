//! `twocan lab run`: two hosts behind two networks, a command on each, and at the end what happened.

use std::ffi::OsString;
use std::io::Write as _;
use std::process::{ExitCode, ExitStatus};
use std::sync::mpsc::channel;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use twocan_lab::sim::{Access, Kind, SiteConfig};
use twocan_lab::{Conditions, Host, Lab, Place};

use super::children::{self, News, Side};
use super::picture::{End, Scene};
use super::server::{Server, URL};
use super::signals;

/// What `--help` ends with.
pub const EXAMPLES: &str = "\
The command finds the server in TWOCAN_SERVER (http://play.test:8080) and its side in TWOCAN_SIDE (left, right).

Examples:
  twocan lab run --left home --right cgnat -- ./my-game --online
  twocan lab run --left symmetric --right home --delay 40 --loss 2 \\
      --left-cmd './my-game --host duel' --right-cmd 'sleep 1; ./my-game --join duel'
  twocan lab run --left udp-blocked --right public        two shells instead

The kinds of networks: twocan lab kinds";

/// What to run, and in which world.
#[derive(Debug, clap::Args)]
pub struct Run {
    /// The network on the left
    #[arg(long, value_name = "KIND", default_value = "home", value_parser = super::kinds::parse)]
    left: Kind,
    /// The network on the right
    #[arg(long, value_name = "KIND", default_value = "home", value_parser = super::kinds::parse)]
    right: Kind,
    /// Both hosts are in the one network of --left
    #[arg(long, conflicts_with = "right")]
    same: bool,
    /// IPv6 besides IPv4 on both sides, behind a firewall that lets only replies in
    #[arg(long)]
    ipv6: bool,
    /// How long a packet takes between each side and the internet, one way
    #[arg(long, value_name = "MS", default_value_t = 0.0, value_parser = amount)]
    delay: f64,
    /// Up to so much more, evenly
    #[arg(long, value_name = "MS", default_value_t = 0.0, value_parser = amount)]
    jitter: f64,
    /// Packets lost between each side and the internet, each way
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0, value_parser = percent)]
    loss: f64,
    /// The rate between each side and the internet, each way [default: no limit]
    #[arg(long, value_name = "KBIT/S", value_parser = clap::value_parser!(u64).range(1..))]
    rate: Option<u64>,
    /// End both commands after so many seconds
    #[arg(long = "for", value_name = "SECONDS", value_parser = amount)]
    limit: Option<f64>,
    /// What decides on all that is random in the networks
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u64,
    /// A line for the shell on the left, instead of COMMAND
    #[arg(long, value_name = "LINE")]
    left_cmd: Option<OsString>,
    /// A line for the shell on the right, instead of COMMAND
    #[arg(long, value_name = "LINE")]
    right_cmd: Option<OsString>,
    /// What runs on both sides; nothing: a shell
    #[arg(last = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

fn amount(text: &str) -> Result<f64, String> {
    let amount = text.parse().ok().filter(|amount: &f64| (0.0..=1e6).contains(amount));
    amount.ok_or_else(|| "wants a number from 0 to 1000000".to_owned())
}

fn percent(text: &str) -> Result<f64, String> {
    amount(text)
        .ok()
        .filter(|percent| *percent <= 100.0)
        .ok_or_else(|| "wants a number from 0 to 100".to_owned())
}

impl Run {
    fn conditions(&self) -> Conditions {
        let Run { delay, jitter, loss, rate, .. } = *self;
        Conditions { delay_ms: delay, jitter_ms: jitter, loss_percent: loss, rate_kbps: rate }
    }

    /// What runs on a side; `None`: a shell.
    fn line(&self, side: Side) -> Option<Vec<OsString>> {
        let own = match side {
            Side::Left => &self.left_cmd,
            Side::Right => &self.right_cmd,
        };
        let own = own.as_ref().map(|line| vec!["sh".into(), "-c".into(), line.clone()]);
        own.or_else(|| (!self.command.is_empty()).then(|| self.command.clone()))
    }
}

/// Does it.
pub fn run(run: &Run) -> anyhow::Result<ExitCode> {
    let lines = Side::BOTH.map(|side| run.line(side));
    let has_one = lines.iter().any(Option::is_some);
    ensure!(
        lines.iter().all(Option::is_some) == has_one,
        "there is a command for one side only: give the other one, too, or a COMMAND after `--` for both"
    );
    let (told, news) = channel();
    signals::on_first({
        let told = told.clone();
        move || drop(told.send(News::Signal))
    })?;
    let mut lab = super::start(run.seed)?;
    let places = places(run, &mut lab)?;
    let ids = [lab.add_host(&places[0]).map(|host| host.id), lab.add_host(&places[1]).map(|host| host.id)];
    let [left, right] = ids.map(|id| id.map_err(super::explain));
    let (left, right) = (left?, right?);
    let server = Server::start(&lab)?;
    let hosts = [left, right].map(|id| lab.host(id).context("it was just added"));
    let [one, other] = hosts;
    let (one, other) = (one?, other?);
    let scene = Scene { left: end(one, &places[0]), right: end(other, &places[1]), is_same: run.same };
    eprint!("{}", scene.world());
    let authority = server.authority();
    let ended = match lines {
        [Some(left), Some(right)] => {
            let limit = run.limit.map(Duration::from_secs_f64);
            children::run(
                (told, news),
                [(Side::Left, one, &left), (Side::Right, other, &right)],
                &authority,
                limit,
            )?
        }
        _ => [Some(shells(one, other, &authority)?), None],
    };
    let report = scene.report(&lab)?;
    // Whoever was listening may be gone.
    let _ = write!(std::io::stdout().lock(), "{report}");
    Ok(exit_code(ended))
}

fn places(run: &Run, lab: &mut Lab) -> anyhow::Result<[Place; 2]> {
    let mut place = |kind| {
        let config = SiteConfig { kind, access: Access::from(run.conditions()), ipv6: run.ipv6 };
        lab.add_place(config).map_err(super::explain)
    };
    let left = place(run.left)?;
    let right = if run.same { left.clone() } else { place(run.right)? };
    Ok([left, right])
}

fn end(host: &Host, place: &Place) -> End {
    End { host: host.id, addresses: host.addresses.clone(), place: place.clone() }
}

/// A shell on the left, in this terminal; how to get one on the right.
fn shells(left: &Host, right: &Host, authority: &std::path::Path) -> anyhow::Result<ExitStatus> {
    let variables = |side| {
        let variables = children::environment(side, authority).into_iter();
        variables
            .map(|(name, value)| format!("{name}={}", value.to_string_lossy()))
            .collect::<Vec<_>>()
            .join(" ")
    };
    eprintln!("This shell is on the left; the server is {URL}. One on the right, from another terminal:");
    // Who is not root has namespaces that only programs of this one see.
    let whole = std::fs::read_to_string("/proc/self/uid_map").is_ok_and(|map| map.contains("4294967295"));
    let pid = std::process::id();
    let enter = match whole {
        true => String::new(),
        false => format!("nsenter --target {pid} --user --mount --preserve-credentials "),
    };
    eprintln!("  {enter}ip netns exec {} env {} sh", right.name(), variables(Side::Right));
    eprintln!("The lab ends with this shell.");
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "sh".into());
    let mut command = left.command(shell);
    command.envs(children::environment(Side::Left, authority));
    command.status().context("cannot start a shell")
}

/// That of the first command that failed; one that we ended did not fail.
fn exit_code(ended: [Option<ExitStatus>; 2]) -> ExitCode {
    use std::os::unix::process::ExitStatusExt as _;
    let failed = ended.into_iter().flatten().find(|status| !status.success());
    failed.map_or(ExitCode::SUCCESS, |status| {
        let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
        code.and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from)
    })
}
