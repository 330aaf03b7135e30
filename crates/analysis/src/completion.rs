//! Completions at a position, the most likely first.

use crate::manifest::PACKAGE;
use crate::scaffold::PREFIX;
use crate::source::Lookup;
use phalanx_protocol::analysis::{AnalyzedCell, Completion, Completions};
use ra_ap_hir::PrefixKind;
use ra_ap_ide::{
    CompletionConfig, CompletionFieldsToResolve, CompletionItem, CompletionItemKind, FilePosition,
    RaFixtureConfig,
};
use ra_ap_ide_db::SymbolKind;
use ra_ap_ide_db::imports::insert_use::{ImportGranularity, InsertUseConfig};

/// Traits implemented for (nearly) every type, whose methods are listed last.
const BLANKETS: [&str; 13] = [
    "Any",
    "Borrow",
    "BorrowMut",
    "CloneToUninit",
    "From",
    "Into",
    "IntoIterator",
    "IntoFuture",
    "ToOwned",
    "ToString",
    "TryFrom",
    "TryInto",
    "Receiver",
];

/// The prefixes of names internal to evcxr or Phalanx.
const HIDDEN: [&str; 6] = [
    PREFIX,
    "__Phalanx",
    "phalanx_cell_",
    "evcxr_",
    "EvcxrUserCodeError",
    "run_user_code_",
];

/// The minimum length in characters of a name for which names not in scope are offered.
const MIN_IMPORTED: usize = 3;

/// Returns the completions at a byte offset of the cell. Names that are not in scope are offered
/// with their paths.
pub(crate) fn completions_at(
    lookup: &Lookup<'_>,
    cell: &AnalyzedCell,
    offset: usize,
) -> Completions {
    let position = FilePosition {
        file_id: lookup.file,
        offset: (lookup.scaffold.to_text(offset) as u32).into(),
    };
    let config = config(completes_path_start(&cell.source, offset));
    let items = lookup.analysis.completions(&config, position, None);
    let mut items = items.ok().flatten().unwrap_or_default();
    items.sort_by_cached_key(|item| (rank(item, cell, lookup), item.lookup().to_lowercase()));
    let mut completions = Completions {
        start: offset,
        end: offset,
        items: Vec::new(),
    };
    for item in items {
        let mut edits = item.text_edit.iter();
        let (Some(edit), None) = (edits.next(), edits.next()) else {
            continue;
        };
        let to_source = |offset| lookup.scaffold.to_source(usize::from(offset));
        let (Some(start), Some(end)) =
            (to_source(edit.delete.start()), to_source(edit.delete.end()))
        else {
            continue;
        };
        let typed = cell.source.get(start..end).unwrap_or_default();
        if !item.lookup().starts_with(typed) || is_hidden(&edit.insert, typed) {
            continue;
        }
        if completions.items.is_empty() {
            (completions.start, completions.end) = (start, end);
        } else if (completions.start, completions.end) != (start, end) {
            // A reply replaces a single range of text.
            continue;
        }
        let code = match &item.import_to_add[..] {
            [] => edit.insert.clone(),
            // The rest of a qualified path is inserted too; a trait's method cannot have one.
            [import] if import.path.ends_with(item.lookup()) && !import.as_underscore => {
                import.path.clone() + edit.insert.strip_prefix(item.lookup()).unwrap_or_default()
            }
            _ => continue,
        };
        completions.items.push(Completion {
            code,
            kind: kind(item.kind).to_owned(),
            label: item.label.primary.to_string(),
        });
    }
    completions
}

/// Returns the settings of rust-analyzer's completion: names only, without snippets; `imports` adds
/// names that are not in scope.
fn config(imports: bool) -> CompletionConfig<'static> {
    CompletionConfig {
        enable_postfix_completions: false,
        // Prevents placeholders in completions.
        snippet_cap: None,
        callable: None,
        snippets: Vec::new(),
        enable_imports_on_the_fly: imports,
        enable_self_on_the_fly: true,
        enable_auto_iter: false,
        enable_auto_await: false,
        enable_private_editable: false,
        enable_term_search: false,
        term_search_fuel: 0,
        full_function_signatures: false,
        add_colons_to_module: false,
        add_semicolon_to_unit: false,
        insert_use: InsertUseConfig {
            prefix_kind: PrefixKind::ByCrate,
            group: false,
            granularity: ImportGranularity::Item,
            enforce_granularity: false,
            skip_glob_imports: false,
        },
        prefer_no_std: false,
        prefer_prelude: true,
        prefer_absolute: false,
        limit: None,
        fields_to_resolve: CompletionFieldsToResolve::empty(),
        exclude_flyimport: Vec::new(),
        exclude_traits: &[],
        ra_fixture: RaFixtureConfig::default(),
    }
}

/// Returns true if the offset is in a name long enough to search all crates for it, which is not a
/// member's.
fn completes_path_start(source: &str, offset: usize) -> bool {
    let before = source.get(..offset).unwrap_or_default();
    let rest = before.trim_end_matches(|c: char| c.is_alphanumeric() || c == '_');
    let typed = before[rest.len()..].chars().count();
    typed >= MIN_IMPORTED && !rest.ends_with(['.', ':'])
}

/// Returns true for internal names, and for private ones unless their underscores are typed.
fn is_hidden(code: &str, typed: &str) -> bool {
    let is_internal = HIDDEN.iter().any(|hidden| code.starts_with(hidden));
    let is_private = code.starts_with("__") && !typed.starts_with("__");
    is_internal || is_private || code == PACKAGE
}

/// Returns the sort key of an item, before its name: exact matches, then members of the type and
/// names of the cell, then methods of traits, then methods of all types. rust-analyzer's own score
/// compares expected types, which are rarely known in a cell.
fn rank(item: &CompletionItem, cell: &AnalyzedCell, lookup: &Lookup<'_>) -> (u8, bool, bool) {
    let to_source = |offset| lookup.scaffold.to_source(usize::from(offset));
    let range = item.source_range;
    let typed = to_source(range.start()).zip(to_source(range.end()));
    let typed = typed.and_then(|(start, end)| cell.source.get(start..end));
    let detail = item.label.detail_left.as_deref().unwrap_or_default();
    let of_trait = detail.trim().strip_prefix("(as ");
    let of_trait = of_trait.and_then(|rest| rest.split([')', '<']).next());
    let group = match (of_trait, item.kind) {
        _ if !item.import_to_add.is_empty() => 5,
        _ if typed == Some(item.lookup()) => 0,
        (Some(name), _) if BLANKETS.contains(&name.trim()) => 4,
        (Some(_), _) => 3,
        (None, CompletionItemKind::Keyword | CompletionItemKind::Snippet) => 2,
        (None, _) => 1,
    };
    (group, !item.relevance.is_local, item.deprecated)
}

/// Converts a kind to the name used by Jupyter frontends.
fn kind(kind: CompletionItemKind) -> &'static str {
    use CompletionItemKind as K;
    use SymbolKind as S;
    match kind {
        K::SymbolKind(
            S::Function
            | S::Method
            | S::Macro
            | S::ProcMacro
            | S::Derive
            | S::DeriveHelper
            | S::Attribute
            | S::BuiltinAttr,
        ) => "function",
        K::SymbolKind(
            S::Struct | S::Enum | S::Union | S::Trait | S::TypeAlias | S::TypeParam | S::SelfType,
        )
        | K::BuiltinType => "class",
        K::SymbolKind(S::Module | S::CrateRoot | S::ToolModule) => "module",
        K::Keyword => "keyword",
        _ => "instance",
    }
}
