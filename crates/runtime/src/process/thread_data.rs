//! The statics in which dependencies of cells record their threads, as they were before the first
//! cell.
//!
//! A snapshot has none of the threads that were waiting when it was taken, and a pool whose statics
//! refer to them would block forever on its next use. When a snapshot takes over, the statics of
//! the crates that start threads, and of those that depend on them, are therefore reset to their
//! state after loading: a pool, or an async runtime, is then recreated by its first use. The memory
//! they pointed to is leaked.

use object::{Object, ObjectSection, ObjectSymbol, ReadCache, SymbolSection};
use phalanx_protocol::runtime::{KNOWING_THREADS_SECTION, SHARED_LIBRARY_PREFIX};
use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};

/// The sections that contain statics; the loader's tables are in others.
const SECTIONS: [&str; 2] = [".data", ".bss"];

/// The saved statics of all libraries with dependencies.
#[derive(Default)]
pub(super) struct ThreadData {
    libraries: HashSet<PathBuf>,
    statics: Vec<Static>,
}

/// A static, and its bytes before the first cell.
struct Static {
    address: usize,
    bytes: Box<[u8]>,
}

impl ThreadData {
    /// Returns true for the name of a library with dependencies.
    pub(super) fn is_of_dependencies(library: &Path) -> bool {
        let name = library.file_name().and_then(|name| name.to_str());
        let name = name.and_then(|name| name.strip_prefix("lib"));
        name.is_some_and(|name| name.starts_with(SHARED_LIBRARY_PREFIX))
    }

    /// Saves the statics of a library that has just been loaded at an address.
    pub(super) fn save(&mut self, library: &Path, base: usize) {
        if !self.libraries.insert(library.to_owned()) {
            return;
        }
        // Statics that cannot be read are not restored: a pool may then block forever.
        for (address, size) in ranges(library).unwrap_or_default() {
            let address = base + address;
            // SAFETY: according to the file, the library, which is never unloaded, has data of this
            // size there; it has not started any thread yet.
            let bytes = unsafe { std::slice::from_raw_parts(address as *const u8, size) };
            let bytes = bytes.into();
            self.statics.push(Static { address, bytes });
        }
    }

    /// Restores all statics. There are no other threads.
    pub(super) fn restore(&self) {
        for saved in &self.statics {
            let (from, size) = (saved.bytes.as_ptr(), saved.bytes.len());
            // SAFETY: as above; the data is writable, and no code that uses it is running.
            unsafe { std::ptr::copy_nonoverlapping(from, saved.address as *mut u8, size) };
        }
    }
}

/// The addresses and sizes of the statics of the crates that a library names.
fn ranges(library: &Path) -> Option<Vec<(usize, usize)>> {
    let cache = ReadCache::new(File::open(library).ok()?);
    let file = object::File::parse(&cache).ok()?;
    let section = file.section_by_name(KNOWING_THREADS_SECTION)?;
    let names = String::from_utf8_lossy(section.data().ok()?).into_owned();
    let crates: HashSet<&str> = names.split_whitespace().collect();
    let sections = file.sections();
    let holding = sections.filter(|section| {
        let name = section.name().unwrap_or_default();
        SECTIONS.contains(&name)
    });
    let holding: HashSet<_> = holding.map(|section| section.index()).collect();
    let statics = file.symbols().filter(|symbol| match symbol.section() {
        SymbolSection::Section(section) => {
            let name = symbol.name().unwrap_or_default();
            holding.contains(&section) && symbol.size() > 0 && is_of(name, &crates)
        }
        _ => false,
    });
    let range = |symbol: object::Symbol<'_, '_, _>| {
        let (address, size) = (symbol.address(), symbol.size());
        Some((usize::try_from(address).ok()?, usize::try_from(size).ok()?))
    };
    statics.map(range).collect()
}

/// Returns true for the symbol of an item defined by one of the crates.
fn is_of(symbol: &str, crates: &HashSet<&str>) -> bool {
    let name = format!("{:#}", rustc_demangle::demangle(symbol));
    let name = name.trim_start_matches(['<', '&']);
    let Some((first, _)) = name.split_once("::") else {
        return false;
    };
    crates.contains(first) || first.starts_with(SHARED_LIBRARY_PREFIX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    use std::process::Command;

    #[test]
    fn the_statics_of_the_named_crates_are_restored_and_no_others() {
        let folder = tempfile::tempdir().unwrap();
        let source = format!(
            "pub mod pool {{ pub static SIZE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(7); }}\n\
             static OTHER: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(7);\n\
             #[unsafe(link_section = \"{KNOWING_THREADS_SECTION}\")] #[used] pub static NAMES: [u8; 4] = *b\"pool\";\n\
             #[unsafe(no_mangle)] pub extern \"C\" fn count(own: bool) -> u32 {{\n\
             let counted = if own {{ &pool::SIZE }} else {{ &OTHER }};\n\
             counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst) }}"
        );
        let compile = |name: &str| {
            let path = folder.path().join("lib.rs");
            std::fs::write(&path, &source).unwrap();
            let library = folder.path().join(format!("lib{name}.so"));
            let rustc = Command::new("rustc")
                .args([
                    "--edition=2024",
                    "--crate-type=dylib",
                    "-Cprefer-dynamic",
                    "-Crpath",
                ])
                .args(["--crate-name", name, "-o"])
                .args([&library, &path])
                .status();
            assert!(rustc.unwrap().success());
            library
        };
        // The crate itself is the named one, or another.
        for (name, restored) in [("pool", 7), ("other", 9)] {
            let path = compile(name);
            // SAFETY: the library was created by this test, and runs no code when it is loaded.
            let library = unsafe { Library::open(Some(&path), RTLD_NOW | RTLD_LOCAL) }.unwrap();
            let base = super::super::call::base(&library).unwrap();
            let mut data = ThreadData::default();
            data.save(&path, base);
            // SAFETY: the function has this type.
            let count = unsafe { library.get::<extern "C" fn(bool) -> u32>(b"count") }.unwrap();
            for own in [true, false, true, false] {
                count(own);
            }
            data.restore();
            assert_eq!(count(true), restored, "{name}");
            assert_eq!(count(false), restored, "{name}");
        }
        assert!(ThreadData::is_of_dependencies(Path::new(
            "/x/libphalanx_set_12ab.so"
        )));
        assert!(!ThreadData::is_of_dependencies(Path::new(
            "/x/libcode_1.so"
        )));
    }
}
