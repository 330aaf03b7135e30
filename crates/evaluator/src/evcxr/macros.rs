//! Macros of the notebook, which every item may use.
//!
//! evcxr writes a notebook's items in no particular order, and `macro_rules!` is in scope only
//! behind its definition. An import of the macro's own name puts it in scope everywhere.

use super::generated_crate::ENTRY;
use ra_ap_syntax::ast::{self, AstNode, HasAttrs, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, SourceFile};
use std::io;
use std::path::Path;

/// The beginning of a definition; a source without one is not parsed.
const DEFINITION: &str = "macro_rules!";

/// The attribute of macros that are in scope everywhere.
const EXPORTED: &str = "macro_export";

/// Imports the macros that a crate's source defines.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn import(source: &Path) -> io::Result<()> {
    // What cannot be read is rustc's business.
    let text = std::fs::read_to_string(source).unwrap_or_default();
    match importable(&text) {
        Some(text) => std::fs::write(source, text),
        None => Ok(()),
    }
}

/// Returns the source with an import behind each macro, on the same line; `None` if it has none.
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
    for definition in macros.iter().rev() {
        let is_exported = definition.attrs().any(|attribute| {
            let path = attribute.path();
            path.is_some_and(|path| path.syntax().text() == EXPORTED)
        });
        if let (Some(name), false) = (definition.name(), is_exported) {
            let import = format!(" pub(crate) use {};", name.text());
            let end = usize::from(definition.syntax().text_range().end());
            if !text[end..].starts_with(&import) {
                text.insert_str(end, &import);
            }
        }
    }
    (text != source).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn macros_are_imported_on_their_line() {
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
