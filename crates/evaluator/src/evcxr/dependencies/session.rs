//! The shared libraries of one session, which starts without any.

use super::crates::{BuiltCrate, LibraryFile};
use super::graph::Graph;
use super::runtime::{self, Runtime};
use super::shadowing::{self, Shadowed};
use super::shared::{Ingredients, SharedLibrary};
use super::threads;
use phalanx_protocol::parallel::Package;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// The file that stores a session, since every cell is built by a separate process; relative to the
/// crate's folder.
const FILE: &str = "target/phalanx-dependencies.json";

/// The crates that cells can name, with their libraries.
pub(crate) type Externs = BTreeMap<String, LibraryFile>;

/// The built dependencies of a session's cells.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The key of the build that the session is based on.
    key: Option<u64>,
    /// The libraries, each depending on the previous one.
    libraries: Vec<SharedLibrary>,
    externs: Externs,
    /// All packages built for them.
    packages: Vec<Package>,
    /// The crates among them that depend on tokio, if there is a runtime for them.
    tokio_users: BTreeSet<String>,
    /// The names that glob imports of rebuilt crates shadow.
    shadowed: Shadowed,
    /// The number of libraries that cells refer to; the others can be rebuilt.
    used: usize,
    /// Part of the identity of the cells' types: incremented when crates change without the
    /// evaluator having checked first, as it does to drop the variables of their types.
    generation: u32,
}

/// A build of all dependencies of cells.
#[derive(Debug)]
pub(crate) struct Build<'a> {
    pub(crate) key: Option<u64>,
    pub(crate) program: &'a str,
    /// The rustc arguments for a cell.
    pub(crate) arguments: &'a [String],
    /// The folder of the libraries.
    pub(crate) folder: &'a Path,
    pub(crate) crates: &'a [BuiltCrate],
}

impl Session {
    /// Starts a session in the folder of evcxr's crate.
    ///
    /// # Errors
    /// Returns an error if files of an earlier session cannot be removed.
    pub(crate) fn begin(folder: &Path) -> io::Result<()> {
        match fs::remove_file(folder.join(FILE)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// Reads the session of a folder.
    pub(crate) fn read(folder: &Path) -> Self {
        let json = fs::read(folder.join(FILE)).unwrap_or_default();
        serde_json::from_slice(&json).unwrap_or_default()
    }

    /// Writes the session of a folder.
    ///
    /// # Errors
    /// Returns an error if the file cannot be written.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let json = serde_json::to_vec(self).map_err(io::Error::other)?;
        fs::write(folder.join(FILE), json)
    }

    /// Returns the key of the build that the session is based on, if it is distinguishable from
    /// others.
    pub(crate) fn key(&self) -> Option<u64> {
        self.key
    }

    /// Returns the crates that cells can name.
    pub(crate) fn externs(&self) -> &Externs {
        &self.externs
    }

    /// Returns all packages built for them.
    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// Returns the names of the standard prelude that glob imports of crates shadow.
    pub(crate) fn shadowed(&self) -> &Shadowed {
        &self.shadowed
    }

    /// Marks the libraries as used by a cell; returns true if they were not before.
    pub(crate) fn mark_used(&mut self) -> bool {
        let before = std::mem::replace(&mut self.used, self.libraries.len());
        before != self.used
    }

    /// Returns the number that is part of the identity of the cells' types.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// Returns the library that cells refer to, if there is one.
    pub(crate) fn library(&self) -> Option<&SharedLibrary> {
        self.libraries.last().filter(|_| !self.externs.is_empty())
    }

    /// Makes a cell's crate refer to the shared library. The number of lines does not change.
    pub(crate) fn with_reference(&self, source: &str) -> String {
        let Some(library) = self.library() else {
            return source.to_owned();
        };
        let inside = match library.has_runtime {
            true => runtime::within_runtime(source, &self.tokio_users),
            false => None,
        };
        let source = inside.unwrap_or_else(|| source.to_owned());
        let mut source = runtime::referencing(&source).unwrap_or(source);
        source.push_str(&library.reference());
        source
    }

    /// Returns true if the session is based on this build.
    pub(crate) fn is_based_on(&self, key: Option<u64>) -> bool {
        key.is_some() && self.key == key && self.libraries.iter().all(SharedLibrary::is_current)
    }

    /// Makes the libraries for a build. `globs` are the glob imports of the namespace, if the
    /// evaluator waits for the result; otherwise a cell is being compiled that was written without
    /// knowledge of the changes.
    pub(crate) fn update(
        &mut self,
        build: &Build<'_>,
        graph: impl FnOnce() -> Graph,
        globs: Option<&[String]>,
    ) {
        let externs = externs(build.arguments);
        let named = |(name, library): &(String, PathBuf)| {
            Some((name.clone(), LibraryFile::read(library).ok()?))
        };
        let new: Externs = externs.iter().filter_map(named).collect();
        let is_changed = |(name, library): &(&String, &LibraryFile)| {
            self.externs
                .get(*name)
                .is_some_and(|known| known != *library)
        };
        let changed: BTreeSet<&String> = new
            .iter()
            .filter(is_changed)
            .map(|(name, _)| name)
            .collect();
        match globs {
            Some(globs) => {
                let of_changed = globs.iter().filter(|glob| {
                    let first = glob.split("::").find(|part| !part.is_empty());
                    first.is_some_and(|first| changed.contains(&first.trim().to_owned()))
                });
                let globs: Vec<String> = of_changed.cloned().collect();
                self.shadowed.extend(shadowing::find(build, &globs));
            }
            None if changed.is_empty() => {}
            None => self.generation += 1,
        }
        if self.key != build.key || build.key.is_none() {
            let current = |library: &&SharedLibrary| library.is_current();
            let count = self.libraries.iter().take_while(current).count();
            self.libraries.truncate(count.min(self.used));
        }
        if new != self.externs || !self.contains_all(build.crates) {
            let graph = graph();
            self.extend(build, &externs, &graph);
            let tokio = graph.dependents(Runtime::packages(build.crates));
            let uses_tokio = |(_, library): &&(String, PathBuf)| {
                let mut crates = build.crates.iter();
                let built = crates.find(|built| built.file.path == *library);
                built.is_some_and(|built| tokio.contains(built.package.as_str()))
            };
            let users = externs.iter().filter(uses_tokio);
            self.tokio_users = users.map(|(name, _)| name.clone()).collect();
        }
        self.externs = new;
        self.packages = build.crates.iter().map(BuiltCrate::package).collect();
        self.key = build.key;
    }

    fn contains_all(&self, crates: &[BuiltCrate]) -> bool {
        crates.iter().all(|built| self.contains(built))
    }

    fn contains(&self, built: &BuiltCrate) -> bool {
        let mut libraries = self.libraries.iter();
        libraries.any(|library| library.contains(&built.file))
    }

    /// Adds a library with all crates that the others do not contain. If that is not possible, one
    /// new library contains all crates; failing that, only the crates that every cell uses.
    fn extend(&mut self, build: &Build<'_>, externs: &[(String, PathBuf)], graph: &Graph) {
        let rest = |session: &Self| -> Vec<&BuiltCrate> {
            let crates = build.crates.iter();
            crates.filter(|built| !session.contains(built)).collect()
        };
        let crates = rest(self);
        if crates.is_empty() || self.add(build, externs, graph, crates).is_ok() {
            return;
        }
        self.libraries.clear();
        if self.add(build, externs, graph, rest(self)).is_ok() {
            return;
        }
        let defaults: Vec<_> = externs
            .iter()
            .filter(|(name, _)| DEFAULT_CRATES.contains(&name.as_str()))
            .cloned()
            .collect();
        // Otherwise the crates are linked into every cell, which only takes longer.
        let _ = self.add(build, &defaults, graph, rest(self));
    }

    fn add<'a>(
        &mut self,
        build: &'a Build<'_>,
        externs: &'a [(String, PathBuf)],
        graph: &Graph,
        crates: Vec<&'a BuiltCrate>,
    ) -> io::Result<()> {
        let parent = self.libraries.last();
        // Our own library handles its threads itself.
        let others: Vec<&BuiltCrate> = crates
            .iter()
            .filter(|built| !is_own_crate(built))
            .copied()
            .collect();
        let starting_threads = threads::starting_threads(&others);
        let known = self
            .libraries
            .iter()
            .map(|library| &library.starting_threads);
        let all = known.chain([&starting_threads]).flatten();
        let thread_dependents = graph.dependents(all.map(String::as_str).collect());
        let knowing_threads = others
            .iter()
            .filter(|built| thread_dependents.contains(built.package.as_str()))
            .map(|built| built.name.as_str())
            .collect();
        let runtime = Runtime::find(build.crates, externs).filter(|runtime| {
            let mut files = crates.iter().map(|built| &built.file.path);
            files.any(|library| library == runtime.library())
        });
        let others = self
            .libraries
            .iter()
            .map(|library| library.library.as_path());
        let ingredients = Ingredients {
            parent,
            others: others.collect(),
            crates,
            externs,
            runtime,
            starting_threads,
            knowing_threads,
        };
        let library =
            SharedLibrary::make(build.program, build.arguments, build.folder, ingredients)?;
        self.libraries.push(library);
        Ok(())
    }
}

/// The crates that every cell depends on.
const DEFAULT_CRATES: [&str; 2] = ["phalanx", "serde"];

/// Returns true for the crates that come with Phalanx.
fn is_own_crate(built: &BuiltCrate) -> bool {
    matches!(
        built.name.as_str(),
        "phalanx" | "phalanx_segment" | "phalanx_protocol"
    )
}

/// Returns the crates that cells can name, with their libraries, from rustc's arguments.
fn externs(arguments: &[String]) -> Vec<(String, PathBuf)> {
    let pairs = arguments.windows(2).filter(|pair| pair[0] == "--extern");
    let named = pairs.filter_map(|pair| {
        let (name, library) = pair[1].split_once('=')?;
        // Procedural macros are not part of a program.
        library
            .ends_with(".rlib")
            .then(|| (name.to_owned(), PathBuf::from(library)))
    });
    named.collect()
}
