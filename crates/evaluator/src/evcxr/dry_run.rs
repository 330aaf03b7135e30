//! Changing what evcxr believes of its variables, without compiling anything.
//!
//! evcxr has no way of taking a variable out of a namespace, nor of putting one in, but to evaluate
//! code that does. So it is given such code; what it asks for then is neither built nor run.

use super::cargo_wrapper::{ADDITION, DEPENDENCIES, DRY_RUN};
use super::generated_crate::build_folder;
use phalanx_protocol::failure::Panic;
use phalanx_protocol::runtime::Outcome;
use std::io;
use std::path::PathBuf;

/// As long as this lives, evcxr's builds make nothing.
pub(super) struct DryRun(PathBuf);

impl DryRun {
    /// Begins.
    ///
    /// # Errors
    /// When the build folder cannot be written to.
    pub(super) fn begin() -> io::Result<Self> {
        let folder = build_folder().ok_or_else(|| io::Error::other("no build folder"))?;
        let folder = folder.join(DRY_RUN);
        std::fs::create_dir_all(&folder)?;
        Ok(Self(folder))
    }

    /// Begins one in which cargo builds everything that a cell depends on, in a namespace with some glob
    /// imports.
    ///
    /// # Errors
    /// When the build folder cannot be written to.
    pub(super) fn building_dependencies<'a>(
        globs: impl Iterator<Item = &'a str>,
    ) -> io::Result<Self> {
        let dry_run = Self::begin()?;
        let globs: Vec<&str> = globs.collect();
        std::fs::write(dry_run.0.join(DEPENDENCIES), globs.join("\n"))?;
        Ok(dry_run)
    }

    /// Begins one like that, after dependencies have been added. If one more is needed for them, nothing
    /// is built.
    ///
    /// # Errors
    /// When the build folder cannot be written to.
    pub(super) fn building_new_dependencies<'a>(
        globs: impl Iterator<Item = &'a str>,
    ) -> io::Result<Self> {
        let dry_run = Self::building_dependencies(globs)?;
        std::fs::write(dry_run.0.join(ADDITION), "")?;
        Ok(dry_run)
    }

    /// Takes the dependency that is needed too: `name = configuration`.
    pub(super) fn addition(&self) -> Option<String> {
        let file = self.0.join(ADDITION);
        let addition = std::fs::read_to_string(&file).ok();
        let addition = addition.filter(|addition| !addition.is_empty())?;
        // Asked once.
        std::fs::remove_file(file).ok()?;
        Some(addition)
    }
}

impl Drop for DryRun {
    fn drop(&mut self) {
        // What is left of it would keep the next cell from being compiled.
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            eprintln!("{}: {error}", self.0.display());
        }
    }
}

/// Ends what a process that was killed has begun in the same folder.
///
/// # Errors
/// When it is there and cannot be removed.
pub(super) fn end_any() -> io::Result<()> {
    let Some(folder) = build_folder() else {
        return Ok(());
    };
    match std::fs::remove_dir_all(folder.join(DRY_RUN)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Code, and its outcome, after which evcxr knows nothing of some variables: new ones of their
/// names were not made, since it panicked.
pub(super) fn forgetting(variables: &[String]) -> (String, Outcome) {
    let statements = variables.iter().map(|name| format!("let {name}: () = ();"));
    let panicked = Outcome::Panicked(Panic {
        message: String::new(),
        location: None,
    });
    (statements.collect(), panicked)
}

/// Code, and its outcome, after which evcxr takes variables for being there, given as they are
/// declared: `mut a: u8`.
pub(super) fn knowing(declarations: &[String]) -> (String, Outcome) {
    let statements = declarations
        .iter()
        .map(|declaration| format!("let {declaration} = loop {{}};"));
    (statements.collect(), Outcome::Completed)
}
