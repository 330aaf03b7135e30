//! The signature and the documentation of a name.

use crate::manifest::PACKAGE;
use crate::source::Lookup;
use phalanx_protocol::analysis::Documentation;
use ra_ap_ide::{FileRange, HoverConfig, HoverDocFormat, RaFixtureConfig, SubstTyLen, TextRange};
use ra_ap_ide_db::documentation::Documentation as Docs;
use ra_ap_ide_db::rust_doc::format_docs;

/// The beginning of a signature.
const FENCE: &str = "```rust\n";

/// Returns the documentation of the name at a byte offset of the cell.
pub(crate) fn documentation_at(lookup: &Lookup<'_>, offset: usize) -> Option<Documentation> {
    Some(Documentation {
        markdown: hover(lookup, offset, true)?,
        plain: plain(&hover(lookup, offset, false)?),
    })
}

/// Returns Markdown, with or without links to other documentation.
fn hover(lookup: &Lookup<'_>, offset: usize, links_in_hover: bool) -> Option<String> {
    let config = HoverConfig {
        links_in_hover,
        memory_layout: None,
        documentation: true,
        keywords: true,
        // Plain text would not distinguish the hidden lines of examples.
        format: HoverDocFormat::Markdown,
        max_trait_assoc_items_count: None,
        max_fields_count: Some(5),
        max_enum_variants_count: Some(5),
        max_subst_ty_len: SubstTyLen::Unlimited,
        show_drop_glue: false,
        ra_fixture: RaFixtureConfig::default(),
    };
    let offset = (lookup.scaffold.to_text(offset) as u32).into();
    let range = FileRange {
        file_id: lookup.file,
        range: TextRange::new(offset, offset),
    };
    let hover = lookup.analysis.hover(&config, range).ok()??;
    let text = String::from(hover.info.markup);
    let text = without_crate_name(&format_docs(&Docs::new_owned(text)));
    Some(without_mut(text, |name| lookup.scaffold.has_variable(name)))
}

/// Adds the line that brings a name into scope, and the paths of others by that name.
pub(crate) fn with_import(found: Documentation, path: &str, others: &[String]) -> Documentation {
    let others = match others {
        [] => String::new(),
        others => format!(" (others by this name: `{}`)", others.join("`, `")),
    };
    let line = format!("Not in scope: `use {path};` brings it in{others}.");
    Documentation {
        plain: format!("{line}\n\n{}", found.plain),
        markdown: format!("{line}\n\n{}", found.markdown),
    }
}

/// Removes the `mut` that every variable of the namespace has in the scaffold.
fn without_mut(text: String, is_variable: impl Fn(&str) -> bool) -> String {
    let declared = text
        .strip_prefix(FENCE)
        .and_then(|code| code.strip_prefix("mut "));
    match declared.and_then(|rest| Some((rest, rest.split_once(':')?.0))) {
        Some((rest, name)) if is_variable(name) => format!("{FENCE}{rest}"),
        _ => text,
    }
}

/// Removes the name of the cells' crate from a text.
fn without_crate_name(text: &str) -> String {
    let text = text.trim_start();
    let inside = text
        .strip_prefix(FENCE)
        .and_then(|code| code.strip_prefix(PACKAGE));
    let Some(inside) = inside else {
        return text.trim().to_owned();
    };
    // An item in a module or a type has a path of its own.
    match (inside.strip_prefix("\n```\n"), inside.strip_prefix("::")) {
        (Some(rest), _) => rest.trim().to_owned(),
        (None, Some(path)) => format!("{FENCE}{path}").trim().to_owned(),
        (None, None) => text.trim().to_owned(),
    }
}

/// Converts Markdown to text, without fences and rulers.
fn plain(markdown: &str) -> String {
    let mut lines: Vec<&str> = Vec::new();
    for line in markdown.lines() {
        if line.starts_with("```") || line == "---" {
            continue;
        }
        if !(line.is_empty() && lines.last().is_some_and(|last| last.is_empty())) {
            lines.push(line);
        }
    }
    lines.join("\n").trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_of_the_crate_is_removed() {
        for text in ["\n```rust\nctx\n```\n\nfn f()", "fn f()\n"] {
            assert_eq!(without_crate_name(text), "fn f()");
        }
        let method = "```rust\nctx::Größe\n```\n\n```rust\nfn f()\n```";
        assert_eq!(without_crate_name(method), method.replace("ctx::", ""));
        let other = "```rust\nctxt::Größe\n```";
        assert_eq!(without_crate_name(other), other);
    }

    #[test]
    fn namespace_variables_are_shown_without_mut() {
        let text = "```rust\nmut größe: u8\n```".to_owned();
        let shown = |is_variable| without_mut(text.clone(), |_| is_variable);
        assert_eq!(shown(true), "```rust\ngröße: u8\n```");
        assert_eq!(shown(false), text);
    }

    #[test]
    fn fences_and_rulers_are_removed() {
        let markdown = "```rust\nfn f()\n```\n\n---\n\nDoes.\n\n```rust\nf();\n```";
        assert_eq!(plain(markdown), "fn f()\n\nDoes.\n\nf();");
    }
}
