//! Whether everything that we build, test and measure with is named by its content: a checksum for each crate, an integrity for
//! each npm package, hashes for each Python package. And whether the packages that run a script as they are installed are known.

use std::path::Path;

use anyhow::Context as _;

use crate::tidy;

/// What Cargo.lock calls crates.io.
const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";

/// npm packages that may run a script as they are installed, each with its reason.
const INSTALL_SCRIPTS: [(&str, &str); 1] = [(
    "esbuild",
    "sees to it that its program is the one for this machine, which the lock file pins as well",
)];

/// Problems in every lock file that git tracks, a line each.
pub fn problems(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in tidy::tracked(root)? {
        let read = |path: &Path| std::fs::read_to_string(root.join(path));
        let found = match path.file_name().and_then(|name| name.to_str()) {
            Some("Cargo.lock") => crates(&read(&path)?),
            Some("package-lock.json") => npm(&read(&path)?),
            Some("requirements.txt") => Ok(python(&read(&path)?)),
            Some("requirements.in") => {
                let locked = read(&path.with_file_name("requirements.txt"))?;
                Ok(unlocked(&read(&path)?, &locked))
            }
            _ => continue,
        };
        let found = found.with_context(|| path.display().to_string())?;
        problems.extend(found.into_iter().map(|problem| format!("{}: {problem}", path.display())));
    }
    Ok(problems)
}

fn crates(text: &str) -> anyhow::Result<Vec<String>> {
    let lock: toml::Table = text.parse()?;
    let packages = lock["package"].as_array().context("package is a list")?;
    let mut problems = Vec::new();
    for package in packages {
        let word = |key: &str| package.get(key).and_then(|value| value.as_str());
        // What has no source is ours: it is here, in the same commit.
        let Some(source) = word("source") else { continue };
        let name = word("name").unwrap_or_default();
        if source != CRATES_IO {
            problems.push(format!("{name} is not from crates.io"));
        }
        if !word("checksum").is_some_and(is_sha256) {
            problems.push(format!("{name} has no checksum"));
        }
    }
    Ok(problems)
}

fn npm(text: &str) -> anyhow::Result<Vec<String>> {
    let lock: serde_json::Value = serde_json::from_str(text)?;
    let packages = lock["packages"].as_object().context("packages is an object (lockfileVersion 3)")?;
    let mut problems = Vec::new();
    for (path, package) in packages {
        // Of our own workspace, or a link into it.
        let Some((_, name)) = path.rsplit_once("node_modules/").filter(|_| package["link"] != true) else {
            continue;
        };
        if !package["integrity"].as_str().is_some_and(|integrity| integrity.starts_with("sha512-")) {
            problems.push(format!("{name} has no integrity (sha512)"));
        }
        if !package["resolved"].is_null() {
            problems.push(format!("{name} says where it is from, which every machine decides for itself"));
        }
        if package["hasInstallScript"] == true && INSTALL_SCRIPTS.iter().all(|(known, _)| *known != name) {
            problems.push(format!(
                "{name} runs a script as it is installed: look at it, then name it in tools/xtask/src/locks.rs"
            ));
        }
    }
    Ok(problems)
}

fn python(text: &str) -> Vec<String> {
    let mut problems = Vec::new();
    for line in requirements(text) {
        let mut words = line.split_whitespace();
        let what = words.next().unwrap_or_default();
        if what.starts_with('-') {
            problems.push(format!("{what}: an option, which every machine decides for itself"));
        } else if !what.contains("==") {
            problems.push(format!("{what} has no exact version"));
        } else if !words.any(|word| word.strip_prefix("--hash=sha256:").is_some_and(is_sha256)) {
            problems.push(format!("{what} has no hash"));
        }
    }
    problems
}

/// What `requirements.in` wants and `requirements.txt` does not have in this version.
fn unlocked(wanted: &str, locked: &str) -> Vec<String> {
    let locked: Vec<String> = requirements(locked);
    let is_locked = |what: &String| locked.iter().any(|line| line.split_whitespace().next() == Some(what));
    let missing = requirements(wanted).into_iter().filter(|what| !is_locked(what));
    missing.map(|what| format!("{what} is not in requirements.txt, which has to be made anew")).collect()
}

/// The lines that mean something, those that a backslash continues as one.
fn requirements(text: &str) -> Vec<String> {
    let whole = text.replace("\\\n", " ");
    let lines = whole.lines().map(|line| line.split(" #").next().unwrap_or_default().trim());
    lines.filter(|line| !line.is_empty() && !line.starts_with('#')).map(str::to_owned).collect()
}

fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sha256() -> String {
        "0f".repeat(32)
    }

    #[test]
    fn a_crate_is_from_crates_io_and_has_a_checksum_unless_it_is_ours() {
        let lock = |source: &str, checksum: &str| {
            let text = format!(
                "[[package]]\nname = \"ours\"\n[[package]]\nname = \"theirs\"\nsource = \"{source}\"\n{checksum}"
            );
            crates(&text).unwrap()
        };
        let checksum = format!("checksum = \"{}\"", sha256());
        assert!(lock(CRATES_IO, &checksum).is_empty());
        assert_eq!(lock(CRATES_IO, ""), ["theirs has no checksum"]);
        assert_eq!(lock(CRATES_IO, "checksum = \"0f\""), ["theirs has no checksum"]);
        assert_eq!(lock("git+https://crates.example/theirs", &checksum), ["theirs is not from crates.io"]);
    }

    #[test]
    fn an_npm_package_has_an_integrity_no_address_and_no_script_that_nobody_looked_at() {
        let lock = |path: &str, package: &str| {
            npm(&format!(r#"{{"packages":{{"":{{}},"sdk":{{}},"{path}":{package}}}}}"#)).unwrap().join("; ")
        };
        let good = r#""integrity":"sha512-x""#;
        assert_eq!(lock("node_modules/a", &format!("{{{good}}}")), "");
        assert_eq!(lock("node_modules/ours", r#"{"resolved":"sdk","link":true}"#), "");
        assert_eq!(lock("node_modules/esbuild", &format!(r#"{{{good},"hasInstallScript":true}}"#)), "");
        for (path, package, problem) in [
            ("node_modules/a", "{}".to_owned(), "a has no integrity"),
            ("node_modules/a", r#"{"integrity":"sha1-x"}"#.to_owned(), "a has no integrity"),
            ("node_modules/b/node_modules/@s/a", "{}".to_owned(), "@s/a has no integrity"),
            (
                "node_modules/a",
                format!(r#"{{{good},"resolved":"https://npm.example/a.tgz"}}"#),
                "a says where it is from",
            ),
            ("node_modules/a", format!(r#"{{{good},"hasInstallScript":true}}"#), "a runs a script"),
        ] {
            assert!(lock(path, &package).starts_with(problem), "{package}: {}", lock(path, &package));
        }
    }

    #[test]
    fn a_python_package_has_one_version_and_hashes() {
        let hash = format!("--hash=sha256:{}", sha256());
        let good = format!(
            "# made\na==1 \\\n    {hash} \\\n    {hash}\n    # via b\nb==2 ; python_version < '4' \\\n    {hash}\n"
        );
        assert!(python(&good).is_empty(), "{:?}", python(&good));
        assert_eq!(python("a==1\n"), ["a==1 has no hash"]);
        assert_eq!(python("a==1 --hash=sha256:00\n"), ["a==1 has no hash"]);
        assert_eq!(python(&format!("a>=1 {hash}\n")), ["a>=1 has no exact version"]);
        assert_eq!(python("--no-index\n"), ["--no-index: an option, which every machine decides for itself"]);
    }

    #[test]
    fn what_is_wanted_is_locked_in_the_same_version() {
        assert!(unlocked("# wanted\na==1\n", "a==1 \\\n --hash=x\n").is_empty());
        assert_eq!(unlocked("a==2\n", "a==1 \\\n --hash=x\n").len(), 1);
        assert_eq!(unlocked("a==1\n", "ba==1 \\\n --hash=x\n").len(), 1);
    }
}
