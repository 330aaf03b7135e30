//! A shared library of dependencies, which cells refer to instead of linking them statically.
//!
//! Static linking takes a third of a small cell's time, and the result would be a hundred times
//! larger than the cell, for every engine to check and to load. So the crates built by cargo are
//! linked into a shared library. Cargo itself cannot be used for this: it names the shared library
//! of a package by the package alone, so that one with another set of features would replace it.

use super::crates::{BuiltCrate, LibraryFile};
use super::native;
use super::runtime::{DEPENDENCIES, Runtime};
use phalanx_protocol::runtime::{KNOWING_THREADS_SECTION, SHARED_LIBRARY_PREFIX};
use serde::{Deserialize, Serialize};
use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The folder in which libraries are built, relative to the crate's folder.
const WORK: &str = "target/phalanx-shared";

/// The messages of the last failed linker call; relative to the folder above.
const MESSAGES: &str = "messages.txt";

/// The maximum number of libraries in a folder.
const MAX_LIBRARIES: usize = 24;

/// The version script that exports native code; relative to the folder above. Only LLVM's linker
/// accepts one in addition to rustc's.
const NATIVE: &str = "native.map";

/// Makes the linker use one thread: for small inputs such as cells, starting further threads takes
/// longer than they save. Only supported by LLVM's linker, which is rustc's default on most
/// machines.
const ONE_THREAD: &str = "-Clink-arg=-Wl,--threads=1";

/// Exists if the linker supports the option; relative to the folder above.
const ONE_THREAD_MARKER: &str = "one-thread";

/// Options of a cell's call that are also used for the library, each with its value.
const COPIED_OPTIONS: [&str; 2] = ["-L", "--target"];
const COPIED_FLAGS: [&str; 4] = [
    "opt-level=",
    "embed-bitcode=",
    "strip=",
    "debug-assertions=",
];

/// Its dependencies are in the same folder, or loaded before: the standard library.
const SEARCH: &str = "-Clink-arg=-Wl,-rpath,$ORIGIN";

/// A shared library of crates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct SharedLibrary {
    /// The name of its crate.
    pub(super) name: String,
    pub(super) library: PathBuf,
    /// The libraries of the crates in it, without those of its parent.
    pub(super) crates: Vec<LibraryFile>,
    /// True if it, or its parent, contains a tokio runtime.
    pub(super) has_runtime: bool,
    /// The packages in it whose code starts threads.
    pub(super) starting_threads: Vec<String>,
}

/// The inputs of a shared library.
#[derive(Debug)]
pub(super) struct Ingredients<'a> {
    /// The library that contains the other crates.
    pub(super) parent: Option<&'a SharedLibrary>,
    /// The files of all other libraries of the session.
    pub(super) others: Vec<&'a Path>,
    pub(super) crates: Vec<&'a BuiltCrate>,
    /// The crates that cells can name, with their libraries.
    pub(super) externs: &'a [(String, PathBuf)],
    /// The runtime to include, if one of its crates has one.
    pub(super) runtime: Option<Runtime>,
    pub(super) starting_threads: Vec<String>,
    /// The names of the crates in it whose statics refer to threads.
    pub(super) knowing_threads: Vec<&'a str>,
}

impl SharedLibrary {
    /// Builds the library, unless it exists, with the compiler and the options of a call for a
    /// cell.
    ///
    /// # Errors
    /// Returns an error if rustc cannot link it: not every native library can be part of a shared
    /// one.
    pub(super) fn make(
        program: &str,
        arguments: &[String],
        folder: &Path,
        ingredients: Ingredients<'_>,
    ) -> io::Result<Self> {
        let version = ingredients.version();
        let name = format!("{SHARED_LIBRARY_PREFIX}{version:016x}");
        let library = folder.join(format!("lib{name}.so"));
        if !library.is_file() {
            let linked = link(program, arguments, &name, &ingredients)?;
            let _ = remove_oldest(folder, &ingredients.others);
            fs::rename(linked, &library)?;
        }
        let files = ingredients.crates.iter().map(|built| built.file.clone());
        let parent = ingredients.parent.is_some_and(|parent| parent.has_runtime);
        Ok(Self {
            name,
            library,
            crates: files.collect(),
            has_runtime: ingredients.runtime.is_some() || parent,
            starting_threads: ingredients.starting_threads,
        })
    }

    /// Returns true if the library and all its inputs are unchanged.
    pub(super) fn is_current(&self) -> bool {
        self.library.is_file() && self.crates.iter().all(LibraryFile::is_current)
    }

    /// Returns true if it contains a crate.
    pub(super) fn contains(&self, library: &LibraryFile) -> bool {
        self.crates.contains(library)
    }

    /// Returns the rustc arguments of a cell that refers to the library.
    pub(crate) fn arguments(&self) -> [String; 2] {
        let library = self.library.display();
        ["--extern".to_owned(), format!("{}={library}", self.name)]
    }

    /// Returns the item with which a cell refers to it; at the end of the source, so that no line
    /// is moved.
    pub(crate) fn reference(&self) -> String {
        format!("extern crate {} as {DEPENDENCIES};\n", self.name)
    }
}

/// Returns the arguments for linking a cell that refers to a shared library through the C compiler.
pub(crate) fn link_arguments() -> Option<&'static str> {
    Path::new(WORK)
        .join(ONE_THREAD_MARKER)
        .exists()
        .then_some(ONE_THREAD)
}

impl Ingredients<'_> {
    /// Returns a hash of everything that determines the library, independent of the folder.
    fn version(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.source().hash(&mut hasher);
        // Built in two folders, it is two libraries for rustc.
        let parent = self.parent.map(|parent| LibraryFile::read(&parent.library));
        if let Some(Ok(parent)) = &parent {
            parent.identity().hash(&mut hasher);
        }
        for built in &self.crates {
            (&built.package, built.file.identity()).hash(&mut hasher);
        }
        hasher.finish()
    }

    fn source(&self) -> String {
        let mut source = String::new();
        if let Some(parent) = self.parent {
            source += &format!("extern crate {} as parent;\n", parent.name);
        }
        for (name, library) in self.externs {
            if self.crates.iter().any(|built| built.file.path == *library) {
                source += &format!("extern crate {name} as _;\n");
            }
        }
        match &self.runtime {
            Some(runtime) => source += runtime.code().1,
            None if self.parent.is_some_and(|parent| parent.has_runtime) => {
                source += "pub use parent::{block_on, enter};\n";
            }
            None => {}
        }
        source += "#[inline(never)]\npub fn used() {}\n";
        let names = self.knowing_threads.join(" ");
        if !names.is_empty() {
            source += &format!(
                "#[used]\n#[unsafe(link_section = {KNOWING_THREADS_SECTION:?})]\n\
                 pub static KNOWING_THREADS: [u8; {}] = *b{names:?};\n",
                names.len(),
            );
        }
        source
    }
}

/// Links a library with rustc; to a temporary file, since this process may be killed at any moment.
fn link(
    program: &str,
    arguments: &[String],
    name: &str,
    ingredients: &Ingredients<'_>,
) -> io::Result<PathBuf> {
    let work = Path::new(WORK);
    fs::create_dir_all(work)?;
    let source = work.join("lib.rs");
    fs::write(&source, ingredients.source())?;
    let symbols = native::symbols(&ingredients.crates)?;
    let export_option = match symbols.is_empty() {
        true => None,
        false => {
            let script = fs::canonicalize(work)?.join(NATIVE);
            fs::write(&script, native::version_script(&symbols))?;
            let script = script.display();
            // Code that was compiled for hidden symbols refers to them as local.
            Some(format!(
                "-Clink-arg=-Wl,-Bsymbolic,--version-script={script}"
            ))
        }
    };
    let attempt = |option: Option<&str>| {
        let mut command = Command::new(program);
        command
            .args(["--crate-name", name, "--edition=2024", "--crate-type=dylib"])
            .args(["--emit=link", "-Cprefer-dynamic", "--out-dir", WORK])
            .arg(format!("-Cmetadata={name}"))
            .arg(SEARCH)
            .args(&export_option)
            .args(option);
        for pair in arguments.windows(2) {
            let (option, value) = (pair[0].as_str(), pair[1].as_str());
            let is_flag = option == "-C" && COPIED_FLAGS.iter().any(|flag| value.starts_with(flag));
            if is_flag || COPIED_OPTIONS.contains(&option) {
                command.args([option, value]);
            }
        }
        if let Some(parent) = ingredients.parent {
            command.args(parent.arguments());
        }
        for (name, library) in ingredients.externs {
            command.args(["--extern", &format!("{name}={}", library.display())]);
        }
        if let Some(runtime) = &ingredients.runtime {
            command.args(["--extern", &runtime.code().0]);
        }
        command.arg(&source).stdin(Stdio::null()).output()
    };
    let marker = work.join(ONE_THREAD_MARKER);
    let mut output = attempt(Some(ONE_THREAD))?;
    if output.status.success() {
        fs::write(marker, "")?;
    } else {
        let _ = fs::remove_file(marker);
        output = attempt(None)?;
    }
    if output.status.success() {
        Ok(work.join(format!("lib{name}.so")))
    } else {
        fs::write(work.join(MESSAGES), &output.stderr)?;
        Err(io::Error::other("rustc cannot link it"))
    }
}

/// Removes the oldest libraries to make room for one more, except those in `used`.
fn remove_oldest(folder: &Path, used: &[&Path]) -> io::Result<()> {
    let mut libraries = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if is_shared(&entry.path()) && !used.contains(&entry.path().as_path()) {
            libraries.push((entry.metadata()?.modified()?, entry.path()));
        }
    }
    libraries.sort();
    let excess = (libraries.len() + 1).saturating_sub(MAX_LIBRARIES);
    let mut oldest = libraries.iter().take(excess);
    oldest.try_for_each(|(_, path)| fs::remove_file(path))
}

/// Returns true for shared libraries of dependencies, by name.
fn is_shared(library: &Path) -> bool {
    let name = library.file_name().and_then(|name| name.to_str());
    let name = name.and_then(|name| name.strip_prefix("lib"));
    name.is_some_and(|name| name.starts_with(SHARED_LIBRARY_PREFIX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn built(folder: &Path, name: &str) -> BuiltCrate {
        let path = folder.join(format!("lib{name}-1.rlib"));
        fs::write(&path, name).unwrap();
        BuiltCrate {
            name: name.to_owned(),
            package: name.to_owned(),
            features: Vec::new(),
            file: LibraryFile::read(&path).unwrap(),
        }
    }

    fn ingredients<'a>(
        crates: &[&'a BuiltCrate],
        externs: &'a [(String, PathBuf)],
    ) -> Ingredients<'a> {
        Ingredients {
            parent: None,
            others: Vec::new(),
            crates: crates.to_vec(),
            externs,
            runtime: None,
            starting_threads: Vec::new(),
            knowing_threads: vec!["pool"],
        }
    }

    #[test]
    fn version_depends_on_crates_and_not_on_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let (pool, serde) = (built(folder.path(), "pool"), built(folder.path(), "serde"));
        let externs = [
            ("my_pool".to_owned(), pool.file.path.clone()),
            ("serde".to_owned(), serde.file.path.clone()),
        ];
        let one = ingredients(&[&pool], &externs);
        assert!(one.source().starts_with(
            "extern crate my_pool as _;\n#[inline(never)]\npub fn used() {}\n#[used]"
        ));
        let both = ingredients(&[&pool, &serde], &externs);
        assert_ne!(one.version(), both.version());
        // A copy in another folder is the same library.
        let other = tempfile::tempdir().unwrap();
        let copy = other.path().join("libpool-1.rlib");
        fs::copy(&pool.file.path, &copy).unwrap();
        let modified = pool.file.path.metadata().unwrap().modified().unwrap();
        let file = fs::File::options().write(true).open(&copy).unwrap();
        file.set_modified(modified).unwrap();
        let copied = BuiltCrate {
            file: LibraryFile::read(&copy).unwrap(),
            ..pool.clone()
        };
        let copied_externs = [("my_pool".to_owned(), copy)];
        assert_eq!(
            ingredients(&[&copied], &copied_externs).version(),
            one.version()
        );
    }

    #[test]
    fn unlinkable_library_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let pool = built(folder.path(), "pool");
        let library = SharedLibrary::make(
            "/nonexistent",
            &[],
            folder.path(),
            ingredients(&[&pool], &[]),
        );
        library.unwrap_err();
        let version = ingredients(&[&pool], &[]).version();
        let existing = folder
            .path()
            .join(format!("lib{SHARED_LIBRARY_PREFIX}{version:016x}.so"));
        fs::write(&existing, "").unwrap();
        let library = SharedLibrary::make(
            "/nonexistent",
            &[],
            folder.path(),
            ingredients(&[&pool], &[]),
        );
        let library = library.unwrap();
        assert!(library.is_current() && library.contains(&pool.file));
        fs::write(&pool.file.path, "built anew").unwrap();
        assert!(!library.is_current());
    }

    #[test]
    fn oldest_unused_libraries_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let path = |number: usize| {
            folder
                .path()
                .join(format!("lib{SHARED_LIBRARY_PREFIX}{number}.so"))
        };
        let now = std::time::SystemTime::now();
        for number in 0..MAX_LIBRARIES {
            let file = fs::File::create(path(number)).unwrap();
            let age = std::time::Duration::from_secs(100 - number as u64);
            file.set_modified(now - age).unwrap();
        }
        fs::write(folder.path().join("libserde.rlib"), "").unwrap();
        remove_oldest(folder.path(), &[&path(0), &path(1)]).unwrap();
        assert!(path(0).exists() && path(1).exists());
        remove_oldest(folder.path(), &[]).unwrap();
        assert!(!path(0).exists() && path(1).exists());
        assert!(folder.path().join("libserde.rlib").exists());
    }
}
