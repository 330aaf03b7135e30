//! The end of a half-typed line: what may follow it, and the name that was meant.

use std::ops::Range;

/// The completions at the end of a command's line.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectedCompletions {
    /// One of these texts, for these bytes of the line.
    Words(Range<usize>, Vec<String>),
    /// A path, of which this much is typed.
    Path(Range<usize>, PathKind),
    /// Rust, which evaluators know.
    Rust,
}

/// The kind of paths to complete.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PathKind {
    /// Folders alone.
    Folder,
    /// Folders and files.
    Any,
    /// Folders, and crates by their name.
    Crate,
}

/// The candidate most like a name, if any is like it at all.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 2)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}
