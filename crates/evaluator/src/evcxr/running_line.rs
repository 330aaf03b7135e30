//! The line of the statement that a cell is running, for panics in code that has no line of the
//! cell: `10i32.pow(20)` panics within the standard library.
//!
//! Cells are compiled without debug information, which takes as long as a small cell. So before
//! each of its statements, a cell notes the statement's line in the library.

use super::generated_crate::ENTRY;
use super::source::segments;
use ra_ap_syntax::ast::{self, AstNode, HasModuleItem};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode};
use std::collections::HashSet;

/// The largest number of statements of a cell that notes their lines, for which it takes longer to
/// compile.
const MOST: usize = 100;

/// The beginning of a comment, in which a call would have no effect.
const COMMENT: &str = "//";

/// Returns a crate's source whose function notes the lines of the cell's statements; `None` if it
/// has none. The calls are at the ends of lines, so that the columns of all other text are unchanged.
pub(super) fn noting(source: &str, cell: &str) -> Option<String> {
    let entry = source.rfind(ENTRY)? + 1;
    let function = &source[entry..];
    let firsts: HashSet<&str> = segments(cell)
        .into_iter()
        .filter_map(|range| cell[range].trim().lines().next())
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .collect();
    if firsts.len() > MOST {
        return None;
    }
    let parsed = SourceFile::parse(function, Edition::Edition2024);
    let body = parsed.tree().items().find_map(|item| match item {
        ast::Item::Fn(function) => function.body(),
        _ => None,
    });
    let mut statements = Statements {
        function,
        firsts,
        found: Vec::new(),
    };
    statements.find(body?.syntax());
    let before = source[..entry].matches('\n').count() + 1;
    let mut noting = source.to_owned();
    for (start, line) in statements.found.iter().rev() {
        let Some(end) = function[..*start].rfind('\n') else {
            continue;
        };
        let previous = function[..end].rsplit('\n').next().unwrap_or_default();
        if function[end..*start].trim().is_empty() && !previous.contains(COMMENT) {
            let call = format!(" ::phalanx::__cell::at({});", before + line);
            noting.insert_str(entry + end, &call);
        }
    }
    (!statements.found.is_empty()).then_some(noting)
}

/// The statements of a cell in evcxr's function.
struct Statements<'a> {
    function: &'a str,
    /// The first lines of the cell's statements.
    firsts: HashSet<&'a str>,
    /// For each, its offset in the function, and the number of its line, from 0.
    found: Vec<(usize, usize)>,
}

impl Statements<'_> {
    fn find(&mut self, node: &SyntaxNode) {
        let function = self.function;
        let is_list = node.kind() == SyntaxKind::STMT_LIST;
        for child in node.children() {
            let start = usize::from(child.text_range().start());
            let text = &function[start..child.text_range().end().into()];
            let line = function[..start].matches('\n').count();
            let mut lines = text.lines();
            let first = lines.next().unwrap_or_default();
            if is_list && self.is_cells(start, first) {
                self.found.push((start, line));
                continue;
            }
            let before = self.found.len();
            self.find(&child);
            if is_list && self.found.len() == before {
                // The code that shows the last expression.
                let shown = lines.position(|line| self.firsts.contains(line.trim()));
                let shown = shown.map(|behind| (start, line + 1 + behind));
                self.found.extend(shown);
            }
        }
    }

    /// Returns true for a statement that begins a line of the cell.
    fn is_cells(&self, start: usize, first: &str) -> bool {
        let whole = self.function[start..].lines().next().unwrap_or(first);
        self.firsts.contains(whole.trim())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GENERATED: &str = "fn outer() {}\n#[unsafe(no_mangle)]\npub extern \"C\" fn run_user_code_7(\n\
        mut store: *mut Store) -> *mut Store {\nlet a = store.take(stringify!(a));\nmatch std::panic::catch_unwind(\n  \
        std::panic::AssertUnwindSafe(||{\nlet b = f(|| {\n    outer();\n}); // why\nouter(); \nlet c = 2;\n(\n&(a\n    .pow(20))\n\
        ).evcxr_display();\n})) { \n  Ok(_) => {}\n}\nstore\n}\n";
    const CELL: &str =
        "let b = f(|| {\n    outer();\n}); // why\nouter(); let c = 2; &(a\n    .pow(20))";

    #[test]
    fn the_statements_of_the_cell_are_noted_and_nothing_else() {
        let text = noting(GENERATED, CELL).unwrap();
        assert_eq!(text.lines().count(), GENERATED.lines().count());
        let mut noted = Vec::new();
        for ((text, generated), number) in text.lines().zip(GENERATED.lines()).zip(1..) {
            let call = text.strip_prefix(generated).unwrap();
            if !call.is_empty() {
                noted.push((number, call.to_owned()));
            }
        }
        let call = |line: usize| format!(" ::phalanx::__cell::at({line});");
        // The second one follows a comment.
        assert_eq!(noted, [(7, call(8)), (11, call(12)), (12, call(14))]);
    }

    #[test]
    fn cells_without_statements_stay() {
        assert_eq!(noting(GENERATED, "fn g() {}"), None);
        assert_eq!(noting("fn f() {}", "f()"), None);
        let long: String = (0..200).map(|n| format!("f({n});\n")).collect();
        assert_eq!(noting(GENERATED, &long), None);
    }
}
