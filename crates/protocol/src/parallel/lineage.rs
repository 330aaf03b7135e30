//! The lineage of an engine's namespace: the cells that led to its state, for clients that did not
//! send them.
//!
//! Clients compile cells from states that they know. A client that encounters another state
//! requests the engine's lineage, compiles the unknown cells of it without running them, and
//! continues from there.

use super::Content;
use super::registration::content;
use crate::apply::PushedName;
use crate::id::{DependenciesId, StateId};
use crate::runtime::Outcome;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Requests an engine's [`Lineage`].
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LineageRequest {}

/// The reply to [`LineageRequest`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Lineage {
    /// The state of the engine's namespace.
    pub state: StateId,
    /// The cells that led to it, in order.
    pub records: Vec<StateRecord>,
    /// The dependencies that the cells were compiled with.
    pub dependencies: BTreeMap<DependenciesId, Dependencies>,
    /// Values that functions find by name, but that are not variables yet.
    pub pushed: Vec<PushedName>,
}

/// A cell that led from one state to another.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StateRecord {
    /// The state after the cell.
    pub state: StateId,
    /// The state it was compiled from.
    pub base: StateId,
    /// The source of the cell.
    pub source: String,
    /// The execution count that its client gave it.
    pub cell: usize,
    /// The types of the variables that it declares without type annotations: name and type.
    #[serde(default)]
    pub types: Vec<(String, String)>,
    /// The pushed value that it bound to a variable.
    #[serde(default)]
    pub binds: Option<String>,
    /// Its outcome. [`Outcome::VariablesLost`] means that it completed after being compiled without
    /// those variables.
    pub outcome: Outcome,
    /// The output of `rustc --version` of its compiler.
    pub abi: String,
    /// The id of the dependencies it was compiled with.
    pub dependencies: DependenciesId,
}

/// The packages that cells depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependencies {
    /// The arguments of `:dep`, in the order in which they were added.
    pub specs: Vec<String>,
    /// Every package that was built for them.
    pub packages: Vec<Package>,
}

/// A built package.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// The name of its library crate.
    pub name: String,
    /// Its version.
    pub version: String,
    /// A hash of everything that determines its types: cargo's own hash, and the content of the
    /// library if the source can change without a new version.
    pub hash: String,
}

impl Content for Lineage {
    const MSG_TYPE: &'static str = "lineage_reply";
}

content! {
    LineageRequest = "lineage_request";
}

impl Dependencies {
    /// The id of these dependencies, equal for all clients.
    pub fn id(&self) -> DependenciesId {
        use sha2::Digest;
        let mut hasher = sha2::Sha256::new();
        let packages = self.packages.iter();
        let packages = packages.flat_map(
            |Package {
                 name,
                 version,
                 hash,
             }| [name, version, hash],
        );
        for part in self.specs.iter().chain(packages) {
            hasher.update(part.len().to_le_bytes());
            hasher.update(part);
        }
        let digest = hasher.finalize();
        DependenciesId::new(data_encoding::HEXLOWER.encode(&digest[..8]))
    }

    /// Returns the packages of `self` that differ in `other`: pairs of the package and the other's
    /// version of it.
    pub fn differences<'a>(&'a self, other: &'a Self) -> Vec<(&'a Package, Option<&'a Package>)> {
        let by_name = |package: &'a Package| (package.name.as_str(), package);
        let mut others: BTreeMap<&str, Vec<&Package>> = BTreeMap::new();
        for (name, package) in other.packages.iter().map(by_name) {
            others.entry(name).or_default().push(package);
        }
        let differs = |package: &'a Package| {
            let named = others.get(package.name.as_str());
            match named {
                Some(named) if named.contains(&package) => None,
                Some(named) => Some((package, named.first().copied())),
                None => Some((package, None)),
            }
        };
        self.packages.iter().filter_map(differs).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, version: &str, hash: &str) -> Package {
        Package {
            name: name.to_owned(),
            version: version.to_owned(),
            hash: hash.to_owned(),
        }
    }

    #[test]
    fn dependencies_are_distinguished() {
        let serde = package("serde", "1.0.1", "a");
        let ours = Dependencies {
            specs: vec!["serde".to_owned()],
            packages: vec![serde.clone(), package("größe", "0.1.0", "b")],
        };
        let mut theirs = ours.clone();
        assert_eq!(ours.id(), theirs.id());
        assert_eq!(ours.differences(&theirs), []);
        theirs.packages.push(package("more", "1.0.0", "c"));
        assert_ne!(ours.id(), theirs.id());
        assert_eq!(ours.differences(&theirs), []);
        theirs.packages[0] = package("serde", "1.0.2", "d");
        assert_eq!(
            ours.differences(&theirs),
            [(&serde, Some(&theirs.packages[0]))]
        );
        theirs.packages.remove(0);
        assert_eq!(ours.differences(&theirs), [(&serde, None)]);
    }
}
