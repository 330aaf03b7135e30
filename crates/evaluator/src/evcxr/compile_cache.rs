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
const MAX_CELLS: usize = 1024;

/// The shape of a namespace: everything evcxr adds to a cell, except for the options, whose changes
/// clear the [`CompileCache`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct NamespaceShape {
    items: Arc<str>,
    manifest: Arc<str>,
    wrapper: WrapperCode,
    statics: Statics,
    /// The type, and whether it is mutable, if known.
    variables: BTreeMap<String, (String, Option<bool>)>,
}

impl NamespaceShape {
    /// Returns the shape after a cell that evcxr has committed; `variables` contains all variables,
    /// evcxr's own included.
    pub(super) fn after(
        &self,
        generated: &GeneratedCrate,
        source: &str,
        variables: &VariableTypes,
    ) -> Self {
        let Some(parts) = generated.parts() else {
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
            manifest: generated.manifest.as_str().into(),
            wrapper: parts.wrapper.unwrap_or(self.wrapper),
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
        self.wrapper.question_mark
    }

    /// Makes evcxr compile all cells as if they contained a `?`.
    #[must_use]
    pub(super) fn fallible(mut self) -> Self {
        self.wrapper.question_mark = true;
        self
    }

    /// Returns the statics.
    pub(super) fn statics(&self) -> &Statics {
        &self.statics
    }

    /// Returns the shape after a cell that evcxr has discarded.
    pub(super) fn after_failure(&self, variables: &VariableTypes) -> Self {
        let mut shape = self.clone();
        let still_exists = |name: &String| variables.iter().any(|(known, _)| known == name);
        shape.variables.retain(|name, _| still_exists(name));
        shape
    }

    /// Returns the declaration of a variable: `mut a: u8`.
    pub(super) fn declaration(&self, name: &str) -> Option<String> {
        let (ty, mutable) = self.variables.get(name)?;
        let mutable = if *mutable == Some(true) { "mut " } else { "" };
        Some(format!("{mutable}{name}: {ty}"))
    }

    /// Returns the source of the items.
    pub(super) fn items(&self) -> &str {
        &self.items
    }

    /// Returns the variables: name and type.
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

/// Returns the items without imports that evcxr appends again at every evaluation.
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
    /// Returns the compiled form of a cell, if it has been compiled before.
    pub(super) fn get(&self, shape: &NamespaceShape, source: &str) -> Option<CompiledCell> {
        self.cells.get(shape)?.get(source).cloned()
    }

    /// Adds a cell that completed.
    pub(super) fn insert(
        &mut self,
        (before, after): (&NamespaceShape, &NamespaceShape),
        source: &str,
        generated: &GeneratedCrate,
        cell: CompiledCell,
    ) {
        if before != after
            || !after.is_known()
            || generated.reads_outside
            || statics::defines_any(source, after.items())
            || !cell.dropped.names.is_empty()
            || super::cargo_wrapper::depends_on_paths(&generated.manifest)
        {
            return;
        }
        if self.count == MAX_CELLS {
            self.clear();
        }
        let cells = self.cells.entry(after.clone()).or_default();
        if cells.insert(source.to_owned(), cell).is_none() {
            self.count += 1;
        }
    }

    /// Clears the cache after a change that shapes do not reflect.
    pub(super) fn clear(&mut self) {
        self.cells.clear();
        self.count = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEMS: &str = "fn f() {}\nuse a::*;";

    fn generated(items: &str, loads: &str) -> GeneratedCrate {
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
    fn cell_with_a_variable_is_cached_from_its_second_run_on() {
        let mut cache = CompileCache::default();
        let source = "let mut x = 1;";
        let first = NamespaceShape::default().after(&generated(ITEMS, ""), "0", &variables(&[]));
        let compiled = generated(ITEMS, "");
        let second = first.after(&compiled, source, &variables(&["x"]));
        cache.insert(
            (&first, &second),
            source,
            &compiled,
            CompiledCell::default(),
        );
        assert_eq!(cache.get(&second, source), None);
        let load = "let mut x = evcxr_variable_store.take_variable::<u8>(stringify!(x));\n";
        let compiled = generated(&format!("{ITEMS}\nuse a::*;"), load);
        let third = second.after(&compiled, source, &variables(&["x"]));
        assert_eq!(second, third, "an import that is repeated changes nothing");
        cache.insert(
            (&second, &third),
            source,
            &compiled,
            CompiledCell::default(),
        );
        assert!(cache.get(&third, source).is_some());
        assert!(cache.get(&third, "let x = 1;").is_none());

        let immutable = third.after(&generated(ITEMS, load), "let x = 2;", &variables(&["x"]));
        assert_eq!(cache.get(&immutable, source), None);
        let moved = third.after(&generated(ITEMS, load), "drop(x)", &variables(&[]));
        assert_eq!(cache.get(&moved, source), None);
        let item = third.after(&generated("fn f() { g() }", load), "", &variables(&["x"]));
        assert_eq!(cache.get(&item, source), None);
        cache.clear();
        assert_eq!(cache.get(&third, source), None);
    }

    #[test]
    fn cells_that_depend_on_other_files_are_not_cached() {
        let mut cache = CompileCache::default();
        let shape = NamespaceShape::default().after(&generated(ITEMS, ""), "0", &variables(&[]));
        let mut is_cached = |generated: &GeneratedCrate| {
            let cell = CompiledCell::default();
            cache.insert((&shape, &shape), "s", generated, cell);
            cache.get(&shape, "s").is_some()
        };
        let outside = GeneratedCrate {
            reads_outside: true,
            ..generated(ITEMS, "")
        };
        assert!(!is_cached(&outside));
        let path = GeneratedCrate {
            manifest: "[dependencies]\nmine = { path = \"/mine\" }\n".to_owned(),
            ..generated(ITEMS, "")
        };
        assert!(!is_cached(&path));
        assert!(is_cached(&generated(ITEMS, "")));
    }
}
