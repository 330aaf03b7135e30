//! Rewrites `dbg!`, `file!`, `line!` and `column!` to report the cell instead of the generated
//! crate.

use super::{FUNCTION_HEAD, RustText, parse_in_function};
use ra_ap_syntax::ast::{self, AstNode, HasName};
use ra_ap_syntax::{NodeOrToken, SyntaxKind, SyntaxNode, SyntaxToken};

/// The path of the library's macros of the same names, which take the location as arguments.
const LIBRARY: &str = "phalanx::__cell::";

/// Returns the text with locations passed to its macros, for a cell with execution count `count`.
pub fn located(text: RustText, count: usize) -> RustText {
    let names = ["dbg", "file", "line", "column"];
    if !names.iter().any(|name| text.source.contains(name)) {
        return text;
    }
    let root = parse_in_function(&text.source).syntax_node();
    let defined = root.descendants().filter_map(ast::MacroRules::cast);
    let defined = defined.filter_map(|definition| Some(definition.name()?.text().to_string()));
    let defined: Vec<_> = defined.collect();
    let mut insertions = Vec::new();
    for (name, bracket) in calls(&root) {
        let word = name.text();
        if !names.contains(&word) || defined.iter().any(|own| own == word) {
            continue;
        }
        let start = usize::from(name.text_range().start()).checked_sub(FUNCTION_HEAD.len());
        let inside = usize::from(bracket.text_range().end()).checked_sub(FUNCTION_HEAD.len());
        let (Some(start), Some(inside)) = (start, inside) else {
            continue;
        };
        let before = text.source.get(..start).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default();
        let (line, column) = text.map.position(line, column.chars().count() + 1);
        let argument = match word {
            "dbg" => format!("\"In[{count}]:{line}:{column}\"; "),
            "file" => format!("\"In[{count}]\""),
            "line" => format!("{line}u32"),
            _ => format!("{column}u32"),
        };
        insertions.push((start, LIBRARY.to_owned()));
        insertions.push((inside, argument));
    }
    insertions.sort();
    let RustText { source, mut map } = text;
    let mut located = String::with_capacity(source.len() * 2);
    let mut done = 0;
    for (at, insertion) in insertions {
        located.push_str(&source[done..at]);
        map.add_inserted(&located, &insertion);
        located.push_str(&insertion);
        done = at;
    }
    located.push_str(&source[done..]);
    RustText {
        source: located,
        map,
    }
}

/// Returns the name and the opening bracket of each macro call, including calls within the input of
/// other macros. Calls by path and those in macro definitions are skipped.
fn calls(root: &SyntaxNode) -> Vec<(SyntaxToken, SyntaxToken)> {
    let tokens = root
        .descendants_with_tokens()
        .filter_map(NodeOrToken::into_token);
    let tokens = tokens.filter(|token| !token.kind().is_trivia());
    let tokens: Vec<_> = tokens.collect();
    let mut calls = Vec::new();
    for at in 1..tokens.len() {
        let [before, name, bang, bracket] = &tokens[at - 1..(at + 3).min(tokens.len())] else {
            continue;
        };
        let is_call = name.kind() == SyntaxKind::IDENT
            && bang.kind() == SyntaxKind::BANG
            && matches!(bracket.text(), "(" | "[" | "{")
            && !matches!(before.text(), "::" | ":" | "." | "$");
        let is_definition = |node: SyntaxNode| {
            matches!(node.kind(), SyntaxKind::MACRO_RULES | SyntaxKind::MACRO_DEF)
        };
        if is_call && !name.parent_ancestors().any(is_definition) {
            calls.push((name.clone(), bracket.clone()));
        }
    }
    calls
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source_map::SourceMap;
    use phalanx_protocol::failure::DiagnosticSpan;

    fn check(cell: &str, start: usize, expected: &str) -> RustText {
        let text = RustText {
            source: cell[start..].to_owned(),
            map: SourceMap::starting_at(cell, start),
        };
        let text = located(text, 7);
        assert_eq!(text.source, expected);
        text
    }

    #[test]
    fn macros_receive_their_location_in_the_cell() {
        check("dbg!(a);", 0, "phalanx::__cell::dbg!(\"In[7]:1:1\"; a);");
        check(
            "%px -v\nfn f() {\n  g(\"ü\", line!(), file![]) }",
            7,
            "fn f() {\n  g(\"ü\", phalanx::__cell::line!(3u32), phalanx::__cell::file![\"In[7]\"]) }",
        );
        check(
            "println!(\"{}\", column!())",
            0,
            "println!(\"{}\", phalanx::__cell::column!(16u32))",
        );
        for plain in [
            "std::dbg!(a)",
            "macro_rules! here { () => { line!() } }",
            "macro_rules! dbg { () => {} } dbg!()",
            "let line = 1; line != 2",
            "\"dbg!(a)\"",
        ] {
            check(plain, 0, plain);
        }
    }

    #[test]
    fn columns_map_back_to_the_cell() {
        let text = check(
            "dbg!(größe) + x",
            0,
            "phalanx::__cell::dbg!(\"In[7]:1:1\"; größe) + x",
        );
        let columns = |part: &str| {
            let at = text.source.find(part).unwrap();
            let column = text.source[..at].chars().count() + 1;
            let span = DiagnosticSpan {
                start_line: 1,
                start_column: column,
                end_line: 1,
                end_column: column + 1,
                label: String::new(),
                primary: true,
            };
            let span = text.map.span(&span);
            (span.start_column, span.end_column)
        };
        assert_eq!(columns("dbg!"), (1, 2));
        assert_eq!(columns("größe"), (6, 7));
        assert_eq!(columns("x"), (1, 1), "within the inserted text");
        assert_eq!(columns("+ x"), (13, 14));
    }
}
