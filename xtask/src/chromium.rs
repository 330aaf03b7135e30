//! Debian's Chromium, for the tests that look at JupyterLab as a person does.

use crate::{exec, lab};
use std::env;
use std::path::{Path, PathBuf};

/// What is installed: the browser, and a font with the glyphs of a progress bar.
const PACKAGES: [&str; 2] = ["chromium", "fonts-dejavu-core"];

/// The browser, installed first where that is ours to do.
///
/// Says what to type, and why it did not, where it is not.
pub fn find_or_install() -> Option<PathBuf> {
    if let Some(found) = find() {
        return Some(found);
    }
    if !(lab::is_root() && is_throw_away()) {
        eprintln!(
            "No Chromium: the tests that need one are skipped. To run them: sudo apt-get install {}",
            PACKAGES.join(" ")
        );
        return None;
    }
    let apt = || {
        let mut apt = exec::command("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive")
            .arg("--quiet=2");
        apt
    };
    let installed = exec::run(apt().arg("update")).and_then(|()| {
        exec::run(
            apt()
                .args(["install", "--yes", "--no-install-recommends"])
                .args(PACKAGES),
        )
    });
    if let Err(error) = installed {
        eprintln!(
            "Chromium could not be installed, the tests that need one are skipped: {error:#}"
        );
    }
    find()
}

fn find() -> Option<PathBuf> {
    exec::which(&["chromium", "chromium-browser", "google-chrome"])
}

/// Whether installing packages here changes nobody's own machine: continuous integration sets
/// `CI`, and a container is made to be thrown away.
fn is_throw_away() -> bool {
    env::var_os("CI").is_some()
        || ["/.dockerenv", "/run/.containerenv"]
            .iter()
            .any(|marker| Path::new(marker).exists())
}
