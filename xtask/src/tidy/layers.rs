//! Checks the imports allowed for each part, and the place that formats errors for users.

use super::source::paths;
use super::{Finding, Tree};

/// Paths that only some places may name.
struct Layer {
    /// The prefixes of these paths.
    paths: &'static [&'static [&'static str]],
    /// The places that may name them; the rule applies to places in `within`.
    only: &'static [&'static str],
    within: &'static [&'static str],
    reason: &'static str,
}

const LAYERS: [Layer; 3] = [
    Layer {
        paths: &[&["evcxr"], &["salsa"]],
        only: &["crates/evaluator/"],
        within: &[""],
        reason: "only crates/evaluator knows evcxr",
    },
    Layer {
        paths: &[&["zeromq"]],
        only: &["crates/transport/"],
        within: &[""],
        reason: "only crates/transport touches ZeroMQ",
    },
    Layer {
        paths: &[
            &["std", "fs"],
            &["std", "net"],
            &["std", "process"],
            &["std", "os"],
            &["std", "thread"],
            &["tokio"],
            &["rustix"],
            &["zeromq"],
        ],
        only: &[],
        within: &["crates/protocol/"],
        reason: "crates/protocol does no I/O",
    },
];

/// The types of texts for users, and the file that constructs each.
const SOLE_BUILDERS: [(&str, &str); 2] = [
    // The text.
    ("ErrorReport", "kernel/src/report/error.rs"),
    // The message that contains it.
    ("ErrorOutput", "kernel/src/report/output.rs"),
];

/// Reports imports and constructions in places where they are not allowed.
pub fn check(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust().filter(|file| !file.is_in(&["xtask/"])) {
        for path in paths(&file.tokens) {
            for layer in &LAYERS {
                let applies = file.is_in(layer.within) || layer.within == [""];
                let is_restricted = layer.paths.iter().any(|start| path.starts_with(start));
                if applies && is_restricted && !file.is_in(layer.only) {
                    let name = path.parts.join("::");
                    findings.push(file.finding(path.line, format!("`{name}`: {}", layer.reason)));
                }
            }
        }
        for window in file.tokens.windows(3) {
            let [before, name, after] = window else {
                continue;
            };
            for (type_name, builder) in SOLE_BUILDERS {
                // Excludes signatures, declarations and `impl`s.
                let is_constructed = name.text == type_name
                    && after.text == "{"
                    && ![">", "struct", "impl", "for"].contains(&before.text.as_str());
                if is_constructed && file.path.starts_with("kernel/src/") && file.path != builder {
                    let message = format!("only {builder} builds an `{type_name}`");
                    findings.push(file.finding(name.line, message));
                }
            }
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::super::messages;
    use super::*;

    #[test]
    fn imports_outside_their_layer_are_reported() {
        for (path, source, expected) in [
            ("kernel/src/a.rs", "use evcxr::EvalContext;", "evcxr"),
            (
                "engine/src/a.rs",
                "\nuse zeromq::{Socket, SocketRecv};",
                ":2",
            ),
            ("crates/protocol/src/a.rs", "use std::{fmt, fs};", "std::fs"),
            (
                "crates/protocol/src/a.rs",
                "fn f() { tokio::spawn(g()); }",
                "no I/O",
            ),
            (
                "kernel/src/cell/a.rs",
                "let e = ErrorReport { ename };",
                "error.rs builds",
            ),
        ] {
            let messages = messages(check, &[(path, source)]);
            assert!(
                !messages.is_empty() && messages[0].contains(expected),
                "{source}: {messages:?}"
            );
        }
    }

    #[test]
    fn imports_in_their_layer_pass() {
        for (path, source) in [
            ("crates/evaluator/src/a.rs", "use evcxr::EvalContext;"),
            ("crates/transport/src/a.rs", "use zeromq::RouterSocket;"),
            (
                "crates/protocol/src/a.rs",
                "use std::fmt; // std::fs is not for us",
            ),
            (
                "kernel/src/a.rs",
                "fn f() -> ErrorReport { Backend::Evcxr; }",
            ),
            (SOLE_BUILDERS[0].1, "let e = ErrorReport { ename };"),
        ] {
            assert_eq!(messages(check, &[(path, source)]), [""; 0], "{source}");
        }
    }
}
