//! The crates whose types are not what they were when a namespace's variables were made.

use super::crates::LibraryFile;
use super::session::{Externs, Session};
use super::shadowing::Shadowed;
use crate::evcxr::generated_crate::build_folder;
use phalanx_protocol::parallel::Package;
use std::collections::BTreeSet;

/// The crates that were built anew since some point.
#[derive(Clone, Debug, Default)]
pub(crate) struct RebuiltCrates {
    /// The names of the crates.
    pub(crate) crates: BTreeSet<String>,
    /// The names of the others.
    pub(crate) unchanged: BTreeSet<String>,
    /// The names that their glob imports shadow.
    pub(crate) shadowed: Shadowed,
}

/// Returns the packages that cells depend on now.
pub(crate) fn packages() -> Vec<Package> {
    let folder = build_folder().unwrap_or_default();
    Session::read(&folder).packages().to_vec()
}

/// Makes some crates other ones than those there are.
pub(crate) fn replace(externs: &mut Externs, crates: &[String]) {
    for name in crates {
        externs.insert(name.clone(), LibraryFile::of_another());
    }
}

/// Returns the crates that cells depend on now, and what is different from what they were: crates of
/// the same name, each built from something else.
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
