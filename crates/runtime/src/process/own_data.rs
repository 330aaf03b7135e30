//! Detection of a library's own writable data, which a second run of a cell must find in its
//! initial state.

use object::{Object, ObjectSection, ObjectSymbol, SymbolSection};
use phalanx_protocol::runtime::STATIC_PREFIX;
use std::path::Path;

/// Data that the compiler and the C runtime add to every library, and that no run changes with a
/// visible effect; and shared statics, which must keep their values.
const HARMLESS: [&str; 4] = ["DW.ref.", "completed.", "__dso_handle", STATIC_PREFIX];

/// The prefixes of the names of writable sections.
const WRITABLE: [&str; 4] = [".data", ".bss", ".tdata", ".tbss"];

/// The part of the writable data that only the loader writes.
const READ_ONLY_AFTER_RELOCATION: &str = ".data.rel.ro";

/// Returns true unless all writable data in the library is known to be harmless.
pub(super) fn has_own_data(library: &Path) -> bool {
    let known = std::fs::read(library).ok().and_then(|bytes| find(&bytes));
    known.unwrap_or(true)
}

/// `None` if unknown: the file has no symbols, or is not a library of this format.
fn find(bytes: &[u8]) -> Option<bool> {
    let file = object::File::parse(bytes).ok()?;
    // Without symbols, the content of sections is unknown.
    file.symbol_table()?;
    for section in file.sections() {
        let name = section.name().ok()?;
        let is_data = WRITABLE.iter().any(|kind| name.starts_with(kind));
        if !is_data || name.starts_with(READ_ONLY_AFTER_RELOCATION) {
            continue;
        }
        let mut named = 0;
        for symbol in file.symbols() {
            if symbol.section() != SymbolSection::Section(section.index()) {
                continue;
            }
            let name = symbol.name().ok()?;
            let is_harmless = HARMLESS.iter().any(|harmless| name.starts_with(harmless));
            if symbol.size() > 0 && !is_harmless {
                return Some(true);
            }
            // Symbols without a size are labels, except for the handle, which is a pointer.
            named += match name {
                "__dso_handle" => size_of::<usize>() as u64,
                _ => symbol.size(),
            };
        }
        if section.size() > named {
            return Some(true);
        }
    }
    Some(false)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    /// Compiles a library, and returns true if it has data of its own.
    fn compiled(source: &str) -> bool {
        let folder = tempfile::tempdir().unwrap();
        let (file, library) = (folder.path().join("a.rs"), folder.path().join("liba.so"));
        std::fs::write(&file, source).unwrap();
        let output = Command::new("rustc")
            .args([
                "--crate-type=dylib",
                "-Cprefer-dynamic",
                "-Copt-level=2",
                "-o",
            ])
            .arg(&library)
            .arg(&file)
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
        has_own_data(&library)
    }

    #[test]
    fn mutable_statics_are_data_and_constants_are_not() {
        let run = "#[unsafe(no_mangle)] pub extern \"C\" fn run(n: usize) -> usize";
        let plain =
            format!("{run} {{ println!(\"{{n}}\"); TEXT.len() + n }} static TEXT: &str = \"t\";");
        assert!(!compiled(&plain));
        let counter =
            "static N: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(SEED);";
        for seed in ["0", "7"] {
            let counting = format!(
                "{run} {{ N.fetch_add(n, std::sync::atomic::Ordering::Relaxed) }} {}",
                counter.replace("SEED", seed)
            );
            assert!(compiled(&counting), "{seed}");
        }
        let local = format!(
            "{run} {{ CELL.replace(n) }} thread_local! {{ static CELL: std::cell::Cell<usize> = const {{ std::cell::Cell::new(3) }}; }}"
        );
        assert!(compiled(&local));
        assert!(has_own_data(Path::new("/nowhere")));
    }
}
