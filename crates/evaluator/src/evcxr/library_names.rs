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

/// The library's macros among these names.
const MACROS: [&str; 1] = ["task"];

/// The exports that cells do not name, though other libraries' types are named so: the type of what
/// `IntSlider::builder()` returns, and the bounds of `interact`.
const SUPPORTING: [&str; 6] = [
    "Builder",
    "Children",
    "Controls",
    "Interactive",
    "Parameter",
    "Parameters",
];

/// The traits among these names that can be derived.
const DERIVES: [&str; 2] = ["Deserialize", "Serialize"];

/// The beginnings of rustc's messages about a name that is not in scope, and the kinds of names that
/// each can be about. A value in lower case is a variable, or a function without a call.
const MISSING: [(&str, &[NameKind]); 9] = [
    ("cannot find type `", &[NameKind::Type]),
    ("cannot find trait `", &[NameKind::Type]),
    (
        "cannot find function `",
        &[NameKind::Function, NameKind::Macro],
    ),
    (
        "cannot find function, tuple struct or tuple variant `",
        &[NameKind::Function, NameKind::Macro, NameKind::Type],
    ),
    (
        "cannot find struct, variant or union type `",
        &[NameKind::Type],
    ),
    ("cannot find value `", &[NameKind::Type]),
    ("cannot find macro `", &[NameKind::Macro]),
    ("cannot find derive macro `", &[NameKind::Derive]),
    (
        "cannot find module or crate `",
        &[NameKind::Module, NameKind::Type],
    ),
];

/// The kind of a name: each kind has names of its own, so that `json` can be a function here and a
/// macro or a crate elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NameKind {
    /// A type or a trait.
    Type,
    Function,
    Macro,
    Derive,
    Module,
}

/// Adds the import to each error about a name of the library, before rustc's own suggestions: of two
/// types with a name, a notebook probably means the library's.
pub(super) fn explain(diagnostics: &mut [Diagnostic]) {
    for diagnostic in diagnostics {
        let Some((name, kinds)) = missing(&diagnostic.message) else {
            continue;
        };
        let Some(import) = import_of(name).filter(|import| import.is_one_of(kinds)) else {
            continue;
        };
        let sign = match import.kinds.contains(&NameKind::Macro) {
            true => "!",
            false => "",
        };
        let help = format!("`{}` brings `{name}{sign}` into scope", import.line);
        let is_import = |help: &String| help.contains("importing") || help.contains(":dep ");
        let suggested = diagnostic.help.iter().any(is_import);
        let is_answered = diagnostic
            .help
            .iter()
            .any(|help| help.contains("phalanx::"));
        if is_answered || (suggested && !import.is_common) {
            continue;
        }
        diagnostic.help.insert(0, help);
    }
}

/// The name that is not in scope, and the kinds of names that are missing.
fn missing(message: &str) -> Option<(&str, &'static [NameKind])> {
    let (kinds, rest) = MISSING
        .iter()
        .find_map(|(start, kinds)| Some((*kinds, message.strip_prefix(start)?)))?;
    let (name, place) = rest.split_once('`')?;
    place.starts_with(" in this scope").then_some((name, kinds))
}

/// The line that imports a name.
struct Import {
    line: String,
    kinds: Vec<NameKind>,
    /// False for a name that others export, too.
    is_common: bool,
}

impl Import {
    fn is_one_of(&self, kinds: &[NameKind]) -> bool {
        self.kinds.iter().any(|kind| kinds.contains(kind))
    }
}

fn import_of(name: &str) -> Option<&'static Import> {
    static IMPORTS: OnceLock<HashMap<String, Import>> = OnceLock::new();
    IMPORTS.get_or_init(imports).get(name)
}

/// The imports of all names that the library's source exports.
fn imports() -> HashMap<String, Import> {
    let mut imports = HashMap::new();
    for (file, path) in EXPORTS {
        for (name, kinds) in exported(library::file(file).unwrap_or_default()) {
            let line = match path {
                "prelude" => PRELUDE.to_owned(),
                _ => format!("use {path}::{name};"),
            };
            let is_common = path != "phalanx";
            imports.entry(name).or_insert(Import {
                line,
                kinds,
                is_common,
            });
        }
    }
    imports
}

/// The names that a file exports and their kinds, without those of the standard library, which rustc
/// suggests itself, and hidden ones.
fn exported(source: &str) -> Vec<(String, Vec<NameKind>)> {
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
                let name = module.name().map(|name| name.text().to_string());
                names.extend(name.map(|name| (name, vec![NameKind::Module])));
            }
            _ => {}
        }
    }
    // The way to the prelude is the prelude's own import.
    names.retain(|(name, _)| name != "prelude" && !SUPPORTING.contains(&name.as_str()));
    names
}

/// Adds the names that a tree of an import brings into scope.
fn leaves(tree: &ast::UseTree, names: &mut Vec<(String, Vec<NameKind>)>) {
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
    // `pub use serde;` exports a crate.
    let is_in_list = tree.syntax().parent().is_some_and(|parent| {
        let kind = parent.kind();
        ast::UseTreeList::can_cast(kind)
    });
    let is_crate = !is_in_list && tree.path().is_some_and(|path| path.qualifier().is_none());
    names.extend(name.map(|name| {
        let kinds = kinds(&name, is_crate);
        (name, kinds)
    }));
}

/// The kinds of an exported name; `is_crate` is true for a path of one segment.
fn kinds(name: &str, is_crate: bool) -> Vec<NameKind> {
    match name {
        _ if is_crate => vec![NameKind::Module],
        _ if MACROS.contains(&name) => vec![NameKind::Macro],
        _ if DERIVES.contains(&name) => vec![NameKind::Type, NameKind::Derive],
        _ if name.starts_with(char::is_uppercase) => vec![NameKind::Type],
        _ => vec![NameKind::Function],
    }
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
            let is_named = !name.is_empty() && !SUPPORTING.contains(&name);
            let expected = format!("use phalanx::widgets::{name};");
            assert_eq!(line, is_named.then_some(expected));
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
            (
                "cannot find module or crate `chrono` in this scope",
                "use phalanx::chrono;",
            ),
            (
                "cannot find module or crate `Client` in this scope",
                PRELUDE,
            ),
            ("cannot find trait `Serialize` in this scope", PRELUDE),
        ] {
            let help = explained(message, &[]).concat();
            assert!(
                help.starts_with(&format!("`{line}` brings `")),
                "{message}: {help}"
            );
        }
    }

    #[test]
    fn a_name_of_another_kind_gets_no_help() {
        let all: Vec<(String, Vec<NameKind>)> = EXPORTS
            .iter()
            .flat_map(|(file, _)| exported(library::file(file).unwrap()))
            .collect();
        let functions = all
            .iter()
            .filter(|(_, kinds)| *kinds == [NameKind::Function]);
        let functions: Vec<&str> = functions.map(|(name, _)| name.as_str()).collect();
        assert!(functions.contains(&"plotly"), "{functions:?}");
        for name in functions {
            for kind in ["macro", "derive macro", "module or crate", "type", "trait"] {
                let message = format!("cannot find {kind} `{name}` in this scope");
                assert!(explained(&message, &[]).is_empty(), "{message}");
            }
            let call = format!("cannot find function `{name}` in this scope");
            assert!(!explained(&call, &[]).is_empty(), "{call}");
        }
        for message in [
            "cannot find derive macro `Client` in this scope",
            "cannot find macro `Table` in this scope",
            "cannot find macro `widgets` in this scope",
            "cannot find type `task` in this scope",
            "cannot find module or crate `task` in this scope",
            "cannot find function `widgets` in this scope",
            "cannot find function `serde` in this scope",
        ] {
            assert!(explained(message, &[]).is_empty(), "{message}");
        }
        let serde_json = "consider importing this macro: `use serde_json::json;`";
        let json = "cannot find macro `json` in this scope";
        assert_eq!(explained(json, &[serde_json]), [serde_json]);
    }

    #[test]
    fn every_macro_of_the_library_is_known_as_one() {
        for name in MACROS {
            let definition = format!("#[macro_export]\nmacro_rules! {name} {{");
            let functions = library::file("function/mod.rs").unwrap();
            assert!(functions.contains(&definition), "{name}");
        }
        assert_eq!(
            explained("cannot find function `task` in this scope", &[]),
            [format!("`{PRELUDE}` brings `task!` into scope")]
        );
    }

    #[test]
    fn suggestions_of_rustc_follow_the_import() {
        let std = "consider importing this struct: `use std::process::Output;`";
        let of_crate = "consider importing this struct: `use comfy_table::Table;`";
        let explain = |name: &str, help| {
            explained(&format!("cannot find type `{name}` in this scope"), &[help])
        };
        let output = "`use phalanx::widgets::Output;` brings `Output` into scope";
        assert_eq!(explain("Output", std), [output, std]);
        let builder = "consider importing this struct: `use std::thread::Builder;`";
        assert_eq!(explain("Builder", builder), [builder]);
        assert!(explained("cannot find trait `Children` in this scope", &[]).is_empty());
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
