//! `%fmt`: formats the cell with rustfmt.

use crate::cell::{DirectiveKind, FUNCTION_HEAD, RustText, split};
use crate::context::CellContext;
use crate::report::Fault;
use crate::run::error::CellError;
use crate::run::{Environment, Local};
use crate::source_map::SourceMap;
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan, Failure};
use ra_ap_rustc_lexer::{FrontmatterAllowed, TokenKind, tokenize};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The text after the statements, as rustfmt writes it.
const FUNCTION_END: &str = "\n}\n";

/// The number of lines before the statements.
const LINES_BEFORE: usize = 1;

/// The indentation of the function's body, in columns.
const INDENT: usize = 4;

/// The line width of the cell, in columns.
const WIDTH: usize = 100;

pub(super) async fn format(
    local: &Local,
    environment: &Environment,
    context: &CellContext,
    body: &RustText,
) -> Result<(), Fault> {
    let cell = &body.source;
    let variables = local.variables();
    let mut formatted = String::new();
    let mut at = 0;
    // Magics and commands between Rust text are unchanged.
    for directive in split(cell, &variables) {
        if !matches!(directive.kind, DirectiveKind::Rust(_)) {
            continue;
        }
        formatted.push_str(&cell[at..directive.span.start]);
        let code = &cell[directive.span.clone()];
        let rustfmt = rustfmt(environment, code).await?;
        let text = rustfmt.map_err(|diagnostics| {
            let map = SourceMap::starting_at(cell, directive.span.start).within(&body.map);
            Fault::at(Failure::Compile { diagnostics }, context.location(map))
        })?;
        formatted.push_str(&text);
        at = directive.span.end;
    }
    formatted.push_str(&cell[at..]);
    context.sink().replace_cell(formatted);
    Ok(())
}

/// Formats code; returns the errors of code that rustfmt cannot parse.
async fn rustfmt(
    environment: &Environment,
    code: &str,
) -> Result<Result<String, Vec<Diagnostic>>, Failure> {
    let mut command = Command::new("rustfmt");
    environment.apply_to(&mut command);
    let mut child = command
        .args(["--edition", "2024", "--emit", "stdout", "--config"])
        .arg(format!("max_width={}", WIDTH + INDENT))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(CellError::RustfmtStart)?;
    let mut stdin = child.stdin.take();
    let text = format!("{FUNCTION_HEAD}{code}{FUNCTION_END}");
    let write = async {
        if let Some(mut stdin) = stdin.take() {
            // A failing rustfmt may not read its stdin; its status is checked below.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
    };
    let ((), output) = tokio::join!(write, child.wait_with_output());
    let output = output.map_err(CellError::RustfmtStart)?;
    let words = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        let words = words.trim().to_owned();
        // The text of rustup if the toolchain lacks rustfmt.
        if words.contains("is not installed") {
            return Err(CellError::RustfmtMissing(words).into());
        }
        return match errors(&words, code) {
            errors if errors.is_empty() => Err(CellError::Rustfmt(words).into()),
            errors => Ok(Err(errors)),
        };
    }
    Ok(Ok(unwrapped(&String::from_utf8_lossy(&output.stdout))))
}

/// Reads the errors that rustfmt prints about the function around `code`, without the lines that
/// are not the user's.
fn errors(printed: &str, code: &str) -> Vec<Diagnostic> {
    let mut found: Vec<Diagnostic> = Vec::new();
    let mut line = 0;
    for text in printed.lines() {
        let header = text.strip_prefix("error").and_then(|rest| {
            let (code, message) = rest.split_once(": ")?;
            Some((code.trim_matches(['[', ']']), message))
        });
        if let Some((error_code, message)) = header {
            found.push(Diagnostic {
                message: message.replace("this file contains", "this cell contains"),
                code: (!error_code.is_empty()).then(|| error_code.to_owned()),
                spans: Vec::new(),
                help: Vec::new(),
                rendered: None,
                earlier: None,
            });
            continue;
        }
        let Some(error) = found.last_mut() else {
            continue;
        };
        if let Some((line, column)) = text.trim_start().strip_prefix("--> ").and_then(position) {
            error.spans.push(span(code, line, column));
        } else if let Some((number, marked)) = text.split_once('|') {
            match number.trim().parse() {
                Ok(number) => line = number,
                Err(_) => mark(error, code, line, marked),
            }
        }
    }
    found
}

/// Reads `<stdin>:3:9`.
fn position(text: &str) -> Option<(usize, usize)> {
    let (rest, column) = text.trim_end().rsplit_once(':')?;
    let (_, line) = rest.rsplit_once(':')?;
    Some((line.parse().ok()?, column.parse().ok()?))
}

/// Returns the primary span of one character at a position in the function, at the end of the code
/// if it is behind that.
fn span(code: &str, line: usize, column: usize) -> DiagnosticSpan {
    let last = code.lines().count().max(1);
    let (line, column) = match line.saturating_sub(LINES_BEFORE) {
        0 => (1, 1),
        line if line > last => {
            let text = code.lines().last().unwrap_or_default();
            (last, text.chars().count() + 1)
        }
        line => (line, column),
    };
    DiagnosticSpan {
        start_line: line,
        start_column: column,
        end_line: line,
        end_column: column + 1,
        label: String::new(),
        primary: true,
    }
}

/// Adds the extent and the label of the primary span from the line of carets below `line`; those of
/// several spans are not distinguished.
fn mark(error: &mut Diagnostic, code: &str, line: usize, marked: &str) {
    let Some(span) = error.spans.first_mut() else {
        return;
    };
    let line = line.saturating_sub(LINES_BEFORE);
    let carets = marked
        .trim_start()
        .chars()
        .take_while(|c| *c == '^')
        .count();
    // One space separates the bar from the text.
    let column = marked.chars().take_while(|c| *c == ' ').count();
    let is_of_code = (1..=code.lines().count()).contains(&line);
    if carets > 0 && is_of_code && (span.start_line, span.start_column) == (line, column) {
        span.end_column = column + carets;
        span.label = marked.trim_start_matches([' ', '^']).to_owned();
    }
}

/// Returns the statements of the function without its indentation; lines within string literals are
/// unchanged.
fn unwrapped(function: &str) -> String {
    let body = function.strip_prefix(FUNCTION_HEAD).unwrap_or(function);
    let body = body.trim_end();
    let body = body.strip_suffix('}').unwrap_or(body).trim_end();
    let mut within_text = Vec::new();
    let mut at = 0;
    for token in tokenize(body, FrontmatterAllowed::No) {
        let end = at + token.len as usize;
        if matches!(token.kind, TokenKind::Literal { .. }) {
            within_text.push(at..end);
        }
        at = end;
    }
    let mut text = String::new();
    let mut start = 0;
    for line in body.split_inclusive('\n') {
        let is_text = within_text
            .iter()
            .any(|span| span.start < start && start < span.end);
        let margin = " ".repeat(INDENT);
        text.push_str(match is_text {
            true => line,
            false => line.strip_prefix(&margin).unwrap_or(line),
        });
        start += line.len();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_rustfmt_have_their_place_in_the_cell() {
        let printed = "error[E0765]: expected pattern, found `=`\n --> <stdin>:3:5\n  |\n3 | let = 5;\n  \
                       |     ^ expected pattern\n\nerror: this file contains an unclosed delimiter\n --> \
                       <stdin>:5:3\n  |\n1 | fn cell() {\n  |           - unclosed delimiter\n...\n5 | }\n  |  ^\n";
        let code = "let a = 1;\nlet = 5;\nif a {";
        let found = errors(printed, code);
        assert_eq!(found[0].code.as_deref(), Some("E0765"));
        assert_eq!(found[0].message, "expected pattern, found `=`");
        assert_eq!(
            found[0].spans,
            [DiagnosticSpan {
                start_line: 2,
                start_column: 5,
                end_line: 2,
                end_column: 6,
                label: "expected pattern".to_owned(),
                primary: true,
            }]
        );
        assert_eq!(found[1].message, "this cell contains an unclosed delimiter");
        let end = &found[1].spans[0];
        assert_eq!((end.start_line, end.start_column), (3, 7));
        assert_eq!(end.label, "");
        assert!(errors("rustfmt: no such thing", code).is_empty());
    }

    #[test]
    fn the_function_is_removed_and_string_literals_are_unchanged() {
        let function =
            "fn cell() {\n    let a = \"x\n    y\";\n    if a {\n        b()\n    }\n}\n";
        assert_eq!(
            unwrapped(function),
            "let a = \"x\n    y\";\nif a {\n    b()\n}"
        );
    }
}
