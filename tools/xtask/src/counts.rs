//! How many tests passed, failed and were skipped, read from what the runners print at their end.

use std::ops::AddAssign;

/// Tests by what became of them.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    pub passed: u32,
    pub failed: u32,
    pub skipped: u32,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Counts) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Sums the closing lines of cargo test, node's test runner and vitest in `output`.
pub fn read(output: &str) -> Counts {
    let mut sum = Counts::default();
    for line in output.lines() {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("test result: ") {
            sum += words(rest.split(['.', ';']), "passed", "failed", "ignored");
        } else if let Some(rest) = line.strip_prefix("Tests ") {
            sum += words(rest.split(['|', '(']), "passed", "failed", "skipped");
        } else if let Some(rest) = line.strip_prefix("ℹ ").or_else(|| line.strip_prefix("# ")) {
            match rest.split_once(' ').map(|(word, count)| (word, count.parse::<u32>())) {
                Some(("pass", Ok(count))) => sum.passed += count,
                Some(("fail" | "cancelled", Ok(count))) => sum.failed += count,
                Some(("skipped" | "todo", Ok(count))) => sum.skipped += count,
                _ => {}
            }
        }
    }
    // A skipped group of tests is not among node's numbers, but it says why.
    sum.skipped = sum.skipped.max(u32::try_from(reasons(output).len()).unwrap_or(u32::MAX));
    sum
}

/// Reads parts such as ` 12 passed`.
fn words<'a>(parts: impl Iterator<Item = &'a str>, passed: &str, failed: &str, skipped: &str) -> Counts {
    let mut counts = Counts::default();
    for part in parts {
        if let Some((Ok(count), word)) =
            part.trim().split_once(' ').map(|(count, word)| (count.parse::<u32>(), word.trim()))
        {
            match word {
                word if word == passed => counts.passed = count,
                word if word == failed => counts.failed = count,
                word if word == skipped => counts.skipped = count,
                _ => {}
            }
        }
    }
    counts
}

/// The lines of `output` that say why a test was skipped.
pub fn reasons(output: &str) -> Vec<String> {
    let said = |line: &str| Some(line[line.find("needs ")?..].trim().to_owned());
    let mut reasons: Vec<String> = output
        .lines()
        .filter(|line| line.contains("# needs ") || line.contains("# SKIP needs "))
        .filter_map(said)
        .collect();
    reasons.sort();
    reasons.dedup();
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_prints_a_line_for_each_binary() {
        let output = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out\n\
                      test result: FAILED. 3 passed; 2 failed; 0 ignored; 0 measured";
        assert_eq!(read(output), Counts { passed: 15, failed: 2, skipped: 1 });
    }

    #[test]
    fn node_prints_a_line_for_each_number() {
        let output =
            "ℹ tests 9\nℹ pass 7\nℹ fail 1\nℹ cancelled 0\nℹ skipped 1\nℹ todo 0\nℹ duration_ms 12.5";
        assert_eq!(read(output), Counts { passed: 7, failed: 1, skipped: 1 });
        assert_eq!(read(&output.replace('ℹ', "#")), read(output));
    }

    #[test]
    fn a_skipped_group_counts_though_node_does_not_count_it() {
        let output = "﹣ relay (0.2ms) # needs chromium\nℹ tests 0\nℹ pass 0\nℹ fail 0\nℹ skipped 0";
        assert_eq!(read(output), Counts { passed: 0, failed: 0, skipped: 1 });
    }

    #[test]
    fn vitest_prints_one_line() {
        let output = " Test Files  2 passed (2)\n      Tests  1 failed | 20 passed | 3 skipped (24)";
        assert_eq!(read(output), Counts { passed: 20, failed: 1, skipped: 3 });
    }

    #[test]
    fn a_skipped_test_says_what_it_needs() {
        assert_eq!(reasons("﹣ TURN over TLS (0.1ms) # needs certutil\n✔ other"), ["needs certutil"]);
    }
}
