//! Lean crates: of the crate that evcxr writes for a cell, only what the cell uses.
//!
//! evcxr compiles every item of the notebook and takes, checks and puts back every variable, in each
//! cell. A lean crate holds the variables that the cell names and the items that are reachable from
//! it by name. Names are over-approximated (words in strings count, because of format strings), and a
//! lean crate that does not compile is no error: the whole crate then decides.
//!
//! That a crate compiles does not prove that it means the same: without `impl Drop for Guard` it
//! compiles and drops in silence. [`reach`] says which items stay for that reason.
//!
//! Items and variables are blanked, not deleted: evcxr attributes errors to their origins by line.

mod function;
mod items;
mod names;
mod reach;
mod report;

use super::blank::blank;
use function::Function;
use items::LeanItem;
pub(crate) use items::PLAIN_DERIVES;
use ra_ap_syntax::ast::{self, HasModuleItem, HasName};
use ra_ap_syntax::{Edition, SourceFile};
pub(super) use report::{Report, is_off, turn};
use std::collections::BTreeSet;

/// The crate of one cell without what the cell does not use.
#[derive(Debug)]
pub(super) struct LeanCrate {
    pub(super) source: String,
    /// The names of the items that it holds, imports excepted.
    pub(super) items: BTreeSet<String>,
    /// The variables that it takes from the store.
    pub(super) variables: BTreeSet<String>,
    /// The number of items and variables that it leaves out.
    pub(super) left_out: usize,
}

/// Returns the lean crate of a cell, given the crate that evcxr has written (`generated`) and the
/// cell itself; `None` where the crate has another form than expected or has syntax errors.
pub(super) fn lean(generated: &str, cell: &str) -> Option<LeanCrate> {
    let parsed = SourceFile::parse(generated, Edition::Edition2024);
    if !parsed.errors().is_empty() {
        return None;
    }
    let (mut items, mut function) = (Vec::new(), None);
    for item in parsed.tree().items() {
        match item {
            ast::Item::Fn(entry) if is_entry(&entry) => function = Some(entry),
            ast::Item::Module(module) if is_runtime(&module) => {}
            item => items.push(LeanItem::read(&item)),
        }
    }
    let function = Function::read(&function?)?;
    let mut roots = names::in_source(cell);
    roots.extend(function.names.iter().cloned());
    let named = |name: &String| roots.contains(name);
    let (variables, unnamed): (BTreeSet<_>, BTreeSet<_>) =
        function.variables().cloned().partition(named);
    roots.extend(function.types_of(&variables));
    let kept = reach::reachable(&items, roots);
    let mut ranges = function.statements_of(&unnamed);
    let mut held = BTreeSet::new();
    for (item, is_kept) in items.iter().zip(&kept) {
        if *is_kept {
            held.extend(item.defines.iter().cloned());
        } else {
            ranges.push(item.range);
        }
    }
    Some(LeanCrate {
        source: blank(generated, ranges.into_iter().map(Into::into)),
        items: held,
        left_out: unnamed.len() + kept.iter().filter(|is_kept| !**is_kept).count(),
        variables,
    })
}

/// Returns true for the function that evcxr calls.
fn is_entry(function: &ast::Fn) -> bool {
    let name = function.name();
    name.is_some_and(|name| name.text().starts_with("run_user_code_"))
}

/// Returns true for evcxr's store of variables.
fn is_runtime(module: &ast::Module) -> bool {
    let name = module.name();
    name.is_some_and(|name| name.text() == "evcxr_internal_runtime")
}

#[cfg(test)]
mod tests;
