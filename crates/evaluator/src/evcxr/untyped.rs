//! The variables of a cell without type annotations, and the addition of these.
//!
//! evcxr reads types from `let name: Type`, and keeps the variables of such statements. Every other
//! `let` is wrapped in a macro call, which evcxr does not look into; for each of its variables with
//! a known type, a statement follows on the same line. Other variables are not kept.

use super::source::lets;
use phalanx_protocol::analysis::{InferredType, VariableType};
use phalanx_protocol::evaluator::{UnkeptReason, UnkeptVariable};
use ra_ap_syntax::ast::{self, AstNode, HasName, LiteralKind};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode};
use std::ops::Range;

/// The text before a statement that is hidden from evcxr. Text that begins with a colon would be a
/// command.
const OPEN: &str = "phalanx::__cell::unkept! { ";
/// The text after it, with a semicolon, so that it is not the cell's value.
const CLOSE: &str = " };";

/// A variable without a type annotation.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct UntypedVariable {
    pub(super) name: String,
    /// The offset of its name in the cell, in bytes.
    pub(super) offset: usize,
    /// Its type, if it is evident from its value.
    pub(super) evident: Option<String>,
    is_mutable: bool,
    /// The range of its statement in the cell.
    statement: Range<usize>,
    has_value: bool,
    /// The end of its pattern, where a type can be added; `None` if the pattern is compound, or has
    /// an incomplete type.
    pattern: Option<usize>,
}

impl UntypedVariable {
    /// Returns the end of its statement in bytes, if it has a value.
    pub(super) fn value_end(&self) -> Option<usize> {
        self.has_value.then_some(self.statement.end)
    }
}

/// A text to be inserted into a cell.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct TypeAnnotation {
    /// The offset in bytes.
    pub(super) offset: usize,
    pub(super) text: String,
    /// The variables whose types it specifies.
    pub(super) types_of: Vec<String>,
}

/// Returns the variables at a cell's top level without type annotations.
pub(super) fn untyped(source: &str) -> Vec<UntypedVariable> {
    let (lets, cell_offset) = lets(source);
    let mut variables = Vec::new();
    for statement in lets {
        let Some(pattern) = statement.pat() else {
            continue;
        };
        // The type of `ref name` is not that of the value.
        let is_whole = match &pattern {
            ast::Pat::IdentPat(binding) => binding.ref_token().is_none(),
            _ => false,
        };
        let is_annotated = statement
            .ty()
            .is_some_and(|ty| is_whole && is_complete(ty.syntax()));
        // Without an end it does not compile anyway.
        if is_annotated || statement.semicolon_token().is_none() {
            continue;
        }
        let range = range_of(&statement);
        let (Some(start), Some(end)) = (cell_offset(range.start), cell_offset(range.end)) else {
            continue;
        };
        let pattern_end = usize::from(pattern.syntax().text_range().end());
        let is_plain = is_whole && statement.ty().is_none();
        let value = statement.initializer().filter(|_| is_plain);
        let nodes = pattern.syntax().descendants();
        let bindings = nodes.filter_map(ast::IdentPat::cast);
        for binding in bindings.take(if is_whole { 1 } else { usize::MAX }) {
            let Some(name) = binding.name() else { continue };
            let text = name.text().to_string();
            let evident = value.as_ref().and_then(|value| {
                let is_free = || source.matches(text.as_str()).count() == 1;
                evident(value, is_free)
            });
            let offset = cell_offset(usize::from(name.syntax().text_range().start()));
            if let Some(offset) = offset {
                variables.push(UntypedVariable {
                    name: text,
                    offset,
                    evident,
                    is_mutable: binding.mut_token().is_some(),
                    statement: start..end,
                    has_value: statement.initializer().is_some(),
                    pattern: cell_offset(pattern_end).filter(|_| is_plain),
                });
            }
        }
    }
    variables
}

/// A cell with known types of its variables added, and the mapping to its original offsets.
pub(super) struct TypedCell {
    pub(super) source: String,
    /// The range of each type in that source.
    inserted: Vec<Range<usize>>,
}

impl TypedCell {
    /// Adds types to a cell wherever a type can be written.
    pub(super) fn new(source: &str, types: &[VariableType]) -> Self {
        let mut text = String::with_capacity(source.len());
        let (mut inserted, mut done) = (Vec::new(), 0);
        for variable in untyped(source) {
            if let (Some(at), Ok(ty)) = (variable.pattern, source_type(&variable, types)) {
                text.push_str(&source[done..at]);
                let start = text.len();
                text.push_str(": ");
                text.push_str(&ty);
                inserted.push(start..text.len());
                done = at;
            }
        }
        text.push_str(&source[done..]);
        Self {
            source: text,
            inserted,
        }
    }

    /// Returns the offset in the cell of a position outside of the added types.
    pub(super) fn offset(&self, offset: usize) -> usize {
        let before = self.inserted.iter().filter(|range| range.end <= offset);
        offset - before.map(ExactSizeIterator::len).sum::<usize>()
    }
}

/// Returns the range of a statement, without the comments that belong to its node.
fn range_of(statement: &ast::LetStmt) -> Range<usize> {
    let whole = statement.syntax().text_range();
    let keyword = statement.let_token();
    let start = keyword.map_or(whole.start(), |token| token.text_range().start());
    // Attributes precede it.
    let attributes = statement.syntax().children().find_map(ast::Attr::cast);
    let start = attributes.map_or(start, |attribute| attribute.syntax().text_range().start());
    usize::from(start)..usize::from(whole.end())
}

/// Returns the texts that add these types to a cell, in order, and the variables that are not kept;
/// rustc has rejected the types of those in `disputed`.
pub(super) fn additions(
    source: &str,
    types: &[VariableType],
    disputed: &[String],
) -> (Vec<TypeAnnotation>, Vec<UnkeptVariable>) {
    let (mut additions, mut unkept) = (Vec::new(), Vec::<UnkeptVariable>::new());
    let mut variables = untyped(source).into_iter().peekable();
    while let Some(first) = variables.next() {
        let statement = first.statement.clone();
        let mut declared = vec![first];
        while let Some(next) = variables.next_if(|next| next.statement == statement) {
            declared.push(next);
        }
        let known = |variable: &UntypedVariable| match disputed.contains(&variable.name) {
            true => Err(UnkeptReason::Unknown),
            false => source_type(variable, types),
        };
        if let [only] = declared.as_slice()
            && let Some(offset) = only.pattern
            && let Ok(ty) = known(only)
        {
            let types_of = vec![only.name.clone()];
            let text = format!(": {ty}");
            additions.push(TypeAnnotation {
                offset,
                text,
                types_of,
            });
            continue;
        }
        let (mut text, mut types_of) = (CLOSE.to_owned(), Vec::new());
        for variable in &declared {
            let name = &variable.name;
            match known(variable) {
                Ok(ty) => {
                    let mutable = if variable.is_mutable { "mut " } else { "" };
                    text += &format!(" let {mutable}{name}: {ty} = {name};");
                    types_of.push(name.clone());
                }
                Err(reason) => unkept.push(UnkeptVariable {
                    name: name.clone(),
                    reason,
                }),
            }
        }
        let (offset, open) = (statement.start, OPEN.to_owned());
        additions.push(TypeAnnotation {
            offset,
            text: open,
            types_of: Vec::new(),
        });
        let offset = statement.end;
        additions.push(TypeAnnotation {
            offset,
            text,
            types_of,
        });
    }
    (additions, unkept)
}

/// Returns the type of a variable in a form that can be written in a `let`.
fn source_type(variable: &UntypedVariable, types: &[VariableType]) -> Result<String, UnkeptReason> {
    let known = types.iter().find(|known| known.offset == variable.offset);
    match known.map(|known| &known.ty) {
        Some(InferredType::Known(ty)) if is_writable(ty) => Ok(ty.clone()),
        Some(InferredType::Known(ty)) => Err(UnkeptReason::Unnameable { ty: ty.clone() }),
        Some(InferredType::Closure) => Err(UnkeptReason::Closure),
        Some(InferredType::Unknown) | None => Err(UnkeptReason::Unknown),
    }
}

/// Returns the type of a literal value. A literal without a suffix may have any type that its
/// variable is used as, unless the variable is unused.
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

/// Returns true for a type without parts that are left to inference.
fn is_complete(ty: &SyntaxNode) -> bool {
    ty.descendants()
        .all(|node| node.kind() != SyntaxKind::INFER_TYPE)
}

/// Returns true for a type that can be written in a `let`: not the never type, and not `impl
/// Trait`.
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

    /// Returns a cell with types added, the type of each variable being its name in capitals.
    fn with_types(source: &str) -> String {
        let types: Vec<VariableType> = untyped(source)
            .into_iter()
            .map(|variable| VariableType {
                ty: InferredType::Known(variable.name.to_uppercase()),
                name: variable.name,
                offset: variable.offset,
            })
            .collect();
        let setting = super::super::source::CellSetting {
            types: &types,
            ..Default::default()
        };
        super::super::source::PreparedSource::typed(source, &setting).text
    }

    #[test]
    fn types_are_added_in_the_form_evcxr_reads() {
        for (source, typed) in [
            ("let a = f();", "let a: A = f();"),
            ("let mut ü = f(); ü", "let mut ü: Ü = f(); ü"),
            ("let a: u8 = 1;", "let a: u8 = 1;"),
            (
                "let a: Vec<_> = f();",
                "HIDDEN { let a: Vec<_> = f(); }; let a: A = a;",
            ),
            (
                "/* ü */ let (a, mut b) = f(); a",
                "/* ü */ HIDDEN { let (a, mut b) = f(); }; let a: A = a; let mut b: B = b; a",
            ),
            (
                ":dep x\nlet S { a, b: [c, ..] } = f();\nlet d;\nd = 1;",
                ":dep x\nHIDDEN { let S { a, b: [c, ..] } = f(); }; let a: A = a; let c: C = c;\nlet d: D;\nd = 1;",
            ),
            (
                "let Some(a) = f() else { panic!() };",
                "HIDDEN { let Some(a) = f() else { panic!() }; }; let a: A = a;",
            ),
            (
                "{ let a = f(); }\nlet _ = g();",
                "{ let a = f(); }\nlet _ = g();",
            ),
            ("let a = f()", "let a = f()"),
            // The type of the variable is not that of the value.
            (
                "let ref a = f();",
                "HIDDEN { let ref a = f(); }; let a: A = a;",
            ),
            (
                "let ref a: u8 = 1;",
                "HIDDEN { let ref a: u8 = 1; }; let a: A = a;",
            ),
        ] {
            let typed = typed.replace("HIDDEN { ", OPEN);
            assert_eq!(with_types(source), typed);
        }
    }

    #[test]
    fn literals_have_evident_types() {
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
    fn typed_cell_maps_offsets_back() {
        let source = "let größe = 2.0; let n = größe.powi(2); let (a, b) = f(n); let m = g();";
        let known = |name: &str, ty: &str| VariableType {
            name: name.to_owned(),
            offset: source.find(name).unwrap(),
            ty: InferredType::Known(ty.to_owned()),
        };
        let cell = TypedCell::new(source, &[known("größe", "f64"), known("m", "!")]);
        assert_eq!(cell.source, source.replacen("größe", "größe: f64", 1));
        for variable in untyped(&cell.source) {
            let at = cell.offset(variable.offset);
            assert!(source[at..].starts_with(&variable.name), "{variable:?}");
        }
    }

    #[test]
    fn variables_with_unnameable_types_are_not_kept() {
        let source = "let a = f(); let b = g(); let c = h(); let (d, e) = i();";
        let types: Vec<VariableType> = [
            InferredType::Known("impl Fn() -> u8".to_owned()),
            InferredType::Known("Result<!, u8>".to_owned()),
            InferredType::Known("u8".to_owned()),
            InferredType::Closure,
            InferredType::Known("u16".to_owned()),
        ]
        .into_iter()
        .zip(untyped(source))
        .map(|(ty, variable)| VariableType {
            name: variable.name,
            offset: variable.offset,
            ty,
        })
        .collect();
        let (added, unkept) = additions(source, &types, &["c".to_owned()]);
        let unnameable = |ty: &str| UnkeptReason::Unnameable { ty: ty.to_owned() };
        let reasons: Vec<_> = unkept
            .into_iter()
            .map(|unkept| (unkept.name, unkept.reason))
            .collect();
        let expected = [
            ("a", unnameable("impl Fn() -> u8")),
            ("b", unnameable("Result<!, u8>")),
            ("c", UnkeptReason::Unknown),
            ("d", UnkeptReason::Closure),
        ];
        assert_eq!(
            reasons,
            expected.map(|(name, reason)| (name.to_owned(), reason))
        );
        let last = added.last().unwrap();
        assert_eq!(last.text, " }; let e: u16 = e;");
        assert_eq!(last.types_of, ["e"]);
    }
}
