//! Memory of idle connections: pairs in one process, connected, one message each, then left alone.
//!
//! Each stack runs in a process of its own whose allocator counts (`bench-heap`); that allocator costs time, so no other
//! measurement has it.

pub mod idle;
mod ours;
mod sansio;
mod webrtc;

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

use crate::progress::Progress;
use crate::report::{Report, Spread, Table};

const STACKS: [(&str, &str); 5] = [
    ("twocan", "twocan: Connection on tokio, sockets"),
    ("webrtc", "webrtc 0.21 on tokio, sockets"),
    ("twocan-rtc", "twocan-rtc, no sockets"),
    ("str0m", "str0m 0.25, no sockets"),
    ("rtc", "rtc 0.21, no sockets"),
];

/// What one process saw.
#[derive(Serialize, Deserialize)]
pub struct Idle {
    pub connections: usize,
    /// Of those, how many had a message come through.
    pub alive: usize,
    pub heap_bytes: f64,
    pub resident_bytes: f64,
    pub threads: usize,
    pub descriptors: usize,
    pub connecting_seconds: f64,
    pub connecting_cpu_seconds: f64,
    /// Per second of idleness, all connections together.
    pub idle_cpu_seconds: f64,
}

/// Runs every stack with some connections and with a thousand.
pub fn run(quick: bool) -> Result<()> {
    let (counts, rounds): (&[usize], _) = if quick { (&[20], 1) } else { (&[100, 1_000], 3) };
    let heap = build()?;
    let mut report = Report::new("memory", quick);
    let mut progress = Progress::new("memory", counts.len() * rounds * STACKS.len());
    for &count in counts {
        let columns = [
            "each connection, idle",
            "heap KiB",
            "resident KiB",
            "ms CPU to connect",
            "µs CPU per idle second",
            "descriptors",
            "threads",
            "alive",
        ];
        let mut table = Table::new(format!("{count} connections in one process"), columns);
        for (stack, name) in STACKS {
            let mut seen = Vec::new();
            for _ in 0..rounds {
                progress.step(&format!("{count} connections, {name}"));
                match once(&heap, stack, count) {
                    Ok(idle) => seen.push(idle),
                    Err(error) => {
                        report.raw(serde_json::json!({ "stack": name, "failed": format!("{error:#}") }));
                    }
                }
            }
            row(&mut table, &mut report, name, count, &seen);
        }
        table.note(format!(
            "Median (min–max) of {rounds} processes; what grew since a first pair was connected and dropped, divided by the number of connections. \
             Both ends of each pair live in the process; over loopback where there are sockets. Certificates: one for each connection, as each stack \
             does it by itself; twocan-rtc without sockets shares one."
        ));
        report.table(table);
    }
    drop(progress);
    report.write()
}

fn row(table: &mut Table, report: &mut Report, name: &str, count: usize, seen: &[Idle]) {
    let each = |figure: fn(&Idle) -> f64| {
        Spread::of(&seen.iter().map(|idle| figure(idle) / idle.connections as f64).collect::<Vec<_>>())
    };
    let heap = each(|idle| idle.heap_bytes / 1_024.0);
    let resident = each(|idle| idle.resident_bytes / 1_024.0);
    let connecting = each(|idle| idle.connecting_cpu_seconds * 1e3);
    let idling = each(|idle| idle.idle_cpu_seconds * 1e6);
    let show = |spread: Option<Spread>, digits| spread.map_or("–".to_owned(), |spread| spread.show(digits));
    let plain = |figure: fn(&Idle) -> usize| {
        seen.iter().map(figure).min().map_or("–".to_owned(), |figure| figure.to_string())
    };
    table.row([
        name.to_owned(),
        show(heap, 1),
        show(resident, 1),
        show(connecting, 2),
        show(idling, 0),
        plain(|idle| idle.descriptors),
        plain(|idle| idle.threads),
        plain(|idle| idle.alive),
    ]);
    report.raw(serde_json::json!({
        "stack": name,
        "connections": count,
        "rounds": seen.len(),
        "heap_kib": heap,
        "resident_kib": resident,
        "connecting_cpu_ms": connecting,
        "idle_cpu_us_per_second": idling,
        "runs": seen,
    }));
}

/// The program with the counting allocator lies beside this one; cargo builds it where it is missing or old.
fn build() -> Result<std::path::PathBuf> {
    let status = Command::new("cargo")
        .args(["build", "--quiet", "--release", "--bin", "bench-heap"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .status()
        .context("cannot start cargo")?;
    let program = std::env::current_exe()?.with_file_name("bench-heap");
    if !status.success() || !program.exists() {
        bail!("bench-heap was not built");
    }
    Ok(program)
}

fn once(heap: &std::path::Path, stack: &str, count: usize) -> Result<Idle> {
    let output = Command::new(heap).args([stack, &count.to_string()]).env("RUST_BACKTRACE", "0").output()?;
    if !output.status.success() {
        bail!("{stack}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).with_context(|| format!("{stack} said something else"))
}
