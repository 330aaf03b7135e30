//! Rust source as tokens and paths, without comments and strings.

use ra_ap_rustc_lexer::{FrontmatterAllowed, TokenKind, tokenize};

/// A token other than whitespace and comments.
#[derive(Clone, Debug, PartialEq)]
pub struct Token {
    /// The text.
    pub text: String,
    /// True for a name or keyword.
    pub is_name: bool,
    /// The line, from 1.
    pub line: usize,
}

/// A path in code; `use` trees are expanded.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// The names, such as `["std", "fs", "read"]`.
    pub parts: Vec<String>,
    /// The line on which it starts.
    pub line: usize,
}

impl Path {
    /// Returns true if the path starts with these names.
    pub fn starts_with(&self, start: &[&str]) -> bool {
        self.parts.len() >= start.len() && start.iter().zip(&self.parts).all(|(a, b)| a == b)
    }
}

/// Splits source into tokens.
pub fn tokens(source: &str) -> Vec<Token> {
    let (mut index, mut line) = (0, 1);
    let mut tokens = Vec::new();
    for token in tokenize(source, FrontmatterAllowed::No) {
        let text = &source[index..index + token.len as usize];
        index += token.len as usize;
        let is_name = matches!(token.kind, TokenKind::Ident | TokenKind::RawIdent);
        let blank = matches!(
            token.kind,
            TokenKind::Whitespace | TokenKind::LineComment { .. } | TokenKind::BlockComment { .. }
        );
        if !blank {
            tokens.push(Token {
                text: text.to_owned(),
                is_name,
                line,
            });
        }
        line += text.matches('\n').count();
    }
    tokens
}

/// Returns every path of several names, and every imported single name.
pub fn paths(tokens: &[Token]) -> Vec<Path> {
    let mut paths = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        let imported = index > 0 && matches!(tokens[index - 1].text.as_str(), "use" | "crate");
        if !tokens[index].is_name || tokens[index].text == "use" {
            index += 1;
            continue;
        }
        let first = paths.len();
        let end = read_path(tokens, index, &mut Vec::new(), &mut paths);
        let single = paths[first..].iter().all(|path| path.parts.len() < 2);
        if single && !imported {
            paths.truncate(first);
        }
        index = end.max(index + 1);
    }
    paths
}

/// Parses a path or a `use` tree from a token on; returns the position after it.
fn read_path(
    tokens: &[Token],
    mut index: usize,
    prefix: &mut Vec<String>,
    paths: &mut Vec<Path>,
) -> usize {
    let line = tokens.get(index).map_or(0, |token| token.line);
    let depth = prefix.len();
    while let Some(token) = tokens
        .get(index)
        .filter(|token| token.is_name || token.text == "*")
    {
        prefix.push(token.text.clone());
        index += 1;
        if !is_separator(tokens, index) {
            break;
        }
        index += 2;
        if tokens.get(index).is_some_and(|token| token.text == "{") {
            index = read_group(tokens, index + 1, prefix, paths);
            prefix.truncate(depth);
            return index;
        }
    }
    if prefix.len() > depth {
        paths.push(Path {
            parts: prefix.clone(),
            line,
        });
    }
    prefix.truncate(depth);
    index
}

/// Parses the branches of a `use` tree up to its closing brace.
fn read_group(
    tokens: &[Token],
    mut index: usize,
    prefix: &mut Vec<String>,
    paths: &mut Vec<Path>,
) -> usize {
    while let Some(token) = tokens.get(index) {
        match token.text.as_str() {
            "}" => return index + 1,
            "," => index += 1,
            "as" => index += 2,
            _ => index = read_path(tokens, index, prefix, paths).max(index + 1),
        }
    }
    index
}

fn is_separator(tokens: &[Token], index: usize) -> bool {
    matches!(tokens.get(index..index + 2), Some([a, b]) if a.text == ":" && b.text == ":")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(source: &str) -> Vec<String> {
        let paths = paths(&tokens(source));
        paths.iter().map(|path| path.parts.join("::")).collect()
    }

    #[test]
    fn use_trees_are_expanded() {
        assert_eq!(
            shown("use std::{fs, io::{self, Read as R}, net::*};"),
            ["std::fs", "std::io::self", "std::io::Read", "std::net::*"]
        );
        assert_eq!(
            shown("use zeromq; extern crate evcxr;"),
            ["zeromq", "evcxr"]
        );
        assert_eq!(shown("let x: u8 = std::fs::read(p);"), ["std::fs::read"]);
    }

    #[test]
    fn comments_and_strings_are_not_code() {
        assert_eq!(
            shown("// std::fs::read\nlet x = \"std::fs\"; /* a::b */"),
            [""; 0]
        );
    }

    #[test]
    fn lines_are_counted_through_comments_and_strings() {
        let tokens = tokens("/* a\nb */\nlet x = \"\n\";\ny");
        let last = tokens.last().unwrap();
        assert_eq!((last.text.as_str(), last.line), ("y", 5));
    }
}
