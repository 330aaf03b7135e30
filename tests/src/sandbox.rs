//! A folder of a test's own, whose processes end with it.

use crate::prepared::Prepared;
use crate::processes::Mark;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tempfile::TempDir;

/// Time for processes that are ending; a kernel that lost its parent may check once a second.
const GRACE: Duration = Duration::from_secs(10);

/// The folder for temporary files of the programs that run in a place.
const TEMPORARY: &str = "tmp";

/// A temporary folder, and a mark on everything started in it.
///
/// When it is dropped the folder goes; a process that is still running, or a temporary file of ours
/// that is still there, fails the test.
#[derive(Debug)]
pub struct Sandbox {
    folder: TempDir,
    mark: Mark,
}

impl Sandbox {
    /// An empty place.
    ///
    /// # Panics
    /// When there is no room for one.
    #[must_use]
    #[expect(
        clippy::new_without_default,
        reason = "a place is made, with effect on the disk"
    )]
    pub fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let folder = TempDir::with_prefix("phalanx-test-").expect("a temporary folder");
        fs::create_dir(folder.path().join(TEMPORARY)).expect("a temporary folder");
        Self {
            folder,
            mark: Mark {
                name: "PHALANX_TEST_PLACE",
                value: format!("{}-{number}", std::process::id()),
            },
        }
    }

    /// A path in it.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(relative)
    }

    /// A command that works in the place, finds our programs first, keeps Jupyter's files in the
    /// place, and does not inherit what `cargo test` set for the test itself.
    pub fn command(&self, prepared: &Prepared, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        command
            .current_dir(self.folder.path())
            .env(self.mark.name, &self.mark.value)
            .env_remove("LD_LIBRARY_PATH")
            .env_remove("CARGO_MANIFEST_DIR")
            .env_remove("CARGO_TARGET_DIR")
            // The checkout's own toolchain, where a user's kernel has the user's default.
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

    /// Waits until no process that was started here is left.
    ///
    /// # Panics
    /// When some do not end in time.
    pub fn wait_for_processes(&self) {
        let left = self.mark.left_behind(GRACE);
        assert!(left.is_empty(), "processes do not end: {left:#?}");
    }

    /// Temporary files of ours that are there.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path(TEMPORARY)).into_iter().flatten();
        let names = entries.flatten().map(|entry| entry.file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name.starts_with("phalanx")).collect()
    }

    /// The mark as `VARIABLE=VALUE`, for a process whose environment is cleared.
    #[must_use]
    pub fn marking(&self) -> String {
        format!("{}={}", self.mark.name, self.mark.value)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let left = self.mark.left_behind(GRACE);
        if !std::thread::panicking() {
            assert!(left.is_empty(), "the test left processes behind: {left:#?}");
            let files = self.files();
            assert!(files.is_empty(), "the test left files behind: {files:?}");
        }
    }
}
