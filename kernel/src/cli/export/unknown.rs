//! Names that nothing in a notebook defines: those of a file that `%run` cannot read.

use super::statement::tokens;
use crate::cell::{DirectiveKind, parse_in_function, split};
use ra_ap_syntax::{SyntaxKind, SyntaxNode, SyntaxToken};
use std::collections::BTreeSet;

/// Names that need no definition.
const EVERYWHERE: &str = "
    bool char f32 f64 i8 i16 i32 i64 i128 isize str u8 u16 u32 u64 u128 usize
    alloc core drop phalanx serde std tokio
    AsMut AsRef AsyncFn AsyncFnMut AsyncFnOnce Box Clone Copy Default DoubleEndedIterator Drop Eq
    Err ExactSizeIterator Extend Fn FnMut FnOnce From FromIterator Future Into IntoFuture
    IntoIterator Iterator None Ok Option Ord PartialEq PartialOrd Result Send Sized Some String
    Sync ToOwned ToString TryFrom TryInto Unpin Vec Serialize Deserialize";

/// The names that the code of a notebook defines.
#[derive(Debug, Default)]
pub(super) struct KnownNames {
    names: BTreeSet<String>,
    /// True if a glob import may define any type or trait.
    has_glob: bool,
}

impl KnownNames {
    /// Returns the names in cells.
    pub(super) fn of<'a>(cells: impl Iterator<Item = &'a str>) -> Self {
        let mut known = Self::default();
        let everywhere = EVERYWHERE.split_whitespace().map(str::to_owned);
        known.names.extend(everywhere);
        for directive in cells.flat_map(|cell| split(cell, &[])) {
            match directive.kind {
                DirectiveKind::Rust(text) | DirectiveKind::CellMagic { body: text, .. } => {
                    known.add(&text.source);
                }
                DirectiveKind::Command(line) => {
                    let name = line.strip_prefix(":dep ").map(|argument| {
                        let end = argument.find(['=', '@', ' ']);
                        argument[..end.unwrap_or(argument.len())].replace('-', "_")
                    });
                    known.names.extend(name);
                }
                DirectiveKind::Magic(_) | DirectiveKind::Shell(_) => {}
            }
        }
        known
    }

    /// Returns true if the code defines or imports a name.
    pub(super) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Adds the names that code defines or imports.
    pub(super) fn add(&mut self, source: &str) {
        let root = parse_in_function(source).syntax_node();
        let tokens: Vec<SyntaxToken> = tokens(&root).collect();
        for (at, token) in tokens.iter().enumerate() {
            let around = || token.parent_ancestors().map(|node| node.kind());
            let is_import = || around().any(|kind| kind == SyntaxKind::USE_TREE);
            let is_macro = || around().any(|kind| kind == SyntaxKind::MACRO_RULES);
            let after = |at: usize| tokens.get(at).map(|token| token.kind());
            // An argument of a format string.
            let is_argument = || {
                around().next() == Some(SyntaxKind::TOKEN_TREE)
                    && after(at + 1) == Some(SyntaxKind::EQ)
                    && after(at + 2) != Some(SyntaxKind::EQ)
            };
            match token.kind() {
                SyntaxKind::IDENT => {
                    let is_name = around().next() == Some(SyntaxKind::NAME);
                    if is_name || is_import() || is_macro() || is_argument() {
                        self.names.insert(token.text().to_owned());
                    }
                }
                SyntaxKind::STAR => self.has_glob |= is_import(),
                _ => {}
            }
        }
    }

    /// Returns the first name in code that the notebook does not define, if any.
    pub(super) fn unknown_in(&self, code: &SyntaxNode) -> Option<String> {
        let tokens: Vec<SyntaxToken> = tokens(code).collect();
        let text = |at: Option<usize>| at.and_then(|at| tokens.get(at)).map_or("", |it| it.text());
        let is_unknown = |name: &str| {
            let may_be_imported = self.has_glob && name.starts_with(char::is_uppercase);
            !may_be_imported && !self.names.contains(name)
        };
        tokens.iter().enumerate().find_map(|(at, token)| {
            let (before, after) = (text(at.checked_sub(1)), text(Some(at + 1)));
            let parent = token.parent()?;
            let is_use = match (token.kind(), parent.kind()) {
                (SyntaxKind::STRING, _) => {
                    return captured(token.text()).find(|name| is_unknown(name));
                }
                (SyntaxKind::IDENT, SyntaxKind::NAME_REF) => {
                    let around = parent.parent().map(|node| node.kind());
                    let is_field = around == Some(SyntaxKind::RECORD_EXPR_FIELD) && after == ":";
                    let is_attribute = token
                        .parent_ancestors()
                        .any(|node| matches!(node.kind(), SyntaxKind::ATTR | SyntaxKind::USE_TREE));
                    !is_field && !is_attribute && after != "!" && !matches!(before, "." | "::")
                }
                (SyntaxKind::IDENT, SyntaxKind::TOKEN_TREE) => {
                    let is_attribute = token.parent_ancestors().any(|node| {
                        matches!(node.kind(), SyntaxKind::ATTR | SyntaxKind::MACRO_RULES)
                    });
                    let is_name = matches!(after, "!" | "=" | ":" | "|");
                    !is_attribute && !is_name && !matches!(before, "." | ":" | "|")
                }
                _ => false,
            };
            (is_use && is_unknown(token.text())).then(|| token.text().to_owned())
        })
    }
}

/// Returns the variables in braces of a format string.
fn captured(string: &str) -> impl Iterator<Item = String> {
    string.split('{').skip(1).filter_map(|rest| {
        let end = rest.find(['}', ':'])?;
        let name = &rest[..end];
        let is_first = |c: char| c.is_alphabetic() || c == '_';
        let is_name =
            name.starts_with(is_first) && name.chars().all(|c| c.is_alphanumeric() || c == '_');
        is_name.then(|| name.to_owned())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_nothing_defines_are_found() {
        let cells = [
            ":dep rand-core = \"1\"\nstruct S { a: u8 }\nfn f<T>(x: T) {}\nlet größe = 1;",
            "use std::fmt::{self, Debug as D};\nmacro_rules! m { ($e:expr) => { within($e) } }",
        ];
        let known = KnownNames::of(cells.into_iter());
        let unknown = |code: &str| known.unknown_in(&parse_in_function(code).syntax_node());
        for code in [
            "f(S { a: größe }.a).b; rand_core::x(); fmt::nothing(); m!(1)",
            "#[serde(default)] struct S; println!(\"{größe} {:?} {{\", größe.c);",
            "Vec::<String>::new(); matches!(Some(1), None | Some(2)); x.y(&größe)",
        ] {
            assert_eq!(unknown(code), None, "{code}");
        }
        for (code, name) in [
            ("made(1)", "made"),
            ("let a: Vec<Made> = f();", "Made"),
            ("println!(\"{}\", f(made(1)))", "made"),
            ("println!(\"{übrig:?}\")", "übrig"),
        ] {
            assert_eq!(unknown(code).as_deref(), Some(name), "{code}");
        }
    }
}
