//! Measurements of Twocan side by side with other people's crates. Each command prints its tables and writes them,
//! with the raw figures, into `results/`.

mod bulk;
mod connect;
mod ice;
mod peer;
mod progress;
mod report;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "bench", about = "Twocan side by side with str0m, is, rtc, webrtc and rice")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Fewer seeds and shorter runs, for a first look.
    #[arg(long, global = true)]
    quick: bool,
}

#[derive(Subcommand)]
enum Command {
    /// How long ICE takes until each side can use a pair, in virtual time.
    Ice,
    /// From the offer to the first message on a lossy path, in virtual time.
    Connect,
    /// Bulk between two connections in one thread.
    Bulk,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Ice => ice::run(arguments.quick),
        Command::Connect => connect::run(arguments.quick),
        Command::Bulk => bulk::run(arguments.quick),
    }
}
