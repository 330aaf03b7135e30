//! The names that source code may refer to.

use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{AstToken, Edition, NodeOrToken, SourceFile, SyntaxKind, SyntaxNode};
use std::collections::BTreeSet;

/// The function that wraps statements for the parser.
const BEFORE: &str = "fn cell() {\n";
const AFTER: &str = "\n}";

/// Returns the names in the statements of a cell.
pub(super) fn in_source(cell: &str) -> BTreeSet<String> {
    let text = format!("{BEFORE}{cell}{AFTER}");
    let parsed = SourceFile::parse(&text, Edition::Edition2024);
    let mut names = BTreeSet::new();
    add_names(parsed.tree().syntax(), &mut names);
    names
}

/// Adds the names in a node: its identifiers, and the words of its strings, which macros such as
/// `println!` interpret as names.
pub(super) fn add_names(node: &SyntaxNode, names: &mut BTreeSet<String>) {
    for element in node.descendants_with_tokens() {
        let NodeOrToken::Token(token) = element else {
            continue;
        };
        match token.kind() {
            SyntaxKind::IDENT => {
                names.insert(plain(token.text()).to_owned());
            }
            kind if ast::String::can_cast(kind) || ast::CString::can_cast(kind) => {
                let words = token
                    .text()
                    .split(|c: char| !c.is_alphanumeric() && c != '_');
                let words = words.filter(|word| word.starts_with(|c: char| !c.is_numeric()));
                names.extend(words.map(str::to_owned));
            }
            _ => {}
        }
    }
}

/// Removes the prefix of a raw identifier.
pub(super) fn plain(name: &str) -> &str {
    name.strip_prefix("r#").unwrap_or(name)
}
