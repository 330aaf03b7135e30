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
    /// Programs by name.
    Program,
}

/// Returns the candidate most similar to a name, if any is similar enough: a third of its letters
/// may be wrong, as for rustc, or half of them missing at its end.
pub fn nearest<'a>(name: &str, candidates: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    candidates
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| {
            let length = candidate.len().max(name.len()).max(3);
            let is_beginning = candidate.starts_with(name);
            *distance <= length / if is_beginning { 2 } else { 3 }
        })
        // The beginning of a name is more likely than another word with as many letters wrong.
        .min_by_key(|(distance, candidate)| (!candidate.starts_with(name), *distance))
        .map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_similar_names_are_suggested() {
        let commands = [":dep", ":log", ":quit", ":restart", ":timing", ":vars"];
        for (name, expected) in [
            (":dpe", Some(":dep")),
            (":var", Some(":vars")),
            (":res", Some(":restart")),
            (":bogus", None),
            (":nothing", None),
            (":x", None),
        ] {
            assert_eq!(nearest(name, commands.into_iter()), expected, "{name}");
        }
    }
}
