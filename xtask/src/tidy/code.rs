//! Checks for `unsafe`, unfinished code, ignored tests, and tasks without an owner.

use super::source::paths;
use super::tree::File;
use super::{Finding, Tree};

/// The folders that may contain `unsafe`.
const UNSAFE: [&str; 4] = [
    "crates/sys/",
    "crates/segment/",
    "crates/runtime/",
    "crates/phalanx/",
];

/// The number of lines above an `unsafe` within which its SAFETY comment starts.
const REASON_WITHIN: usize = 8;

/// The number of lines above a bare spawn within which the comment on its end starts.
const END_WITHIN: usize = 4;

/// Macros for unfinished code.
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// Reports code that the compiler allows and the project does not.
pub fn check(tree: &Tree) -> Vec<Finding> {
    tree.rust().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Finding> {
    let lines: Vec<&str> = file.text.lines().collect();
    let mut findings = Vec::new();
    for (index, token) in file.tokens.iter().enumerate() {
        let next = |offset: usize| {
            let token = file.tokens.get(index + offset);
            token.map_or("", |token| token.text.as_str())
        };
        let before = |offset: usize| {
            let token = index
                .checked_sub(offset)
                .and_then(|index| file.tokens.get(index));
            token.map_or("", |token| token.text.as_str())
        };
        if token.is_name && UNFINISHED.contains(&token.text.as_str()) && next(1) == "!" {
            findings.push(file.finding(
                token.line,
                format!("`{}!` is for unfinished code", token.text),
            ));
        }
        if token.text == "#" && next(1) == "[" && next(2) == "ignore" {
            findings.push(file.finding(
                token.line,
                "a test that cannot run here says so at run time, visibly; none is ignored",
            ));
        }
        // The type of a function is not a use: the caller has the block.
        let is_type = next(1) == "extern" && matches!(before(1), "=" | ":" | "<" | "(" | "&");
        if token.is_name && token.text == "unsafe" && !is_type {
            if !file.is_in(&UNSAFE) {
                findings.push(file.finding(
                    token.line,
                    format!("`unsafe` belongs in one of {}", UNSAFE.join(" ")),
                ));
            } else if matches!(next(1), "{" | "impl")
                && !has_comment_above(&lines, token.line, REASON_WITHIN, "SAFETY:")
            {
                findings.push(file.finding(token.line, "`unsafe` without a `// SAFETY:` comment"));
            }
        }
    }
    for path in paths(&file.tokens) {
        let spawns = [["tokio", "spawn"].as_slice(), &["tokio", "task", "spawn"]];
        let is_bare = spawns.iter().any(|start| path.starts_with(start)) && !is_test(file);
        if is_bare && !has_comment_above(&lines, path.line, END_WITHIN, "// Ends ") {
            findings.push(file.finding(
                path.line,
                "a task has an owner: spawn it into a JoinSet, or say above what ends it (`// Ends when …`)",
            ));
        }
    }
    findings
}

/// Returns true for tests, whose tasks end with their runtime.
fn is_test(file: &File) -> bool {
    file.path.contains("/tests/") || file.path.ends_with("/tests.rs")
}

/// Returns true if the line, or one of `within` lines above it, contains these words.
fn has_comment_above(lines: &[&str], line: usize, within: usize, words: &str) -> bool {
    let first = line.saturating_sub(within + 1);
    lines[first..line.min(lines.len())]
        .iter()
        .any(|line| line.contains(words))
}

#[cfg(test)]
mod tests {
    use super::super::messages;
    use super::*;

    #[test]
    fn unfinished_code_is_found() {
        for source in [
            "fn f() { todo!() }",
            "fn f() { unimplemented!(\"later\") }",
            "fn f() { dbg!(1); }",
            "#[test]\n#[ignore = \"slow\"]\nfn f() {}",
        ] {
            assert_eq!(
                messages(check, &[("kernel/src/a.rs", source)]).len(),
                1,
                "{source}"
            );
        }
        assert_eq!(
            messages(
                check,
                &[("kernel/src/a.rs", "// todo!()\nlet todo = \"dbg!\";")]
            ),
            [""; 0]
        );
    }

    #[test]
    fn bare_spawn_needs_a_comment() {
        let bare = messages(
            check,
            &[("kernel/src/a.rs", "fn f() {\n    tokio::spawn(g());\n}")],
        );
        assert!(bare[0].contains("JoinSet"), "{bare:?}");
        let commented =
            "fn f() {\n    // Ends when the handle is dropped.\n    tokio::spawn(g());\n}";
        assert_eq!(messages(check, &[("kernel/src/a.rs", commented)]), [""; 0]);
        assert_eq!(
            messages(
                check,
                &[("kernel/src/a.rs", "fn f() { tasks.spawn(g()); }")]
            ),
            [""; 0]
        );
    }

    #[test]
    fn unsafe_needs_an_allowed_folder_and_a_reason() {
        let reasoned = "// SAFETY: the child is ours.\nunsafe { fork() }";
        assert_eq!(
            messages(check, &[("crates/sys/src/a.rs", reasoned)]),
            [""; 0]
        );
        let bare = messages(check, &[("crates/sys/src/a.rs", "unsafe { fork() }")]);
        assert!(bare[0].contains("SAFETY"), "{bare:?}");
        let misplaced = messages(check, &[("kernel/src/a.rs", reasoned)]);
        assert!(misplaced[0].contains("crates/sys/"), "{misplaced:?}");
        let named = "pub type F = unsafe extern \"C\" fn();";
        assert_eq!(
            messages(check, &[("crates/protocol/src/a.rs", named)]),
            [""; 0]
        );
    }
}
