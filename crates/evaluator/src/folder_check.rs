//! Checks of the folders that compilation needs, to detect obscure causes of failure in advance: no
//! space, no permission to write, or none to execute built programs.

use rustix::fs::StatVfsMountFlags;
use std::fmt;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// The environment variable with the cache folder; the default is `phalanx` in the user's cache
/// folder.
pub(crate) const CACHE_VAR: &str = "PHALANX_CACHE_DIR";

/// The environment variable with the folder for temporary files; the default is `/tmp`.
const TEMPORARY_VAR: &str = "TMPDIR";

/// The space for building the notebooks' library, in bytes.
const CACHE_ROOM: u64 = 256 << 20;

/// The space for one cell's temporary files, in bytes.
const TEMPORARY_ROOM: u64 = 16 << 20;

/// The content of a file that is written to check the permissions: one page of a file system.
const PROBE: [u8; 4096] = [0; 4096];

/// The use of a folder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderUse {
    /// Build results, kept between sessions.
    Cache,
    /// Sockets and temporary files of one session.
    Temporary,
}

impl FolderUse {
    /// Returns the environment variable that selects the folder.
    #[must_use]
    pub fn variable(self) -> &'static str {
        match self {
            Self::Cache => CACHE_VAR,
            Self::Temporary => TEMPORARY_VAR,
        }
    }

    fn room(self) -> u64 {
        match self {
            Self::Cache => CACHE_ROOM,
            Self::Temporary => TEMPORARY_ROOM,
        }
    }
}

impl fmt::Display for FolderUse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cache => "cache folder",
            Self::Temporary => "folder of temporary files",
        })
    }
}

/// The reason why a folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// There is no home folder, and no other folder was configured.
    #[error("there is no cache folder, since there is no home folder")]
    NoHome,
    /// The folder cannot be created, or cannot be written to.
    #[error("the {used_as} {} cannot be written to: {source}", path.display())]
    NotWritable {
        /// The use of the folder.
        used_as: FolderUse,
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// Programs and libraries in it cannot be loaded.
    #[error(
        "the {used_as} {} is on a file system mounted `noexec`: programs that are built there cannot be run",
        path.display()
    )]
    NotExecutable {
        /// The use of the folder.
        used_as: FolderUse,
        /// The folder.
        path: PathBuf,
    },
    /// Its file system is full, or nearly so.
    #[error(
        "the {used_as} {} has {} MiB of room left, and {} MiB are needed",
        path.display(), .free >> 20, .needed >> 20
    )]
    Full {
        /// The use of the folder.
        used_as: FolderUse,
        /// The folder.
        path: PathBuf,
        /// The available space, in bytes.
        free: u64,
        /// The required space, in bytes.
        needed: u64,
    },
}

impl FolderError {
    /// Returns the remedy, for users.
    #[must_use]
    pub fn remedy(&self) -> String {
        let (used_as, can_clean) = match self {
            Self::NoHome => (FolderUse::Cache, false),
            Self::NotWritable {
                used_as, source, ..
            } => (*used_as, is_full(source)),
            Self::NotExecutable { used_as, .. } => (*used_as, false),
            Self::Full { used_as, .. } => (*used_as, true),
        };
        let variable = used_as.variable();
        let advice = format!(
            "set {variable} to a folder that can be used, in the environment of the program that starts the kernel"
        );
        match can_clean {
            true => format!("make room there, or {advice}"),
            false => advice,
        }
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded
    )
}

/// Returns the cache folder, which is kept between sessions.
///
/// # Errors
/// [`FolderError::NoHome`] if there is no home folder, and the variable is not set.
pub fn cache_folder() -> Result<PathBuf, FolderError> {
    match std::env::var_os(CACHE_VAR) {
        Some(folder) if !folder.is_empty() => Ok(PathBuf::from(folder)),
        _ => match dirs::cache_dir() {
            Some(folder) => Ok(folder.join("phalanx")),
            None => Err(FolderError::NoHome),
        },
    }
}

/// Checks both folders, and creates the cache folder if it does not exist.
///
/// # Errors
/// [`FolderError`] if one cannot be used.
pub fn check_folders() -> Result<(), FolderError> {
    check(FolderUse::Cache, &cache_folder()?)?;
    check(FolderUse::Temporary, &std::env::temp_dir())
}

/// Checks a folder, and creates it if it does not exist.
pub(crate) fn check(used_as: FolderUse, path: &Path) -> Result<(), FolderError> {
    let not_writable = |source: io::Error| FolderError::NotWritable {
        used_as,
        path: path.to_owned(),
        source,
    };
    std::fs::create_dir_all(path).map_err(not_writable)?;
    let system = rustix::fs::statvfs(path).map_err(|error| not_writable(error.into()))?;
    if used_as == FolderUse::Cache && system.f_flag.contains(StatVfsMountFlags::NOEXEC) {
        return Err(FolderError::NotExecutable {
            used_as,
            path: path.to_owned(),
        });
    }
    let (free, needed) = (system.f_bavail * system.f_frsize, used_as.room());
    if free < needed && !is_built(used_as, path, free) {
        return Err(FolderError::Full {
            used_as,
            path: path.to_owned(),
            free,
            needed,
        });
    }
    // A quota, or a missing permission, only takes effect when something is written.
    let mut probe = tempfile::tempfile_in(path).map_err(not_writable)?;
    probe.write_all(&PROBE).map_err(not_writable)
}

/// Returns true if the library, which takes most of the space, is already built and there is enough
/// space left for cells.
fn is_built(used_as: FolderUse, path: &Path, free: u64) -> bool {
    used_as == FolderUse::Cache && free >= TEMPORARY_ROOM && path.join("build").is_dir()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_folder_is_created() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        check(FolderUse::Temporary, &path).unwrap();
        assert!(path.is_dir());
        assert_eq!(std::fs::read_dir(&path).unwrap().count(), 0);
    }

    #[test]
    fn remedy_names_the_variable_of_the_folder() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().join("cache");
        let error = check(FolderUse::Cache, &path).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(path.to_str().unwrap()), "{text}");
        assert!(error.remedy().starts_with("set PHALANX_CACHE_DIR"));
        let full = FolderError::Full {
            used_as: FolderUse::Temporary,
            path: "/small".into(),
            free: 3 << 20,
            needed: TEMPORARY_ROOM,
        };
        let text = full.to_string();
        assert_eq!(
            text,
            "the folder of temporary files /small has 3 MiB of room left, and 16 MiB are needed"
        );
        assert!(full.remedy().starts_with("make room there, or set TMPDIR"));
    }
}
