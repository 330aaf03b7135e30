//! Completion of lines, and suggestions for misspelled names.

use std::ops::Range;

/// The completions at the end of a command's line.
#[derive(Clone, Debug, PartialEq)]
pub enum ExpectedCompletions {
    /// One of these texts, replacing these bytes of the line.
    Words(Range<usize>, Vec<String>),
    /// A path, typed up to these bytes of the line.
    Path(Range<usize>, PathKind),
    /// Rust, completed by the analysis process.
    Rust,
}

/// The kind of paths to offer.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum PathKind {
    /// Folders only.
    Folder,
    /// Folders and files.
    Any,
    /// Folders, and crates by name.
    Crate,
}

/// Returns the candidate most similar to a name, if any is similar enough.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(name.len()) / 2)
        // The beginning of a name is more likely than another word with as many letters wrong.
        .min_by_key(|(distance, candidate)| (!candidate.starts_with(name), *distance))
        .map(|(_, candidate)| candidate)
}
