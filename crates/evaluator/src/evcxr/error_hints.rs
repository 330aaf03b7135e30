//! What evcxr and cargo refuse in words of their own, in ours: what cannot be kept and what to do.

use super::source::{self, Prepared};
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan, Failure};

/// How cargo begins the lines that tell of progress.
pub(super) const PROGRESS: [&str; 10] = [
    "Updating",
    "Locking",
    "Adding",
    "Downloading",
    "Downloaded",
    "Compiling",
    "Fresh",
    "Dirty",
    "Running",
    "Blocking",
];

/// What evcxr puts before the output of a cargo that failed, and behind it.
const NO_ERRORS: &str = "Compilation failed, but no parsable errors were found. STDERR:";
const STDOUT: &str = "\nSTDOUT:";

/// How to keep something out of what is kept.
const BRACES: &str = "what no later cell needs can stand in braces: `{ … }`";

/// What a message of evcxr's says.
pub(super) fn told(message: &str, source: &Prepared) -> Diagnostic {
    let name = message.split('`').nth(1).unwrap_or_default();
    let (said, label, help) = if message.contains("is a closure, which cannot be persisted") {
        (
            format!(
                "the variable `{name}` is a closure, which later cells cannot have: its type has no name"
            ),
            "this closure",
            format!("box it: `let {name}: Box<dyn Fn(…) -> …> = Box::new(…);`, or write a `fn`"),
        )
    } else if let Some(ty) = unwritten(message, name, source) {
        unnameable(name, ty)
    } else if message.starts_with("Couldn't automatically determine type") {
        (
            format!("the type of the variable `{name}` cannot be inferred"),
            "of which type?",
            format!("give it a type: `let {name}: Type = …;`"),
        )
    } else if message.contains("which cannot be persisted") {
        unnameable(name, message.split('`').nth(3).unwrap_or_default())
    } else if message.contains("contains a reference with a non-static lifetime") {
        (
            format!("the variable `{name}` borrows from another, and later cells cannot have that"),
            "a reference",
            format!(
                "keep a value of its own (`.clone()`, `.to_owned()`), or one that lives for ever: `let {name} = &*Box::leak(Box::new(…));`"
            ),
        )
    } else if message.starts_with("Failed to determine type of variable") {
        (
            format!("the type of the variable `{name}` is private to its crate"),
            "this variable",
            format!("give it a public type: `let {name}: Type = …;`"),
        )
    } else {
        return cargos(message);
    };
    Diagnostic {
        spans: place_of(name, label, source).into_iter().collect(),
        help: vec![help, BRACES.to_owned()],
        ..plain(said)
    }
}

/// The type of a variable that evcxr does not know, or knows less of, where it cannot be written.
fn unwritten<'a>(message: &str, name: &str, source: &'a Prepared) -> Option<&'a str> {
    let is_asked = message.starts_with("Couldn't automatically determine type")
        || message.contains("which cannot be persisted");
    let mut unwritten = source.unwritten.iter().filter(|_| is_asked);
    let (_, ty) = unwritten.find(|(variable, _)| variable == name)?;
    Some(ty)
}

/// Message, label and help for a variable whose type has no name.
fn unnameable(name: &str, ty: &str) -> (String, &'static str, String) {
    let help = if ty.contains('!') {
        format!("give it a type that has values: `let {name}: Type = …;`")
    } else {
        format!("box it: `let {name}: Box<dyn Trait> = Box::new(…);`")
    };
    (
        format!("the variable `{name}` has the type `{ty}`, which later cells cannot name"),
        "this variable",
        help,
    )
}

pub(super) fn plain(message: String) -> Diagnostic {
    Diagnostic {
        message,
        code: None,
        spans: Vec::new(),
        help: Vec::new(),
        rendered: None,
    }
}

/// Cargo's own message, without its progress.
fn cargos(message: &str) -> Diagnostic {
    let message = match message.strip_prefix(NO_ERRORS) {
        Some(rest) => rest.split_once(STDOUT).map_or(rest, |(errors, _)| errors),
        None => message,
    };
    let lines = message.trim().lines().filter(|line| {
        let first = line.split_whitespace().next().unwrap_or_default();
        !PROGRESS.contains(&first) && !line.starts_with("warning: spurious network error")
    });
    let mut lines = lines.map(str::trim_end).collect::<Vec<_>>();
    lines.dedup_by(|line, before| line.is_empty() && before.is_empty());
    // The package that evcxr makes up to try the dependency.
    let text = lines
        .join("\n")
        .replace("package `evcxr_dummy_validate_dep`", "the notebook");
    let text = text.trim();
    let mut told = plain(text.strip_prefix("error: ").unwrap_or(text).to_owned());
    if is_unreachable(text) {
        let help = "there is no network, and this machine does not have all of it yet";
        told.help.push(help.to_owned());
    } else if text.contains("--offline was specified") || text.contains("offline mode") {
        let help = "this machine does not have it yet: `:offline 0` lets cargo fetch it";
        told.help.push(help.to_owned());
    }
    told
}

/// Whether cargo says that it has not reached what it wanted to fetch.
pub(super) fn is_unreachable(said: &str) -> bool {
    let parts = [
        "failed to fetch",
        "failed to download",
        "download of ",
        "network error",
        "Could not resolve host",
        "Couldn't resolve host",
    ];
    parts.iter().any(|part| said.contains(part))
}

/// What adds a crate here, where rustc says what would add it elsewhere.
pub(super) fn crate_to_add(help: &str) -> Option<String> {
    let (_, rest) = help.split_once("use `cargo add ")?;
    let (name, _) = rest.split_once('`')?;
    Some(format!(
        "if you wanted to use a crate named `{name}`, add it with `:dep {name}`"
    ))
}

/// Adds to errors about variables that items cannot see what to do instead.
pub(super) fn explain_items(
    mut failure: Failure,
    source: &Prepared,
    variables: &[(String, String)],
) -> Failure {
    let Failure::Compile { diagnostics } = &mut failure else {
        return failure;
    };
    let lines = source::item_lines(&source.text);
    let declared = source::declared(&source.text);
    for diagnostic in diagnostics {
        let name = match diagnostic.code.as_deref() {
            Some("E0425") => diagnostic.message.split('`').nth(1).unwrap_or_default(),
            _ => continue,
        };
        let is_variable =
            declared.contains_key(name) || variables.iter().any(|(known, _)| known == name);
        let first = diagnostic.spans.first();
        let is_in_item = first.is_some_and(|span| {
            let mut lines = lines.iter();
            lines.any(|lines| lines.contains(&span.start_line))
        });
        if is_variable && is_in_item {
            diagnostic.help = vec![format!(
                "`{name}` is a variable of the notebook, which functions do not see: hand it over as an argument, or make it a `const` or a `static`"
            )];
        }
    }
    failure
}

/// Where a source defines a variable.
fn place_of(name: &str, label: &str, source: &Prepared) -> Option<DiagnosticSpan> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let words = |line: &str| {
        let mut found = Vec::new();
        let mut start = None;
        for (column, c) in line.chars().chain([' ']).enumerate() {
            match (start, is_word(c)) {
                (None, true) => start = Some(column),
                (Some(from), false) => {
                    found.push((
                        from,
                        line.chars()
                            .skip(from)
                            .take(column - from)
                            .collect::<String>(),
                    ));
                    start = None;
                }
                _ => {}
            }
        }
        found
    };
    for (number, line) in (1..).zip(source.text.lines()) {
        let words = words(line);
        let lets = words.iter().position(|(_, word)| word == "let");
        let Some(lets) = lets else { continue };
        if let Some((column, word)) = words[lets..].iter().find(|(_, word)| word == name) {
            let start = source.column(number, column + 1);
            return Some(DiagnosticSpan {
                start_line: number,
                start_column: start,
                end_line: number,
                end_column: start + word.chars().count(),
                label: label.to_owned(),
                primary: true,
            });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_told_where_the_variable_is_defined() {
        let source = Prepared::unchanged("let a = 1;\nlet (größe, mut f) = (1, || 3);\na");
        for (message, said, column) in [
            (
                "The variable `f` is a closure, which cannot be persisted.\nYou can",
                "is a closure",
                17,
            ),
            (
                "Couldn't automatically determine type of variable `größe`.\nPlease",
                "cannot be inferred",
                6,
            ),
            (
                "The variable `f` has type `impl Fn()` which cannot be persisted.\nYou",
                "has the type `impl Fn()`",
                17,
            ),
            (
                "The variable `f` contains a reference with a non-static lifetime so\ncan't",
                "borrows from another",
                17,
            ),
        ] {
            let told = told(message, &source);
            assert!(told.message.contains(said), "{told:?}");
            let span = &told.spans[0];
            assert_eq!(
                (span.start_line, span.start_column),
                (2, column),
                "{told:?}"
            );
            assert_eq!(told.help.len(), 2);
        }
        let elsewhere = told(
            "The variable `z` is a closure, which cannot be persisted.",
            &source,
        );
        assert!(elsewhere.spans.is_empty());
    }

    #[test]
    fn items_are_told_that_they_do_not_see_variables() {
        let source = Prepared::unchanged("let here = 1;\nfn f() -> u8 {\n    größe\n}\nhere");
        let missing = |name: &str, line| Diagnostic {
            code: Some("E0425".to_owned()),
            spans: vec![DiagnosticSpan {
                start_line: line,
                start_column: 5,
                end_line: line,
                end_column: 10,
                label: String::new(),
                primary: true,
            }],
            ..plain(format!("cannot find value `{name}` in this scope"))
        };
        let variables = [("größe".to_owned(), "u8".to_owned())];
        for (name, line, helped) in [
            ("größe", 3, true),
            ("here", 3, true),
            ("größe", 5, false),
            ("unknown", 3, false),
        ] {
            let diagnostics = vec![missing(name, line)];
            let failure = Failure::Compile { diagnostics };
            let Failure::Compile { diagnostics } = explain_items(failure, &source, &variables)
            else {
                panic!()
            };
            assert_eq!(!diagnostics[0].help.is_empty(), helped, "{name} {line}");
        }
    }

    #[test]
    fn a_crate_is_added_the_way_it_is_added_here() {
        let help = "if you wanted to use a crate named `rand`, use `cargo add rand` to add it to your `Cargo.toml`";
        let here = crate_to_add(help).unwrap();
        assert!(here.ends_with("add it with `:dep rand`"), "{here}");
        assert_eq!(crate_to_add("consider importing this"), None);
    }

    #[test]
    fn cargos_message_stands_without_its_progress() {
        let source = Prepared::unchanged("");
        let message = "    Updating index\nerror: no matching package named `x` found\nlocation searched: here";
        assert_eq!(
            told(message, &source).message,
            "no matching package named `x` found\nlocation searched: here"
        );
        let message = "error: failed\n    \n\npackage `evcxr_dummy_validate_dep` depends on `x`";
        assert_eq!(
            told(message, &source).message,
            "failed\n\nthe notebook depends on `x`"
        );
        let message = format!(
            "{NO_ERRORS}\n   Compiling a v1\nerror: failed to download `b`\n\nCaused by:\n  no\n{STDOUT}{{}}\n"
        );
        let told = told(&message, &source);
        assert_eq!(told.message, "failed to download `b`\n\nCaused by:\n  no");
        assert!(told.help[0].contains("no network"));
    }
}
