//! Fuzz targets: built with coverage by the stable compiler, run over their corpora.

use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::step::{Counted, Steps};

/// How long each target runs where nothing else is said.
pub const SECONDS: u32 = 5;

/// How many targets run at a time.
const CORES: usize = 2;

const FOLDER: &str = "tests/fuzz";

/// Builds all targets and runs each for `seconds`.
pub fn run(steps: &mut Steps, root: &Path, seconds: u32) -> anyhow::Result<()> {
    // The flags are in the folder's own .cargo/config.toml, with a triple that keeps them from build scripts.
    let mut build = Command::new("cargo");
    build.args(["build", "--release", "--locked"]).env_remove("RUSTFLAGS").env("CARGO_TARGET_DIR", "target");
    let triple = host()?;
    build.args(["--target", &triple]);
    if !steps.command("fuzz: build", FOLDER, build, Counted::Not)? {
        return Ok(());
    }
    // A target keeps one core busy.
    for side_by_side in targets(root)?.chunks(CORES) {
        let mut running = Vec::new();
        for target in side_by_side {
            let command = fuzzer(root, &triple, target, seconds)?;
            running.push(steps.start(&format!("fuzz: {target}"), FOLDER, command, Counted::One)?);
        }
        for target in running {
            steps.finish(target)?;
        }
    }
    Ok(())
}

/// One target's command line. What it finds new goes to a folder of its own; the committed corpus is only read.
fn fuzzer(root: &Path, triple: &str, target: &str, seconds: u32) -> anyhow::Result<Command> {
    let folder = root.join(FOLDER);
    let found = format!("target/found/{target}");
    std::fs::create_dir_all(folder.join(&found))?;
    let mut command = Command::new(folder.join(format!("target/{triple}/release/{target}")));
    command.arg(format!("-max_total_time={seconds}"));
    command.args(["-max_len=1024", "-rss_limit_mb=2048", "-timeout=10", "-print_final_stats=1"]);
    command.args([found, format!("corpus/{target}")]);
    Ok(command)
}

/// By their sources: one that is not built, or has no corpus, fails when it is run.
fn targets(root: &Path) -> anyhow::Result<Vec<String>> {
    let folder = root.join(FOLDER).join("fuzz_targets");
    let mut names = Vec::new();
    for entry in std::fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
        if let Some(name) = entry?.file_name().to_string_lossy().strip_suffix(".rs") {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

fn host() -> anyhow::Result<String> {
    let output = Command::new("rustc").arg("-vV").output()?;
    let text = String::from_utf8(output.stdout)?;
    text.lines()
        .find_map(|line| line.strip_prefix("host: "))
        .map(str::to_owned)
        .context("rustc -vV names the host")
}
