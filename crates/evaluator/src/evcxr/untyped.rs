//! The variables of a cell whose types are not written in it, and how they are written into it.
//!
//! evcxr takes a type from `let name: Type`; of a pattern with parts it takes none, so a statement
//! for each part follows on the same line.

use super::source::lets;
use phalanx_protocol::analysis::{InferredType, VariableType};
use ra_ap_syntax::ast::{self, AstNode, HasName, LiteralKind};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode};

/// A variable without a type.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Untyped {
    pub(super) name: String,
    /// The offset of its name in the cell, in bytes.
    pub(super) offset: usize,
    /// Its type where its value says it.
    pub(super) evident: Option<String>,
    is_mutable: bool,
    place: Place,
}

/// The place of its type.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// Behind its pattern.
    Pattern(usize),
    /// In a statement behind its own.
    Statement(usize),
}

/// Text that is put into a cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Addition {
    /// The offset, in bytes.
    pub(super) offset: usize,
    pub(super) text: String,
}

/// The variables of a cell's top level whose types are not written there.
pub(super) fn untyped(source: &str) -> Vec<Untyped> {
    let (lets, place) = lets(source);
    let mut found = Vec::new();
    for statement in lets {
        let Some(pattern) = statement.pat() else {
            continue;
        };
        let is_whole = matches!(pattern, ast::Pat::IdentPat(_));
        let is_said = statement
            .ty()
            .is_some_and(|ty| is_whole && is_complete(ty.syntax()));
        // Without an end nothing can follow it, and it does not compile anyway.
        let end = statement.semicolon_token();
        if is_said || end.is_none() {
            continue;
        }
        let end = end.map(|end| usize::from(end.text_range().end()));
        let behind = usize::from(pattern.syntax().text_range().end());
        let value = statement
            .initializer()
            .filter(|_| is_whole && statement.ty().is_none());
        let nodes = pattern.syntax().descendants();
        let bindings = nodes.filter_map(ast::IdentPat::cast);
        for binding in bindings.take(if is_whole { 1 } else { usize::MAX }) {
            let Some(name) = binding.name() else { continue };
            let text = name.text().to_string();
            let evident = value.as_ref().and_then(|value| {
                let is_free = || source.matches(text.as_str()).count() == 1;
                evident(value, is_free)
            });
            let at = if is_whole && statement.ty().is_none() {
                place(behind).map(Place::Pattern)
            } else {
                end.and_then(&place).map(Place::Statement)
            };
            let offset = place(usize::from(name.syntax().text_range().start()));
            if let (Some(at), Some(offset)) = (at, offset) {
                found.push(Untyped {
                    name: text,
                    offset,
                    evident,
                    is_mutable: binding.mut_token().is_some(),
                    place: at,
                });
            }
        }
    }
    found
}

/// The texts that say these types in a cell, in the order of the cell; and the types that cannot be
/// said, with their variables.
pub(super) fn additions(
    source: &str,
    types: &[VariableType],
) -> (Vec<Addition>, Vec<(String, String)>) {
    let (mut additions, mut unwritten) = (Vec::<Addition>::new(), Vec::new());
    if types.is_empty() {
        return (additions, unwritten);
    }
    for variable in untyped(source) {
        let Untyped { name, offset, .. } = &variable;
        let known = types.iter().find(|known| known.offset == *offset);
        let Some(InferredType::Known(ty)) = known.map(|known| &known.ty) else {
            continue;
        };
        if !is_writable(ty) {
            unwritten.push((variable.name, ty.clone()));
            continue;
        }
        let mutable = if variable.is_mutable { "mut " } else { "" };
        let (offset, text) = match variable.place {
            Place::Pattern(offset) => (offset, format!(": {ty}")),
            Place::Statement(offset) => (offset, format!(" let {mutable}{name}: {ty} = {name};")),
        };
        match additions.last_mut() {
            Some(last) if last.offset == offset => last.text += &text,
            _ => additions.push(Addition { offset, text }),
        }
    }
    (additions, unwritten)
}

/// The type of a value that is a literal. One without a suffix may be of any type that its variable
/// is used as, unless it is not used.
fn evident(value: &ast::Expr, is_free: impl Fn() -> bool) -> Option<String> {
    let literal = match value {
        ast::Expr::Literal(literal) => literal.clone(),
        ast::Expr::PrefixExpr(negated) => match negated.expr()? {
            ast::Expr::Literal(literal) => literal,
            _ => return None,
        },
        _ => return None,
    };
    let ty = match literal.kind() {
        LiteralKind::String(_) => "&'static str",
        LiteralKind::Char(_) => "char",
        LiteralKind::Bool(_) => "bool",
        LiteralKind::Byte(_) => "u8",
        LiteralKind::IntNumber(number) => match number.suffix() {
            Some(suffix) => return Some(suffix.to_owned()),
            None if is_free() => "i32",
            None => return None,
        },
        LiteralKind::FloatNumber(number) => match number.suffix() {
            Some(suffix) => return Some(suffix.to_owned()),
            None if is_free() => "f64",
            None => return None,
        },
        LiteralKind::ByteString(_) | LiteralKind::CString(_) => return None,
    };
    Some(ty.to_owned())
}

/// Returns true for a type without a part that is left to the compiler.
fn is_complete(ty: &SyntaxNode) -> bool {
    ty.descendants()
        .all(|node| node.kind() != SyntaxKind::INFER_TYPE)
}

/// Returns true for a type that may be written in a `let`: that of a value that never is, or of one
/// behind `impl`, may not.
fn is_writable(ty: &str) -> bool {
    let parsed = SourceFile::parse(&format!("const _: {ty} = x();"), Edition::Edition2024);
    let mut nodes = parsed.syntax_node().descendants();
    parsed.errors().is_empty()
        && !ty.contains('\n')
        && nodes.all(|node| {
            let kind = node.kind();
            !matches!(kind, SyntaxKind::NEVER_TYPE | SyntaxKind::IMPL_TRAIT_TYPE)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A cell with types written in, each variable's being its name in capitals.
    fn written(source: &str) -> String {
        let types: Vec<VariableType> = untyped(source)
            .into_iter()
            .map(|variable| VariableType {
                ty: InferredType::Known(variable.name.to_uppercase()),
                name: variable.name,
                offset: variable.offset,
            })
            .collect();
        super::super::source::Prepared::typed(source, &types).text
    }

    #[test]
    fn types_are_written_where_evcxr_reads_them() {
        for (source, typed) in [
            ("let a = f();", "let a: A = f();"),
            ("let mut ü = f(); ü", "let mut ü: Ü = f(); ü"),
            ("let a: u8 = 1;", "let a: u8 = 1;"),
            ("let a: Vec<_> = f();", "let a: Vec<_> = f(); let a: A = a;"),
            (
                "let (a, mut b) = f(); a",
                "let (a, mut b) = f(); let a: A = a; let mut b: B = b; a",
            ),
            (
                ":dep x\nlet S { a, b: [c, ..] } = f();\nlet d;\nd = 1;",
                ":dep x\nlet S { a, b: [c, ..] } = f(); let a: A = a; let c: C = c;\nlet d: D;\nd = 1;",
            ),
            (
                "let Some(a) = f() else { return };",
                "let Some(a) = f() else { return }; let a: A = a;",
            ),
            (
                "{ let a = f(); }\nlet _ = g();",
                "{ let a = f(); }\nlet _ = g();",
            ),
            ("let a = f()", "let a = f()"),
        ] {
            assert_eq!(written(source), typed);
        }
    }

    #[test]
    fn a_literal_says_its_type() {
        let evident = |source: &str| untyped(source).remove(0).evident;
        for (source, ty) in [
            ("let a = 1;", "i32"),
            ("let a = -1.5;", "f64"),
            ("let a = 7u64;\nf(a);", "u64"),
            ("let a = \"ü\";", "&'static str"),
            ("let a = 'c'; a", "char"),
        ] {
            assert_eq!(evident(source).as_deref(), Some(ty), "{source}");
        }
        for source in [
            "let a = 1;\nf(a)",
            "let a = f();",
            "let a = vec![1];",
            "let a = 1 + 1;",
        ] {
            assert_eq!(evident(source), None, "{source}");
        }
    }

    #[test]
    fn what_cannot_be_written_is_left_out_and_remembered() {
        let source = "let a = f(); let b = g();";
        let types: Vec<VariableType> = ["impl Fn() -> u8", "Result<!, u8>"]
            .into_iter()
            .zip(untyped(source))
            .map(|(ty, variable)| VariableType {
                name: variable.name,
                offset: variable.offset,
                ty: InferredType::Known(ty.to_owned()),
            })
            .collect();
        let (added, unwritten) = additions(source, &types);
        assert_eq!(added, []);
        let unwritten: Vec<_> = unwritten
            .iter()
            .map(|(name, ty)| format!("{name}: {ty}"))
            .collect();
        assert_eq!(unwritten, ["a: impl Fn() -> u8", "b: Result<!, u8>"]);
    }
}
