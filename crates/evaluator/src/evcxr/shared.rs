//! The `phalanx` library as a shared one, which cells refer to instead of having it linked into each.
//!
//! Linking is a third of a small cell's time, and most of that goes into this library; what comes
//! of it is a hundred times larger than the cell, for every engine to check and to load. So what
//! cargo has built is linked once more, into a shared library that holds nothing of its own. Cargo
//! itself is not asked for one: it names those of a package by the package alone, and one of
//! another set of features would take its place.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The crate that is built, and what of the library's file name becomes its own.
const CRATE: &str = "phalanx_shared";
const LIBRARY: &str = "libphalanx-";

/// What it consists of.
const SOURCE: &str = "extern crate phalanx;\n";

/// By which a cell asks to be linked to it; at the end of its source, where it moves nothing.
pub(super) const REFERENCE: &str = "extern crate phalanx_shared as _;\n";

/// Where it is made, below the crate's folder.
const WORK: &str = "target/phalanx-shared";

/// Asks the linker for one thread: for as little as a cell, starting others takes longer than they
/// save. Only LLVM's knows it, which is rustc's own on most machines.
const ONE_THREAD: &str = "-Clink-arg=-Wl,--threads=1";

/// There if the linker knows it; below the folder above.
const KNOWN: &str = "one-thread";

/// Options that make it, among those that make a cell; each with its value.
const TAKEN: [&str; 2] = ["-L", "--target"];
const TAKEN_FLAGS: [&str; 4] = [
    "opt-level=",
    "embed-bitcode=",
    "strip=",
    "debug-assertions=",
];

/// Makes the shared library that a call for a cell would use, unless it is there; where it is.
pub(super) fn make(program: &str, arguments: &[String]) -> Option<PathBuf> {
    let library = arguments
        .iter()
        .find_map(|word| word.strip_prefix("phalanx="))?;
    let library = Path::new(library);
    let version = library.file_stem()?.to_str()?.strip_prefix(LIBRARY)?;
    let shared = library.with_file_name(format!("lib{CRATE}-{version}.so"));
    if is_current(&shared, library) {
        return Some(shared);
    }
    // Without it the library is linked into every cell, which only takes longer.
    let known = Path::new(WORK).join(KNOWN);
    let made = match link(program, arguments, version, Some(ONE_THREAD)) {
        Ok(made) => fs::write(known, "").map(|()| made),
        Err(_) => {
            let _ = fs::remove_file(known);
            link(program, arguments, version, None)
        }
    };
    made.and_then(|made| fs::rename(made, &shared)).ok()?;
    Some(shared)
}

/// Whether it was made of the library there is.
fn is_current(shared: &Path, library: &Path) -> bool {
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    match (modified(shared), modified(library)) {
        (Ok(shared), Ok(library)) => shared >= library,
        _ => false,
    }
}

/// Has rustc link it; aside, since this process may be ended at any moment.
fn link(
    program: &str,
    arguments: &[String],
    version: &str,
    option: Option<&str>,
) -> io::Result<PathBuf> {
    let work = Path::new(WORK);
    fs::create_dir_all(work)?;
    let source = work.join("lib.rs");
    fs::write(&source, SOURCE)?;
    let mut command = Command::new(program);
    command
        .args([
            "--crate-name",
            CRATE,
            "--edition=2024",
            "--crate-type=dylib",
        ])
        .args(["--emit=link", "-Cprefer-dynamic", "--out-dir", WORK])
        .arg(format!("-Cextra-filename=-{version}"))
        .arg(format!("-Cmetadata={version}"))
        .args(option);
    for pair in arguments.windows(2) {
        let (option, value) = (pair[0].as_str(), pair[1].as_str());
        let is_flag = option == "-C" && TAKEN_FLAGS.iter().any(|flag| value.starts_with(flag));
        let is_library = option == "--extern" && value.starts_with("phalanx=");
        if is_flag || is_library || TAKEN.contains(&option) {
            command.args([option, value]);
        }
    }
    let output = command.arg(&source).stdin(Stdio::null()).output()?;
    if output.status.success() {
        Ok(work.join(format!("lib{CRATE}-{version}.so")))
    } else {
        Err(io::Error::other("rustc cannot link it"))
    }
}

/// The arguments of a cell that refers to the library.
pub(super) fn arguments(shared: &Path) -> [String; 2] {
    let shared = shared.display();
    ["--extern".to_owned(), format!("{CRATE}={shared}")]
}

/// The arguments with which rustc's own linker links such a cell.
pub(super) fn link_arguments() -> Option<&'static str> {
    Path::new(WORK).join(KNOWN).exists().then_some(ONE_THREAD)
}

/// A cell's source that refers to the library, until it is dropped.
pub(super) struct Referring<'a> {
    source: &'a Path,
    length: u64,
}

impl<'a> Referring<'a> {
    pub(super) fn begin(source: &'a Path) -> io::Result<Self> {
        let mut file = fs::OpenOptions::new().append(true).open(source)?;
        let length = file.metadata()?.len();
        file.write_all(REFERENCE.as_bytes())?;
        Ok(Self { source, length })
    }
}

impl Drop for Referring<'_> {
    fn drop(&mut self) {
        let file = fs::OpenOptions::new().write(true).open(self.source);
        // rustc says what is wrong with a source that still refers to it.
        let _ = file.and_then(|file| file.set_len(self.length));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_refers_to_it_only_meanwhile() {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("lib.rs");
        fs::write(&source, "fn größe() {}\n").unwrap();
        let referring = Referring::begin(&source).unwrap();
        let text = fs::read_to_string(&source).unwrap();
        assert_eq!(text, "fn größe() {}\nextern crate phalanx_shared as _;\n");
        drop(referring);
        assert_eq!(fs::read_to_string(&source).unwrap(), "fn größe() {}\n");
    }

    #[test]
    fn it_is_made_of_the_library_there_is() {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("libphalanx-12ab.rlib");
        let shared = folder.path().join("libphalanx_shared-12ab.so");
        let arguments = [
            "--extern".to_owned(),
            format!("phalanx={}", library.display()),
        ];
        fs::write(&library, "").unwrap();
        assert_eq!(make("/nonexistent", &arguments), None, "nobody makes it");
        fs::write(&shared, "").unwrap();
        assert_eq!(make("/nonexistent", &arguments), Some(shared));
        let later = std::time::SystemTime::now() + std::time::Duration::from_secs(9);
        let file = fs::File::options().write(true).open(&library).unwrap();
        file.set_modified(later).unwrap();
        assert_eq!(
            make("/nonexistent", &arguments),
            None,
            "the library is newer"
        );
        assert_eq!(make("/nonexistent", &[]), None);
    }
}
