//! What a measurement leaves behind: a table on the terminal, and the same as Markdown and JSON in `results/`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::Serialize;
use serde_json::{Value, json};

/// A figure with its spread.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Spread {
    pub median: f64,
    pub min: f64,
    pub max: f64,
}

impl Spread {
    /// Of at least one figure.
    pub fn of(figures: &[f64]) -> Option<Self> {
        let sorted = sorted(figures);
        Some(Self { median: percentile(&sorted, 50.0)?, min: *sorted.first()?, max: *sorted.last()? })
    }

    /// `median (min–max)`, without the brackets where all are the same to that many digits.
    pub fn show(&self, digits: usize) -> String {
        let [median, min, max] = [self.median, self.min, self.max].map(|figure| format!("{figure:.digits$}"));
        if min == max { median } else { format!("{median} ({min}–{max})") }
    }
}

/// The figures in ascending order.
pub fn sorted(figures: &[f64]) -> Vec<f64> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted
}

/// The nearest rank of sorted figures; `None` of none.
pub fn percentile(sorted: &[f64], percent: f64) -> Option<f64> {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil().max(1.0) as usize;
    sorted.get(rank.min(sorted.len()).checked_sub(1)?).copied()
}

/// Rows under columns; the first column names the row.
#[derive(Default)]
pub struct Table {
    pub title: String,
    pub columns: Vec<String>,
    pub rows: Vec<Vec<String>>,
    /// Sentences below the table.
    pub notes: Vec<String>,
}

impl Table {
    pub fn new<S: Into<String>>(title: impl Into<String>, columns: impl IntoIterator<Item = S>) -> Self {
        let columns = columns.into_iter().map(Into::into).collect();
        Self { title: title.into(), columns, ..Self::default() }
    }

    pub fn row<S: Into<String>>(&mut self, cells: impl IntoIterator<Item = S>) {
        self.rows.push(cells.into_iter().map(Into::into).collect());
    }

    pub fn note(&mut self, sentence: impl Into<String>) {
        self.notes.push(sentence.into());
    }

    fn widths(&self) -> Vec<usize> {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column)).chain(self.columns.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        (0..self.columns.len()).map(width).collect()
    }

    fn line(cells: &[String], widths: &[usize]) -> String {
        let mut line = String::new();
        for (index, (cell, width)) in cells.iter().zip(widths).enumerate() {
            let padding = " ".repeat(width - cell.chars().count());
            let _ =
                if index == 0 { write!(line, "{cell}{padding}") } else { write!(line, "  {padding}{cell}") };
        }
        line
    }

    fn terminal(&self) -> String {
        let widths = self.widths();
        let rule = "─".repeat(widths.iter().sum::<usize>() + 2 * widths.len().saturating_sub(1));
        let mut text = format!("\n{}\n{rule}\n{}\n{rule}\n", self.title, Self::line(&self.columns, &widths));
        for row in &self.rows {
            let _ = writeln!(text, "{}", Self::line(row, &widths));
        }
        let _ = writeln!(text, "{rule}");
        for note in &self.notes {
            let _ = writeln!(text, "{note}");
        }
        text
    }

    fn markdown(&self) -> String {
        let mut text = format!("\n### {}\n\n| {} |\n", self.title, self.columns.join(" | "));
        let rule: String = (0..self.columns.len()).map(|n| if n == 0 { "|---|" } else { "---:|" }).collect();
        let _ = writeln!(text, "{rule}");
        for row in &self.rows {
            let _ = writeln!(text, "| {} |", row.join(" | "));
        }
        for note in &self.notes {
            let _ = writeln!(text, "\n{note}");
        }
        text
    }
}

/// One command's outcome.
pub struct Report {
    command: &'static str,
    quick: bool,
    started: Instant,
    tables: Vec<Table>,
    raw: Vec<Value>,
}

impl Report {
    pub fn new(command: &'static str, quick: bool) -> Self {
        Self { command, quick, started: Instant::now(), tables: Vec::new(), raw: Vec::new() }
    }

    /// Prints the table and keeps it.
    pub fn table(&mut self, table: Table) {
        // A closed pipe is no error.
        let _ = std::io::stdout().write_all(table.terminal().as_bytes());
        self.tables.push(table);
    }

    /// Keeps a measured figure for the JSON.
    pub fn raw(&mut self, figure: Value) {
        self.raw.push(figure);
    }

    /// Writes `results/<command>.json` and `results/<command>.md`; a quick run writes beside them.
    pub fn write(self) -> Result<()> {
        let machine = Machine::read();
        let argument = if self.quick { " -- --quick" } else { "" };
        let command =
            format!("cargo run --release -p bench -- {}{}", self.command, argument.replace(" -- ", " "));
        let seconds = self.started.elapsed().as_secs_f64().round();
        let mut markdown = format!(
            "`{command}` ({seconds} s; {} cores, {} GiB, {})\n",
            machine.cores, machine.memory_gib, machine.rustc
        );
        for table in &self.tables {
            markdown.push_str(&table.markdown());
        }
        let whole = json!({
            "command": command,
            "seconds": seconds,
            "machine": machine,
            "figures": self.raw,
        });
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("results");
        std::fs::create_dir_all(&folder).context("cannot make results/")?;
        let stem = if self.quick { format!("{}.quick", self.command) } else { self.command.to_owned() };
        std::fs::write(folder.join(format!("{stem}.md")), markdown)?;
        std::fs::write(folder.join(format!("{stem}.json")), serde_json::to_string_pretty(&whole)?)?;
        Ok(())
    }
}

/// What it ran on.
#[derive(Serialize)]
struct Machine {
    cores: usize,
    memory_gib: u64,
    kernel: String,
    rustc: String,
}

impl Machine {
    fn read() -> Self {
        let memory_kib = std::fs::read_to_string("/proc/meminfo")
            .ok()
            .and_then(|text| text.lines().next()?.split_whitespace().nth(1)?.parse::<u64>().ok());
        let rustc = std::process::Command::new("rustc").arg("--version").output().ok();
        let rustc = rustc.and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
        let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        Self {
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_gib: (memory_kib.unwrap_or(0) + 1024 * 512) / (1024 * 1024),
            kernel: kernel.split('-').next().unwrap_or_default().trim().to_owned(),
            rustc: rustc.split_whitespace().take(2).collect::<Vec<_>>().join(" "),
        }
    }
}
