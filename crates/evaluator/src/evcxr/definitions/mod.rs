//! The types defined by a namespace's items, and the variables that a cell would make unreadable.
//!
//! rustc's `TypeId`, with which evcxr checks variables, identifies a type's path in the crate and
//! not its structure: a struct that is redefined keeps its id. So before a cell with redefinitions
//! is compiled, the variables whose types depend on them must be dropped.
//!
//! Dependencies of types are determined by names; in case of doubt, they exist.

mod read;

use super::dependencies::{self, STANDARD_NAMES, Shadowed};
use phalanx_protocol::evaluator::DroppedVariables;
use read::{CellDefinitions, Definition, first_name, read_cell, read_type};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Types that are always in scope, unless a glob import shadows them.
const PRELUDE: [&str; 5] = ["Box", "Option", "Result", "String", "Vec"];

/// Crates whose glob imports shadow none of [`PRELUDE`].
const TAME: [&str; 4] = ["alloc", "core", "phalanx", "std"];

/// The types whose names cannot be imported.
const PRIMITIVE: [&str; 17] = [
    "bool", "char", "f32", "f64", "i128", "i16", "i32", "i64", "i8", "isize", "str", "u128", "u16",
    "u32", "u64", "u8", "usize",
];

/// The items of a namespace, as far as types depend on them.
#[derive(Clone, Debug, Default)]
pub(super) struct Definitions {
    items: BTreeMap<String, Arc<Definition>>,
    globs: BTreeSet<String>,
}

/// The names that a cell redefines.
#[derive(Default)]
struct Redefinitions {
    names: BTreeSet<String>,
    /// Names whose meaning may change in items, which rustc does not check; in the types of
    /// variables it does.
    in_items: BTreeSet<String>,
    /// If crates change: the names of the standard prelude that their glob imports shadow.
    shadowed: Option<Shadowed>,
    /// The crates that do not change.
    unchanged: BTreeSet<String>,
}

impl Redefinitions {
    /// Returns true if a glob import may bring a changed name into scope.
    fn may_bring(&self, glob: &str, name: &str) -> bool {
        let is_standard = STANDARD_NAMES.iter().any(|(standard, _)| *standard == name);
        match &self.shadowed {
            Some(shadowed) if is_standard => {
                shadowed.get(glob).is_some_and(|names| names.contains(name))
            }
            _ => true,
        }
    }
}

impl Definitions {
    /// The variables, given as (name, type), that cannot be read after a cell has been compiled.
    pub(super) fn lost(&self, source: &str, variables: &[(String, String)]) -> Vec<String> {
        if variables.is_empty() {
            return Vec::new();
        }
        let changes = self.changes(&read_cell(source));
        if changes.names.is_empty() && changes.in_items.is_empty() {
            return Vec::new();
        }
        self.reaching(&changes, variables, false)
    }

    /// The variables, given as (name, type), that cannot be read after a cell has been compiled
    /// with some crates rebuilt.
    pub(super) fn dropped(
        &self,
        source: &str,
        rebuilt: &dependencies::RebuiltCrates,
        variables: &[(String, String)],
    ) -> DroppedVariables {
        let mut names = self.lost(source, variables);
        let holding = self.holding(rebuilt, variables);
        let rebuilt = rebuilt.crates.iter().filter(|_| !holding.is_empty());
        let rebuilt = rebuilt.cloned().collect();
        names.extend(holding);
        names.sort();
        names.dedup();
        DroppedVariables { names, rebuilt }
    }

    /// The variables, given as (name, type), that may hold types of crates.
    fn holding(
        &self,
        rebuilt: &dependencies::RebuiltCrates,
        variables: &[(String, String)],
    ) -> Vec<String> {
        if rebuilt.crates.is_empty() {
            return Vec::new();
        }
        let changes = Redefinitions {
            names: rebuilt.crates.clone(),
            in_items: BTreeSet::new(),
            shadowed: Some(rebuilt.shadowed.clone()),
            unchanged: rebuilt.unchanged.clone(),
        };
        self.reaching(&changes, variables, true)
    }

    /// The variables whose types depend on a change; `types_change` if types change that no item
    /// names.
    fn reaching(
        &self,
        changes: &Redefinitions,
        variables: &[(String, String)],
        types_change: bool,
    ) -> Vec<String> {
        let redefined = |(name, item): (&String, &Arc<Definition>)| {
            item.is_type() && self.reaches(name, changes, &mut BTreeSet::new())
        };
        let types_change = types_change || self.items.iter().any(redefined);
        let is_lost = |ty: &str| {
            let ty = read_type(ty);
            let mut seen = BTreeSet::new();
            let mut reached = ty.refers.iter();
            reached.any(|name| self.reaches(name, changes, &mut seen))
                || (types_change && self.erased(&ty, &mut BTreeSet::new()))
        };
        variables
            .iter()
            .filter(|(_, ty)| is_lost(ty))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The paths of glob imports.
    pub(super) fn globs(&self) -> impl Iterator<Item = &str> {
        self.globs.iter().map(String::as_str)
    }

    /// Adds the items of a compiled cell.
    pub(super) fn add(&mut self, source: &str) {
        let cell = read_cell(source);
        for (head, _) in cell.blocks() {
            for item in self.items.values_mut() {
                if item.associated.contains_key(head) {
                    Arc::make_mut(item).associated.remove(head);
                }
            }
        }
        let CellDefinitions { named, globs } = cell;
        let named = named.into_iter().map(|(name, item)| (name, Arc::new(item)));
        self.items.extend(named);
        self.globs.extend(globs);
    }

    fn changes(&self, cell: &CellDefinitions) -> Redefinitions {
        let mut changes = Redefinitions::default();
        for (head, new) in cell.blocks() {
            let mut known = self.items.values();
            let old = known.find_map(|item| item.associated.get(head));
            if let Some(old) = old.filter(|old| old.text != new.text) {
                changes.names.extend(old.concerns.iter().cloned());
            }
        }
        for (name, item) in &cell.named {
            let Some(old) = self.items.get(name) else {
                // It replaces the previous meaning of the name.
                changes.names.insert(name.clone());
                continue;
            };
            if old.definition != item.definition {
                changes.names.insert(name.clone());
            }
            for (head, associated) in &old.associated {
                let new = item.associated.get(head);
                if new.map_or("", |new| &new.text) != associated.text {
                    changes.names.extend(associated.concerns.iter().cloned());
                }
            }
        }
        for glob in cell.globs.difference(&self.globs) {
            let Some(first) = first_name(glob) else {
                continue;
            };
            let local = cell.named.get(first);
            match local.or(self.items.get(first).map(Arc::as_ref)) {
                Some(item) => changes.in_items.extend(item.defines.iter().cloned()),
                None if TAME.contains(&first) => {}
                None => changes.in_items.extend(PRELUDE.map(str::to_owned)),
            }
        }
        changes
    }

    /// Returns true if the meaning of a name depends on a change.
    fn reaches(&self, name: &str, changes: &Redefinitions, seen: &mut BTreeSet<String>) -> bool {
        if changes.names.contains(name) {
            return true;
        }
        if !seen.insert(name.to_owned()) {
            return false;
        }
        match self.items.get(name) {
            Some(item) => item
                .refers
                .iter()
                .any(|next| changes.in_items.contains(next) || self.reaches(next, changes, seen)),
            None if PRIMITIVE.contains(&name) || TAME.contains(&name) => false,
            None if changes.unchanged.contains(name) => false,
            // Possibly from a glob import of a module of the namespace, or of a crate.
            None => self
                .globs
                .iter()
                .filter(|glob| changes.may_bring(glob, name))
                .filter_map(|glob| first_name(glob))
                .filter(|first| self.items.contains_key(*first) || changes.names.contains(*first))
                .any(|first| self.reaches(first, changes, seen)),
        }
    }

    /// Returns true if values of the item may hold values of any type.
    fn erased(&self, item: &Definition, seen: &mut BTreeSet<String>) -> bool {
        item.erased
            || item.refers.iter().any(|name| {
                seen.insert(name.clone())
                    && self
                        .items
                        .get(name)
                        .is_some_and(|item| self.erased(item, seen))
            })
    }
}

#[cfg(test)]
mod tests;
