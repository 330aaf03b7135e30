//! `extern crate alloc;` and its like. evcxr takes each such item for a dependency, which cargo then
//! looks for in the registry; what is in these crates is in the standard library.

use super::source::statements;
use ra_ap_syntax::ast::{self, AstNode, HasAttrs, HasName, HasVisibility};
use std::borrow::Cow;

/// The crates that come with the compiler and are parts of `std`.
const PARTS: [&str; 3] = ["alloc", "core", "std"];

/// Returns a cell in which the parts of `std` are imported from it. Other text is not moved.
pub(super) fn imported(source: &str) -> Cow<'_, str> {
    if !source.contains("extern") {
        return Cow::Borrowed(source);
    }
    let mut replacements = Vec::new();
    let (nodes, cell_offset) = statements(source);
    for item in nodes.into_iter().filter_map(ast::ExternCrate::cast) {
        let Some(name) = item.name_ref().map(|name| name.text().to_string()) else {
            continue;
        };
        // Comments before it belong to its node.
        let (Some(first), end) = (item.extern_token(), item.syntax().text_range().end()) else {
            continue;
        };
        let start = usize::from(first.text_range().start());
        let (Some(start), Some(end)) = (cell_offset(start), cell_offset(end.into())) else {
            continue;
        };
        // Without the item, attributes would belong to the next one.
        let is_plain = item.attrs().next().is_none() && item.visibility().is_none();
        let is_part = PARTS.contains(&name.as_str());
        if !is_plain || !is_part || source[start..end].contains('\n') {
            continue;
        }
        let renamed = item.rename().and_then(|rename| rename.name());
        let alias = renamed.map(|name| name.text().to_string());
        let import = match (alias, name.as_str()) {
            (None, "core" | "std") => String::new(),
            (alias, _) => format!("use std as {};", alias.unwrap_or(name)),
        };
        let length = source[start..end].chars().count();
        replacements.push((start..end, format!("{import:length$}")));
    }
    let mut text = Cow::Borrowed(source);
    // An import may have fewer bytes than the item, so the last one is replaced first.
    for (range, import) in replacements.into_iter().rev() {
        text.to_mut().replace_range(range, &import);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_the_standard_library_are_no_dependencies() {
        for (cell, expected) in [
            (
                "extern crate alloc;\nalloc::vec![1]",
                "use std as alloc;  \nalloc::vec![1]",
            ),
            (
                "/* ä */ extern crate core; f()",
                "/* ä */                    f()",
            ),
            (
                "extern crate alloc as größe;",
                "use std as größe;           ",
            ),
            (
                "extern /* ä */ crate alloc; extern crate core;",
                "use std as alloc;                             ",
            ),
            (
                "extern /* ä */ crate core; extern crate alloc; größe()",
                "                           use std as alloc;   größe()",
            ),
            ("extern crate rand;", "extern crate rand;"),
            (
                "#[macro_use] extern crate core;",
                "#[macro_use] extern crate core;",
            ),
            ("// extern crate alloc;", "// extern crate alloc;"),
        ] {
            let imported = imported(cell);
            assert_eq!(imported, expected);
            let columns = |text: &str| text.chars().count();
            assert_eq!(columns(&imported), columns(cell), "{cell}");
        }
    }
}
