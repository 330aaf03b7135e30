//! Macro calls at a cell's top level that make items.
//!
//! evcxr treats such a call as a statement, so that its items are lost with the cell. So the call
//! is wrapped in the definition of a macro, which evcxr keeps as a named item; in the generated
//! crate, the wrapper is removed again.

use super::source::statements;
use ra_ap_syntax::ast::{self, AstNode, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, NodeOrToken, SourceFile, SyntaxKind, SyntaxNode, SyntaxToken};
use std::io;
use std::ops::Range;
use std::path::Path;

/// The text around a call until the crate is compiled; the name of the call is between the first
/// two.
const OPEN: &str = "macro_rules! phalanx_items_";
const BODY: &str = " { () => { ";
const CLOSE: &str = " } }";

/// The keywords with which items start.
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
pub(crate) struct ItemMacro {
    /// Its range in the cell, including the semicolon.
    pub(crate) range: Range<usize>,
    /// The name by which a later call replaces it: those of the macro and of its items.
    pub(crate) key: String,
    /// The names that it may define, one for each item visible in its input.
    pub(crate) defines: Vec<String>,
    pub(super) call: ast::MacroCall,
    /// True if a required semicolon is missing.
    is_open: bool,
}

/// Returns the macro calls of a cell that make items; `items` is the source of earlier cells.
pub(crate) fn calls(source: &str, items: &str) -> Vec<ItemMacro> {
    let (nodes, cell_offset) = statements(source);
    let mut calls = Vec::new();
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
        // Comments before a statement are part of its node, as is a semicolon after it, which items
        // with braces do not have.
        let (start, end) = (call.syntax().text_range().start(), node.text_range().end());
        let is_braced = input.l_curly_token().is_some();
        let end = match is_braced {
            true => call.syntax().text_range().end(),
            false => end,
        };
        if let (Some(start), Some(end)) = (cell_offset(start.into()), cell_offset(end.into())) {
            calls.push(ItemMacro {
                range: start..end,
                key: format!("{name}_{}", first.unwrap_or_default().replace("r#", "")),
                defines,
                is_open: !is_braced && !source[..end].ends_with(';'),
                call,
            });
        }
    }
    calls
}

/// Returns the texts that wrap calls for evcxr, with their offsets.
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

/// Removes the wrappers of calls from a crate's source.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub(super) fn reveal(source: &Path) -> io::Result<()> {
    // rustc reports a file that cannot be read.
    let text = std::fs::read_to_string(source).unwrap_or_default();
    match revealed(&text) {
        Some(text) => std::fs::write(source, text),
        None => Ok(()),
    }
}

/// Returns a source without the wrappers of calls; `None` if it has none. Other text keeps its
/// offset.
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
        // Comments before it are part of its node.
        let Some(keyword) = definition.macro_rules_token() else {
            continue;
        };
        let end = definition.syntax().text_range().end();
        let range = usize::from(keyword.text_range().start())..usize::from(end);
        let whole = &source[range.clone()];
        if !whole.starts_with(OPEN) || !whole.ends_with(CLOSE) {
            continue;
        }
        let Some(body) = whole.find(BODY).map(|offset| offset + BODY.len()) else {
            continue;
        };
        let end = range.end - CLOSE.len()..range.end;
        text.replace_range(range.start..range.start + body, &" ".repeat(body));
        text.replace_range(end, &" ".repeat(CLOSE.len()));
    }
    Some(text)
}

/// Returns the macro call that a statement consists of.
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

/// Returns the tokens of a macro's input, without white space and comments.
fn tokens(input: &SyntaxNode) -> Vec<SyntaxToken> {
    let tokens = input.descendants_with_tokens();
    let tokens = tokens.filter_map(NodeOrToken::into_token);
    let tokens = tokens.filter(|token| !token.kind().is_trivia());
    let tokens: Vec<_> = tokens.collect();
    // Without the surrounding brackets.
    match tokens.as_slice() {
        [_, inside @ .., _] => inside.to_vec(),
        _ => Vec::new(),
    }
}

fn is_name(token: &SyntaxToken) -> bool {
    token.kind() == SyntaxKind::IDENT
}

/// Returns true if tokens start like an item, after its attributes.
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

/// Returns the names that follow the keywords of items.
fn defined(tokens: &[SyntaxToken]) -> Vec<String> {
    let names = tokens.windows(3).filter_map(|window| {
        let [keyword, name, third] = window else {
            return None;
        };
        let name = match (keyword.kind(), name.text()) {
            // `lazy_static!`
            (SyntaxKind::STATIC_KW, "ref" | "mut") => third,
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

/// Returns true if a source defines a macro with this name whose expansion starts like an item.
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
    // Each arm is `(…) => {…}`: the expansion is the token tree after the arrow.
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
    fn item_macros_are_detected_by_input_or_definition() {
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
    fn revealed_calls_keep_their_offsets() {
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
