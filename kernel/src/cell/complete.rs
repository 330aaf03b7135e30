//! Completeness of cells (`is_complete_request`).

use super::scan::{RustEnding, is_trivia, scan};
use super::{DirectiveKind, FUNCTION_HEAD, split};
use ra_ap_rustc_lexer::{FrontmatterAllowed, tokenize};
use ra_ap_syntax::{AstNode, Edition, SourceFile, SyntaxNode, ast};

/// The text after the statements. The `;` hides a missing one, which alone does not make a cell incomplete.
const AFTER: &str = "\n;\n}";

/// Spaces of indentation per open bracket.
const INDENT: usize = 4;

/// The status of an `is_complete_reply`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// The cell can be run.
    Complete,
    /// More input is expected.
    Incomplete {
        /// The indentation of the next line.
        indent: String,
    },
    /// No continuation makes it valid.
    Invalid,
}

/// Returns the completeness of a cell: first by its brackets, strings and comments, then by the
/// parser's errors at its end.
pub fn completeness(cell: &str) -> Completeness {
    let directives = split(cell, &[]);
    let source = match directives.first().map(|directive| &directive.kind) {
        Some(DirectiveKind::CellMagic { line, body }) => {
            let asks_for_help = line.ends_with('?');
            if body.source.trim().is_empty() && !asks_for_help {
                return Completeness::Incomplete {
                    indent: String::new(),
                };
            }
            body.source.as_str()
        }
        _ => cell,
    };
    match scan(source, &[]).ending {
        RustEnding::Whole if goes_on(source) => Completeness::Incomplete {
            indent: String::new(),
        },
        RustEnding::Whole => Completeness::Complete,
        RustEnding::Open(brackets) => Completeness::Incomplete {
            indent: " ".repeat(INDENT * brackets),
        },
        RustEnding::InToken => Completeness::Incomplete {
            indent: String::new(),
        },
        RustEnding::Invalid => Completeness::Invalid,
    }
}

/// Returns true if all errors of the parser are at the end of the cell's last Rust text, or a
/// function ends there without a body: an expression is missing after `let a =`, an item after an
/// attribute.
fn goes_on(cell: &str) -> bool {
    let directives = split(cell, &[]);
    let Some(DirectiveKind::Rust(text)) = directives.last().map(|directive| &directive.kind) else {
        return false;
    };
    let code = format!("{FUNCTION_HEAD}{}", text.source.trim_end());
    let parsed = SourceFile::parse(&format!("{code}{AFTER}"), Edition::Edition2024);
    let end = code_end(&code);
    let mut errors = parsed.errors().into_iter().peekable();
    match errors.peek() {
        Some(_) => errors.all(|error| usize::from(error.range().start()) >= end),
        None => lacks_body(&parsed.syntax_node(), end),
    }
}

/// Returns true if a function has no body, and the `;` in its place is not of the cell, whose code
/// ends at `end`.
fn lacks_body(parsed: &SyntaxNode, end: usize) -> bool {
    let semicolons = parsed.descendants().filter_map(ast::Fn::cast);
    let mut semicolons = semicolons.filter_map(|function| function.semicolon_token());
    semicolons.any(|token| usize::from(token.text_range().start()) >= end)
}

/// Returns the end of the last token that is neither whitespace nor a comment.
fn code_end(code: &str) -> usize {
    let (mut at, mut end) = (0, 0);
    for token in tokenize(code, FrontmatterAllowed::No) {
        at += token.len as usize;
        if !is_trivia(token.kind) {
            end = at;
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incomplete(spaces: usize) -> Completeness {
        Completeness::Incomplete {
            indent: " ".repeat(spaces),
        }
    }

    #[test]
    fn code_with_open_brackets_strings_or_comments_is_incomplete() {
        for (cell, expected) in [
            ("", Completeness::Complete),
            ("1 + 1", Completeness::Complete),
            ("fn f() {", incomplete(4)),
            ("fn f() {\n  g(", incomplete(8)),
            ("let s = \"a", incomplete(0)),
            ("let s = r#\"a\"", incomplete(0)),
            ("/* a /* b */", incomplete(0)),
            ("}", Completeness::Invalid),
            ("#[derive(Debug)]", incomplete(0)),
            ("#[derive(Debug)] // größe", incomplete(0)),
            ("let größe =", incomplete(0)),
            ("fn größe()", incomplete(0)),
            ("fn f<T>(x: T) -> u8 // so", incomplete(0)),
            ("fn f();", Completeness::Complete),
            ("trait T { fn f(); }\nlet a = 1", Completeness::Complete),
            ("1 +", incomplete(0)),
            ("a.b().", incomplete(0)),
            ("if a { 1 } else", incomplete(0)),
            ("let a = 1; // so", Completeness::Complete),
            ("let a = 1", Completeness::Complete),
            (
                "fn f<'a>(x: &'a str) -> &'a str { x }",
                Completeness::Complete,
            ),
            ("let s = r#\"a \" b", incomplete(0)),
            ("match x {", incomplete(4)),
            ("let a = f(b c);", Completeness::Complete),
            (":dep serde", Completeness::Complete),
            ("let a = 1;\n:vars", Completeness::Complete),
            ("// note\n%%px\n1 +", incomplete(0)),
            ("f(]", Completeness::Invalid),
            ("%px \"unbalanced (", Completeness::Complete),
            ("%%px", incomplete(0)),
            ("%%px?", Completeness::Complete),
            ("%%px\nlet x = [1,", incomplete(4)),
            (
                "let c = '{'; let l: &'static str = \"}\";",
                Completeness::Complete,
            ),
        ] {
            assert_eq!(completeness(cell), expected, "{cell:?}");
        }
    }
}
