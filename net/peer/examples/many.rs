//! Many connections in one process, on loopback: what each one takes while it is idle, and what is left of them.
//!
//! ```text
//! many idle 1000       1,000 connected pairs at the same time
//! many churn 10000     10,000 pairs one after another, eight at a time: connect, exchange a message, close
//! ```

#![allow(clippy::print_stdout, reason = "a program that prints figures")]

use std::error::Error;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use tokio::task::JoinSet;
use twocan::connection::{Addresses, ChannelInit, Connection, ConnectionConfig, ConnectionEvent};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

/// Pairs that are made at the same time.
const AT_ONCE: usize = 8;

#[tokio::main]
async fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let (is_churn, count) = match &words[..] {
        [verb, count] if verb == "idle" || verb == "churn" => (verb == "churn", count.parse::<usize>()?),
        _ => return Err("usage: many idle COUNT | many churn COUNT".into()),
    };
    // What the first one brings along (buffers of each thread, the watcher) is not counted.
    for _ in 0..AT_ONCE {
        close(pair().await?).await;
    }
    print("before");
    let begun = Instant::now();
    let (mut making, mut made, mut left, mut done_count) = (JoinSet::new(), Vec::new(), count, 0);
    while left > 0 || !making.is_empty() {
        while left > 0 && making.len() < AT_ONCE {
            left -= 1;
            making.spawn(async move {
                let pair = pair().await?;
                if is_churn {
                    close(pair).await;
                    return Ok(None);
                }
                Ok(Some(pair))
            });
        }
        let done: Result<Option<[Connection; 2]>> =
            making.join_next().await.ok_or("nothing is being made")??;
        made.extend(done?);
        done_count += 1;
        if is_churn && done_count % (count / 10).max(1) == 0 {
            print(&format!("{done_count} done"));
        }
    }
    println!("{count} pairs in {:.1} s", begun.elapsed().as_secs_f64());
    print("after");
    if !is_churn {
        let (before, after) = (memory().0, Duration::from_secs(5));
        let cpu = cpu_ms();
        tokio::time::sleep(after).await;
        println!(
            "idle for {after:?}: {} ms of CPU, {} KiB more",
            cpu_ms() - cpu,
            memory().0.saturating_sub(before)
        );
        for pair in made {
            close(pair).await;
        }
        print("closed");
    }
    Ok(())
}

/// Two connections with an open channel over which a message has gone.
async fn pair() -> Result<[Connection; 2]> {
    let config = |polite| ConnectionConfig {
        polite,
        addresses: Addresses::Only(vec![Ipv4Addr::LOCALHOST.into()]),
        ..ConnectionConfig::default()
    };
    let (mut ada, mut bob) = (Connection::new(config(false))?, Connection::new(config(true))?);
    ada.open_channel(ChannelInit::new("data").negotiated(0)).send("hello").await?;
    bob.open_channel(ChannelInit::new("data").negotiated(0));
    ada.negotiate();
    loop {
        tokio::select! {
            Some(event) = ada.next() => match event {
                ConnectionEvent::Signal(signal) => bob.signal(signal),
                ConnectionEvent::Failed { reason, .. } => return Err(reason.into()),
                _ => {}
            },
            Some(event) = bob.next() => match event {
                ConnectionEvent::Signal(signal) => ada.signal(signal),
                ConnectionEvent::Message { .. } => return Ok([ada, bob]),
                _ => {}
            },
        }
    }
}

async fn close([mut ada, mut bob]: [Connection; 2]) {
    tokio::join!(ada.close(), bob.close());
}

fn print(when: &str) {
    let (resident, threads) = memory();
    let descriptors = std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let tasks = tokio::runtime::Handle::current().metrics().num_alive_tasks();
    println!(
        "{when:>12}: {resident} KiB resident, {descriptors} descriptors, {tasks} tasks, {threads} threads"
    );
}

/// Resident memory (KiB) and threads of this process, where `/proc` tells it.
fn memory() -> (usize, usize) {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default();
        line.split_ascii_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or_default()
    };
    (number("VmRSS:"), number("Threads:"))
}

/// User and system time of this process, milliseconds.
fn cpu_ms() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_ascii_whitespace();
    fields.skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>() * 10
}
