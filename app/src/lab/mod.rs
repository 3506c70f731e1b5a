//! `twocan lab`: real programs behind NATs of any kind, on this machine. What they are told and shown; how it works is in
//! the crate `twocan-lab`.

mod children;
mod kinds;
mod picture;
mod run;
mod server;
mod signals;
mod up;

use std::process::ExitCode;

use twocan_lab::{Error, Ports};

/// What to do with a lab.
#[derive(Debug, clap::Subcommand)]
pub enum Lab {
    /// Run a command twice, each behind a network of the kind named, with a server and a relay in the middle
    #[command(after_help = run::EXAMPLES)]
    Run(run::Run),
    /// List the kinds of networks there are
    Kinds,
    /// For programs: an internet that is built and asked by lines of JSON (see lab/README.md)
    Up {
        /// What decides on all that is random
        #[arg(long, value_name = "N", default_value_t = 0)]
        seed: u64,
    },
}

/// Does it.
pub fn run(command: Lab) -> anyhow::Result<ExitCode> {
    if matches!(command, Lab::Kinds) {
        kinds::print()?;
        return Ok(ExitCode::SUCCESS);
    }
    // Who is not root goes on in a user namespace, from the beginning.
    twocan_lab::with_privileges().map_err(explain)?;
    match command {
        Lab::Kinds => Ok(ExitCode::SUCCESS),
        Lab::Run(run) => run::run(&run),
        Lab::Up { seed } => {
            up::run(seed)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn start(seed: u64) -> anyhow::Result<twocan_lab::Lab> {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_be_bytes());
    twocan_lab::Lab::start(bytes, Ports::default()).map_err(explain)
}

/// The error as somebody at a terminal needs it.
fn explain(error: Error) -> anyhow::Error {
    match &error {
        Error::NotPermitted => anyhow::anyhow!(
            "the lab makes network namespaces: run it as root, or where user namespaces are allowed"
        ),
        Error::NoTun(_) => anyhow::anyhow!(
            "{error}; the lab needs TUN devices (`modprobe tun`, or a container with --device /dev/net/tun)"
        ),
        Error::Tool { tool: "ip", .. } => anyhow::anyhow!("{error}; the lab needs iproute2"),
        _ => error.into(),
    }
}
