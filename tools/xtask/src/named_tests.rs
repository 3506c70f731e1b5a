//! Whether the tests that documents name are there: in Markdown, `path/to/file.rs::name_of_the_test` or
//! `path/to/file.test.mjs::name of the test`, with the path from the root.

use std::path::Path;

use crate::tidy;

/// What a test's file ends in.
const SOURCES: [&str; 3] = [".rs", ".mjs", ".ts"];

/// Problems, a line each.
pub fn problems(root: &Path) -> anyhow::Result<Vec<String>> {
    let mut problems = Vec::new();
    for path in
        tidy::tracked(root)?.into_iter().filter(|path| path.extension().is_some_and(|end| end == "md"))
    {
        let text = std::fs::read_to_string(root.join(&path))?;
        for (file, name) in named(&text) {
            let path = path.display();
            match std::fs::read_to_string(root.join(&file)) {
                Err(_) => problems.push(format!("{path}: there is no {file}, in which `{name}` would be")),
                Ok(source) if !has_test(&file, &source, &name) => {
                    problems.push(format!("{path}: {file} has no test `{name}`"));
                }
                Ok(_) => {}
            }
        }
    }
    Ok(problems)
}

/// File and name of each test that a document names.
fn named(text: &str) -> Vec<(String, String)> {
    let code = text.split('`').skip(1).step_by(2);
    let pairs = code.filter_map(|code| code.split_once("::"));
    let is_source = |file: &str| file.contains('/') && SOURCES.iter().any(|end| file.ends_with(end));
    let one_line = |name: &str| name.split_whitespace().collect::<Vec<_>>().join(" ");
    pairs.filter(|(file, _)| is_source(file)).map(|(file, name)| (file.to_owned(), one_line(name))).collect()
}

fn has_test(file: &str, source: &str, name: &str) -> bool {
    if file.ends_with(".rs") {
        return has_rust_test(source, name);
    }
    let source = source.replace("\\'", "'");
    ["test(", "it("].iter().any(|call| {
        ['\'', '`', '"'].iter().any(|quote| source.contains(&format!("{call}{quote}{name}{quote}")))
    })
}

/// A function of this name, with an attribute above it that makes it a test.
fn has_rust_test(source: &str, name: &str) -> bool {
    let lines: Vec<&str> = source.lines().map(str::trim).collect();
    let begin = format!("fn {name}(");
    lines.iter().enumerate().any(|(index, line)| {
        let is_it = line.strip_prefix("async ").unwrap_or(line).starts_with(&begin);
        let attributes = lines[..index].iter().rev().take_while(|line| line.starts_with("#["));
        is_it && attributes.clone().any(|line| line.starts_with("#[test]") || line.contains("::test"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_names_tests_by_file_and_name() {
        let text = "Shown by `a/b.rs::it_holds` and `t/c.test.mjs::it's\n  two, or more`; not `sdp::limits::BYTES_MAX`, not `b.rs`.";
        let pair = |file: &str, name: &str| (file.to_owned(), name.to_owned());
        assert_eq!(named(text), [pair("a/b.rs", "it_holds"), pair("t/c.test.mjs", "it's two, or more")]);
    }

    #[test]
    fn in_rust_a_test_is_a_function_with_the_attribute() {
        let source = "#[test]\nfn one() {}\n    #[tokio::test(start_paused = true)]\n    async fn two() {}\nfn three() {}\n";
        for (name, is_there) in [("one", true), ("two", true), ("three", false), ("on", false), ("ne", false)]
        {
            assert_eq!(has_test("a/b.rs", source, name), is_there, "{name}");
        }
    }

    #[test]
    fn in_javascript_a_test_is_a_call_with_the_whole_name() {
        let source = r"test('it\'s two', async () => {}); it(`${n} of them`, () => {}); say('three')";
        for (name, is_there) in [("it's two", true), ("${n} of them", true), ("two", false), ("three", false)]
        {
            assert_eq!(has_test("t/c.test.mjs", source, name), is_there, "{name}");
        }
    }
}
