//! The dependencies with which cells for engines are compiled. Pure.

use phalanx_protocol::id::DependenciesId;
use phalanx_protocol::parallel::{Dependencies, Package};
use std::sync::Arc;

/// The dependencies of the evaluator for engines.
#[derive(Debug)]
pub(super) struct DependencySet {
    /// The arguments of `:dep`, in the order in which they were added.
    specs: Vec<String>,
    /// The description that engines are sent, as of the last compiled cell.
    described: Arc<(DependenciesId, Dependencies)>,
    /// The dependencies of other clients that cannot be built here.
    refused: Vec<String>,
}

impl DependencySet {
    /// Creates an empty set.
    pub(super) fn new() -> Self {
        Self {
            specs: Vec::new(),
            described: with_id(Dependencies::default()),
            refused: Vec::new(),
        }
    }

    /// Returns the arguments of `:dep`, in order.
    pub(super) fn specs(&self) -> &[String] {
        &self.specs
    }

    /// Returns true if a dependency has been added.
    pub(super) fn contains(&self, spec: &str) -> bool {
        self.specs.iter().any(|known| known == spec)
    }

    /// Adds a dependency, unless it has been added.
    pub(super) fn add(&mut self, spec: String) {
        if !self.contains(&spec) {
            self.specs.push(spec);
        }
    }

    /// Removes and returns all dependencies.
    pub(super) fn take(&mut self) -> Vec<String> {
        std::mem::take(&mut self.specs)
    }

    /// Tries a dependency again that could not be built for another client's cells.
    pub(super) fn allow(&mut self, spec: &str) {
        self.refused.retain(|refused| refused != spec);
    }

    /// Returns those of another client's dependencies that are to be added here.
    pub(super) fn missing(&self, specs: &[String]) -> Vec<String> {
        let is_missing = |spec: &&String| !self.contains(spec) && !self.refused.contains(spec);
        specs.iter().filter(is_missing).cloned().collect()
    }

    /// Refuses those of `new` whose crates the error `why` names, or all of them if it names none;
    /// returns the refused ones.
    pub(super) fn refuse(&mut self, new: &[String], why: &str) -> Vec<String> {
        let is_named = |spec: &&String| why.contains(name_of(spec));
        let named: Vec<String> = new.iter().filter(is_named).cloned().collect();
        let wrong = match named.is_empty() {
            true => new.to_vec(),
            false => named,
        };
        self.specs.retain(|spec| !wrong.contains(spec));
        self.refused.extend(wrong.iter().cloned());
        wrong
    }

    /// Returns the dependencies with which the last cell was compiled.
    pub(super) fn described(&self) -> &Arc<(DependenciesId, Dependencies)> {
        &self.described
    }

    /// Records the dependencies with which a cell was compiled; `packages` are given if they have
    /// changed. A crate that is among them already changes the arguments of `:dep` alone.
    pub(super) fn describe(&mut self, packages: Option<Vec<Package>>) {
        let (_, described) = &*self.described;
        if packages.is_none() && described.specs == self.specs {
            return;
        }
        self.described = with_id(Dependencies {
            specs: self.specs.clone(),
            packages: packages.unwrap_or_else(|| described.packages.clone()),
        });
    }

    /// Returns true if adding the missing dependencies here yields the engines' libraries: the first
    /// dependencies are the same, or all of their packages are here already.
    pub(super) fn is_in_order(&self, theirs: &Dependencies) -> bool {
        let usable = |spec: &&String| !self.refused.contains(spec);
        let specs: Vec<&String> = theirs.specs.iter().filter(usable).collect();
        let ours = &self.specs;
        let same = ours
            .iter()
            .zip(&specs)
            .all(|(ours, theirs)| ours == *theirs);
        let (_, described) = &*self.described;
        let is_built = || described.specs == *ours && theirs.differences(described).is_empty();
        specs.is_empty() || (same && (ours.len() <= specs.len() || is_built()))
    }
}

fn with_id(dependencies: Dependencies) -> Arc<(DependenciesId, Dependencies)> {
    Arc::new((dependencies.id(), dependencies))
}

/// Returns the name of the crate that an argument of `:dep` adds; the whole of a path.
fn name_of(spec: &str) -> &str {
    spec.split_once('=').map_or(spec, |(name, _)| name).trim()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn specs(specs: &[&str]) -> Vec<String> {
        specs.iter().copied().map(str::to_owned).collect()
    }

    fn set(ours: &[&str]) -> DependencySet {
        let mut set = DependencySet::new();
        specs(ours).into_iter().for_each(|spec| set.add(spec));
        set
    }

    fn theirs(theirs: &[&str]) -> Dependencies {
        Dependencies {
            specs: specs(theirs),
            packages: Vec::new(),
        }
    }

    #[test]
    fn the_order_is_that_of_the_engines_if_ours_is_the_start_of_theirs() {
        for (ours, engines, expected) in [
            (&[][..], &["a", "b"][..], true),
            (&["a"], &["a", "b"], true),
            (&["b"], &["a", "b"], false),
            (&["b"], &[], true),
            (&["a", "b"], &["a"], false),
            // Added twice, it is one.
            (&["a", "a"], &["a", "b"], true),
        ] {
            let set = set(ours);
            assert_eq!(set.is_in_order(&theirs(engines)), expected, "{ours:?}");
        }
        let mut built = set(&["a", "b"]);
        built.describe(None);
        assert!(built.is_in_order(&theirs(&["a"])));
    }

    #[test]
    fn an_error_blames_the_dependencies_that_it_names() {
        let mut built = set(&["rand", "bytes = \"1\"", "serde"]);
        let new = specs(&["bytes = \"1\"", "serde"]);
        let refused = built.refuse(&new, "no crate `bytes`");
        assert_eq!(refused, ["bytes = \"1\""]);
        assert_eq!(built.specs(), ["rand", "serde"]);
        assert_eq!(built.missing(&new), Vec::<String>::new());
        assert_eq!(built.refuse(&specs(&["serde"]), "no luck"), ["serde"]);
        built.allow("serde");
        assert_eq!(built.missing(&new), ["serde"]);
    }
}
