//! Pairs without sockets, in one thread.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::Idle;
use super::idle::{CONNECTING, Heap, IDLE, Watch};
use crate::peer::{Addresses, BULK, Peer, Side, Stack};
use crate::veth::end::cpu_seconds;

struct Pair {
    peers: [Box<dyn Peer>; 2],
    sent: bool,
    alive: bool,
}

impl Pair {
    fn new(stack: &Stack, seed: u64) -> Self {
        let now = Instant::now();
        let mut peers =
            [Side::Offerer, Side::Answerer].map(|side| stack.make(side, Addresses::pretend(side), seed, now));
        peers[0].offer(now);
        Self { peers, sent: false, alive: false }
    }

    fn step(&mut self) {
        for from in [0, 1] {
            let now = Instant::now();
            if self.peers[from].deadline().is_some_and(|at| at <= now) {
                self.peers[from].timeout(now);
            }
            while let Some(signal) = self.peers[from].poll_signal() {
                self.peers[1 - from].signal(&signal, now);
            }
            let mut datagrams = Vec::new();
            self.peers[from].transmit(now, &mut |datagram| datagrams.push(datagram.to_vec()));
            for datagram in datagrams {
                self.peers[1 - from].datagram(&datagram, now);
            }
        }
        if !self.sent && self.peers[0].is_open() {
            self.sent = self.peers[0].send(BULK, b"hello", Instant::now());
        }
        let alive = &mut self.alive;
        self.peers[1].receive(&mut |_, _| *alive = true);
    }
}

/// Connects them all, and lets them be.
pub fn run(stack: &Stack, count: usize, heap: Heap) -> Result<Idle> {
    drop(connect(vec![Pair::new(stack, u64::MAX)])?);
    let mut watch = Watch::start(heap, count * 2);
    let mut pairs = connect((0..count as u64).map(|seed| Pair::new(stack, seed)).collect())?;
    watch.connected();
    let (started, cpu) = (Instant::now(), cpu_seconds());
    while started.elapsed() < IDLE {
        pairs.iter_mut().for_each(Pair::step);
        std::thread::sleep(Duration::from_millis(20));
    }
    let idle_cpu = cpu_seconds() - cpu;
    let alive = 2 * pairs.iter().filter(|pair| pair.alive).count();
    Ok(watch.finish(alive, idle_cpu))
}

fn connect(mut pairs: Vec<Pair>) -> Result<Vec<Pair>> {
    let started = Instant::now();
    while !pairs.iter().all(|pair| pair.alive) {
        if started.elapsed() > CONNECTING {
            bail!("not all had connected after {} s", CONNECTING.as_secs());
        }
        pairs.iter_mut().filter(|pair| !pair.alive).for_each(Pair::step);
        std::thread::sleep(Duration::from_micros(500));
    }
    Ok(pairs)
}
