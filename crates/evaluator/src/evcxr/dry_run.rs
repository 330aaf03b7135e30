//! Changes of evcxr's record of variables, without compiling.
//!
//! evcxr can only remove or add a variable by evaluating code that does so. In a dry run it
//! evaluates such code, which is neither built nor run.

use super::cargo_wrapper::{ADDITION, DEPENDENCIES, DRY_RUN};
use super::generated_crate::build_folder;
use phalanx_protocol::failure::Panic;
use phalanx_protocol::runtime::Outcome;
use std::io;
use std::path::PathBuf;

/// While this guard lives, evcxr's builds are skipped.
pub(super) struct DryRun(PathBuf);

impl DryRun {
    /// Starts a dry run.
    ///
    /// # Errors
    /// Returns an error if the build folder cannot be written to.
    pub(super) fn begin() -> io::Result<Self> {
        let folder = build_folder().ok_or_else(|| io::Error::other("no build folder"))?;
        let folder = folder.join(DRY_RUN);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// Starts a dry run in which cargo builds all dependencies of cells, in a namespace with some
    /// glob imports.
    ///
    /// # Errors
    /// Returns an error if the build folder cannot be written to.
    pub(super) fn building_dependencies<'a>(
        globs: impl Iterator<Item = &'a str>,
    ) -> io::Result<Self> {
        let dry_run = Self::begin()?;
        let globs: Vec<&str> = globs.collect();
        std::fs::write(dry_run.0.join(DEPENDENCIES), globs.join("\n"))?;
        Ok(dry_run)
    }

    /// Like [`building_dependencies`](Self::building_dependencies), after dependencies were added.
    /// If they require another one, nothing is built.
    ///
    /// # Errors
    /// Returns an error if the build folder cannot be written to.
    pub(super) fn building_new_dependencies<'a>(
        globs: impl Iterator<Item = &'a str>,
    ) -> io::Result<Self> {
        let dry_run = Self::building_dependencies(globs)?;
        std::fs::write(dry_run.0.join(ADDITION), "")?;
        Ok(dry_run)
    }

    /// Takes the additional dependency that is required: `name = configuration`.
    pub(super) fn addition(&self) -> Option<String> {
        let file = self.0.join(ADDITION);
        let addition = std::fs::read_to_string(&file).ok();
        let addition = addition.filter(|addition| !addition.is_empty())?;
        // Returned only once.
        std::fs::remove_file(file).ok()?;
        Some(addition)
    }
}

impl Drop for DryRun {
    fn drop(&mut self) {
        // If it still existed, the next cell would not be compiled.
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// Ends a dry run that a killed process has started in the same folder.
///
/// # Errors
/// Returns an error if it exists and cannot be removed.
pub(super) fn remove_leftover() -> io::Result<()> {
    let Some(folder) = build_folder() else {
        return Ok(());
    };
    match std::fs::remove_dir_all(folder.join(DRY_RUN)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Code and its outcome that make evcxr remove variables: new ones with their names were not
/// created, since the code panicked.
pub(super) fn removing(variables: &[String]) -> (String, Outcome) {
    let statements = variables.iter().map(|name| format!("let {name}: () = ();"));
    let panicked = Outcome::Panicked(Panic {
        message: String::new(),
        location: None,
    });
    (statements.collect(), panicked)
}

/// Code and its outcome that make evcxr assume variables exist; they are given as declarations such
/// as `mut a: u8`.
pub(super) fn declaring(declarations: &[String]) -> (String, Outcome) {
    let statements = declarations
        .iter()
        .map(|declaration| format!("let {declaration} = loop {{}};"));
    (statements.collect(), Outcome::Completed)
}
