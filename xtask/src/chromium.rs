//! Debian's Chromium, for tests that use JupyterLab like a person.

use crate::{debian, exec};
use std::path::PathBuf;

/// The browser, and a font with the glyphs of a progress bar.
const PACKAGES: [&str; 2] = ["chromium", "fonts-dejavu-core"];

/// Returns the browser, after installing it on a disposable machine; otherwise prints the reason
/// and the command that installs it.
pub fn find_or_install() -> Option<PathBuf> {
    if let Some(program) = find() {
        return Some(program);
    }
    if let Err(error) = debian::install(&PACKAGES) {
        eprintln!("No Chromium, so the tests that need one are skipped: {error:#}");
    }
    find()
}

fn find() -> Option<PathBuf> {
    exec::which(&["chromium", "chromium-browser", "google-chrome"])
}
