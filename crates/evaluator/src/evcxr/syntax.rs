//! Errors of a cell that are detected before it is passed to evcxr: syntax errors, and names that
//! are defined twice.
//!
//! evcxr splits a cell into the parts it can parse, and omits the others or wraps them in code of
//! its own; of two items with the same name it keeps the last, since items of earlier cells are
//! replaced. So a cell that the parser here does not accept, or that defines a name more than once,
//! is first passed to rustc alone, whose errors are reported; if there are none, the cell is passed
//! to evcxr.

use super::error_subject::ErrorSubject;
use super::generated_crate::build_folder;
use super::{conditions, habits, source, sysroot_crates};
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan, Failure};
use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{Edition, NodeOrToken, SourceFile, SyntaxKind};
use serde_json::Value;
use std::collections::HashSet;
use std::io::Write;
use std::process::{Command, Stdio};

/// The function that makes a crate of a cell's statements.
const BEFORE: &str = "fn cell() {\n";
const AFTER: &str = "\n}";
/// The number of lines of that function before the cell.
const LINES_BEFORE: usize = 1;

/// The requested product of rustc, relative to the build folder; not created if there are syntax
/// errors.
const PRODUCT: &str = "target/phalanx-syntax.rmeta";

/// The error codes of rustc's lexer. Errors of its parser have no code.
const LEXER: [&str; 8] = [
    "E0758", "E0762", "E0763", "E0765", "E0766", "E0767", "E0748", "E0768",
];

/// The error codes for names that are defined more than once.
const DEFINED_TWICE: [&str; 5] = ["E0428", "E0252", "E0254", "E0255", "E0260"];

/// rustc's text for the brace at the end of that function.
const WRAPPER_BRACE: &str = "found `}`";
/// The replacement for [`WRAPPER_BRACE`].
const END_OF_CELL: &str = "found the end of the cell";

/// The start of rustc's message about that brace, if a bracket of the cell has closed the function.
const UNEXPECTED_CLOSING: &str = "unexpected closing delimiter";
/// The replacement for [`UNEXPECTED_CLOSING`].
const NOT_OPENED: &str = "this cell closes a bracket that it has not opened";

/// A word of rustc's messages about brackets. If the cell leaves one open, they speak of it and of the
/// brace at the end of that function, which does not match.
const BRACKET: &str = "delimiter";
/// The start of rustc's label for a bracket that is left open.
const OPEN_LABEL: &str = "unclosed delimiter";
/// A part of rustc's message if the brace before the cell is the one that is left open.
const WRAPPER_LEFT_OPEN: &str = "contains an unclosed delimiter";
/// The replacement for messages about a bracket that the cell leaves open.
const NOT_CLOSED: &str = "this cell opens a bracket that it does not close";

/// Returns a cell in the form in which it is compiled: terminated, without disabled code, with
/// imports of what is in `std`, and with a call of its `main`.
///
/// # Errors
/// Returns an error if the cell has errors that do not depend on other cells.
pub(super) fn checked(cell: &str) -> Result<String, Failure> {
    let cell = source::with_semicolon(cell);
    if let Some(failure) = errors(&cell) {
        return Err(failure);
    }
    let cell = conditions::resolved(&cell);
    let mut cell = sysroot_crates::imported(&cell).into_owned();
    if let Some(call) = source::call_of_main(&cell) {
        cell.push_str(call);
    }
    Ok(cell)
}

/// Returns the errors of a cell that do not depend on other cells, if it has any.
fn errors(cell: &str) -> Option<Failure> {
    let code = format!("{BEFORE}{cell}{AFTER}");
    let parsed = SourceFile::parse(&code, Edition::Edition2024);
    let codes: &[&str] = match parsed.errors().is_empty() {
        false => &LEXER,
        true if defines_twice(cell) => &DEFINED_TWICE,
        true => return None,
    };
    let mut diagnostics = diagnostics(&messages_of(&code)?, cell, codes);
    for diagnostic in &mut diagnostics {
        habits::explain(diagnostic, cell, ErrorSubject::default());
    }
    (!diagnostics.is_empty()).then_some(Failure::Compile { diagnostics })
}

/// Returns true if a cell may define a name more than once: some definitions, such as a function
/// and a type, do not conflict.
fn defines_twice(cell: &str) -> bool {
    let mut names = HashSet::new();
    let items = source::items(cell).into_iter();
    let defined = items.flat_map(|item| match item {
        // The second one shadows the first, as in a file.
        ast::Item::MacroRules(_) => Vec::new(),
        ast::Item::Use(import) => {
            let trees = import.syntax().descendants().filter_map(ast::UseTree::cast);
            trees.filter_map(|tree| imported(&tree)).collect()
        }
        item => {
            let name = item.syntax().children().find_map(ast::Name::cast);
            name.map(|name| name.text().to_string())
                .into_iter()
                .collect()
        }
    });
    let mut defined = defined.filter(|name| name != "_");
    defined.any(|name| !names.insert(name))
}

/// Returns the name defined by a part of an import.
fn imported(tree: &ast::UseTree) -> Option<String> {
    if tree.use_tree_list().is_some() || tree.star_token().is_some() {
        return None;
    }
    if let Some(rename) = tree.rename() {
        return Some(rename.name()?.text().to_string());
    }
    let path = tree.path()?;
    let last = path.segment()?.name_ref()?.text().to_string();
    let Some(outer) = tree.parent_use_tree_list().filter(|_| last == "self") else {
        return Some(last);
    };
    let outer = ast::UseTree::cast(outer.syntax().parent()?)?;
    Some(outer.path()?.segment()?.name_ref()?.text().to_string())
}

/// Compiles a crate as far as its metadata; returns rustc's messages as lines of JSON, `None` if it
/// cannot be run.
fn messages_of(code: &str) -> Option<String> {
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

/// Converts the messages about a cell that have one of these codes; see [`diagnostic`].
fn diagnostics(messages: &str, cell: &str, codes: &[&str]) -> Vec<Diagnostic> {
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok());
    let mut diagnostics: Vec<Diagnostic> = messages
        .filter_map(|message| diagnostic(&message, cell, codes))
        .collect();
    // If the brace after the cell closes a bracket of the cell, the unclosed one is the brace
    // before the cell.
    let is_reported = diagnostics
        .iter()
        .any(|diagnostic| diagnostic.message == NOT_CLOSED);
    let is_about_wrapper = |diagnostic: &Diagnostic| diagnostic.message.contains(WRAPPER_LEFT_OPEN);
    if is_reported {
        diagnostics.retain(|diagnostic| !is_about_wrapper(diagnostic));
    }
    for diagnostic in diagnostics
        .iter_mut()
        .filter(|diagnostic| is_about_wrapper(diagnostic))
    {
        if let Some(at) = unclosed(cell) {
            let (line, column) = source::position(&cell[..at]);
            diagnostic.message = NOT_CLOSED.to_owned();
            diagnostic.spans = vec![DiagnosticSpan {
                start_line: line,
                start_column: column,
                end_line: line,
                end_column: column + 1,
                label: OPEN_LABEL.to_owned(),
                primary: true,
            }];
        }
    }
    diagnostics
}

/// Returns the offset of the last bracket of a cell that is unclosed or mismatched.
fn unclosed(cell: &str) -> Option<usize> {
    let parsed = SourceFile::parse(cell, Edition::Edition2024);
    let tokens = parsed.syntax_node().descendants_with_tokens();
    let mut open = Vec::new();
    for token in tokens.filter_map(NodeOrToken::into_token) {
        let (kind, at) = (token.kind(), usize::from(token.text_range().start()));
        match kind {
            SyntaxKind::L_PAREN | SyntaxKind::L_BRACK | SyntaxKind::L_CURLY => {
                open.push((kind, at))
            }
            SyntaxKind::R_PAREN | SyntaxKind::R_BRACK | SyntaxKind::R_CURLY => {
                let (opening, at) = open.pop()?;
                let is_of_kind = matches!(
                    (opening, kind),
                    (SyntaxKind::L_PAREN, SyntaxKind::R_PAREN)
                        | (SyntaxKind::L_BRACK, SyntaxKind::R_BRACK)
                        | (SyntaxKind::L_CURLY, SyntaxKind::R_CURLY)
                );
                if !is_of_kind {
                    return Some(at);
                }
            }
            _ => {}
        }
    }
    open.pop().map(|(_, at)| at)
}

/// Converts a message of rustc's, if it has one of these codes, or no code, as those of its parser.
fn diagnostic(message: &Value, cell: &str, codes: &[&str]) -> Option<Diagnostic> {
    let code = message["code"]["code"].as_str();
    let spans = message["spans"].as_array()?;
    let is_relevant = code.map_or(codes == LEXER, |code| codes.contains(&code));
    if message["level"] != "error" || !is_relevant || spans.is_empty() {
        return None;
    }
    let last = cell.lines().count().max(1);
    let is_after_cell = |span: &Value| line(&span["line_start"]) > last;
    let is_inside = |span: &&Value| (1..=last).contains(&line(&span["line_start"]));
    let text = message["message"].as_str()?;
    let is_open = text.contains(BRACKET)
        && !text.starts_with(UNEXPECTED_CLOSING)
        && spans.iter().any(|span| is_inside(&span));
    let text = match spans.iter().any(is_after_cell) {
        true if text.starts_with(UNEXPECTED_CLOSING) => NOT_OPENED.to_owned(),
        true if is_open => NOT_CLOSED.to_owned(),
        true => text.replace(WRAPPER_BRACE, END_OF_CELL),
        false => text.to_owned(),
    };
    let children = message["children"].as_array().into_iter().flatten();
    let help = children.filter(|child| child["level"] == "help");
    // The brackets around the cell are not the user's.
    let has_inside = spans.iter().any(|span| is_inside(&span));
    let is_before = |span: &Value| line(&span["line_start"]) == 0;
    let spans = spans.iter().filter(|span| {
        let is_around = is_open && !is_inside(span) || has_inside && is_before(span);
        !is_around
    });
    let mut spans: Vec<_> = spans.map(|span| cell_span(span, cell)).collect();
    if is_open {
        for span in &mut spans {
            span.label.truncate(span.label.trim_end_matches('.').len());
            span.primary |= span.label.starts_with(OPEN_LABEL);
        }
    }
    spans.sort_by_key(|span| !span.primary);
    Some(Diagnostic {
        message: text,
        code: code.map(str::to_owned),
        spans,
        help: help
            .filter_map(|child| child["message"].as_str().map(str::to_owned))
            .collect(),
        rendered: None,
        earlier: None,
    })
}

/// Returns a span in the cell; text after the cell is mapped to its end.
fn cell_span(span: &Value, cell: &str) -> DiagnosticSpan {
    let last = cell.lines().count().max(1);
    let width = |line: usize| {
        let text = cell.lines().nth(line.saturating_sub(1)).unwrap_or_default();
        text.trim_end().chars().count()
    };
    let column = |column: &Value| usize::try_from(column.as_u64().unwrap_or(1)).unwrap_or(1);
    let position = |line: usize, column: usize| match line {
        0 => (1, 1),
        line if line > last => (last, width(last) + 1),
        line => (line, column),
    };
    let (start_line, start_column) =
        position(line(&span["line_start"]), column(&span["column_start"]));
    let (end_line, end_column) = position(line(&span["line_end"]), column(&span["column_end"]));
    DiagnosticSpan {
        start_line,
        start_column,
        end_line,
        end_column: end_column.max(start_column + usize::from(start_line == end_line)),
        label: span["label"].as_str().unwrap_or_default().to_owned(),
        primary: span["is_primary"] == true,
    }
}

/// Returns the line of the cell, from 1; 0 for text before it.
fn line(line: &Value) -> usize {
    let line = line.as_u64().unwrap_or_default();
    usize::try_from(line)
        .unwrap_or_default()
        .saturating_sub(LINES_BEFORE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors_of(cell: &str) -> Vec<(String, usize, usize)> {
        let cell = &*source::with_semicolon(cell);
        // Not /dev/null, which rustc would replace if permitted.
        let folder = tempfile::tempdir().unwrap();
        let output = Command::new("rustc")
            .args(["--edition=2024", "--crate-type=lib", "--error-format=json"])
            .args(["--emit=metadata", "-o"])
            .arg(folder.path().join("cell.rmeta"))
            .arg("-")
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
        let codes: &[&str] = if defines_twice(cell) {
            &DEFINED_TWICE
        } else {
            &LEXER
        };
        let diagnostics = diagnostics(&messages, cell, codes).into_iter();
        let position = |diagnostic: Diagnostic| {
            let span = &diagnostic.spans[0];
            (diagnostic.message, span.start_line, span.start_column)
        };
        diagnostics.map(position).collect()
    }

    #[test]
    fn syntax_errors_have_positions_in_the_cell() {
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
            (
                "let a = loop\n",
                "expected `{`, found the end of the cell",
                1,
                13,
            ),
            (
                "let a = 1 2",
                "expected one of `.`, `;`, `?`, `else`, or an operator, found `2`",
                1,
                11,
            ),
            ("/* open", "unterminated block comment", 1, 1),
            ("}", NOT_OPENED, 1, 2),
            ("let größe = f(1, 2;", NOT_CLOSED, 1, 14),
            ("1;\nfn f() {\n    if true {\n", NOT_CLOSED, 2, 8),
            (
                "let größe = 1;\nuse std::io::{Read, Write;\nf();",
                NOT_CLOSED,
                2,
                14,
            ),
            (
                "use a):b;\nf.n3).c();",
                "unexpected closing delimiter: `)`",
                2,
                5,
            ),
        ] {
            let expected = [(message.to_owned(), line, column)];
            assert_eq!(errors_of(cell), expected, "{cell}");
        }
    }

    #[test]
    fn names_defined_twice_in_a_cell_are_reported() {
        let defined = |name: &str| format!("the name `{name}` is defined multiple times");
        for (cell, name, line) in [
            ("struct S;\nenum S { A }", "S", 2),
            ("use std::cmp::max;\nfn max() {}", "max", 2),
            ("use std::{cmp::max,\n mem::swap as max};", "max", 2),
        ] {
            assert_eq!(errors_of(cell)[0].0, defined(name), "{cell}");
            assert_eq!(errors_of(cell)[0].1, line, "{cell}");
        }
        for cell in [
            "fn S() {} mod S {}",
            "#[cfg(unix)] fn f() {}\n#[cfg(not(unix))] fn f() {}",
            "macro_rules! m { () => {} }\nmacro_rules! m { () => {} }",
            "use std::fmt::{self, Debug as _, Display as _}; mod m { fn fmt() {} }",
            "struct S { a: u8 }\nimpl S { fn a() {} }\nfn a() {}",
        ] {
            assert_eq!(errors_of(cell), [], "{cell}");
        }
    }

    #[test]
    fn other_errors_are_left_to_evcxr() {
        for cell in ["undefined()", "f().await", "let a: u8 = \"\";"] {
            assert_eq!(errors_of(cell), [], "{cell}");
        }
        assert_eq!(errors("let größe = vec![1]; größe.len()"), None);
    }
}
