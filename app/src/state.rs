//! What outlives the process: the secret that credentials and tickets are made from, in a folder of the operator's or of ours.

use std::io::{ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::settings::Settings;
use crate::values::Secret;

/// The file that holds the secret.
const FILE: &str = "secret";

/// The folder: the one that is set, else systemd's (STATE_DIRECTORY), else where such things go on this system. `variable` reads
/// the environment.
pub fn folder(settings: &Settings, variable: impl Fn(&str) -> Option<String>) -> Option<PathBuf> {
    let set = |name: &str| variable(name).filter(|text| !text.is_empty());
    // systemd names several folders with colons between them; the first is ours.
    let systemd = set("STATE_DIRECTORY").and_then(|list| list.split(':').next().map(PathBuf::from));
    let of_user = || {
        let base = set("XDG_STATE_HOME").map(PathBuf::from);
        let base = base.or_else(|| Some(Path::new(&set("HOME")?).join(".local/state")));
        base.map(|base| base.join("twocan"))
    };
    settings.state.clone().or(systemd).or_else(of_user)
}

/// The secret that is kept in `folder`; made and written there the first time. Only its owner may read it.
pub fn secret(folder: &Path, draw: impl FnOnce() -> anyhow::Result<[u8; 32]>) -> anyhow::Result<Secret> {
    let path = folder.join(FILE);
    match std::fs::read_to_string(&path) {
        Ok(text) => {
            let secret: Result<Secret, String> = text.trim().parse();
            return secret.map_err(|why| anyhow::anyhow!("{}: {why}", path.display()));
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(error) => bail!("cannot read {}: {error}", path.display()),
    }
    let hex: String = draw()?.iter().map(|byte| format!("{byte:02x}")).collect();
    let write = || -> std::io::Result<()> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        // Written whole or not at all: another server may begin at the same time.
        let unfinished = folder.join(format!("{FILE}.{}", std::process::id()));
        let mut options = std::fs::OpenOptions::new();
        let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&unfinished)?;
        file.write_all(hex.as_bytes())?;
        file.sync_all()?;
        let linked = std::fs::hard_link(&unfinished, &path);
        std::fs::remove_file(&unfinished)?;
        linked
    };
    match write() {
        Ok(()) => hex.parse().map_err(anyhow::Error::msg),
        // Another one was first: its secret is the one that counts.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {
            let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
            text.trim().parse().map_err(anyhow::Error::msg)
        }
        Err(error) => bail!("cannot write {}: {error}", path.display()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn temporary(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("twocan-state-{}-{name}", std::process::id()));
        let _ = std::fs::remove_dir_all(&folder);
        folder
    }

    #[test]
    fn a_secret_is_made_once_and_kept_for_its_owner_alone() {
        let folder = temporary("kept");
        let first = secret(&folder, || {
            Ok([7; 32]).map(|mut bytes: [u8; 32]| {
                (0..32).for_each(|n| bytes[n] = n as u8 * 7);
                bytes
            })
        });
        let second = secret(&folder, || bail!("it is there already"));
        assert_eq!(first.unwrap(), second.unwrap());
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&folder), mode(&folder.join(FILE))), (0o700, 0o600));
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_file_that_holds_no_secret_is_an_error_and_not_overwritten() {
        let folder = temporary("bad");
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(FILE), "weak").unwrap();
        assert!(secret(&folder, || Ok([7; 32])).is_err());
        assert_eq!(std::fs::read_to_string(folder.join(FILE)).unwrap(), "weak");
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn the_folder_is_what_is_set_then_systemds_then_the_users() {
        let environment = |name: &str| match name {
            "STATE_DIRECTORY" => Some("/var/lib/twocan:/var/lib/other".to_owned()),
            "HOME" => Some("/home/ada".to_owned()),
            _ => None,
        };
        let none = Settings::default();
        assert_eq!(folder(&none, environment), Some("/var/lib/twocan".into()));
        let home = |name: &str| environment(name).filter(|_| name == "HOME");
        assert_eq!(folder(&none, home), Some("/home/ada/.local/state/twocan".into()));
        let set = Settings { state: Some("/srv".into()), ..Settings::default() };
        assert_eq!(folder(&set, environment), Some("/srv".into()));
        assert_eq!(folder(&none, |_| None), None);
    }
}
