//! The map from positions in evaluated text to positions in the cell.

use phalanx_protocol::failure::DiagnosticSpan;

/// The map from the text of a directive to its cell.
///
/// Lines and columns count from 1, columns in characters, as in [`DiagnosticSpan`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceMap {
    lines_before: usize,
    columns_before: usize,
    lowered: Vec<LoweredMagic>,
    /// Inserted text that is not the user's, in order.
    inserted: Vec<InsertedText>,
}

/// Text inserted into a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct InsertedText {
    line: usize,
    column: usize,
    length: usize,
}

/// A magic that was replaced by a call; both extend to the end of the line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct LoweredMagic {
    line: usize,
    start: usize,
    /// The column after the magic, as typed.
    end: usize,
}

impl SourceMap {
    /// Creates the map of text that starts at byte `start` of `cell`.
    pub fn starting_at(cell: &str, start: usize) -> Self {
        let before = &cell[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        Self {
            lines_before: before.matches('\n').count(),
            columns_before: before[line_start..].chars().count(),
            lowered: Vec::new(),
            inserted: Vec::new(),
        }
    }

    /// Records text inserted after `before`.
    pub(crate) fn add_inserted(&mut self, before: &str, text: &str) {
        let last = before.rsplit('\n').next().unwrap_or_default();
        self.inserted.push(InsertedText {
            line: before.matches('\n').count() + 1,
            column: last.chars().count() + 1,
            length: text.chars().count(),
        });
    }

    /// Returns a column as if no text had been inserted.
    fn without_inserted(&self, line: usize, column: usize) -> usize {
        let inserted = self.inserted.iter().rev();
        let inserted = inserted.filter(|inserted| inserted.line == line);
        inserted.fold(column, |column, inserted| match column > inserted.column {
            true => column.saturating_sub(inserted.length).max(inserted.column),
            false => column,
        })
    }

    /// Records that the end of a line was replaced; it starts at column `start` and is `length`
    /// characters long in the cell.
    pub(super) fn add_lowered(&mut self, line: usize, start: usize, length: usize) {
        self.lowered.push(LoweredMagic {
            line,
            start,
            end: start + length,
        });
    }

    /// Composes two maps: `self` maps into a text that `outer` maps into the cell.
    #[must_use]
    pub fn within(&self, outer: &Self) -> Self {
        let (line, column) = outer.position(self.lines_before + 1, self.columns_before + 1);
        Self {
            lines_before: line - 1,
            columns_before: column - 1,
            lowered: self.lowered.clone(),
            inserted: self.inserted.clone(),
        }
    }

    /// Returns the line of the cell for a line of the text.
    pub fn line(&self, line: usize) -> usize {
        line + self.lines_before
    }

    /// Returns the position in the cell of a position in the text.
    pub(super) fn position(&self, line: usize, column: usize) -> (usize, usize) {
        let column = if line == 1 {
            column + self.columns_before
        } else {
            column
        };
        (line + self.lines_before, column)
    }

    /// Returns the span in the cell of a span in the text.
    #[must_use]
    pub fn span(&self, span: &DiagnosticSpan) -> DiagnosticSpan {
        let mut span = span.clone();
        span.start_column = self.without_inserted(span.start_line, span.start_column);
        span.end_column = self.without_inserted(span.end_line, span.end_column);
        for lowered in &self.lowered {
            if span.start_line == lowered.line && span.start_column > lowered.start {
                span.start_column = lowered.start;
            }
            if span.end_line == lowered.line && span.end_column > lowered.start {
                span.end_column = lowered.end;
            }
        }
        (span.start_line, span.start_column) = self.position(span.start_line, span.start_column);
        (span.end_line, span.end_column) = self.position(span.end_line, span.end_column);
        span
    }
}
