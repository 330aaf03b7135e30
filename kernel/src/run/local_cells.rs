//! Rust text evaluated in the local namespace.

use super::Local;
use super::error::{CellError, pending_tasks_hint};
use super::sources::CellSources;
use crate::cell::{RustText, located, sets_allocator};
use crate::context::{CellContext, misplaced_magic};
use crate::parallel::results::Results;
use crate::report::{Fault, Notice, notice};
use phalanx_protocol::failure::Failure;
use phalanx_protocol::host::MAGIC_FAILED;
use phalanx_protocol::id::AsyncResultId;
use phalanx_protocol::output::StreamName;

/// The local namespace, with the parts that explain the failures of cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalCells<'a> {
    /// The namespace.
    pub(super) local: &'a Local,
    /// The cells that have run.
    pub(super) sources: &'a CellSources,
    /// The session's AsyncResults.
    pub(super) results: &'a Results,
}

impl LocalCells<'_> {
    /// Evaluates Rust in the local namespace.
    ///
    /// # Errors
    /// Returns the failure of the cell, or that of a magic within it.
    pub(super) async fn evaluate(self, context: &CellContext, text: RustText) -> Result<(), Fault> {
        let text = located(text, context.count());
        let location = context.location(text.map);
        if sets_allocator(&text.source) {
            let text = notice(&Notice::Allocator);
            context.sink().text(StreamName::Stderr, text).await;
        }
        let source = text.source.clone();
        let evaluated = self.local.evaluate(context, text.source).await;
        let failure = match evaluated {
            Ok(evaluated) => {
                let misfits = self.sources.misfits(context.count(), &evaluated.misfits);
                for misfit in misfits {
                    let text = notice(&misfit);
                    context.sink().text(StreamName::Stderr, text).await;
                }
                return Ok(());
            }
            Err(failure) => failure,
        };
        if matches!(&failure, Failure::Panic(panic) if panic.message == MAGIC_FAILED) {
            let fault = context.take_magic_fault();
            return Err(fault.unwrap_or_else(|| Fault::at(CellError::NoValue, location)));
        }
        let failure = self.local.missing_variables().explain(failure);
        let failure = misplaced_magic::explain(failure, &source);
        let help = match failure {
            Failure::Interrupted { .. } => {
                let tasks = self.results.tasks();
                pending_tasks_hint(tasks.iter().filter(|(_, ended)| !ended).count())
            }
            _ => None,
        };
        Err(Fault {
            help,
            ..Fault::at(failure, location)
        })
    }

    /// Stores an AsyncResult in a variable.
    ///
    /// # Errors
    /// Returns the failure of the assignment.
    pub(super) async fn bind(
        self,
        context: &CellContext,
        name: &str,
        id: AsyncResultId,
    ) -> Result<(), Failure> {
        self.results.retain([id]);
        let source = format!("let {name} = phalanx::AsyncResult::from_id({id});");
        self.local.evaluate(context, source).await.map(drop)
    }
}
