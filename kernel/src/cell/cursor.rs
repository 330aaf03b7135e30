//! The syntax at a position of a cell, for completion and inspection.

use super::scan::{ScanMarkKind, code_start, line_end, scan};
use crate::command::table::COMMANDS;
use std::ops::Range;

/// The syntax at a position.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AtCursor {
    /// Rust; everything else is replaced by spaces, so that offsets remain valid.
    Rust(String),
    /// The Rust of a cell magic's body; everything else is replaced by spaces.
    Body(String),
    /// The line of a magic from its `%` on, in bytes of the cell.
    Magic(Range<usize>),
    /// A `:` command; everything else is replaced by spaces.
    Command(String),
    /// A line for the shell, from its first byte after the `!` on.
    Shell(usize),
}

/// Returns the byte offset of a position in characters, at most the length of the text.
pub fn byte_offset(text: &str, characters: usize) -> usize {
    text.char_indices()
        .nth(characters)
        .map_or(text.len(), |(at, _)| at)
}

/// Returns the position, in characters, of a byte offset.
pub fn char_offset(text: &str, bytes: usize) -> usize {
    text.char_indices()
        .take_while(|(at, _)| *at < bytes)
        .count()
}

/// Returns the syntax at a byte offset of a cell.
pub fn at_cursor(cell: &str, offset: usize) -> AtCursor {
    let first = code_start(cell).unwrap_or(0);
    if cell[first..].starts_with("%%") && offset >= first {
        let end = line_end(cell, first);
        if offset <= end {
            return AtCursor::Magic(first..end);
        }
        if cell[first..end].split_whitespace().next() == Some("%%bash") {
            return AtCursor::Shell(cell[..offset].rfind('\n').map_or(0, |at| at + 1));
        }
        return AtCursor::Body(only(cell, end..cell.len(), &[]));
    }
    let line_start = cell[..offset].rfind('\n').map_or(0, |at| at + 1);
    let line = line_start..line_end(cell, offset);
    let indent = cell[line.clone()].len() - cell[line.clone()].trim_start().len();
    // A magic without a name is not recognized by the scanner.
    if matches!(cell[line.clone()].trim(), "%" | "%%") {
        return AtCursor::Magic(line_start + indent..line.end);
    }
    if is_beginning_of_command(cell, line_start + indent, line.end) {
        let name = line_start + indent..line.end;
        return AtCursor::Command(only(cell, name, &[]));
    }
    let marks = scan(cell, &[]).marks;
    for mark in &marks {
        let end = line_end(cell, mark.span.start);
        if !(mark.span.start..=end).contains(&offset) {
            continue;
        }
        return match mark.kind {
            ScanMarkKind::Shell => {
                let marked = cell[mark.span.start..offset].find('!');
                AtCursor::Shell(marked.map_or(offset, |at| mark.span.start + at + 1))
            }
            ScanMarkKind::Command => AtCursor::Command(only(cell, mark.span.clone(), &[])),
            _ => AtCursor::Magic(mark.span.start..end),
        };
    }
    let marked: Vec<Range<usize>> = marks.into_iter().map(|mark| mark.span).collect();
    AtCursor::Rust(only(cell, 0..cell.len(), &marked))
}

/// Returns true if a line is the beginning of a command's name, at a position where the complete
/// name would be recognized.
fn is_beginning_of_command(cell: &str, start: usize, end: usize) -> bool {
    let typed = cell[start..end].trim_end();
    let Some(whole) = COMMANDS.iter().find(|spec| spec.name.starts_with(typed)) else {
        return false;
    };
    if typed.is_empty() {
        return false;
    }
    let cell = [&cell[..start], whole.name, &cell[end..]].concat();
    let marks = scan(&cell, &[]).marks;
    let mut commands = marks
        .iter()
        .filter(|mark| mark.kind == ScanMarkKind::Command);
    commands.any(|mark| mark.span.start == start)
}

/// Returns the cell with spaces for everything outside of `kept` and within `blanked`.
fn only(cell: &str, kept: Range<usize>, blanked: &[Range<usize>]) -> String {
    let mut text = String::with_capacity(cell.len());
    for (at, c) in cell.char_indices() {
        let is_kept = kept.contains(&at) && !blanked.iter().any(|span| span.contains(&at));
        if is_kept || c == '\n' {
            text.push(c);
        } else {
            text.extend(std::iter::repeat_n(' ', c.len_utf8()));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rust_magics_commands_and_shell_lines_are_distinguished() {
        let cell = ":dep a\nlet é = 1;\n%px x.y\nlet b = 2;\n!ls";
        let at = |text: &str| at_cursor(cell, cell.find(text).unwrap());
        assert_eq!(at("dep"), AtCursor::Command(only(cell, 0..6, &[])));
        assert_eq!(at("x.y"), AtCursor::Magic(19..26));
        assert_eq!(at("ls"), AtCursor::Shell(cell.len() - 2));
        assert_eq!(at_cursor("%%bash\nls é", 12), AtCursor::Shell(7));
        assert_eq!(at_cursor("%%bash", 6), AtCursor::Magic(0..6));
        let AtCursor::Rust(text) = at("b = 2") else {
            panic!()
        };
        assert_eq!(text.len(), cell.len());
        assert_eq!(text.trim(), "let é = 1;\n       \nlet b = 2;");
        assert_eq!(at_cursor("1;\n  %", 6), AtCursor::Magic(5..6));
        assert_eq!(at_cursor("\n%%px -t\nx", 6), AtCursor::Magic(1..8));
        assert_eq!(at_cursor(":", 1), AtCursor::Command(":".into()));
        let behind = AtCursor::Command("\n:va".replace('\n', "\u{20}\u{20}\n"));
        assert_eq!(at_cursor("é\n:va", 6), behind);
        assert_eq!(at_cursor("f(\n:va", 6), AtCursor::Rust("f(\n:va".into()));
        assert_eq!(at_cursor("\"\n:", 3), AtCursor::Rust("\"\n:".into()));
        assert_eq!(at_cursor("%%px\nx", 6), AtCursor::Body("    \nx".into()));
    }

    #[test]
    fn offsets_convert_between_characters_and_bytes() {
        let text = "let e = \"👩‍👩‍👧\"; e.le";
        let end = byte_offset(text, 20);
        assert_eq!(char_offset(text, end), 20);
        assert_eq!(byte_offset(text, 99), text.len());
    }
}
