//! Replaces evcxr's variable store in cells by that of the `phalanx` library, so that it is not
//! compiled again.

use super::blank::blanks;
use super::generated_crate::{ENTRY, RUNTIME};
use std::io;
use std::path::Path;

/// The replacement for evcxr's module.
const SHARED: &str = "pub use phalanx::__store::*;";

/// Replaces the definition in a crate's source, if it has one. Other text keeps its byte offset, by
/// which evcxr attributes errors.
pub(super) fn share(source: &Path) -> io::Result<()> {
    // rustc reports a file that cannot be read.
    let text = std::fs::read_to_string(source).unwrap_or_default();
    match shared(&text) {
        Some(text) => std::fs::write(source, text),
        None => Ok(()),
    }
}

fn shared(text: &str) -> Option<String> {
    let entry = text.rfind(ENTRY)?;
    let begin = text[..entry].rfind(RUNTIME)? + RUNTIME.len();
    let end = begin + text[begin..entry].rfind("\n}\n")?;
    let module = text.get(begin..end)?;
    let (first, rest) = module.split_at_checked(SHARED.len())?;
    let rest = blanks(rest);
    let in_place = !first.contains('\n');
    in_place.then(|| format!("{}{SHARED}{rest}{}", &text[..begin], &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_module_is_replaced() {
        let before = "fn größe() {}\nmod evcxr_internal_runtime {\n// Copyright 2020 The Evcxr Authors.\n// And more.\nstruct Ä {\n}\n}\n\
                      #[unsafe(no_mangle)]\npub extern \"C\" fn run_user_code_1(\n}\n";
        let after = shared(before).unwrap();
        assert_eq!(after.len(), before.len());
        assert_eq!(after.lines().count(), before.lines().count());
        let entry = before.rfind("#[unsafe").unwrap();
        assert_eq!(after[entry..], before[entry..]);
        assert!(
            after.contains("runtime {\npub use phalanx::__store::*; "),
            "{after}"
        );
        assert!(!after.contains('Ä'));
        assert_eq!(
            shared("fn f() {}\npub extern \"C\" fn run_user_code_1("),
            None
        );
    }
}
