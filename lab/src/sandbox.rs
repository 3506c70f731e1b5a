//! How somebody who is not root gets a lab: in a user namespace, with /run and /etc of its own, where `ip netns` may write.

use std::os::unix::process::CommandExt as _;
use std::process::{Command, Stdio};

use crate::Error;

/// Makes copies of /run and /etc that point at the real ones, so that /run/netns and /etc/netns can be made; then runs its
/// arguments. `ip netns exec` lays files over resolv.conf and hosts, which must be files for that.
const SCRIPT: &str = r#"set -e
mount --make-rprivate /
own=$(mktemp -d)
mount -t tmpfs lab "$own"
for folder in run etc; do
    mkdir "$own/$folder" "$own/real-$folder"
    mount --rbind "/$folder" "$own/real-$folder"
    for entry in $(ls -A "/$folder"); do
        ln -s "$own/real-$folder/$entry" "$own/$folder/$entry"
    done
done
for file in hosts resolv.conf; do
    rm -f "$own/etc/$file"
    cat "$own/real-etc/$file" > "$own/etc/$file" 2> /dev/null || true
done
rm -f "$own/run/netns" "$own/etc/netns"
mkdir "$own/run/netns" "$own/etc/netns"
mount --rbind "$own/run" /run
mount --rbind "$own/etc" /etc
exec "$@"
"#;

/// Returns if this process may make namespaces; else becomes one that may: this program, with the same arguments, in a user
/// namespace.
///
/// # Errors
/// [`Error::NotPermitted`]: there is no such way either.
pub fn with_privileges() -> Result<(), Error> {
    if rustix::process::geteuid().is_root() {
        return Ok(());
    }
    let unshare = || {
        let mut command = Command::new("unshare");
        command.args(["--user", "--map-root-user", "--mount", "--net", "--"]);
        command
    };
    let quiet = |command: &mut Command| {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status()
    };
    if !quiet(unshare().arg("true")).is_ok_and(|status| status.success()) {
        return Err(Error::NotPermitted);
    }
    let program = std::env::current_exe().map_err(|source| Error::Tool { tool: "twocan", source })?;
    let source =
        unshare().args(["sh", "-c", SCRIPT, "sh"]).arg(program).args(std::env::args_os().skip(1)).exec();
    Err(Error::Tool { tool: "unshare", source })
}
