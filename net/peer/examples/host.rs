//! Opens a lobby, or enters one, and says what happens in it: for people, or with --json for programs.
//!
//!     cargo run --example host -- --create --json --script

mod common;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    common::agent::run(common::Flags::parse(), false).await
}
