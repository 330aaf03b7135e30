//! The active toolchain of a folder, and the checks of its parts.

use crate::error::ToolchainError;
use crate::release::ToolchainRelease;
use crate::rustup;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The path of the standard library's source below the sysroot.
const LIBRARY_SOURCE: &str = "lib/rustlib/src/rust/library";

/// The toolchain that compiles cells for a kernel started in a given folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActiveToolchain {
    /// The first line of `rustc -vV`: `rustc 1.95.0 (59807616e 2026-04-14)`.
    pub version: String,
    /// The target of cells, which is that of the machine.
    pub host: String,
    /// The toolchain's folder.
    pub sysroot: PathBuf,
    /// The toolchain's name and the reason it was chosen, if rustup manages it.
    pub rustup: Option<rustup::RustupChoice>,
}

impl ActiveToolchain {
    /// Finds the toolchain of a kernel that is started in `folder`.
    ///
    /// # Errors
    /// Returns an error if there is no rustc or it fails.
    pub fn find(folder: &Path) -> Result<Self, ToolchainError> {
        match rustup::from_environment() {
            Some(choice) => Self::read(|| Command::new("rustc"), folder)
                .map(|toolchain| toolchain.with_choice(Some(choice))),
            None => Self::find_by(folder, &|program| Command::new(program)),
        }
    }

    /// Finds the toolchain of a kernel that is started in `folder` with another environment than
    /// this process's: `command` creates the commands to run.
    ///
    /// # Errors
    /// Returns an error if there is no rustc or it fails.
    pub fn find_by(
        folder: &Path,
        command: &dyn Fn(&str) -> Command,
    ) -> Result<Self, ToolchainError> {
        let toolchain = Self::read(|| command("rustc"), folder)?;
        Ok(toolchain.with_choice(rustup::choice_by(folder, command("rustup"))))
    }

    /// Finds rustup's toolchain of this name.
    ///
    /// # Errors
    /// Returns an error if rustup has no toolchain of this name or its rustc fails.
    pub fn named(name: &str) -> Result<Self, ToolchainError> {
        let program = rustup::rustc_of(name)?;
        let toolchain = Self::read(|| Command::new(&program), Path::new("/"))?;
        let rustup = Some(rustup::RustupChoice {
            name: name.to_owned(),
            reason: "named by the user".to_owned(),
        });
        Ok(Self {
            rustup,
            ..toolchain
        })
    }

    /// Adds rustup's choice if it is this toolchain: a distribution's rustc may precede rustup's on
    /// the PATH.
    fn with_choice(self, choice: Option<rustup::RustupChoice>) -> Self {
        let rustup = choice.filter(|choice| choice.is_at(&self.sysroot));
        Self { rustup, ..self }
    }

    fn read(rustc: impl Fn() -> Command, folder: &Path) -> Result<Self, ToolchainError> {
        let sysroot =
            PathBuf::from(rustc_output(rustc().args(["--print", "sysroot"]), folder)?.trim());
        // Bypasses rustup's proxy, which takes as long as rustc itself.
        let mut rustc = match rustup::is_managed(&sysroot) {
            true => Command::new(sysroot.join("bin/rustc")),
            false => rustc(),
        };
        let verbose = rustc_output(rustc.arg("-vV"), folder)?;
        let host = verbose.lines().find_map(|line| line.strip_prefix("host: "));
        Ok(Self {
            version: verbose.lines().next().unwrap_or_default().to_owned(),
            host: host.unwrap_or_default().to_owned(),
            sysroot,
            rustup: None,
        })
    }

    /// Checks that cells can be compiled for this machine and their types inferred.
    ///
    /// # Errors
    /// Returns the error of the first missing part.
    pub fn check(&self) -> Result<(), ToolchainError> {
        self.check_release()?;
        self.shared_library()?;
        self.library_source().map(|_| ())
    }

    /// Checks that the release of this toolchain is recent enough.
    ///
    /// # Errors
    /// Returns an error if it is older than [`ToolchainRelease::OLDEST`].
    pub fn check_release(&self) -> Result<(), ToolchainError> {
        match ToolchainRelease::of_rustc(&self.version) {
            Some(release) if release < ToolchainRelease::OLDEST => Err(ToolchainError::TooOld {
                found: self.version.clone(),
                needed: ToolchainRelease::OLDEST,
                chosen_by: self.rustup.as_ref().map(|choice| choice.reason.clone()),
                has_rustup: self.rustup.is_some(),
            }),
            // A custom build, with a version in another format, is accepted.
            _ => Ok(()),
        }
    }

    /// Returns the release if it is newer than the newest tested one.
    #[must_use]
    pub fn untested(&self) -> Option<ToolchainRelease> {
        ToolchainRelease::of_rustc(&self.version)
            .filter(|release| *release > ToolchainRelease::NEWEST_TESTED)
    }

    /// Returns the folder of the standard library's source.
    ///
    /// # Errors
    /// Returns an error if it is not installed.
    pub fn library_source(&self) -> Result<PathBuf, ToolchainError> {
        let folder = self.sysroot.join(LIBRARY_SOURCE);
        let path = folder.join("std/src/lib.rs");
        if path.is_file() {
            return Ok(folder);
        }
        Err(ToolchainError::NoSource {
            path,
            rustup: self.rustup.as_ref().map(|choice| choice.name.clone()),
        })
    }

    /// Returns the shared standard library, to which cells are linked.
    ///
    /// # Errors
    /// Returns an error if it is missing.
    pub fn shared_library(&self) -> Result<PathBuf, ToolchainError> {
        let folder = self
            .sysroot
            .join("lib/rustlib")
            .join(&self.host)
            .join("lib");
        let is_libstd = |path: &PathBuf| {
            let name = path.file_name().and_then(|name| name.to_str());
            name.is_some_and(|name| name.starts_with("libstd-") && name.ends_with(".so"))
        };
        let entries = std::fs::read_dir(&folder).into_iter().flatten().flatten();
        let mut libraries = entries.map(|entry| entry.path());
        let library = libraries.find(is_libstd);
        library.ok_or(ToolchainError::NoSharedLibrary { folder })
    }

    /// Adds the standard library's source if it is missing and rustup manages the toolchain; calls
    /// `announce` with a message before.
    ///
    /// # Errors
    /// Returns an error if it is missing and could not be added.
    pub fn ensure_library_source(&self, announce: impl FnOnce(&str)) -> Result<(), ToolchainError> {
        let (Err(missing), Some(choice)) = (self.library_source(), &self.rustup) else {
            return self.library_source().map(|_| ());
        };
        // Of several kernels that start at once, one installs the source and the others wait.
        let lock = rustup::lock(&self.sysroot);
        if lock.is_ok() && self.library_source().is_ok() {
            return Ok(());
        }
        announce(&format!(
            "Installing rust-src for {} ({})",
            choice.name,
            missing.remedy()
        ));
        rustup::add_component("rust-src", &choice.name)?;
        self.library_source().map(|_| ())
    }
}

/// Returns the linker that rustc uses.
///
/// # Errors
/// Returns an error if there is none.
pub fn linker() -> Result<PathBuf, ToolchainError> {
    find_program("cc").ok_or(ToolchainError::NoLinker)
}

/// Returns the first program of this name on the PATH.
#[must_use]
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

/// Returns the output of rustc in a folder.
fn rustc_output(rustc: &mut Command, folder: &Path) -> Result<String, ToolchainError> {
    match rustc.current_dir(folder).output() {
        Ok(Output { status, stdout, .. }) if status.success() => {
            Ok(String::from_utf8_lossy(&stdout).into_owned())
        }
        Ok(Output { stderr, .. }) => Err(ToolchainError::RustcFailed {
            message: String::from_utf8_lossy(&stderr).trim().to_owned(),
        }),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound && folder.is_dir() => {
            Err(ToolchainError::NoRustc {
                rustup_bin: rustup::programs(),
            })
        }
        Err(error) => Err(ToolchainError::RustcFailed {
            message: error.to_string(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn toolchain(sysroot: &Path) -> ActiveToolchain {
        ActiveToolchain {
            version: "rustc 1.95.0 (59807616e 2026-04-14)".to_owned(),
            host: "x86_64-unknown-linux-gnu".to_owned(),
            sysroot: sysroot.to_owned(),
            rustup: None,
        }
    }

    #[test]
    fn releases_are_ordered_by_number() {
        let release = |text: &str| ToolchainRelease::of_rustc(text).unwrap();
        assert!(release("rustc 1.100.0-nightly (a 2027-01-01)") > release("rustc 1.95.0"));
        assert_eq!(release("rustc 1.95.1 (b)").to_string(), "1.95");
        assert_eq!(ToolchainRelease::of_rustc("my compiler"), None);
        let minimum = env!("CARGO_PKG_RUST_VERSION");
        assert_eq!(
            minimum,
            ToolchainRelease::OLDEST.to_string(),
            "Cargo.toml names another"
        );
    }

    #[test]
    fn missing_parts_are_reported_in_order() {
        let sysroot = tempfile::tempdir().unwrap();
        let toolchain = toolchain(sysroot.path());
        let missing = toolchain.check().unwrap_err();
        assert!(matches!(missing, ToolchainError::NoSharedLibrary { .. }));
        let libraries = sysroot
            .path()
            .join("lib/rustlib/x86_64-unknown-linux-gnu/lib");
        std::fs::create_dir_all(&libraries).unwrap();
        std::fs::write(libraries.join("libstd-1a2b.so"), "").unwrap();
        let missing = toolchain.check().unwrap_err();
        assert!(
            matches!(missing, ToolchainError::NoSource { .. }),
            "{missing}"
        );
        let source = sysroot.path().join(LIBRARY_SOURCE).join("std/src");
        std::fs::create_dir_all(&source).unwrap();
        std::fs::write(source.join("lib.rs"), "").unwrap();
        toolchain.check().unwrap();
        let old = ActiveToolchain {
            version: "rustc 1.70.0 (a)".to_owned(),
            ..toolchain
        };
        let refused = old.check().unwrap_err();
        assert!(
            matches!(refused, ToolchainError::TooOld { .. }),
            "{refused}"
        );
    }

    #[test]
    fn without_rustup_nothing_is_installed() {
        let sysroot = tempfile::tempdir().unwrap();
        let toolchain = toolchain(sysroot.path());
        let missing = toolchain.ensure_library_source(|line| panic!("{line}"));
        assert!(matches!(
            missing,
            Err(ToolchainError::NoSource { rustup: None, .. })
        ));
    }
}
