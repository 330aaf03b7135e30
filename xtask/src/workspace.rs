//! The folders in use: the checkout, and the build folder that outlives it.

use anyhow::{Context, Result};
use std::env;
use std::path::{Path, PathBuf};

/// The checkout and the folder for everything built from it.
#[derive(Clone, Debug)]
pub struct Workspace {
    root: PathBuf,
    build: PathBuf,
}

impl Workspace {
    /// Finds the workspace in which `cargo xtask` was run.
    ///
    /// # Errors
    /// Returns an error if the checkout does not exist any more.
    pub fn find() -> Result<Self> {
        // Set by cargo at run time; the value at compile time may refer to another checkout.
        let package = env::var_os("CARGO_MANIFEST_DIR");
        let package = package.unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
        let root = Path::new(&package).join("..");
        let root = root
            .canonicalize()
            .with_context(|| format!("no checkout at {}", root.display()))?;
        let build = build_folder(&root, |name| env::var_os(name).map(PathBuf::from));
        Ok(Self { root, build })
    }

    /// Returns a path in the checkout.
    pub fn path(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.root.join(relative)
    }

    /// Returns a path in the build folder.
    pub fn build(&self, relative: impl AsRef<Path>) -> PathBuf {
        self.build.join(relative)
    }

    /// Returns the folder of `phalanx` and `phalanx-engine` after [`crate::binaries::build`].
    pub fn binaries(&self) -> PathBuf {
        self.build("release")
    }
}

/// A build folder outside of the checkout saves a fresh clone from building evcxr (minutes), so one
/// is used if the user has named or created it; see the help text.
fn build_folder(root: &Path, variable: impl Fn(&str) -> Option<PathBuf>) -> PathBuf {
    let variables = ["PHALANX_BUILD_DIR", "CARGO_TARGET_DIR"];
    if let Some(folder) = variables.into_iter().find_map(&variable) {
        return root.join(folder);
    }
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    cache
        .map(|cache| cache.join("phalanx/target"))
        .filter(|folder| folder.is_dir())
        .unwrap_or_else(|| root.join("target"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(variables: &[(&str, &str)]) -> PathBuf {
        build_folder(Path::new("/checkout"), |name| {
            let (_, value) = variables.iter().find(|(key, _)| *key == name)?;
            Some(PathBuf::from(value))
        })
    }

    #[test]
    fn build_folder_is_set_by_variables_or_in_the_checkout() {
        assert_eq!(
            folder(&[("PHALANX_BUILD_DIR", "/kept"), ("CARGO_TARGET_DIR", "/t")]),
            Path::new("/kept")
        );
        assert_eq!(
            folder(&[("CARGO_TARGET_DIR", "t")]),
            Path::new("/checkout/t")
        );
        assert_eq!(
            folder(&[("HOME", "/nowhere")]),
            Path::new("/checkout/target")
        );
        assert_eq!(folder(&[]), Path::new("/checkout/target"));
    }

    #[test]
    fn cache_folder_is_used_if_it_exists() {
        let cache = env::temp_dir().join(format!("xtask-kept-{}", std::process::id()));
        std::fs::create_dir_all(cache.join("phalanx/target")).unwrap();
        let found = folder(&[("XDG_CACHE_HOME", cache.to_str().unwrap())]);
        std::fs::remove_dir_all(&cache).unwrap();
        assert_eq!(found, cache.join("phalanx/target"));
    }
}
