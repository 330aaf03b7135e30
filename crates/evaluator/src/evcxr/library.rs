//! The `phalanx` library for cells: its source is embedded in this program, and written to a folder
//! named by a hash of the content.

use super::library_lock;
use crate::folder;
use include_dir::{Dir, include_dir};
use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::io;
use std::path::{Path, PathBuf};

static PHALANX: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../phalanx/src");
static SEGMENT: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../segment/src");
static PROTOCOL: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/../protocol/src");

/// The lock file of the packages: the versions with which the library was tested.
pub(super) const LOCK_FILE: &str = "Cargo.lock";

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Writes the library unless it exists; returns the folder of the `phalanx` package.
pub(super) fn write(cache: &Path) -> io::Result<PathBuf> {
    let packages = packages();
    let lock = library_lock::contents();
    let mut hasher = DefaultHasher::new();
    hasher.write(lock.as_bytes());
    for (_, sources, manifest) in &packages {
        hasher.write(manifest.as_bytes());
        hash(sources, &mut hasher);
    }
    let libraries = cache.join(folder::LIBRARY);
    let folder = libraries.join(format!("{VERSION}-{:016x}", hasher.finish()));
    let package = folder.join("phalanx");
    if folder.is_dir() {
        return Ok(package);
    }
    std::fs::create_dir_all(&libraries)?;
    // Written to a temporary folder and renamed, so that two kernels starting at once cannot see an
    // incomplete one.
    let temporary = tempfile::Builder::new()
        .prefix("new-")
        .tempdir_in(&libraries)?;
    for (name, sources, manifest) in &packages {
        let package = temporary.path().join(name);
        std::fs::create_dir_all(package.join("src"))?;
        sources.extract(package.join("src"))?;
        std::fs::write(package.join("Cargo.toml"), manifest)?;
    }
    std::fs::write(temporary.path().join(LOCK_FILE), lock)?;
    match std::fs::rename(temporary.path(), &folder) {
        Ok(()) => Ok(package),
        // Another process was faster.
        Err(_) if folder.is_dir() => Ok(package),
        Err(error) => Err(error),
    }
}

/// Writes the packages of the library to a folder of the caller's.
pub(crate) fn export(folder: &Path) -> io::Result<()> {
    for (name, sources, manifest) in packages() {
        let package = folder.join(name);
        std::fs::create_dir_all(package.join("src"))?;
        sources.extract(package.join("src"))?;
        std::fs::write(package.join("Cargo.toml"), manifest)?;
    }
    Ok(())
}

/// Returns the text of a file of the `phalanx` package, by its path in the package's sources.
pub(super) fn file(path: &str) -> Option<&'static str> {
    PHALANX.get_file(path)?.contents_utf8()
}

/// Returns the packages: the name of each folder, the sources and the manifest.
fn packages() -> [(&'static str, &'static Dir<'static>, String); 3] {
    [
        (
            "phalanx",
            &PHALANX,
            manifest("phalanx", PHALANX_DEPENDENCIES),
        ),
        (
            "segment",
            &SEGMENT,
            manifest("phalanx-segment", SEGMENT_DEPENDENCIES),
        ),
        (
            "protocol",
            &PROTOCOL,
            manifest("phalanx-protocol", PROTOCOL_DEPENDENCIES),
        ),
    ]
}

fn hash(folder: &Dir<'_>, hasher: &mut DefaultHasher) {
    for file in folder.files() {
        hasher.write(file.path().as_os_str().as_encoded_bytes());
        hasher.write(file.contents());
    }
    for folder in folder.dirs() {
        hash(folder, hasher);
    }
}

pub(super) const PHALANX_DEPENDENCIES: &str = r#"
phalanx-protocol = { path = "../protocol", default-features = false }
phalanx-segment = { path = "../segment" }
serde_json = { version = "1", features = ["alloc", "raw_value"] }
chrono = { version = "0.4", features = ["serde"] }
data-encoding = "2"
serde = { version = "1", features = ["alloc", "derive"] }

# Not used. What further dependencies ask of the crates that this library depends on is there from the start,
# so that the library is not built anew for them: that takes long, and costs the variables of its types.
#
# tokio, which cells that await get, asks for all of libc; what uses random numbers or the system, for less of it.
libc = "0.2"
memchr = "2"
num-traits = { version = "0.2", features = ["i128", "libm"] }
serde_core = { version = "1", features = ["alloc"] }

# Nothing is built for it. What the macros of further dependencies ask of syn is there too.
[build-dependencies]
syn = { version = "3", features = ["extra-traits", "fold", "full", "visit", "visit-mut"] }

[lints.rust]
unexpected_cfgs = { level = "warn", check-cfg = ["cfg(rust_analyzer)"] }
"#;

const SEGMENT_DEPENDENCIES: &str = r#"
phalanx-protocol = { path = "../protocol", default-features = false }
"#;

pub(super) const PROTOCOL_DEPENDENCIES: &str = r#"
serde = { version = "1", features = ["derive"] }
serde_json = "1"
chrono = { version = "0.4", default-features = false, features = ["std", "serde"] }
data-encoding = { version = "2", default-features = false, features = ["alloc"] }
thiserror = "2"

[features]
jupyter = []
payload = []
"#;

fn manifest(name: &str, dependencies: &str) -> String {
    format!(
        "[package]\nname = \"{name}\"\nversion = \"{VERSION}\"\nedition = \"2024\"\n\
         \n[workspace]\n\n[dependencies]{dependencies}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn library_is_written_once_and_completely() {
        let cache = tempfile::tempdir().unwrap();
        let package = write(cache.path()).unwrap();
        assert!(package.join("src/lib.rs").is_file());
        assert!(package.join("../protocol/src/host.rs").is_file());
        assert!(package.join("..").join(LOCK_FILE).is_file());
        assert_eq!(write(cache.path()).unwrap(), package);
        let count = std::fs::read_dir(cache.path().join("library"))
            .unwrap()
            .count();
        assert_eq!(count, 1, "nothing but the library is left");
    }
}
