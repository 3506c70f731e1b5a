//! The programs that tests drive and that a machine may lack: looked for, and installed where that is ours to do.

use std::path::Path;
use std::process::Command;

/// A program, and the Debian package that holds it.
const PROGRAMS: [(&str, &str); 11] = [
    ("chromium", "chromium"),
    ("firefox-esr", "firefox-esr"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("turnutils_uclient", "coturn"),
    ("certutil", "libnss3-tools"),
    ("sysctl", "procps"),
    ("openssl", "openssl"),
    ("miniupnpd", "miniupnpd-nftables"),
    ("c++", "g++"),
];

/// Debian packages whose program is not on this machine.
pub fn missing() -> Vec<&'static str> {
    PROGRAMS.into_iter().filter(|(program, _)| !on_path(program)).map(|(_, package)| package).collect()
}

/// The command that installs `packages`, where it may run: as root on Debian, in CI or when asked by `TWOCAN_INSTALL=1`.
pub fn command(packages: &[&str]) -> Result<Command, String> {
    let line = format!("apt-get install -y --no-install-recommends {}", packages.join(" "));
    if !on_path("apt-get") {
        return Err(format!("install by hand what Debian calls {}", packages.join(" ")));
    }
    let allowed = ["CI", "TWOCAN_INSTALL"].iter().any(|name| std::env::var_os(name).is_some());
    if !allowed || !is_root() {
        return Err(format!("run `{line}` as root (or this command as root with TWOCAN_INSTALL=1)"));
    }
    let mut command = Command::new("sh");
    command.env("DEBIAN_FRONTEND", "noninteractive").arg("-c").arg(format!("apt-get update && {line}"));
    Ok(command)
}

fn is_root() -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

pub fn on_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path).chain(usual).any(|folder| Path::new(&folder).join(program).exists())
}
