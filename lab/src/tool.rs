//! Programs of the system that the lab asks for something: `ip`, `sysctl`, `mount`.

use std::io::Write as _;
use std::process::{Command, Stdio};

use crate::Error;

/// Runs a program to its end, with `input` on its standard input.
///
/// # Errors
/// [`Error::Tool`], [`Error::Refused`] with the last line that it said.
pub(crate) fn run(tool: &'static str, args: &[&str], input: &str) -> Result<String, Error> {
    let failed = |source| Error::Tool { tool, source };
    let mut child = Command::new(tool)
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // It may have ended already: what it says tells why.
        let _ = stdin.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(failed)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default().trim().to_owned();
    Err(Error::Refused { line: format!("{tool} {}", args.join(" ")), said })
}

/// Several commands of `ip` in one namespace, one a line.
pub(crate) fn ip_batch(namespace: &str, commands: &[String]) -> Result<(), Error> {
    run("ip", &["-n", namespace, "-batch", "-"], &(commands.join("\n") + "\n")).map(|_| ())
}
