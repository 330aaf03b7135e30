//! The shape of a namespace, on which the compilation of a cell depends, and a cache of compiled
//! cells.
//!
//! A cell that completed and left the shape of the namespace unchanged would be compiled to the
//! same code again; so its compiled code is run again instead.

use super::generated_crate::{GeneratedCrate, WrapperCode};
use super::source;
use super::statics::{self, Statics};
use super::variables::VariableTypes;
use phalanx_protocol::evaluator::CompiledCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// The maximum number of cached cells.
const MOST_CELLS: usize = 1024;

/// The shape of a namespace: everything evcxr adds to a cell, except for the options, whose changes
/// clear the [`CompileCache`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct NamespaceShape {
    items: Arc<str>,
    manifest: Arc<str>,
    modes: WrapperCode,
    statics: Statics,
    /// The type, and whether it is mutable, if known.
    variables: BTreeMap<String, (String, Option<bool>)>,
}

impl NamespaceShape {
    /// The shape after a cell that evcxr has committed; `variables` contains all variables, evcxr's
    /// own included.
    pub(super) fn after(
        &self,
        emitted: &GeneratedCrate,
        source: &str,
        variables: &VariableTypes,
    ) -> Self {
        let Some(parts) = emitted.parts() else {
            return self.after_failure(variables);
        };
        let declared = source::declared(source);
        let is_mutable = |name: &str| match declared.get(name) {
            Some(mutable) => Some(*mutable),
            None => parts.variables.get(name).copied(),
        };
        let variables = variables
            .iter()
            .map(|(name, ty)| (name.clone(), (ty.clone(), is_mutable(name))));
        Self {
            items: without_repetition(parts.items).into(),
            manifest: emitted.manifest.as_str().into(),
            modes: parts.modes.unwrap_or(self.modes),
            statics: self.statics.clone(),
            variables: variables.collect(),
        }
    }

    /// Replaces the statics.
    #[must_use]
    pub(super) fn sharing(self, statics: &Statics) -> Self {
        Self {
            statics: statics.clone(),
            ..self
        }
    }

    /// Returns true if evcxr compiles all cells as if they contained a `?`.
    pub(super) fn is_fallible(&self) -> bool {
        self.modes.question_mark
    }

    /// The statics.
    pub(super) fn statics(&self) -> &Statics {
        &self.statics
    }

    /// The shape after a cell that evcxr has discarded.
    pub(super) fn after_failure(&self, variables: &VariableTypes) -> Self {
        let mut shape = self.clone();
        let is_left = |name: &String| variables.iter().any(|(left, _)| left == name);
        shape.variables.retain(|name, _| is_left(name));
        shape
    }

    /// The declaration of a variable: `mut a: u8`.
    pub(super) fn declaration(&self, name: &str) -> Option<String> {
        let (ty, mutable) = self.variables.get(name)?;
        let mutable = if *mutable == Some(true) { "mut " } else { "" };
        Some(format!("{mutable}{name}: {ty}"))
    }

    /// The source of the items.
    pub(super) fn items(&self) -> &str {
        &self.items
    }

    /// The variables: name and type.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let variables = self.variables.iter();
        variables.map(|(name, (ty, _))| (name.as_str(), ty.as_str()))
    }

    fn is_known(&self) -> bool {
        self.variables
            .values()
            .all(|(_, mutable)| mutable.is_some())
    }
}

/// The items without imports that evcxr appends again at every evaluation.
fn without_repetition(items: &str) -> String {
    let items = items.trim_end();
    let is_import = |line: &&str| line.starts_with("use ") && line.ends_with(';');
    let imports = items.rsplit('\n').take_while(is_import);
    let length = imports.clone().map(|line| line.len() + 1).sum::<usize>();
    let imports = imports.collect::<BTreeSet<_>>();
    let mut text = items[..items.len().saturating_sub(length)].to_owned();
    for import in imports {
        text.push('\n');
        text += import;
    }
    text
}

/// Compiled cells that can be run again, by shape and source.
#[derive(Debug, Default)]
pub(super) struct CompileCache {
    cells: HashMap<NamespaceShape, HashMap<String, CompiledCell>>,
    count: usize,
}

impl CompileCache {
    /// The compiled form of a cell, if it has been compiled before.
    pub(super) fn recall(&self, shape: &NamespaceShape, source: &str) -> Option<CompiledCell> {
        self.cells.get(shape)?.get(source).cloned()
    }

    /// Adds a cell that completed.
    pub(super) fn remember(
        &mut self,
        (before, after): (&NamespaceShape, &NamespaceShape),
        source: &str,
        emitted: &GeneratedCrate,
        cell: CompiledCell,
    ) {
        if before != after
            || !after.is_known()
            || emitted.reads_outside
            || statics::defines_any(source, after.items())
            || !cell.dropped.names.is_empty()
            || super::cargo_wrapper::depends_on_paths(&emitted.manifest)
        {
            return;
        }
        if self.count == MOST_CELLS {
            self.forget();
        }
        let cells = self.cells.entry(after.clone()).or_default();
        if cells.insert(source.to_owned(), cell).is_none() {
            self.count += 1;
        }
    }

    /// Clears the cache after a change that shapes do not reflect.
    pub(super) fn forget(&mut self) {
        self.cells.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: &str = "fn f() {}\nuse a::*;";

    fn emitted(items: &str, loads: &str) -> GeneratedCrate {
        GeneratedCrate {
            source: format!(
                "{items}\n#[unsafe(no_mangle)]\npub extern \"C\" fn run_user_code_1(\nmut e: S)\n{loads}}}"
            ),
            ..GeneratedCrate::default()
        }
    }

    fn variables(all: &[&str]) -> VariableTypes {
        let all = all.iter().map(|name| ((*name).to_owned(), "u8".to_owned()));
        all.collect()
    }

    #[test]
    fn a_cell_that_defines_a_variable_is_remembered_from_its_second_run_on() {
        let mut cache = CompileCache::default();
        let source = "let mut x = 1;";
        let first = NamespaceShape::default().after(&emitted(ITEMS, ""), "0", &variables(&[]));
        let compiled = emitted(ITEMS, "");
        let second = first.after(&compiled, source, &variables(&["x"]));
        cache.remember(
            (&first, &second),
            source,
            &compiled,
            CompiledCell::default(),
        );
        assert_eq!(cache.recall(&second, source), None);
        let load = "let mut x = evcxr_variable_store.take_variable::<u8>(stringify!(x));\n";
        let compiled = emitted(&format!("{ITEMS}\nuse a::*;"), load);
        let third = second.after(&compiled, source, &variables(&["x"]));
        assert_eq!(second, third, "an import that is repeated changes nothing");
        cache.remember(
            (&second, &third),
            source,
            &compiled,
            CompiledCell::default(),
        );
        assert!(cache.recall(&third, source).is_some());
        assert!(cache.recall(&third, "let x = 1;").is_none());

        let immutable = third.after(&emitted(ITEMS, load), "let x = 2;", &variables(&["x"]));
        assert_eq!(cache.recall(&immutable, source), None);
        let moved = third.after(&emitted(ITEMS, load), "drop(x)", &variables(&[]));
        assert_eq!(cache.recall(&moved, source), None);
        let item = third.after(&emitted("fn f() { g() }", load), "", &variables(&["x"]));
        assert_eq!(cache.recall(&item, source), None);
        cache.forget();
        assert_eq!(cache.recall(&third, source), None);
    }

    #[test]
    fn what_reads_the_outside_is_not_remembered() {
        let mut cache = CompileCache::default();
        let shape = NamespaceShape::default().after(&emitted(ITEMS, ""), "0", &variables(&[]));
        let mut remember = |emitted: &GeneratedCrate| {
            let cell = CompiledCell::default();
            cache.remember((&shape, &shape), "s", emitted, cell);
            cache.recall(&shape, "s").is_some()
        };
        let outside = GeneratedCrate {
            reads_outside: true,
            ..emitted(ITEMS, "")
        };
        assert!(!remember(&outside));
        let path = GeneratedCrate {
            manifest: "[dependencies]\nmine = { path = \"/mine\" }\n".to_owned(),
            ..emitted(ITEMS, "")
        };
        assert!(!remember(&path));
        assert!(remember(&emitted(ITEMS, "")));
    }
}
