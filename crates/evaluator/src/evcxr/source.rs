//! What is done to a cell's source before evcxr sees it.

use phalanx_protocol::failure::DiagnosticSpan;
use ra_ap_syntax::ast::{self, AstNode, HasModuleItem};
use ra_ap_syntax::{Edition, SourceFile};
use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

/// What the parser wants around statements; the source stays on its own lines.
const BEFORE: &str = "fn cell() {\n";
const AFTER: &str = "\n}";

/// Put before the last expression.
const OPEN: &str = "&(";

/// A source as evcxr gets it, and how to find the way back.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Prepared {
    /// The text to evaluate.
    pub(super) text: String,
    /// Where the user's last expression stands, if the source ends in one.
    pub(super) last_expression: Option<DiagnosticSpan>,
    /// Line and column (from 1, in characters) where [`OPEN`] was put.
    wrapped_at: Option<(usize, usize)>,
}

/// Makes the last expression `E` into `&(E)`.
///
/// evcxr shows it by `(E).evcxr_display()`. The prelude's trait is implemented for references, so
/// that types which have an `evcxr_display` of their own, by a method or by another trait, keep
/// theirs; a value has to be a reference for the prelude's to be found without a second compile.
pub(super) fn prepare(source: &str) -> Prepared {
    let plain = Prepared::unchanged(source);
    let Some((expression, range)) = last_expression(source) else {
        return plain;
    };
    let (before, rest) = source.split_at(range.start);
    let (inside, after) = rest.split_at(range.end - range.start);
    if matches!(expression, ast::Expr::RefExpr(_)) {
        return plain;
    }
    Prepared {
        text: format!("{before}{OPEN}{inside}){after}"),
        wrapped_at: Some(position(before)),
        ..plain
    }
}

/// Line and column (from 1, in characters) just behind a text.
fn position(text: &str) -> (usize, usize) {
    let line = text.matches('\n').count() + 1;
    let last = text.rsplit('\n').next().unwrap_or_default();
    (line, last.chars().count() + 1)
}

/// The last expression and its bytes, at character boundaries of the source.
fn last_expression(source: &str) -> Option<(ast::Expr, Range<usize>)> {
    let parsed = SourceFile::parse(&format!("{BEFORE}{source}{AFTER}"), Edition::Edition2024);
    if !parsed.errors().is_empty() {
        return None;
    }
    let mut items = parsed.tree().items();
    let (Some(ast::Item::Fn(function)), None) = (items.next(), items.next()) else {
        return None;
    };
    let expression = function.body()?.stmt_list()?.tail_expr()?;
    let range = expression.syntax().text_range();
    let start = usize::from(range.start()).checked_sub(BEFORE.len())?;
    let end = usize::from(range.end()).checked_sub(BEFORE.len())?;
    source.get(start..end)?;
    Some((expression, start..end))
}

impl Prepared {
    /// A source as it is.
    pub(super) fn unchanged(source: &str) -> Self {
        Self {
            text: source.to_owned(),
            last_expression: last_expression(source).map(|(_, range)| {
                let (start_line, start_column) = position(&source[..range.start]);
                let (end_line, end_column) = position(&source[..range.end]);
                DiagnosticSpan {
                    start_line,
                    start_column,
                    end_line,
                    end_column,
                    label: String::new(),
                    primary: true,
                }
            }),
            wrapped_at: None,
        }
    }

    /// Whether it ends in an expression, whose value is to be shown.
    pub(super) fn has_result(&self) -> bool {
        self.last_expression.is_some()
    }

    /// The column in the user's source of a place in the text evcxr was given.
    pub(super) fn column(&self, line: usize, column: usize) -> usize {
        match self.wrapped_at {
            Some((at, start)) if at == line && column > start => {
                column.saturating_sub(OPEN.len()).max(start)
            }
            _ => column,
        }
    }
}

/// Where evcxr keeps what it has compiled, below the build folder.
const COMPILED: &str = "src/lib.rs";

/// Lines of the file evcxr compiled last that are a line of this source and of no other place.
pub(super) fn line_map(source: &str) -> Vec<(u32, u32)> {
    let Some(folder) = std::env::var_os(crate::handle::BUILD_FOLDER_VAR) else {
        return Vec::new();
    };
    // Without the file, panics are reported without their lines.
    let compiled = std::fs::read_to_string(Path::new(&folder).join(COMPILED)).unwrap_or_default();
    unique_lines(&compiled, source)
}

fn unique_lines(compiled: &str, source: &str) -> Vec<(u32, u32)> {
    fn places(text: &str) -> HashMap<&str, Option<u32>> {
        let mut places = HashMap::new();
        for (number, line) in (1..).zip(text.lines()) {
            let place = places.entry(line.trim()).or_insert(Some(number));
            if *place != Some(number) {
                *place = None;
            }
        }
        places
    }
    let compiled = places(compiled);
    let mut lines = places(source)
        .into_iter()
        .filter(|(line, _)| line.chars().any(char::is_alphanumeric))
        .filter_map(|(line, place)| Some(((*compiled.get(line)?)?, place?)))
        .collect::<Vec<_>>();
    lines.sort_unstable();
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(source: &str, text: &str, has_result: bool) {
        let prepared = prepare(source);
        assert_eq!(
            (prepared.text.as_str(), prepared.has_result()),
            (text, has_result),
            "{source:?}"
        );
    }

    #[test]
    fn the_last_expression_becomes_a_reference() {
        check("1 + 1", "&(1 + 1)", true);
        check("let x = 1;\nx", "let x = 1;\n&(x)", true);
        check("\"größe\"  // why", "&(\"größe\")  // why", true);
        check("if a { 1 } else { 2 }", "&(if a { 1 } else { 2 })", true);
        check(
            "xs.iter()\n    .sum::<u64>()",
            "&(xs.iter()\n    .sum::<u64>())",
            true,
        );
    }

    #[test]
    fn what_shows_nothing_or_is_a_reference_stays() {
        check("let x = 1;", "let x = 1;", false);
        check("&v", "&v", true);
        check("fn f() {}", "fn f() {}", false);
        check("", "", false);
        check("} fn g() {", "} fn g() {", false);
        check("let x = ", "let x = ", false);
    }

    #[test]
    fn columns_find_their_way_back() {
        let prepared = prepare("let x = 1; ü(x)");
        assert_eq!(prepared.text, "let x = 1; &(ü(x))");
        assert_eq!(prepared.column(1, 5), 5);
        assert_eq!(prepared.column(1, 14), 12);
        assert_eq!(prepared.column(1, 16), 14);
        assert_eq!(prepared.column(2, 14), 14);
    }

    #[test]
    fn lines_are_found_where_they_are_unmistakable() {
        let compiled = "generated\nlet a = 1;\nx\n}\nx\n  panic!(\"no\")\n}\n";
        let source = "let a = 1;\nx\n\npanic!(\"no\")\n}";
        assert_eq!(unique_lines(compiled, source), [(2, 1), (6, 4)]);
    }
}
