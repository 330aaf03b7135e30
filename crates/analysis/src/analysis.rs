//! The loaded crate, which answers one query at a time.

use crate::error::AnalysisError;
use crate::project::Project;
use crate::scaffold::Scaffold;
use crate::source::{AnalyzedSource, Lookup};
use crate::{completion, inspection, types};
use phalanx_protocol::analysis::{AnalyzedCell, Completions, Documentation, VariableType};
use ra_ap_hir::ChangeWithProcMacros;
use ra_ap_ide::AnalysisHost;
use ra_ap_vfs::FileId;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Time limit of completion and inspection, for a user who is typing. Results computed by then are
/// cached for the next query.
const QUERY_LIMIT: Duration = Duration::from_millis(900);

/// Time limit of the first query, before anything is cached.
const FIRST_QUERY_LIMIT: Duration = Duration::from_secs(12);

/// The stack size, in bytes, of the thread that runs a query: rust-analyzer recurses with the
/// nesting of code.
const STACK: usize = 64 << 20;

/// A loaded crate with all its dependencies and the standard library.
pub struct AnalyzedCrate {
    project: Project,
    host: AnalysisHost,
    source: FileId,
    /// True after the first completion or inspection.
    is_warm: bool,
    query_limit: Duration,
}

impl AnalyzedCrate {
    /// Loads the crate in a folder. Overwrites its `src/lib.rs`.
    ///
    /// # Errors
    /// Returns an error if the folder does not contain a crate or cargo fails.
    pub fn load(folder: &Path) -> Result<Self, AnalysisError> {
        let mut project = Project::new(folder)?;
        let mut host = AnalysisHost::default();
        let (change, source) = project.load()?;
        catch_panic(|| host.apply_change(change))?;
        Ok(Self {
            project,
            host,
            source,
            is_warm: false,
            query_limit: QUERY_LIMIT,
        })
    }

    /// Reloads the crate after changes of dependencies or files.
    ///
    /// # Errors
    /// Returns an error if cargo fails; the loaded crate is kept.
    pub fn reload(&mut self) -> Result<(), AnalysisError> {
        let (change, source) = self.project.load()?;
        catch_panic(|| self.host.apply_change(change))?;
        self.source = source;
        self.is_warm = false;
        Ok(())
    }

    /// Returns true if the standard library's source was present at the last load.
    #[must_use]
    pub fn has_library(&self) -> bool {
        self.project.has_library()
    }

    /// Returns the variables declared in a cell, and their types.
    ///
    /// # Errors
    /// Returns [`AnalysisError::Panicked`], after which the crate must be loaded anew.
    pub fn types(&mut self, cell: &AnalyzedCell) -> Result<Vec<VariableType>, AnalysisError> {
        self.ask(cell, types::variable_types)
    }

    /// Returns the completions at a byte offset of a cell.
    ///
    /// # Errors
    /// Returns [`AnalysisError::Panicked`], after which the crate must be loaded anew, or
    /// [`AnalysisError::TooLate`].
    pub fn complete(
        &mut self,
        cell: &AnalyzedCell,
        offset: usize,
    ) -> Result<Completions, AnalysisError> {
        let offset = offset.min(cell.source.len());
        self.look_up(cell, |lookup| {
            completion::completions_at(lookup, cell, offset)
        })
    }

    /// Returns the documentation of the name at a byte offset of a cell.
    ///
    /// # Errors
    /// Returns [`AnalysisError::Panicked`], after which the crate must be loaded anew, or
    /// [`AnalysisError::TooLate`].
    pub fn inspect(
        &mut self,
        cell: &AnalyzedCell,
        offset: usize,
    ) -> Result<Option<Documentation>, AnalysisError> {
        let offset = offset.min(cell.source.len());
        self.look_up(cell, |lookup| inspection::documentation_at(lookup, offset))
    }

    pub(crate) fn ask<T>(
        &mut self,
        cell: &AnalyzedCell,
        answer: impl FnOnce(&AnalyzedSource<'_>) -> T,
    ) -> Result<T, AnalysisError> {
        catch_panic(|| {
            let scaffold = self.set_cell(cell);
            answer(&AnalyzedSource {
                host: &self.host,
                file: self.source,
                scaffold: &scaffold,
            })
        })
    }

    /// Sets the time limit of completion and inspection.
    #[cfg(test)]
    pub(crate) fn set_query_limit(&mut self, query_limit: Duration) {
        self.query_limit = query_limit;
    }

    /// Runs a query, and cancels it at the time limit.
    pub(crate) fn look_up<T: Send>(
        &mut self,
        cell: &AnalyzedCell,
        answer: impl FnOnce(&Lookup<'_>) -> T + Send,
    ) -> Result<T, AnalysisError> {
        let scaffold = catch_panic(|| self.set_cell(cell))?;
        let lookup = Lookup {
            analysis: self.host.analysis(),
            file: self.source,
            scaffold: &scaffold,
        };
        let (result_tx, result_rx) = mpsc::channel();
        let limit = match self.is_warm {
            true => self.query_limit,
            false => self.query_limit.max(FIRST_QUERY_LIMIT),
        };
        thread::scope(|scope| {
            let query = move || {
                let result = catch_panic(|| answer(&lookup));
                // Cancellation waits until it is dropped.
                drop(lookup);
                let _ = result_tx.send(result);
            };
            let thread = thread::Builder::new().stack_size(STACK);
            thread
                .spawn_scoped(scope, query)
                .map_err(|_| AnalysisError::TooLate)?;
            match result_rx.recv_timeout(limit) {
                Ok(result) => {
                    self.is_warm |= result.is_ok();
                    result
                }
                Err(_) => {
                    self.host.trigger_cancellation();
                    Err(AnalysisError::TooLate)
                }
            }
        })
    }

    /// Replaces the contents of the cells' file.
    fn set_cell(&mut self, cell: &AnalyzedCell) -> Scaffold {
        let scaffold = Scaffold::new(cell);
        let mut change = ChangeWithProcMacros::default();
        change.change_file(self.source, Some(scaffold.text.clone()));
        self.host.apply_change(change);
        scaffold
    }
}

/// Converts a panic to an error.
fn catch_panic<T>(action: impl FnOnce() -> T) -> Result<T, AnalysisError> {
    catch_unwind(AssertUnwindSafe(action)).map_err(|_| AnalysisError::Panicked)
}
