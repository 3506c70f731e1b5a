//! A real internet on one machine.
//!
#![doc = include_str!("../README.md")]

#[cfg(not(target_os = "linux"))]
compile_error!("the lab is made of Linux's network namespaces");

mod device;
mod driver;
mod error;
mod lab;
mod ledger;
mod namespace;
mod pump;
mod sandbox;
mod tool;
mod verdict;
mod way;

pub use driver::{Conditions, drive};
pub use error::Error;
pub use lab::{Host, Lab, Place, SERVER, SERVER_NAME};
pub use ledger::{Drops, Ledger, Traffic};
pub use namespace::is_running;
pub use sandbox::with_privileges;
pub use twocan_sim as sim;
pub use verdict::Verdict;
pub use way::{Ports, Way};
