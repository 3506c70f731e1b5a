//! Measurements of Twocan side by side with other people's crates. Each command prints its tables and writes them,
//! with the raw figures, into `results/`.

mod ice;
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
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    match arguments.command {
        Command::Ice => ice::run(arguments.quick),
    }
}
