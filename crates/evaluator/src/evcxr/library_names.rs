//! Help for names of the `phalanx` library that a cell uses without importing them.

use super::library;
use phalanx_protocol::failure::Diagnostic;
use ra_ap_syntax::ast::{self, AstNode, HasAttrs, HasModuleItem, HasName, HasVisibility};
use ra_ap_syntax::{Edition, SourceFile};
use std::collections::HashMap;
use std::sync::OnceLock;

/// The import of everything that most notebooks use.
const PRELUDE: &str = "use phalanx::prelude::*;";

/// The files of the library that export names, with the path of each; an earlier one wins.
const EXPORTS: [(&str, &str); 3] = [
    ("prelude.rs", "prelude"),
    ("widgets/mod.rs", "phalanx::widgets"),
    ("lib.rs", "phalanx"),
];

/// The beginnings of rustc's messages about a name that is not in scope.
const MISSING: [(&str, NameKind); 9] = [
    ("cannot find type `", NameKind::Any),
    ("cannot find trait `", NameKind::Any),
    ("cannot find function `", NameKind::Any),
    (
        "cannot find function, tuple struct or tuple variant `",
        NameKind::Any,
    ),
    ("cannot find struct, variant or union type `", NameKind::Any),
    ("cannot find value `", NameKind::Type),
    ("cannot find macro `", NameKind::Any),
    ("cannot find derive macro `", NameKind::Any),
    ("cannot find module or crate `", NameKind::Any),
];

/// The kind of name that a message can be about.
#[derive(Clone, Copy, PartialEq, Eq)]
enum NameKind {
    Any,
    /// In lower case it is a variable.
    Type,
}

/// Adds the import to each error about a name of the library. rustc's own suggestions of names of
/// the standard library are removed then: of two types with a name, a notebook means the library's.
pub(super) fn explain(diagnostics: &mut [Diagnostic]) {
    for diagnostic in diagnostics {
        let Some(name) = missing(&diagnostic.message).map(str::to_owned) else {
            continue;
        };
        let Some(import) = import_of(&name) else {
            continue;
        };
        let is_import = |help: &String| help.contains("importing") || help.contains(":dep ");
        let suggested = diagnostic.help.iter().any(is_import);
        let is_answered = diagnostic
            .help
            .iter()
            .any(|help| help.contains("phalanx::"));
        if is_answered || (suggested && !import.is_common) {
            continue;
        }
        let is_of_std = |help: &String| is_import(help) && help.contains("use std::");
        diagnostic.help.retain(|help| !is_of_std(help));
        let help = format!("`{}` brings `{name}` into scope", import.line);
        diagnostic.help.insert(0, help);
    }
}

/// The name that is not in scope.
fn missing(message: &str) -> Option<&str> {
    let (kind, rest) = MISSING
        .iter()
        .find_map(|(start, kind)| Some((*kind, message.strip_prefix(start)?)))?;
    let (name, place) = rest.split_once('`')?;
    let is_type = name.starts_with(char::is_uppercase);
    (place.starts_with(" in this scope") && (kind == NameKind::Any || is_type)).then_some(name)
}

/// The line that imports a name.
struct Import {
    line: String,
    /// False for a name that others export, too.
    is_common: bool,
}

fn import_of(name: &str) -> Option<&'static Import> {
    static IMPORTS: OnceLock<HashMap<String, Import>> = OnceLock::new();
    IMPORTS.get_or_init(imports).get(name)
}

/// The imports of all names that the library's source exports.
fn imports() -> HashMap<String, Import> {
    let mut imports = HashMap::new();
    for (file, path) in EXPORTS {
        for name in exported(library::file(file).unwrap_or_default()) {
            let line = match path {
                "prelude" => PRELUDE.to_owned(),
                _ => format!("use {path}::{name};"),
            };
            let is_common = path != "phalanx";
            imports.entry(name).or_insert(Import { line, is_common });
        }
    }
    imports
}

/// The names that a file exports, without those of the standard library, which rustc suggests
/// itself, and hidden ones.
fn exported(source: &str) -> Vec<String> {
    let parsed = SourceFile::parse(source, Edition::Edition2024);
    let mut names = Vec::new();
    for item in parsed.tree().items() {
        let is_hidden = item
            .attrs()
            .any(|attribute| attribute.syntax().text() == "#[doc(hidden)]");
        match item {
            ast::Item::Use(import) if import.visibility().is_some() && !is_hidden => {
                let tree = import.use_tree();
                let path = tree.as_ref().and_then(ast::UseTree::path);
                let is_std =
                    path.is_some_and(|path| path.syntax().text().to_string().starts_with("std::"));
                if let Some(tree) = tree.filter(|_| !is_std) {
                    leaves(&tree, &mut names);
                }
            }
            ast::Item::Module(module) if module.visibility().is_some() && !is_hidden => {
                names.extend(module.name().map(|name| name.text().to_string()));
            }
            _ => {}
        }
    }
    // The way to the prelude is the prelude's own import.
    names.retain(|name| name != "prelude");
    names
}

/// Adds the names that a tree of an import brings into scope.
fn leaves(tree: &ast::UseTree, names: &mut Vec<String>) {
    if let Some(list) = tree.use_tree_list() {
        for tree in list.use_trees() {
            leaves(&tree, names);
        }
        return;
    }
    let renamed = tree.rename().and_then(|rename| rename.name());
    let segment = tree.path().and_then(|path| path.segment());
    let name = match renamed {
        Some(name) => Some(name.text().to_string()),
        None => segment
            .and_then(|segment| segment.name_ref())
            .map(|name| name.text().to_string()),
    };
    names.extend(name);
}

#[cfg(test)]
mod tests {
    use super::super::error_hints::plain;
    use super::*;

    fn explained(message: &str, help: &[&str]) -> Vec<String> {
        let help = help.iter().map(|help| (*help).to_owned()).collect();
        let mut diagnostics = [Diagnostic {
            help,
            ..plain(message.to_owned())
        }];
        explain(&mut diagnostics);
        let [diagnostic] = diagnostics;
        diagnostic.help
    }

    #[test]
    fn every_exported_name_has_an_import() {
        let prelude = library::file("prelude.rs").unwrap();
        let words = prelude.split(|c: char| !(c.is_alphanumeric() || c == '_'));
        let not_names = [
            "", "pub", "use", "crate", "serde", "std", "time", "Duration",
        ];
        let names: Vec<&str> = words.filter(|word| !not_names.contains(word)).collect();
        assert!(names.len() > 30, "{names:?}");
        for name in names {
            assert_eq!(
                import_of(name).map(|import| import.line.as_str()),
                Some(PRELUDE),
                "{name}"
            );
        }
        let widgets = library::file("widgets/mod.rs").unwrap();
        let exports = widgets.split("\npub use ").skip(1);
        for name in exports.flat_map(|export| {
            let list = export.split_once(';').map_or(export, |(list, _)| list);
            let names = list.split_once("::").map_or(list, |(_, names)| names);
            names.split(|c: char| !(c.is_alphanumeric() || c == '_'))
        }) {
            let line = import_of(name).map(|import| import.line.clone());
            let expected = format!("use phalanx::widgets::{name};");
            assert_eq!(line, (!name.is_empty()).then_some(expected));
        }
    }

    #[test]
    fn names_of_the_library_are_answered_with_their_import() {
        for (message, line) in [
            ("cannot find type `Client` in this scope", PRELUDE),
            ("cannot find macro `task` in this scope", PRELUDE),
            (
                "cannot find derive macro `Serialize` in this scope",
                PRELUDE,
            ),
            (
                "cannot find function, tuple struct or tuple variant `depend` in this scope",
                PRELUDE,
            ),
            (
                "cannot find type `IntSlider` in this scope",
                "use phalanx::widgets::IntSlider;",
            ),
            (
                "cannot find type `TaskStatus` in this scope",
                "use phalanx::TaskStatus;",
            ),
            (
                "cannot find module or crate `widgets` in this scope",
                "use phalanx::widgets;",
            ),
        ] {
            let help = explained(message, &[]).concat();
            assert!(
                help.starts_with(&format!("`{line}` brings `")),
                "{message}: {help}"
            );
        }
    }

    #[test]
    fn only_suggestions_of_the_standard_library_are_replaced() {
        let std = "consider importing this struct: `use std::process::Output;`";
        let of_crate = "consider importing this struct: `use comfy_table::Table;`";
        let explain = |name: &str, help| {
            explained(&format!("cannot find type `{name}` in this scope"), &[help])
        };
        assert_eq!(
            explain("Output", std),
            ["`use phalanx::widgets::Output;` brings `Output` into scope"]
        );
        let table = format!("`{PRELUDE}` brings `Table` into scope");
        assert_eq!(explain("Table", of_crate), [table, of_crate.to_owned()]);
        // Names that many crates have are rustc's to suggest.
        let error = "consider importing one of these: `use std::error::Error;`";
        assert_eq!(explain("Error", error), [error]);
        let duration = "consider importing this struct: `use std::time::Duration;`";
        assert_eq!(explain("Duration", duration), [duration]);
    }

    #[test]
    fn variables_and_names_of_modules_get_no_help() {
        for message in [
            "cannot find value `table` in this scope",
            "cannot find type `Client` in module `reqwest`",
            "cannot find type `Größe` in this scope",
        ] {
            assert!(explained(message, &[]).is_empty(), "{message}");
        }
    }
}
