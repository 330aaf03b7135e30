//! A folder of a test's own, whose processes end with it.

use crate::prepared::Prepared;
use crate::processes::Mark;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Time limit for processes that are ending; a kernel without a parent may check once per second.
const GRACE: Duration = Duration::from_secs(10);

/// The folder for temporary files of programs in a sandbox.
const TEMPORARY: &str = "tmp";

/// A temporary folder, and a mark on all processes started in it.
///
/// Dropping it removes the folder; a process still running or a temporary file of ours that still
/// exists fails the test.
#[derive(Debug)]
pub struct Sandbox {
    folder: TempDir,
    mark: Mark,
}

impl Sandbox {
    /// Creates an empty sandbox.
    ///
    /// # Panics
    /// Panics if the folder cannot be created.
    #[must_use]
    #[expect(clippy::new_without_default, reason = "creates a folder on the disk")]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = TempDir::with_prefix("phalanx-test-").expect("a temporary folder");
        fs::create_dir(folder.path().join(TEMPORARY)).expect("a temporary folder");
        Self {
            folder,
            mark: Mark {
                name: "PHALANX_TEST_SANDBOX",
                value: format!("{}-{number}", std::process::id()),
            },
        }
    }

    /// Returns a path in the sandbox.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// Returns a command that runs in the sandbox, finds our programs first, stores Jupyter's files
    /// in the sandbox, and does not inherit variables set by `cargo test`.
    pub fn command(&self, prepared: &Prepared, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(self.folder.path())
            .env(self.mark.name, &self.mark.value)
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("CARGO_MANIFEST_DIR")
            .env_remove("CARGO_TARGET_DIR")
            // Selects the checkout's own toolchain, whereas a user's kernel uses the default.
            .env_remove("RUSTUP_TOOLCHAIN")
            .env("PATH", prepared.path())
            .env("TMPDIR", self.path(TEMPORARY))
            .env("JUPYTER_CONFIG_DIR", self.path("jupyter/config"))
            .env("JUPYTER_DATA_DIR", self.path("jupyter/data"))
            .env("JUPYTER_RUNTIME_DIR", self.path("jupyter/runtime"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("IPYTHONDIR", self.path("jupyter/ipython"));
        command
    }

    /// Waits until all processes started in the sandbox have ended.
    ///
    /// # Panics
    /// Panics if some do not end within the time limit.
    pub fn wait_for_processes(&self) {
        let remaining = self.mark.wait_or_kill(GRACE);
        assert!(remaining.is_empty(), "processes do not end: {remaining:#?}");
    }

    /// Returns our temporary files that still exist.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path(TEMPORARY)).into_iter().flatten();
        let names = entries.flatten().map(|entry| entry.file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("phalanx")).collect()
    }

    /// Returns the mark as `VARIABLE=VALUE`, for a process with a cleared environment.
    #[must_use]
    pub fn mark_variable(&self) -> String {
        format!("{}={}", self.mark.name, self.mark.value)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let remaining = self.mark.wait_or_kill(GRACE);
        if !std::thread::panicking() {
            assert!(
                remaining.is_empty(),
                "the test left processes behind: {remaining:#?}"
            );
            let files = self.files();
            assert!(files.is_empty(), "the test left files behind: {files:?}");
        }
    }
}
