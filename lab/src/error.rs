//! What can go wrong while a lab is built. Once it runs, packets that go nowhere are counted and that is all.

use std::io;

/// Why there is no lab.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Neither root nor somebody who may have a user namespace.
    #[error("needs root, or user namespaces that this system does not let us have")]
    NotPermitted,
    /// The kernel has no TUN devices, or keeps them from us.
    #[error("cannot open /dev/net/tun: {0}")]
    NoTun(io::Error),
    /// A TUN device could not be made.
    #[error("cannot make a TUN device: {0}")]
    Tun(io::Error),
    /// A program of the system could not be started.
    #[error("cannot run `{tool}`: {source}")]
    Tool {
        /// Which.
        tool: &'static str,
        /// What the system says.
        source: io::Error,
    },
    /// A program of the system did not do what we asked for.
    #[error("`{line}` failed: {said}")]
    Refused {
        /// What was run.
        line: String,
        /// The last line of what it said.
        said: String,
    },
    /// A file that a namespace needs could not be written.
    #[error("cannot write {path}: {source}")]
    File {
        /// Which.
        path: std::path::PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The loop that moves packets could not be set up, or is gone.
    #[error("the packet loop: {0}")]
    Loop(io::Error),
    /// The lab is as large as it may be: [`crate::Lab::HOSTS_MAX`].
    #[error("a lab has at most {} hosts", crate::Lab::HOSTS_MAX)]
    TooManyHosts,
}
