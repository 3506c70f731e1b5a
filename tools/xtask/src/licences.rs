//! Whether every crate we build on has a licence that `deny.toml` allows.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, ensure};

/// Problems, a line each.
pub fn problems(root: &Path) -> anyhow::Result<Vec<String>> {
    let deny: toml::Table = std::fs::read_to_string(root.join("deny.toml")).context("deny.toml")?.parse()?;
    let allowed: Vec<&str> = deny["licenses"]["allow"]
        .as_array()
        .context("licenses.allow is a list")?
        .iter()
        .filter_map(|each| each.as_str())
        .collect();
    let output = Command::new("cargo")
        .args(["metadata", "--format-version", "1", "--locked"])
        .current_dir(root)
        .output()?;
    ensure!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout)?;
    let packages = metadata["packages"].as_array().context("packages is a list")?;
    let problem = |package: &serde_json::Value| {
        let licence = package["license"].as_str().unwrap_or("none");
        (!permitted(licence, &allowed))
            .then(|| format!("{} {}: licence {licence}", package["name"], package["version"]))
    };
    Ok(packages.iter().filter_map(problem).collect())
}

/// An SPDX expression is permitted if one of its alternatives is, and an alternative if all it joins is.
fn permitted(expression: &str, allowed: &[&str]) -> bool {
    let expression = expression.replace('/', " OR ");
    // Parentheses group an OR inside an AND in the few expressions that have them: read `A AND (B OR C)` part by part.
    let mut parts = vec![String::new()];
    let mut depth = 0;
    for word in expression.replace('(', " ( ").replace(')', " ) ").split_whitespace() {
        match word {
            "(" => depth += 1,
            ")" => depth -= 1,
            "AND" if depth == 0 => parts.push(String::new()),
            word => {
                let part = parts.last_mut().expect("never empty");
                part.push_str(word);
                part.push(' ');
            }
        }
    }
    parts.iter().all(|part| {
        part.split(" OR ").any(|licence| licence.split(" AND ").all(|one| allowed.contains(&one.trim())))
    })
}

#[cfg(test)]
mod tests {
    use super::permitted;

    #[test]
    fn one_permitted_alternative_is_enough_and_every_joined_part_counts() {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"];
        for expression in
            ["MIT", "GPL-3.0 OR MIT", "MIT/GPL-2.0", "(MIT OR GPL-3.0) AND Unicode-3.0", "Apache-2.0 AND MIT"]
        {
            assert!(permitted(expression, &allowed), "{expression}");
        }
        for expression in ["none", "GPL-3.0", "MIT AND GPL-3.0", "(MIT OR Apache-2.0) AND GPL-3.0"] {
            assert!(!permitted(expression, &allowed), "{expression}");
        }
    }
}
