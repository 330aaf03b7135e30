//! The loaded crate, which answers one query at a time.

use crate::error::AnalysisError;
use crate::project::Project;
use crate::scaffold::Scaffold;
use crate::source::{AnalyzedSource, Lookup};
use crate::{call, completion, imports, inspection, types};
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
    /// True after the first search for imports.
    has_searched: bool,
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
            has_searched: false,
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
        self.has_searched = false;
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

    /// Returns the documentation of the name at a byte offset of a cell, or of the function called
    /// there if the offset is among its arguments and at no name. A name that is not in scope
    /// is that of something that can be imported, if there is any; the documentation says so.
    ///
    /// # Errors
    /// Returns [`AnalysisError::Panicked`], after which the crate must be loaded anew, or
    /// [`AnalysisError::TooLate`].
    pub fn inspect(
        &mut self,
        cell: &AnalyzedCell,
        offset: usize,
    ) -> Result<Option<Documentation>, AnalysisError> {
        let offset = call::subject(&cell.source, offset.min(cell.source.len()));
        let in_scope = self.look_up(cell, |lookup| inspection::documentation_at(lookup, offset))?;
        if in_scope.is_some() {
            return Ok(in_scope);
        }
        let limit = self.limit(self.has_searched);
        let paths =
            self.look_up_within(limit, cell, |lookup| imports::imports_at(lookup, offset))?;
        self.has_searched = true;
        let Some((path, others)) = paths.split_first() else {
            return Ok(None);
        };
        let mut importing = cell.clone();
        importing.items.push(format!("use {path};"));
        let found = self.look_up(&importing, |lookup| {
            inspection::documentation_at(lookup, offset)
        })?;
        Ok(found.map(|found| inspection::with_import(found, path, others)))
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

    /// Returns the time limit of a query, of which the first kind takes longer.
    fn limit(&self, is_warm: bool) -> Duration {
        match is_warm {
            true => self.query_limit,
            false => self.query_limit.max(FIRST_QUERY_LIMIT),
        }
    }

    /// Runs a query, and cancels it at the time limit.
    pub(crate) fn look_up<T: Send>(
        &mut self,
        cell: &AnalyzedCell,
        answer: impl FnOnce(&Lookup<'_>) -> T + Send,
    ) -> Result<T, AnalysisError> {
        let result = self.look_up_within(self.limit(self.is_warm), cell, answer);
        self.is_warm |= result.is_ok();
        result
    }

    fn look_up_within<T: Send>(
        &mut self,
        limit: Duration,
        cell: &AnalyzedCell,
        answer: impl FnOnce(&Lookup<'_>) -> T + Send,
    ) -> Result<T, AnalysisError> {
        let scaffold = catch_panic(|| self.set_cell(cell))?;
        let lookup = Lookup {
            analysis: self.host.analysis(),
            db: self.host.raw_database().clone(),
            file: self.source,
            scaffold: &scaffold,
        };
        let (result_tx, result_rx) = mpsc::channel();
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
                Ok(result) => result,
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
