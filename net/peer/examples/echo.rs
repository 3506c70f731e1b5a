//! Joins a lobby and sends every message back as it came.
//!
//!     cargo run --example echo -- --join ED84

mod common;

use std::process::ExitCode;

use clap::Parser as _;

#[tokio::main]
async fn main() -> ExitCode {
    common::agent::run(common::Flags::parse(), true).await
}
