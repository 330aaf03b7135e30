//! The crates whose types have changed since a namespace's variables were created.

use super::crates::LibraryFile;
use super::session::{Externs, Session};
use super::shadowing::Shadowed;
use crate::evcxr::generated_crate::build_folder;
use phalanx_protocol::parallel::Package;
use std::collections::BTreeSet;

/// The crates that were rebuilt since some point.
#[derive(Clone, Debug, Default)]
pub(crate) struct RebuiltCrates {
    /// The names of the rebuilt crates.
    pub(crate) crates: BTreeSet<String>,
    /// The names of the other crates.
    pub(crate) unchanged: BTreeSet<String>,
    /// The names that glob imports of the rebuilt crates shadow.
    pub(crate) shadowed: Shadowed,
}

/// Returns the packages that cells currently depend on.
pub(crate) fn packages() -> Vec<Package> {
    let folder = build_folder().unwrap_or_default();
    Session::read(&folder).packages().to_vec()
}

/// Replaces the libraries of some crates by a placeholder that differs from every library.
pub(crate) fn replace(externs: &mut Externs, crates: &[String]) {
    for name in crates {
        externs.insert(name.clone(), LibraryFile::placeholder());
    }
}

/// Returns the crates that cells currently depend on, and the changes: crates of the same name
/// whose libraries differ.
pub(crate) fn changes(before: &Externs) -> (Externs, RebuiltCrates) {
    let folder = build_folder().unwrap_or_default();
    let session = Session::read(&folder);
    let changed = session.externs().iter().filter(|(name, library)| {
        let known = before.get(*name);
        known.is_some_and(|known| known != *library)
    });
    let crates: BTreeSet<String> = changed.map(|(name, _)| name.clone()).collect();
    let others = session
        .externs()
        .keys()
        .filter(|name| !crates.contains(*name));
    let changes = RebuiltCrates {
        unchanged: others.cloned().collect(),
        crates,
        shadowed: session.shadowed().clone(),
    };
    (session.externs().clone(), changes)
}
