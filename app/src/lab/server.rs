//! The server in the middle: this binary once more, in the namespace of the lab's own host, with a certificate of the lab's.

use std::io::{BufRead as _, BufReader};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context as _, bail};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use twocan_lab::{Lab, SERVER, SERVER_NAME};

/// Where the lobby is.
pub const URL: &str = "http://play.test:8080";

/// How long the server may take until it serves.
const START_LIMIT: Duration = Duration::from_secs(20);

/// Where its certificate is, before the process id.
const FOLDER: &str = "twocan-lab-";

/// What it logs once it serves.
const READY: &str = "ready";

/// The running server; it ends with this value.
pub struct Server {
    child: Child,
    folder: PathBuf,
}

impl Server {
    /// Starts it, and waits until it serves.
    pub fn start(lab: &Lab) -> anyhow::Result<Server> {
        sweep();
        let folder = std::env::temp_dir().join(format!("{FOLDER}{}", std::process::id()));
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        certify(&folder)?;
        let listeners = |addresses: &[IpAddr], port| {
            let listeners = addresses.iter().map(|address| SocketAddr::new(*address, port).to_string());
            listeners.collect::<Vec<_>>()
        };
        let (first, second) = SERVER.split_at(2);
        let binary = std::env::current_exe().context("cannot find this program's own file")?;
        let mut command = lab.server().command(binary);
        command.arg("serve").arg("--public");
        let turns = [443, 5_349].map(|port| listeners(first, port)).concat();
        for (flag, addresses) in [
            ("--turn", listeners(first, 3_478)),
            ("--turns", turns),
            // Programs can ask what their box does (RFC 5780).
            ("--alternate", listeners(second, 3_479)),
        ] {
            for address in &addresses {
                command.args([flag, address]);
            }
        }
        command
            .arg("--tls-cert")
            .arg(folder.join("server.pem"))
            .arg("--tls-key")
            .arg(folder.join("server.key"));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TWOCAN_") {
                command.env_remove(name);
            }
        }
        command.env("NO_COLOR", "1").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().context("cannot start the server")?;
        let stderr = child.stderr.take().context("the server's log is piped")?;
        let server = Server { child, folder };
        wait_until_ready(stderr)?;
        Ok(server)
    }

    /// The authority that vouches for it, for programs that speak TLS to it.
    pub fn authority(&self) -> PathBuf {
        self.folder.join("ca.pem")
    }
}

/// Takes away the folders of labs that were killed.
fn sweep() {
    let entries = std::fs::read_dir(std::env::temp_dir()).into_iter().flatten().filter_map(Result::ok);
    for entry in entries {
        let name = entry.file_name().to_string_lossy().into_owned();
        let pid = name.strip_prefix(FOLDER).and_then(|pid| pid.parse().ok());
        if pid.is_some_and(|pid| !twocan_lab::is_running(pid)) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
}

/// Reads the log until it says so, and from then on for nobody.
fn wait_until_ready(stderr: std::process::ChildStderr) -> anyhow::Result<()> {
    let (told, ready) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            let _ = told.send(line);
        }
    });
    let mut last = String::new();
    loop {
        match ready.recv_timeout(START_LIMIT) {
            Ok(line) if line.contains(READY) => return Ok(()),
            Ok(line) => last = line,
            Err(RecvTimeoutError::Timeout) => bail!("the server in the lab did not start in time"),
            Err(RecvTimeoutError::Disconnected) => bail!("the server in the lab ended: {last}"),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}

/// An authority of the lab's own, and a certificate for the server's name.
fn certify(folder: &Path) -> anyhow::Result<()> {
    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate()?)?;
    let key = KeyPair::generate()?;
    let names: Vec<String> =
        std::iter::once(SERVER_NAME.to_owned()).chain(SERVER.iter().map(ToString::to_string)).collect();
    let certificate = CertificateParams::new(names)?.signed_by(&key, &authority)?;
    let write = |name: &str, text: String| std::fs::write(folder.join(name), text);
    write("ca.pem", authority.pem())?;
    write("server.pem", certificate.pem())?;
    write("server.key", key.serialize_pem())?;
    Ok(())
}
