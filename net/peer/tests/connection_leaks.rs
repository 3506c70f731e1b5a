//! What is left of connections that are over: nothing. A program of its own, so that nobody else opens descriptors meanwhile.
//!
//! The same with 10,000: `cargo run --release -p twocan --example many churn 10000`.

#![allow(clippy::unwrap_used, reason = "a test may fail anywhere")]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use twocan::connection::{Addresses, ChannelInit, Connection, ConnectionConfig, ConnectionEvent, SendError};

const PATIENCE: Duration = Duration::from_secs(30);

fn connection(polite: bool) -> Connection {
    let addresses = Addresses::Only(vec![Ipv4Addr::LOCALHOST.into()]);
    Connection::new(ConnectionConfig { polite, addresses, ..ConnectionConfig::default() }).unwrap()
}

/// Connects two, and ends them in one of several ways.
async fn live_and_die(number: usize) {
    let (mut ada, mut bob) = (connection(false), connection(true));
    let channel = ada.open_channel(ChannelInit::new("data"));
    channel.send("hello").await.unwrap();
    ada.negotiate();
    let hello = async {
        loop {
            tokio::select! {
                Some(event) = ada.next() => if let ConnectionEvent::Signal(signal) = event {
                    bob.signal(signal);
                },
                Some(event) = bob.next() => match event {
                    ConnectionEvent::Signal(signal) => ada.signal(signal),
                    ConnectionEvent::Message { .. } => return,
                    _ => {}
                },
            }
        }
    };
    tokio::time::timeout(PATIENCE, hello).await.expect("they connect");
    match number % 4 {
        0 => {
            tokio::join!(ada.close(), bob.close());
        }
        1 => drop((ada, bob)),
        2 => {
            ada.close().await;
            while bob.next().await.is_some() {}
        }
        _ => {
            drop(bob);
            while ada.next().await.is_some() {}
        }
    }
    assert_ne!(channel.send("too late").await, Err(SendError::Full));
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

fn resident_kib() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.split_ascii_whitespace().next().unwrap().parse().unwrap()
}

async fn live_and_die_times(count: usize) {
    for batch in 0..count / 8 {
        let all = (0..8).map(|number| tokio::spawn(live_and_die(batch + number)));
        for each in all.collect::<Vec<_>>() {
            each.await.unwrap();
        }
    }
    // Those that were dropped still say goodbye.
    let tasks = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let begun = Instant::now();
    while tasks() > 0 {
        assert!(begun.elapsed() < PATIENCE, "{} tasks are left", tasks());
        tokio::task::yield_now().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_connections_leave_no_task_no_descriptor_and_no_memory() {
    live_and_die_times(80).await;
    let (descriptors_before, resident_before) = (descriptors(), resident_kib());
    live_and_die_times(200).await;
    assert_eq!(descriptors(), descriptors_before);
    let more = resident_kib().saturating_sub(resident_before);
    // One connection takes tens of KiB: a tenth of them would be seen.
    assert!(more < 2_000, "{more} KiB more than before");
}
