//! Chores and checks of the repository: `cargo xtask` lists them. Nothing of the product is here.

mod advisories;
mod counts;
mod fuzz;
mod install;
mod licences;
mod locks;
mod named_tests;
mod step;
mod suite;
mod tidy;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

const USAGE: &str = "\
cargo xtask COMMAND

  check             format, clippy, unit tests, tidy: the inner loop
  test [PART…]      everything, installing what is missing where it may; or only these parts
  tidy              layer order, sizes, header comments, links, licences, lock files, tests that documents name
  web               build the SDK and the page anew into their committed dist/ folders
  lab matrix        every pair of networks in virtual time, into docs/nat.md and docs/nat.svg
  lab matrix --real the same with native peers and browsers in the lab, into docs/nat.md (root, a quarter of an hour)
  lab faults [ARG…] what happens in mid-game, for real, into docs/nat.md (root, an hour; `--runs 2 --faults udp` and the like)
  advisories        what is known of holes in what we build on; exit code 2 where nobody could be asked
  fuzz [SECONDS]    each fuzz target for that long (6), over its corpus
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let root = root();
    let outcome = match arguments.split_first() {
        Some((command, [])) if command == "advisories" => return ended(advisories::run(&root)),
        Some((command, rest)) => match (command.as_str(), rest) {
            ("check", []) => suite::check(&root),
            ("test", parts) => suite::test(&root, parts),
            ("tidy", []) => suite::only_tidy(&root),
            ("web", []) => suite::web(&root),
            ("lab", [what]) if what == "matrix" => suite::matrix(&root),
            ("lab", [what, how]) if what == "matrix" && how == "--real" => suite::real_matrix(&root),
            ("lab", [what, arguments @ ..]) if what == "faults" => suite::faults(&root, arguments),
            ("fuzz", []) => suite::only_fuzz(&root, fuzz::SECONDS),
            ("fuzz", [seconds]) if seconds.parse::<u32>().is_ok() => {
                suite::only_fuzz(&root, seconds.parse().expect("just tried"))
            }
            _ => usage(),
        },
        None => usage(),
    };
    ended(outcome.map(|ok| if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE }))
}

fn ended(outcome: anyhow::Result<ExitCode>) -> ExitCode {
    outcome.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::FAILURE
    })
}

fn usage() -> anyhow::Result<bool> {
    eprint!("{USAGE}");
    Ok(false)
}

/// The root of the checkout.
fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).expect("tools/xtask has two folders above it").to_owned()
}
