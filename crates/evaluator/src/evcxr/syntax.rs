//! Syntax errors of a cell, before evcxr sees it.
//!
//! evcxr takes a cell apart by what it can parse, and what it cannot it leaves out or wraps into code of
//! its own. So a cell that the parser here does not understand is given to rustc by itself, which says
//! what is wrong with it; if nothing is, the cell is evcxr's.

use super::generated_crate::build_folder;
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan, Failure};
use ra_ap_syntax::{Edition, SourceFile};
use serde_json::Value;
use std::io::Write;
use std::process::{Command, Stdio};

/// What makes statements a crate; the cell's first line is the second.
const BEFORE: &str = "fn cell() {\n";
const AFTER: &str = "\n}";
const LINES_BEFORE: usize = 1;

/// The product that rustc is asked for, below the build folder; there is none if the syntax is wrong.
const PRODUCT: &str = "target/phalanx-syntax.rmeta";

/// The codes of rustc's lexer. What its parser says has no code.
const LEXER: [&str; 8] = [
    "E0758", "E0762", "E0763", "E0765", "E0766", "E0767", "E0748", "E0768",
];

/// What the parser finds behind a cell, and what the user is told.
const OUR_BRACE: &str = "found `}`";
const END_OF_CELL: &str = "found the end of the cell";

/// What rustc says of that brace once another bracket has closed what it should close.
const CLOSED: &str = "unexpected closing delimiter";
const NOT_OPENED: &str = "this cell closes a bracket that it has not opened";

/// Returns the syntax errors of a cell, if it has any.
pub(super) fn errors(cell: &str) -> Option<Failure> {
    let code = format!("{BEFORE}{cell}{AFTER}");
    if SourceFile::parse(&code, Edition::Edition2024)
        .errors()
        .is_empty()
    {
        return None;
    }
    let diagnostics = diagnostics(&of_rustc(&code)?, cell);
    (!diagnostics.is_empty()).then_some(Failure::Compile { diagnostics })
}

/// What rustc says of a crate, a JSON object in each line; `None` if it cannot be run.
fn of_rustc(code: &str) -> Option<String> {
    let mut rustc = Command::new("rustc")
        .args(["--edition=2024", "--crate-type=lib", "--error-format=json"])
        .args([
            "--crate-name=cell",
            "--cap-lints=allow",
            "--emit=metadata",
            "-o",
        ])
        .arg(build_folder()?.join(PRODUCT))
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .ok()?;
    let written = rustc.stdin.take()?.write_all(code.as_bytes());
    let output = rustc.wait_with_output().ok()?;
    written.ok()?;
    Some(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn diagnostics(messages: &str, cell: &str) -> Vec<Diagnostic> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    messages
        .filter_map(|message| diagnostic(&message, cell))
        .collect()
}

/// One of rustc's messages, if it is about syntax.
fn diagnostic(message: &Value, cell: &str) -> Option<Diagnostic> {
    let code = message["code"]["code"].as_str();
    let spans = message["spans"].as_array()?;
    let is_syntax = code.is_none_or(|code| LEXER.contains(&code));
    if message["level"] != "error" || !is_syntax || spans.is_empty() {
        return None;
    }
    let is_behind = |span: &Value| line(&span["line_start"]) > cell.lines().count().max(1);
    let text = message["message"].as_str()?;
    let text = match spans.iter().any(is_behind) {
        true if text.starts_with(CLOSED) => NOT_OPENED.to_owned(),
        true => text.replace(OUR_BRACE, END_OF_CELL),
        false => text.to_owned(),
    };
    let children = message["children"].as_array().into_iter().flatten();
    let help = children.filter(|child| child["level"] == "help");
    let mut spans: Vec<_> = spans.iter().map(|span| place(span, cell)).collect();
    spans.sort_by_key(|span| !span.primary);
    Some(Diagnostic {
        message: text,
        code: code.map(str::to_owned),
        spans,
        help: help
            .filter_map(|child| child["message"].as_str().map(str::to_owned))
            .collect(),
        rendered: None,
    })
}

/// A place in the cell; its end for what stands behind it.
fn place(span: &Value, cell: &str) -> DiagnosticSpan {
    let last = cell.lines().count().max(1);
    let width = |line: usize| {
        let text = cell.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        text.trim_end().chars().count()
    };
    let column = |column: &Value| usize::try_from(column.as_u64().unwrap_or(1)).unwrap_or(1);
    let at = |found: usize, column: usize| match found {
        0 => (1, 1),
        found if found > last => (last, width(last) + 1),
        found => (found, column),
    };
    let (start_line, start_column) = at(line(&span["line_start"]), column(&span["column_start"]));
    let (end_line, end_column) = at(line(&span["line_end"]), column(&span["column_end"]));
    DiagnosticSpan {
        start_line,
        start_column,
        end_line,
        end_column: end_column.max(start_column + usize::from(start_line == end_line)),
        label: span["label"].as_str().unwrap_or_default().to_owned(),
        primary: span["is_primary"] == true,
    }
}

/// The line of the cell, from 1; 0 for what stands before it.
fn line(line: &Value) -> usize {
    let line = line.as_u64().unwrap_or_default();
    usize::try_from(line)
        .unwrap_or_default()
        .saturating_sub(LINES_BEFORE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(cell: &str) -> Vec<(String, usize, usize)> {
        let output = Command::new("rustc")
            .args(["--edition=2024", "--crate-type=lib", "--error-format=json"])
            .args(["--emit=metadata", "-o", "/dev/null", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .and_then(|mut rustc| {
                let code = format!("{BEFORE}{cell}{AFTER}");
                rustc.stdin.take().unwrap().write_all(code.as_bytes())?;
                rustc.wait_with_output()
            });
        let messages = String::from_utf8(output.unwrap().stderr).unwrap();
        let found = diagnostics(&messages, cell).into_iter();
        let place = |found: Diagnostic| {
            let span = &found.spans[0];
            (found.message, span.start_line, span.start_column)
        };
        found.map(place).collect()
    }

    #[test]
    fn syntax_errors_are_told_where_they_are() {
        for (cell, message, line, column) in [
            ("let = ;", "expected pattern, found `=`", 1, 5),
            (
                "let größe = 1;\n1 +",
                "expected expression, found the end of the cell",
                2,
                4,
            ),
            (
                "let a = std::",
                "expected identifier, found the end of the cell",
                1,
                14,
            ),
            ("/* open", "unterminated block comment", 1, 1),
            ("}", NOT_OPENED, 1, 2),
        ] {
            let expected = [(message.to_owned(), line, column)];
            assert_eq!(told(cell), expected, "{cell}");
        }
    }

    #[test]
    fn what_is_no_syntax_error_is_evcxrs_business() {
        for cell in ["undefined()", "f().await", "let a: u8 = \"\";"] {
            assert_eq!(told(cell), [], "{cell}");
        }
        assert_eq!(errors("let größe = vec![1]; größe.len()"), None);
    }
}
