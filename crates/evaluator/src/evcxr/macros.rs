//! Macros of the notebook, visible to all of its items.
//!
//! evcxr writes a notebook's items in no particular order, and `macro_rules!` is in scope only
//! after its definition. An import of the macro's own name brings it into scope everywhere except
//! in modules, each of which needs an import of its own.

use super::generated_crate::ENTRY;
use ra_ap_syntax::ast::{self, AstNode, HasAttrs, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, SourceFile};
use std::io;
use std::path::Path;

/// The beginning of a definition; a source without it is not parsed.
const DEFINITION: &str = "macro_rules!";

/// The attribute of macros that are already in scope everywhere.
const EXPORTED: &str = "macro_export";

/// Adds imports of the macros defined in a crate's source.
///
/// # Errors
/// Returns an error if the file cannot be written.
pub(super) fn import(source: &Path) -> io::Result<()> {
    // rustc reports a file that cannot be read.
    let text = std::fs::read_to_string(source).unwrap_or_default();
    match importable(&text) {
        Some(text) => std::fs::write(source, text),
        None => Ok(()),
    }
}

/// Returns the source with an import after each macro, on the same line; `None` if it defines none.
pub(super) fn importable(source: &str) -> Option<String> {
    let items = &source[..source.rfind(ENTRY)?];
    if !items.contains(DEFINITION) {
        return None;
    }
    let parsed = SourceFile::parse(items, Edition::Edition2024);
    let mut text = source.to_owned();
    let macros = parsed.tree().items().filter_map(|item| match item {
        ast::Item::MacroRules(definition) => Some(definition),
        _ => None,
    });
    let macros = macros.collect::<Vec<_>>();
    let mut additions = Vec::new();
    for definition in &macros {
        let is_exported = definition.attrs().any(|attribute| {
            let path = attribute.path();
            path.is_some_and(|path| path.syntax().text() == EXPORTED)
        });
        if let (Some(name), false) = (definition.name(), is_exported) {
            let import = format!(" pub(crate) use {};", name.text());
            let end = usize::from(definition.syntax().text_range().end());
            if !text[end..].starts_with(&import) {
                additions.push((end, import));
            }
        }
    }
    let names = macros.iter().filter_map(HasName::name);
    let names: Vec<_> = names.map(|name| name.text().to_string()).collect();
    for module in parsed
        .tree()
        .syntax()
        .descendants()
        .filter_map(ast::Module::cast)
    {
        additions.extend(import_into(&module, &names));
    }
    additions.sort_by_key(|(offset, _)| *offset);
    for (offset, addition) in additions.iter().rev() {
        text.insert_str(*offset, addition);
    }
    (text != source).then_some(text)
}

/// Returns the import of the macros that a module uses, at its end, so that no line is moved.
fn import_into(module: &ast::Module, macros: &[String]) -> Option<(usize, String)> {
    let list = module.item_list()?;
    let end = list.r_curly_token()?.text_range().start();
    let inside = list.syntax().text().to_string();
    let is_used = |name: &&String| {
        let defined = format!("macro_rules! {name} ");
        let mut calls = inside.match_indices(name.as_str());
        let is_name_part = |c: char| c.is_alphanumeric() || c == '_' || c == ':';
        !inside.contains(&defined)
            && !inside.contains(&format!("use crate::{name};"))
            && calls.any(|(at, _)| {
                inside[at + name.len()..].trim_start().starts_with('!')
                    && !inside[..at].ends_with(is_name_part)
            })
    };
    let imports: String = macros
        .iter()
        .filter(is_used)
        .map(|name| format!(" use crate::{name};"))
        .collect();
    (!imports.is_empty()).then(|| (usize::from(end), imports))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_import_the_macros_they_use() {
        let source = "macro_rules! sq { ($x:expr) => { $x * $x } }\nmod m {\n    fn f() { sq!(1) } mod n { fn g() { sq ! (2) } }\n}\n\
                      mod o { fn h() { not_sq!(1); a::sq!(2) } }\npub extern \"C\" fn run_user_code_1(\n}\n";
        let text = importable(source).unwrap();
        assert_eq!(text.matches(" use crate::sq;}").count(), 2, "{text}");
        assert_eq!(text.lines().count(), source.lines().count());
        assert_eq!(importable(&text), None);
    }

    #[test]
    fn imports_do_not_move_lines() {
        let source = "fn f() { größe!() }\nmacro_rules! größe { () => {} }\n#[macro_export]\nmacro_rules! n { () => {} }\n\
                      #[unsafe(no_mangle)]\npub extern \"C\" fn run_user_code_1(\nmacro_rules! inner {}\n}\n";
        let text = importable(source).unwrap();
        assert!(
            text.contains("{ () => {} } pub(crate) use größe;\n#[macro_export]"),
            "{text}"
        );
        assert_eq!(text.matches("pub(crate) use").count(), 1);
        assert_eq!(text.lines().count(), source.lines().count());
        assert_eq!(importable(&text), None);
        assert_eq!(
            importable("fn f() {}\npub extern \"C\" fn run_user_code_1("),
            None
        );
    }
}
