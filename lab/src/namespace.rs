//! A network namespace of the kernel, with a few files of its own below /etc, and all that runs in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use tracing::{debug, warn};

use crate::Error;
use crate::tool::run;

/// What namespaces of ours are called, before the process id.
const PREFIX: &str = "twocan";

/// Where `ip netns` keeps namespaces.
const FOLDER: &str = "/run/netns";

/// What `ip netns exec` lays over /etc.
const FILES: &str = "/etc/netns";

/// Nobody answers names there, and says so at once.
const RESOLVER: &str = "nameserver 127.0.0.1\noptions timeout:1 attempts:1\n";

/// How long programs that still run in a namespace may take to end before they are killed.
const PATIENCE: Duration = Duration::from_millis(1_500);

/// One of them; it goes with this value, and what runs in it, too.
#[derive(Debug)]
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// A new one, by number. `hosts`: what its /etc/hosts says besides localhost.
    pub(crate) fn create(number: usize, hosts: &str) -> Result<Namespace, Error> {
        let name = format!("{PREFIX}{}-{number}", std::process::id());
        run("ip", &["netns", "add", &name], "")?;
        let namespace = Namespace { name };
        let files = namespace.files();
        write(&files.join("resolv.conf"), RESOLVER)?;
        write(&files.join("hosts"), &format!("127.0.0.1 localhost\n::1 localhost\n{hosts}"))?;
        debug!(name = namespace.name, "namespace made");
        Ok(namespace)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Ends what runs in there.
    pub(crate) fn quit(&self) {
        quit(&self.name);
    }

    fn files(&self) -> PathBuf {
        Path::new(FILES).join(&self.name)
    }

    /// A command that runs `program` in there.
    pub(crate) fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let written = fs::create_dir_all(parent).and_then(|()| fs::write(path, text));
    written.map_err(|source| Error::File { path: path.to_owned(), source })
}

impl Drop for Namespace {
    fn drop(&mut self) {
        quit(&self.name);
        remove(&self.name);
        debug!(name = self.name, "namespace gone");
    }
}

/// Ends what runs in a namespace.
fn quit(name: &str) {
    let end = Instant::now() + PATIENCE;
    let mut is_first = true;
    loop {
        let pids = run("ip", &["netns", "pids", name], "").unwrap_or_default();
        let pids: Vec<&str> = pids.split_whitespace().collect();
        if pids.is_empty() {
            break;
        }
        let is_late = Instant::now() > end;
        if is_first || is_late {
            let signal = if is_late { "-KILL" } else { "-TERM" };
            let _ = run("kill", &[&[signal][..], &pids].concat(), "");
        }
        if is_late {
            break;
        }
        is_first = false;
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// Takes a namespace away.
fn remove(name: &str) {
    if let Err(error) = run("ip", &["netns", "del", name], "") {
        warn!(name, %error, "a namespace is left behind");
    }
    let _ = fs::remove_dir_all(Path::new(FILES).join(name));
    // Empty unless somebody else uses it.
    let _ = fs::remove_dir(FILES);
}

/// Whether there is such a process, and not only what is left of one.
pub fn is_running(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // After the name in parentheses.
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// Takes away what labs left behind that were killed: their process is gone.
pub(crate) fn sweep() {
    let Ok(entries) = fs::read_dir(FOLDER) else { return };
    for entry in entries.filter_map(Result::ok) {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).map(|(pid, _)| pid);
        if pid.and_then(|pid| pid.parse().ok()).is_some_and(|pid| !is_running(pid)) {
            debug!(name, "a lab that was killed left this behind");
            quit(&name);
            remove(&name);
        }
    }
}
