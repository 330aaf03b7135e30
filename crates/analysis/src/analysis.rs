//! The loaded crate, which answers one question at a time.

use crate::project::Project;
use crate::scaffold::Scaffold;
use crate::{completion, inspection, types};
use phalanx_protocol::analysis::{AnalyzedCell, Completions, Documentation, VariableType};
use ra_ap_hir::ChangeWithProcMacros;
use ra_ap_ide::{Analysis as Snapshot, AnalysisHost};
use ra_ap_vfs::FileId;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// The time after which somebody who types wants no completion any more. What was found out until
/// then is there for the next question.
const IN_TIME: Duration = Duration::from_millis(900);

/// The same as long as nothing has been found out yet.
const FIRST_IN_TIME: Duration = Duration::from_secs(12);

/// The stack of the thread that answers: rust-analyzer follows the nesting of code by recursion.
const STACK: usize = 64 << 20;

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
    /// The answer would have come too late.
    #[error("rust-analyzer takes too long")]
    TooLate,
}

/// A crate that is loaded, with all its dependencies and the standard library.
pub struct Analysis {
    project: Project,
    host: AnalysisHost,
    source: FileId,
    /// True once a place in a cell was looked up.
    is_warm: bool,
    in_time: Duration,
}

/// One cell in its place.
pub(crate) struct AnalyzedSource<'a> {
    pub(crate) host: &'a AnalysisHost,
    pub(crate) file: FileId,
    pub(crate) scaffold: &'a Scaffold,
}

/// A place in a cell, for somebody who types.
pub(crate) struct Lookup<'a> {
    pub(crate) analysis: Snapshot,
    pub(crate) file: FileId,
    pub(crate) scaffold: &'a Scaffold,
}

impl Analysis {
    /// Loads the crate of a folder. The content of its `src/lib.rs` is lost.
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
            is_warm: false,
            in_time: IN_TIME,
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
        self.is_warm = false;
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

    /// Returns the completions at a byte offset of a cell.
    ///
    /// # Errors
    /// [`AnalysisError::Panicked`], after which the crate has to be loaded anew; [`AnalysisError::TooLate`].
    pub fn complete(
        &mut self,
        cell: &AnalyzedCell,
        offset: usize,
    ) -> Result<Completions, AnalysisError> {
        let offset = offset.min(cell.source.len());
        self.look_up(cell, |lookup| completion::at(lookup, cell, offset))
    }

    /// Returns what is known of the name at a byte offset of a cell.
    ///
    /// # Errors
    /// [`AnalysisError::Panicked`], after which the crate has to be loaded anew; [`AnalysisError::TooLate`].
    pub fn inspect(
        &mut self,
        cell: &AnalyzedCell,
        offset: usize,
    ) -> Result<Option<Documentation>, AnalysisError> {
        let offset = offset.min(cell.source.len());
        self.look_up(cell, |lookup| inspection::at(lookup, offset))
    }

    pub(crate) fn ask<T>(
        &mut self,
        cell: &AnalyzedCell,
        answer: impl FnOnce(&AnalyzedSource<'_>) -> T,
    ) -> Result<T, AnalysisError> {
        guarded(|| {
            let scaffold = self.put(cell);
            answer(&AnalyzedSource {
                host: &self.host,
                file: self.source,
                scaffold: &scaffold,
            })
        })
    }

    /// Sets the time after which an answer comes too late.
    #[cfg(test)]
    pub(crate) fn set_in_time(&mut self, in_time: Duration) {
        self.in_time = in_time;
    }

    /// Answers, or gives up once it has taken too long.
    pub(crate) fn look_up<T: Send>(
        &mut self,
        cell: &AnalyzedCell,
        answer: impl FnOnce(&Lookup<'_>) -> T + Send,
    ) -> Result<T, AnalysisError> {
        let scaffold = guarded(|| self.put(cell))?;
        let lookup = Lookup {
            analysis: self.host.analysis(),
            file: self.source,
            scaffold: &scaffold,
        };
        let (done, answered) = mpsc::channel();
        let limit = match self.is_warm {
            true => self.in_time,
            false => self.in_time.max(FIRST_IN_TIME),
        };
        thread::scope(|scope| {
            let work = move || {
                let found = guarded(|| answer(&lookup));
                // Cancelling waits for it.
                drop(lookup);
                let _ = done.send(found);
            };
            let thread = thread::Builder::new().stack_size(STACK);
            thread
                .spawn_scoped(scope, work)
                .map_err(|_| AnalysisError::TooLate)?;
            match answered.recv_timeout(limit) {
                Ok(found) => {
                    self.is_warm |= found.is_ok();
                    found
                }
                Err(_) => {
                    self.host.trigger_cancellation();
                    Err(AnalysisError::TooLate)
                }
            }
        })
    }

    /// Puts a cell into its file.
    fn put(&mut self, cell: &AnalyzedCell) -> Scaffold {
        let scaffold = Scaffold::new(cell);
        let mut change = ChangeWithProcMacros::default();
        change.change_file(self.source, Some(scaffold.text.clone()));
        self.host.apply_change(change);
        scaffold
    }
}

/// Takes a panic for an error.
fn guarded<T>(work: impl FnOnce() -> T) -> Result<T, AnalysisError> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|_| AnalysisError::Panicked)
}
