//! Bulk, and a round trip under load, between two processes in two network namespaces joined by a veth pair.
//!
//! ```text
//! netns a ── 10.99.0.1 ══ veth ══ 10.99.0.2 ── netns b        signals: over the children's stdin and stdout
//! ```
//! The offerer sends messages of 16 KiB as fast as its stack takes them, and on a second channel 64 bytes every 20 ms, which
//! come back. Every stack runs in processes of its own, one stack after the other, several times over.

pub mod end;
mod ours;
mod sansio;
pub(crate) mod webrtc;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::progress::Progress;
use crate::report::{Report, Spread, Table, percentile, sorted};

pub const OFFERER: &str = "10.99.0.1";
pub const ANSWERER: &str = "10.99.0.2";
/// How long a run may take beyond what it measures.
const PATIENCE: Duration = Duration::from_secs(20);

/// What runs at both ends.
const STACKS: [(&str, &str); 6] = [
    ("twocan", "twocan: Connection on tokio"),
    ("twocan-loop", "twocan-rtc, plain loop on std sockets"),
    ("webrtc", "webrtc 0.21 on tokio"),
    ("webrtc-reactor", "webrtc 0.21, dedicated reactor thread"),
    ("str0m", "str0m 0.25, plain loop on std sockets"),
    ("rtc-loop", "rtc 0.21, plain loop on std sockets"),
];

/// What one end saw within its window.
#[derive(Serialize, Deserialize, Clone)]
pub struct Window {
    pub seconds: f64,
    pub cpu_seconds: f64,
    pub received_bytes: u64,
    pub rtts_ms: Vec<f64>,
}

/// Two namespaces and the cable between them, as long as this lives.
struct Namespaces([String; 2]);

impl Namespaces {
    fn new() -> Result<Self> {
        let names = ["a", "b"].map(|side| format!("twocan-bench-{}-{side}", std::process::id()));
        let namespaces = Self(names.clone());
        let [a, b] = &names;
        for name in &names {
            ip(&format!("netns add {name}")).context("cannot make a network namespace (root is needed)")?;
        }
        ip(&format!("-n {a} link add veth0 type veth peer name veth0 netns {b}"))?;
        for (name, address) in names.iter().zip([OFFERER, ANSWERER]) {
            ip(&format!("-n {name} address add {address}/24 dev veth0"))?;
            ip(&format!("-n {name} link set veth0 up"))?;
            ip(&format!("-n {name} link set lo up"))?;
            // webrtc joins a multicast group, which needs a route.
            ip(&format!("-n {name} route add default dev veth0"))?;
        }
        Ok(namespaces)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = ip(&format!("netns delete {name}"));
        }
    }
}

fn ip(arguments: &str) -> Result<()> {
    let output =
        Command::new("ip").args(arguments.split(' ')).output().context("ip is missing (iproute2)")?;
    if !output.status.success() {
        bail!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

/// A process of ours, ended with this.
struct End(Child);

impl Drop for End {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn start(namespace: &str, stack: &str, side: &str, lasting: Duration) -> Result<End> {
    let program = std::env::current_exe()?;
    let child = Command::new("ip")
        .args(["netns", "exec", namespace])
        .arg(program)
        .args(["veth-end", "--stack", stack, "--side", side])
        .args(["--lasting-ms", &lasting.as_millis().to_string()])
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot start an end")?;
    Ok(End(child))
}

/// Carries signals from one child to the other until the child says what it measured.
fn carry(from: ChildStdout, mut to: ChildStdin, side: usize, done: mpsc::Sender<(usize, Window)>) {
    std::thread::spawn(move || {
        for line in BufReader::new(from).lines().map_while(Result::ok) {
            if let Some(signal) = line.strip_prefix("signal ") {
                let _ = writeln!(to, "{signal}").and_then(|()| to.flush());
            } else if let Some(window) = line.strip_prefix("window ")
                && let Ok(window) = serde_json::from_str(window)
            {
                let _ = done.send((side, window));
            }
        }
    });
}

fn run_once(namespaces: &Namespaces, stack: &str, lasting: Duration) -> Result<[Window; 2]> {
    let [a, b] = &namespaces.0;
    let mut ends = [start(a, stack, "offerer", lasting)?, start(b, stack, "answerer", lasting)?];
    let (done, windows) = mpsc::channel();
    let [first, second] = &mut ends;
    let pipes = [first, second].map(|end| (end.0.stdout.take(), end.0.stdin.take()));
    let [(Some(out_a), Some(in_a)), (Some(out_b), Some(in_b))] = pipes else {
        bail!("a child without pipes")
    };
    carry(out_a, in_b, 0, done.clone());
    carry(out_b, in_a, 1, done);
    let mut seen = [None, None];
    while seen.iter().any(Option::is_none) {
        let (side, window) = windows
            .recv_timeout(lasting + PATIENCE)
            .with_context(|| format!("{stack}: no end to it within {} s", (lasting + PATIENCE).as_secs()))?;
        seen[side] = Some(window);
    }
    let [Some(offerer), Some(answerer)] = seen else { bail!("a window is missing") };
    Ok([offerer, answerer])
}

/// Runs every stack in turn, several times over.
pub fn run(quick: bool, only: &str) -> Result<()> {
    let (rounds, lasting) = if quick { (1, Duration::from_secs(2)) } else { (5, Duration::from_secs(4)) };
    let namespaces = Namespaces::new()?;
    let mut report = Report::new("veth", quick);
    let mut progress = Progress::new("veth", rounds * STACKS.len());
    let mut outcomes: Vec<Vec<[Window; 2]>> = STACKS.iter().map(|_| Vec::new()).collect();
    for _ in 0..rounds {
        for ((stack, name), outcomes) in
            STACKS.iter().zip(&mut outcomes).filter(|((stack, _), _)| stack.contains(only))
        {
            progress.step(name);
            match run_once(&namespaces, stack, lasting) {
                Ok(windows) => outcomes.push(windows),
                Err(error) => {
                    report.raw(serde_json::json!({ "stack": name, "failed": format!("{error:#}") }));
                }
            }
        }
    }
    drop(progress);
    table(&mut report, rounds, &outcomes);
    report.write()
}

fn table(report: &mut Report, rounds: usize, outcomes: &[Vec<[Window; 2]>]) {
    let columns = [
        "two processes over veth",
        "Mbit/s",
        "CPU s per GB, both",
        "of which sender",
        "64 B round trip, p50 ms",
        "p99 ms",
        "failed",
    ];
    let mut table =
        Table::new("Bulk between two processes, messages of 16 KiB, reliable and ordered", columns);
    for ((_, name), outcomes) in STACKS.iter().zip(outcomes) {
        let spread = |figure: &dyn Fn(&[Window; 2]) -> f64| {
            Spread::of(&outcomes.iter().map(figure).filter(|figure| figure.is_finite()).collect::<Vec<_>>())
        };
        let gigabytes = |[_, answerer]: &[Window; 2]| answerer.received_bytes as f64 / 1e9;
        let speed = spread(&|windows| gigabytes(windows) * 8e3 / windows[1].seconds);
        let sender = spread(&|windows| windows[0].cpu_seconds / gigabytes(windows));
        let both = spread(&|windows| (windows[0].cpu_seconds + windows[1].cpu_seconds) / gigabytes(windows));
        let rtt = |percent| {
            spread(&move |windows| percentile(&sorted(&windows[0].rtts_ms), percent).unwrap_or(f64::NAN))
        };
        let (p50, p99) = (rtt(50.0), rtt(99.0));
        let show =
            |spread: Option<Spread>, digits| spread.map_or("–".to_owned(), |spread| spread.show(digits));
        let failed = (rounds - outcomes.len()).to_string();
        table.row([
            (*name).to_owned(),
            show(speed, 0),
            show(both, 1),
            show(sender, 1),
            show(p50, 1),
            show(p99, 1),
            failed,
        ]);
        report.raw(serde_json::json!({
            "stack": name,
            "rounds": outcomes.len(),
            "megabits_per_second": speed,
            "cpu_seconds_per_gigabyte": both,
            "cpu_seconds_per_gigabyte_sender": sender,
            "rtt_p50_ms": p50,
            "rtt_p99_ms": p99,
        }));
    }
    table.note(format!(
        "Median (min–max) of {rounds} runs, the stacks in turn; a second of warming up, then the window. CPU is user and system time of both \
         processes. Datagrams of at most 1200 bytes; AES-GCM (ring; str0m: aws-lc-rs); socket buffers asked for: 256 KiB by twocan's own \
         driver, 4 MiB by the plain loops, none by webrtc. Unsent data at most: webrtc 1 MiB (its own example), the others 256 KiB."
    ));
    report.table(table);
}
