//! Splits a cell's source into an ordered list of directives.

use super::scan::{ScanMark, ScanMarkKind, code_start, is_blank, line_end, scan};
use super::{Directive, DirectiveKind, RustText};
use crate::source_map::SourceMap;
use ra_ap_rustc_lexer::is_id_start;
use std::ops::Range;

/// The cell magic that is recognized with a single `%` too.
const FORMAT: &str = "%fmt";

/// Splits a cell into its directives.
///
/// `:` and `!` lines split the cell. Magics at the start and the end of the Rust between them
/// become directives; those in the middle are lowered to library calls, so that scopes, borrows and
/// loops stay intact. Whitespace and comments alone yield no directive. A line that negates one of
/// `variables` is Rust.
pub fn split(cell: &str, variables: &[String]) -> Vec<Directive> {
    if let Some(directive) = cell_magic(cell) {
        return vec![directive];
    }
    let mut directives = Vec::new();
    let mut region_start = 0;
    let mut within = Vec::new();
    for mark in scan(cell, variables).marks {
        let kind = match mark.kind {
            ScanMarkKind::Command => DirectiveKind::Command(cell[mark.span.clone()].to_owned()),
            ScanMarkKind::Shell => {
                DirectiveKind::Shell(cell[mark.span.start + 1..mark.span.end].trim().to_owned())
            }
            _ => {
                within.push(mark);
                continue;
            }
        };
        region(
            cell,
            region_start..mark.span.start,
            &within,
            &mut directives,
        );
        within.clear();
        region_start = mark.span.end;
        directives.push(Directive {
            kind,
            span: mark.span,
        });
    }
    region(cell, region_start..cell.len(), &within, &mut directives);
    directives
}

/// Returns the whole cell as a cell magic, if its first code is one.
fn cell_magic(cell: &str) -> Option<Directive> {
    let start = code_start(cell)?;
    let end = line_end(cell, start);
    let rest = match cell[start..end].trim_end() {
        FORMAT => &FORMAT[1..],
        _ => cell[start..].strip_prefix("%%")?,
    };
    if !rest.chars().next().is_some_and(is_id_start) {
        return None;
    }
    let body = (end + 1).min(cell.len());
    Some(Directive {
        kind: DirectiveKind::CellMagic {
            line: match cell[start..end].trim_end() {
                FORMAT => format!("%{FORMAT}"),
                line => line.to_owned(),
            },
            body: RustText {
                source: cell[body..].to_owned(),
                map: SourceMap::starting_at(cell, body),
            },
        },
        span: start..cell.len(),
    })
}

/// Adds the directives of a range without commands and shell lines.
fn region(cell: &str, span: Range<usize>, marks: &[ScanMark], directives: &mut Vec<Directive>) {
    let blank = |from: usize, to: usize| is_blank(&cell[from..to]);
    let is_top = |mark: &ScanMark| mark.kind == ScanMarkKind::TopMagic;

    let mut head = 0;
    let mut start = span.start;
    while let Some(mark) = marks.get(head)
        && is_top(mark)
        && blank(start, mark.span.start)
    {
        directives.push(magic(cell, mark));
        start = mark.span.end;
        head += 1;
    }

    let mut foot = marks.len();
    let mut end = span.end;
    while foot > head && is_top(&marks[foot - 1]) && blank(marks[foot - 1].span.end, end) {
        foot -= 1;
        end = marks[foot].span.start;
    }

    if !blank(start, end) {
        directives.push(rust(cell, start..end, &marks[head..foot]));
    }
    directives.extend(marks[foot..].iter().map(|mark| magic(cell, mark)));
}

fn magic(cell: &str, mark: &ScanMark) -> Directive {
    Directive {
        kind: DirectiveKind::Magic(cell[mark.span.clone()].to_owned()),
        span: mark.span.clone(),
    }
}

/// Returns Rust text with its magics lowered.
fn rust(cell: &str, span: Range<usize>, marks: &[ScanMark]) -> Directive {
    // Starts with a whole line, so that evaluators see neither a partial line nor blank lines.
    let skipped = cell[span.clone()]
        .find(|c: char| !c.is_whitespace())
        .map_or(0, |at| {
            cell[span.start..span.start + at]
                .rfind('\n')
                .map_or(0, |n| n + 1)
        });
    let start = span.start + skipped;
    let end = span.start + cell[span.clone()].trim_end().len();
    let mut map = SourceMap::starting_at(cell, start);
    let mut source = String::new();
    let mut at = start;
    for mark in marks {
        source.push_str(&cell[at..mark.span.start]);
        let line = source.matches('\n').count() + 1;
        let column = source
            .rsplit('\n')
            .next()
            .map_or(0, |line| line.chars().count());
        let typed = &cell[mark.span.clone()];
        map.add_lowered(line, column + 1, typed.chars().count());
        source.push_str(&lowered(typed, mark.kind));
        at = mark.span.end;
    }
    source.push_str(&cell[at..end]);
    Directive {
        kind: DirectiveKind::Rust(RustText { source, map }),
        span: start..end,
    }
}

/// Lowers a magic within Rust text to a call.
///
/// The final `;` of a magic that is a value ends the enclosing statement; the whole line of any
/// other magic belongs to the magic.
fn lowered(typed: &str, kind: ScanMarkKind) -> String {
    let (call, line, end) = match (kind, typed.strip_suffix(';')) {
        (ScanMarkKind::ValueMagic, Some(line)) => ("submit", line.trim_end(), ";"),
        (ScanMarkKind::ValueMagic, None) => ("submit", typed, ""),
        _ => ("run", typed, ";"),
    };
    let mut hashes = "##".to_owned();
    while line.contains(&format!("\"{hashes}")) {
        hashes.push('#');
    }
    format!("phalanx::__magic::{call}(r{hashes}\"{line}\"{hashes}){end}")
}

#[cfg(test)]
mod tests;
