//! Small cells are compiled in a single codegen unit, and not incrementally.
//!
//! Incremental compilation pays off for a notebook with items, which are most of each cell's crate.
//! A cell without items has little to reuse, and storing it takes a tenth of its time. Several
//! units do not finish earlier, and take more CPU time: the code behind calls of the `phalanx`
//! library is in the library.

/// The maximum number of characters, without white space, of a small crate.
const LIMIT: usize = 2000;

const INCREMENTAL: &str = "incremental=";
const CODEGEN_UNITS: &str = "codegen-units=";
const ONE_UNIT: &str = "codegen-units=1";

/// Returns true if a crate is small.
pub(super) fn is_small(source: &str) -> bool {
    let characters = source.chars().filter(|c| !c.is_whitespace());
    characters.take(LIMIT).count() < LIMIT
}

/// Returns the rustc arguments for compiling a small crate.
pub(super) fn arguments(arguments: &[String]) -> Vec<String> {
    let mut small = Vec::with_capacity(arguments.len());
    let mut rest = arguments.iter();
    while let Some(argument) = rest.next() {
        match rest.as_slice().first() {
            Some(value) if argument == "-C" && value.starts_with(INCREMENTAL) => {
                rest.next();
            }
            _ if argument.starts_with(CODEGEN_UNITS) => small.push(ONE_UNIT.to_owned()),
            _ => small.push(argument.clone()),
        }
    }
    small
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_crates_have_one_unit_and_no_incremental_state() {
        let call =
            "-C opt-level=2 -C codegen-units=16 -C incremental=/x -C strip=debuginfo -C rpath";
        let call: Vec<String> = call.split(' ').map(str::to_owned).collect();
        assert_eq!(
            arguments(&call).join(" "),
            "-C opt-level=2 -C codegen-units=1 -C strip=debuginfo -C rpath"
        );
    }

    #[test]
    fn white_space_does_not_count() {
        let mostly_blank = format!("fn größe() {{{}}}", "\n ".repeat(LIMIT));
        assert!(is_small(&mostly_blank));
        assert!(!is_small(&"ä".repeat(LIMIT)));
    }
}
