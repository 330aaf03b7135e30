//! Backtraces of panics in cells, reduced to the user's functions.

use phalanx_protocol::cell_crate::replace_cell_crate;
use std::backtrace::Backtrace;

/// The crates whose functions are omitted.
const MACHINERY: [&str; 6] = [
    "__rustc",
    "std",
    "core",
    "alloc",
    "phalanx",
    "phalanx_runtime",
];

/// The prefix of the names of the shared libraries with dependencies.
const SHARED: &str = "phalanx_set_";

/// The prefix of the names of cells' entry functions.
const ENTRY: &str = "run_user_code_";

/// Returns the user's functions on the stack, the innermost first, if `RUST_BACKTRACE` is set to
/// something other than 0.
pub(crate) fn user_functions() -> Option<String> {
    std::env::var("RUST_BACKTRACE")
        .ok()
        .filter(|value| value != "0")?;
    let functions = functions(&Backtrace::force_capture().to_string());
    let mut text = String::from("stack backtrace of the notebook's functions:\n");
    for (at, function) in functions.iter().enumerate() {
        text += &format!("{at:4}: {function}\n");
    }
    (!functions.is_empty()).then_some(text)
}

/// Extracts the user's functions from the text of a backtrace.
fn functions(backtrace: &str) -> Vec<String> {
    let names = backtrace.lines().filter_map(|line| {
        let (number, name) = line.trim_start().split_once(": ")?;
        number.parse::<usize>().ok().map(|_| name.trim())
    });
    let names = names.take_while(|name| !name.contains(ENTRY));
    let users = names.filter(|name| {
        let path = name.trim_start_matches(['<', '&', '(', '[', '*']);
        let path = path.trim_start_matches("dyn ");
        let first = path.split("::").next().unwrap_or(path);
        // Excludes internal crates, and symbols that are not paths.
        let is_ours = MACHINERY.contains(&first) || first.starts_with(SHARED);
        path.contains("::") && !is_ours
    });
    users.map(|name| replace_cell_crate(name, "")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_functions_of_cells_are_listed() {
        let backtrace = "\
   0: std::backtrace_rs::backtrace::libunwind::trace
             at /rustc/x/library/std/src/backtrace.rs:1:2
   1: phalanx::backtrace::user_functions
   2: __rustc::rust_begin_unwind
   3: core::panicking::panic_fmt
   4: notebook::inner
             at ./src/lib.rs:3:5
   5: <alloc::boxed::Box<F,A> as core::ops::function::FnOnce<Args>>::call_once
   6: <notebook::Counter as core::iter::Iterator>::next
   7: rayon::iter::run
   8: phalanx_set_2d9b4cf6886d9b99::wait
   8: notebook::run_user_code_3::{{closure}}
   9: run_user_code_3
  10: notebook::never";
        assert_eq!(
            functions(backtrace),
            [
                "inner",
                "<Counter as core::iter::Iterator>::next",
                "rayon::iter::run"
            ]
        );
    }
}
