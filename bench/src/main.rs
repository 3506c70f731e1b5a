//! Measurements of Twocan side by side with other people's crates. Each command prints its tables and writes them,
//! with the raw figures, into `results/`.

use bench::{bulk, connect, ice, memory, veth};
use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "bench", about = "Twocan side by side with str0m, is, rtc, webrtc and rice")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Fewer seeds and shorter runs, for a first look.
    #[arg(long, global = true)]
    quick: bool,
    /// Of `bulk` and `veth` only the stacks whose name has this in it.
    #[arg(long, global = true, default_value = "")]
    only: String,
}

#[derive(Subcommand)]
enum Command {
    /// How long ICE takes until each side can use a pair, in virtual time.
    Ice,
    /// From the offer to the first message on a lossy path, in virtual time.
    Connect,
    /// One run of `connect`, datagram by datagram.
    Trace {
        /// A stack as the table names it.
        stack: String,
        #[arg(long, default_value_t = 0)]
        loss: u64,
        #[arg(long, default_value_t = 0)]
        seed: u64,
    },
    /// Bulk between two connections in one thread.
    Bulk,
    /// Bulk and a round trip under load between two processes in network namespaces (needs root).
    Veth,
    /// Memory of idle connections, and a thousand of them in one process.
    Memory,
    /// One of the two processes of `veth`.
    #[command(hide = true)]
    VethEnd(veth::end::Arguments),
}

fn main() -> anyhow::Result<()> {
    let Arguments { command, quick, only } = Arguments::parse();
    match command {
        Command::Ice => ice::run(quick),
        Command::Connect => connect::run(quick),
        Command::Trace { stack, loss, seed } => connect::trace_one(&stack, loss, seed),
        Command::Bulk => bulk::run(quick, &only),
        Command::Veth => veth::run(quick, &only),
        Command::Memory => memory::run(quick),
        Command::VethEnd(arguments) => veth::end::run(&arguments),
    }
}
