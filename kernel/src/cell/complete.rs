//! Whether a cell can be run as it stands.

use super::scan::{Ending, scan};
use super::{DirectiveKind, split};

/// Spaces a console indents by for each open bracket.
const INDENT: usize = 4;

/// The answer to `is_complete_request`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Completeness {
    /// It can be run.
    Complete,
    /// More must follow, indented by this.
    Incomplete {
        /// Blanks for the next line.
        indent: String,
    },
    /// Nothing that follows makes it valid.
    Invalid,
}

/// Judges a cell by its brackets, strings and comments.
pub fn completeness(cell: &str) -> Completeness {
    let directives = split(cell);
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
    match scan(source).ending {
        Ending::Whole => Completeness::Complete,
        Ending::Open(brackets) => Completeness::Incomplete {
            indent: " ".repeat(INDENT * brackets),
        },
        Ending::InToken => Completeness::Incomplete {
            indent: String::new(),
        },
        Ending::Invalid => Completeness::Invalid,
    }
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
    fn open_brackets_strings_and_comments_ask_for_more() {
        for (cell, expected) in [
            ("", Completeness::Complete),
            ("1 + 1", Completeness::Complete),
            ("fn f() {", incomplete(4)),
            ("fn f() {\n  g(", incomplete(8)),
            ("let s = \"a", incomplete(0)),
            ("let s = r#\"a\"", incomplete(0)),
            ("/* a /* b */", incomplete(0)),
            ("}", Completeness::Invalid),
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
