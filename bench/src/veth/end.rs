//! One end: what it sends, what it counts, and how it talks to the process that started it.

use std::io::{BufRead, Write};
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

use super::{ANSWERER, OFFERER, Window, ours, sansio, webrtc};
use crate::peer::{RTC_TUNED, STR0M_TUNED, Side, TWOCAN};

/// Before the window opens.
const WARMING_UP: Duration = Duration::from_secs(1);
pub const BULK_BYTES: usize = 16 * 1_024;
pub const PING_BYTES: usize = 64;
pub const PING_INTERVAL: Duration = Duration::from_millis(20);

#[derive(clap::Args)]
pub struct Arguments {
    #[arg(long)]
    stack: String,
    #[arg(long)]
    side: String,
    #[arg(long)]
    lasting_ms: u64,
}

/// Where this end is.
#[derive(Clone, Copy)]
pub struct Place {
    pub side: Side,
    pub local: Ipv4Addr,
    pub remote: Ipv4Addr,
}

/// Counts what passes, and opens the window when bulk begins.
pub struct Meter {
    lasting: Duration,
    begun: OnceLock<Instant>,
    received: AtomicU64,
    rtts_ms: Mutex<Vec<f64>>,
}

impl Meter {
    /// The first bulk message was sent, or came.
    pub fn begin(self: &Arc<Self>) {
        let mut first = false;
        self.begun.get_or_init(|| {
            first = true;
            Instant::now()
        });
        if first {
            let meter = Arc::clone(self);
            std::thread::spawn(move || meter.watch());
        }
    }

    pub fn bulk(self: &Arc<Self>, bytes: usize) {
        self.received.fetch_add(bytes as u64, Ordering::Relaxed);
        self.begin();
    }

    /// A ping of ours came back.
    pub fn pong(&self, message: &[u8]) {
        let sent = message.first_chunk().map_or(0, |nanos| u64::from_le_bytes(*nanos));
        let now = self.clock();
        self.rtts_ms.lock().expect("no thread panicked").push((now.saturating_sub(sent)) as f64 / 1e6);
    }

    /// A ping that knows when it was sent.
    pub fn ping(&self) -> [u8; PING_BYTES] {
        let mut message = [0; PING_BYTES];
        message[..8].copy_from_slice(&self.clock().to_le_bytes());
        message
    }

    fn clock(&self) -> u64 {
        self.begun.get().map_or(0, |begun| begun.elapsed().as_nanos() as u64)
    }

    fn watch(&self) {
        std::thread::sleep(WARMING_UP);
        self.rtts_ms.lock().expect("no thread panicked").clear();
        let (opened, cpu, received) = (Instant::now(), cpu_seconds(), self.received.load(Ordering::Relaxed));
        std::thread::sleep(self.lasting);
        let window = Window {
            seconds: opened.elapsed().as_secs_f64(),
            cpu_seconds: cpu_seconds() - cpu,
            received_bytes: self.received.load(Ordering::Relaxed) - received,
            rtts_ms: self.rtts_ms.lock().expect("no thread panicked").clone(),
        };
        say("window", &serde_json::to_string(&window).expect("plain numbers"));
    }
}

/// User and system time of this process.
pub fn cpu_seconds() -> f64 {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("this process has a usage");
    (usage.user_time().num_microseconds() + usage.system_time().num_microseconds()) as f64 / 1e6
}

fn say(word: &str, text: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{word} {text}").and_then(|()| stdout.flush());
}

/// Brings a signal on its way.
pub fn signal(text: &str) {
    say("signal", &serde_json::to_string(text).expect("plain text"));
}

/// Calls `each` with every signal that comes, on a thread of its own. When the other end of the pipe is gone, so are we.
pub fn on_signal(mut each: impl FnMut(String) + Send + 'static) {
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines().map_while(Result::ok) {
            if let Ok(signal) = serde_json::from_str(&line) {
                each(signal);
            }
        }
        std::process::exit(0);
    });
}

/// Runs until it is ended.
pub fn run(arguments: &Arguments) -> Result<()> {
    let [offerer, answerer] = [OFFERER, ANSWERER].map(|address| address.parse().expect("an address"));
    let place = match arguments.side.as_str() {
        "offerer" => Place { side: Side::Offerer, local: offerer, remote: answerer },
        _ => Place { side: Side::Answerer, local: answerer, remote: offerer },
    };
    let meter = Arc::new(Meter {
        lasting: Duration::from_millis(arguments.lasting_ms),
        begun: OnceLock::new(),
        received: AtomicU64::new(0),
        rtts_ms: Mutex::new(Vec::new()),
    });
    match arguments.stack.as_str() {
        "twocan" => ours::run(place, meter),
        "twocan-loop" => sansio::run(&TWOCAN, place, &meter),
        "webrtc" => webrtc::run(place, meter, 0),
        "webrtc-reactor" => webrtc::run(place, meter, 1),
        "str0m" => sansio::run(&STR0M_TUNED, place, &meter),
        "rtc-loop" => sansio::run(&RTC_TUNED, place, &meter),
        other => bail!("no stack is called {other}"),
    }
}
