//! Many idle connections of one stack, under an allocator that counts: `bench-heap STACK CONNECTIONS` prints JSON.

use std::alloc::System;

use anyhow::Context;
use stats_alloc::{INSTRUMENTED_SYSTEM, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

fn in_use() -> usize {
    let stats = ALLOCATOR.stats();
    stats.bytes_allocated.saturating_sub(stats.bytes_deallocated)
}

#[expect(clippy::print_stdout, reason = "this is what it is for")]
fn main() -> anyhow::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let stack = arguments.next().context("which stack?")?;
    let count = arguments.next().context("how many connections?")?.parse()?;
    println!("{}", serde_json::to_string(&bench::memory::idle::run(&stack, count, in_use)?)?);
    Ok(())
}
