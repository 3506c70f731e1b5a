//! From the offer to the first message, in virtual time, on a path that loses packets.
//!
//! Signaling is instant and lossless: what is measured is what the stacks do between two addresses. Each side sends one
//! message as soon as its channel lets it; the figure is when the offerer's message reaches the answerer. Every stack meets
//! the same losses: whether the n-th datagram of a direction is lost follows from the seed alone.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::io::Write;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering as Atomic};
use std::time::{Duration, Instant};

use anyhow::Context;

use crate::peer::{
    Addresses, BULK, Peer, RTC, RTC_TUNED, STR0M, STR0M_TUNED, Side, Stack, TWOCAN, TWOCAN_IN_BAND,
};
use crate::progress::Progress;
use crate::report::{Report, Table, percentile, sorted};

const STACKS: [Stack; 6] = [TWOCAN, TWOCAN_IN_BAND, STR0M, STR0M_TUNED, RTC, RTC_TUNED];
const LOSSES_PERCENT: [u64; 4] = [0, 5, 10, 20];
const ONE_WAY: Duration = Duration::from_millis(25);
const LIMIT: Duration = Duration::from_secs(60);
/// The least that time advances where a stack asks to be called again at once.
const LEAST_STEP: Duration = Duration::from_micros(100);

struct InFlight {
    at: Duration,
    order: u64,
    to: usize,
    bytes: Vec<u8>,
}

impl PartialEq for InFlight {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}
impl Eq for InFlight {}
impl PartialOrd for InFlight {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for InFlight {
    fn cmp(&self, other: &Self) -> Ordering {
        (other.at, other.order).cmp(&(self.at, self.order))
    }
}

/// The path between the two, and what it lost.
struct Path {
    queue: BinaryHeap<InFlight>,
    traced: bool,
    loss_percent: u64,
    seed: u64,
    sent: [u64; 2],
    order: u64,
}

impl Path {
    fn carry(&mut self, from: usize, bytes: &[u8], now: Duration) {
        self.sent[from] += 1;
        let lost = is_lost(self.seed, from as u64, self.sent[from], self.loss_percent);
        if self.traced {
            trace(from, bytes, lost, now);
        }
        if lost {
            return;
        }
        self.order += 1;
        let in_flight =
            InFlight { at: now + ONE_WAY, order: self.order, to: 1 - from, bytes: bytes.to_vec() };
        self.queue.push(in_flight);
    }

    fn arrived(&mut self, now: Duration) -> Option<InFlight> {
        self.queue.peek().is_some_and(|packet| packet.at <= now).then(|| self.queue.pop()).flatten()
    }
}

/// One draw of SplitMix64 for each datagram.
fn is_lost(seed: u64, direction: u64, number: u64, percent: u64) -> bool {
    let mut z = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15)
        ^ (direction << 63)
        ^ number.wrapping_mul(0xD1B5_4A32_D192_ED03);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    (z ^ (z >> 31)) % 100 < percent
}

/// When the first message of each side arrived at the other, ms: the offerer's, the answerer's.
type Outcome = [Option<f64>; 2];

fn run_once(stack: &Stack, loss_percent: u64, seed: u64, traced: bool) -> Outcome {
    let epoch = Instant::now();
    let mut now = Duration::ZERO;
    let mut path = Path { queue: BinaryHeap::new(), traced, loss_percent, seed, sent: [0; 2], order: 0 };
    let mut peers =
        [Side::Offerer, Side::Answerer].map(|side| stack.make(side, Addresses::pretend(side), seed, epoch));
    peers[0].offer(epoch);
    let mut sent = [false; 2];
    let mut outcome = [None; 2];
    while outcome[0].is_none() && now < LIMIT {
        let instant = epoch + now;
        // Timers first: in rtc 0.21 a repeated ClientHello that arrives just when its server is about to repeat its flight puts
        // that off for ever, and on a path without jitter it always arrives just then.
        for peer in &mut peers {
            if peer.deadline().is_some_and(|at| at <= instant) {
                peer.timeout(instant);
            }
        }
        settle(&mut peers, &mut path, now, instant);
        while let Some(packet) = path.arrived(now) {
            peers[packet.to].datagram(&packet.bytes, instant);
            settle(&mut peers, &mut path, now, instant);
        }
        for (side, peer) in peers.iter_mut().enumerate() {
            if !sent[side] && peer.is_open() {
                sent[side] = peer.send(BULK, b"hello", instant);
            }
            let heard = &mut outcome[1 - side];
            peer.receive(&mut |_, _| *heard = heard.or(Some(now.as_secs_f64() * 1e3)));
        }
        settle(&mut peers, &mut path, now, instant);
        let deadlines = peers.iter_mut().filter_map(|peer| peer.deadline());
        let deadline = deadlines.map(|at| (at.saturating_duration_since(epoch)).max(now + LEAST_STEP)).min();
        let arrival = path.queue.peek().map(|packet| packet.at);
        now = deadline.into_iter().chain(arrival).min().unwrap_or(LIMIT).max(now);
    }
    outcome
}

/// Carries what waits: signals at once, datagrams onto the path.
fn settle(peers: &mut [Box<dyn Peer>; 2], path: &mut Path, now: Duration, instant: Instant) {
    loop {
        let mut quiet = true;
        for from in [0, 1] {
            while let Some(signal) = peers[from].poll_signal() {
                peers[1 - from].signal(&signal, instant);
                quiet = false;
            }
            peers[from].transmit(instant, &mut |bytes| path.carry(from, bytes, now));
        }
        if quiet {
            return;
        }
    }
}

/// All seeds of one cell, on every core.
fn run_seeds(stack: &Stack, loss_percent: u64, seeds: u64) -> Vec<Outcome> {
    let next = AtomicUsize::new(0);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Atomic::Relaxed) as u64;
                    if seed >= seeds {
                        return;
                    }
                    let outcome = run_once(stack, loss_percent, seed, false);
                    outcomes.lock().expect("no thread panicked").push(outcome);
                }
            });
        }
    });
    outcomes.into_inner().expect("no thread panicked")
}

/// Runs every stack at every loss.
pub fn run(quick: bool) -> anyhow::Result<()> {
    let seeds = if quick { 50 } else { 1_000 };
    let mut report = Report::new("connect", quick);
    let mut progress = Progress::new("connect", STACKS.len() * LOSSES_PERCENT.len());
    let columns = [
        "p50 / p95 / p99 ms",
        "no loss",
        "5 % loss",
        "10 % loss",
        "20 % loss",
        "no message in 60 s, at 20 %",
    ];
    let mut table = Table::new("From the offer to the first message, RTT 50 ms", columns);
    for stack in &STACKS {
        let mut row = vec![stack.name.to_owned()];
        let mut failures = 0;
        for loss in LOSSES_PERCENT {
            progress.step(&format!("{}, {loss} % loss", stack.name));
            // Without loss every seed is alike.
            let outcomes = run_seeds(stack, loss, if loss == 0 { seeds.min(20) } else { seeds });
            let [to_answerer, to_offerer] = [0, 1]
                .map(|side| sorted(&outcomes.iter().filter_map(|outcome| outcome[side]).collect::<Vec<_>>()));
            failures = outcomes.len() - to_answerer.len();
            row.push(shown(&to_answerer, outcomes.len()));
            let ms = |figures: &[f64]| [50.0, 95.0, 99.0].map(|percent| percentile(figures, percent));
            report.raw(serde_json::json!({
                "stack": stack.name,
                "loss_percent": loss,
                "seeds": outcomes.len(),
                "failed": failures,
                "offerers_message_p50_p95_p99_ms": ms(&to_answerer),
                "answerers_message_p50_p95_p99_ms_where_it_came_first": ms(&to_offerer),
            }));
        }
        row.push(failures.to_string());
        table.row(row);
    }
    drop(progress);
    table.note(format!(
        "Virtual time, {seeds} seeds, the same losses for all; signaling is instant. The offerer's first message reaches the \
         answerer. A failure counts as later than all others."
    ));
    for stack in &STACKS {
        table.note(format!("{}: {}.", stack.name, stack.setting));
    }
    report.table(table);
    report.write()
}

/// Percentiles over all seeds, those that failed included.
fn shown(sorted: &[f64], seeds: usize) -> String {
    let cells = [50.0, 95.0, 99.0].map(|percent| {
        let rank = (percent / 100.0 * seeds as f64).ceil().max(1.0) as usize;
        sorted.get(rank - 1).map_or("–".to_owned(), |ms| format!("{ms:.0}"))
    });
    cells.join(" / ")
}

/// Prints every datagram of one run.
pub fn trace_one(stack: &str, loss_percent: u64, seed: u64) -> anyhow::Result<()> {
    let stack = STACKS.iter().find(|known| known.name == stack);
    let stack = stack.with_context(|| format!("the stacks are {:?}", STACKS.map(|stack| stack.name)))?;
    let [message, _] = run_once(stack, loss_percent, seed, true);
    say(format_args!("message: {message:?} ms"));
    Ok(())
}

fn trace(from: usize, bytes: &[u8], lost: bool, now: Duration) {
    let kind = match bytes.first() {
        Some(0..=3) if bytes.get(1) == Some(&1) && bytes.first() == Some(&0) => "STUN request",
        Some(0..=3) => "STUN answer",
        Some(22) => match bytes.get(13) {
            Some(1) => "DTLS ClientHello",
            Some(2) => "DTLS ServerHello",
            Some(3) => "DTLS HelloVerifyRequest",
            _ => "DTLS handshake",
        },
        Some(20) => "DTLS ChangeCipherSpec",
        Some(21) => "DTLS alert",
        Some(23) => "DTLS record",
        Some(32..=63) => "DTLS 1.3 record",
        _ => "?",
    };
    let arrow = if from == 0 { "offerer ─►" } else { "◄─ answerer" };
    let fate = if lost { "  lost" } else { "" };
    say(format_args!("{:9.1} ms  {arrow:12} {kind:24} {:5} B{fate}", now.as_secs_f64() * 1e3, bytes.len()));
}

fn say(line: std::fmt::Arguments) {
    let _ = writeln!(std::io::stdout(), "{line}");
}
