//! The dependency graph of packages, from `cargo metadata`.

use cargo_metadata::Metadata;
use std::collections::{BTreeMap, BTreeSet};

/// The dependencies of each package, by cargo's identifiers.
#[derive(Debug, Default)]
pub(crate) struct Graph(BTreeMap<String, Vec<String>>);

impl Graph {
    /// Parses the output of `cargo metadata`; returns an empty graph if it is malformed.
    pub(crate) fn read(output: &[u8]) -> Self {
        let metadata: Option<Metadata> = serde_json::from_slice(output).ok();
        let nodes = metadata.and_then(|metadata| metadata.resolve);
        let nodes = nodes.map(|resolve| resolve.nodes).unwrap_or_default();
        let nodes = nodes.into_iter().map(|node| {
            let dependencies = node.dependencies.into_iter();
            (node.id.repr, dependencies.map(|id| id.repr).collect())
        });
        Self(nodes.collect())
    }

    /// Returns these packages and all that depend on them, directly or indirectly.
    pub(crate) fn dependents<'a>(&'a self, packages: BTreeSet<&'a str>) -> BTreeSet<&'a str> {
        let mut dependents = packages;
        loop {
            let depends = |dependencies: &[String]| {
                let mut dependencies = dependencies.iter();
                dependencies.any(|package| dependents.contains(package.as_str()))
            };
            let next: Vec<&str> = self
                .0
                .iter()
                .filter(|(package, dependencies)| {
                    !dependents.contains(package.as_str()) && depends(dependencies)
                })
                .map(|(package, _)| package.as_str())
                .collect();
            if next.is_empty() {
                return dependents;
            }
            dependents.extend(next);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn indirect_dependents_are_included() {
        let package = |name: &str, dependencies: &[&str]| {
            let dependencies = dependencies.iter().map(|name| (*name).to_owned());
            (name.to_owned(), dependencies.collect())
        };
        let graph = Graph(BTreeMap::from([
            package("axum", &["hyper", "serde"]),
            package("hyper", &["tokio"]),
            package("serde", &[]),
            package("tokio", &[]),
        ]));
        let dependents = graph.dependents(BTreeSet::from(["tokio"]));
        assert_eq!(dependents, BTreeSet::from(["axum", "hyper", "tokio"]));
        assert!(
            Graph::read(b"no json")
                .dependents(BTreeSet::new())
                .is_empty()
        );
    }
}
