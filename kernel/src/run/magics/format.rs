//! `%fmt`: formats the cell with rustfmt.

use crate::cell::{DirectiveKind, split};
use crate::context::CellContext;
use crate::run::error::CellError;
use crate::run::{Environment, Services};
use ra_ap_rustc_lexer::{FrontmatterAllowed, TokenKind, tokenize};
use std::process::Stdio;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

/// The function that must apply_to statements.
const BEFORE: &str = "fn cell() {\n";
const AFTER: &str = "\n}\n";

/// The indentation of the function's body, in columns.
const INDENT: usize = 4;

/// The line width of the cell, in columns.
const WIDTH: usize = 100;

pub(super) async fn format(
    services: &Services,
    context: &CellContext,
    cell: &str,
) -> Result<(), CellError> {
    let variables = services.local().variables();
    let mut formatted = String::new();
    let mut at = 0;
    // Magics and commands between Rust text are unchanged.
    for directive in split(cell, &variables) {
        if !matches!(directive.kind, DirectiveKind::Rust(_)) {
            continue;
        }
        formatted.push_str(&cell[at..directive.span.start]);
        let code = &cell[directive.span.clone()];
        formatted.push_str(&rustfmt(services.environment(), code).await?);
        at = directive.span.end;
    }
    formatted.push_str(&cell[at..]);
    context.sink().replace_cell(formatted);
    Ok(())
}

async fn rustfmt(environment: &Environment, code: &str) -> Result<String, CellError> {
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
    let text = format!("{BEFORE}{code}{AFTER}");
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
        return Err(match words.contains("is not installed") {
            true => CellError::RustfmtMissing(words),
            false => CellError::Rustfmt(words),
        });
    }
    Ok(unwrapped(&String::from_utf8_lossy(&output.stdout)))
}

/// Returns the statements of the function without its indentation; lines within string literals are
/// unchanged.
fn unwrapped(function: &str) -> String {
    let body = function.strip_prefix(BEFORE).unwrap_or(function);
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
    fn the_function_is_removed_and_string_literals_are_unchanged() {
        let function =
            "fn cell() {\n    let a = \"x\n    y\";\n    if a {\n        b()\n    }\n}\n";
        assert_eq!(
            unwrapped(function),
            "let a = \"x\n    y\";\nif a {\n    b()\n}"
        );
    }
}
