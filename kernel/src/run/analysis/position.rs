//! A position in an edited cell, and the cells it may refer to. Pure.

use crate::run::local::VisibleNames;
use phalanx_protocol::analysis::AnalyzedCell;

/// The size limit of earlier cells' text, in bytes; the oldest cells are left out.
const MAX_TEXT: usize = 256 << 10;

/// A position in a cell.
#[derive(Clone, Debug, PartialEq)]
pub struct CellPosition {
    pub(super) cell: AnalyzedCell,
    /// The offset, in bytes.
    pub(super) offset: usize,
}

impl CellPosition {
    /// Returns a position in a local cell. The types of variables are known, except those of a
    /// running cell.
    pub fn in_scope(scope: VisibleNames, source: String, offset: usize) -> Self {
        let mut items = kept(&scope.sources);
        let statements = kept(scope.running.as_slice());
        items.extend(statements.iter().cloned());
        Self {
            cell: AnalyzedCell {
                items,
                variables: scope.variables,
                statements,
                source,
            },
            offset,
        }
    }

    /// Returns a position in a cell that follows others, of which only the text is known.
    pub fn behind<T: AsRef<str>>(cells: &[T], source: String, offset: usize) -> Self {
        let items = kept(cells);
        Self {
            cell: AnalyzedCell {
                statements: items.clone(),
                items,
                variables: Vec::new(),
                source,
            },
            offset,
        }
    }
}

/// Returns the cells whose definitions still exist, without commands.
fn kept<T: AsRef<str>>(cells: &[T]) -> Vec<String> {
    let mut kept = Vec::new();
    let mut length = 0;
    for cell in cells.iter().rev().map(AsRef::as_ref) {
        if cell.trim() == ":clear" {
            break;
        }
        length += cell.len();
        if length > MAX_TEXT {
            break;
        }
        if !cell.trim_start().starts_with(':') {
            kept.push(cell.to_owned());
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_before_clear_and_commands_are_left_out() {
        let cells = ["old()", ":clear", "let é = 1;", ":dep serde", "f() // end"];
        let position = CellPosition::behind(&cells, "é.to".to_owned(), 5);
        assert_eq!(position.cell.items, ["let é = 1;", "f() // end"]);
        assert_eq!(position.cell.statements, position.cell.items);
        assert_eq!(
            (position.cell.source.as_str(), position.offset),
            ("é.to", 5)
        );
    }

    #[test]
    fn only_the_newest_cells_of_a_long_session_are_kept() {
        let long = "x".repeat(MAX_TEXT - 10);
        let kept = kept(&["old", "older than ten bytes", &long, "new"]);
        assert_eq!(kept, [long.as_str(), "new"]);
    }

    #[test]
    fn only_the_running_cell_is_sent_as_statements() {
        let scope = VisibleNames {
            sources: vec!["let a = f();\nfn f() {}".into()],
            running: Some("let b = g();".into()),
            variables: vec![("a".into(), "u8".into())],
        };
        let CellPosition { cell, .. } = CellPosition::in_scope(scope, "b".into(), 1);
        assert_eq!(cell.statements, ["let b = g();"]);
        assert_eq!(cell.variables, [("a".to_owned(), "u8".to_owned())]);
        assert_eq!(cell.items.len(), 2);
    }
}
