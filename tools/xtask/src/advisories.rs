//! What is known of holes in what we build on: asks the databases of RustSec, npm and PyPI, where they can be had. By hand, never
//! in CI: the answer depends on the day, and a machine without a way to the databases gets none.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, ExitCode, Output, Stdio};

use anyhow::Context as _;
use serde_json::Value;

use crate::install;

/// Something has not been asked, and of what has been nothing is known.
const EXIT_NOT_ASKED: u8 = 2;

/// The folders with a Cargo.lock.
const RUST: [&str; 4] = [".", "bench", "tests/fuzz", "tests/interop/peers"];
/// The folders with a package-lock.json.
const NPM: [&str; 2] = ["web", "tests"];
/// The folder with a requirements.txt.
const PYTHON: &str = "tests/interop";

/// A program that knows a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Tool {
    CargoDeny,
    CargoAudit,
    Npm,
    PipAudit,
}

/// What a tool said of one lock file.
#[derive(Debug, PartialEq, Eq)]
enum Answer {
    /// A line each; none: nothing is known.
    Advisories(Vec<String>),
    /// Why there was no answer.
    None(String),
}

/// `cargo xtask advisories`. Exit code 0: all were asked, and nothing is known; 1: something is known; 2: something could not be
/// asked, and nothing is known of the rest.
pub fn run(root: &Path) -> anyhow::Result<ExitCode> {
    let (mut asked, mut known, mut not_asked) = (0, 0, 0);
    for question in questions(install::on_path) {
        let (folders, tool) = match question {
            Ok(question) => question,
            Err(why) => {
                eprintln!("  not asked: {why}");
                not_asked += 1;
                continue;
            }
        };
        for folder in folders {
            let output =
                command(root, folder, tool).output().with_context(|| format!("cannot start {tool:?}"))?;
            let what = format!("{folder} ({})", name(tool));
            match answer(tool, &output) {
                Answer::None(why) => {
                    eprintln!("  not asked: {what}: {why}");
                    not_asked += 1;
                }
                Answer::Advisories(lines) => {
                    asked += 1;
                    known += lines.len();
                    eprintln!("  asked: {what}: {} known", lines.len());
                    lines.iter().for_each(|line| eprintln!("        {line}"));
                }
            }
        }
    }
    let _ = writeln!(
        std::io::stdout(),
        "{asked} lock files asked about, {known} advisories, {not_asked} times no answer"
    );
    Ok(match (known, not_asked) {
        (0, 0) => ExitCode::SUCCESS,
        (0, _) => ExitCode::from(EXIT_NOT_ASKED),
        _ => ExitCode::FAILURE,
    })
}

/// Which tool is asked about which folders; or the one line that says which tool is missing for what.
fn questions(installed: impl Fn(&str) -> bool) -> Vec<Result<(Vec<&'static str>, Tool), String>> {
    let either =
        |tools: &[(&str, Tool)]| tools.iter().find(|(program, _)| installed(program)).map(|(_, tool)| *tool);
    let rust = either(&[("cargo-deny", Tool::CargoDeny), ("cargo-audit", Tool::CargoAudit)]);
    let npm = either(&[("npm", Tool::Npm)]);
    let python = either(&[("pip-audit", Tool::PipAudit)]);
    vec![
        rust.map(|tool| (RUST.to_vec(), tool)).ok_or_else(|| {
            "crates: neither cargo-deny nor cargo-audit is installed (cargo install --locked cargo-deny)"
                .into()
        }),
        npm.map(|tool| (NPM.to_vec(), tool)).ok_or_else(|| "npm packages: npm is not installed".into()),
        python
            .map(|tool| (vec![PYTHON], tool))
            .ok_or_else(|| "Python packages: pip-audit is not installed (pip install pip-audit)".into()),
    ]
}

fn name(tool: Tool) -> &'static str {
    match tool {
        Tool::CargoDeny => "cargo deny",
        Tool::CargoAudit => "cargo audit",
        Tool::Npm => "npm audit",
        Tool::PipAudit => "pip-audit",
    }
}

fn command(root: &Path, folder: &str, tool: Tool) -> Command {
    let (program, words) = match tool {
        Tool::CargoDeny => ("cargo", "deny --format json --locked check --hide-inclusion-graph advisories"),
        Tool::CargoAudit => ("cargo", "audit --json"),
        Tool::Npm => ("npm", "audit --package-lock-only --json"),
        Tool::PipAudit => (
            "pip-audit",
            "--format json --progress-spinner off --disable-pip --require-hashes --requirement requirements.txt",
        ),
    };
    let mut command = Command::new(program);
    command.args(words.split(' ')).current_dir(root.join(folder)).stdin(Stdio::null());
    if tool == Tool::CargoDeny {
        command.arg("--config").arg(root.join("deny.toml"));
    }
    command
}

/// Reads what a tool printed. Exit codes do not tell an advisory from a database out of reach.
fn answer(tool: Tool, output: &Output) -> Answer {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes));
    let found = match tool {
        Tool::CargoDeny => cargo_deny(&stderr),
        Tool::CargoAudit => serde_json::from_str(&stdout).ok().and_then(|report| cargo_audit(&report)),
        Tool::Npm => serde_json::from_str(&stdout).ok().and_then(|report| npm(&report)),
        Tool::PipAudit => match serde_json::from_str(&stdout).ok().and_then(|report| pip_audit(&report)) {
            Some(Ok(lines)) => Some(lines),
            Some(Err(why)) => return Answer::None(why),
            None => None,
        },
    };
    found.map_or_else(|| Answer::None(reason(&stdout, &stderr)), Answer::Advisories)
}

/// A line of JSON each: diagnostics, and a summary where the check has run.
fn cargo_deny(stderr: &str) -> Option<Vec<String>> {
    let lines: Vec<Value> = stderr.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let summary = lines.iter().find(|line| line["type"] == "summary")?;
    let count = summary["fields"]["advisories"]["errors"].as_u64()?;
    let is_error = |line: &&Value| line["type"] == "diagnostic" && line["fields"]["severity"] == "error";
    let text = |line: &Value| {
        let fields = &line["fields"];
        let id = fields["advisory"]["id"].as_str().or(fields["code"].as_str()).unwrap_or("?");
        let package = fields["advisory"]["package"].as_str().unwrap_or_default();
        format!("{id} {package}: {}", fields["message"].as_str().unwrap_or_default())
    };
    let mut texts: Vec<String> = lines.iter().filter(is_error).map(text).collect();
    if texts.is_empty() && count > 0 {
        texts.push(format!("{count} errors: `cargo deny check advisories` tells which"));
    }
    Some(texts)
}

fn cargo_audit(report: &Value) -> Option<Vec<String>> {
    let holes = report["vulnerabilities"]["list"].as_array()?;
    // Unmaintained, unsound, yanked: a list each.
    let warnings = report["warnings"].as_object().into_iter().flat_map(|kinds| kinds.values());
    let warnings = warnings.filter_map(Value::as_array).flatten();
    let word = |value: &Value| value.as_str().unwrap_or("?").to_owned();
    let text = |each: &Value| {
        let (package, advisory) = (&each["package"], &each["advisory"]);
        format!(
            "{} {}: {} {}",
            word(&package["name"]),
            word(&package["version"]),
            advisory["id"].as_str().or(each["kind"].as_str()).unwrap_or("?"),
            advisory["title"].as_str().unwrap_or_default()
        )
    };
    Some(holes.iter().chain(warnings).map(text).collect())
}

fn npm(report: &Value) -> Option<Vec<String>> {
    report.get("auditReportVersion")?;
    let packages = report["vulnerabilities"].as_object()?;
    let text =
        |(name, each): (&String, &Value)| format!("{name}: {}", each["severity"].as_str().unwrap_or("?"));
    Some(packages.iter().map(text).collect())
}

/// Packages that the database could not be asked about are "skipped", with a success: that is no answer.
fn pip_audit(report: &Value) -> Option<Result<Vec<String>, String>> {
    let packages = report["dependencies"].as_array()?;
    let mut lines = Vec::new();
    for package in packages {
        for hole in package["vulns"].as_array().into_iter().flatten() {
            lines.push(format!(
                "{}: {}",
                package["name"].as_str().unwrap_or("?"),
                hole["id"].as_str().unwrap_or("?")
            ));
        }
    }
    let skipped = packages.iter().find_map(|package| package["skip_reason"].as_str());
    Some(match skipped {
        Some(why) if lines.is_empty() => Err(why.to_owned()),
        _ => Ok(lines),
    })
}

/// The line that says why there was no answer.
fn reason(stdout: &str, stderr: &str) -> String {
    let of_json = |text: &str| {
        let value: Value = serde_json::from_str(text).ok()?;
        let messages = [&value["message"], &value["error"]["summary"], &value["fields"]["message"]];
        messages.iter().find_map(|message| message.as_str()).map(str::to_owned)
    };
    let last = stderr.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("it said nothing").trim();
    let why = of_json(stdout).or_else(|| of_json(last)).unwrap_or_else(|| last.to_owned());
    why.lines().next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::ExitStatus;

    use super::*;

    fn said(tool: Tool, stdout: &str, stderr: &str) -> Answer {
        // The exit code of a tool that found something, and of one that found nobody to ask.
        let status = ExitStatus::from_raw(1 << 8);
        answer(tool, &Output { status, stdout: stdout.into(), stderr: stderr.into() })
    }

    fn known(lines: &[&str]) -> Answer {
        Answer::Advisories(lines.iter().map(|line| (*line).to_owned()).collect())
    }

    #[test]
    fn cargo_deny_is_asked_rather_than_cargo_audit_and_what_is_missing_is_said() {
        let tools = |installed: &[&str]| -> Vec<Option<Tool>> {
            questions(|program| installed.contains(&program))
                .into_iter()
                .map(|each| each.ok().map(|(_, tool)| tool))
                .collect()
        };
        assert_eq!(
            tools(&["cargo-audit", "cargo-deny", "npm"]),
            [Some(Tool::CargoDeny), Some(Tool::Npm), None]
        );
        assert_eq!(
            tools(&["cargo-audit", "pip-audit"]),
            [Some(Tool::CargoAudit), None, Some(Tool::PipAudit)]
        );
        for missing in questions(|_| false) {
            let line = missing.unwrap_err();
            assert!(line.contains("installed") && !line.contains('\n'), "{line}");
        }
    }

    #[test]
    fn every_lock_file_is_asked_about() {
        let root = crate::root();
        let asked = RUST.map(|folder| format!("{folder}/Cargo.lock"));
        let asked = asked.into_iter().chain(NPM.map(|folder| format!("{folder}/package-lock.json")));
        let asked = asked.chain([format!("{PYTHON}/requirements.txt")]);
        let asked: Vec<String> = asked.map(|path| path.trim_start_matches("./").to_owned()).collect();
        for path in &asked {
            assert!(root.join(path).exists(), "{path}");
        }
        let is_lock = |path: &str| {
            ["Cargo.lock", "package-lock.json", "requirements.txt"].iter().any(|end| path.ends_with(end))
        };
        let tracked = crate::tidy::tracked(&root).unwrap();
        for path in tracked.iter().map(|path| path.to_string_lossy()).filter(|path| is_lock(path)) {
            assert!(asked.iter().any(|each| *each == path), "{path} is not asked about");
        }
    }

    #[test]
    fn cargo_deny_has_answered_where_there_is_a_summary() {
        let summary =
            r#"{"type":"summary","fields":{"advisories":{"errors":0,"warnings":0,"notes":0,"helps":0}}}"#;
        assert_eq!(said(Tool::CargoDeny, "", summary), known(&[]));
        let hole = r#"{"type":"diagnostic","fields":{"severity":"error","code":"vulnerability","message":"reads too far","advisory":{"id":"RUSTSEC-2026-0001","package":"a"}}}"#;
        let note =
            r#"{"type":"diagnostic","fields":{"severity":"note","code":"advisory-ignored","message":"x"}}"#;
        assert_eq!(
            said(Tool::CargoDeny, "", &[hole, note, summary].join("\n")),
            known(&["RUSTSEC-2026-0001 a: reads too far"])
        );
        let away =
            r#"{"type":"log","fields":{"level":"ERROR","message":"failed to fetch advisory database"}}"#;
        assert_eq!(said(Tool::CargoDeny, "", away), Answer::None("failed to fetch advisory database".into()));
    }

    #[test]
    fn cargo_audit_has_answered_where_there_is_a_report() {
        let report = r#"{"vulnerabilities":{"found":true,"list":[{"advisory":{"id":"RUSTSEC-2026-0001","title":"reads too far"},"package":{"name":"a","version":"1.0.0"}}]},
            "warnings":{"yanked":[{"kind":"yanked","advisory":null,"package":{"name":"b","version":"2.0.0"}}]}}"#;
        assert_eq!(
            said(Tool::CargoAudit, report, ""),
            known(&["a 1.0.0: RUSTSEC-2026-0001 reads too far", "b 2.0.0: yanked "])
        );
        let nothing = r#"{"vulnerabilities":{"found":false,"list":[]},"warnings":{}}"#;
        assert_eq!(said(Tool::CargoAudit, nothing, ""), known(&[]));
        let away = said(
            Tool::CargoAudit,
            "",
            "    Fetching advisory database\nerror: couldn't fetch advisory database\n",
        );
        assert_eq!(away, Answer::None("error: couldn't fetch advisory database".into()));
    }

    #[test]
    fn npm_has_answered_where_there_is_a_report() {
        let report = r#"{"auditReportVersion":2,"vulnerabilities":{"a":{"severity":"high"}}}"#;
        assert_eq!(said(Tool::Npm, report, ""), known(&["a: high"]));
        assert_eq!(said(Tool::Npm, r#"{"auditReportVersion":2,"vulnerabilities":{}}"#, ""), known(&[]));
        let away = r#"{"message":"405 Method Not Allowed","error":{"summary":""}}"#;
        assert_eq!(said(Tool::Npm, away, "npm error audit"), Answer::None("405 Method Not Allowed".into()));
    }

    #[test]
    fn packages_that_pip_audit_skips_are_no_answer() {
        let hole = r#"{"name":"a","version":"1","vulns":[{"id":"PYSEC-2026-1"}]}"#;
        let skipped = r#"{"name":"b","skip_reason":"could not be audited"}"#;
        let report = |packages: &[&str]| format!(r#"{{"dependencies":[{}],"fixes":[]}}"#, packages.join(","));
        assert_eq!(said(Tool::PipAudit, &report(&[hole]), ""), known(&["a: PYSEC-2026-1"]));
        assert_eq!(said(Tool::PipAudit, &report(&[r#"{"name":"a","vulns":[]}"#]), ""), known(&[]));
        assert_eq!(
            said(Tool::PipAudit, &report(&[skipped]), ""),
            Answer::None("could not be audited".into())
        );
        assert_eq!(said(Tool::PipAudit, &report(&[skipped, hole]), ""), known(&["a: PYSEC-2026-1"]));
        assert_eq!(said(Tool::PipAudit, "", "\n"), Answer::None("it said nothing".into()));
    }
}
