//! The paths under which a name that is not in scope can be imported.

use crate::source::Lookup;
use ra_ap_base_db::EditionedFileId;
use ra_ap_hir::{PrefixKind, Semantics, attach_db};
use ra_ap_ide_db::RootDatabase;
use ra_ap_ide_db::imports::import_assets::{ImportAssets, ImportPathConfig};
use ra_ap_syntax::ast::{self, AstNode};
use ra_ap_syntax::{Edition, TextSize};
use std::iter::successors;

/// The edition of every cell.
const EDITION: Edition = Edition::Edition2024;

/// The beginnings of the paths that come first.
const STANDARD: [&str; 3] = ["std::", "core::", "alloc::"];

/// Returns the paths by which the path at a byte offset of the cell can be imported, or else the
/// nearest of its qualifiers: those of the standard library first, shorter ones before longer ones.
/// Empty if the path is in scope.
pub(crate) fn imports_at(lookup: &Lookup<'_>, offset: usize) -> Vec<String> {
    let db = &lookup.db;
    let semantics = Semantics::new(db);
    let file = semantics.parse(EditionedFileId::new(db, lookup.file, EDITION));
    let offset = TextSize::from(lookup.scaffold.to_text(offset) as u32);
    let mut paths = attach_db(db, || {
        let token = file.syntax().token_at_offset(offset).left_biased();
        let path = token.and_then(|token| token.parent_ancestors().find_map(ast::Path::cast))?;
        // Associated items are not imported themselves, but their type is.
        let paths = successors(Some(path), ast::Path::qualifier);
        let mut found = paths.map(|path| imports_of(&path, &semantics));
        found.find(|imports| !imports.is_empty())
    })
    .unwrap_or_default();
    paths.sort_by_cached_key(|path| {
        let rank = STANDARD.iter().position(|first| path.starts_with(first));
        let segments = path.matches("::").count();
        (rank.unwrap_or(STANDARD.len()), segments, path.clone())
    });
    paths.dedup();
    paths
}

fn imports_of(path: &ast::Path, semantics: &Semantics<'_, RootDatabase>) -> Vec<String> {
    let Some(assets) = ImportAssets::for_exact_path(path, semantics) else {
        return Vec::new();
    };
    let config = ImportPathConfig {
        prefer_no_std: false,
        prefer_prelude: true,
        prefer_absolute: false,
    };
    let imports = assets.search_for_imports(semantics, config, PrefixKind::Plain);
    let db = semantics.db;
    let paths = imports.map(|import| import.import_path.display(db, EDITION).to_string());
    paths.collect()
}
