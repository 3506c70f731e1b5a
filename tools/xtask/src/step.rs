//! One step of a run: a command with its output in a log, a line while it works and a line when it is done.

use std::collections::HashSet;
use std::fs::File;
use std::io::{IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context as _;

use crate::counts::{self, Counts};

/// Lines of a failed step's log that are shown.
const TAIL_LINES: usize = 80;

/// Runs steps one after another and keeps the sum.
pub struct Steps {
    root: PathBuf,
    sum: Counts,
    reasons: Vec<String>,
    /// The steps that prepare: what several parts need is done once.
    prepared: HashSet<String>,
    began: Instant,
}

/// A step that has begun.
pub struct Running {
    name: String,
    log: PathBuf,
    child: Child,
    counted: Counted,
    began: Instant,
}

/// What a step's success is counted as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Counted {
    /// As many tests as its output says; none is a failure.
    ByOutput,
    /// One.
    One,
    /// Not at all: it prepares.
    Not,
}

impl Steps {
    pub fn new(root: &Path) -> Steps {
        Steps {
            root: root.to_owned(),
            sum: Counts::default(),
            reasons: Vec::new(),
            prepared: HashSet::new(),
            began: Instant::now(),
        }
    }

    /// Runs a command line in `folder` (below the root). Words are split at spaces: none of ours holds one.
    pub fn run(&mut self, name: &str, folder: &str, line: &str, counted: Counted) -> anyhow::Result<bool> {
        let mut words = line.split(' ');
        let mut command = Command::new(words.next().expect("split gives at least one word"));
        command.args(words);
        self.command(name, folder, command, counted)
    }

    /// Runs a command in `folder` (below the root).
    pub fn command(
        &mut self,
        name: &str,
        folder: &str,
        command: Command,
        counted: Counted,
    ) -> anyhow::Result<bool> {
        if self.prepared.contains(name) {
            return Ok(true);
        }
        let running = self.start(name, folder, command, counted)?;
        self.finish(running)
    }

    /// Begins a step that others run beside; [`finish`](Self::finish) must follow.
    pub fn start(
        &self,
        name: &str,
        folder: &str,
        mut command: Command,
        counted: Counted,
    ) -> anyhow::Result<Running> {
        let log = self.log(name)?;
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let began = begin(name);
        let child = command
            .current_dir(self.root.join(folder))
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .env("CARGO_TERM_COLOR", "never")
            .env("NO_COLOR", "1")
            // A word to us: the server that a step starts would refuse it.
            .env_remove("TWOCAN_INSTALL")
            .spawn()
            .with_context(|| format!("cannot start {:?}", command.get_program()))?;
        Ok(Running { name: name.to_owned(), log, child, counted, began })
    }

    /// Waits for a step's end.
    pub fn finish(&mut self, mut running: Running) -> anyhow::Result<bool> {
        let ok = running.child.wait()?.success();
        let bytes = std::fs::read(&running.log)?;
        let Running { name, counted, began, .. } = running;
        if ok && counted == Counted::Not {
            self.prepared.insert(name.clone());
        }
        self.end(&name, began, ok, &String::from_utf8_lossy(&bytes), counted)
    }

    /// Runs a check of ours; each problem it finds is a line.
    pub fn check(
        &mut self,
        name: &str,
        check: impl FnOnce(&Path) -> anyhow::Result<Vec<String>>,
    ) -> anyhow::Result<bool> {
        let began = begin(name);
        let problems = check(&self.root)?;
        self.end(name, began, problems.is_empty(), &problems.join("\n"), Counted::One)
    }

    fn end(
        &mut self,
        name: &str,
        began: Instant,
        ok: bool,
        output: &str,
        counted: Counted,
    ) -> anyhow::Result<bool> {
        let mut counts = match counted {
            Counted::ByOutput => counts::read(output),
            Counted::One => Counts { passed: u32::from(ok), ..Counts::default() },
            Counted::Not => Counts::default(),
        };
        // A step that failed without a failed test, or that ran none, is a failure all the same.
        let silent = counted == Counted::ByOutput && counts == Counts::default();
        if (!ok || silent) && counts.failed == 0 {
            counts.failed = 1;
        }
        let ok = counts.failed == 0;
        self.reasons.extend(counts::reasons(output));
        self.sum += counts;
        report(name, began.elapsed(), counts, counted);
        if !ok {
            let lines: Vec<&str> = output.lines().collect();
            for line in &lines[lines.len().saturating_sub(TAIL_LINES)..] {
                eprintln!("        {line}");
            }
            if silent {
                eprintln!("        {name} ran no test");
            }
        }
        Ok(ok)
    }

    fn log(&self, name: &str) -> anyhow::Result<PathBuf> {
        let folder = self.root.join("target/xtask");
        std::fs::create_dir_all(&folder)?;
        Ok(folder.join(format!("{}.log", name.replace([' ', '/', ':', ','], "-"))))
    }

    /// Prints the closing line. True: nothing failed, and, in CI, nothing was skipped.
    pub fn close(mut self) -> bool {
        self.reasons.sort();
        self.reasons.dedup();
        for reason in &self.reasons {
            eprintln!("skipped: {reason}");
        }
        let Counts { passed, failed, skipped } = self.sum;
        let seconds = self.began.elapsed().as_secs();
        eprintln!("{} min {:02} s; logs in target/xtask", seconds / 60, seconds % 60);
        let in_ci = std::env::var_os("CI").is_some();
        if in_ci && skipped > 0 {
            eprintln!("in CI, a skipped test is a failure");
        }
        let _ = writeln!(std::io::stdout(), "{passed} passed, {failed} failed, {skipped} skipped");
        failed == 0 && !(in_ci && skipped > 0)
    }
}

fn begin(name: &str) -> Instant {
    if std::io::stderr().is_terminal() {
        eprint!("  …     {name}\r");
    }
    Instant::now()
}

fn report(name: &str, took: Duration, counts: Counts, counted: Counted) {
    let word = if counts.failed == 0 { "ok    " } else { "FAILED" };
    let mut tests = String::new();
    if counted == Counted::ByOutput {
        tests = format!("{} passed", counts.passed);
        for (count, word) in [(counts.failed, "failed"), (counts.skipped, "skipped")] {
            if count > 0 {
                tests += &format!(", {count} {word}");
            }
        }
    }
    eprintln!("  {word}{name:<44} {:>6.1} s  {tests}", took.as_secs_f64());
}
