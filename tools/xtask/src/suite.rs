//! The suites: which steps make up `check` and `test`, in which order.

use std::path::Path;
use std::process::Command;

use crate::step::{Counted, Steps};
use crate::{fuzz, install, licences, locks, named_tests, tidy};

const CLIPPY: &str = "cargo clippy --workspace --all-targets --locked -- -D warnings";

/// The server and the worlds at once: what both use is built once.
const RELEASE: &str = "cargo build --release --locked -p twocan-cli -p sim";

/// Peers and probe, out of what `cargo test --workspace` builds: other packages named, other features, another build of all below.
const EXAMPLES: &str = "cargo build --workspace --examples --locked";

/// The native peer whose pauses are measured.
const PEER: &str = "cargo build --release --locked -p twocan --example host";

/// Virtual worlds, each as its seed draws it; a hundred thousand by hand.
const WORLDS: &str = "target/release/sim --worlds 1000";

/// The inner loop: about a minute once built.
pub fn check(root: &Path) -> anyhow::Result<bool> {
    let mut steps = Steps::new(root);
    house(&mut steps)?;
    steps.run("unit tests", ".", "cargo test --workspace --lib --bins --locked", Counted::ByOutput)?;
    Ok(steps.close())
}

/// The parts of `test`, in the order in which they run.
type Part = (&'static str, fn(&mut Steps, &Path) -> anyhow::Result<()>);
const PARTS: [Part; 9] = [
    ("house", |steps, _| house(steps)),
    ("rust", |steps, _| rust(steps)),
    ("web", |steps, _| web_part(steps)),
    ("fuzz", |steps, root| fuzz::run(steps, root, fuzz::SECONDS)),
    ("interop", interop),
    ("native", native),
    ("browsers", |steps, _| browsers(steps)),
    ("lab", lab),
    ("attack", |steps, _| attack(steps)),
];

/// Peers on other people's stacks: a workspace of their own.
const PEERS: &str = "tests/interop/peers";

/// Everything, or the parts named.
pub fn test(root: &Path, wanted: &[String]) -> anyhow::Result<bool> {
    if let Some(unknown) = wanted.iter().find(|name| PARTS.iter().all(|(part, _)| part != name)) {
        let names: Vec<&str> = PARTS.iter().map(|(name, _)| *name).collect();
        anyhow::bail!("there is no part `{unknown}`; there are {}", names.join(", "));
    }
    let mut steps = Steps::new(root);
    let missing = install::missing();
    if !missing.is_empty() {
        match install::command(&missing) {
            Ok(command) => {
                steps.command("install what is missing", ".", command, Counted::Not)?;
            }
            Err(advice) => eprintln!("  some tests will be skipped; for all of them, {advice}"),
        }
    }
    for (name, part) in PARTS {
        if wanted.is_empty() || wanted.iter().any(|each| each == name) {
            eprintln!("{name}");
            part(&mut steps, root)?;
        }
    }
    Ok(steps.close())
}

/// `cargo xtask tidy`.
pub fn only_tidy(root: &Path) -> anyhow::Result<bool> {
    let mut steps = Steps::new(root);
    tidy_steps(&mut steps)?;
    Ok(steps.close())
}

/// `cargo xtask fuzz`.
pub fn only_fuzz(root: &Path, seconds: u32) -> anyhow::Result<bool> {
    let mut steps = Steps::new(root);
    fuzz::run(&mut steps, root, seconds)?;
    Ok(steps.close())
}

/// `cargo xtask lab matrix`.
pub fn matrix(root: &Path) -> anyhow::Result<bool> {
    let mut steps = Steps::new(root);
    steps.run(
        "every pair of networks",
        ".",
        "cargo run --release --locked -p sim -- matrix",
        Counted::One,
    )?;
    Ok(steps.close())
}

/// `cargo xtask lab matrix --real`.
pub fn real_matrix(root: &Path) -> anyhow::Result<bool> {
    let mut steps = Steps::new(root);
    if prepare(&mut steps)? && examples(&mut steps)? {
        steps.run("every pair of networks, for real", "tests", "node lab/matrix.mjs", Counted::One)?;
    }
    Ok(steps.close())
}

/// `cargo xtask lab faults`.
pub fn faults(root: &Path, arguments: &[String]) -> anyhow::Result<bool> {
    let mut steps = Steps::new(root);
    if prepare(&mut steps)? && steps.run("build the native peer", ".", PEER, Counted::Not)? {
        let mut command = Command::new("node");
        command
            .arg("lab/faults.mjs")
            .args(arguments)
            .env("NATIVE_EXAMPLES", root.join("target/release/examples"));
        steps.command("what happens in mid-game", "tests", command, Counted::One)?;
    }
    Ok(steps.close())
}

/// `cargo xtask web`.
pub fn web(root: &Path) -> anyhow::Result<bool> {
    let mut steps = Steps::new(root);
    build_web(&mut steps)?;
    Ok(steps.close())
}

fn house(steps: &mut Steps) -> anyhow::Result<()> {
    steps.run("format", ".", "cargo fmt --all --check", Counted::One)?;
    steps.run("clippy", ".", CLIPPY, Counted::One)?;
    tidy_steps(steps)
}

fn tidy_steps(steps: &mut Steps) -> anyhow::Result<()> {
    steps.check("tidy: layers", tidy::layers)?;
    steps.check("tidy: files", tidy::files)?;
    steps.check("tidy: links", tidy::links)?;
    steps.check("tidy: licences", licences::problems)?;
    steps.check("tidy: locks", locks::problems)?;
    steps.check("tidy: tests named in documents", named_tests::problems)?;
    Ok(())
}

fn rust(steps: &mut Steps) -> anyhow::Result<()> {
    steps.run("cargo test", ".", "cargo test --workspace --locked --no-fail-fast", Counted::ByOutput)?;
    let mut docs = Command::new("cargo");
    docs.args(["doc", "--workspace", "--no-deps", "--locked"]).env("RUSTDOCFLAGS", "-D warnings");
    steps.command("cargo doc", ".", docs, Counted::One)?;
    if release(steps)? {
        steps.run("a thousand worlds", ".", WORLDS, Counted::One)?;
    }
    Ok(())
}

fn build_web(steps: &mut Steps) -> anyhow::Result<bool> {
    Ok(steps.run("npm ci (web)", "web", "npm ci --no-audit --no-fund", Counted::Not)?
        && steps.run("build the SDK", "web", "npm run build -w sdk", Counted::One)?
        && steps.run("build the page", "web", "npm run build -w demo", Counted::One)?)
}

fn web_part(steps: &mut Steps) -> anyhow::Result<()> {
    if !build_web(steps)? {
        return Ok(());
    }
    steps.run(
        "dist/ is not stale",
        ".",
        "git diff --exit-code --stat -- web/sdk/dist web/demo/dist",
        Counted::One,
    )?;
    for package in ["sdk", "demo"] {
        steps.run(
            &format!("types: {package}"),
            "web",
            &format!("npm run check -w {package}"),
            Counted::One,
        )?;
        steps.run(
            &format!("vitest: {package}"),
            "web",
            &format!("npm test -w {package}"),
            Counted::ByOutput,
        )?;
    }
    steps.run("size of the SDK", "web", "npm run size -w sdk", Counted::One)?;
    Ok(())
}

fn release(steps: &mut Steps) -> anyhow::Result<bool> {
    steps.run("cargo build --release", ".", RELEASE, Counted::Not)
}

fn examples(steps: &mut Steps) -> anyhow::Result<bool> {
    steps.run("build peers and probe", ".", EXAMPLES, Counted::Not)
}

/// The release binary and what drives it.
fn prepare(steps: &mut Steps) -> anyhow::Result<bool> {
    Ok(release(steps)?
        && steps.run("npm ci (tests)", "tests", "npm ci --no-audit --no-fund", Counted::Not)?)
}

/// Python programs that tests drive, in an environment of their own; pip takes no file that has another hash than it should.
fn python(steps: &mut Steps, root: &Path) -> anyhow::Result<bool> {
    let venv = root.join("target/xtask/venv");
    let pip = venv.join("bin/pip");
    let mut make = Command::new("python3");
    make.args(["-m", "venv"]).arg(&venv);
    let mut fill = Command::new(&pip);
    fill.args(["install", "--quiet", "--require-hashes", "--requirement", "tests/interop/requirements.txt"]);
    Ok((pip.exists() || steps.command("python environment", ".", make, Counted::Not)?)
        && steps.command("python packages", ".", fill, Counted::Not)?)
}

fn interop(steps: &mut Steps, root: &Path) -> anyhow::Result<()> {
    if prepare(steps)? && python(steps, root)? {
        // An attack that waits for a minute and measures no time waits beside them.
        node(steps, "interop", "interop/*.test.mjs attack/waiting.test.mjs", 3)?;
    }
    Ok(())
}

/// The native peer against browsers and against other people's peers.
fn native(steps: &mut Steps, root: &Path) -> anyhow::Result<()> {
    let ready = prepare(steps)?
        && python(steps, root)?
        && examples(steps)?
        && steps.run("build other people's peers", PEERS, "cargo build --locked", Counted::Not)?
        && steps.run("format: peers", PEERS, "cargo fmt --check", Counted::One)?
        && steps.run("peers: the lines they speak", PEERS, "cargo test --locked --lib", Counted::ByOutput)?;
    if ready {
        // What survives what waits most of its time.
        node(steps, "native", "browsers/survival.test.mjs native/*.test.mjs", 2)?;
    }
    Ok(())
}

fn browsers(steps: &mut Steps) -> anyhow::Result<()> {
    if prepare(steps)? {
        node(steps, "browsers", "$(ls browsers/*.test.mjs | grep -v survival)", 1)?;
    }
    Ok(())
}

/// Real programs in the model's internet, and the model's boxes against the kernel's.
fn lab(steps: &mut Steps, root: &Path) -> anyhow::Result<()> {
    if prepare(steps)? && python(steps, root)? && examples(steps)? {
        node(steps, "lab", "lab/*.test.mjs", 2)?;
    }
    Ok(())
}

/// Strangers who wish the release binary ill, and honest company that measures what it feels: alone on the machine as far as may be.
fn attack(steps: &mut Steps) -> anyhow::Result<()> {
    if prepare(steps)? {
        node(steps, "attack", "$(ls attack/*.test.mjs | grep -v waiting)", 1)?;
    }
    Ok(())
}

/// Runs these files of node tests below `tests`, as the shell reads their names, so many at a time: two where they wait most of the
/// time, one where browsers or attacks need both of the machine's cores.
fn node(steps: &mut Steps, name: &str, files: &str, at_once: usize) -> anyhow::Result<bool> {
    let mut command = Command::new("sh");
    let line = format!("exec node --test --test-concurrency={at_once} --test-reporter=spec {files}");
    command.args(["-c", &line]);
    steps.command(&format!("tests/{name}"), "tests", command, Counted::ByOutput)
}
