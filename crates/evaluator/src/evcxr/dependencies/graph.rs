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

    /// Returns the packages in `of` and all that depend on them, directly or indirectly.
    pub(crate) fn dependents<'a>(&'a self, of: BTreeSet<&'a str>) -> BTreeSet<&'a str> {
        let mut found = of;
        loop {
            let depends = |dependencies: &[String]| {
                let mut dependencies = dependencies.iter();
                dependencies.any(|package| found.contains(package.as_str()))
            };
            let more: Vec<&str> = self
                .0
                .iter()
                .filter(|(package, dependencies)| {
                    !found.contains(package.as_str()) && depends(dependencies)
                })
                .map(|(package, _)| package.as_str())
                .collect();
            if more.is_empty() {
                return found;
            }
            found.extend(more);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependents_are_found_through_others() {
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
