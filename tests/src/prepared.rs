//! The preparations of `cargo xtask test`, passed in the environment, or the reason why a test is
//! skipped.

use std::env;
use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Our programs, and the Python environment with the clients people use.
#[derive(Clone, Debug)]
pub struct Prepared {
    binaries: PathBuf,
    python: PathBuf,
}

impl Prepared {
    /// Returns the preparations; without them the test that asks is skipped, visibly.
    #[must_use]
    pub fn get() -> Option<Self> {
        let found = path("PHALANX_TEST_BIN").zip(path("PHALANX_TEST_PYTHON"));
        if found.is_none() {
            skip("our programs and Python's clients are prepared by `cargo xtask test`");
        }
        found.map(|(binaries, python)| Self { binaries, python })
    }

    /// One of our programs, such as `phalanx-engine`.
    #[must_use]
    pub fn binary(&self, name: &str) -> PathBuf {
        self.binaries.join(name)
    }

    /// The folder of our programs.
    #[must_use]
    pub fn binaries(&self) -> &Path {
        &self.binaries
    }

    /// The environment's Python.
    #[must_use]
    pub fn python(&self) -> &Path {
        &self.python
    }

    /// Another program of the Python environment, such as `jupyter`.
    #[must_use]
    pub fn python_program(&self, name: &str) -> PathBuf {
        self.python.with_file_name(name)
    }

    /// A PATH that begins with our programs and the environment's.
    ///
    /// # Panics
    /// When a folder has a colon in its name.
    #[must_use]
    pub fn path(&self) -> OsString {
        let path = env::var_os("PATH").unwrap_or_default();
        let first = [self.binaries.clone(), self.python_program("")];
        env::join_paths(first.into_iter().chain(env::split_paths(&path))).expect("a PATH")
    }
}

/// A browser, for tests that look at JupyterLab as a person does.
#[must_use]
pub fn chromium() -> Option<PathBuf> {
    let found = path("PHALANX_TEST_CHROMIUM");
    if found.is_none() {
        skip("no Chromium on this machine: apt-get install chromium");
    }
    found
}

/// The wheel that was packed of our programs.
#[must_use]
pub fn wheel() -> Option<PathBuf> {
    let found = path("PHALANX_TEST_WHEEL");
    if found.is_none() {
        skip("the wheel of our programs is packed by `cargo xtask test`");
    }
    found
}

/// A file of the checkout.
#[must_use]
pub fn checkout(relative: impl AsRef<Path>) -> PathBuf {
    // Said by cargo as it runs the test; what it said as it built it may be another checkout.
    let package = env::var_os("CARGO_MANIFEST_DIR");
    let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let root = Path::new(&package).join("..");
    root.canonicalize().unwrap_or(root).join(relative)
}

/// Reports that the running test is skipped, with the reason; `cargo xtask test` counts and prints these.
pub fn skip(reason: &str) {
    let thread = std::thread::current();
    let line = format!("{}: {reason}\n", thread.name().unwrap_or("a test"));
    eprint!("skipped: {line}");
    if let Some(list) = path("PHALANX_TEST_SKIPS") {
        let opened = OpenOptions::new().append(true).create(true).open(list);
        // One short write, so that tests running at once do not mix their lines.
        opened
            .and_then(|mut list| list.write_all(line.as_bytes()))
            .expect("the list of skipped tests can be written");
    }
}

fn path(variable: &str) -> Option<PathBuf> {
    env::var_os(variable).map(PathBuf::from)
}
