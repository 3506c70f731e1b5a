//! Bulk in memory: two connections in one thread, on the real clock, as fast as one core goes.
//!
//! The offerer sends, reliably and in order, and never has more than the send buffer under way. Datagrams go through a
//! reused arena, so that the harness costs every stack the same: one copy.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use crate::peer::{
    Addresses, BULK, DATAGRAM_BYTES, DCSCTP, Peer, RTC_TUNED, SCTP_PROTO, SEND_BUFFER_BYTES, STR0M,
    STR0M_TUNED, Side, Stack, TWOCAN,
};
use crate::progress::Progress;
use crate::report::{Report, Spread, Table};

const STACKS: [Stack; 6] = [TWOCAN, STR0M, STR0M_TUNED, RTC_TUNED, SCTP_PROTO, DCSCTP];
const MESSAGE_BYTES: [usize; 2] = [16 * 1_024, 64 * 1_024];
/// How long a connection may take to open.
const OPENING: Duration = Duration::from_secs(20);

/// Datagrams on their way, one behind the other.
#[derive(Default)]
struct Arena {
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Arena {
    fn push(&mut self, datagram: &[u8]) {
        self.bytes.extend_from_slice(datagram);
        self.ends.push(self.bytes.len());
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
    }
}

/// Two connections and the memory between them.
struct Pair {
    peers: [Box<dyn Peer>; 2],
    arenas: [Arena; 2],
    received: [usize; 2],
    datagrams: u64,
}

impl Pair {
    fn open(stack: &Stack, seed: u64) -> Result<Self> {
        let started = Instant::now();
        let peers = [Side::Offerer, Side::Answerer]
            .map(|side| stack.make(side, Addresses::pretend(side), seed, started));
        let mut pair = Self { peers, arenas: Default::default(), received: [0; 2], datagrams: 0 };
        pair.peers[0].offer(started);
        while !(pair.peers[0].is_open()
            && pair.peers[0].send(BULK, b"hello", Instant::now())
            && pair.settle())
        {
            if started.elapsed() > OPENING {
                bail!("{} did not open within {} s", stack.name, OPENING.as_secs());
            }
            pair.settle();
            std::thread::sleep(Duration::from_micros(200));
        }
        Ok(pair)
    }

    /// Carries everything that waits, once in each direction.
    fn settle(&mut self) -> bool {
        for from in [0, 1] {
            while let Some(signal) = self.peers[from].poll_signal() {
                self.peers[1 - from].signal(&signal, Instant::now());
            }
            self.carry(from);
        }
        true
    }

    fn carry(&mut self, from: usize) {
        let now = Instant::now();
        if self.peers[from].deadline().is_some_and(|at| at <= now) {
            self.peers[from].timeout(now);
        }
        let arena = &mut self.arenas[from];
        self.peers[from].transmit(now, &mut |datagram| arena.push(datagram));
        let mut start = 0;
        for &end in &arena.ends {
            self.peers[1 - from].datagram(&arena.bytes[start..end], now);
            start = end;
        }
        self.datagrams += arena.ends.len() as u64;
        arena.clear();
        let received = &mut self.received[1 - from];
        self.peers[1 - from].receive(&mut |_, message| *received += message.len());
    }
}

/// One run's figures.
struct Outcome {
    megabits_per_second: f64,
    cpu_seconds_per_gigabyte: f64,
    bytes_per_datagram: f64,
}

fn run_once(stack: &Stack, message_bytes: usize, lasting: Duration, seed: u64) -> Result<Outcome> {
    let mut pair = Pair::open(stack, seed)?;
    let message = vec![0x5A; message_bytes];
    // Slow start is not what is measured.
    pump(&mut pair, &message, lasting / 5);
    let (before, bytes, datagrams) = (cpu_seconds(), pair.received[1], pair.datagrams);
    let took = pump(&mut pair, &message, lasting);
    let (cpu, bytes) = (cpu_seconds() - before, (pair.received[1] - bytes) as f64);
    if bytes == 0.0 {
        bail!("{} stalled", stack.name);
    }
    Ok(Outcome {
        megabits_per_second: bytes * 8.0 / took.as_secs_f64() / 1e6,
        cpu_seconds_per_gigabyte: cpu / bytes * 1e9,
        bytes_per_datagram: bytes / (pair.datagrams - datagrams) as f64,
    })
}

fn pump(pair: &mut Pair, message: &[u8], lasting: Duration) -> Duration {
    let started = Instant::now();
    while started.elapsed() < lasting {
        let now = Instant::now();
        while pair.peers[0].send(BULK, message, now) {}
        pair.settle();
    }
    started.elapsed()
}

fn cpu_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).expect("this thread has a usage");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    micros as f64 / 1e6
}

/// Runs every stack in turn, several times over.
pub fn run(quick: bool, only: &str) -> Result<()> {
    let (rounds, lasting) =
        if quick { (2, Duration::from_millis(400)) } else { (7, Duration::from_millis(1_500)) };
    let mut report = Report::new("bulk", quick);
    let mut progress = Progress::new("bulk", rounds * MESSAGE_BYTES.len() * STACKS.len());
    for message_bytes in MESSAGE_BYTES {
        let mut outcomes: Vec<Vec<Outcome>> = STACKS.iter().map(|_| Vec::new()).collect();
        for round in 0..rounds {
            for (stack, outcomes) in
                STACKS.iter().zip(&mut outcomes).filter(|(stack, _)| stack.name.contains(only))
            {
                progress.step(&format!("{} KiB messages, {}", message_bytes / 1_024, stack.name));
                match run_once(stack, message_bytes, lasting, round as u64) {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(error) => report.raw(serde_json::json!({ "failed": error.to_string() })),
                }
            }
        }
        table(&mut report, message_bytes, rounds, &outcomes);
    }
    drop(progress);
    report.write()
}

fn table(report: &mut Report, message_bytes: usize, rounds: usize, outcomes: &[Vec<Outcome>]) {
    let columns = [
        "one thread, both ends",
        "Mbit/s",
        "Mbit/s for a whole core",
        "CPU s per GB",
        "to str0m's default",
        "bytes per datagram",
    ];
    let title = format!("Bulk in memory, messages of {} KiB, reliable and ordered", message_bytes / 1_024);
    let mut table = Table::new(title, columns);
    let column = |outcomes: &[Outcome], figure: fn(&Outcome) -> f64| {
        Spread::of(&outcomes.iter().map(figure).collect::<Vec<_>>())
    };
    let cost = |outcome: &Outcome| outcome.cpu_seconds_per_gigabyte;
    let base = STACKS.iter().position(|stack| stack.name == STR0M.name);
    let base = base.and_then(|base| column(&outcomes[base], cost)).map_or(f64::NAN, |spread| spread.median);
    for (stack, outcomes) in STACKS.iter().zip(outcomes) {
        let speed = column(outcomes, |outcome| outcome.megabits_per_second);
        let cost = column(outcomes, cost);
        let size = column(outcomes, |outcome| outcome.bytes_per_datagram);
        let show =
            |spread: Option<Spread>, digits| spread.map_or("–".to_owned(), |spread| spread.show(digits));
        let ratio = cost.map_or("–".to_owned(), |cost| format!("{:.2}", cost.median / base));
        let core = column(outcomes, |outcome| 8e3 / outcome.cpu_seconds_per_gigabyte);
        table.row([
            stack.name.to_owned(),
            show(speed, 0),
            show(core, 0),
            show(cost, 2),
            ratio,
            show(size, 0),
        ]);
        report.raw(serde_json::json!({
            "stack": stack.name,
            "message_bytes": message_bytes,
            "rounds": outcomes.len(),
            "megabits_per_second": speed,
            "megabits_per_second_for_a_core": core,
            "cpu_seconds_per_gigabyte": cost,
            "payload_bytes_per_datagram": size,
        }));
    }
    table.note(format!(
        "Median (min–max) of {rounds} runs, the stacks in turn; {} KiB send buffer, datagrams of at most {DATAGRAM_BYTES} bytes \
         (rtc and SCTP alone as if DTLS 1.2 were added). AES-GCM throughout: twocan and rtc with ring, str0m with aws-lc-rs. The ratio \
         is that of CPU time per byte; for a whole core: bytes by CPU time, which a busy machine does not change much.",
        SEND_BUFFER_BYTES / 1_024
    ));
    report.table(table);
}
