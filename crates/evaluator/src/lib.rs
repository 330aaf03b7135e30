//! Compilation of cells: the only crate that depends on evcxr.
//!
//! | module | content |
//! |---|---|
//! | `handle` | the kernel's end of an evaluator process |
//! | `process` | the evaluator process, which handles requests |
//! | `evaluate` | the interface that evaluators implement, and their choice |
//! | `kernel_link`, `interrupt` | the process's socket to the kernel; interrupts of a compilation |
//! | `environment` | the environment variables between handle and process |
//! | `analysis` | the analysis process, which the kernel starts in addition to its evaluators |
//! | `cache` | the parts of the cache folder, and its size limit |
//! | `built_units` | copies of what cargo has built, from one build folder to another |
//! | `folder` | build folders, kept between sessions |
//! | `folder_check` | checks of the folders that compilation needs |
//! | `type_names` | conversion of names from `std::any::type_name` into source |
//! | `evcxr` | the real evaluator: contexts, prelude, build folders, the relay |
//! | `echo` | its twin for tests: a few keywords, compiled in no time |

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used))]

mod analysis;
mod built_units;
mod cache;
#[cfg(feature = "echo")]
mod echo;
mod environment;
mod evaluate;
#[cfg(feature = "evcxr")]
mod evcxr;
mod folder;
mod folder_check;
mod handle;
mod interrupt;
mod kernel_link;
mod process;
mod type_names;

pub use analysis::{analysis_config, analysis_main};
pub use cache::{CacheEntry, cache_entries, cache_limit, clean_cache};
pub use evaluate::Backend;
pub use folder_check::{FolderError, FolderUse, cache_folder, check_folders};
pub use handle::{Evaluator, EvaluatorConfig, EvaluatorMessage, StartError};
pub use process::process_main;
pub use type_names::type_sources;

/// The beginning of an evaluator's progress line that is the reason for the crates that cargo builds
/// next.
pub const BUILD_REASON: &str = "build reason: ";

/// The first statement of every `main` that may become an evaluator: the same program is started
/// again as cargo and rustup (by their names), as evcxr's runtime (our relay), and as evcxr's wrapper
/// of rustc. In these processes it does not return.
pub fn hook() {
    #[cfg(feature = "evcxr")]
    evcxr::hook();
}

/// Writes the library that cells depend on to a folder, as the packages `phalanx`, `segment` and
/// `protocol`.
///
/// # Errors
/// Returns an error if the folder cannot be written to.
#[cfg(feature = "evcxr")]
pub fn export_library(folder: &std::path::Path) -> std::io::Result<()> {
    evcxr::export_library(folder)
}

/// Returns the macro calls of a cell that make items, such as `thread_local!`: for each, its range in
/// bytes of the cell, the key by which a later call replaces it, and the names in its input that it
/// may define. `items` is the source of earlier cells.
#[cfg(feature = "evcxr")]
pub fn item_macros(
    source: &str,
    items: &str,
) -> Vec<(std::ops::Range<usize>, String, Vec<String>)> {
    let calls = evcxr::item_macros(source, items).into_iter();
    let calls = calls.map(|call| (call.range, call.key, call.defines));
    calls.collect()
}
