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
const NON_SHADOWING: [&str; 4] = ["alloc", "core", "phalanx", "std"];

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
#[derive(Clone, Default)]
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
    fn may_import(&self, glob: &str, name: &str) -> bool {
        let is_standard = STANDARD_NAMES.iter().any(|(standard, _)| *standard == name);
        match &self.shadowed {
            Some(shadowed) if is_standard => {
                shadowed.get(glob).is_some_and(|names| names.contains(name))
            }
            _ => true,
        }
    }
}

/// A function that determines the types of the standard prelude that glob imports of crates shadow.
pub(super) type FindShadowed<'a> = &'a dyn Fn(&[String]) -> Shadowed;

impl Definitions {
    /// Returns the variables, given as (name, type), that cannot be read after a cell has been
    /// compiled.
    pub(super) fn lost(
        &self,
        source: &str,
        variables: &[(String, String)],
        find_shadowed: FindShadowed<'_>,
    ) -> Vec<String> {
        if variables.is_empty() {
            return Vec::new();
        }
        let cell = read_cell(source);
        let mut changes = self.changes(&cell);
        let reaching = |changes: &Redefinitions| {
            if changes.names.is_empty() && changes.in_items.is_empty() {
                return Vec::new();
            }
            self.dependent_variables(changes, variables, false)
        };
        let lost = reaching(&changes);
        let globs = self.new_globs_of_crates(&cell);
        let own = std::mem::take(&mut changes.in_items);
        let with = |names: &mut dyn Iterator<Item = String>| Redefinitions {
            in_items: own.iter().cloned().chain(names).collect(),
            ..changes.clone()
        };
        let is_visible = |name: &String| !self.is_defined(name, &cell);
        let mut all = PRELUDE.map(str::to_owned).into_iter().filter(is_visible);
        if globs.is_empty() || reaching(&with(&mut all)) == lost {
            return lost;
        }
        // Only rustc can determine this, and most imports shadow nothing.
        let shadowed = find_shadowed(&globs).into_values().flatten();
        reaching(&with(&mut shadowed.filter(is_visible)))
    }

    /// Returns the variables, given as (name, type), that cannot be read after a cell has been
    /// compiled with some crates rebuilt.
    pub(super) fn dropped(
        &self,
        source: &str,
        rebuilt: &dependencies::RebuiltCrates,
        variables: &[(String, String)],
        find_shadowed: FindShadowed<'_>,
    ) -> DroppedVariables {
        let mut names = self.lost(source, variables, find_shadowed);
        let holders = self.holders_of(rebuilt, variables);
        let rebuilt = rebuilt.crates.iter().filter(|_| !holders.is_empty());
        let rebuilt = rebuilt.cloned().collect();
        names.extend(holders);
        names.sort();
        names.dedup();
        DroppedVariables { names, rebuilt }
    }

    /// Returns the variables, given as (name, type), that may hold types of crates.
    fn holders_of(
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
        self.dependent_variables(&changes, variables, true)
    }

    /// Returns the variables whose types depend on a change; `types_change` if types change that no
    /// item names.
    fn dependent_variables(
        &self,
        changes: &Redefinitions,
        variables: &[(String, String)],
        types_change: bool,
    ) -> Vec<String> {
        let redefined = |(name, item): (&String, &Arc<Definition>)| {
            item.is_type() && self.depends_on(name, changes, &mut BTreeSet::new())
        };
        let types_change = types_change || self.items.iter().any(redefined);
        let is_lost = |ty: &str| {
            let ty = read_type(ty);
            let mut seen = BTreeSet::new();
            let mut references = ty.references.iter();
            references.any(|name| self.depends_on(name, changes, &mut seen))
                || (types_change && self.erased(&ty, &mut BTreeSet::new()))
        };
        variables
            .iter()
            .filter(|(_, ty)| is_lost(ty))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// Returns the names of types that a cell redefines.
    pub(super) fn redefined(&self, source: &str) -> Vec<String> {
        let cell = read_cell(source);
        let redefined = cell.named.into_iter().filter(|(name, item)| {
            let old = self.items.get(name);
            old.is_some_and(|old| old.is_type() && old.definition != item.definition)
        });
        redefined.map(|(name, _)| name).collect()
    }

    /// Returns the paths of glob imports.
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
                changes.names.extend(old.dependents.iter().cloned());
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
                    changes.names.extend(associated.dependents.iter().cloned());
                }
            }
        }
        for glob in cell.globs.difference(&self.globs) {
            let first = first_name(glob).unwrap_or_default();
            let item = cell.named.get(first);
            if let Some(item) = item.or(self.items.get(first).map(Arc::as_ref)) {
                let brought = item.defines.iter();
                let brought = brought.filter(|name| !self.is_defined(name, cell));
                changes.in_items.extend(brought.cloned());
            }
        }
        changes
    }

    /// Returns the glob imports of crates that a cell adds, except for those of [`NON_SHADOWING`]
    /// ones.
    fn new_globs_of_crates(&self, cell: &CellDefinitions) -> Vec<String> {
        let new = cell.globs.difference(&self.globs);
        let of_crates = new.filter(|glob| {
            first_name(glob).is_some_and(|first| {
                !NON_SHADOWING.contains(&first) && !self.is_defined(first, cell)
            })
        });
        of_crates.cloned().collect()
    }

    /// Returns true if a name is that of an item or an import, which glob imports do not shadow.
    fn is_defined(&self, name: &str, cell: &CellDefinitions) -> bool {
        self.items.contains_key(name) || cell.named.contains_key(name)
    }

    /// Returns true if the meaning of a name depends on a change.
    fn depends_on(&self, name: &str, changes: &Redefinitions, seen: &mut BTreeSet<String>) -> bool {
        if changes.names.contains(name) {
            return true;
        }
        if !seen.insert(name.to_owned()) {
            return false;
        }
        match self.items.get(name) {
            Some(item) => item.references.iter().any(|next| {
                changes.in_items.contains(next) || self.depends_on(next, changes, seen)
            }),
            None if PRIMITIVE.contains(&name) || NON_SHADOWING.contains(&name) => false,
            None if changes.unchanged.contains(name) => false,
            // Possibly from a glob import of a module of the namespace, or of a crate.
            None => self
                .globs
                .iter()
                .filter(|glob| changes.may_import(glob, name))
                .filter_map(|glob| first_name(glob))
                .filter(|first| self.items.contains_key(*first) || changes.names.contains(*first))
                .any(|first| self.depends_on(first, changes, seen)),
        }
    }

    /// Returns true if values of the item may hold values of any type.
    fn erased(&self, item: &Definition, seen: &mut BTreeSet<String>) -> bool {
        item.erased
            || item.references.iter().any(|name| {
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
