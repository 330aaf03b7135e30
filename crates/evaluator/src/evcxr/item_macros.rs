//! Macro calls at a cell's top level that make items.
//!
//! evcxr takes such a call for a statement, and what it makes is gone with the cell. So it is given a
//! definition of a macro instead, which it keeps as an item under a name; in the crate that it writes,
//! the call takes its own place again.

use super::source::statements;
use ra_ap_syntax::ast::{self, AstNode, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, NodeOrToken, SourceFile, SyntaxKind, SyntaxNode, SyntaxToken};
use std::io;
use std::ops::Range;
use std::path::Path;

/// The text around a call until the crate is compiled; the name of the call stands between the first
/// two.
const OPEN: &str = "macro_rules! phalanx_items_";
const BODY: &str = " { () => { ";
const CLOSE: &str = " } }";

/// The keywords with which items begin.
const ITEM: [SyntaxKind; 10] = [
    SyntaxKind::ENUM_KW,
    SyntaxKind::EXTERN_KW,
    SyntaxKind::FN_KW,
    SyntaxKind::IMPL_KW,
    SyntaxKind::MOD_KW,
    SyntaxKind::PUB_KW,
    SyntaxKind::STATIC_KW,
    SyntaxKind::STRUCT_KW,
    SyntaxKind::TRAIT_KW,
    SyntaxKind::USE_KW,
];

/// The call of a macro that makes items.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct ItemMacro {
    /// Its bytes in the cell, with the semicolon.
    pub(super) range: Range<usize>,
    /// The name by which a further call replaces it: those of the macro and of what it makes.
    pub(super) key: String,
    /// The names that it may define, one for each item that can be seen in its input.
    pub(super) defines: Vec<String>,
    pub(super) call: ast::MacroCall,
    /// True if it needs a semicolon that it does not have.
    is_open: bool,
}

/// The macro calls of a cell that make items; `items` are those of earlier cells.
pub(super) fn calls(source: &str, items: &str) -> Vec<ItemMacro> {
    let (nodes, place) = statements(source);
    let mut found = Vec::new();
    for node in nodes {
        let Some(call) = call(&node) else { continue };
        let path = call.path();
        let name = path.and_then(|path| path.segment()?.name_ref());
        let (Some(name), Some(input)) = (name, call.token_tree()) else {
            continue;
        };
        let name = name.text().to_string();
        let tokens = tokens(input.syntax());
        let defines = defined(&tokens);
        if !begins_item(&tokens) && !makes_items(&name, source) && !makes_items(&name, items) {
            continue;
        }
        let first = defines.first().cloned().or_else(|| {
            let mut names = tokens.iter().filter(|token| is_name(token));
            names.next().map(|token| token.text().to_owned())
        });
        // Comments before a statement belong to its node, and a semicolon behind it: behind braces it is
        // none of an item's.
        let (start, end) = (call.syntax().text_range().start(), node.text_range().end());
        let is_braced = input.l_curly_token().is_some();
        let end = match is_braced {
            true => call.syntax().text_range().end(),
            false => end,
        };
        if let (Some(start), Some(end)) = (place(start.into()), place(end.into())) {
            found.push(ItemMacro {
                range: start..end,
                key: format!("{name}_{}", first.unwrap_or_default().replace("r#", "")),
                defines,
                is_open: !is_braced && !source[..end].ends_with(';'),
                call,
            });
        }
    }
    found
}

/// The texts that make an item of a call for evcxr, with their places.
pub(super) fn additions(calls: &[ItemMacro]) -> Vec<(usize, String)> {
    let additions = calls.iter().flat_map(|call| {
        let ItemMacro { range, key, .. } = call;
        let open = format!("{OPEN}{key}{BODY}");
        let semicolon = if call.is_open { ";" } else { "" };
        [
            (range.start, open),
            (range.end, format!("{semicolon}{CLOSE}")),
        ]
    });
    additions.collect()
}

/// Gives the calls in a crate's source their own places again.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn reveal(source: &Path) -> io::Result<()> {
    // What cannot be read is rustc's business.
    let text = std::fs::read_to_string(source).unwrap_or_default();
    match revealed(&text) {
        Some(text) => std::fs::write(source, text),
        None => Ok(()),
    }
}

/// Returns a source with the calls in their own places; `None` if it has none. Everything else stays where
/// it is, to the byte.
pub(super) fn revealed(source: &str) -> Option<String> {
    if !source.contains(OPEN) {
        return None;
    }
    let parsed = SourceFile::parse(source, Edition::Edition2024);
    let mut text = source.to_owned();
    for item in parsed.tree().items() {
        let ast::Item::MacroRules(definition) = item else {
            continue;
        };
        // Comments before it belong to its node.
        let Some(keyword) = definition.macro_rules_token() else {
            continue;
        };
        let end = definition.syntax().text_range().end();
        let range = usize::from(keyword.text_range().start())..usize::from(end);
        let whole = &source[range.clone()];
        if !whole.starts_with(OPEN) || !whole.ends_with(CLOSE) {
            continue;
        }
        let Some(body) = whole.find(BODY).map(|at| at + BODY.len()) else {
            continue;
        };
        let end = range.end - CLOSE.len()..range.end;
        text.replace_range(range.start..range.start + body, &" ".repeat(body));
        text.replace_range(end, &" ".repeat(CLOSE.len()));
    }
    Some(text)
}

/// The macro call that a statement is.
fn call(statement: &SyntaxNode) -> Option<ast::MacroCall> {
    if let Some(call) = ast::MacroCall::cast(statement.clone()) {
        return Some(call);
    }
    let expression = match ast::ExprStmt::cast(statement.clone()) {
        Some(statement) => statement.expr()?,
        None => ast::Expr::cast(statement.clone())?,
    };
    match expression {
        ast::Expr::MacroExpr(expression) => expression.macro_call(),
        _ => None,
    }
}

/// The tokens of a macro's input, without white space and comments.
fn tokens(input: &SyntaxNode) -> Vec<SyntaxToken> {
    let tokens = input.descendants_with_tokens();
    let tokens = tokens.filter_map(NodeOrToken::into_token);
    let tokens = tokens.filter(|token| !token.kind().is_trivia());
    let tokens: Vec<_> = tokens.collect();
    // Without the brackets around them.
    match tokens.as_slice() {
        [_, inside @ .., _] => inside.to_vec(),
        _ => Vec::new(),
    }
}

fn is_name(token: &SyntaxToken) -> bool {
    token.kind() == SyntaxKind::IDENT
}

/// Returns true for tokens that begin as an item does, behind its attributes.
fn begins_item(tokens: &[SyntaxToken]) -> bool {
    let mut rest = tokens;
    while let [hash, bracket, ..] = rest
        && hash.kind() == SyntaxKind::POUND
        && bracket.kind() == SyntaxKind::L_BRACK
    {
        let mut depth = 0;
        let end = rest.iter().position(|token| {
            match token.kind() {
                SyntaxKind::L_BRACK => depth += 1,
                SyntaxKind::R_BRACK => depth -= 1,
                _ => return false,
            }
            depth == 0
        });
        let Some(end) = end else { return false };
        rest = &rest[end + 1..];
    }
    let mut rest = rest.iter();
    rest.next()
        .is_some_and(|first| ITEM.contains(&first.kind()) && rest.next().is_some())
}

/// The names behind the keywords of items.
fn defined(tokens: &[SyntaxToken]) -> Vec<String> {
    let names = tokens.windows(3).filter_map(|window| {
        let [keyword, name, behind] = window else {
            return None;
        };
        let name = match (keyword.kind(), name.text()) {
            // `lazy_static!`
            (SyntaxKind::STATIC_KW, "ref" | "mut") => behind,
            (
                SyntaxKind::ENUM_KW
                | SyntaxKind::FN_KW
                | SyntaxKind::MOD_KW
                | SyntaxKind::STATIC_KW
                | SyntaxKind::STRUCT_KW
                | SyntaxKind::TRAIT_KW
                | SyntaxKind::TYPE_KW,
                _,
            ) => name,
            _ => return None,
        };
        is_name(name).then(|| name.text().to_owned())
    });
    names.collect()
}

/// Returns true if a source defines a macro of this name, and what it stands for begins as an item does.
fn makes_items(name: &str, source: &str) -> bool {
    if !source.contains("macro_rules!") {
        return false;
    }
    let parsed = SourceFile::parse(source, Edition::Edition2024);
    let definitions = parsed.syntax_node().descendants();
    let mut definitions = definitions.filter_map(ast::MacroRules::cast);
    let Some(definition) = definitions.find(|definition| {
        let defined = definition.name();
        defined.is_some_and(|defined| defined.text() == name)
    }) else {
        return false;
    };
    let Some(rules) = definition.token_tree() else {
        return false;
    };
    // Each arm is `(…) => {…}`: what stands for a call is the tree behind the arrow.
    let trees = rules.syntax().children().filter_map(ast::TokenTree::cast);
    let trees: Vec<_> = trees.collect();
    let mut results = trees.iter().skip(1).step_by(2).peekable();
    results.peek().is_some() && results.all(|tree| begins_item(&tokens(tree.syntax())))
}

#[cfg(test)]
mod tests {
    use super::super::source::PreparedSource;
    use super::*;

    fn keys(source: &str, items: &str) -> Vec<String> {
        let calls = calls(source, items).into_iter();
        calls.map(|call| call.key).collect()
    }

    #[test]
    fn calls_that_make_items_are_told_by_their_input_or_their_definition() {
        let local = "thread_local! { static T: Cell<i32> = Cell::new(1); }";
        assert_eq!(keys(local, ""), ["thread_local_T"]);
        let lazy = "lazy_static::lazy_static! {\n  /// Why.\n  #[allow(x)]\n  static ref N: u8 = 1;\n}\nf()";
        assert_eq!(keys(lazy, ""), ["lazy_static_N"]);
        let make = "macro_rules! mk { ($n:ident) => { fn $n() -> i32 { 3 } } }";
        assert_eq!(
            keys(&format!("{make} mk!(three); three()"), ""),
            ["mk_three"]
        );
        assert_eq!(keys(":dep x\nmk!(four);", make), ["mk_four"]);
        let compute = "macro_rules! mk { ($n:ident) => { $n + 1 } }";
        for (source, items) in [
            ("mk!(a);", compute),
            ("println!(\"x\"); vec![1, 2]", ""),
            ("json!({ \"pub\": 1 })", ""),
            ("fn f() { thread_local! { static T: u8 = 1; } }", ""),
        ] {
            assert!(keys(source, items).is_empty(), "{source}");
        }
    }

    #[test]
    fn a_call_is_in_its_place_again() {
        let source = "// ä\nthread_local! {\n    static T: u8 = 1;\n}\nlet a: u8 = 1;";
        let hidden = PreparedSource::typed(source, &super::super::source::CellSetting::default());
        assert!(
            hidden
                .text
                .contains("macro_rules! phalanx_items_thread_local_T { () => { thread")
        );
        let shown = revealed(&hidden.text).unwrap();
        assert_eq!(shown.len(), hidden.text.len());
        let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert_eq!(words(&shown), words(source));
    }
}
