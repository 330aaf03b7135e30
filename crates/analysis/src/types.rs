//! The types of the variables that a cell declares.

use crate::analysis::Question;
use crate::scaffold::FUNCTION;
use phalanx_protocol::analysis::{InferredType, VariableType};
use ra_ap_base_db::EditionedFileId;
use ra_ap_hir::{HirDisplay, Module, Semantics, Type, attach_db};
use ra_ap_ide::RootDatabase;
use ra_ap_syntax::ast::{self, AstNode, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind};

/// The edition of every cell.
const EDITION: Edition = Edition::Edition2024;

/// The variables of the cell's top level, in the order of the source.
pub(crate) fn of(question: &Question<'_>) -> Vec<VariableType> {
    let db = question.host.raw_database();
    let semantics = Semantics::new(db);
    let file = semantics.parse(EditionedFileId::new(db, question.file, EDITION));
    let found = attach_db(db, || {
        let function = file.items().find_map(|item| match item {
            ast::Item::Fn(function) if function.name()?.text() == FUNCTION => Some(function),
            _ => None,
        })?;
        let module = semantics.scope(function.syntax())?.module();
        let mut found = Vec::new();
        for statement in function.body()?.statements() {
            let ast::Stmt::LetStmt(statement) = statement else {
                continue;
            };
            let patterns = statement.pat().into_iter();
            let bindings = patterns.flat_map(|pattern| {
                let nodes = pattern.syntax().descendants();
                nodes.filter_map(ast::IdentPat::cast).collect::<Vec<_>>()
            });
            for binding in bindings {
                let Some(name) = binding.name() else { continue };
                let offset = usize::from(name.syntax().text_range().start());
                let Some(offset) = question.scaffold.to_source(offset) else {
                    continue;
                };
                let ty = semantics.type_of_binding_in_pat(&binding);
                found.push(VariableType {
                    name: name.text().to_string(),
                    offset,
                    ty: ty.map_or(InferredType::Unknown, |ty| named(&ty, db, module)),
                });
            }
        }
        Some(found)
    });
    found.unwrap_or_default()
}

fn named(ty: &Type<'_>, db: &RootDatabase, module: Module) -> InferredType {
    if ty.is_closure() {
        return InferredType::Closure;
    }
    match ty.display_source_code(db, module.into(), true) {
        Ok(text) if is_complete(&text) => InferredType::Known(text),
        _ => InferredType::Unknown,
    }
}

/// Returns true for a type without a part that is unknown, such as the length of `[u8; _]`.
fn is_complete(text: &str) -> bool {
    let parsed = SourceFile::parse(&format!("const _: {text} = x();"), EDITION);
    let mut nodes = parsed.syntax_node().descendants();
    parsed.errors().is_empty()
        && nodes.all(|node| {
            let kind = node.kind();
            use SyntaxKind::{ERROR, INFER_TYPE, UNDERSCORE_EXPR};
            !matches!(kind, ERROR | INFER_TYPE | UNDERSCORE_EXPR)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_with_holes_is_none() {
        for text in [
            "Vec<String>",
            "[u8; 3]",
            "fn(i32) -> u8",
            "Foo<42>",
            "impl Fn()",
        ] {
            assert!(is_complete(text), "{text}");
        }
        for text in ["[u8; _]", "Vec<_>", "Vec<", "{unknown}"] {
            assert!(!is_complete(text), "{text}");
        }
    }
}
