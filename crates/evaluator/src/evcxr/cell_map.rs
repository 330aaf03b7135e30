//! The places of a cell in the crate that evcxr has made of it.
//!
//! evcxr writes each statement and item of a cell, as it is, into the crate, on lines of its own. Where one
//! is found, every place in it is one of the cell's; a place around it is all of it.

use super::generated_crate::{self, ENTRY};
use super::item_macros;
use super::source::{PreparedSource, position, segments};
use serde_json::Value;
use std::collections::{BTreeSet, HashMap};

/// The file that evcxr has compiled, as rustc names it.
pub(super) const FILE: &str = "src/lib.rs";

/// A line and a column, both from 1, the column in characters.
pub(super) type Position = (usize, usize);

/// The way back from the lines of a crate to those of its cell.
pub(super) struct CellMap<'a> {
    pub(super) source: &'a PreparedSource,
    /// The crate as it was compiled.
    pub(super) compiled: String,
    /// By the line of the crate.
    lines: HashMap<usize, CellLine>,
    segments: Vec<Segment>,
}

/// A line of the crate that is one of the cell's.
#[derive(Clone, Copy)]
struct CellLine {
    /// Its segment.
    segment: usize,
    /// The line of the text that evcxr was given.
    line: usize,
    /// The number of characters that stand before it there.
    before: usize,
}

/// The ends of a statement in the cell.
struct Segment {
    start: Position,
    end: Position,
}

impl<'a> CellMap<'a> {
    /// The map of a cell that was compiled last.
    pub(super) fn new(source: &'a PreparedSource) -> Self {
        Self::of(source, generated_crate::source())
    }

    /// The map of a cell in a crate.
    pub(super) fn of(source: &'a PreparedSource, compiled: String) -> Self {
        let (mut lines, mut all) = (HashMap::new(), Vec::new());
        let entry = compiled.rfind(ENTRY).unwrap_or_default();
        // Statements stand in the function in their order, items before it in any.
        let mut from = entry;
        for range in segments(&source.text) {
            let text = &source.text[range.clone()];
            // The calls of macros that make items have their own places again.
            let shown = item_macros::revealed(text);
            let text = shown.as_deref().unwrap_or(text);
            let in_function = line_of(&compiled[from..], text).map(|at| from + at);
            let found = match in_function {
                Some(at) => {
                    from = at + text.lines().next().unwrap_or_default().len();
                    Some(at)
                }
                None => line_of(&compiled[..entry], text),
            };
            let Some(found) = found else { continue };
            let (first, _) = position(&compiled[..found]);
            let (line, column) = position(&source.text[..range.start]);
            let count = text.trim_end().matches('\n').count();
            let segment = all.len();
            for behind in 0..=count {
                let before = if behind == 0 { column - 1 } else { 0 };
                let line = line + behind;
                lines.insert(
                    first + behind,
                    CellLine {
                        segment,
                        line,
                        before,
                    },
                );
            }
            let end = position(&source.text[..range.start + text.trim_end().len()]);
            let in_cell = |(line, column)| (line, source.column(line, column));
            all.push(Segment {
                start: in_cell((line, column)),
                end: in_cell(end),
            });
        }
        Self {
            source,
            compiled,
            lines,
            segments: all,
        }
    }

    /// The ends of a place of rustc's in the cell, or of the one statement that it is around.
    pub(super) fn range(&self, span: &Value) -> Option<(Position, Position)> {
        let (start, end) = self.ends(span)?;
        let covered = (start.0..=end.0).filter_map(|line| Some(self.lines.get(&line)?.segment));
        let covered: BTreeSet<_> = covered.collect();
        let (from, to) = (self.position(start), self.position(end));
        let (from, to) = match (from, to, covered.first()) {
            (Some(from), Some(to), _) => (from, to),
            (from, to, Some(only)) if covered.len() == 1 => {
                let segment = self.segments.get(*only)?;
                (from.unwrap_or(segment.start), to.unwrap_or(segment.end))
            }
            _ => return None,
        };
        let last = self.source.last_expression.as_ref();
        let last = last.map(|last| {
            let start = (last.start_line, last.start_column);
            (start, (last.end_line, last.end_column))
        });
        // What is put around the last expression is none of the cell's.
        match last {
            Some((start, end)) if from >= start => Some((from, to.min(end))),
            _ => Some((from, to)),
        }
    }

    /// The ends of a place of rustc's that is within the cell.
    pub(super) fn inside(&self, span: &Value) -> Option<(Position, Position)> {
        (span["file_name"] == FILE).then_some(())?;
        let (start, end) = self.ends(span)?;
        Some((self.position(start)?, self.position(end)?))
    }

    /// Returns true for a place in an item of the notebook, of this cell or another.
    pub(super) fn is_in_item(&self, span: &Value) -> bool {
        let items = generated_crate::items_of(&self.compiled)
            .matches('\n')
            .count();
        let line = span["line_start"].as_u64().unwrap_or_default();
        span["file_name"] == FILE && usize::try_from(line).is_ok_and(|line| line <= items)
    }

    /// The line of the crate at which a place of rustc's begins.
    pub(super) fn line(&self, span: &Value) -> Option<&str> {
        let (start, _) = ends(span)?;
        self.compiled.lines().nth(start.0.checked_sub(1)?)
    }

    fn position(&self, (line, column): Position) -> Option<Position> {
        let found = self.lines.get(&line)?;
        let column = self.source.column(found.line, column + found.before);
        Some((found.line, column))
    }

    /// The ends of a place in this crate; `None` if its lines are others there, as evcxr may have had another
    /// crate compiled since. What was put around statics for rustc alone is not in it.
    fn ends(&self, span: &Value) -> Option<(Position, Position)> {
        let (start, end) = ends(span)?;
        let lines = span["text"].as_array()?;
        let behind = end.0.checked_sub(start.0)?;
        let [start, end] = [(start, 0), (end, behind)].map(|((number, column), at)| {
            let Some(told) = lines.get(at) else {
                return (at > 0).then_some((number, column));
            };
            let here = self.compiled.lines().nth(number.checked_sub(1)?)?;
            let told = told["text"].as_str()?;
            Some((number, column_in(here, told, column)?))
        });
        Some((start?, end?))
    }
}

/// The column in a line of one in the line that rustc tells of, which may have more around it.
fn column_in(here: &str, told: &str, column: usize) -> Option<usize> {
    if here.trim_end() == told.trim_end() {
        return Some(column);
    }
    let text = here.trim();
    let at = told.find(text).filter(|_| !text.is_empty())?;
    let before = told[..at].chars().count();
    let indent = here.chars().take_while(|c| c.is_whitespace()).count();
    let within = column.checked_sub(before + 1)?;
    (within <= text.chars().count()).then_some(within + indent + 1)
}

/// The ends of a place in the file that was compiled.
fn ends(span: &Value) -> Option<(Position, Position)> {
    let number = |name: &str| usize::try_from(span[name].as_u64()?).ok();
    Some((
        (number("line_start")?, number("column_start")?),
        (number("line_end")?, number("column_end")?),
    ))
}

/// The offset of a text that begins a line: all of it, or, where something was put into it, its first line.
fn line_of(compiled: &str, text: &str) -> Option<usize> {
    let text = text.trim_end();
    let first = text.lines().next()?;
    let begins = |at: usize| at == 0 || compiled[..at].ends_with('\n');
    let ends = |at: usize| {
        let rest = &compiled[at..];
        rest.trim_start_matches([' ', '\t']).starts_with('\n') || rest.trim().is_empty()
    };
    let mut whole = compiled
        .match_indices(text)
        .filter(|(at, found)| begins(*at) && ends(at + found.len()));
    if let Some((at, _)) = whole.next() {
        return Some(at);
    }
    let mut heads = compiled
        .match_indices(first)
        .filter(|(at, found)| begins(*at) && (ends(at + found.len()) || first.ends_with('}')));
    heads.next().map(|(at, _)| at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const COMPILED: &str = "fn ü() {\n    1\n}\n/* ä */ macro_rules! m { () => { 1 } } pub(crate) use m;\n#[unsafe(no_mangle)]\n\
        pub extern \"C\" fn run_user_code_1(\nlet a: u8 = 1; \nshow(&(\n&(größe\n  .len())\n)));\n}\n";
    const CELL: &str =
        "/* ä */ macro_rules! m { () => { 1 } }\nfn ü() {\n    1\n} let a: u8 = 1; größe\n  .len()";

    fn found(from: Position, to: Position) -> Option<(Position, Position)> {
        let source = super::super::source::prepare(CELL, &Default::default());
        let map = CellMap::of(&source, COMPILED.to_owned());
        let line = COMPILED.lines().nth(from.0 - 1).unwrap();
        map.range(&json!({
            "file_name": FILE,
            "line_start": from.0, "column_start": from.1,
            "line_end": to.0, "column_end": to.1,
            "text": [{"text": line}],
        }))
    }

    #[test]
    fn places_in_statements_and_items_are_found() {
        assert_eq!(found((2, 5), (2, 6)), Some(((3, 5), (3, 6))));
        assert_eq!(found((7, 5), (7, 6)), Some(((4, 7), (4, 8))));
        assert_eq!(found((9, 3), (9, 8)), Some(((4, 18), (4, 23))));
        assert_eq!(found((10, 4), (10, 7)), Some(((5, 4), (5, 7))));
        assert_eq!(found((6, 1), (6, 4)), None);
    }

    #[test]
    fn what_is_put_around_a_static_is_no_part_of_it() {
        let here = "  static GRÖSSE: u8 = 1;  ";
        let told = " #[unsafe(export_name = \"x\")]   static GRÖSSE: u8 = 1; pub use a;";
        let column = |line: &str, text: &str| {
            line.chars().count() - line.split(text).last().unwrap().chars().count()
        };
        for text in ["static", "GRÖSSE", "1;"] {
            let found = column_in(here, told, column(told, text));
            assert_eq!(found, Some(column(here, text)), "{text}");
        }
        assert_eq!(column_in(here, told, 3), None);
        assert_eq!(column_in(here, "something else", 3), None);
        assert_eq!(column_in(here, here.trim_end(), 3), Some(3));
    }

    #[test]
    fn a_place_around_the_last_expression_is_all_of_it() {
        assert_eq!(found((8, 6), (11, 2)), Some(((4, 18), (5, 9))));
        assert_eq!(found((9, 1), (10, 10)), Some(((4, 18), (5, 9))));
        // Around more than one statement, it is no place of the cell's.
        assert_eq!(found((6, 1), (11, 2)), None);
    }
}
