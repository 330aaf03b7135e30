//! Small cells are compiled in one piece, and nothing of that is kept for the next.
//!
//! What rustc keeps pays for a notebook with items: they are most of each cell's crate. A cell
//! without has little that could be used again, and keeping it is a tenth of its time. Several pieces
//! are not ready sooner, and take more of the processor: what calls of the `phalanx` library come
//! down to is in the library.

/// Most characters, but for white space, of a crate that is small.
const LIMIT: usize = 2000;

const KEPT: &str = "incremental=";
const PIECES: &str = "codegen-units=";
const ONE_PIECE: &str = "codegen-units=1";

/// Returns true if a crate is small.
pub(super) fn is_small(source: &str) -> bool {
    let characters = source.chars().filter(|c| !c.is_whitespace());
    characters.take(LIMIT).count() < LIMIT
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
            _ if argument.starts_with(PIECES) => small.push(ONE_PIECE.to_owned()),
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
            arguments(&call).join(" "),
            "-C opt-level=2 -C codegen-units=1 -C strip=debuginfo -C rpath"
        );
    }

    #[test]
    fn white_space_makes_no_crate_large() {
        let spacious = format!("fn größe() {{{}}}", "\n ".repeat(LIMIT));
        assert!(is_small(&spacious));
        assert!(!is_small(&"ä".repeat(LIMIT)));
    }
}
