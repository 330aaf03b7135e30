//! Small cells are compiled in few pieces, and nothing of that is kept for the next.
//!
//! What rustc keeps pays for a notebook with items: they are most of each cell's crate. A cell
//! without has little that could be used again, and keeping it is a tenth of its time. Calls of the
//! `phalanx` library are much code in few words, which several pieces have ready sooner.

/// Most characters, but for white space, of a crate that is small.
const LIMIT: usize = 2000;

const KEPT: &str = "incremental=";
const PIECES: &str = "codegen-units=";

/// How a crate speaks of the library, and how it does where evcxr and the prelude made it.
const LIBRARY: &str = "phalanx::";
const INTERNAL: &str = "phalanx::__";

/// In how many pieces a crate is compiled, if it is small.
pub(super) fn pieces(source: &str) -> Option<u32> {
    let characters = source.chars().filter(|c| !c.is_whitespace());
    let is_small = characters.take(LIMIT).count() < LIMIT;
    let mut mentions = source.match_indices(LIBRARY);
    let calls_library = mentions.any(|(at, _)| !source[at..].starts_with(INTERNAL));
    is_small.then_some(if calls_library { 4 } else { 1 })
}

/// The arguments for rustc with which a small crate is compiled.
pub(super) fn arguments(arguments: &[String], pieces: u32) -> Vec<String> {
    let mut small = Vec::with_capacity(arguments.len());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match rest.as_slice().first() {
            Some(value) if argument == "-C" && value.starts_with(KEPT) => {
                rest.next();
            }
            _ if argument.starts_with(PIECES) => small.push(format!("{PIECES}{pieces}")),
            _ => small.push(argument.clone()),
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_small_crate_nothing_is_kept() {
        let call =
            "-C opt-level=2 -C codegen-units=16 -C incremental=/x -C strip=debuginfo -C rpath";
        let call: Vec<String> = call.split(' ').map(str::to_owned).collect();
        assert_eq!(
            arguments(&call, 1).join(" "),
            "-C opt-level=2 -C codegen-units=1 -C strip=debuginfo -C rpath"
        );
    }

    #[test]
    fn white_space_makes_no_crate_large() {
        let spacious = format!("fn größe() {{{}}}", "\n ".repeat(LIMIT));
        assert_eq!(pieces(&spacious), Some(1));
        assert_eq!(pieces(&"ä".repeat(LIMIT)), None);
    }

    #[test]
    fn calls_of_the_library_are_more_than_they_look() {
        let prelude = "use phalanx::__cell::eprintln;\n";
        assert_eq!(pieces(&format!("{prelude}fn größe() {{}}")), Some(1));
        let calling = format!("{prelude}use phalanx::prelude::*;");
        assert_eq!(pieces(&calling), Some(4));
    }
}
