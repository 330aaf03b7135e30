//! Earlier cells as the text before the one that is asked about. Pure.

use crate::run::local::Analysis;
use phalanx_protocol::evaluator::Answer;

/// Most text of earlier cells, in bytes; the oldest are left out.
const MOST_TEXT: usize = 256 << 10;

/// A question about a text that stands behind others.
#[derive(Clone, Debug, PartialEq)]
pub struct Behind {
    /// The question, about all of it.
    pub analysis: Analysis,
    /// How many bytes come before the text that is meant.
    shift: usize,
}

impl Behind {
    /// A question about a text alone.
    pub fn nothing(analysis: Analysis) -> Self {
        Self { analysis, shift: 0 }
    }

    /// The text stands behind these cells; their commands are left out, and what was cleared.
    pub fn cells<T: AsRef<str>>(self, cells: &[T]) -> Self {
        let mut kept = Vec::new();
        let mut length = 0;
        for cell in cells.iter().rev().map(AsRef::as_ref) {
            if cell.trim() == ":clear" {
                break;
            }
            if is_command(cell) {
                continue;
            }
            length += cell.len() + ENDED.len();
            if length > MOST_TEXT {
                break;
            }
            kept.push(cell);
        }
        let mut text = String::with_capacity(length);
        for cell in kept.into_iter().rev() {
            text.push_str(cell);
            text.push_str(ENDED);
        }
        Self {
            shift: self.shift + text.len(),
            analysis: self.analysis.behind(text),
        }
    }

    /// An answer to the question, as one about the text that is meant.
    pub fn answer(&self, mut answer: Answer) -> Answer {
        if let Answer::Completions(found) = &mut answer {
            found.start = found.start.saturating_sub(self.shift);
            found.end = found.end.saturating_sub(self.shift);
        }
        answer
    }
}

/// What makes statements of a cell whose last expression is its value, or that ends in a comment.
const ENDED: &str = "\n;\n";

/// The `:dep` lines among the cells.
pub fn dependencies<T: AsRef<str>>(cells: &[T]) -> Vec<String> {
    let cells = cells.iter().map(AsRef::as_ref);
    cells
        .filter(|cell| cell.starts_with(":dep "))
        .map(str::to_owned)
        .collect()
}

fn is_command(cell: &str) -> bool {
    cell.trim_start().starts_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use phalanx_protocol::evaluator::Completions;

    fn question(source: &str, offset: usize) -> Behind {
        let source = source.to_owned();
        Behind::nothing(Analysis::Complete { source, offset })
    }

    #[test]
    fn earlier_cells_stand_before_and_answers_are_shifted_back() {
        let cells = [":clear", "let é = 1;", ":dep serde", "f() // end"];
        let behind = question("é.to", 5).cells(&cells);
        let text = "let é = 1;\n;\nf() // end\n;\né.to".to_owned();
        let offset = text.len();
        let source = text;
        assert_eq!(behind.analysis, Analysis::Complete { source, offset });
        let found = |start, end| {
            Answer::Completions(Completions {
                start,
                end,
                items: Vec::new(),
            })
        };
        assert_eq!(behind.answer(found(offset - 2, offset)), found(3, 5));
        assert_eq!(dependencies(&cells), [":dep serde"]);
        assert_eq!(question("a", 1).cells(&["b", ":clear"]), question("a", 1));
    }

    #[test]
    fn of_a_long_session_the_newest_cells_are_kept() {
        let long = "x".repeat(MOST_TEXT - 10);
        let behind = question("a", 1).cells(&["old", &long, "new"]);
        let Analysis::Complete { source, .. } = behind.analysis else {
            panic!("another question");
        };
        assert!(!source.contains("old") && source.ends_with("new\n;\na"));
    }
}
