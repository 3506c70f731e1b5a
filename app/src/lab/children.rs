//! The two commands: started, their lines told apart, waited for, and ended when we are.

use std::ffi::OsString;
use std::io::{BufRead as _, BufReader, IsTerminal as _, Read, Write as _};
use std::process::{Child, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use twocan_lab::Host;

use super::server::URL;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Left,
    Right,
}

impl Side {
    pub const BOTH: [Side; 2] = [Side::Left, Side::Right];

    pub fn name(self) -> &'static str {
        match self {
            Side::Left => "left",
            Side::Right => "right",
        }
    }

    /// What its lines begin with.
    fn prefix(self, is_coloured: bool) -> String {
        let colour = match self {
            Side::Left => 36,
            Side::Right => 35,
        };
        match is_coloured {
            true => format!("\x1b[{colour}m{:>5} │\x1b[0m ", self.name()),
            false => format!("{:>5} │ ", self.name()),
        }
    }
}

/// What a program in the lab finds in its environment.
pub fn environment(side: Side, authority: &std::path::Path) -> Vec<(&'static str, OsString)> {
    let authority = OsString::from(authority);
    vec![
        ("TWOCAN_SERVER", URL.into()),
        ("TWOCAN_SIDE", side.name().into()),
        // The only authority there is in this internet, as OpenSSL, rustls and Node look for it.
        ("SSL_CERT_FILE", authority.clone()),
        ("NODE_EXTRA_CA_CERTS", authority),
    ]
}

/// What the two are waited for with.
pub enum News {
    Ended(Side, ExitStatus),
    /// We are asked to end.
    Signal,
}

/// Runs one command a side until both ended, a signal comes, or the time is over. What each ended with, if by itself.
pub fn run(
    (told, news): (Sender<News>, Receiver<News>),
    commands: [(Side, &Host, &[OsString]); 2],
    authority: &std::path::Path,
    limit: Option<Duration>,
) -> anyhow::Result<[Option<ExitStatus>; 2]> {
    for (side, host, line) in commands {
        let child = start(side, host, line, authority)?;
        let told = told.clone();
        std::thread::spawn(move || {
            if let Some(status) = follow(side, child) {
                let _ = told.send(News::Ended(side, status));
            }
        });
    }
    let ended = wait(&news, limit);
    for (_, host, _) in commands {
        host.quit();
    }
    Ok(ended)
}

fn start(side: Side, host: &Host, line: &[OsString], authority: &std::path::Path) -> anyhow::Result<Child> {
    let (program, arguments) = line.split_first().context("an empty command")?;
    let mut command = host.command(program);
    command.args(arguments).envs(environment(side, authority));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().with_context(|| format!("cannot start the command on the {}", side.name()))
}

/// Passes its lines on until it ended.
fn follow(side: Side, mut child: Child) -> Option<ExitStatus> {
    let prefix = side.prefix(std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none());
    let (out, errors) = (child.stdout.take(), child.stderr.take());
    let reader = std::thread::spawn({
        let prefix = prefix.clone();
        move || errors.map(|errors| pass_on(errors, &prefix))
    });
    if let Some(out) = out {
        pass_on(out, &prefix);
    }
    let _ = reader.join();
    child.wait().ok()
}

fn pass_on(from: impl Read, prefix: &str) {
    for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        // Nobody may be listening any more: the command goes on all the same.
        let _ = writeln!(std::io::stdout().lock(), "{prefix}{}", line.trim_end_matches('\r'));
    }
}

fn wait(news: &Receiver<News>, limit: Option<Duration>) -> [Option<ExitStatus>; 2] {
    let end = limit.map(|limit| Instant::now() + limit);
    let mut ended = [None; 2];
    while ended.iter().any(Option::is_none) {
        let next = match end {
            Some(end) => news.recv_timeout(end.saturating_duration_since(Instant::now())),
            None => news.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        match next {
            Ok(News::Ended(side, status)) => ended[side as usize] = Some(status),
            Ok(News::Signal) | Err(_) => break,
        }
    }
    ended
}
