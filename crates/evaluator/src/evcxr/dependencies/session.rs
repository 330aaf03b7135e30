//! The shared libraries of one session, which begins without any.

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

/// The file in which a session is kept, since every cell is built by a process of its own; below the
/// crate's folder.
const FILE: &str = "target/phalanx-dependencies.json";

/// The crates that cells can name, each with its library.
pub(crate) type Externs = BTreeMap<String, LibraryFile>;

/// The dependencies of a session's cells, as they are built.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Session {
    /// The build that this follows.
    key: Option<u64>,
    /// Each depends on the one before.
    libraries: Vec<SharedLibrary>,
    externs: Externs,
    /// Everything that was built for them.
    packages: Vec<Package>,
    /// The crates among them that depend on tokio, if there is a runtime for them.
    tokio_users: BTreeSet<String>,
    /// The names that glob imports of these crates shadow, for those that were built anew.
    shadowed: Shadowed,
    /// The number of libraries that cells refer to; others can be made anew.
    used: usize,
    /// Part of the identity of the cells' types: they are others once crates have changed without
    /// the evaluator having looked first, as it does to drop the variables that hold their types.
    generation: u32,
}

/// A build of everything that cells depend on.
#[derive(Debug)]
pub(crate) struct Build<'a> {
    pub(crate) key: Option<u64>,
    pub(crate) program: &'a str,
    /// The arguments by which rustc compiles a cell.
    pub(crate) arguments: &'a [String],
    /// The folder of the libraries.
    pub(crate) folder: &'a Path,
    pub(crate) crates: &'a [BuiltCrate],
}

impl Session {
    /// Begins one in the folder of evcxr's crate.
    ///
    /// # Errors
    /// When what the last one has left cannot be removed.
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
    /// When that cannot be done.
    pub(crate) fn write(&self, folder: &Path) -> io::Result<()> {
        let json = serde_json::to_vec(self).map_err(io::Error::other)?;
        fs::write(folder.join(FILE), json)
    }

    /// The build that this follows, where it can be told from others.
    pub(crate) fn key(&self) -> Option<u64> {
        self.key
    }

    /// The crates that cells can name.
    pub(crate) fn externs(&self) -> &Externs {
        &self.externs
    }

    /// Everything that was built for them.
    pub(crate) fn packages(&self) -> &[Package] {
        &self.packages
    }

    /// The names of the standard prelude that glob imports of crates shadow.
    pub(crate) fn shadowed(&self) -> &Shadowed {
        &self.shadowed
    }

    /// Takes note that a cell refers to the libraries; returns true if that is news.
    pub(crate) fn take_into_use(&mut self) -> bool {
        let before = std::mem::replace(&mut self.used, self.libraries.len());
        before != self.used
    }

    /// The number that is part of the identity of the cells' types.
    pub(crate) fn generation(&self) -> u32 {
        self.generation
    }

    /// The library that cells refer to, if there is one.
    pub(crate) fn library(&self) -> Option<&SharedLibrary> {
        self.libraries.last().filter(|_| !self.externs.is_empty())
    }

    /// Makes a cell's crate refer to the shared library. No line of it moves.
    pub(crate) fn refer(&self, source: &str) -> String {
        let Some(library) = self.library() else {
            return source.to_owned();
        };
        let inside = match library.has_runtime {
            true => runtime::inside(source, &self.tokio_users),
            false => None,
        };
        let source = inside.unwrap_or_else(|| source.to_owned());
        let mut source = runtime::using(&source).unwrap_or(source);
        source.push_str(&library.reference());
        source
    }

    /// Returns true if the session already follows a build.
    pub(crate) fn follows(&self, key: Option<u64>) -> bool {
        key.is_some() && self.key == key && self.libraries.iter().all(SharedLibrary::is_current)
    }

    /// Makes the libraries that a build calls for. `globs` are the glob imports of the namespace, if
    /// the evaluator waits for what this finds; otherwise a cell is being compiled that was written
    /// without knowing of it.
    pub(crate) fn follow(
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
            let kept = self.libraries.iter().take_while(current).count();
            self.libraries.truncate(kept.min(self.used));
        }
        if new != self.externs || !self.holds_all(build.crates) {
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

    fn holds_all(&self, crates: &[BuiltCrate]) -> bool {
        crates.iter().all(|built| self.holds(built))
    }

    fn holds(&self, built: &BuiltCrate) -> bool {
        let mut libraries = self.libraries.iter();
        libraries.any(|library| library.holds(&built.file))
    }

    /// Adds a library of everything that the others do not hold. If that cannot be, everything is in
    /// a new one; failing that, only what every cell uses.
    fn extend(&mut self, build: &Build<'_>, externs: &[(String, PathBuf)], graph: &Graph) {
        let rest = |session: &Self| -> Vec<&BuiltCrate> {
            let crates = build.crates.iter();
            crates.filter(|built| !session.holds(built)).collect()
        };
        let crates = rest(self);
        if crates.is_empty() || self.add(build, externs, graph, crates).is_ok() {
            return;
        }
        self.libraries.clear();
        if self.add(build, externs, graph, rest(self)).is_ok() {
            return;
        }
        let ours: Vec<_> = externs
            .iter()
            .filter(|(name, _)| OURS.contains(&name.as_str()))
            .cloned()
            .collect();
        // Without it the crates are linked into every cell, which only takes longer.
        let _ = self.add(build, &ours, graph, rest(self));
    }

    fn add<'a>(
        &mut self,
        build: &'a Build<'_>,
        externs: &'a [(String, PathBuf)],
        graph: &Graph,
        crates: Vec<&'a BuiltCrate>,
    ) -> io::Result<()> {
        let parent = self.libraries.last();
        // Our own library sees to its threads itself.
        let others: Vec<&BuiltCrate> = crates
            .iter()
            .filter(|built| !is_ours(built))
            .copied()
            .collect();
        let starting_threads = threads::starting_threads(&others);
        let known = self
            .libraries
            .iter()
            .map(|library| &library.starting_threads);
        let all = known.chain([&starting_threads]).flatten();
        let knowing = graph.dependents(all.map(String::as_str).collect());
        let knowing_threads = others
            .iter()
            .filter(|built| knowing.contains(built.package.as_str()))
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
        let made = SharedLibrary::make(build.program, build.arguments, build.folder, ingredients)?;
        self.libraries.push(made);
        Ok(())
    }
}

/// The crates that every cell depends on.
const OURS: [&str; 2] = ["phalanx", "serde"];

/// Returns true for the crates of the library that comes with Phalanx.
fn is_ours(built: &BuiltCrate) -> bool {
    matches!(
        built.name.as_str(),
        "phalanx" | "phalanx_segment" | "phalanx_protocol"
    )
}

/// The crates that the source of cells can name, with their libraries, by rustc's arguments.
fn externs(arguments: &[String]) -> Vec<(String, PathBuf)> {
    let pairs = arguments.windows(2).filter(|pair| pair[0] == "--extern");
    let named = pairs.filter_map(|pair| {
        let (name, library) = pair[1].split_once('=')?;
        // Macros have no part in a program.
        library
            .ends_with(".rlib")
            .then(|| (name.to_owned(), PathBuf::from(library)))
    });
    named.collect()
}
