//! LLVM's linker, called by rustc directly.
//!
//! rustc calls the C compiler, which calls `collect2`, which calls the linker, with start files and
//! search paths that a cell does not need: it refers only to libraries that a runtime has loaded.
//! So rustc uses the linker shipped with its toolchain, and the system's libraries by name. If that
//! is not sufficient (a dependency needs a native library), rustc's default is used.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The path of a toolchain's linker, relative to its folder for the target.
const PROGRAM: &str = "bin/rust-lld";

/// The folder of the system's libraries under the names that a linker searches for; relative to the
/// crate's folder.
const SYSTEM: &str = "target/phalanx-system";

/// The system's libraries that Rust's standard library is linked to.
const SHARED: [(&str, &str); 2] = [("libm.so", "libm.so.6"), ("libgcc_s.so", "libgcc_s.so.1")];

/// The C library; the function that locates thread-local variables is in the dynamic loader.
const C_LIBRARY: (&str, &str) = ("libc.so", "libc.so.6");
const LOADER: &str = "ld-linux";

/// Libraries that are now part of glibc.
const EMPTY: [&str; 4] = ["libdl.a", "libpthread.a", "librt.a", "libutil.a"];
const EMPTY_ARCHIVE: &str = "!<arch>\n";

/// For the default way of linking: binds functions to those of their own cell, so that only statics
/// are shared.
pub(super) const OWN_FUNCTIONS: &str = "-Clink-arg=-Wl,-Bsymbolic-functions";

/// A linker for rustc to call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Linker {
    program: PathBuf,
    system: PathBuf,
}

impl Linker {
    /// Finds the linker of a toolchain, given its rustc and the target; `None` if it has none, or
    /// the system's libraries differ from those of this process.
    pub(super) fn find(rustc: &str, arguments: &[String]) -> Option<Self> {
        let target = arguments.iter().position(|word| word == "--target")?;
        let target = arguments.get(target + 1)?;
        let toolchain = Path::new(rustc).parent()?.parent()?;
        let program = toolchain.join("lib/rustlib").join(target).join(PROGRAM);
        let maps = fs::read_to_string("/proc/self/maps").ok()?;
        let system = std::env::current_dir().ok()?.join(SYSTEM);
        let linker = Self { program, system };
        (linker.program.is_file() && linker.name_libraries(&maps).is_ok()).then_some(linker)
    }

    /// Creates the folder of the system's libraries.
    fn name_libraries(&self, maps: &str) -> io::Result<()> {
        let library = mapped(maps, |name| name == C_LIBRARY.1);
        let library = library.ok_or_else(|| io::Error::other("no C library"))?;
        let folder = library.parent().unwrap_or(library);
        fs::create_dir_all(&self.system)?;
        let loader = mapped(maps, |name| name.starts_with(LOADER));
        let script_path = self.system.join(C_LIBRARY.0);
        let _ = fs::remove_file(&script_path);
        // Created as a new file, so as not to write through a link to the library itself.
        fs::File::create_new(script_path)?.write_all(script(library, loader).as_bytes())?;
        for (name, library) in SHARED {
            let library = folder.join(library).canonicalize()?;
            let link = self.system.join(name);
            if fs::read_link(&link).ok().as_ref() != Some(&library) {
                let _ = fs::remove_file(&link);
                std::os::unix::fs::symlink(library, link)?;
            }
        }
        for name in EMPTY {
            fs::write(self.system.join(name), EMPTY_ARCHIVE)?;
        }
        Ok(())
    }

    /// Returns the rustc arguments that select the linker.
    pub(super) fn arguments(&self) -> [String; 6] {
        [
            format!("-Clinker={}", self.program.display()),
            "-Clinker-flavor=ld.lld".to_owned(),
            // For small inputs such as cells, starting threads takes longer than they save.
            "-Clink-arg=--threads=1".to_owned(),
            "-Clink-arg=-zdefs".to_owned(),
            "-Clink-arg=-Bsymbolic-functions".to_owned(),
            format!("-Lnative={}", self.system.display()),
        ]
    }

    /// Returns true if rustc's messages show that linking has failed.
    pub(super) fn is_link_error(messages: &[u8]) -> bool {
        let messages = String::from_utf8_lossy(messages);
        messages.contains("linking with `") || messages.contains("could not exec the linker")
    }
}

/// Returns the path of a library in a process's mappings.
fn mapped(maps: &str, is_named: impl Fn(&str) -> bool) -> Option<&Path> {
    let paths = maps
        .lines()
        .filter_map(|line| Some(&line[line.find('/')?..]));
    let mut found = paths.map(Path::new).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(&is_named)
    });
    found.next()
}

/// Returns a linker script that replaces the C library, as in a system's development files.
fn script(library: &Path, loader: Option<&Path>) -> String {
    let library = library.display();
    let loader = loader.map(|loader| format!(" AS_NEEDED(\"{}\")", loader.display()));
    format!("INPUT(\"{library}\"{})\n", loader.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn c_library_is_found_in_mappings() {
        let maps = "7f0 r-xp 00000000 fe:00 1 /usr/lib/x/libm.so.6\n7f1 rw-p 0 00:00 0\n\
                    7f2 r-xp 00000000 fe:00 2                 /usr/lib/x/libc.so.6\n";
        let library = Path::new("/usr/lib/x/libc.so.6");
        assert_eq!(mapped(maps, |name| name == C_LIBRARY.1), Some(library));
        assert_eq!(mapped(maps, |name| name.starts_with(LOADER)), None);
        assert_eq!(script(library, None), "INPUT(\"/usr/lib/x/libc.so.6\")\n");
    }

    #[test]
    fn script_refers_to_the_loader() {
        let maps = fs::read_to_string("/proc/self/maps").unwrap();
        let loader = mapped(&maps, |name| name.starts_with(LOADER)).unwrap();
        let text = script(Path::new("/lib/libc.so.6"), Some(loader));
        assert!(text.contains("AS_NEEDED(\"/"), "{text}");
    }

    #[test]
    fn toolchain_without_a_linker_is_detected() {
        let arguments = ["--target".to_owned(), "x".to_owned()];
        assert_eq!(Linker::find("/nowhere/bin/rustc", &arguments), None);
    }
}
