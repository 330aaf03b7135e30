//! Small cells are compiled in one piece, and nothing of that is kept for the next.
//!
//! What rustc keeps pays for a notebook with items: they are most of each cell's crate. A cell
//! without has little that could be used again, and keeping it is a tenth of its time. Calls of the
//! `phalanx` library are much code in few words, the same in many cells.

/// Most characters, but for white space, of a crate that is small.
const LIMIT: usize = 2000;

const KEPT: &str = "incremental=";
const PARTS: &str = "codegen-units=";
const ONE_PART: &str = "codegen-units=1";

/// How a crate speaks of the library, and how it does where evcxr and the prelude made it.
const LIBRARY: &str = "phalanx::";
const INTERNAL: &str = "phalanx::__";

pub(super) fn is_small(source: &str) -> bool {
    let mut mentions = source.match_indices(LIBRARY);
    let calls_library = mentions.any(|(at, _)| !source[at..].starts_with(INTERNAL));
    let is_short = source
        .chars()
        .filter(|c| !c.is_whitespace())
        .take(LIMIT)
        .count()
        < LIMIT;
    is_short && !calls_library
}

/// The arguments for rustc with which a small crate is compiled.
pub(super) fn arguments(arguments: &[String]) -> Vec<String> {
    let mut small = Vec::with_capacity(arguments.len());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match rest.as_slice().first() {
            Some(value) if argument == "-C" && value.starts_with(KEPT) => {
                rest.next();
            }
            _ if argument.starts_with(PARTS) => small.push(ONE_PART.to_owned()),
            _ => small.push(argument.clone()),
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_crate_is_compiled_in_one_piece() {
        let call =
            "-C opt-level=2 -C codegen-units=16 -C incremental=/x -C strip=debuginfo -C rpath";
        let call: Vec<String> = call.split(' ').map(str::to_owned).collect();
        assert_eq!(
            arguments(&call).join(" "),
            "-C opt-level=2 -C codegen-units=1 -C strip=debuginfo -C rpath"
        );
    }

    #[test]
    fn white_space_makes_no_crate_large() {
        assert!(is_small(&format!("fn größe() {{{}}}", "\n ".repeat(LIMIT))));
        assert!(!is_small(&"ä".repeat(LIMIT)));
    }

    #[test]
    fn calls_of_the_library_make_it_large() {
        assert!(is_small("use phalanx::__cell::eprintln;\nfn größe() {}"));
        assert!(!is_small(
            "use phalanx::__cell::eprintln;\nuse phalanx::prelude::*;"
        ));
    }
}
