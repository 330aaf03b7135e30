//! Rewording of evcxr's and cargo's errors: the failure and the remedy.

use super::cell_map::FILE;
use super::source::{self, PreparedSource};
use phalanx_protocol::failure::{Diagnostic, EARLIER_ITEM, Failure};

/// The beginnings of cargo's progress lines.
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

/// The texts that evcxr adds before and after the output of a failed cargo.
const NO_ERRORS: &str = "Compilation failed, but no parsable errors were found. STDERR:";
const STDOUT: &str = "\nSTDOUT:";

/// The beginning of cargo's message about an invalid manifest, and of each cause.
const MANIFEST: &str = "failed to parse manifest at ";
const CAUSE: &str = "\nCaused by:\n";

/// Names of generated code in messages, with their replacements.
const INTERNAL_NAMES: [(&str, &str); 6] = [
    ("`&AsyncResultHandle`", "`AsyncResult`"),
    (" to your crate (`notebook`)", " to the cell"),
    ("phalanx::__cell::", ""),
    ("`Result<(), EvcxrUserCodeError>`", "that of the cell"),
    (CELL_ERROR, "the error of a cell"),
    ("*mut VariableStore", "()"),
];

/// Paths that rustc prints because a library of the notebook has a type of the same name.
const IN_PRELUDE: [(&str, &str); 2] = [
    ("std::option::Option<", "Option<"),
    ("std::result::Result<", "Result<"),
];

/// The error type of a cell's `?`, and rustc's description of the code around the cell in its
/// errors.
const CELL_ERROR: &str = "EvcxrUserCodeError";
const AROUND: (&str, &str) = (
    "in a closure that returns `Result`",
    "in a cell, which returns a `Result`",
);

/// rustc's code for `break` or `continue` within a closure but outside of loops; a cell may be
/// wrapped in a closure.
const IN_CLOSURE: &str = "E0267";

/// Rewords that error as if it were outside of a closure.
fn outside_of_loops(mut diagnostic: Diagnostic) -> Diagnostic {
    let word = diagnostic.message.split('`').nth(1).unwrap_or_default();
    let outside = match word {
        "break" => "outside of a loop or labeled block",
        _ => "outside of a loop",
    };
    let label = format!("cannot `{word}` {outside}");
    diagnostic.message = format!("`{word}` {outside}");
    diagnostic.code = Some("E0268".to_owned());
    for span in diagnostic.spans.iter_mut().filter(|span| span.primary) {
        span.label.clone_from(&label);
    }
    diagnostic
}

/// Removes the names and positions of the generated crate from an error.
pub(super) fn without_internal_names(mut diagnostic: Diagnostic) -> Diagnostic {
    let mut spans = diagnostic.spans.iter();
    if diagnostic.code.as_deref() == Some(IN_CLOSURE)
        && !spans.any(|span| span.label.starts_with("enclosing "))
    {
        diagnostic = outside_of_loops(diagnostic);
    }
    let mut labels = diagnostic.spans.iter().map(|span| &span.label);
    if labels.any(|label| label.contains(CELL_ERROR)) {
        diagnostic.message = diagnostic.message.replace(AROUND.0, AROUND.1);
    }
    let labels = diagnostic.spans.iter_mut().map(|span| &mut span.label);
    let texts = labels
        .chain([&mut diagnostic.message])
        .chain(&mut diagnostic.help)
        .chain(&mut diagnostic.rendered);
    for text in texts {
        *text = without_file(&without_positions(text));
        for (internal, replacement) in INTERNAL_NAMES.into_iter().chain(IN_PRELUDE) {
            *text = text.replace(internal, replacement);
        }
    }
    diagnostic
}

/// Adds the remedy to the error of a file that a cell includes with a relative path.
pub(super) fn with_include_help(mut diagnostic: Diagnostic, cell: &str) -> Diagnostic {
    let Some(file) = included(&diagnostic.message).map(str::to_owned) else {
        return diagnostic;
    };
    diagnostic.message = diagnostic
        .message
        .replace(&format!("{SOURCES}{file}"), &file);
    let function = match called_macro(&diagnostic, cell) {
        Some("include") => None,
        Some("include_bytes") => Some("read"),
        _ => Some("read_to_string"),
    };
    let at_runtime = function.map(|function| {
        format!(", and `std::fs::{function}(\"{file}\")?` reads the file when the cell runs")
    });
    diagnostic.help.push(format!(
        "the path is not that of the notebook's folder: `include_str!` and its like take a full one{}",
        at_runtime.unwrap_or_default()
    ));
    diagnostic
}

/// The name of the macro at an error.
fn called_macro<'a>(diagnostic: &Diagnostic, cell: &'a str) -> Option<&'a str> {
    let span = diagnostic.spans.iter().find(|span| span.primary)?;
    let line = cell.lines().nth(span.start_line.checked_sub(1)?)?;
    let (start, _) = line.char_indices().nth(span.start_column.checked_sub(1)?)?;
    let path = line[start..].split('!').next()?;
    path.rsplit("::").next().map(str::trim)
}

/// The folder of the crate's file, in which rustc looks for included files.
const SOURCES: &str = "src/";

/// Returns the file that a cell includes with a relative path, from rustc's message that there is
/// none.
fn included(message: &str) -> Option<&str> {
    let file = message
        .strip_prefix("couldn't read `")?
        .strip_prefix(SOURCES)?;
    Some(file.split_once('`')?.0)
}

/// The name used for the crate's file in messages.
const CELL: &str = "cell";

/// Replaces the name of the crate's file in a text. A file of a dependency may have the same name.
fn without_file(text: &str) -> String {
    let mut parts = text.split(FILE);
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let is_dependency = plain.ends_with('/');
        plain += if is_dependency { FILE } else { CELL };
        plain += part;
    }
    plain
}

/// Removes positions from the names of closures and blocks: `{closure@src/lib.rs:1:2: 3:4}`.
fn without_positions(text: &str) -> String {
    let mut parts = text.split('{');
    let mut plain = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        plain.push('{');
        let name = part.split_once('}').and_then(|(inside, rest)| {
            let (kind, name) = inside.split_once('@')?;
            let is_kind = kind.chars().all(|c| c.is_ascii_lowercase() || c == ' ');
            (is_kind && name.contains(':')).then_some((kind, rest))
        });
        match name {
            Some((kind, rest)) => plain = format!("{plain}{kind}}}{rest}"),
            None => plain += part,
        }
    }
    plain
}

/// rustc's rendering of an error in an item of an earlier cell, without the file and its line
/// numbers.
pub(super) fn render_earlier_item(rendered: &str) -> String {
    let lines = rendered.lines().map(|line| {
        if let Some((before, _)) = line.split_once(&format!("--> {FILE}:")) {
            return format!("{before}--> {EARLIER_ITEM}");
        }
        let line = &without_import(line);
        let text = line
            .trim_start()
            .trim_start_matches(|c: char| c.is_ascii_digit());
        let gutter = line.len() - text.len();
        // Suggestions have a sign in place of the bar.
        let is_numbered = line.trim_start().len() > text.len();
        let is_sign = |sign: &str| is_numbered && text.trim_start().starts_with(sign);
        match text.trim_start().starts_with('|') || ["- ", "+ ", "~ "].into_iter().any(is_sign) {
            true => format!("{}{text}", " ".repeat(gutter)),
            false => line.to_owned(),
        }
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Removes the import that follows the definition of a macro.
fn without_import(line: &str) -> String {
    const IMPORT: &str = " pub(crate) use ";
    let (definition, import) = line.rsplit_once(IMPORT).unwrap_or((line, ""));
    let is_import = import.ends_with(';') && definition.ends_with(['}', ';']);
    if is_import { definition } else { line }.to_owned()
}

pub(super) fn plain(message: String) -> Diagnostic {
    Diagnostic {
        message,
        code: None,
        spans: Vec::new(),
        help: Vec::new(),
        rendered: None,
        earlier: None,
    }
}

/// Converts a message of evcxr into a diagnostic: cargo's message, without progress lines.
pub(super) fn diagnostic(message: &str) -> Diagnostic {
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
    // The placeholder package with which evcxr tries out a dependency.
    let text = lines
        .join("\n")
        .replace("package `evcxr_dummy_validate_dep`", "the notebook");
    let text = text.trim();
    let text = text.strip_prefix("error: ").unwrap_or(text);
    // The manifest was written by evcxr; its error follows the path.
    let cause = text
        .strip_prefix(MANIFEST)
        .and_then(|rest| rest.split_once(CAUSE));
    let text = cause.map_or(text, |(_, cause)| cause.trim_start());
    let mut diagnostic = plain(text.to_owned());
    if is_unreachable(text) {
        let help = "there is no network, and not all of it has been downloaded to this machine";
        diagnostic.help.push(help.to_owned());
    } else if text.contains("--offline was specified") || text.contains("offline mode") {
        let help = "this machine does not have it yet: `:offline 0` lets cargo fetch it";
        diagnostic.help.push(help.to_owned());
    }
    diagnostic
}

/// Returns true if cargo's messages report that it could not reach the network.
pub(super) fn is_unreachable(messages: &str) -> bool {
    let parts = [
        "failed to fetch",
        "failed to download",
        "download of ",
        "network error",
        "Could not resolve host",
        "Couldn't resolve host",
    ];
    parts.iter().any(|part| messages.contains(part))
}

/// Returns the line that adds a crate to a notebook, from rustc's suggestion for a package.
pub(super) fn crate_to_add(help: &str) -> Option<String> {
    let (_, rest) = help.split_once("use `cargo add ")?;
    let (name, _) = rest.split_once('`')?;
    Some(format!(
        "if you wanted to use a crate named `{name}`, add it with `:dep {name}`"
    ))
}

/// Adds advice to errors about variables that items cannot access.
pub(super) fn explain_items(
    mut failure: Failure,
    source: &PreparedSource,
    variables: &[(String, String)],
) -> Failure {
    let Failure::Compile { diagnostics } = &mut failure else {
        return failure;
    };
    let lines = source::item_lines(&source.text);
    let declared = source::declared(&source.text);
    for diagnostic in diagnostics {
        let name = match diagnostic.code.as_deref() {
            // Types have the same code.
            Some("E0425") if !diagnostic.message.starts_with("cannot find type") => {
                diagnostic.message.split('`').nth(1).unwrap_or_default()
            }
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

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::DiagnosticSpan;

    #[test]
    fn names_of_the_generated_crate_are_replaced() {
        let diagnostic = without_internal_names(Diagnostic {
            help: vec![
                "within `{closure@src/lib.rs:116:20: 116:27}`, and `{async block@src/lib.rs:1:2}`"
                    .to_owned(),
            ],
            rendered: Some("--> src/lib.rs:1:1 std::option::Option<_>".to_owned()),
            ..plain("`?` couldn't convert the error to `EvcxrUserCodeError`".to_owned())
        });
        assert_eq!(diagnostic.help, ["within `{closure}`, and `{async block}`"]);
        assert_eq!(
            diagnostic.rendered.as_deref(),
            Some("--> cell:1:1 Option<_>")
        );
        let of_dependency = "--> /daten/größe/src/lib.rs:1:1";
        let rendered = Some(of_dependency.to_owned());
        let of_dependency_file = without_internal_names(Diagnostic {
            rendered,
            ..plain(String::new())
        });
        assert_eq!(of_dependency_file.rendered.as_deref(), Some(of_dependency));
        assert!(diagnostic.message.ends_with("to `the error of a cell`"));
    }

    #[test]
    fn included_files_are_not_in_the_folder_of_the_notebook() {
        let message = "couldn't read `src/größe.csv`: No such file or directory (os error 2)";
        for (cell, reading) in [
            (
                "/* ä */ include_str!(\"größe.csv\")",
                Some("read_to_string"),
            ),
            ("/* ä */ std::include_bytes!(\"größe.csv\")", Some("read")),
            ("/* ä */ include!(\"größe.csv\")", None),
            // A macro of the notebook has made it.
            ("/* ä */ table!()", Some("read_to_string")),
        ] {
            let span = DiagnosticSpan {
                start_line: 1,
                start_column: 9,
                end_line: 1,
                end_column: 10,
                label: String::new(),
                primary: true,
            };
            let diagnostic = Diagnostic {
                spans: vec![span],
                ..plain(message.to_owned())
            };
            let diagnostic = with_include_help(diagnostic, cell);
            assert!(
                diagnostic
                    .message
                    .starts_with("couldn't read `größe.csv`: No such")
            );
            let help = &diagnostic.help[0];
            assert!(help.contains("take a full one"), "{help}");
            let call = reading.map(|name| format!("`std::fs::{name}(\"größe.csv\")?`"));
            match call {
                Some(call) => assert!(help.contains(&call), "{cell}: {help}"),
                None => assert!(!help.contains("std::fs"), "{cell}: {help}"),
            }
        }
        let absolute = plain("couldn't read `/a/src/t.csv`: No such file".to_owned());
        assert_eq!(with_include_help(absolute.clone(), ""), absolute);
    }

    #[test]
    fn break_outside_of_a_loop_is_not_about_closures() {
        let span = |label: &str, primary| DiagnosticSpan {
            start_line: 1,
            start_column: 1,
            end_line: 1,
            end_column: 6,
            label: label.to_owned(),
            primary,
        };
        let mut diagnostic = Diagnostic {
            code: Some(IN_CLOSURE.to_owned()),
            spans: vec![span("cannot `break` inside of a closure", true)],
            ..plain("`break` inside of a closure".to_owned())
        };
        let reworded = without_internal_names(diagnostic.clone());
        assert_eq!(reworded.code.as_deref(), Some("E0268"));
        assert_eq!(
            reworded.message,
            "`break` outside of a loop or labeled block"
        );
        assert!(reworded.spans[0].label.ends_with("loop or labeled block"));
        diagnostic.spans.push(span("enclosing closure", false));
        assert_eq!(without_internal_names(diagnostic.clone()), diagnostic);
    }

    #[test]
    fn errors_in_earlier_items_have_no_line_numbers() {
        let rendered = "error[E0609]: no field\n  --> src/lib.rs:112:5\n    |\n112 |     p.y || 1\n    |       ^ unknown\n   ::: /x.rs:1:2";
        let advice = "12 - p.y || 1\n12 + p.x || 1";
        assert_eq!(render_earlier_item(advice), "   - p.y || 1\n   + p.x || 1");
        let defined = "12 | macro_rules! m { () => { 1 } } pub(crate) use m;";
        assert_eq!(
            render_earlier_item(defined),
            "   | macro_rules! m { () => { 1 } }"
        );
        assert_eq!(
            render_earlier_item(rendered),
            "error[E0609]: no field\n  --> an item of an earlier cell\n    |\n    |     p.y || 1\n    |       ^ unknown\n   ::: /x.rs:1:2"
        );
    }

    #[test]
    fn notebook_variables_in_items_are_explained() {
        let source = PreparedSource::unchanged("let here = 1;\nfn f() -> u8 {\n    größe\n}\nhere");
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
        for (name, line, has_help) in [
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
            assert_eq!(!diagnostics[0].help.is_empty(), has_help, "{name} {line}");
        }
    }

    #[test]
    fn missing_crates_are_added_with_dep() {
        let help = "if you wanted to use a crate named `rand`, use `cargo add rand` to add it to your `Cargo.toml`";
        let advice = crate_to_add(help).unwrap();
        assert!(advice.ends_with("add it with `:dep rand`"), "{advice}");
        assert_eq!(crate_to_add("consider importing this"), None);
    }

    #[test]
    fn progress_and_wrappers_are_removed_from_cargos_message() {
        let message = "    Updating index\nerror: no matching package named `x` found\nlocation searched: here";
        assert_eq!(
            diagnostic(message).message,
            "no matching package named `x` found\nlocation searched: here"
        );
        let message = "error: failed\n    \n\npackage `evcxr_dummy_validate_dep` depends on `x`";
        assert_eq!(
            diagnostic(message).message,
            "failed\n\nthe notebook depends on `x`"
        );
        let message = "error: failed to parse manifest at `/cache/größe/Cargo.toml`\n\nCaused by:\n  failed to parse the version requirement `x` for dependency `a`\n\nCaused by:\n  unexpected character";
        assert_eq!(
            diagnostic(message).message,
            "failed to parse the version requirement `x` for dependency `a`\n\nCaused by:\n  unexpected character"
        );
        let message = format!(
            "{NO_ERRORS}\n   Compiling a v1\nerror: failed to download `b`\n\nCaused by:\n  no\n{STDOUT}{{}}\n"
        );
        let diagnostic = diagnostic(&message);
        assert_eq!(
            diagnostic.message,
            "failed to download `b`\n\nCaused by:\n  no"
        );
        assert!(diagnostic.help[0].contains("no network"));
    }
}
