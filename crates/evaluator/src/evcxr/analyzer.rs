//! The initial crate of the analysis process, which every evaluator has as well.

use super::{library, prelude};
use crate::folder_check::cache_folder;
use phalanx_analysis::process::CellAnalyzer;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// Loads the dependencies that cells can use before the first `:dep`.
pub(crate) fn analyzer() -> CellAnalyzer {
    let folder = std::env::temp_dir();
    let first = folder.join("first");
    if let Err(error) = write(&first) {
        eprintln!("analysis: {error}");
    }
    CellAnalyzer::start(folder.join("cells"), &first)
}

/// Writes a crate with the dependencies of a new namespace, in the versions of the library's lock
/// file.
fn write(folder: &Path) -> io::Result<()> {
    let cache = cache_folder().map_err(io::Error::other)?;
    let library: PathBuf = library::write(&cache)?;
    let mut manifest = "[package]\nname = \"ctx\"\n\n[dependencies]\n".to_owned();
    for (name, config) in prelude::dependencies(&library) {
        manifest += &format!("{name} = {config}\n");
    }
    fs::create_dir_all(folder)?;
    fs::write(folder.join("Cargo.toml"), manifest)?;
    let lock = library.with_file_name(library::LOCK_FILE);
    fs::copy(lock, folder.join(library::LOCK_FILE)).map(drop)
}
