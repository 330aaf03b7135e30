//! Statics, whose values persist between cells.
//!
//! Every cell that reaches a static compiles it. So that there is only one nevertheless, each cell
//! exports it under a symbol assigned by the namespace, and the loader binds all references to the
//! one that was loaded first: the runtime makes such symbols visible to all libraries. A cell that
//! redefines the static assigns another symbol to it.

use super::item_macros;
use super::source::items;
use phalanx_protocol::runtime::{SHARED_STATICS_SYMBOL, STATIC_PREFIX};
use ra_ap_syntax::ast::{self, AstNode, HasAttrs, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, SourceFile, SyntaxKind, SyntaxNode};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::Path;

/// The record of a namespace's statics, relative to the crate's folder.
const RECORD: &str = "target/phalanx-statics.json";

/// Attributes with which a user exports a static under a symbol of their own.
const EXPORTING: [&str; 3] = ["export_name", "link_section", "no_mangle"];

/// The statics of a namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Statics {
    /// The type and symbol of each static, by its path in the crate.
    all: BTreeMap<String, (String, u64)>,
}

impl Statics {
    /// Adds the statics that a cell defines, with the number of its run; `items` is the source of
    /// earlier cells.
    pub(super) fn with(&self, source: &str, items: &str, run: u64) -> Self {
        let mut statics = self.clone();
        for (path, ty) in defined(source, items) {
            let symbol = symbol(&path, run);
            statics.all.insert(path, (ty, symbol));
        }
        statics
    }

    /// Assigns new symbols to the statics with these paths, since their types have changed.
    pub(super) fn renew(&mut self, paths: &[String], run: u64) {
        for path in paths {
            if let Some((_, known)) = self.all.get_mut(path) {
                *known = symbol(path, run);
            }
        }
    }

    /// Returns the path and type of each static.
    pub(super) fn types(&self) -> Vec<(String, String)> {
        let all = self.all.iter();
        all.map(|(path, (ty, _))| (path.clone(), ty.clone()))
            .collect()
    }

    /// Writes the record to a crate's folder.
    pub(super) fn write(&self, folder: &Path) {
        // Without the record, each cell has statics of its own.
        let json = serde_json::to_vec(self).unwrap_or_default();
        let _ = fs::write(folder.join(RECORD), json);
    }

    /// Reads the record from a crate's folder; empty if there is none.
    pub(super) fn read(folder: &Path) -> Self {
        let record = fs::read(folder.join(RECORD)).ok();
        let read = record.and_then(|json| serde_json::from_slice(&json).ok());
        read.unwrap_or_default()
    }

    /// Returns a crate's source in which statics are exported; `None` if it contains none.
    pub(super) fn exported(&self, source: &str) -> Option<String> {
        if self.all.is_empty() {
            return None;
        }
        let parsed = SourceFile::parse(source, Edition::Edition2024);
        let mut additions = Vec::new();
        for found in find(parsed.tree().items(), "") {
            additions.extend(found.export(&self.all));
        }
        if additions.is_empty() {
            return None;
        }
        additions.sort_by_key(|(offset, _)| *offset);
        let mut text = source.to_owned();
        for (offset, addition) in additions.iter().rev() {
            text.insert_str(*offset, addition);
        }
        text += &format!(
            "#[allow(non_upper_case_globals)] #[unsafe(no_mangle)] pub static {SHARED_STATICS_SYMBOL}: u8 = 0;\n"
        );
        Some(text)
    }
}

fn symbol(path: &str, run: u64) -> u64 {
    let mut hasher = DefaultHasher::new();
    (path, run).hash(&mut hasher);
    hasher.finish()
}

/// Returns true if a cell defines statics.
pub(super) fn defines_any(source: &str, items: &str) -> bool {
    !defined(source, items).is_empty()
}

/// Returns the path and type of each static that a cell defines.
fn defined(source: &str, earlier: &str) -> Vec<(String, String)> {
    let mut statics = find(items(source).into_iter(), "");
    let calls = item_macros::calls(source, earlier).into_iter();
    statics.extend(calls.filter_map(|call| macro_statics(&call.call)));
    statics
        .into_iter()
        .flat_map(|found| found.statics)
        .collect()
}

/// The statics found in a source.
struct FoundStatics {
    /// The path in the crate, and the type: of one item, or of those that a macro defines.
    statics: Vec<(String, String)>,
    kind: StaticKind,
    node: SyntaxNode,
}

#[derive(Clone, Copy)]
enum StaticKind {
    Item,
    ThreadLocal,
    LazyStatic,
}

fn find(items: impl Iterator<Item = ast::Item>, within: &str) -> Vec<FoundStatics> {
    let mut all = Vec::new();
    for item in items {
        match item {
            ast::Item::Static(item) => {
                let is_exported = item.attrs().any(|attribute| {
                    let text = attribute.syntax().text().to_string();
                    EXPORTING.iter().any(|word| text.contains(word))
                });
                if let (Some((name, ty)), false) = (name_and_type(&item), is_exported) {
                    all.push(FoundStatics {
                        statics: vec![(format!("{within}{name}"), ty)],
                        kind: StaticKind::Item,
                        node: item.syntax().clone(),
                    });
                }
            }
            ast::Item::Module(module) => {
                if let (Some(name), Some(list)) = (module.name(), module.item_list()) {
                    let within = format!("{within}{}::", name.text());
                    all.extend(find(list.items(), &within));
                }
            }
            ast::Item::MacroCall(call) if within.is_empty() => all.extend(macro_statics(&call)),
            _ => {}
        }
    }
    all
}

/// Returns the statics defined by a call of `thread_local!` or `lazy_static!`.
fn macro_statics(call: &ast::MacroCall) -> Option<FoundStatics> {
    let name = call.path()?.segment()?.name_ref()?;
    let name = name.text().to_string();
    let kind = match name.as_str() {
        "thread_local" => StaticKind::ThreadLocal,
        "lazy_static" => StaticKind::LazyStatic,
        _ => return None,
    };
    let input = call.token_tree()?.syntax().text().to_string();
    let inside = input.get(1..input.len().checked_sub(1)?)?;
    let inside = match kind {
        StaticKind::LazyStatic => inside.replace("static ref ", "static "),
        StaticKind::ThreadLocal | StaticKind::Item => inside.to_owned(),
    };
    let end = match inside.trim_end().ends_with(';') {
        true => "",
        false => ";",
    };
    let parsed = SourceFile::parse(&format!("{inside}{end}"), Edition::Edition2024);
    let items = parsed.tree().items();
    let statics = items.filter_map(|item| match item {
        ast::Item::Static(item) => name_and_type(&item),
        _ => None,
    });
    Some(FoundStatics {
        statics: statics.collect(),
        kind,
        node: call.syntax().clone(),
    })
}

fn name_and_type(item: &ast::Static) -> Option<(String, String)> {
    let name = item.name()?.text().to_string();
    Some((name, item.ty()?.syntax().text().to_string()))
}

impl FoundStatics {
    /// Returns the texts that export them under their symbols, with their offsets. Lines are not
    /// moved, only text before an item on the same line.
    fn export(&self, symbols: &BTreeMap<String, (String, u64)>) -> Vec<(usize, String)> {
        let exported = self.statics.iter().filter_map(|(path, ty)| {
            let (_, symbol) = symbols.get(path)?;
            let attribute = format!("#[unsafe(export_name = \"{STATIC_PREFIX}{symbol:016x}\")]");
            Some((path, ty.replace('\n', " "), attribute))
        });
        let exported: Vec<_> = exported.collect();
        let Some((first, _, attribute)) = exported.first() else {
            return Vec::new();
        };
        if let StaticKind::Item = self.kind {
            return vec![(end_of_previous_token(&self.node), format!(" {attribute} "))];
        }
        // The macro's static is private to each cell; this one refers to that of the first.
        let module = format!("phalanx_statics_of_{first}");
        let (mut inside, mut outside) = (String::new(), String::new());
        for (name, ty, attribute) in &exported {
            let (ty, get) = match self.kind {
                StaticKind::LazyStatic => (ty.clone(), format!("&*{name}")),
                StaticKind::ThreadLocal | StaticKind::Item => {
                    (format!("::std::thread::LocalKey<{ty}>"), format!("&{name}"))
                }
            };
            inside += &format!(
                " {attribute} pub(crate) static PHALANX_{name}: ::phalanx::__cell::SharedStatic<{ty}> = \
                 ::phalanx::__cell::SharedStatic::new(|| {get});"
            );
            outside += &format!(" pub(crate) use {module}::PHALANX_{name} as {name};");
        }
        let range = self.node.text_range();
        let open = format!("mod {module} {{ use super::*; ");
        vec![
            (usize::from(range.start()), open),
            (usize::from(range.end()), format!("{inside} }}{outside}")),
        ]
    }
}

/// Returns the offset after the last token before an item, ignoring comments.
fn end_of_previous_token(item: &SyntaxNode) -> usize {
    let start = usize::from(item.text_range().start());
    let first = item.first_token();
    let mut token = first.and_then(|first| first.prev_token());
    while let Some(previous) = token {
        if previous.kind() != SyntaxKind::WHITESPACE && previous.kind() != SyntaxKind::COMMENT {
            return usize::from(previous.text_range().end());
        }
        token = previous.prev_token();
    }
    start
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statics_are_exported_under_the_symbol_of_their_cell() {
        let cell = "static N: u8 = 1;\nmod m { pub static mut M: &str = \"\"; }";
        let statics = Statics::default().with(cell, "", 7);
        let generated = "use a::b;\n// why\nstatic N: u8 = 1;\nmod m { pub static mut M: &str = \"\"; }\n\
                         #[no_mangle]\nstatic O: u8 = 1;\nfn run_user_code_1() {}\n";
        let text = statics.exported(generated).unwrap();
        assert!(
            text.starts_with("use a::b; #[unsafe(export_name = \"phalanx_static_"),
            "{text}"
        );
        assert!(
            text.contains(")] \n// why\nstatic N: u8 = 1;\nmod m { #[unsafe"),
            "{text}"
        );
        assert_eq!(text.matches("export_name").count(), 2);
        assert_eq!(text.lines().count(), generated.lines().count() + 1);
        let again = statics.with("static N: u8 = 2;", "", 8);
        assert_ne!(again.all["N"], statics.all["N"]);
        assert_eq!(again.all["m::M"], statics.all["m::M"]);
        assert_eq!(Statics::default().exported(generated), None);
        assert_eq!(statics.exported("fn f() {}"), None);
    }

    #[test]
    fn statics_of_macros_are_exported_by_reference() {
        for (call, ty) in [
            (
                "thread_local! { static T: Cell<i32> = Cell::new(1); }",
                "LocalKey<Cell<i32>>",
            ),
            (
                "lazy_static! {\n  pub static ref T: Vec<u8> = vec![];\n}",
                "SharedStatic<Vec<u8>>",
            ),
        ] {
            let statics = Statics::default().with(call, "", 1);
            let text = statics.exported(call).unwrap();
            assert!(
                text.starts_with("mod phalanx_statics_of_T { use super::*; "),
                "{text}"
            );
            assert!(
                text.contains(ty) && text.contains("PHALANX_T as T;"),
                "{text}"
            );
        }
        let two = "thread_local! { static A: u8 = 1; static B: u8 = 2 }";
        let statics = Statics::default().with(two, "", 1);
        let text = statics.exported(two).unwrap();
        assert_eq!(text.matches("mod phalanx_statics_of_").count(), 1);
        assert!(
            text.contains("PHALANX_A as A;") && text.contains("PHALANX_B as B;"),
            "{text}"
        );
    }
}
