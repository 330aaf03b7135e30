//! The names of functions by address, for all libraries loaded at the moment: cells are loaded one
//! after the other, but the symbols of `backtrace` are those loaded at its first use.

use object::{Object, ObjectSegment, ObjectSymbol, SymbolKind};
use std::collections::HashMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// The files mapped into this process, and the functions of those that were looked up.
#[derive(Debug)]
pub(super) struct Symbols {
    mappings: Vec<Mapping>,
    files: HashMap<PathBuf, Functions>,
}

/// A mapped range of a file.
#[derive(Debug, PartialEq)]
struct Mapping {
    memory: Range<u64>,
    /// The offset in the file.
    offset: u64,
    path: PathBuf,
}

/// The functions of a file.
#[derive(Debug, Default)]
struct Functions {
    /// The file ranges of loaded segments, each with its address.
    segments: Vec<(Range<u64>, u64)>,
    /// Sorted by address.
    functions: Vec<(Range<u64>, String)>,
}

impl Symbols {
    /// Reads the current mappings.
    pub(super) fn read() -> Self {
        let maps = fs::read_to_string("/proc/self/maps").unwrap_or_default();
        Self {
            mappings: maps.lines().filter_map(mapping).collect(),
            files: HashMap::new(),
        }
    }

    /// Returns the name of the function at an address.
    pub(super) fn at(&mut self, address: u64) -> Option<&str> {
        let mut mappings = self.mappings.iter();
        let mapping = mappings.find(|mapping| mapping.memory.contains(&address))?;
        let offset = address - mapping.memory.start + mapping.offset;
        let functions = self.files.entry(mapping.path.clone());
        let functions =
            functions.or_insert_with(|| functions_of(&mapping.path).unwrap_or_default());
        functions.at(offset)
    }
}

impl Functions {
    fn at(&self, offset: u64) -> Option<&str> {
        let mut segments = self.segments.iter();
        let (range, start) = segments.find(|(range, _)| range.contains(&offset))?;
        let address = offset - range.start + start;
        let behind = self
            .functions
            .partition_point(|(range, _)| range.start <= address);
        let (range, name) = self.functions.get(behind.checked_sub(1)?)?;
        range.contains(&address).then_some(name)
    }
}

/// Parses a line of `maps`: `7f00-7f10 r-xp 00001000 08:01 42   /usr/lib/libc.so.6`.
fn mapping(line: &str) -> Option<Mapping> {
    let number = |text: &str| u64::from_str_radix(text, 16).ok();
    let mut words = line.splitn(6, ' ');
    let (start, end) = words.next()?.split_once('-')?;
    let rights = words.next()?;
    let offset = words.next()?;
    let path = words.nth(2)?.trim_start();
    let is_code = rights.contains('x') && path.starts_with('/');
    Some(Mapping {
        memory: number(start)?..number(end)?,
        offset: number(offset)?,
        path: is_code.then(|| PathBuf::from(path))?,
    })
}

fn functions_of(path: &Path) -> Option<Functions> {
    let data = fs::read(path).ok()?;
    let file = object::File::parse(&*data).ok()?;
    let segments = file.segments().map(|segment| {
        let (start, size) = segment.file_range();
        (start..start + size, segment.address())
    });
    let symbols = file.symbols().chain(file.dynamic_symbols());
    let functions = symbols
        .filter(|symbol| symbol.kind() == SymbolKind::Text && symbol.size() > 0)
        .filter_map(|symbol| {
            let name = rustc_demangle::demangle(symbol.name().ok()?);
            let start = symbol.address();
            Some((start..start + symbol.size(), format!("{name:#}")))
        });
    let mut functions = Functions {
        segments: segments.collect(),
        functions: functions.collect(),
    };
    functions.functions.sort_by_key(|(range, _)| range.start);
    Some(functions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn executable_mappings_of_files_are_found() {
        let line = "7f10-7f30 r-xp 00001000 08:01 42                 /tmp/a b/größe.so";
        let expected = Mapping {
            memory: 0x7f10..0x7f30,
            offset: 0x1000,
            path: "/tmp/a b/größe.so".into(),
        };
        assert_eq!(mapping(line), Some(expected));
        for other in [
            "7f10-7f30 rw-p 00001000 08:01 42                 /tmp/größe.so",
            "7f10-7f30 r-xp 00000000 00:00 0                  [vdso]",
            "7f10-7f30 r-xp 00000000 00:00 0",
            "",
        ] {
            assert_eq!(mapping(other), None, "{other}");
        }
    }

    #[test]
    fn a_function_of_this_program_has_its_name() {
        let mut symbols = Symbols::read();
        let address = executable_mappings_of_files_are_found as fn() as usize as u64;
        let name = symbols.at(address + 1).unwrap_or_default();
        assert!(
            name.ends_with("executable_mappings_of_files_are_found"),
            "{name}"
        );
        assert_eq!(symbols.at(1), None);
    }
}
