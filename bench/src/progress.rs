//! A line on the terminal that says how far a long run has come.

use std::io::{IsTerminal, Write};

/// Counts steps; silent where nobody watches.
pub struct Progress {
    what: &'static str,
    total: usize,
    done: usize,
    shown: bool,
}

impl Progress {
    pub fn new(what: &'static str, total: usize) -> Self {
        Self { what, total, done: 0, shown: std::io::stderr().is_terminal() }
    }

    /// One more step, by name.
    pub fn step(&mut self, name: &str) {
        self.done += 1;
        if self.shown {
            let mut stderr = std::io::stderr();
            let _ = write!(stderr, "\r\x1b[K{} {}/{} {name}", self.what, self.done, self.total);
            let _ = stderr.flush();
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
