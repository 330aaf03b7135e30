//! The items of a cell: definitions, which have no effect when the cell runs.

use super::scan::is_trivia;
use ra_ap_rustc_lexer::{FrontmatterAllowed, TokenKind, tokenize};
use std::ops::Range;

/// An item of a cell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellItem {
    /// Its kind and name: `fn f`, `struct A`, `impl A`, `use std::fmt`.
    pub name: String,
    /// Its full text, including attributes.
    pub text: String,
}

impl CellItem {
    /// Returns the name by which other code refers to it; impls have none.
    pub fn defined(&self) -> Option<&str> {
        let name = self.name.split_whitespace().next_back();
        name.filter(|_| !self.name.starts_with("impl"))
    }
}

/// Returns the items outside all blocks of Rust text, in order.
pub fn items(source: &str) -> Vec<CellItem> {
    let mut parser = Parser::new(source);
    let mut items = Vec::new();
    while parser.at < parser.tokens.len() {
        items.extend(parser.statement());
    }
    items
}

/// Returns true if Rust text sets the global allocator, which has no effect in a cell.
pub fn sets_allocator(source: &str) -> bool {
    let mut at = 0;
    let mut tokens = tokenize(source, FrontmatterAllowed::No);
    tokens.any(|token| {
        let start = at;
        at += token.len as usize;
        token.kind == TokenKind::Ident && source.get(start..at) == Some("global_allocator")
    })
}

/// A statement or an item outside all blocks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CellStatement {
    /// The kind and name of an item, as of [`CellItem`]; `None` for other statements.
    pub item: Option<String>,
    /// Its span in the source, in bytes.
    pub bytes: Range<usize>,
}

/// Returns the statements and items outside all blocks of Rust text, in order.
pub fn statements(source: &str) -> Vec<CellStatement> {
    let mut parser = Parser::new(source);
    let mut statements = Vec::new();
    while parser.at < parser.tokens.len() {
        let start = parser.at;
        let item = parser.statement().map(|item| item.name);
        let last = parser.at.clamp(start + 1, parser.tokens.len()) - 1;
        statements.push(CellStatement {
            item,
            bytes: parser.tokens[start].start..parser.tokens[last].end,
        });
    }
    statements
}

struct Parser<'a> {
    source: &'a str,
    /// The tokens other than whitespace and comments.
    tokens: Vec<Range<usize>>,
    at: usize,
}

/// The token that ends an item.
enum ItemEnd {
    /// A `;`.
    Semicolon,
    /// The `}` of its block, or a `;` if it has none.
    Block,
}

impl<'a> Parser<'a> {
    fn new(source: &'a str) -> Self {
        let mut tokens = Vec::new();
        let mut at = 0;
        for token in tokenize(source, FrontmatterAllowed::No) {
            let end = at + token.len as usize;
            if !is_trivia(token.kind) && token.kind != TokenKind::Eof {
                tokens.push(at..end);
            }
            at = end;
        }
        Self {
            source,
            tokens,
            at: 0,
        }
    }

    fn text(&self, at: usize) -> &'a str {
        self.tokens
            .get(at)
            .map_or("", |token| &self.source[token.clone()])
    }

    /// Skips a statement; returns it if it is an item.
    fn statement(&mut self) -> Option<CellItem> {
        let start = self.at;
        let mut at = start;
        while self.text(at) == "#" && self.text(at + 1) == "[" {
            at = self.closed(at + 1);
        }
        if self.text(at) == "pub" {
            at += 1;
            if self.text(at) == "(" {
                at = self.closed(at);
            }
        }
        let named = at;
        match self.item(at) {
            Some((keyword, end)) => {
                let stop = match end {
                    ItemEnd::Semicolon => self.after(keyword, |text| text == ";"),
                    ItemEnd::Block => self.after(keyword, |text| matches!(text, ";" | "}")),
                };
                self.at = stop;
                let bytes = |from: usize, to: usize| {
                    let last = &self.tokens[to - 1];
                    &self.source[self.tokens[from].start..last.end]
                };
                Some(CellItem {
                    name: short(bytes(named, stop)),
                    text: bytes(start, stop).to_owned(),
                })
            }
            None => {
                self.at = self.skip(at).max(start + 1);
                None
            }
        }
    }

    /// Returns the position of the keyword of the item at `at`, and the token that ends such an
    /// item.
    fn item(&self, mut at: usize) -> Option<(usize, ItemEnd)> {
        loop {
            let next = self.text(at + 1);
            let end = match self.text(at) {
                "fn" | "struct" | "enum" | "trait" | "mod" | "impl" => ItemEnd::Block,
                "macro_rules" if next == "!" => ItemEnd::Block,
                "union" | "auto" if is_word(next) => ItemEnd::Block,
                "use" | "static" | "type" => ItemEnd::Semicolon,
                "extern" if next == "crate" => ItemEnd::Semicolon,
                "extern" if next.starts_with('"') && self.text(at + 2) == "{" => ItemEnd::Block,
                "extern" if next.starts_with('"') => {
                    at += 2;
                    continue;
                }
                "extern" if next == "{" => ItemEnd::Block,
                "const" if matches!(next, "fn" | "unsafe" | "async" | "extern") => {
                    at += 1;
                    continue;
                }
                "const" if is_word(next) => ItemEnd::Semicolon,
                "unsafe" | "async" | "extern"
                    if matches!(next, "fn" | "extern" | "impl" | "trait" | "unsafe" | "mod") =>
                {
                    at += 1;
                    continue;
                }
                _ => return None,
            };
            return Some((at, end));
        }
    }

    /// Returns the position after a statement that is not an item.
    fn skip(&self, start: usize) -> usize {
        let block = matches!(
            self.text(start),
            "if" | "for" | "while" | "loop" | "match" | "unsafe" | "async" | "const" | "{"
        );
        let mut at = start;
        loop {
            at = self.after(at, |text| text == ";" || (block && text == "}"));
            let ended = self.text(at.saturating_sub(1)) == ";" || at >= self.tokens.len();
            if ended || !matches!(self.text(at), "else" | "." | "?") {
                return at;
            }
        }
    }

    /// Returns the position after the first token outside all brackets that `wanted` accepts, or
    /// the end. A closing bracket counts as outside.
    fn after(&self, mut at: usize, wanted: impl Fn(&str) -> bool) -> usize {
        while at < self.tokens.len() {
            let is_open = matches!(self.text(at), "(" | "[" | "{");
            at = if is_open { self.closed(at) } else { at + 1 };
            if wanted(self.text(at - 1)) {
                return at;
            }
        }
        at
    }

    /// Returns the position after the bracket that closes the one at `at`.
    fn closed(&self, mut at: usize) -> usize {
        let mut depth = 0_usize;
        while at < self.tokens.len() {
            match self.text(at) {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            at += 1;
            if depth == 0 {
                break;
            }
        }
        at
    }
}

fn is_word(text: &str) -> bool {
    text.chars()
        .next()
        .is_some_and(|c| c.is_alphabetic() || c == '_')
}

/// Returns an item's text up to its parameters or its block.
fn short(text: &str) -> String {
    /// The largest number of characters of a name.
    const LENGTH: usize = 60;
    let end = match text.split_whitespace().next() {
        Some("use" | "impl" | "macro_rules!") => text.find(['{', ';', '=']),
        _ => text.find(['{', ';', '(', ':', '=', '<']),
    };
    let words: Vec<&str> = text[..end.unwrap_or(text.len())]
        .split_whitespace()
        .collect();
    words.join(" ").chars().take(LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(source: &str) -> Vec<String> {
        items(source).into_iter().map(|item| item.name).collect()
    }

    #[test]
    fn items_and_statements_are_distinguished() {
        let source = r#"
use std::fmt::{self, Display};
let a = vec![1, 2]; // fn not_this() {}
/// A point.
#[derive(Clone)]
pub struct P { x: u32 }
struct T(u8);
impl Display for P { fn fmt(&self) {} }
if a.len() > 1 { fn inner() {} } else { }
const N: usize = 3;
static S: &str = "fn s() {}";
pub(crate) async unsafe fn é<T>(t: T) -> [u8; 2] where T: Copy { [0; 2] }
macro_rules! m { () => {} }
unsafe { a() };
let b = match a { _ => { 1 } };
const fn k() {}
extern "C" { fn c(); }
enum E { A }
fn last() -> u32 { 1 }
last()"#;
        assert_eq!(
            names(source),
            [
                "use std::fmt::",
                "struct P",
                "struct T",
                "impl Display for P",
                "const N",
                "static S",
                "async unsafe fn é",
                "macro_rules! m",
                "const fn k",
                "extern \"C\"",
                "enum E",
                "fn last",
            ]
        );
    }

    #[test]
    fn statements_cover_all_of_a_cell() {
        let source = "use a::b;\nlet é = { 1; 2 };\n#[x] fn f() { g(); }\nif a { b } else { c }\né";
        let found = statements(source);
        let texts: Vec<&str> = found.iter().map(|s| &source[s.bytes.clone()]).collect();
        assert_eq!(
            texts,
            [
                "use a::b;",
                "let é = { 1; 2 };",
                "#[x] fn f() { g(); }",
                "if a { b } else { c }",
                "é"
            ]
        );
        let items: Vec<_> = found.into_iter().map(|s| s.item).collect();
        let some = |name: &str| Some(name.to_owned());
        assert_eq!(items, [some("use a::b"), None, some("fn f"), None, None]);
    }

    #[test]
    fn an_item_includes_its_attributes() {
        let found = items("let a = 1;\n#[inline]\nfn f() { \"}\"; }\na");
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].text, "#[inline]\nfn f() { \"}\"; }");
    }

    #[test]
    fn text_that_is_not_rust_has_no_items_and_parsing_ends() {
        for source in [
            "", "}", "((", "#", "fn", "pub", "\"", "let x = ", "#[", "é ! ?",
        ] {
            let _ = items(source);
            let _ = statements(source);
        }
        assert!(names("a + b").is_empty());
    }
}
