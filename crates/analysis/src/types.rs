//! The types of the variables that a cell declares.

use crate::analysis::AnalyzedSource;
use crate::scaffold::FUNCTION;
use phalanx_protocol::analysis::{InferredType, VariableType};
use ra_ap_base_db::EditionedFileId;
use ra_ap_hir::{FindPathConfig, HirDisplay, Module, ModuleDef, Semantics, Type, attach_db};
use ra_ap_ide::RootDatabase;
use ra_ap_syntax::ast::{self, AstNode, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind};

/// The edition of every cell.
const EDITION: Edition = Edition::Edition2024;

/// The variables of the cell's top level, in the order of the source.
pub(crate) fn of(question: &AnalyzedSource<'_>) -> Vec<VariableType> {
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
        Ok(text) if is_complete(&text) => {
            InferredType::Known(with_paths(text, &paths_of_traits(ty, db, module)))
        }
        _ => InferredType::Unknown,
    }
}

/// The traits of trait objects in a type, each with the path that means it in a module.
fn paths_of_traits(ty: &Type<'_>, db: &RootDatabase, module: Module) -> Vec<(String, String)> {
    let mut paths = Vec::new();
    ty.walk(db, |part| {
        let Some(of) = part.as_dyn_trait() else {
            return;
        };
        let name = of.name(db).display(db, EDITION).to_string();
        let config = FindPathConfig {
            prefer_no_std: false,
            prefer_prelude: true,
            prefer_absolute: false,
            allow_unstable: false,
        };
        if let Some(path) = module.find_path(db, ModuleDef::Trait(of), config) {
            paths.push((name, path.display(db, EDITION).to_string()));
        }
    });
    paths
}

/// Returns a type whose trait objects name their traits by path; rust-analyzer writes their names alone.
fn with_paths(text: String, paths: &[(String, String)]) -> String {
    const BEFORE: &str = "const _: ";
    if paths.is_empty() {
        return text;
    }
    let parsed = SourceFile::parse(&format!("{BEFORE}{text} = x();"), EDITION);
    let nodes = parsed.syntax_node().descendants();
    let objects = nodes.filter_map(ast::DynTraitType::cast);
    let bounds = objects.flat_map(|object| {
        let list = object.type_bound_list().into_iter();
        let bounds = list.flat_map(|list| list.bounds().collect::<Vec<_>>());
        bounds.filter_map(|bound| match bound.ty()? {
            ast::Type::PathType(of) => of.path()?.as_single_segment()?.name_ref(),
            _ => None,
        })
    });
    let mut places: Vec<_> = bounds
        .filter_map(|name| {
            let text = name.text();
            let (_, path) = paths.iter().find(|(known, _)| *known == *text)?;
            let range = name.syntax().text_range();
            let start = usize::from(range.start()).checked_sub(BEFORE.len())?;
            Some((start..start + usize::from(range.len()), path))
        })
        .collect();
    places.sort_by_key(|(range, _)| range.start);
    let mut text = text;
    for (range, path) in places.into_iter().rev() {
        text.replace_range(range, path);
    }
    text
}
/// The type that rust-analyzer gives `f()?` if it does not know `f`, as where a macro derives it.
/// The type that rust-analyzer gives of `f()?` if it does not know `f`, as where a macro derives it.
const NEVER: &str = "!";

/// Returns true for a type without a part that is unknown, such as the length of `[u8; _]`.
fn is_complete(text: &str) -> bool {
    if text == NEVER {
        return false;
    }
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
    fn the_traits_of_objects_are_named_by_path() {
        let paths = [("Display".to_owned(), "std::fmt::Display".to_owned())];
        for (text, with) in [
            ("Box<dyn Display>", "Box<dyn std::fmt::Display>"),
            (
                "(Display, &dyn Display, Box<dyn Fn(Box<dyn Display + Send>)>)",
                "(Display, &dyn std::fmt::Display, Box<dyn Fn(Box<dyn std::fmt::Display + Send>)>)",
            ),
            ("Box<dyn Other>", "Box<dyn Other>"),
        ] {
            assert_eq!(with_paths(text.to_owned(), &paths), with);
        }
    }

    #[test]
    fn a_type_with_holes_is_none() {
        for text in [
            "Vec<String>",
            "[u8; 3]",
            "fn(i32) -> u8",
            "Foo<42>",
            "impl Fn()",
            "fn() -> !",
        ] {
            assert!(is_complete(text), "{text}");
        }
        for text in ["[u8; _]", "Vec<_>", "Vec<", "{unknown}", NEVER] {
            assert!(!is_complete(text), "{text}");
        }
    }
}
