//! Items of earlier cells that no longer compile, because a later cell has redefined what they use.
//!
//! rustc compiles every item that it is given: an `impl Summary for Vec<Measurement>`, written for
//! a `Measurement` of before, would fail every cell that calls a method named like one of the
//! trait's. So such items are blanked, and the cell is compiled without them; one that needs them
//! fails with their errors.

use super::blank::blank;
use super::generated_crate::{self, SOURCE};
use super::item_macros;
use super::lean;
use ra_ap_syntax::ast::{self, AstNode, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, SourceFile};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::borrow::Cow;
use std::collections::BTreeSet;
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::ops::Range;

/// The record of the last cell that compiled, relative to the crate's folder.
const RECORD: &str = "target/phalanx-misfits.json";

/// The errors that concern two items, either of which may be the one that is wrong.
const BETWEEN: [&str; 7] = [
    "E0119", "E0201", "E0252", "E0255", "E0428", "E0592", "E0659",
];

/// The misfits among the items of a crate.
#[derive(Debug, Default)]
pub(super) struct Misfits {
    /// Their texts.
    texts: BTreeSet<String>,
    /// The texts of those that the cell needs.
    needed: BTreeSet<String>,
    /// The cell; `None` if it is not known, and all items may be its own.
    cell: Option<String>,
    /// The file of the crate, as rustc names it.
    file: String,
    /// The crate of a cell that is going to run.
    whole: Option<String>,
}

/// The misfits after a cell.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
struct Record {
    texts: BTreeSet<String>,
    /// A hash of all items. If one changes, a misfit may compile again.
    items: u64,
}

impl Misfits {
    /// Starts without any; `file` is the crate's, as rustc names it.
    pub(super) fn new(cell: Option<String>, file: &str) -> Self {
        Self {
            cell: cell.map(|cell| item_macros::revealed(&cell).unwrap_or(cell)),
            file: file.to_owned(),
            ..Self::default()
        }
    }

    /// Starts with those known from the cells before, in the crate's folder, which is the current
    /// one. `whole` is the crate of the cell.
    pub(super) fn known(whole: &str, cell: Option<String>) -> Self {
        let mut misfits = Self {
            whole: Some(whole.to_owned()),
            ..Self::new(cell, SOURCE)
        };
        let record = fs::read(RECORD).ok();
        let record = record.and_then(|json| serde_json::from_slice::<Record>(&json).ok());
        if let Some(record) = record
            && record.items == hash(whole, |item| misfits.is_earlier(item))
        {
            let known = record.texts.into_iter();
            misfits.texts = known.filter(|text| !misfits.acts(text)).collect();
        }
        misfits
    }

    /// Records them for the next cell.
    pub(super) fn write(&self, whole: &str) {
        // Without the record, the next cell is compiled once more.
        if self.texts.is_empty() {
            let _ = fs::remove_file(RECORD);
            return;
        }
        let record = Record {
            texts: self.texts.clone(),
            items: hash(whole, |_| true),
        };
        let json = serde_json::to_vec(&record).unwrap_or_default();
        let _ = fs::write(RECORD, json);
    }

    /// Their texts.
    pub(super) fn texts(&self) -> impl Iterator<Item = &String> {
        self.texts.iter()
    }

    /// Returns a crate's source without them; the offsets of all other text are unchanged.
    pub(super) fn without<'a>(&self, source: &'a str) -> Cow<'a, str> {
        if self.texts.is_empty() {
            return Cow::Borrowed(source);
        }
        let items = items(source).into_iter();
        let misfits = items.filter(|item| self.texts.contains(&item.text) && self.is_earlier(item));
        Cow::Owned(blank(source, misfits.map(|item| item.range)))
    }

    /// Adds the items of earlier cells in which rustc has found errors; returns false if there are
    /// none. `compiled` is the source that rustc has compiled.
    pub(super) fn learn(&mut self, compiled: &str, messages: &[u8]) -> bool {
        if self.cell.is_none() {
            return false;
        }
        let mut items = None;
        let before = self.texts.len();
        for error in errors(messages) {
            if BETWEEN.contains(&error_code(&error)) {
                continue;
            }
            let items = items.get_or_insert_with(|| self::items(compiled));
            let concerned = concerned(&error, items, &self.file).into_iter();
            let concerned = concerned.map(|item| item.filter(|item| self.is_earlier(item)));
            let texts = concerned.map(|item| item.map(|item| item.text.clone()));
            // An error that is also elsewhere may be the cell's.
            let texts: Option<Vec<String>> = texts.collect();
            let texts = texts.into_iter().flatten();
            let new = texts.filter(|text| !self.needed.contains(text) && !self.acts(text));
            let new: Vec<String> = new.collect();
            self.texts.extend(new);
        }
        self.texts.len() > before
    }

    /// Makes those part of the crate again that rustc's errors about the rest are due to; returns
    /// false if there are none.
    pub(super) fn admit(&mut self, messages: &[u8]) -> bool {
        if self.texts.is_empty() {
            return false;
        }
        let words: BTreeSet<String> = errors(messages)
            .filter_map(|error| Some(words(error["message"].as_str()?)))
            .flatten()
            .collect();
        let is_needed = |text: &String| {
            let parsed = SourceFile::parse(text, Edition::Edition2024);
            let item = parsed.tree().items().next();
            item.is_some_and(|item| is_missed(&item, &words))
        };
        let needed: Vec<String> = self
            .texts
            .iter()
            .filter(|text| is_needed(text))
            .cloned()
            .collect();
        self.texts.retain(|text| !needed.contains(text));
        let any = !needed.is_empty();
        self.needed.extend(needed);
        any
    }

    /// Returns true for an `impl Drop` of a type that the cell reaches: without it, the cell would
    /// compile and do something else.
    fn acts(&self, text: &str) -> bool {
        let parsed = SourceFile::parse(text, Edition::Edition2024);
        let Some(ast::Item::Impl(block)) = parsed.tree().items().next() else {
            return false;
        };
        let is_drop = block
            .trait_()
            .is_some_and(|of| names(&of).any(|name| name == "Drop"));
        let (Some(whole), Some(cell), true) = (&self.whole, &self.cell, is_drop) else {
            return false;
        };
        let reached = lean::lean(whole, cell).map(|lean| lean.items);
        reached.is_none_or(|reached| {
            let ty = block.self_ty();
            ty.is_some_and(|ty| names(&ty).any(|name| reached.contains(&name)))
        })
    }

    fn is_earlier(&self, item: &CrateItem) -> bool {
        let cell = self.cell.as_ref();
        cell.is_some_and(|cell| !cell.contains(&item.text))
    }
}

/// Returns the item of the notebook in whose text a span of rustc's begins; `None` for the code
/// around items.
pub(super) fn item_at(source: &str, span: &Value) -> Option<(usize, String)> {
    let line = usize::try_from(span["line_start"].as_u64()?).ok()?;
    let items = items(source).into_iter();
    let mut items = items.filter_map(|item| {
        let first = source[..item.range.start].matches('\n').count() + 1;
        let last = first + item.text.matches('\n').count();
        (first..=last)
            .contains(&line)
            .then(|| (line - first, item.text))
    });
    items.next_back()
}

/// Returns the names in an item.
pub(super) fn names_in(item: &str) -> BTreeSet<String> {
    lean::names_in_source(item)
}

/// An item of the notebook.
#[derive(Debug)]
struct CrateItem {
    range: Range<usize>,
    text: String,
    is_import: bool,
}

/// Returns the items in a crate, without those that are ours.
fn items(source: &str) -> Vec<CrateItem> {
    let items = match generated_crate::items_of(source) {
        // Not of evcxr's form.
        "" => source,
        items => items,
    };
    let parsed = SourceFile::parse(items, Edition::Edition2024);
    let items = parsed.tree().items().map(|item| CrateItem {
        range: item.syntax().text_range().into(),
        text: item.syntax().text().to_string(),
        is_import: matches!(item, ast::Item::Use(_)),
    });
    items.filter(|item| !item.is_ours()).collect()
}

impl CrateItem {
    /// Returns true for items that are part of every crate, or name others.
    fn is_ours(&self) -> bool {
        const PARTS: [&str; 2] = ["__phalanx", "__Phalanx"];
        const STARTS: [&str; 2] = ["const PHALANX_IMPL_", "pub(crate) use "];
        let has = |part: &&str| self.text.contains(part);
        let starts = |start: &&str| self.text.starts_with(start);
        PARTS.iter().any(has) || STARTS.iter().any(starts)
    }
}

/// Returns a hash of some items of a crate, which does not depend on their order. Imports are
/// repeated by evcxr.
fn hash(source: &str, counts: impl Fn(&CrateItem) -> bool) -> u64 {
    let items = items(source).into_iter();
    let counted = items.filter(|item| !item.is_import && counts(item));
    let texts: BTreeSet<String> = counted.map(|item| item.text).collect();
    let mut hasher = DefaultHasher::new();
    texts.hash(&mut hasher);
    hasher.finish()
}

/// Returns the errors among rustc's messages.
fn errors(messages: &[u8]) -> impl Iterator<Item = Value> {
    let lines = messages.split(|byte| *byte == b'\n');
    let messages = lines.filter_map(|line| serde_json::from_slice::<Value>(line).ok());
    messages.filter(|message| {
        let level = message["level"].as_str();
        level == Some("error") && message["spans"][0].is_object()
    })
}

/// Returns the codes of the errors among rustc's messages; empty for those that have none.
pub(super) fn error_codes(messages: &[u8]) -> impl Iterator<Item = String> {
    errors(messages).map(|error| error_code(&error).to_owned())
}

fn error_code(error: &Value) -> &str {
    error["code"]["code"].as_str().unwrap_or_default()
}

/// Returns, for each primary span of an error, the item it is in; for a span in a macro, the item
/// of the call.
fn concerned<'a>(error: &Value, items: &'a [CrateItem], file: &str) -> Vec<Option<&'a CrateItem>> {
    let spans = error["spans"].as_array().into_iter().flatten();
    let primary = spans.filter(|span| span["is_primary"] == true);
    let found = primary.map(|mut span| {
        while span["expansion"]["span"].is_object() {
            span = &span["expansion"]["span"];
        }
        let at = span["byte_start"].as_u64();
        let at: Option<usize> = at.and_then(|at| at.try_into().ok());
        let at = at.filter(|_| span["file_name"] == file)?;
        items.iter().find(|item| item.range.contains(&at))
    });
    found.collect()
}

/// Returns the names in a type.
fn names(ty: &ast::Type) -> impl Iterator<Item = String> {
    let names = ty.syntax().descendants().filter_map(ast::NameRef::cast);
    names.map(|name| name.text().to_string())
}

/// Returns the words in a message of rustc's.
fn words(message: &str) -> Vec<String> {
    let words = message.split(|c: char| !c.is_alphanumeric() && c != '_');
    words.map(str::to_owned).collect()
}

/// Returns true if errors name what an item defines.
fn is_missed(item: &ast::Item, words: &BTreeSet<String>) -> bool {
    let named = |name: Option<ast::Name>| name.is_some_and(|name| words.contains(name.text()));
    match item {
        ast::Item::Impl(block) => {
            let list = block.assoc_item_list().into_iter();
            let mut items = list.flat_map(|list| list.assoc_items());
            let has_named = items.any(|item| match item {
                ast::AssocItem::Const(item) => named(item.name()),
                ast::AssocItem::Fn(item) => named(item.name()),
                ast::AssocItem::TypeAlias(item) => named(item.name()),
                ast::AssocItem::MacroCall(_) => false,
            });
            let any_in = |ty: Option<ast::Type>| {
                ty.is_some_and(|ty| names(&ty).any(|name| words.contains(&name)))
            };
            has_named || any_in(block.trait_()) && any_in(block.self_ty())
        }
        ast::Item::Use(import) => {
            let nodes = import.syntax().descendants();
            let mut names = nodes.filter_map(ast::NameRef::cast);
            names.any(|name| words.contains(name.text()))
        }
        item => {
            let name = phalanx_analysis::item_name(item);
            name.is_some_and(|name| words.contains(&name))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::generated_crate::{ENTRY, RUNTIME};
    use super::*;
    use serde_json::json;

    const OLD: &str = "impl Count for Vec<M> { fn count(&self) -> usize { self[0].gone() } }";
    const OWN: &str = "fn own() { wrong() }";

    fn source() -> String {
        let items = format!("#![allow(x)]\nstruct M;\n{OLD}\n{OWN}\nuse a::B;");
        format!("{items}\n{RUNTIME}}}\n#[unsafe(no_mangle)]{ENTRY}1() {{ call() }}\n")
    }

    fn error(message: &str, text: &str) -> Vec<u8> {
        let start = source().find(text).unwrap();
        let span = json!({"file_name": SOURCE, "is_primary": true, "byte_start": start});
        let error = json!({"level": "error", "message": message, "spans": [span]});
        format!("{error}\n").into_bytes()
    }

    fn misfits() -> Misfits {
        Misfits::new(Some(OWN.to_owned()), SOURCE)
    }

    #[test]
    fn an_item_of_an_earlier_cell_is_left_out() {
        let mut misfits = misfits();
        assert!(misfits.learn(&source(), &error("no method named `gone`", "gone")));
        let left = misfits.without(&source()).into_owned();
        assert_eq!(left, source().replace(OLD, &" ".repeat(OLD.len())));
        // Errors of the cell itself stay, as does the code around it.
        for at in ["wrong", "call"] {
            assert!(!misfits.learn(&source(), &error("no function", at)), "{at}");
        }
    }

    #[test]
    fn a_cell_that_needs_it_gets_its_errors() {
        let gone = error("no method named `gone`", "gone");
        for (message, is_needed) in [
            ("no method named `count` found", true),
            ("the trait bound `Vec<M>: Count` is not satisfied", true),
            ("no field `x` on type `M`", false),
        ] {
            let mut misfits = misfits();
            assert!(misfits.learn(&source(), &gone));
            assert_eq!(
                misfits.admit(&error(message, "call")),
                is_needed,
                "{message}"
            );
            assert_eq!(misfits.without(&source()) == source(), is_needed);
            assert!(!misfits.learn(&source(), &gone), "once is enough");
        }
    }

    #[test]
    fn what_acts_without_being_named_is_not_left_out_where_it_would_act() {
        let guard = "impl Drop for M { fn drop(&mut self) { self.gone() } }";
        let items = format!("struct M;\n{guard}\nfn make() -> M {{ M }}\nfn other() {{}}");
        for (cell, is_left_out) in [("other()", true), ("make()", false)] {
            let whole = format!(
                "{items}\n{RUNTIME}}}\n#[unsafe(no_mangle)]{ENTRY}1(x: u8) -> u8 {{\n{cell};\nx\n}}\n"
            );
            let mut misfits = Misfits {
                whole: Some(whole.clone()),
                ..Misfits::new(Some(cell.to_owned()), SOURCE)
            };
            let span =
                json!({"file_name": SOURCE, "is_primary": true, "byte_start": whole.find("gone")});
            let error = json!({"level": "error", "message": "no method", "spans": [span]});
            let learnt = misfits.learn(&whole, error.to_string().as_bytes());
            assert_eq!(learnt, is_left_out, "{cell}");
        }
    }

    #[test]
    fn the_item_around_an_error_is_found() {
        let (line, text) = item_at(&source(), &json!({"line_start": 3})).unwrap();
        assert_eq!((line, text.as_str()), (0, OLD));
        assert!(names_in(OLD).contains("M"));
        assert_eq!(item_at(&source(), &json!({"line_start": 8})), None);
    }
}
