//! Help for code written in Python's syntax.

use phalanx_protocol::failure::Diagnostic;

/// Adds to each error the Rust code, or the command, that corresponds to another language's syntax.
pub(super) fn explain(diagnostics: &mut [Diagnostic], cell: &str) {
    for diagnostic in diagnostics {
        let help = help(diagnostic, cell);
        diagnostic.help.extend(help.map(str::to_owned));
    }
}

fn help(diagnostic: &Diagnostic, cell: &str) -> Option<&'static str> {
    let primary = diagnostic.spans.iter().find(|span| span.primary)?;
    let line = cell.lines().nth(primary.start_line.checked_sub(1)?)?;
    let from_there: String = line
        .chars()
        .skip(primary.start_column.checked_sub(1)?)
        .collect();
    let is_of_name = |c: char| c.is_alphanumeric() || c == '_';
    let behind = from_there.trim_start_matches(is_of_name);
    let word = &from_there[..from_there.len() - behind.len()];
    // rustc itself suggests it at the end of a statement.
    let is_told = |help: &String| help.contains("introduce a new binding");
    if diagnostic.help.iter().any(is_told) {
        return None;
    }
    match diagnostic.code.as_deref() {
        None => syntax(line.trim_start(), word == "f" && behind.starts_with('"')),
        Some("E0425") => name(word, behind.trim_start()),
        Some("E0614") if line.contains("**") => {
            Some("`x.pow(3)` raises an integer to a power, `x.powi(3)` and `x.powf(0.5)` a float")
        }
        _ => None,
    }
}

/// The help for a line that is not Rust; `is_formatted` is true for an error at `f"…"`.
fn syntax(line: &str, is_formatted: bool) -> Option<&'static str> {
    let first = line.split_whitespace().next().unwrap_or_default();
    match first {
        "import" | "from" => {
            Some("`use` brings names into scope, and `:dep name = \"1\"` adds a crate")
        }
        "assert" => Some("`assert!(condition)` is a macro"),
        "lambda" => Some("`|x| x + 1` is a closure"),
        "del" => Some("`drop(x)` ends a variable"),
        "#" => Some("`//` begins a comment"),
        "?" => Some("`:help` says what there is, and `name?` shows the documentation of a name"),
        "_" => Some("values of earlier cells are not kept: name one with `let`"),
        _ if first.starts_with("type(") => {
            Some("`:types` shows the types of values, and `name?` that of a variable")
        }
        _ if is_formatted => Some("`format!(\"{x}\")` makes a text with values in it"),
        _ if line.contains(" elif ") || line.starts_with("elif ") => {
            Some("`else if` begins another condition")
        }
        _ if line.ends_with(':') => Some("blocks stand in braces: `{ … }`"),
        _ if is_tuple_assignment(line) => Some("`let (a, b) = (1, 2);` declares two variables"),
        _ => None,
    }
}

/// Returns true for a tuple assignment, `a, b = …`.
fn is_tuple_assignment(line: &str) -> bool {
    let is_name = |name: &str| {
        let name = name.trim();
        !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || c == '_')
    };
    let targets = line.split_once('=').map(|(targets, _)| targets);
    targets.is_some_and(|targets| targets.contains(',') && targets.split(',').all(is_name))
}

/// The help for an unknown name, given the text behind it.
fn name(name: &str, behind: &str) -> Option<&'static str> {
    const CHANGES: [&str; 5] = ["+=", "-=", "*=", "/=", "%="];
    match (name, behind.chars().next()) {
        ("help" | "dir", Some('(')) => Some("`Vec?` shows the documentation of a name"),
        ("input", Some('(')) => Some("`phalanx::input(\"name\")?` asks for a line"),
        ("exit" | "quit", _) => Some("`:quit` ends the kernel"),
        ("Out" | "In", Some('[')) => {
            Some("values of earlier cells are not kept: name one with `let`")
        }
        ("len", Some('(')) => Some("a length is a method: `x.len()`"),
        ("range", Some('(')) => Some("`0..10` is a range"),
        ("str", Some('(')) => Some("`x.to_string()` makes a text"),
        (_, Some('=')) if !behind.starts_with("==") && !behind.starts_with("=>") => {
            Some("a variable is declared with `let`: `let mut x = 5;` if it is to change")
        }
        _ if CHANGES.iter().any(|change| behind.starts_with(change)) => {
            Some("a variable is declared before it changes: `let mut x = 0;`")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::failure::DiagnosticSpan;

    fn told(cell: &str, code: Option<&str>, column: usize) -> String {
        let mut diagnostics = [Diagnostic {
            message: "no".to_owned(),
            code: code.map(str::to_owned),
            rendered: None,
            help: Vec::new(),
            spans: vec![DiagnosticSpan {
                start_line: 1,
                start_column: column,
                end_line: 1,
                end_column: column + 1,
                label: String::new(),
                primary: true,
            }],
        }];
        explain(&mut diagnostics, cell);
        diagnostics[0].help.concat()
    }

    #[test]
    fn habits_of_python_are_answered() {
        for (cell, code, column, part) in [
            ("größe = 5", Some("E0425"), 1, "`let mut x = 5;`"),
            ("n += 1", Some("E0425"), 1, "before it changes"),
            ("/* ä */ len(v)", Some("E0425"), 9, "`x.len()`"),
            ("for i in range(10) {}", Some("E0425"), 10, "`0..10`"),
            ("help(Vec)", Some("E0425"), 1, "`Vec?`"),
            ("exit()", Some("E0425"), 1, ":quit"),
            ("Out[3]", Some("E0425"), 1, "`let`"),
            ("2**3", Some("E0614"), 2, "pow"),
            ("import numpy as np", None, 8, ":dep"),
            ("from math import sqrt", None, 6, "`use`"),
            ("a, b = 1, 2", None, 2, "(a, b)"),
            ("f\"{x}\"", None, 1, "format!"),
            ("let s = f\"{x}\";", None, 9, "format!"),
            ("assert x == 1", None, 8, "assert!"),
            ("if x > 1:", None, 9, "braces"),
            ("# a comment", None, 3, "//"),
            ("x = lambda", Some("E0425"), 1, "let"),
        ] {
            let help = told(cell, code, column);
            assert!(help.contains(part), "{cell}: {help:?}");
        }
    }

    #[test]
    fn rust_is_left_alone() {
        for (cell, code, column) in [
            ("distence == 5", Some("E0425"), 1),
            ("compute(1)", Some("E0425"), 1),
            ("let a = 1 let b", None, 11),
            ("v[1, 2] = 3;", None, 4),
            ("*n", Some("E0614"), 1),
        ] {
            assert_eq!(told(cell, code, column), "", "{cell}");
        }
    }
}
