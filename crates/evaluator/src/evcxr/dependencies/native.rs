//! Native code (C, C++ and assembly) in crates.
//!
//! rustc makes a shared library export only items that Rust code can name. But code of such a crate
//! that is compiled in a cell, because it is generic or inlined, calls native functions by their
//! symbols; so the library exports these as well, including hidden ones: hidden symbols are meant
//! to be visible within the final program, and cells are parts of it.

use super::crates::BuiltCrate;
use object::Endianness;
use object::elf::{SHN_UNDEF, STB_GLOBAL, STB_WEAK, STV_DEFAULT};
use object::read::archive::ArchiveFile;
use object::read::elf::{ElfFile64, SectionHeader, Sym};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;

/// The size of a symbol table entry, and the offset of its visibility byte, in bytes.
const SYMBOL: usize = 24;
const OTHER: u64 = 5;

/// The suffix of the members of a Rust library that were compiled by rustc.
const OWN_OBJECT: &[u8] = b".rcgu.o";
const METADATA: &[u8] = b"lib.rmeta";

/// Returns the symbols of the native code in crates, after making hidden ones visible.
///
/// # Errors
/// Returns an error if a crate's library cannot be written.
pub(super) fn symbols(crates: &[&BuiltCrate]) -> io::Result<BTreeSet<String>> {
    let mut symbols = BTreeSet::new();
    for built in crates {
        let library = &built.file.path;
        // rustc reports a library that cannot be read.
        let Some(native) = fs::read(library).ok().and_then(|bytes| read(&bytes)) else {
            continue;
        };
        if !native.hidden.is_empty() {
            reveal(library, &native.hidden)?;
        }
        symbols.extend(native.symbols);
    }
    Ok(symbols)
}

/// The native code in a crate's library.
#[derive(Default)]
struct Native {
    symbols: BTreeSet<String>,
    /// The offsets of the visibility bytes of hidden symbols.
    hidden: Vec<u64>,
}

fn read(bytes: &[u8]) -> Option<Native> {
    let mut native = Native::default();
    let archive = ArchiveFile::parse(bytes).ok()?;
    for member in archive.members().flatten() {
        let name = member.name();
        if name.ends_with(OWN_OBJECT) || name == METADATA {
            continue;
        }
        let Ok(data) = member.data(bytes) else {
            continue;
        };
        let Ok(file) = ElfFile64::<Endianness>::parse(data) else {
            continue;
        };
        let table = file.elf_symbol_table();
        let section = file.elf_section_table().section(table.section()).ok();
        let table_offset = section.map(|section| section.sh_offset(file.endian()));
        for (index, symbol) in table.enumerate() {
            let is_shared = matches!(symbol.st_bind(), STB_GLOBAL | STB_WEAK);
            let is_defined = symbol.st_shndx(file.endian()) != SHN_UNDEF;
            let name = symbol.name(file.endian(), table.strings());
            let (true, Ok(name), Some(table_offset)) =
                (is_shared && is_defined, name, table_offset)
            else {
                continue;
            };
            native
                .symbols
                .extend(str::from_utf8(name).map(str::to_owned));
            if symbol.st_visibility() != STV_DEFAULT {
                let entry = member.file_range().0 + table_offset + (index.0 * SYMBOL) as u64;
                native.hidden.push(entry + OTHER);
            }
        }
    }
    Some(native)
}

/// Clears the visibility bytes of hidden symbols in the library itself, which neither cargo nor
/// rustc detects.
fn reveal(library: &Path, hidden: &[u64]) -> io::Result<()> {
    let modified = fs::metadata(library)?.modified()?;
    let file = fs::File::options().write(true).open(library)?;
    for offset in hidden {
        file.write_all_at(&[STV_DEFAULT.0], *offset)?;
    }
    file.set_modified(modified)
}

/// Returns the linker version script that exports symbols.
pub(super) fn version_script(symbols: &BTreeSet<String>) -> String {
    let names = symbols.iter().map(|symbol| format!("    {symbol:?};\n"));
    format!("{{\n  global:\n{}}};\n", names.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::super::crates::LibraryFile;
    use super::*;
    use std::process::Command;

    #[test]
    fn only_symbols_of_native_code_are_exported() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let make = |program: &str, arguments: &[&str]| {
            let mut command = Command::new(program);
            let status = command.current_dir(folder.path()).args(arguments).status();
            assert!(status.unwrap().success(), "{program}");
        };
        fs::write(
            path("a.rs"),
            "#[unsafe(no_mangle)] pub extern \"C\" fn rusts() {}",
        )
        .unwrap();
        make("rustc", &["--edition=2024", "--crate-type=rlib", "a.rs"]);
        let built = |name: &str| BuiltCrate {
            name: name.to_owned(),
            package: name.to_owned(),
            features: Vec::new(),
            file: LibraryFile::read(&path("liba.rlib")).unwrap(),
        };
        assert_eq!(symbols(&[&built("a")]).unwrap(), BTreeSet::new());
        let source = "int natives(void) { return 1; } static int own(void) { return 2; }\n\
                      __attribute__((visibility(\"hidden\"))) int hidden(void) { return own(); }";
        fs::write(path("n.c"), source).unwrap();
        make("cc", &["-c", "-fPIC", "n.c"]);
        make("ar", &["r", "liba.rlib", "n.o"]);
        let library = built("a");
        let hidden = |bytes: &[u8]| super::read(bytes).unwrap().hidden.len();
        assert_eq!(hidden(&fs::read(path("liba.rlib")).unwrap()), 1);
        let exported = symbols(&[&library]).unwrap();
        assert_eq!(
            exported,
            BTreeSet::from(["hidden".to_owned(), "natives".to_owned()])
        );
        assert_eq!(hidden(&fs::read(path("liba.rlib")).unwrap()), 0);
        assert!(library.file.is_current(), "it counts as the same");
        assert!(
            version_script(&exported).contains("  global:\n    \"hidden\";\n    \"natives\";\n};")
        );
    }
}
