//! The crates that start threads. A snapshot of the runtime has none of them, so that the statics
//! of such crates are wrong once a snapshot has taken over.

use super::crates::BuiltCrate;
use object::read::archive::ArchiveFile;
use object::{Object, ObjectSymbol};
use std::path::Path;

/// The C library's function with which all threads are created.
const C_FUNCTION: &str = "pthread_create";

/// The beginning and the end of the standard library's function with which Rust's threads are
/// created. It is not generic: every crate that starts a thread contains a call of it.
const FUNCTION: (&str, &str) = ("<std::sys::", "::Thread>::new");

/// Returns the packages whose own code starts threads.
pub(super) fn starting_threads(crates: &[&BuiltCrate]) -> Vec<String> {
    let starting = crates.iter().filter(|built| {
        // A library that cannot be read is assumed to start threads: its statics are then reset.
        starts_threads(&built.file.path).unwrap_or(true)
    });
    starting.map(|built| built.package.clone()).collect()
}

fn starts_threads(library: &Path) -> Option<bool> {
    let bytes = std::fs::read(library).ok()?;
    let archive = ArchiveFile::parse(&*bytes).ok()?;
    for member in archive.members() {
        let member = member.ok()?;
        // The archive also contains the crate's metadata.
        let Ok(file) = object::File::parse(member.data(&*bytes).ok()?) else {
            continue;
        };
        let mut undefined = file.symbols().filter(ObjectSymbol::is_undefined);
        if undefined.any(|symbol| symbol.name().is_ok_and(is_start)) {
            return Some(true);
        }
    }
    Some(false)
}

fn is_start(symbol: &str) -> bool {
    let (begin, end) = FUNCTION;
    let is_candidate = symbol.contains("thread") && symbol.contains("std");
    symbol == C_FUNCTION
        || is_candidate && {
            let name = format!("{:#}", rustc_demangle::demangle(symbol));
            name.starts_with(begin) && name.contains("::thread::") && name.ends_with(end)
        }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn crates_that_start_threads_are_detected() {
        let folder = tempfile::tempdir().unwrap();
        let library = |name: &str, source: &str| {
            let path = folder.path().join(format!("{name}.rs"));
            std::fs::write(&path, source).unwrap();
            let rustc = Command::new("rustc")
                .args([
                    "--edition=2024",
                    "--crate-type=rlib",
                    "-Copt-level=2",
                    "--out-dir",
                ])
                .arg(folder.path())
                .arg(path)
                .status();
            assert!(rustc.unwrap().success());
            folder.path().join(format!("lib{name}.rlib"))
        };
        let starts = library("starts", "pub fn f() { std::thread::spawn(|| ()); }");
        assert_eq!(starts_threads(&starts), Some(true));
        let waits =
            "pub fn f() -> u64 { std::thread::yield_now(); std::thread::panicking() as u64 }";
        assert_eq!(starts_threads(&library("waits", waits)), Some(false));
        assert_eq!(starts_threads(Path::new("/nowhere")), None);
    }
}
