//! The loaded crate, which answers one question at a time.

use crate::project::Project;
use crate::scaffold::Scaffold;
use crate::{completion, inspection, types};
use phalanx_protocol::analysis::{AnalyzedCell, Completions, Documentation, VariableType};
use ra_ap_hir::ChangeWithProcMacros;
use ra_ap_ide::AnalysisHost;
use ra_ap_vfs::FileId;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// An error of loading, or of an answer.
#[derive(Debug, thiserror::Error)]
pub enum AnalysisError {
    /// The crate's folder cannot be read or written.
    #[error("the folder of the analysis cannot be used: {0}")]
    Folder(io::Error),
    /// A path that rust-analyzer cannot handle.
    #[error("the path {} is not UTF-8", _0.display())]
    Path(PathBuf),
    /// The manifest does not have the form that evcxr writes.
    #[error("the manifest cannot be read: {0}")]
    Manifest(String),
    /// cargo or rustc failed.
    #[error("cargo knows nothing of the crate: {0}")]
    Cargo(String),
    /// The cells' file is missing among the files that were read.
    #[error("the file of the cells is not part of the crate")]
    NoSource,
    /// rust-analyzer panicked; everything has to be loaded anew.
    #[error("rust-analyzer panicked")]
    Panicked,
}

/// A crate that is loaded, with all its dependencies and the standard library.
pub struct Analysis {
    project: Project,
    host: AnalysisHost,
    source: FileId,
}

/// One cell in its place.
pub(crate) struct Question<'a> {
    pub(crate) host: &'a AnalysisHost,
    pub(crate) file: FileId,
    pub(crate) scaffold: &'a Scaffold,
}

impl Analysis {
    /// Loads the crate of a folder. Whatever stands in its `src/lib.rs` is lost.
    ///
    /// # Errors
    /// When the folder holds no crate, or cargo fails.
    pub fn load(folder: &Path) -> Result<Self, AnalysisError> {
        let mut project = Project::new(folder)?;
        let mut host = AnalysisHost::default();
        let (change, source) = project.load()?;
        guarded(|| host.apply_change(change))?;
        Ok(Self {
            project,
            host,
            source,
        })
    }

    /// Loads what has changed: other dependencies, other files.
    ///
    /// # Errors
    /// When cargo fails; what was loaded before is still there then.
    pub fn reload(&mut self) -> Result<(), AnalysisError> {
        let (change, source) = self.project.load()?;
        guarded(|| self.host.apply_change(change))?;
        self.source = source;
        Ok(())
    }

    /// Returns true if the source of the standard library was there when it was loaded.
    #[must_use]
    pub fn has_library(&self) -> bool {
        self.project.has_library()
    }

    /// Returns the variables that a cell declares, and their types.
    ///
    /// # Errors
    /// [`AnalysisError::Panicked`], after which the crate has to be loaded anew.
    pub fn types(&mut self, cell: &AnalyzedCell) -> Result<Vec<VariableType>, AnalysisError> {
        self.ask(cell, types::of)
    }

    /// Returns what may stand at a byte offset of a cell.
    ///
    /// # Errors
    /// [`AnalysisError::Panicked`], after which the crate has to be loaded anew.
    pub fn complete(
        &mut self,
        cell: &AnalyzedCell,
        offset: usize,
    ) -> Result<Completions, AnalysisError> {
        let offset = offset.min(cell.source.len());
        self.ask(cell, |question| completion::at(question, cell, offset))
    }

    /// Returns what is known of the name at a byte offset of a cell.
    ///
    /// # Errors
    /// [`AnalysisError::Panicked`], after which the crate has to be loaded anew.
    pub fn inspect(
        &mut self,
        cell: &AnalyzedCell,
        offset: usize,
    ) -> Result<Option<Documentation>, AnalysisError> {
        let offset = offset.min(cell.source.len());
        self.ask(cell, |question| inspection::at(question, offset))
    }

    pub(crate) fn ask<T>(
        &mut self,
        cell: &AnalyzedCell,
        answer: impl FnOnce(&Question<'_>) -> T,
    ) -> Result<T, AnalysisError> {
        guarded(|| {
            let scaffold = Scaffold::new(cell);
            let mut change = ChangeWithProcMacros::default();
            change.change_file(self.source, Some(scaffold.text.clone()));
            self.host.apply_change(change);
            answer(&Question {
                host: &self.host,
                file: self.source,
                scaffold: &scaffold,
            })
        })
    }
}

/// Takes a panic for an error.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, AnalysisError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| AnalysisError::Panicked)
}
