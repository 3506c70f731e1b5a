//! What the compiler does not keep: layer order, file sizes, header comments, links in the documents.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Lines of a file, at most.
const FILE_LINES_MAX: usize = 800;

/// Files that may be longer, each with its reason.
const LONG_FILES: [(&str, &str); 0] = [];

/// Our crates by layer: each may use those that are listed for it, and its tests all that stand above it.
const LAYERS: [(&str, &str, &[&str]); 15] = [
    ("proto/base", "twocan-base", &[]),
    ("proto/stun", "twocan-stun", &[]),
    ("proto/turn", "twocan-turn", &["twocan-base", "twocan-stun"]),
    ("proto/ice", "twocan-ice", &["twocan-stun"]),
    ("proto/rtc", "twocan-rtc", &["twocan-stun", "twocan-turn", "twocan-ice"]),
    ("proto/lobby", "twocan-lobby", &["twocan-base"]),
    ("sim/net", "twocan-sim", &[]),
    ("net/relay", "twocan-relay", &["twocan-base", "twocan-stun", "twocan-turn"]),
    ("net/signaling", "twocan-signaling", &["twocan-base", "twocan-lobby"]),
    ("net/peer", "twocan", &["twocan-stun", "twocan-turn", "twocan-ice", "twocan-rtc", "twocan-lobby"]),
    ("net/check", "twocan-check", &["twocan-stun", "twocan"]),
    (
        "sim/worlds",
        "sim",
        &["twocan-stun", "twocan-turn", "twocan-ice", "twocan-rtc", "twocan-lobby", "twocan-sim"],
    ),
    ("lab", "twocan-lab", &["twocan-sim"]),
    (
        "app",
        "twocan-cli",
        &[
            "twocan-relay",
            "twocan-signaling",
            "twocan-turn",
            "twocan-lobby",
            "twocan-check",
            "twocan-sim",
            "twocan-lab",
        ],
    ),
    ("tools/xtask", "xtask", &[]),
];

/// What brings clocks, sockets, threads, async or the system's randomness: not below `proto/`.
const NOT_IN_PROTO: [&str; 8] =
    ["tokio", "mio", "socket2", "getrandom", "axum", "hyper", "tracing", "quinn-udp"];

/// Layer order, `lints.workspace = true` in each crate, and no impure dependency in `proto/`.
pub fn layers(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    let workspace = manifest(&root.join("Cargo.toml"))?;
    let members = workspace["workspace"]["members"].as_array().context("workspace.members is a list")?;
    for member in members.iter().filter_map(|member| member.as_str()) {
        let Some((_, name, allowed)) = LAYERS.iter().find(|(folder, ..)| *folder == member) else {
            problems.push(format!("{member}: not in the table of layers (tools/xtask/src/tidy.rs)"));
            continue;
        };
        let crate_manifest = manifest(&root.join(member).join("Cargo.toml"))?;
        if crate_manifest.get("lints").and_then(|lints| lints.get("workspace"))
            != Some(&toml::Value::Boolean(true))
        {
            problems.push(format!("{member}/Cargo.toml: lints.workspace = true is missing"));
        }
        for section in ["dependencies", "dev-dependencies", "build-dependencies"] {
            let Some(dependencies) = crate_manifest.get(section).and_then(|table| table.as_table()) else {
                continue;
            };
            for dependency in dependencies.keys() {
                let ours = LAYERS.iter().any(|(_, other, _)| other == dependency);
                let mut above = LAYERS.iter().take_while(|(_, other, _)| other != name);
                let in_tests =
                    section == "dev-dependencies" && above.any(|(_, other, _)| other == dependency);
                if ours && !in_tests && !allowed.contains(&dependency.as_str()) && dependency != name {
                    problems
                        .push(format!("{member}: may not use {dependency}, which does not stand above it"));
                }
                if member.starts_with("proto/")
                    && section == "dependencies"
                    && NOT_IN_PROTO.contains(&dependency.as_str())
                {
                    problems.push(format!("{member}: {dependency} brings in what proto/ does without"));
                }
            }
        }
    }
    problems.extend(shared_clippy_rules(root)?);
    Ok(problems)
}

/// The nearest clippy.toml replaces the outer one: what the outer says must be repeated in the inner.
fn shared_clippy_rules(root: &Path) -> anyhow::Result<Vec<String>> {
    let (outer, inner) = (manifest(&root.join("clippy.toml"))?, manifest(&root.join("proto/clippy.toml"))?);
    let missing = outer.iter().filter(|(key, value)| inner.get(key.as_str()) != Some(value));
    Ok(missing.map(|(key, _)| format!("proto/clippy.toml: {key} differs from clippy.toml")).collect())
}

/// File sizes, and a header comment in each source file.
pub fn files(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in tracked(root)? {
        let name = path.to_string_lossy();
        let Some(comment) = header(&name) else { continue };
        let text = std::fs::read_to_string(root.join(&path)).with_context(|| name.to_string())?;
        let first = text.lines().find(|line| !line.starts_with("#!")).unwrap_or_default();
        if !first.starts_with(comment) {
            problems.push(format!("{name}: does not begin with `{comment}`: what is this file?"));
        }
        let lines = text.lines().count();
        if lines > FILE_LINES_MAX && LONG_FILES.iter().all(|(long, _)| *long != name) {
            problems.push(format!("{name}: {lines} lines, more than {FILE_LINES_MAX}"));
        }
    }
    Ok(problems)
}

/// How a source file of this kind begins; `None`: not one that we write by hand.
fn header(name: &str) -> Option<&'static str> {
    if name.contains("/dist/") || name.contains("/vendor/") || name.starts_with("vendor/") {
        return None;
    }
    match name.rsplit_once('.')?.1 {
        "rs" => Some("//!"),
        "ts" | "mjs" | "js" => Some("//"),
        "css" => Some("/*"),
        "py" | "sh" => Some("#"),
        _ => None,
    }
}

/// Relative links in Markdown lead somewhere.
pub fn links(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in tracked(root)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "md")) {
        let text = std::fs::read_to_string(root.join(&path))?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = file.is_empty() || file.contains("://") || file.starts_with("mailto:");
            if !elsewhere && !root.join(folder).join(file).exists() {
                problems.push(format!("{}: the link to {target} leads nowhere", path.display()));
            }
        }
    }
    Ok(problems)
}

/// The files that git tracks and that are there.
pub fn tracked(root: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let output = Command::new("git").args(["ls-files", "-z"]).current_dir(root).output()?;
    ensure!(output.status.success(), "git ls-files failed");
    let text = String::from_utf8(output.stdout)?;
    Ok(text.split_terminator('\0').map(PathBuf::from).filter(|path| root.join(path).exists()).collect())
}

fn manifest(path: &Path) -> anyhow::Result<toml::Table> {
    let text = std::fs::read_to_string(path).with_context(|| path.display().to_string())?;
    text.parse().with_context(|| path.display().to_string())
}
