//! One process with many idle connections, and what it looks at.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::{Idle, ours, sansio, webrtc};
use crate::peer::{RTC_TUNED, STR0M_TUNED, TWOCAN};
use crate::veth::end::cpu_seconds;

/// How long nothing happens before it is looked.
pub const IDLE: Duration = Duration::from_secs(3);
/// How long all of them may take to connect.
pub const CONNECTING: Duration = Duration::from_secs(90);

/// The counting allocator's figure: bytes in use.
pub type Heap = fn() -> usize;

/// Takes the figures as a run goes along.
pub struct Watch {
    heap: Heap,
    connections: usize,
    before: (usize, usize),
    started: (Instant, f64),
    connected: Option<(Duration, f64)>,
}

impl Watch {
    /// Before the first of the connections is made, and after one pair was made and dropped.
    pub fn start(heap: Heap, connections: usize) -> Self {
        Self {
            heap,
            connections,
            before: (heap(), resident()),
            started: (Instant::now(), cpu_seconds()),
            connected: None,
        }
    }

    /// All are connected.
    pub fn connected(&mut self) {
        self.connected = Some((self.started.0.elapsed(), cpu_seconds() - self.started.1));
    }

    /// After [`IDLE`].
    pub fn finish(self, alive: usize, idle_cpu_seconds: f64) -> Idle {
        let (connecting, cpu) = self.connected.unwrap_or_default();
        Idle {
            connections: self.connections,
            alive,
            heap_bytes: (self.heap)() as f64 - self.before.0 as f64,
            resident_bytes: resident() as f64 - self.before.1 as f64,
            threads: entries("/proc/self/task"),
            descriptors: entries("/proc/self/fd"),
            connecting_seconds: connecting.as_secs_f64(),
            connecting_cpu_seconds: cpu,
            idle_cpu_seconds: idle_cpu_seconds / IDLE.as_secs_f64(),
        }
    }
}

fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or(0) * 4_096
}

fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).map_or(0, Iterator::count)
}

/// Runs one stack: `count` connections, half of them offering.
pub fn run(stack: &str, count: usize, heap: Heap) -> Result<Idle> {
    let pairs = count / 2;
    match stack {
        "twocan" => ours::run(pairs, heap),
        "webrtc" => webrtc::run(pairs, heap),
        "twocan-rtc" => sansio::run(&TWOCAN, pairs, heap),
        "str0m" => sansio::run(&STR0M_TUNED, pairs, heap),
        "rtc" => sansio::run(&RTC_TUNED, pairs, heap),
        other => bail!("no stack is called {other}"),
    }
}
