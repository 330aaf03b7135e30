//! Cells of another client that do not compile here: their statements with errors are left out.

use crate::cell::{CellStatement, statements};
use crate::context::bound;
use phalanx_protocol::failure::{Diagnostic, DiagnosticSpan};
use std::ops::Range;

/// The source of a cell that does nothing.
pub(super) const NOTHING: &str = "();";

/// The start of items whose symbols depend on the whole cell.
const STATICS: [&str; 4] = ["static ", "thread_local!", "lazy_static!", "lazy_static::"];

/// A cell without the statements that do not compile here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ReducedCell {
    /// Its source; lines and columns of what is left are the same.
    pub(super) source: String,
    /// The names of what it would define: items with their kind, variables.
    pub(super) names: Vec<String>,
}

impl ReducedCell {
    /// Creates a cell with all of its statements.
    pub(super) fn new(source: &str) -> Self {
        Self {
            source: source.to_owned(),
            names: Vec::new(),
        }
    }

    /// Removes the statements in which these errors are, or all of them if the errors are elsewhere;
    /// returns false if nothing was left before.
    pub(super) fn reduce(&mut self, diagnostics: &[Diagnostic]) -> bool {
        if self.source == NOTHING {
            return false;
        }
        let spans = diagnostics.iter().flat_map(|diagnostic| &diagnostic.spans);
        let wrong: Vec<Range<usize>> = spans
            .filter(|span| span.primary)
            .map(|span| bytes(&self.source, span))
            .collect();
        let all = statements(&self.source);
        let is_wrong = |bytes: &Range<usize>| {
            wrong
                .iter()
                .any(|at| at.start < bytes.end && bytes.start < at.end.max(at.start + 1))
        };
        let some = all.iter().any(|statement| is_wrong(&statement.bytes));
        let text = |statement: &CellStatement| &self.source[statement.bytes.clone()];
        let is_static = |statement: &CellStatement| {
            let name = statement.item.as_deref();
            let name = name.unwrap_or_else(|| text(statement));
            STATICS.iter().any(|start| name.starts_with(start))
        };
        // A static of a reduced cell would be another one than that on the engines.
        let gone: Vec<&CellStatement> = all
            .iter()
            .filter(|it| !some || is_wrong(&it.bytes) || is_static(it))
            .collect();
        let names: Vec<String> = gone
            .iter()
            .flat_map(|statement| match &statement.item {
                Some(item) => vec![item.clone()],
                None if is_static(statement) => statics(text(statement)).collect(),
                None => bound(text(statement)).map(str::to_owned).collect(),
            })
            .collect();
        self.names.extend(names);
        // From the last one, so that the spans of the others remain valid.
        for statement in gone.iter().rev() {
            let text = &self.source[statement.bytes.clone()];
            let blank: String = text.chars().map(blank).collect();
            self.source.replace_range(statement.bytes.clone(), &blank);
        }
        if !some || self.source.trim().is_empty() {
            NOTHING.clone_into(&mut self.source);
        }
        true
    }
}

/// Returns the statics that a call of a macro declares.
fn statics(text: &str) -> impl Iterator<Item = String> {
    let of_name = |c: char| c.is_alphanumeric() || c == '_';
    let all = text.split(STATICS[0]).skip(1);
    let all = all.map(|rest| rest.trim_start().trim_start_matches("ref ").trim_start());
    all.map(move |rest| {
        let end = rest.find(|c| !of_name(c)).unwrap_or(rest.len());
        format!("static {}", &rest[..end])
    })
}

fn blank(c: char) -> char {
    if c == '\n' { c } else { ' ' }
}

/// Returns the bytes of a diagnostic's span in a source.
fn bytes(source: &str, span: &DiagnosticSpan) -> Range<usize> {
    let offset = |line: usize, column: usize| {
        let before: usize = source
            .split_inclusive('\n')
            .take(line.saturating_sub(1))
            .map(str::len)
            .sum();
        let rest = &source[before..];
        let within = rest.char_indices().nth(column.saturating_sub(1));
        before + within.map_or(rest.len(), |(at, _)| at)
    };
    offset(span.start_line, span.start_column)..offset(span.end_line, span.end_column)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(line: usize, columns: Range<usize>) -> Diagnostic {
        Diagnostic {
            message: "wrong".to_owned(),
            code: None,
            spans: vec![DiagnosticSpan {
                start_line: line,
                start_column: columns.start,
                end_line: line,
                end_column: columns.end,
                label: String::new(),
                primary: true,
            }],
            help: Vec::new(),
            rendered: None,
            earlier: None,
        }
    }

    #[test]
    fn statements_with_errors_are_blank_and_named() {
        let mut cell = ReducedCell::new("let größe = 1; let b = größe;\nfn only() {\n  wrong }\n2");
        assert!(cell.reduce(&[error(3, 3..8)]));
        assert_eq!(
            cell.source,
            "let größe = 1; let b = größe;\n           \n         \n2"
        );
        assert!(cell.reduce(&[error(1, 24..29)]));
        assert_eq!(
            cell.source.lines().next(),
            Some("let größe = 1;               ")
        );
        assert_eq!(cell.names, ["fn only", "b"]);
    }

    #[test]
    fn an_error_elsewhere_or_in_all_statements_leaves_nothing() {
        let nowhere = Diagnostic {
            spans: Vec::new(),
            ..error(1, 1..2)
        };
        let mut cell = ReducedCell::new("let (a, b) = c;\nd");
        assert!(cell.reduce(std::slice::from_ref(&nowhere)));
        assert_eq!(cell.source, NOTHING);
        assert_eq!(cell.names, ["a", "b"]);
        assert!(!cell.reduce(&[nowhere]));
        let mut cell = ReducedCell::new("a");
        assert!(cell.reduce(&[error(1, 1..1)]));
        assert_eq!(cell.source, NOTHING);
    }

    #[test]
    fn statics_of_a_reduced_cell_are_left_out() {
        let source = "static N: u8 = 1;\nfn f() {}\nthread_local! { static M: u8 = 1 }\nwrong()";
        let mut cell = ReducedCell::new(source);
        assert!(cell.reduce(&[error(4, 1..6)]));
        assert_eq!(cell.source.trim(), "fn f() {}");
        assert_eq!(cell.names, ["static N", "static M"]);
    }
}
